"""What is done with each kind of data beside its codec: finding it by a view, encoding rows, drawing and finishing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ptheta.data.codecs import (
    Codec,
    ContextCodec,
    DocumentCodec,
    FrameCodec,
    ImageCodec,
    LabelCodec,
    NumberCodec,
    PictureCodec,
    RowCodec,
)
from ptheta.data.codecs.base import Place
from ptheta.data.codecs.labels import ValueCodec
from ptheta.data.finding.densities import check_range, remarks
from ptheta.data.finding.documents import as_text, document_codec
from ptheta.data.finding.labels import find_labels
from ptheta.data.finding.looks import is_picture_array
from ptheta.data.finding.palettes import palette_codec
from ptheta.data.finding.pictures import picture_codec, sized, two_valued
from ptheta.data.finding.tables import table_codec
from ptheta.data.option_groups import Options
from ptheta.data.options import COLOURS, Loading, Pictures, Tables, Texts
from ptheta.data.resolutions import column_resolution
from ptheta.data.sources.chunk_values import as_numpy, missing, named, take
from ptheta.data.sources.tables import Column, Source, Table
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
    return codec.encode(as_numpy(values, names[0]) if column.kind == "array" else values, place)


# Pictures


def find_pictures(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[ImageCodec, list[str]]:
    """The codec of pictures: as large and coloured as the view asks for, or as the options do."""
    part, own = parts[0], options[Pictures]
    size, colour = own.size, own.colour
    for piece in map(PICTURE_VIEW.fullmatch, part.view.split(":") if part.view else []):
        assert piece is not None
        size = f"{piece['height']}x{piece['width']}" if piece["height"] else size
        colour = piece["colour"] or colour
    assert colour is None or colour in COLOURS
    return picture_codec(source, part.column, replace(own, size=size, colour=colour))


def plan_pictures(
    source: Source, event: str | None, contexts: list[Part], options: Options
) -> tuple[Options, list[str]]:
    """One size for the pictures of event and contexts that need one."""
    chosen, notes = sized(source, event, [(part.column, part.has_size) for part in contexts], options[Pictures])
    return options.changed(chosen), notes


def encode_pictures(codec: PictureCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Events; greys, if events are to be drawn from them."""
    if not (isinstance(codec, ImageCodec) and codec.draws):
        return encode_column(codec, chunk, names, table, place)
    values = chunk[names[0]]
    return codec.greys(as_numpy(values, names[0]) if table.columns[names[0]].kind == "array" else values, place)


def draw_pictures(codec: PictureCodec, splits: Splits, seed: int) -> None:
    """Binarise greys; what is drawn anew on every visit keeps them."""
    if not (isinstance(codec, ImageCodec) and codec.draws):
        return
    for i, (name, split) in enumerate(splits.items()):
        greys = split.x
        split.x = codec.draw(greys, np.random.default_rng([seed, i]))
        if codec.binarize == "epoch" and name == "train":
            split.greys, split.white = greys, codec.white


