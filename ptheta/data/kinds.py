"""Kinds of data, a row each. A new kind is a codec, a row here, and a space and a renderer where none suits it yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.codecs import (
    ArrayCodec,
    Codec,
    DocumentCodec,
    FrameCodec,
    LabelCodec,
    NumberCodec,
    PictureCodec,
    RowCodec,
    SoundCodec,
    TextCodec,
)
from ptheta.data.codecs.base import Place
from ptheta.data.finding.arrays import array_codec
from ptheta.data.finding.documents import cut_notes, document_codec
from ptheta.data.finding.looks import is_picture_array
from ptheta.data.finding.mixed_columns import described
from ptheta.data.finding.pictures import remarks_of
from ptheta.data.finding.sounds import sound_codec, sound_notes, survey
from ptheta.data.finding.token_streams import load_text
from ptheta.data.handling import (
    NUMBERS,
    Chunk,
    Splits,
    classes_of_column,
    draw_pictures,
    encode_column,
    encode_labels,
    encode_numbers,
    encode_pictures,
    encode_rows,
    encode_texts,
    find_numbers,
    find_pictures,
    find_rows,
    finish_pictures,
    finish_reals,
    is_picture,
    parse_value,
    plan_pictures,
)
from ptheta.data.option_groups import OptionGroup, Options
from ptheta.data.options import Loading, Pictures, Sounds, Tables, Texts, TextTables
from ptheta.data.readers import read_array, read_blocks, read_document, read_rows, read_value, read_values
from ptheta.data.sources.tables import Column, Source, Table
from ptheta.data.splits import Masks
from ptheta.data.views import Part


@dataclass(frozen=True)
class Kind:
    """How data of one kind are recognised, learned from, turned into events and shown.

    Args:
        name: of the row.
        what: its events in a sentence: "the events of x are not pictures".
        codecs: classes of its codecs.
        find: source, columns, options, masks → codec, and what was assumed, in sentences.
        recognise: source, column, names of the columns that hold texts → whether a column is of this kind.
        roles: whether it can be the event, a context, or both.
        options: the class of its options.
        exhibit: module under `ptheta.reporting.exhibits`, or with dots a full name, and class that shows it; empty: as
            numbers.
        reads: kinds of columns that a codec of a run reads.
        spelled: kind of columns that it reads if their first value is one of its own: 3.0 for "3", "3.5" for 3.5.
        view: the view that asks for it as a context.
        leads: whether its column is the event even beside columns of real numbers.
        apart: the kind that it becomes where every value is an event of its own: with a context, or `whole`.
        otherwise: the kind that a column may turn out to be instead.
        early: whether its codec does not depend on what is train; damage is then reported before there being too few.
        plan: source, event column or None, context columns, options → options that suit the data, and what changed.
        load: source, column, options, codec of a run or None → codec, splits and notes, for data that are not rows.
        encode: codec, chunk of rows, columns, table, place → events.
        settle: codec, splits, seed: what is drawn after all rows are encoded.
        finish: codec, splits, options, whether the codec is a run's → the codec and splits to keep, and notes.
        describe: codec → what the events are, in sentences.
        review: source, column, codec of a run, masks, whether it is the event → what the codec does to new data.
        form: of the files that `read` reads, see `FORMS`; empty: any.
        read: codec, path → the events of a file.
        parse: codec, text → the context that a person writes so; None: a path.
        cut: codec, column, events by split → what was cut, in sentences.
        names: codec of a run → the columns it wants; none: any.
        words: codec of a run, column → columns that hold texts to it, whatever a reader takes them for, and the values
            of them that it knows.
        description: codec of a context → what it is, in words.
    """

    name: str
    what: str
    codecs: tuple[type[Codec], ...]
    find: Callable[[Source, list[Part], Options, Masks], tuple[Any, list[str]]]
    recognise: Callable[[Source, Column, set[str]], bool] = lambda source, column, texts: False
    roles: tuple[str, ...] = ("event", "context")
    options: type[OptionGroup] | None = None
    exhibit: str = ""
    reads: tuple[str, ...] = ()
    spelled: str = ""
    view: str = ""
    leads: bool = True
    apart: str = ""
    otherwise: str = ""
    early: bool = False
    plan: Callable[[Source, str | None, list[Part], Options], tuple[Options, list[str]]] | None = None
    load: Callable[[Source, str, Options, Any], tuple[Codec, Splits, list[str]]] | None = None
    encode: Callable[[Any, Chunk, list[str], Table, Place], np.ndarray] = encode_column
    settle: Callable[[Any, Splits, int], None] = lambda codec, splits, seed: None
    finish: Callable[[Any, Splits, Options, bool], tuple[Codec, Splits, list[str]]] = (
        lambda codec, splits, options, known: (codec, splits, [])
    )
    describe: Callable[[Any], list[str]] = lambda codec: []
    review: Callable[[Source, str, Any, Masks, bool], list[str]] = lambda source, name, codec, masks, is_event: []
    form: str = ""
    read: Callable[[Any, str | Path], np.ndarray] = read_value
    parse: Callable[[Any, str], np.ndarray] | None = None
    cut: Callable[[Any, str, dict[str, np.ndarray]], list[str]] = lambda codec, name, events: []
    names: Callable[[Any], list[str]] = lambda codec: []
    words: Callable[[Any, str], dict[str, list[str]]] = lambda codec, column: {}
    description: Callable[[Any], str] = lambda codec: str(codec.space)


_ROWS = [
    Kind(
        "label",
        "labels",
        (LabelCodec,),
        classes_of_column,
        lambda source, column, texts: column.kind in ("class", "string", "int", "bool") and column.name not in texts,
        roles=("context",),
        reads=("string", "class", "int", "bool"),
        spelled="float",
        view="label",
        otherwise="document",
        exhibit="values:Labels",
        encode=encode_labels,
        read=read_values,
        parse=parse_value,
        words=lambda codec, column: {column: codec.classes},
        description=lambda codec: f"{len(codec.classes):,} classes",
    ),
    Kind(
        "number",
        "numbers",
        (NumberCodec,),
        find_numbers,
        lambda source, column, texts: column.kind == "float",
        roles=("context",),
        reads=NUMBERS,
        spelled="string",
        view="number",
        exhibit="values:Numbers",
        encode=encode_numbers,
        read=read_values,
        parse=parse_value,
    ),
    Kind(
        "array",
        "arrays",
        (ArrayCodec,),
        lambda source, parts, options, masks: (array_codec(source, parts[0].column), []),
        lambda source, column, texts: column.kind == "array" and not is_picture_array(source, column.name),
        reads=("array", *NUMBERS),
        early=True,
        exhibit="arrays:Arrays",
        form="array",
        read=read_array,
        finish=finish_reals,
    ),
    Kind(
        "picture",
        "pictures",
        (PictureCodec,),
        find_pictures,
        is_picture,
        options=Pictures,
        reads=("image", "bytes", "array"),
        early=True,
        exhibit="pictures:Pictures",
        plan=plan_pictures,
        encode=encode_pictures,
        form="picture",
        settle=draw_pictures,
        finish=finish_pictures,
        review=lambda source, name, codec, masks, is_event: remarks_of(source, name, codec) if is_event else [],
    ),
    Kind(
        "text",
        "text",
        (TextCodec,),
        lambda source, parts, options, masks: document_codec(source, parts[0].column, options[Texts], masks),
        lambda source, column, texts: column.name in texts,
        roles=("event",),
        options=Texts,
        leads=False,
        apart="document",
        exhibit="texts:Texts",
        form="text",
        read=read_blocks,
        load=lambda source, name, options, codec: load_text(source, name, options[Texts], options[Loading], codec),
    ),
    Kind(
        "document",
        "texts",
        (DocumentCodec,),
        lambda source, parts, options, masks: document_codec(source, parts[0].column, options[Texts], masks),
        lambda source, column, texts: column.name in texts,
        roles=("context",),
        options=Texts,
        reads=("string", "document", "class", *NUMBERS),
        view="text",
        exhibit="texts:Documents",
        encode=encode_texts,
        form="text",
        read=read_document,
        parse=parse_value,
        cut=cut_notes,
        words=lambda codec, column: {column: []},
    ),
    Kind(
        "sound",
        "sounds",
        (SoundCodec,),
        lambda source, parts, options, masks: sound_codec(
            source, parts[0].column, options[Sounds], masks, options[Loading].seed
        ),
        lambda source, column, texts: column.kind == "sound",
        options=Sounds,
        reads=("sound",),
        form="sound",
        exhibit="sounds:Sounds",
        review=lambda source, name, codec, masks, is_event: sound_notes(codec, name, survey(source, name, masks)),
    ),
    Kind(
        "table",
        "rows of a table",
        (FrameCodec,),
        find_rows,
        roles=("event",),
        options=Tables,
        exhibit="tables:Tables",
        encode=encode_rows,
        form="table",
        read=read_rows,
        finish=finish_reals,
        describe=lambda codec: described(codec) if isinstance(codec, RowCodec) else [],
        names=lambda codec: codec.names,
        words=lambda codec, column: codec.words,
    ),
]

OF_ANY = (Loading, TextTables)
"""Options that are about no kind of data, but about how any are opened and divided."""

KINDS: dict[str, Kind] = {row.name: row for row in _ROWS}
"""Name → kind; a kind that was added later is asked first whether it recognises a column."""


def recognised(source: Source, column: Column, texts: set[str], role: str) -> Kind | None:
    """The kind that a column is as an event or a context, if it is one of its own.

    Args:
        source: with the column.
        column: to look at.
        texts: names of the columns that hold texts.
        role: event or context.
    """
    able = (kind for kind in reversed(KINDS.values()) if role in kind.roles)
    return next((kind for kind in able if kind.recognise(source, column, texts)), None)


def kind_of(codec: Codec) -> Kind:
    """The kind of data that a codec is about.

    Raises:
        LookupError: the codec is of several kinds side by side, or of one that has no row.
    """
    found = next((kind for kind in reversed(KINDS.values()) if isinstance(codec, kind.codecs)), None)
    if found is None:
        raise LookupError(f"no kind of data has a {codec.kind} codec")
    return found


def option_groups() -> list[type[OptionGroup]]:
    """The options of all kinds of data, after those of loading any."""
    return [*OF_ANY, *dict.fromkeys(kind.options for kind in KINDS.values() if kind.options is not None)]
