"""What every event space has: a shape, a check of batches, a visiting order, a JSON form."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import SpaceError, nearest

MAX_DIMENSIONS = 2**26
"""Most dimensions an event may have: a guard against damaged or hostile descriptions, checked before any allocation."""


class Space(ABC):
    """The set of possible events; every kind of it is a frozen dataclass.

    Batches of events are tensors [n, *shape]: int64 for discrete spaces, floating point for real ones.

    Attributes:
        shape: of one event; () for a single value.
    """

    shape: tuple[int, ...]
    kind: ClassVar[str]
    noun: ClassVar[str] = "events"
    """What its events are, in messages."""
    ordered: ClassVar[bool] = False
    """Whether values are numbers, so that neighbouring ones mean nearly the same; else they are names."""
    _kinds: ClassVar[dict[str, type[Space]]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            Space._kinds[cls.kind] = cls

    def __post_init__(self):
        if any(s < 1 for s in self.shape) or self.dimensions > MAX_DIMENSIONS:
            raise SpaceError(
                f"a {self.kind} space of shape {list(self.shape)} is not usable",
                f"every side must be at least 1 and their product at most {MAX_DIMENSIONS:,}",
            )

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of `shape`, which tell its geometry.

        - `channel`: what is measured at one place, such as red, green and blue
        - `height` and `width`: rows and columns of a picture
        - `time`: samples or frames of a sound; `band`: of frequency
        - `token`: places in a text
        - `column`: of a table
        - `axis 0`, `axis 1` …: of an array, where neighbours are no nearer than others
        """
        return tuple(f"axis {i}" for i in range(len(self.shape)))

    @abstractmethod
    def validate(self, x: Any) -> Tensor:
        """Check that x is a batch of events and return it as a tensor [n, *shape].

        Raises:
            SpaceError: wrong type or shape, or a value outside the space; the first wrong index is named.
        """

    def unpadded(self, x: Tensor) -> Tensor | None:
        """Which values of events [n, *shape] are not mere padding, which is certain; None: all of them."""
        return None

    @property
    def dimensions(self) -> int:
        """m, the number of scalar values in one event."""
        return math.prod(self.shape)

    @property
    def event_count(self) -> int | None:
        """How many different events there are (an exact integer), or None if uncountable."""
        return None

    @property
    def countable(self) -> bool:
        """Whether events are integers; else they are real."""
        return False

    def null(self, n: int) -> Tensor:
        """n rows that stand for "nothing is known", outside the space: −1, or NaN where events are real."""
        if self.countable:
            return torch.full((n, *self.shape), -1)
        return torch.full((n, *self.shape), torch.nan, dtype=torch.float64)

    def is_null(self, x: Tensor) -> Tensor:
        """Which rows [n] of a batch stand for "nothing is known": those of `null`, whole."""
        flat = x.reshape(len(x), self.dimensions)
        return (flat == -1).all(1) if self.countable else torch.isnan(flat).all(1)

    def reduced(self, dimensions: int) -> Space | None:
        """A smaller space of the same kind with about this many dimensions, on which the cost of a model can be tried;
        None where the kind has no sizes."""
        return None

    def order(self) -> Tensor:
        """Default visiting order: flat indices [m] into an event, first to last."""
        return torch.arange(self.dimensions)

    def coordinates(self) -> Tensor:
        """Position of every dimension, [m, axes], in the flat order of the event's own shape."""
        return torch.arange(self.dimensions)[:, None]

    def to_json(self) -> dict[str, Any]:
        """JSON form; `Space.from_json` is its inverse."""
        values = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        return {"kind": self.kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @staticmethod
    def from_json(description: dict[str, Any]) -> Space:
        """The space that `to_json` described.

        Raises:
            SpaceError: unknown kind or fields.
        """
        values = dict(description)
        kind = values.pop("kind", None)
        if kind not in Space._kinds:
            raise SpaceError(f"no space is called {kind!r}", nearest(str(kind), sorted(Space._kinds)))
        cls = Space._kinds[kind]
        known = set(inspect.signature(cls).parameters)
        if unknown := sorted(values.keys() - known):
            raise SpaceError(f"a {kind} space has no field {unknown[0]!r}", nearest(unknown[0], sorted(known)))
        try:
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
        except TypeError as error:
            raise SpaceError(f"cannot read a {kind} space from {description}", str(error)) from error

    def as_batch(self, x: Any) -> Tensor:
        """x as a tensor of the right shape, values unchecked."""
        if isinstance(x, list | tuple):
            x = np.asarray(x)
        if isinstance(x, np.ndarray):
            if x.dtype == object or x.dtype.kind in "USO":
                raise SpaceError(f"x holds {x.dtype} values, not numbers", f"give a batch of {self}")
            x = torch.from_numpy(np.ascontiguousarray(x))
        if not isinstance(x, Tensor):
            raise SpaceError(f"x is a {type(x).__name__}, not an array or tensor", f"give a batch of {self}")
        if x.ndim == 0 or tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(["n", *map(str, self.shape)])
            raise SpaceError(f"x has shape {list(x.shape)}", f"a batch of {self} has shape [{expected}]")
        return x
