"""Kinds of data, a row each. A new kind is a codec, a row here, and a space and a renderer where none suits it yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.codecs import (
    ArrayCodec,
    Codec,
    ContextCodec,
    DocumentCodec,
    FrameCodec,
    ImageCodec,
    LabelCodec,
    NumberCodec,
    PictureCodec,
    RowCodec,
    SoundCodec,
    TableCodec,
    TextCodec,
)
from ptheta.data.codecs.base import Place
from ptheta.data.codecs.labels import ValueCodec
from ptheta.data.finding.arrays import array_codec
from ptheta.data.finding.documents import as_text, cut_notes, document_codec
from ptheta.data.finding.labels import find_labels
from ptheta.data.finding.looks import is_picture_array
from ptheta.data.finding.mixed_columns import described
from ptheta.data.finding.palettes import palette_codec
from ptheta.data.finding.pictures import picture_codec, remarks_of, sized, two_valued
from ptheta.data.finding.sounds import sound_codec, sound_notes, survey
from ptheta.data.finding.tables import repeats, table_codec
from ptheta.data.finding.token_streams import load_text
from ptheta.data.option_groups import OptionGroup, Options
from ptheta.data.options import COLOURS, Loading, Pictures, Sounds, Tables, Texts
from ptheta.data.readers import read_array, read_blocks, read_document, read_rows, read_value, read_values
from ptheta.data.resolutions import column_resolution
from ptheta.data.sources.tables import Column, Source, Table, as_numpy, named
from ptheta.data.splits import Masks, Split
from ptheta.data.views import PICTURE_VIEW, Part
from ptheta.errors import SourceError

Splits = dict[str, Split]
Chunk = dict[str, Any]

NUMBERS = ("int", "float", "bool")
"""Kinds of columns that hold numbers."""


def encode_column(codec: Any, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Events of the one column of a chunk, whose values the codec takes as they are."""
    column = table.columns[names[0]]
    values = named(chunk[names[0]], column, place)
    return codec.encode(as_numpy(values) if column.kind == "array" else values, place)


@dataclass(frozen=True)
class Kind:
    """How data of one kind are recognised, learned from, turned into events and shown.

    Args:
        name: of the row.
        what: its events in a sentence: "the events of x are no pictures".
        codecs: classes of its codecs.
        find: source, columns, options, masks → codec, and what was assumed, in sentences.
        recognise: source, column, names of the columns that hold texts → whether a column is of this kind.
        roles: whether it can be the event, a context, or both.
        options: the class of its options.
        exhibit: module and class under `ptheta.reporting.exhibits` that show it.
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
        read: codec, path → the events of a file.
        parse: codec, text → the context that a person writes so; None: a path.
        cut: codec, column, events by split → what was cut, in sentences.
        names: codec of a run → the columns it wants; none: any.
        words: codec of a run, column → columns that hold texts to it, whatever a reader takes them for.
        said: codec of a context → what it is, in words.
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
    read: Callable[[Any, str | Path], np.ndarray] = read_value
    parse: Callable[[Any, str], np.ndarray] | None = None
    cut: Callable[[Any, str, dict[str, np.ndarray]], list[str]] = lambda codec, name, events: []
    names: Callable[[Any], list[str]] = lambda codec: []
    words: Callable[[Any, str], list[str]] = lambda codec, column: []
    said: Callable[[Any], str] = lambda codec: str(codec.space)


# Pictures


def _find_pictures(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[ImageCodec, list[str]]:
    """The codec of pictures: as large and coloured as the view asks for, or as the options do."""
    part, own = parts[0], options[Pictures]
    size, colour = own.size, own.colour
    for piece in map(PICTURE_VIEW.fullmatch, part.view.split(":") if part.view else []):
        assert piece is not None
        size = f"{piece['height']}x{piece['width']}" if piece["height"] else size
        colour = piece["colour"] or colour
    assert colour is None or colour in COLOURS
    return picture_codec(source, part.column, replace(own, size=size, colour=colour))


def _plan_pictures(
    source: Source, event: str | None, contexts: list[Part], options: Options
) -> tuple[Options, list[str]]:
    """One size for the pictures of event and contexts that need one."""
    chosen, notes = sized(source, event, [(part.column, part.has_size) for part in contexts], options[Pictures])
    return options.changed(chosen), notes


def _encode_pictures(codec: PictureCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Events; greys, if events are to be drawn from them."""
    if not (isinstance(codec, ImageCodec) and codec.draws):
        return encode_column(codec, chunk, names, table, place)
    values = chunk[names[0]]
    return codec.greys(as_numpy(values) if table.columns[names[0]].kind == "array" else values, place)


def _draw_pictures(codec: PictureCodec, splits: Splits, seed: int) -> None:
    """Binarise greys; what is drawn anew on every visit keeps them."""
    if not (isinstance(codec, ImageCodec) and codec.draws):
        return
    for i, (name, split) in enumerate(splits.items()):
        greys = split.x
        split.x = codec.draw(greys, np.random.default_rng([seed, i]))
        if codec.binarize == "epoch" and name == "train":
            split.greys, split.white = greys, codec.white


