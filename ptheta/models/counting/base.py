"""Models that are learned by counting."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from ptheta.models.base import Model


class Counting(Model):
    """A model learned in closed form, in one pass over the data, by counting.

    `fit` calls `observe` on every batch of training events and then `finish`. Batches may have any size; the result
    does not depend on how the data are cut.
    """

    growing: ClassVar[tuple[str, ...]] = ()
    """Buffers whose first side depends on the data; a run folder may hold any length of them."""

    @abstractmethod
    def observe(self, x: Tensor, context: Tensor | None = None) -> None:
        """Count a batch of events [n, *space.shape] (any integer type; values as `space.validate` allows)."""

    def finish(self) -> None:
        """Called once after the last batch."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Load buffers; the growing ones first take the length that the state holds."""
        for name in self.growing:
            held, buffer = state_dict.get(prefix + name), getattr(self, name)
            if held is not None and held.shape[1:] == buffer.shape[1:]:
                setattr(self, name, buffer.new_zeros(held.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)
