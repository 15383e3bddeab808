"""Which columns are the event and which the context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ptheta.data.finding.looks import regular, texts_among
from ptheta.data.finding.words import too_long, unusual_words
from ptheta.data.kinds import KINDS, Kind, recognised
from ptheta.data.sources.tables import Column, Source, lacking
from ptheta.data.views import Part, parts_of
from ptheta.errors import SourceError
from ptheta.numbers import listed

SHOWN = 8
"""Columns that a note names."""

FIRST = ("image", "sound", "array", "bytes")
"""Kinds of columns that are looked for first as the event, in order; each is the event alone."""


@dataclass
class Choice:
    """Columns taken.

    Args:
        kind: of the event.
        event: columns of the event.
        context: columns of the context; empty if there is none.
        notes: what was taken, in sentences.
        excluded: columns that are neither.
    """

    kind: Kind
    event: list[str]
    context: list[Part]
    notes: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


def choose(
    source: Source, event: Any, context: Any, *, excluded: Any = None, as_text: bool = False, whole: bool = False
) -> Choice:
    """Take the columns asked for, or find the event from the kinds of columns.

    The event is the image column; else the sound column; else the one array column; else, where no column holds real
    numbers, the text column; else all columns. There is no context unless one is asked for. Texts with a context are
    whole texts.

    Args:
        source: with its columns.
        event: comma-separated names or a list, or None.
        context: the same, each name perhaps with a view after a colon.
        excluded: columns that are neither, however they are named.
        as_text: whether strings are text however short they are.
        whole: whether every text is an event of its own.

    Raises:
        SourceError: unknown columns or views, or none that can be an event.
    """
    contexts = parts_of(context, source)
    events, without = _names(event, source), _names(excluded, source)
    if both := [name for name in [*events, *(part.column for part in contexts)] if name in without]:
        raise SourceError(f"column {both[0]!r} is both requested and excluded", "leave it out of one of them")
    if twice := [part.column for part in contexts if part.column in events and not part.is_reduced]:
        remedy = "leave it out of one of them, or give the context a view such as :grey or :8x8 if it is a picture"
        raise SourceError(f"column {twice[0]!r} is both event and context", remedy)
    for table in source.tables.values():
        if lacking := [name for name in [*events, *(p.column for p in contexts)] if name not in table.columns]:
            raise SourceError(f"{table.title} has no column {lacking[0]!r}", "give every split the same columns")
    taken = {part.column for part in contexts if not part.is_reduced}
    columns = {name: regular(source, c) for name, c in source.columns.items() if name not in taken}
    text = texts_among(source, columns, as_text=as_text)
    everywhere = {
        name: column
        for name, column in columns.items()
        if name not in without and all(name in table.columns for table in source.tables.values())
    }
    asked, events = events, events or _find(everywhere, text, source)
    _same_kinds(source, events + [part.column for part in contexts])
    kind = _kind(source, [columns[name] for name in events], text)
    if whole and not kind.apart:
        raise SourceError(f"the events of {source.name} are not texts", "leave out whole")
    kind = KINDS[kind.apart] if kind.apart and (whole or contexts) else kind
    choice = Choice(kind, events, contexts, excluded=without)
    if without:
        choice.notes.append(f"excluded: {listed(without, SHOWN)}")
    others = [name for name, c in everywhere.items() if c.kind == "other" and kind is KINDS["table"]]
    if kind is KINDS["table"] and not asked:
        _without_identifiers(choice, source)
    if kind is not KINDS["table"] and not asked:
        beside = [name for name in everywhere if name not in events]
        if beside:
            choice.notes.append(f"left out beside {', '.join(events)}: {listed(beside, SHOWN)}")
    if others and not asked:
        whys = [f"{name} ({columns[name].why})" if columns[name].why else name for name in others]
        choice.notes.append(f"left out, neither numbers nor names: {listed(whys, SHOWN)}")
    return choice


def _without_identifiers(choice: Choice, source: Source) -> None:
    """Leave out identifiers and free text, unless nothing else is there, and report these and spelled dates."""
    long = too_long(source, choice.event)
    if long and len(long) < len(choice.event):
        choice.event = [name for name in choice.event if name not in long]
        choice.notes.append(
            f"left out, with more digits than float64 keeps: {listed(long, SHOWN)}; as text they can be categories"
        )
    own, dates, figures = unusual_words(source, choice.event)
    if own and len(own) < len(choice.event):
        choice.event = [name for name in choice.event if name not in own]
        them = "them" if len(own) > 1 else "it"
        choice.notes.append(
            "left out, since most rows have a value of their own (identifiers or free text): "
            f"{listed(own, SHOWN)}; name {them} in --event to keep {them}"
        )
    elif own:
        choice.notes.append(f"most rows have a value of their own, which samples repeat: {listed(own, SHOWN)}")
    if dates:
        choice.notes.append(
            f"dates or times, treated as unordered categories, so samples repeat known ones: {listed(dates, SHOWN)}"
        )
    if figures:
        choice.notes.append(
            "numbers among text, treated as unordered categories, so others are unknown to the run; write them as "
            f"numbers to learn them as such: {listed(figures, SHOWN)}"
        )


def _names(asked: Any, source: Source) -> list[str]:
    if asked is None:
        return []
    names = [name.strip() for name in asked.split(",")] if isinstance(asked, str) else list(asked)
    if isinstance(asked, str) and asked in source.columns:
        names = [asked]
    columns = list(source.columns)
    missing = [str(name) for name in names if name not in source.columns]
    if missing:
        raise lacking(source.name, missing, names, columns)
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


REASONS = 3
"""Columns of which an error says why they cannot be an event."""


def _find(columns: dict[str, Column], text: set[str], source: Source) -> list[str]:
    kinds = {name: recognised(source, column, text, "event") for name, column in columns.items()}
    leading = [name for name, kind in kinds.items() if kind is not None and kind.leads]
    if leading:
        first = min((columns[name].kind for name in leading), key=_place)
        alike = [name for name in leading if columns[name].kind == first]
        if first not in ("array", "bytes"):
            return alike[:1]
        several = [name for name in alike if name != "x"] if "x" not in alike else ["x"]
        if len(several) > 1:
            raise SourceError(f"{source.name} holds the arrays {', '.join(several)}", "choose one with --event")
        return several
    alone = [name for name, kind in kinds.items() if kind is not None]
    if alone and all(column.kind != "float" for column in columns.values()):
        return ["text"] if "text" in alone else alone[:1]
    found = [name for name, c in columns.items() if c.kind != "other"]
    if not columns:
        raise SourceError(
            f"no column of {source.name} is left to be the event",
            f"leave one of {listed(list(source.columns), SHOWN)} out of --context and --except, or name it in --event",
        )
    if not found:
        whys = [f"{c.name!r} holds {c.why}" for c in list(columns.values())[:REASONS] if c.why]
        why = f": {', '.join(whys)}" if whys else ""
        raise SourceError(f"{source.name} has no column that can be an event{why}", "choose one with --event")
    return found


def _place(kind: str) -> int:
    """The place of a kind of column in the order in which the event is looked for."""
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def _kind(source: Source, columns: list[Column], text: set[str]) -> Kind:
    if len(columns) == 1 and (kind := recognised(source, columns[0], text, "event")) is not None:
        return kind
    for column in columns:
        if column.kind in (*FIRST, "document", "other"):
            remedy = "give it alone" if column.kind != "other" else "choose other columns with --event"
            what = column.why or column.kind
            raise SourceError(f"column {column.name!r} ({what}) cannot be one of several event columns", remedy)
    return KINDS["table"]