def _finish_pictures(
    codec: PictureCodec, splits: Splits, options: Options, known: bool
) -> tuple[Codec, Splits, list[str]]:
    """Pictures as tokens of a palette if asked for, or as two levels if they have no more."""
    asked = options[Pictures]
    if known or not isinstance(codec, ImageCodec):
        return codec, splits, []
    if asked.palette:
        return palette_codec(codec, splits, asked.palette, options[Loading].seed)
    if asked.levels is None and not codec.draws:
        return two_valued(codec, splits), splits, []
    return codec, splits, []


def _is_picture(source: Source, column: Column, texts: set[str]) -> bool:
    return column.kind in ("image", "bytes") or (column.kind == "array" and is_picture_array(source, column.name))


# Rows of tables, single values and texts


def _encode_rows(codec: FrameCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    missing = isinstance(codec, RowCodec)
    cells = {n: codec.named(chunk[n], table.columns[n], place, missing=missing) for n in names}
    return codec.encode(cells, place)


def _finish_rows(codec: FrameCodec, splits: Splits, options: Options, known: bool) -> tuple[Codec, Splits, list[str]]:
    if isinstance(codec, TableCodec) and "train" in splits:
        return codec, splits, repeats(codec, splits["train"])
    return codec, splits, []


def _find_numbers(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[NumberCodec, list[str]]:
    column = source.columns[parts[0].column]
    if column.kind not in NUMBERS:
        raise SourceError(f"column {column.name!r} ({column.kind}) holds no numbers", "leave out the view")
    return NumberCodec(column.name, column_resolution(source, column.name)), []


def _find_labels(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[ContextCodec, list[str]]:
    """Classes; of strings that are too many for classes, the codec of texts."""
    column = source.columns[parts[0].column]
    labels = find_labels(source, column.name, strict=column.kind != "string" or bool(parts[0].view))
    if labels is None:
        return document_codec(source, column.name, options[Texts], masks)
    return LabelCodec(labels, column.name, numbered=bool(column.names)), []


def _encode_labels(codec: LabelCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Class numbers are taken as names, unless the codec knows the numbers."""
    column, values = table.columns[names[0]], chunk[names[0]]
    values = values if codec.knows_numbers_of(column) else named(values, column, place)
    return _renamed(codec, names[0]).encode(values, place)


def _encode_numbers(codec: NumberCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    return encode_column(_renamed(codec, names[0]), chunk, names, table, place)


def _renamed(codec: LabelCodec | NumberCodec, column: str) -> ValueCodec:
    """The codec with the name of a column, for errors."""
    return replace(codec, column=column)


def _encode_texts(codec: DocumentCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    values = named(chunk[names[0]], table.columns[names[0]], place)
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return codec.encode([None if value is None else as_text(value) for value in listed], place)


def _parse(codec: ValueCodec | DocumentCodec, text: str) -> np.ndarray:
    return codec.parse(text)


def _own(codec: Codec, column: str) -> list[str]:
    return [column]


_ROWS = [
    Kind(
        "label",
        "labels",
        (LabelCodec,),
        _find_labels,
        lambda source, column, texts: column.kind in ("class", "string", "int", "bool") and column.name not in texts,
        roles=("context",),
        reads=("string", "class", "int", "bool"),
        spelled="float",
        view="label",
        otherwise="document",
        exhibit="values:Labels",
        encode=_encode_labels,
        read=read_values,
        parse=_parse,
        words=_own,
        said=lambda codec: f"{len(codec.classes):,} classes",
    ),
    Kind(
        "number",
        "numbers",
        (NumberCodec,),
        _find_numbers,
        lambda source, column, texts: column.kind == "float",
        roles=("context",),
        reads=NUMBERS,
        spelled="string",
        view="number",
        exhibit="values:Numbers",
        encode=_encode_numbers,
        read=read_values,
        parse=_parse,
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
        read=read_array,
    ),
    Kind(
        "picture",
        "pictures",
        (PictureCodec,),
        _find_pictures,
        _is_picture,
        options=Pictures,
        reads=("image", "bytes", "array"),
        early=True,
        exhibit="pictures:Pictures",
        plan=_plan_pictures,
        encode=_encode_pictures,
        settle=_draw_pictures,
        finish=_finish_pictures,
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
        encode=_encode_texts,
        read=read_document,
        parse=_parse,
        cut=cut_notes,
        words=_own,
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
        exhibit="sounds:Sounds",
        review=lambda source, name, codec, masks, is_event: sound_notes(codec, name, survey(source, name, masks)),
    ),
    Kind(
        "table",
        "rows of a table",
        (FrameCodec,),
        lambda source, parts, options, masks: (
            table_codec(source, [part.column for part in parts], options[Tables].columns, masks),
            [],
        ),
        roles=("event",),
        options=Tables,
        exhibit="tables:Tables",
        encode=_encode_rows,
        read=read_rows,
        finish=_finish_rows,
        describe=lambda codec: described(codec) if isinstance(codec, RowCodec) else [],
        names=lambda codec: codec.names,
        words=lambda codec, column: list(codec.words),
    ),
]

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
    """The kind of data that a codec is about."""
    return next(kind for kind in reversed(KINDS.values()) if isinstance(codec, kind.codecs))


def option_groups() -> list[type[OptionGroup]]:
    """The options of all kinds of data, after those of loading any."""
    return [Loading, *dict.fromkeys(kind.options for kind in KINDS.values() if kind.options is not None)]
