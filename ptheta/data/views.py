"""Columns and their views: what `--event` and `--context` name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ptheta.data.sources.tables import Source
from ptheta.errors import SourceError, nearest

PICTURE_VIEW = re.compile(r"(?:(?P<height>\d+)[x×](?P<width>\d+)|(?P<colour>grey|rgb))")
"""A part of a view that reduces pictures."""


VALUE_VIEWS = ("text", "label", "number")
"""Views that say what a value is taken for."""


@dataclass(frozen=True)
class Part:
    """A column that is a context, or a part of one.

    Args:
        column: its name.
        view: how to see it: "", "grey", "rgb", "8x8", "grey:8x8", "text", "label" or "number".
    """

    column: str
    view: str = ""

    @property
    def is_reduced(self) -> bool:
        """Whether it is a reduced view of pictures, so that the pictures themselves can be the event."""
        return bool(self.view) and self.view not in VALUE_VIEWS

    @property
    def has_size(self) -> bool:
        """Whether its view says the size of pictures."""
        pieces = [PICTURE_VIEW.fullmatch(piece) for piece in self.view.split(":")] if self.is_reduced else []
        return any(piece is not None and piece["height"] for piece in pieces)

    def __str__(self) -> str:
        return f"{self.column}:{self.view}" if self.view else self.column


def parts_of(asked: Any, source: Source) -> list[Part]:
    """Columns of a context, each perhaps with a view; a column whose whole name has a colon has none.

    Raises:
        SourceError: an unknown column or view, or a part twice.
    """
    if asked is None:
        return []
    if isinstance(asked, str):
        asked = [asked] if asked in source.columns else [name.strip() for name in asked.split(",")]
    parts = [_part(str(name), source) for name in asked]
    if len(set(parts)) < len(parts):
        twice = next(str(part) for part in parts if parts.count(part) > 1)
        raise SourceError(f"the context has {twice!r} twice", "name it once")
    return parts


def _part(name: str, source: Source) -> Part:
    for at in [len(name), *(i for i in range(len(name) - 1, 0, -1) if name[i] == ":")]:
        if name[:at] in source.columns:
            view = name[at + 1 :]
            pieces = [PICTURE_VIEW.fullmatch(piece) for piece in view.split(":")]
            kinds = ["colour" if piece and piece["colour"] else "size" for piece in pieces]
            if view and view not in VALUE_VIEWS and (not all(pieces) or len(set(kinds)) < len(kinds)):
                raise SourceError(
                    f"{view!r} is not a view of column {name[:at]!r}",
                    f"give grey, rgb, a size such as 8x8, grey:8x8, or one of {', '.join(VALUE_VIEWS)}",
                )
            return Part(name[:at], view)
    column = name.split(":")[0]
    raise SourceError(f"{source.name} has no column {column!r}", nearest(column, list(source.columns)))
