"""Which columns are the event and which the context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptheta.data.tables import Column, Source
from ptheta.errors import SourceError, nearest

MAX_NAMES = 1_000
"""Most classes a context may have."""

TEXT_LENGTH = 24
"""Mean number of characters from which a string column is text rather than a name."""


@dataclass
class Choice:
    """Columns taken.

    Args:
        kind: image, text, table or array.
        event: columns of the event.
        context: column of the context, or None.
        notes: what was taken, in sentences.
    """

    kind: str
    event: list[str]
    context: str | None
    notes: list[str] = field(default_factory=list)


def choose(source: Source, event: Any, context: Any) -> Choice:
    """Take the columns asked for, or find the event from the kinds of columns.

    The event is the image column; else, where no column holds real numbers, the text column; else the one array
    column; else all columns. There is no context unless one is asked for.

    Raises:
        SourceError: unknown columns, or none that can be an event.
    """
    contexts = _names(context, source)
    if len(contexts) > 1:
        raise SourceError(f"{len(contexts)} context columns were asked for", "a context is one column")
    label = contexts[0] if contexts else None
    events = _names(event, source)
    if label in events:
        raise SourceError(f"column {label!r} is both event and context", "leave it out of one of them")
    columns = {name: c for name, c in source.columns.items() if name != label}
    first = next(next(iter(source.tables.values())).chunks(_small(columns)), {}) if _small(columns) else {}
    text = {name for name, c in columns.items() if c.kind == "document" or (c.kind == "string" and _long(first[name]))}
    events = events or _find(columns, text, source)
    choice = Choice(_kind([columns[name] for name in events], text), events, label)
    if label is None:
        choice.notes.append(_candidates(columns, events, text, first))
    return choice


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


def _small(columns: dict[str, Column]) -> list[str]:
    return [name for name, c in columns.items() if c.kind in ("string", "int", "bool")]


def _find(columns: dict[str, Column], text: set[str], source: Source) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for name, column in columns.items():
        by_kind.setdefault("text" if name in text else column.kind, []).append(name)
    if images := by_kind.get("image"):
        return images[:1]
    if "sound" in by_kind:
        others = [name for name, c in columns.items() if c.kind != "sound"]
        raise SourceError(
            f"column {by_kind['sound'][0]!r} is sound, which is not an event yet",
            f"choose another column, such as --event {others[0]}" if others else "give another source",
        )
    for kind in ("array", "bytes"):
        if kind in by_kind:
            return by_kind[kind][:1]
    if "text" in by_kind and "float" not in by_kind:
        return ["text"] if "text" in by_kind["text"] else by_kind["text"][:1]
    found = [name for name, c in columns.items() if c.kind != "other"]
    if not found:
        raise SourceError(f"{source.name} has no column that can be an event", "choose one with --event")
    return found


def _kind(columns: list[Column], text: set[str]) -> str:
    kinds = {c.kind for c in columns}
    if kinds == {"image"} and len(columns) == 1:
        return "image"
    if kinds <= {"array", "bytes"} and len(columns) == 1:
        return kinds.pop()
    if len(columns) == 1 and columns[0].name in text:
        return "text"
    for column in columns:
        if column.kind in ("image", "array", "bytes", "document", "sound", "other"):
            remedy = "give it alone" if column.kind not in ("sound", "other") else "choose other columns with --event"
            raise SourceError(f"column {column.name!r} ({column.kind}) cannot be one of several event columns", remedy)
    return "table"


def _long(values: Any) -> bool:
    import pyarrow.compute as pc

    if hasattr(values, "dictionary"):
        values = values.dictionary
    length = pc.mean(pc.utf8_length(values)).as_py() if not isinstance(values, list) else 0  # type: ignore[attr-defined]
    return (length or 0) >= TEXT_LENGTH


def _candidates(columns: dict[str, Column], events: list[str], text: set[str], first: dict[str, Any]) -> str:
    found = []
    for name, column in columns.items():
        if (name in events and len(events) == 1) or name in text:
            continue
        count = len(column.names) if column.names else _distinct(first[name]) if name in first else None
        if count is not None and 2 <= count <= MAX_NAMES:
            found.append(f"--context {name} on {count} classes")
    more = f" and {len(found) - 3} more columns could be one" if len(found) > 3 else ""
    return "context: none" + (f"; {', '.join(found[:3])} would condition{more}" if found else "")


def _distinct(values: Any) -> int:
    if isinstance(values, np.ndarray):
        return len(np.unique(values))
    return len(values.unique())
