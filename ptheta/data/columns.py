"""Which columns are the event and which the context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptheta.data.tables import CHUNK, Column, Source, as_numpy
from ptheta.errors import SourceError, nearest

MAX_NAMES = 1_000
"""Most classes a context may have."""

TEXT_LENGTH = 24
"""Mean number of characters from which a string column is text rather than a name."""


@dataclass
class Choice:
    """Columns taken.

    Args:
        kind: picture, text, table or array.
        event: columns of the event.
        context: column of the context, or None.
        notes: what was taken, in sentences.
    """

    kind: str
    event: list[str]
    context: str | None
    notes: list[str] = field(default_factory=list)


def choose(source: Source, event: Any, context: Any, *, as_text: bool = False) -> Choice:
    """Take the columns asked for, or find the event from the kinds of columns.

    The event is the image column; else, where no column holds real numbers, the text column; else the one array
    column; else all columns. There is no context unless one is asked for.

    Args:
        source: with its columns.
        event, context: comma-separated names or a list, or None.
        as_text: whether strings are text however short they are.

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
    for table in source.tables.values():
        if lacking := [name for name in [*events, *contexts] if name not in table.columns]:
            raise SourceError(f"{table.title} has no column {lacking[0]!r}", "give every split the same columns")
    columns = {name: c for name, c in source.columns.items() if name != label}
    first = next(next(iter(source.tables.values())).chunks(_strings(columns)), {}) if _strings(columns) else {}
    text = {
        name
        for name, c in columns.items()
        if c.kind == "document" or (c.kind == "string" and (as_text or name == "text" or _long(first[name])))
    }
    everywhere = {n: c for n, c in columns.items() if all(n in table.columns for table in source.tables.values())}
    asked, events = events, events or _find(everywhere, text, source)
    _same_kinds(source, events + contexts)
    choice = Choice(_kind(source, [columns[name] for name in events], text), events, label)
    others = [name for name, c in everywhere.items() if c.kind == "other" and choice.kind == "table"]
    if others and not asked:
        some = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
        choice.notes.append(f"left out, neither numbers nor names: {some}")
    if label is None:
        choice.notes.append(_candidates(source, columns, choice))
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


def _strings(columns: dict[str, Column]) -> list[str]:
    return [name for name, c in columns.items() if c.kind == "string"]


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
            f"name another column with --event: {', '.join(others)}" if others else "give another source",
        )
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
            return "picture" if _is_picture_array(source, only.name) else "array"
        if only.kind in ("image", "bytes"):
            return "picture"
    for column in columns:
        if column.kind in ("image", "array", "bytes", "document", "sound", "other"):
            remedy = "give it alone" if column.kind not in ("sound", "other") else "choose other columns with --event"
            raise SourceError(f"column {column.name!r} ({column.kind}) cannot be one of several event columns", remedy)
    return "table"


def _is_picture_array(source: Source, name: str) -> bool:
    """Whether arrays are uint8 or bool [n, H, W], or with 3 (or 1) channels first or last."""
    values = as_numpy(next(next(iter(source.tables.values())).chunks([name]))[name])
    colour = values.ndim == 4 and (values.shape[1] in (1, 3) or values.shape[3] in (1, 3))
    return values.dtype in (np.uint8, np.bool_) and (values.ndim == 3 or colour)


def _long(values: Any) -> bool:
    """Whether strings are texts rather than names: long on average."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = values.dictionary if isinstance(values, pa.DictionaryArray) else _values(values)
    return (pc.mean(pc.utf8_length(strings)).as_py() or 0) >= TEXT_LENGTH  # type: ignore[attr-defined]


def _candidates(source: Source, columns: dict[str, Column], choice: Choice) -> str:
    """Columns that could be the context: few classes, and far fewer than rows."""
    table = next(iter(source.tables.values()))
    whole_table = choice.kind == "table" and set(choice.event) == {n for n, c in columns.items() if c.kind != "other"}
    counts = {name: len(c.names) for name, c in columns.items() if c.names and name not in choice.event}
    # In a table of whole numbers any column could be one: only strings are worth a word.
    kinds = ("string",) if whole_table else ("string", "int", "bool")
    names = [n for n, c in columns.items() if c.kind in kinds and (whole_table or n not in choice.event)]
    if choice.kind == "text":
        return "context: none (text has none yet)"
    found: dict[str, set] = {name: set() for name in names}
    seen = 0
    for chunk in table.chunks(names) if names else ():
        for name in names:
            found[name].update(_values(chunk[name]).unique().to_pylist())
        seen += len(chunk[names[0]])
        if seen >= CHUNK:
            break
    counts |= {name: len(values) for name, values in found.items() if len(values) <= max(2, seen / 4)}
    fit = [(name, count) for name, count in counts.items() if 2 <= count <= MAX_NAMES]
    if not fit:
        return "context: none"
    least = "" if seen == len(table) or not seen else "at least "
    listed = ", ".join(
        f"--context {name} would condition on {'' if columns[name].names else least}{count:,} classes"
        for name, count in fit[:3]
    )
    rest = f", and {', '.join(name for name, _ in fit[3:8])} could be one too" if len(fit) > 3 else ""
    return f"context: none; {listed}{rest}"


def _values(values: Any) -> Any:
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values)
