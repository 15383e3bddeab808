"""What a context is worth: nats that log p(x | y) gains over densities that do not know y, on the same events."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import RunError
from ptheta.evaluation.nats import evaluate, log_probs
from ptheta.evaluation.results import Score
from ptheta.judging.base import derangement
from ptheta.judging.overlap import also_learned_by
from ptheta.metrics import Measure, mean
from ptheta.models import Density
from ptheta.runs import Run

NO_GAINS = {
    Density.LOWER_BOUND: "no gains: differences of lower bounds are not differences of log p",
    Density.IMPLICIT: "no nats: the model has no density",
}
"""Why nothing is gained in nats."""


@dataclasses.dataclass
class Nats:
    """Nats of events given their contexts, and what the contexts gain.

    Attributes:
        score: of p(x | y).
        gains: over what → mean of log p(x | y) − log q(x) over the events, paired, in nats.
        notes: what the other density may have learned of the events, in sentences.
    """

    score: Score
    gains: dict[str, Measure]
    notes: list[str] = dataclasses.field(default_factory=list)


def nats_of(
    run: Run, events: Split, against: Run | None = None, seed: int = 0, advance: Callable[[int], None] | None = None
) -> Nats:
    """Score events given their contexts, without them, given others', and by another run.

    Args:
        run: with a context.
        events: with contexts.
        against: a run without a context, fitted to the same kind of events.
        seed: of the shuffled contexts.
        advance: called with the number of events scored.

    Raises:
        RunError: `against` is about other events, or needs a context.
        DensityError: `against` has no exact density.
    """
    model = run.model
    if model.density is not Density.EXACT:
        return Nats(evaluate(model, events, seed=seed, advance=advance), {}, [NO_GAINS[model.density]])
    notes: list[str] = []
    if against is not None:
        check_rival(run, against)
        notes += filter(None, [also_learned_by(against, run, events)])
    given = log_probs(model, events, advance=advance)
    gains: dict[str, Measure] = {}
    without = Split(events.x)
    if against is not None:
        gains[f"p(x) of {against.path.name}"] = gain(given, log_probs(against.model, without, advance=advance))
    if model.context_dropout > 0:
        gains["its own p(x)"] = gain(given, log_probs(model, without, advance=advance))
    assert events.context is not None
    shuffled = Split(events.x, events.context[derangement(len(events), seed)])
    gains["p(x | y') of shuffled contexts"] = gain(given, log_probs(model, shuffled, advance=advance))
    return Nats(Score.of(given, model.space.dimensions), gains, notes)


def gain(given: Tensor, without: Tensor) -> Measure:
    """Mean difference of log-probabilities of the same events [n], with its standard error."""
    difference = given - without
    both = torch.isneginf(given) & torch.isneginf(without)  # neither allows it, so neither gains
    return mean(np.where(both.numpy(), 0.0, difference.numpy()))


def check_rival(run: Run, against: Run) -> None:
    """Whether a run's density is of the same events.

    Raises:
        RunError: it is of others, or conditional.
    """
    if against.model.space != run.model.space or not run.codec.means_as(against.codec):
        raise RunError(
            f"the events of {against.path} are {against.model.space}, encoded differently from those of {run.path}",
            "fit it to the same event column, with the same options, and no --context (--whole for texts)",
        )
    if against.model.context_space is not None:
        raise RunError(f"{against.path} has a context of its own", "fit it without --context")
