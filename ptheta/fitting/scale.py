"""The size of a network, and of its batches, that suits a budget in minutes.

With few steps a small network ends better than a large one, which is still far from what it could learn; with many it
is the other way round. What decides is the number of steps that fit into the time of learning: of the sizes of a family
the largest one is taken that takes enough steps, in batches of the recipe or in smaller ones. How many are enough was
measured on nine data sets of all kinds: about 430 in 20 seconds, 1,000 in 80, and more with more time, though fewer for
every second; `benchmarks/sizes.py` shows the rule beside a grid of sizes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ptheta.models import Model

STEPS, SECONDS, POWER = 1000, 80.0, 0.6
"""So many steps are enough in so many seconds; they grow with this power of the time."""

FRACTIONS = (3 / 4, 1 / 2, 3 / 8)
"""Smaller networks have this part of the width and of the layers of a family's recipe."""

FEWEST, SMALL_BATCH = 2, 4
"""Events of a step: the fewest, and those below which a smaller network is taken first, and half of the steps do."""

VALUES = 1000
"""Values of all events of a step, at least: gradients of fewer are mostly noise, at the rates of the recipes."""

SLOWER = 1.5
"""A step of a network takes longer than that of a smaller one by the ratio of their widths to this power, at least."""


def enough_steps(seconds: float) -> float:
    """Steps that a network should take in this much time of learning.

    >>> [round(enough_steps(seconds)) for seconds in (20, 80, 480)]
    [435, 1000, 2930]
    """
    return STEPS * (seconds / SECONDS) ** POWER


def fewest_events(dimensions: int) -> int:
    """Events that a batch is not made smaller than.

    >>> fewest_events(784), fewest_events(64), fewest_events(14)
    (2, 16, 72)
    """
    return max(FEWEST, math.ceil(VALUES / max(1, dimensions)))


def smaller_networks(
    family: type[Model], hyperparameters: Mapping[str, Any], given: Collection[str]
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Fractions and hyperparameters of smaller networks of a family, the largest first; none if their size was given.

    Args:
        family: of the networks; `sized_by` names what they are made smaller by.
        hyperparameters: of the largest one.
        given: names of those that were asked for, and do not change.
    """
    signature = family.hyperparameter_signature()
    whole = {name: signature[name].default for name in family.sized_by if name in signature} | {
        name: value for name, value in hyperparameters.items() if name in family.sized_by
    }
    whole = {name: value for name, value in whole.items() if type(value) is int}
    if not whole or any(name in given for name in family.sized_by):
        return
    heads = hyperparameters.get("heads", signature["heads"].default if "heads" in signature else 1)
    last = whole
    for fraction in FRACTIONS:
        own = {name: _part(value, fraction, 2 * heads if name == "width" else 1) for name, value in whole.items()}
        if own != last:
            yield fraction, {**hyperparameters, **own}
        last = own


def _part(value: int, fraction: float, multiple: int) -> int:
    """A fraction of a size, as a multiple of a number.

    >>> _part(64, 0.75, 8), _part(4, 0.375, 1), _part(3, 0.375, 1)
    (48, 2, 1)
    """
    return max(1, round(fraction * value / multiple)) * multiple
