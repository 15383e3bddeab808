"""Lists of layers of one type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

L = TypeVar("L", bound=nn.Module)


class Layers(nn.ModuleList, Generic[L]):
    """A list of layers that are all of one type, which a type checker then knows."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[L]: ...
        def __getitem__(self, index: int) -> L: ...
