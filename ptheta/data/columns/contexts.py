"""The context: columns of any kind → a codec, and events of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptheta.data.codecs import (
    ArrayCodec,
    ContextCodec,
    DocumentCodec,
    ImageCodec,
    JointCodec,
    LabelCodec,
    NumberCodec,
    PictureCodec,
    SoundCodec,
)
from ptheta.data.codecs.base import Place, nowhere
from ptheta.data.codecs.labels import ValueCodec, distinct
from ptheta.data.columns.choosing import MAX_NAMES, is_picture_array, texts_among
from ptheta.data.columns.views import PICTURE_VIEW, VALUE_VIEWS, Part
from ptheta.data.finding.arrays import array_codec
from ptheta.data.finding.documents import Masks, as_text, cut_notes, document_codec
from ptheta.data.finding.pictures import picture_codec
from ptheta.data.finding.sounds import sound_codec, sound_notes, survey
from ptheta.data.options import COLOURS, Options
from ptheta.data.resolutions import column_resolution
from ptheta.data.sources.tables import Source, Table, as_numpy, missing, named, take
from ptheta.errors import SourceError
from ptheta.numbers import plural

PICTURES = ("image", "bytes", "array")
"""Kinds of columns that can be pictures."""

NUMBERS = ("int", "float", "bool")
"""Kinds of columns that can be numbers."""

SUITED = {
    PictureCodec: PICTURES,
    SoundCodec: ("sound",),
    DocumentCodec: ("string", "document", "class", *NUMBERS),
    LabelCodec: ("string", "class", "int", "bool"),
    NumberCodec: NUMBERS,
    ArrayCodec: ("array", *NUMBERS),
}
"""Codec → kinds of columns that it reads."""

SPELLED = {LabelCodec: "float", NumberCodec: "string"}
"""Codec → kind of columns that it reads if their first value is one of its own: 3.0 for "3", "3.5" for 3.5."""


@dataclass
class Conditions:
    """The contexts of a source.

    Args:
        codec: column values ↔ contexts.
        parts: the columns, in the order of the codec's parts.
        notes: what was taken and assumed, in sentences.
        holes: whether cells of parts are missing.
    """

    codec: ContextCodec
    parts: list[Part]
    notes: list[str]
    holes: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the columns, each once."""
        return list(dict.fromkeys(part.column for part in self.parts))

    @property
    def dtype(self) -> np.dtype:
        """Compact type of contexts; where cells are missing one that holds −1."""
        return np.result_type(self.codec.dtype, np.int8) if self.holes else self.codec.dtype

    def encode(self, chunk: dict[str, Any], table: Table, place: Place) -> np.ndarray:
        """Contexts [n, *shape] of a chunk of rows; of parts whose cell is missing nothing is said."""
        if not isinstance(self.codec, JointCodec):
            return _encode(self.codec, chunk, self.parts[0], table, place)
        flat = [
            _encode_present(codec, chunk, part, table, place)
            for codec, part in zip(self.codec.codecs.values(), self.parts)
        ]
        return np.concatenate([x.reshape(len(x), -1).astype(self.dtype, copy=False) for x in flat], 1)

    def cut(self, contexts: dict[str, np.ndarray]) -> list[str]:
        """Notes on texts that were cut."""
        if isinstance(self.codec, DocumentCodec):
            return cut_notes(self.codec, self.parts[0].column, contexts)
        if not isinstance(self.codec, JointCodec):
            return []
        split = {name: self.codec.split(x) for name, x in contexts.items()}
        notes: list[str] = []
        for (name, codec), part in zip(self.codec.codecs.items(), self.parts):
            if isinstance(codec, DocumentCodec):
                texts = {key: parts[name] for key, parts in split.items()}
                notes += cut_notes(codec, part.column, {key: x[(x >= 0).all(1)] for key, x in texts.items()})
        return notes


def find_conditions(source: Source, parts: list[Part], options: Options, masks: Masks) -> Conditions:
    """The codec of columns that are a context, each taken for what it is or for what its view says.

    Args:
        source: with its tables.
        parts: columns, at least one.
        options: of texts, pictures and sounds; `length` is of texts in the context.
        masks: table → split → bool [rows]; what is learned, is learned from train.

    Raises:
        SourceError: a column that is no context, or a view that does not suit it.
    """
    texts = texts_among(source, source.columns)
    present, said = _present(source, parts, masks)
    found = [_codec(source, part, options, present[part.column], part.column in texts) for part in parts]
    notes = [note for _, more in found for note in more]
    if len(found) == 1:
        codec = found[0][0]
        return Conditions(codec, parts, [f"context: {parts[0]}, {_said(codec)}", *notes])
    columns = [part.column for part in parts]
    names = [part.column if columns.count(part.column) == 1 else str(part) for part in parts]
    codec = JointCodec({name: made.to_json() for name, (made, _) in zip(names, found)})
    taken = [f"context: {part}, {_said(made)}" for part, (made, _) in zip(parts, found)]
    return Conditions(codec, parts, taken + notes + said, bool(said))