def finish_pictures(
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


def is_picture(source: Source, column: Column, texts: set[str]) -> bool:
    """Whether a column holds pictures: encoded, as bytes, or as arrays that look like them."""
    return column.kind in ("image", "bytes") or (column.kind == "array" and is_picture_array(source, column.name))


# Rows of tables, single values and texts


def find_rows(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[FrameCodec, list[str]]:
    """The codec of columns, which writes text tables as the source is written."""
    names = [part.column for part in parts]
    codec = table_codec(source, names, options[Tables].columns, masks)
    found = dict(next(iter(source.tables.values())).writing)
    if ways := {name: way for name, way in found.pop("columns", {}).items() if name in names}:
        found["columns"] = ways
    return replace(codec, writing=found), []


def encode_rows(codec: FrameCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Events of several columns."""
    missing = isinstance(codec, RowCodec)
    cells = {n: codec.named(chunk[n], table.columns[n], place, missing=missing) for n in names}
    return codec.encode(cells, place)


def finish_reals(codec: Codec, splits: Splits, options: Options, known: bool) -> tuple[Codec, Splits, list[str]]:
    """All as it is, and notes on real numbers whose density says little.

    Raises:
        SourceError: real numbers that cannot be learned.
    """
    if not known:
        check_range(codec, splits)
    return codec, splits, remarks(codec, splits) if "train" in splits and not known else []


def find_numbers(source: Source, parts: list[Part], options: Options, masks: Masks) -> tuple[NumberCodec, list[str]]:
    """The codec of a column of numbers.

    Raises:
        SourceError: it holds none.
    """
    column = source.columns[parts[0].column]
    if column.kind not in NUMBERS:
        raise SourceError(f"column {column.name!r} ({column.kind}) holds no numbers", "leave out the view")
    written = next(iter(source.tables.values())).writing.get("columns", {}).get(column.name, {})
    codec = NumberCodec(column.name, column_resolution(source, column.name), writing=written)
    return replace(codec, seen=_range(source, codec, masks)), []


def _range(source: Source, codec: NumberCodec, masks: Masks) -> list[float] | None:
    """The least and the greatest number of train; None if it has none."""
    found: list[float] = []
    for title, table in source.tables.items():
        start, mask = 0, masks[title].get("train", np.zeros(len(table), bool))
        for chunk in table.chunks([codec.column]):
            values = chunk[codec.column]
            rows = np.flatnonzero(~missing(values) & mask[start : start + len(values)])
            if len(rows):

                def place(row: int, rows: np.ndarray = rows, start: int = start, table: Table = table) -> str:
                    return table.place(start + int(rows[row]))

                numbers = codec.encode(take(values, rows), place)
                found = [min([float(numbers.min()), *found[:1]]), max([float(numbers.max()), *found[1:]])]
            start += len(values)
    return found or None


def classes_of_column(
    source: Source, parts: list[Part], options: Options, masks: Masks
) -> tuple[ContextCodec, list[str]]:
    """Classes; of strings that are too many for classes, the codec of texts."""
    column = source.columns[parts[0].column]
    labels = find_labels(source, column.name, strict=column.kind != "string" or bool(parts[0].view))
    if labels is None:
        return document_codec(source, column.name, options[Texts], masks)
    codec = LabelCodec(labels, column.name, numbered=bool(column.names))
    return replace(codec, unseen=_unseen(source, codec, masks)), []


def _unseen(source: Source, codec: LabelCodec, masks: Masks) -> list[str]:
    """The classes that events of other splits have, and no training event."""
    found: dict[str, set[int]] = {}
    for title, table in source.tables.items():
        start = 0
        for chunk in table.chunks([codec.column]):
            values = chunk[codec.column]
            present = ~missing(values)
            for split, mask in masks[title].items():
                rows = np.flatnonzero(present & mask[start : start + len(values)])
                if len(rows):

                    def place(row: int, rows: np.ndarray = rows, start: int = start, table: Table = table) -> str:
                        return table.place(start + int(rows[row]))

                    numbers = encode_labels(codec, {codec.column: take(values, rows)}, [codec.column], table, place)
                    found.setdefault(split, set()).update(np.unique(numbers).tolist())
            start += len(values)
    train = found.pop("train", None)
    return [] if train is None else [codec.classes[k] for k in sorted(set().union(*found.values()) - train)]


def encode_labels(codec: LabelCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Class numbers are taken as names, unless the codec knows the numbers."""
    column, values = table.columns[names[0]], chunk[names[0]]
    values = values if codec.knows_numbers_of(column) else named(values, column, place)
    return _renamed(codec, names[0]).encode(values, place)


def encode_numbers(codec: NumberCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Numbers, under the name of their column."""
    return encode_column(_renamed(codec, names[0]), chunk, names, table, place)


def _renamed(codec: LabelCodec | NumberCodec, column: str) -> ValueCodec:
    """The codec with the name of a column, for errors."""
    return replace(codec, column=column)


def encode_texts(codec: DocumentCodec, chunk: Chunk, names: list[str], table: Table, place: Place) -> np.ndarray:
    """Whole texts; other values are read as they are written."""
    values = named(chunk[names[0]], table.columns[names[0]], place)
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return codec.encode([None if value is None else as_text(value) for value in listed], place)


def parse_value(codec: ValueCodec | DocumentCodec, text: str) -> np.ndarray:
    """The context that a person writes as itself, not as the path of a file."""
    return codec.parse(text)
