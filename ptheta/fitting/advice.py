"""What would give a fit more steps, in the flags of its family and kind of data."""

from __future__ import annotations

import math

from ptheta.evaluation.results import Score
from ptheta.fitting.affording import Affording
from ptheta.models import Density, Model
from ptheta.numbers import joined, plural
from ptheta.runs import Run
from ptheta.spaces import Discrete, Document
from ptheta.training import Timetable
from ptheta.training.timetable import LEAST

FEW = 200
"""Steps below which a fit of some minutes has hardly begun."""

SMALLER = 0.6
"""Part of an event's dimensions that a smaller one has at most, to be worth a proposal."""

MANY = 10_000
"""Events, at least, of which fewer are proposed."""

READING = 0.25
"""Part of the budget that reading takes at least, where reading less is proposed."""


HARDLY = 50
"""Steps below which next to nothing is learned."""

ROUNDING = 1e-5
"""Part of the nats of uniform values that a model may be better by and has learned nothing."""

LARGE_BATCH = 16
"""Events of a step from which fewer are proposed."""


def advice(
    model: Model, affording: Affording, timetable: Timetable, steps: int, *, batch: int | None = None
) -> str | None:
    """What would give a fit in minutes more steps; None if it has enough, or its budget is in steps or epochs.

    Args:
        model: that is fitted.
        affording: what knows smaller events.
        timetable: of the command.
        steps: that it has.
        batch: events of a step; None: it learns without.
    """
    if timetable.whole is None or steps >= FEW:
        return None
    ways = [f"smaller events ({flag})" for flag in [_event_flag(affording)] if flag]
    ways += [f"a smaller model ({flags})" for flags in [_model_flags(model)] if flags]
    if batch is not None and batch >= LARGE_BATCH:
        ways.append(f"smaller batches (--batch-size {batch // 4})")
    if timetable.before > READING * timetable.whole and len(affording.data.train) > MANY:
        ways.append("fewer events to read (--limit)")
    learned = max(timetable.whole - timetable.before, LEAST * timetable.whole)  # as the timetable gives it at least
    minutes = (timetable.before + learned * FEW / max(steps, 1)) / 60
    ways.append(f"more time (--minutes {math.ceil(minutes) if minutes > 1 else round(minutes, 2):g})")
    return f"more with {joined(ways, 'or')}"


def shortcomings(run: Run, score: Score, steps: int, more: str | None) -> list[str]:
    """That a fit has hardly learned, in sentences: few steps, a score that needs no model, weights of its beginning.

    Args:
        run: that was fitted by gradients.
        score: of held-out events.
        steps: of the fit.
        more: what would give more steps, where they are few.
    """
    found = []
    if more is not None:
        found.append(f"{plural(steps, 'step')}: {'hardly' if steps < HARDLY else 'little'} learned; {more}")
    space = run.model.space
    if score.density is Density.EXACT and isinstance(space, Discrete) and not isinstance(space, Document):
        uniform = sum(map(math.log, space.sizes or [space.levels] * space.dimensions))
        if score.nats >= uniform * (1 - ROUNDING):
            values = f"uniform values have {uniform:.2f} nats, which {score.nats:.2f} are no better than"
            found.append(f"nothing was learned: {values}")
    return found


def _event_flag(affording: Affording) -> str | None:
    """A flag that makes events smaller."""
    most = SMALLER * affording.data.space.dimensions
    found = (flags for flags, space, _ in affording.smaller() if space.dimensions <= most)
    flag = next(found, None)
    return flag if flag is not None and not flag.startswith("--width") else None


def _model_flags(model: Model) -> str | None:
    """Flags that make the model smaller."""
    value = model.hyperparameters()
    width, layers, heads = (value.get(name) for name in ("width", "layers", "heads"))
    flags = []
    if isinstance(width, int) and width >= 32 and width // 2 % (2 * (heads or 1)) == 0:
        flags.append(f"--width {width // 2}")
    if isinstance(layers, int) and layers >= 2:
        flags.append(f"--layers {layers // 2}")
    return " ".join(flags) or None