def known_conditions(source: Source, parts: list[Part], codec: ContextCodec, masks: Masks) -> Conditions:
    """Columns as the contexts of a run, through its codec; parts are found by their names, the others in order.

    Raises:
        SourceError: another number of columns, or one of another kind.
    """
    codecs = codec.codecs if isinstance(codec, JointCodec) else {"": codec}
    if len(codecs) != len(parts):
        have = f"{plural(len(parts), 'context column')} of {source.origin}"
        raise SourceError(f"{have} cannot be the {len(codecs)} of the run", "name as many with --context")
    notes: list[str] = []
    if isinstance(codec, JointCodec):
        parts, notes = _by_name(parts, list(codecs))
    parts = [replace(part, view="") for part in parts]
    for part, (name, one) in zip(parts, codecs.items()):
        _check_suits(source, part, name, one)
    present, said = _present(source, parts, masks)
    for part, one in zip(parts, codecs.values()):
        if isinstance(one, SoundCodec):
            notes += sound_notes(one, part.column, survey(source, part.column, present[part.column]))
    return Conditions(codec, parts, notes + said, bool(said))


def _by_name(parts: list[Part], names: list[str]) -> tuple[list[Part], list[str]]:
    """Columns in the order of a run's parts, and which are taken for parts of other names, in sentences."""
    found: dict[str, Part] = {}
    for spelled in (str, lambda part: part.column):
        for part in parts:
            if part not in found.values() and spelled(part) in names:
                found.setdefault(spelled(part), part)
    others = [part for part in parts if part not in found.values()]
    taken = dict(zip([name for name in names if name not in found], others))
    notes = [f"context: {part.column} is taken for the run's {name}" for name, part in taken.items()]
    return [{**found, **taken}[name] for name in names], notes


def _check_suits(source: Source, part: Part, name: str, codec: ContextCodec) -> None:
    kind = source.columns[part.column].kind
    suited = next(kinds for made, kinds in SUITED.items() if isinstance(codec, made))
    if kind not in suited and not _is_spelled(source, part.column, codec) and not _is_empty(source, part.column):
        context = f"context {name}".strip()
        raise SourceError(
            f"column {part.column!r} ({kind}) of {source.origin} is nothing for the run's {context}, {_said(codec)}",
            "name the right column with --context",
        )


def _is_spelled(source: Source, name: str, codec: ContextCodec) -> bool:
    """Whether a column of another kind holds the codec's values all the same, as far as its first one tells."""
    if SPELLED.get(type(codec)) != source.columns[name].kind:
        return False
    for table in source.tables.values():
        for chunk in table.chunks([name]):
            if len(rows := np.flatnonzero(~missing(chunk[name]))):
                try:
                    codec.encode(take(chunk[name], rows[:1]))
                except SourceError:
                    return False
                return True
    return False


def _is_empty(source: Source, name: str) -> bool:
    """Whether no row has a cell: such a column has no type."""
    return all(missing(chunk[name]).all() for table in source.tables.values() for chunk in table.chunks([name]))


def _present(source: Source, parts: list[Part], masks: Masks) -> tuple[dict[str, Masks], list[str]]:
    """Column → the rows that have a cell, and how many have none, in sentences; one part alone has all its cells."""
    columns = list(dict.fromkeys(part.column for part in parts))
    if len(parts) == 1:
        return dict.fromkeys(columns, masks), []
    found: dict[str, Masks] = {}
    notes: list[str] = []
    for name in columns:
        found[name], count, n = {}, 0, 0
        for title, table in source.tables.items():
            absent = np.concatenate([missing(chunk[name]) for chunk in table.chunks([name])])
            found[name][title] = {split: mask & ~absent for split, mask in masks[title].items()}
            count += sum(int((mask & absent).sum()) for mask in masks[title].values())
            n += sum(int(mask.sum()) for mask in masks[title].values())
        if count:
            notes.append(f"context: {name} is missing in {count:,} of {n:,} rows, and nothing is then said of it")
    return found, notes


def kind_of_context(source: Source, part: Part) -> str:
    """picture, sound, text (perhaps) or value."""
    kind = source.columns[part.column].kind
    if kind in PICTURES or kind == "sound":
        return "sound" if kind == "sound" else "picture"
    maybe = kind in ("string", "document") and part.view not in ("label", "number")
    return "text" if maybe or part.view == "text" else "value"


def _said(codec: ContextCodec) -> str:
    return f"{len(codec.classes):,} classes" if isinstance(codec, LabelCodec) else str(codec.space)


