"""`ptheta divergence`: how far two fitted models are apart."""

from __future__ import annotations

import sys
from typing import Annotated

import torch
import tyro
from torch import Tensor

from ptheta.cli.arguments import call
from ptheta.cli.contexts import given_contexts
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Count, Flag, RunArgument, Values
from ptheta.errors import UsageError
from ptheta.runs import Run
from ptheta.spaces import Label

OtherArgument = Annotated[RunArgument, tyro.conf.arg(metavar="OTHER")]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(divergence, args, "ptheta divergence")


def divergence(
    run: RunArgument,
    other: OtherArgument,
    *,
    n: Count = 10_000,
    context: Values = [],  # noqa: B006
    seed: int = 0,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Compare p (RUN) and q (OTHER): KL both ways, Jensen–Shannon, total variation, χ².

    Exact where all events can be listed (at most 2^22), elsewhere from draws, with standard errors. The two must be
    over the same events in the same units.

    Args:
        run: run folder of p
        other: run folder of q
        n: number of events drawn from each side if not all can be listed
        context: labels, or contexts of other kinds as for `ptheta sample`, at which to compare, averaged; if
            left out, all labels, and for other kinds p(x), which both models must have learned too
            (--context-dropout)
        seed: seed of the draws
        device: auto, cpu or cuda
        json: print value, se, n, method … of each as one JSON object on the last line
    """
    from ptheta.divergences import NAMES, divergences
    from ptheta.reporting.waiting import console_for, waiting
    from ptheta.training import choose_device

    place = choose_device(device)
    p, q = Run.load(run, place), Run.load(other, place)
    if n < 2:
        raise UsageError(f"-n is {n}", "give at least 2")
    if p.model.space == q.model.space and not p.codec.means_as(q.codec):
        raise UsageError(
            f"{run} and {other} encode their events differently",
            "load the data of both with the same columns, sizes, tokens and units",
        )
    conditional = [run for run in (p, q) if run.model.context_space is not None]
    if len(conditional) == 2 and p.model.context_space == q.model.context_space and p.context_codec != q.context_codec:
        raise UsageError(
            f"{run} and {other} encode their contexts differently",
            "load the data of both with the same columns, sizes, tokens and units",
        )
    rows = _rows(min(conditional, key=lambda run: run.model.context_dropout, default=p), context)
    with waiting("scoring the events of both runs", console_for(True)):
        found = divergences(p.model, q.model, rows, n=n, seed=seed)
    width = max(map(len, NAMES.values()))
    lines = [f"p is {run}, q is {other}, over {p.model.space}; KL and Jensen–Shannon in nats"]
    lines += [f"  {NAMES[name]:<{width}}  {estimate}" for name, estimate in found.items()]
    print("\n".join(lines), file=sys.stderr if json else sys.stdout)
    if json:
        print_json({"p": str(run), "q": str(other), **{name: e.to_json() for name, e in found.items()}})


def _rows(run: Run, given: list[str]) -> Tensor | None:
    """Rows of context for the values given, or for all labels there are; None: p(x) is compared."""
    space = run.model.context_space
    if isinstance(space, Label) and not given:
        return torch.arange(space.levels)
    found = given_contexts(run, given, otherwise="compared without one")
    return None if found is None else found.rows
