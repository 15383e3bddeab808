"""`ptheta compare`: several models, the same data, the same nats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.cli.arguments import call, print_json
from ptheta.cli.families import named
from ptheta.cli.groups import of_data
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, SourceArgument
from ptheta.cli.places import output
from ptheta.errors import UsageError

if TYPE_CHECKING:
    from ptheta.data import Data
    from ptheta.models import Model

DEFAULT_MODELS = "independent,markov_chain,markov_mlp,made,transformer,flow,table"


def main(args: list[str]) -> None:
    """Parse and run."""
    call(compare, args, "ptheta compare", groups={"options": of_data()})


def suits(model: type[Model], data: Data) -> bool:
    """Whether a family models the events and takes the contexts of some data."""
    given = data.context_space
    return isinstance(data.space, model.spaces) and (given is None or isinstance(given, model.context_spaces))


def compare(
    source: SourceArgument,
    *,
    options: dict[str, Any],
    models: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    out: Path | None = None,
    force: Force = False,
    seed: int = 0,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Fit several models to the same data and rank them by test nats.

    Args:
        source: as for `ptheta fit`
        models: names from `ptheta zoo`, or `module:Class`, comma-separated; those that suit the data if left out
        minutes: budget of each model that learns by gradients; 1 if no budget is given
        steps: budget of each in optimiser steps
        out: folder for the runs; a new one under runs/ if left out
        force: replace what is in --out
        seed: of splits, weights, shuffling and samples
        device: auto, cpu or cuda
        json: print the models' results as one JSON object on the last line
    """
    import ptheta
    from ptheta.fitting import DEFAULT_MINUTES, check_numbers, preset_for
    from ptheta.models import family
    from ptheta.reporting.comparison import comparison, ranked, sample_quality

    names = [named(name.strip()) for name in (models or DEFAULT_MODELS).split(",") if name.strip()]
    if not names:
        raise UsageError("there is nothing to compare", f"name models, for example --models {DEFAULT_MODELS}")
    check_numbers({"minutes": minutes, "steps": steps, "epochs": None}, {}, None, device)
    data = ptheta.load(source, **options, seed=seed)
    if models is None:
        names = [name for name in names if suits(family(name).load(), data)]
    for name in names:
        family(name).load()(data.space, data.context_space)  # all must suit the data, before any is fitted
    place = output(out, Path("runs") / f"{data.name}-compare", force)
    note(data.notes)
    runs = []
    for name in dict.fromkeys(names):
        run = ptheta.fit(
            name,
            data,
            preset=preset_for(name, data),
            minutes=DEFAULT_MINUTES if minutes is None and steps is None else minutes,
            steps=steps,
            out=place / family(name).short,
            force=force,
            seed=seed,
            device=device,
            verbose=True,
        )
        runs.append(run)
    runs = ranked(runs)
    quality = sample_quality(runs, data, seed)
    comparison(runs, quality, data, sys.stderr if json else sys.stdout)
    if json:
        judged = {name: {"auroc": found.auroc, "se": found.se, "n": found.n} for name, found in quality.items()}
        print_json({"models": [run.results() for run in runs], "sample_auroc": judged})
