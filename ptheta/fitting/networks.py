"""The network that a fit takes of those that a family offers: the largest of which enough steps fit into a budget."""

from __future__ import annotations

import contextlib
from typing import Any

from ptheta.errors import PthetaError
from ptheta.fitting.affording import Affording
from ptheta.fitting.scale import SLOWER, SMALL_BATCH, smaller_networks
from ptheta.models.limits import Exceeded, Limited
from ptheta.numbers import duration, joined, many
from ptheta.training import World
from ptheta.training.cost import CHEAP, is_easy


def suit(affording: Affording, world: World) -> tuple[list[str], list[str]]:
    """Choose the size of a network, which `affording` goes on with.

    Args:
        affording: of the family's own size.
        world: the processes; the first one decides.

    Returns:
        Names of the hyperparameters that were chosen, and what was chosen in a sentence; none of the family's own size.
    """
    whole = affording.hyperparameters
    said = _suited(affording) if world.rank == 0 else None
    sizes = {name: v for name, v in affording.hyperparameters.items() if name in affording.family.sized_by}
    first = world.first({"sizes": sizes, "said": said})
    if first["said"] is None:
        return [], []
    if world.rank:
        affording.take({**whole, **first["sizes"]})
    return list(first["sizes"]), [first["said"]]


def _suited(affording: Affording) -> str | None:
    """The choice of this process, in a sentence; None of the family's own size."""
    means, family, whole = affording.means, affording.family, affording.hyperparameters
    if means.seconds is None:
        return None
    offered = smaller_networks(family, whole, affording.given)
    networks = [(1.0, whole), *((fraction, own) for fraction, own in offered if _can_be_built(affording, own))]
    if len(networks) == 1 or _is_easy(affording):
        return None
    least, smallest = networks[-1]
    affording.take(smallest)
    known, kept = _part_of_enough(affording), (smallest, affording.estimate, affording.cost)
    if not known:  # it is refused, with what would fit
        affording.take(whole)
        return None
    for fraction, hyperparameters in networks[:-1]:
        if known * (least / fraction) ** SLOWER >= 1:  # else it would not do, and need not be tried
            affording.take(hyperparameters)
            if _part_of_enough(affording) >= 1:
                break
    else:
        affording.hyperparameters, affording.estimate, affording.cost = kept
    if affording.hyperparameters is whole:
        return None
    signature, chosen = family.hyperparameter_signature(), affording.hyperparameters
    names = [name for name in family.sized_by if name in chosen]
    sizes = joined([f"{name} {chosen[name]}" for name in names])
    usual = joined([f"{whole.get(name, signature[name].default)}" for name in names])
    flags = joined([f"--{name.replace('_', '-')}" for name in names])
    steps = many(_part_of_enough(affording) * means.wanted)
    return (
        f"{sizes} instead of {usual}, so that about {steps} steps fit into {duration(means.seconds)} of learning; "
        f"{flags} choose another size"
    )


def _part_of_enough(affording: Affording) -> float:
    """Steps of the network that fit into the time of learning, in batches as small as suits one that could be smaller
    itself, in units of those that it should take; 0 if it does not fit into memory."""
    cost, means = affording.known_cost(), affording.means
    if cost is None or means.seconds is None or cost.memory(1) > means.limit:
        return 0.0
    batch = affording.batch_of_recipe()
    if means.shrinks:
        batch = min(batch, max(SMALL_BATCH, means.fewest, means.processes))
    return means.seconds / cost.seconds(max(1, batch // means.processes)) / means.wanted


def _can_be_built(affording: Affording, hyperparameters: dict[str, Any]) -> bool:
    """Whether the family takes such sizes; it may have rules of its own."""
    space = affording.data.space
    try:
        with contextlib.suppress(Exceeded), Limited(CHEAP):
            affording.build(space.reduced(4) or space, hyperparameters)
    except PthetaError:
        return False
    return True


def _is_easy(affording: Affording) -> bool:
    """Whether steps of the network are so small that they need no estimate."""
    with contextlib.suppress(Exceeded), Limited(min(affording.means.limit / 3, CHEAP)):
        return is_easy(affording.build(affording.data.space, affording.hyperparameters), affording.batch_of_recipe())
    return False
