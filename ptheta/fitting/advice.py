"""What would give a fit more steps, in the flags of its family and kind of data."""

from __future__ import annotations

import math

from ptheta.fitting.affording import Affording
from ptheta.models import Model
from ptheta.numbers import joined
from ptheta.training import Timetable

FEW = 200
"""Steps below which a fit of some minutes has hardly begun."""

SMALLER = 0.6
"""Part of an event's dimensions that a smaller one has at most, to be worth a proposal."""

MANY = 10_000
"""Events, at least, of which fewer are proposed."""

READING = 0.25
"""Part of the budget that reading takes at least, where reading less is proposed."""


def advice(model: Model, affording: Affording, timetable: Timetable, steps: int) -> str | None:
    """What would give a fit in minutes more steps; None if it has enough, or its budget is in steps or epochs.

    Args:
        model: that is fitted.
        affording: what knows smaller events.
        timetable: of the command.
        steps: that it has.
    """
    if timetable.whole is None or steps >= FEW:
        return None
    ways = [f"smaller events ({flag})" for flag in [_event_flag(affording)] if flag]
    ways += [f"a smaller model ({flags})" for flags in [_model_flags(model)] if flags]
    if timetable.before > READING * timetable.whole and len(affording.data.train) > MANY:
        ways.append("fewer events to read (--limit)")
    minutes = timetable.whole / 60 * FEW / max(steps, 1)
    ways.append(f"more time (--minutes {math.ceil(minutes) if minutes > 1 else round(minutes, 2):g})")
    return f"that is little; more with {joined(ways, 'or')}"


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
