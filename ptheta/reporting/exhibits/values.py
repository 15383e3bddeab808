"""Labels and numbers: contexts that a person types."""

from __future__ import annotations

from ptheta.data.codecs import LabelCodec, NumberCodec
from ptheta.reporting.exhibits.base import Exhibit


class Labels(Exhibit[LabelCodec]):
    """Names of classes."""

    is_cell = True
    is_value = True

    @property
    def words(self) -> list[str]:
        """The names."""
        return list(self.codec.space.names)


class Numbers(Exhibit[NumberCodec]):
    """Single numbers."""

    is_cell = True
    is_value = True

    def some_values(self, name: str) -> list[str]:
        """The least and the greatest of train."""
        return [f"{value:g}" for value in self.codec.seen or ()]