def _codec(source: Source, part: Part, options: Options, masks: Masks, is_text: bool) -> tuple[ContextCodec, list[str]]:
    name, kind = part.column, source.columns[part.column].kind
    is_picture = kind in ("image", "bytes") or (kind == "array" and is_picture_array(source, name))
    if part.is_reduced and not is_picture:
        raise SourceError(f"column {name!r} ({kind}) is no picture", f"it has no view {part.view}")
    if part.view in VALUE_VIEWS and kind in (*PICTURES, "sound", "other"):
        raise SourceError(f"column {name!r} ({kind}) is no {part.view}", "leave out the view")
    if is_picture:
        return _picture(source, part, options)
    if kind == "sound":
        return sound_codec(source, name, options, masks)
    if kind == "array":
        return array_codec(source, name), []
    if part.view == "number" or (kind == "float" and not part.view):
        if kind not in NUMBERS:
            raise SourceError(f"column {name!r} ({kind}) holds no numbers", "leave out the view")
        return NumberCodec(name, column_resolution(source, name)), []
    if part.view == "text" or (is_text and not part.view):
        return document_codec(source, name, options, masks)
    labels = None if kind == "other" else find_labels(source, name, strict=kind != "string" or bool(part.view))
    if labels is None:
        if kind == "other":
            raise SourceError(f"column {name!r} is nothing known", "choose another context")
        return document_codec(source, name, options, masks)
    return LabelCodec(labels, name, numbered=bool(source.columns[name].names)), []


def _picture(source: Source, part: Part, options: Options) -> tuple[ImageCodec, list[str]]:
    """The codec of pictures as a context: as large as asked in the view, or as the events are, without loss."""
    pieces = [PICTURE_VIEW.fullmatch(piece) for piece in part.view.split(":")] if part.view else []
    size, channels = options.size, options.channels
    for piece in pieces:
        assert piece is not None
        size = (int(piece["height"]), int(piece["width"])) if piece["height"] else size
        channels = COLOURS[piece["colour"]] if piece["colour"] else channels
    chosen = Options(size=size, channels=channels, fit=options.fit, aspect=options.aspect)
    return picture_codec(source, part.column, chosen)


def find_labels(source: Source, name: str, *, strict: bool = True) -> list[str] | None:
    """The classes of a column: its published names, or its sorted distinct values over all splits.

    Missing cells are passed over.

    Args:
        source: with its tables.
        name: of the column.
        strict: whether too many are an error; otherwise None is returned.

    Raises:
        SourceError: a column that is no set of classes.
    """
    column = source.columns[name]
    if column.names:
        return list(column.names)
    if column.kind not in ("string", "int", "bool"):
        raise SourceError(
            f"column {name!r} ({column.kind}) is no set of classes",
            "classes are labels, strings or whole numbers",
        )
    values: set[Any] = set()
    for table in source.tables.values():
        for chunk in table.chunks([name]):
            present = np.flatnonzero(~missing(chunk[name]))
            values.update(distinct(take(chunk[name], present), name, nowhere)[0])
            if len(values) > MAX_NAMES:
                if not strict:
                    return None
                remedy = f", or take it as {name}:number" if column.kind == "int" else f", or take it as {name}:text"
                raise SourceError(
                    f"column {name!r} has more than {MAX_NAMES:,} different values",
                    f"condition on a column of fewer{remedy}",
                )
    if not values:
        raise SourceError(f"column {name!r} has no values", "choose another context")
    return [str(value) for value in sorted(values)]


def _encode_present(codec: ContextCodec, chunk: dict[str, Any], part: Part, table: Table, place: Place) -> np.ndarray:
    """Contexts of a chunk of rows; where the cell is missing, those that say nothing."""
    values = chunk[part.column]
    absent = missing(values)
    if not absent.any():
        return _encode(codec, chunk, part, table, place)
    rows = np.flatnonzero(~absent)
    x = codec.space.null(len(absent)).numpy()
    if len(rows):
        x[rows] = _encode(codec, {part.column: take(values, rows)}, part, table, lambda row: place(int(rows[row])))
    return x


def _encode(codec: ContextCodec, chunk: dict[str, Any], part: Part, table: Table, place: Place) -> np.ndarray:
    column = table.columns[part.column]
    values = chunk[part.column]
    if not (isinstance(codec, LabelCodec) and codec.knows_numbers_of(column)):
        values = named(values, column, place)
    if isinstance(codec, ValueCodec):
        return replace(codec, column=part.column).encode(values, place)  # type: ignore[call-arg]
    if column.kind == "array":
        values = as_numpy(values)
    elif isinstance(codec, DocumentCodec):
        listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
        values = [None if value is None else as_text(value) for value in listed]
    return codec.encode(values, place)
