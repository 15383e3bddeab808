"""Building a model whose initial weights are a function of a seed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ptheta.errors import UsageError, nearest
from ptheta.foreign import guarded, out_of_memory
from ptheta.models.base import Model
from ptheta.models.limits import COPIES, OPERATIONS, Exceeded, Limited, largest, whole_memory
from ptheta.models.zoo import family
from ptheta.spaces import Space
from ptheta.typed import checked


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, weights are drawn from a seed on the CPU; the global random state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def build(
    model: str | type[Model],
    space: Space,
    context_space: Space | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    seed: int,
) -> Model:
    """A model with fresh weights; the global random state is untouched.

    Args:
        model: name of a family, or its class.
        space, context_space: of events and contexts.
        hyperparameters: name → value.
        seed: of the weights.

    Raises:
        UsageError: no family has that name, or a value makes no sense.
        SpaceError: the family cannot model that space.

    >>> from ptheta.spaces import Discrete
    >>> one, same = (build("made", Discrete((3,), 2), seed=7) for _ in range(2))
    >>> torch.equal(one.hidden[0].weight, same.hidden[0].weight)
    True
    """
    cls = family(model).load() if isinstance(model, str) else model
    given = dict(hyperparameters or {})
    try:
        inspect.signature(cls).bind(space, context_space, **given)
    except TypeError as error:
        raise UsageError(
            f"{cls.__name__} cannot be built: {error}",
            "a family is Family(space, context_space=None, **hyperparameters)",
        ) from None
    kinds = cls.hyperparameter_signature()
    for name in given.keys() & kinds.keys():
        given[name] = checked(f"{name} of {cls.__name__}", given[name], kinds[name].annotation)
    values = ", ".join(f"{name} {value}" for name, value in given.items())
    problem = f"{cls.__name__} cannot be built with {values or 'its defaults'}"
    limit = Limited(whole_memory() / COPIES, OPERATIONS)
    with guarded("", "choose other values", error=UsageError, problem=problem.replace("{", "(")):
        try:
            with seeded(seed), limit:
                return cls(space, context_space, **given)
        except Exceeded as exceeded:
            if exceeded.by is not limit:  # which is that of whoever estimates what the model takes
                raise
            few = limit.operations >= 0
            raise too_large(cls, given, "more memory than this machine has" if few else "too many layers") from None
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise too_large(cls, given, "more memory than there is") from error


def too_large(cls: type[Model], given: Mapping[str, Any], what: str) -> UsageError:
    """The error for a model that would take `what`; it names the hyperparameter that is furthest above its default."""
    kinds = cls.hyperparameter_signature()
    name = largest(kinds, given)
    if name is None:
        return UsageError(f"{cls.__name__} would take {what}", "choose another model, or smaller events")
    usual = "" if kinds[name].default is None else f", such as {kinds[name].default}, its default"
    return UsageError(
        f"{name} is {given[name]:,}, with which {cls.__name__} would take {what}", f"give a smaller number{usual}"
    )


def check_names(model: type[Model], hyperparameters: Iterable[str]) -> None:
    """Every name is one of the family's hyperparameters.

    Raises:
        UsageError: one is not; the nearest is given.
    """
    known = list(model.hyperparameter_signature())
    if unknown := [name for name in hyperparameters if name not in known]:
        remedy = nearest(unknown[0], known) if known else "it has none"
        raise UsageError(f"{model.__name__} has no hyperparameter {unknown[0]!r}", remedy)
