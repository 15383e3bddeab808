"""Several spaces side by side: contexts that consist of parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import SpaceError, nearest
from ptheta.spaces.base import Space


@dataclass(frozen=True)
class Joint(Space):
    """Values of several named spaces together, flat: [n, sum of their dimensions].

    Batches are int64 if all parts are discrete, else float64, which holds every level exactly.

    Args:
        parts: (name, space) pairs, or a mapping.

    >>> from ptheta.spaces import Discrete, Label
    >>> space = Joint({"who": Label(("a", "b")), "what": Discrete((2,), 5)})
    >>> space.validate({"who": ["b"], "what": [[3, 4]]})
    tensor([[1, 3, 4]])
    """

    kind = "joint"
    noun = "several parts"
    parts: tuple[tuple[str, Space], ...] = ()

    def __init__(self, parts: Mapping[str, Space] | tuple[tuple[str, Any], ...]):
        pairs = parts.items() if isinstance(parts, Mapping) else parts
        made = tuple(
            (str(name), space if isinstance(space, Space) else Space.from_json(dict(space))) for name, space in pairs
        )
        if not made or len({name for name, _ in made}) != len(made):
            raise SpaceError(
                "a joint space has no parts, or two of the same name", "give each part one name of its own"
            )
        if any(isinstance(space, Joint) for _, space in made):
            raise SpaceError("a joint space is part of a joint space", "give all parts side by side")
        object.__setattr__(self, "parts", made)
        object.__setattr__(self, "shape", (sum(space.dimensions for _, space in made),))
        self.__post_init__()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(name for name, _ in self.parts)

    @property
    def countable(self) -> bool:
        """Whether all parts are."""
        return all(space.countable for _, space in self.parts)

    @property
    def event_count(self) -> int | None:
        """Product of the parts' counts, or None if one is uncountable."""
        count = 1
        for _, space in self.parts:
            if space.event_count is None:
                return None
            count *= space.event_count
        return count

    @property
    def dtype(self) -> torch.dtype:
        """Type of batches."""
        return torch.long if self.countable else torch.float64

    def validate(self, x: Any) -> Tensor:
        """Check a batch: flat [n, dimensions], or a mapping from every part's name to its batch (or one row).

        A part may be left out, be None, or hold rows of `null`: it is then missing.
        """
        if not isinstance(x, Mapping):
            x = self.as_batch(x)
            if x.is_floating_point() != self.dtype.is_floating_point:
                raise SpaceError(f"x holds {x.dtype} values", f"batches of {self} are {self.dtype}")
            for (name, space), raw, part in zip(self.parts, self._columns(x), self._cut(x)):
                if space.countable and not torch.equal(raw, raw.round()):
                    raise SpaceError(f"{name} holds fractions", f"values of {space} are whole")
                try:
                    space.validate(part[~space.is_null(part)])
                except SpaceError as error:
                    raise SpaceError(f"{name}: {error.problem}", error.remedy) from error
            return x.to(self.dtype)
        if unknown := [name for name in x if name not in self.names]:
            raise SpaceError(f"no part is called {unknown[0]!r}", nearest(str(unknown[0]), list(self.names)))
        found = {name: space.validate(x[name]) for name, space in self.parts if x.get(name) is not None}
        counts = {len(part) for part in found.values()} - {1} or {1}
        if len(counts) > 1 or not found:
            counts_text = ", ".join(f"{name} {len(part)}" for name, part in found.items())
            raise SpaceError(
                f"the parts have different numbers of rows: {counts_text or 'none'}", "give equally many of each"
            )
        n = counts.pop()
        rows = {name: part.expand(n, *part.shape[1:]) for name, part in found.items()}
        return self.join({name: rows[name] if name in rows else space.null(n) for name, space in self.parts})

    def join(self, parts: Mapping[str, Tensor]) -> Tensor:
        """One flat batch of batches of all parts with equally many rows."""
        flat = [parts[name].reshape(len(parts[name]), space.dimensions) for name, space in self.parts]
        return torch.cat([part.to(self.dtype) for part in flat], 1)

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """The parts' batches of a flat batch, each of its own type and shape."""
        return dict(zip(self.names, self._cut(x)))

    def _cut(self, x: Tensor) -> list[Tensor]:
        return [
            (part.long() if space.countable else part).reshape(len(x), *space.shape)
            for (_, space), part in zip(self.parts, self._columns(x))
        ]

    def _columns(self, x: Tensor) -> tuple[Tensor, ...]:
        """The columns of each part, as they are."""
        return x.split([space.dimensions for _, space in self.parts], 1)

    def null(self, n: int) -> Tensor:
        """n rows that say nothing of any part."""
        return self.join({name: space.null(n) for name, space in self.parts})

    def absent(self, x: Tensor) -> Tensor:
        """Which parts are missing, bool [n, parts]."""
        return torch.stack([space.is_null(part) for (_, space), part in zip(self.parts, self._cut(x))], 1)

    def is_null(self, x: Tensor) -> Tensor:
        """Rows that say nothing of any part, bool [n]."""
        return self.absent(x).all(1)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"kind": self.kind, "parts": [[name, space.to_json()] for name, space in self.parts]}

    def __str__(self) -> str:
        return f"Joint({', '.join(f'{name}: {space}' for name, space in self.parts)})"
