"""Which columns are the event and which the context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptheta.data.columns.views import PICTURE_VIEW, Part, parts_of
from ptheta.data.sources.tables import Column, Source, as_numpy
from ptheta.errors import SourceError, nearest

MAX_NAMES = 1_000
"""Most classes a context may have."""

TEXT_LENGTH = 24
"""Mean number of characters from which a string column is text rather than a name."""


def has_size(part: Part) -> bool:
    """Whether its view says the size of pictures."""
    pieces = [PICTURE_VIEW.fullmatch(piece) for piece in part.view.split(":")] if part.is_reduced else []
    return any(piece is not None and piece["height"] for piece in pieces)


@dataclass
class Choice:
    """Columns taken.

    Args:
        kind: picture, sound, text, document (whole texts), table or array.
        event: columns of the event.
        context: columns of the context; empty if there is none.
        notes: what was taken, in sentences.
    """

    kind: str
    event: list[str]
    context: list[Part]
    notes: list[str] = field(default_factory=list)


def choose(source: Source, event: Any, context: Any, *, as_text: bool = False, whole: bool = False) -> Choice:
    """Take the columns asked for, or find the event from the kinds of columns.

    The event is the image column; else the sound column; else the one array column; else, where no column holds real
    numbers, the text column; else all columns. There is no context unless one is asked for. Texts with a context are
    whole texts.

    Args:
        source: with its columns.
        event: comma-separated names or a list, or None.
        context: the same, each name perhaps with a view after a colon.
        as_text: whether strings are text however short they are.
        whole: whether every text is an event of its own.

    Raises:
        SourceError: unknown columns or views, or none that can be an event.
    """
    contexts = parts_of(context, source)
    events = _names(event, source)
    if twice := [part.column for part in contexts if part.column in events and not part.is_reduced]:
        remedy = "leave it out of one of them, or give the context a view such as :grey or :8x8 if it is a picture"
        raise SourceError(f"column {twice[0]!r} is both event and context", remedy)
    for table in source.tables.values():
        if lacking := [name for name in [*events, *(p.column for p in contexts)] if name not in table.columns]:
            raise SourceError(f"{table.title} has no column {lacking[0]!r}", "give every split the same columns")
    taken = {part.column for part in contexts if not part.is_reduced}
    columns = {name: c for name, c in source.columns.items() if name not in taken}
    text = texts_among(source, columns, as_text=as_text)
    everywhere = {n: c for n, c in columns.items() if all(n in table.columns for table in source.tables.values())}
    asked, events = events, events or _find(everywhere, text, source)
    _same_kinds(source, events + [part.column for part in contexts])
    kind = _kind(source, [columns[name] for name in events], text)
    if whole and kind != "text":
        raise SourceError(f"the events of {source.name} are no texts", "leave out whole")
    kind = "document" if kind == "text" and (whole or contexts) else kind
    choice = Choice(kind, events, contexts)
    others = [name for name, c in everywhere.items() if c.kind == "other" and choice.kind == "table"]
    if others and not asked:
        some = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
        choice.notes.append(f"left out, neither numbers nor names: {some}")
    return choice


def texts_among(source: Source, columns: dict[str, Column], *, as_text: bool = False) -> set[str]:
    """The columns that hold texts: documents; strings that are long on average, or in a column called `text`."""
    strings = [name for name, c in columns.items() if c.kind == "string"]
    first = next(next(iter(source.tables.values())).chunks(strings), {}) if strings else {}
    return {
        name
        for name, c in columns.items()
        if c.kind == "document" or (c.kind == "string" and (as_text or name == "text" or _long(first[name])))
    }


def _names(asked: Any, source: Source) -> list[str]:
    if asked is None:
        return []
    names = [name.strip() for name in asked.split(",")] if isinstance(asked, str) else list(asked)
    if isinstance(asked, str) and asked in source.columns:
        names = [asked]
    for name in names:
        if name not in source.columns:
            raise SourceError(f"{source.name} has no column {name!r}", nearest(str(name), list(source.columns)))
    return names


def _same_kinds(source: Source, names: list[str]) -> None:
    first = next(iter(source.tables.values()))
    number = ("int", "float", "bool")
    for table in source.tables.values():
        for name in names:
            kind, other = first.columns[name].kind, table.columns[name].kind
            if kind != other and not (kind in number and other in number):
                raise SourceError(
                    f"column {name!r} is {kind} in {first.title} but {other} in {table.title}", "make them the same"
                )


def _find(columns: dict[str, Column], text: set[str], source: Source) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for name, column in columns.items():
        by_kind.setdefault("text" if name in text else column.kind, []).append(name)
    if images := by_kind.get("image"):
        return images[:1]
    if sounds := by_kind.get("sound"):
        return sounds[:1]
    for kind in ("array", "bytes"):
        if kind in by_kind:
            several = [name for name in by_kind[kind] if name != "x"] if "x" not in by_kind[kind] else ["x"]
            if len(several) > 1:
                raise SourceError(f"{source.name} holds the arrays {', '.join(several)}", "choose one with --event")
            return several
    if "text" in by_kind and "float" not in by_kind:
        return ["text"] if "text" in by_kind["text"] else by_kind["text"][:1]
    found = [name for name, c in columns.items() if c.kind != "other"]
    if not found:
        raise SourceError(f"{source.name} has no column that can be an event", "choose one with --event")
    return found


def _kind(source: Source, columns: list[Column], text: set[str]) -> str:
    if len(columns) == 1:
        only = columns[0]
        if only.name in text:
            return "text"
        if only.kind == "array":
            return "picture" if is_picture_array(source, only.name) else "array"
        if only.kind in ("image", "bytes"):
            return "picture"
        if only.kind == "sound":
            return "sound"
    for column in columns:
        if column.kind in ("image", "array", "bytes", "document", "sound", "other"):
            remedy = "give it alone" if column.kind != "other" else "choose other columns with --event"
            raise SourceError(f"column {column.name!r} ({column.kind}) cannot be one of several event columns", remedy)
    return "table"


def is_picture_array(source: Source, name: str) -> bool:
    """Whether arrays are uint8 or bool [n, H, W], or with 3 (or 1) channels first or last."""
    values = as_numpy(next(next(iter(source.tables.values())).chunks([name]))[name])
    colour = values.ndim == 4 and (values.shape[1] in (1, 3) or values.shape[3] in (1, 3))
    return values.dtype in (np.uint8, np.bool_) and (values.ndim == 3 or colour)


def _long(values: Any) -> bool:
    """Whether strings are texts rather than names: long on average."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = values.dictionary if isinstance(values, pa.DictionaryArray) else as_arrow(values)
    return (pc.mean(pc.utf8_length(strings)).as_py() or 0) >= TEXT_LENGTH  # type: ignore[attr-defined]


def as_arrow(values: Any) -> Any:
    """A chunk's column as an Arrow array."""
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values)
