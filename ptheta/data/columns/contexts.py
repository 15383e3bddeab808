"""The context: columns of any kind → a codec, and events of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ptheta.data.codecs import ContextCodec, JointCodec
from ptheta.data.codecs.base import Place
from ptheta.data.finding.looks import texts_among
from ptheta.data.kinds import KINDS, Kind, kind_of, recognised
from ptheta.data.option_groups import Options
from ptheta.data.options import Pictures
from ptheta.data.sources.chunk_values import missing, take
from ptheta.data.sources.tables import Source, Table
from ptheta.data.splits import Masks
from ptheta.data.views import VALUE_VIEWS, Part
from ptheta.errors import SourceError
from ptheta.numbers import plural


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
        """Contexts [n, *shape] of a chunk of rows; parts whose cell is missing are left out."""
        if not isinstance(self.codec, JointCodec):
            return _encode(self.codec, chunk, self.parts[0], table, place)
        flat = [
            _encode_present(codec, chunk, part, table, place)
            for codec, part in zip(self.codec.codecs.values(), self.parts)
        ]
        return np.concatenate([x.reshape(len(x), -1).astype(self.dtype, copy=False) for x in flat], 1)

    def cut(self, contexts: dict[str, np.ndarray]) -> list[str]:
        """Notes on texts that were cut."""
        if not isinstance(self.codec, JointCodec):
            return kind_of(self.codec).cut(self.codec, self.parts[0].column, contexts)
        split = {name: self.codec.split(x) for name, x in contexts.items()}
        notes: list[str] = []
        for (name, codec), part in zip(self.codec.codecs.items(), self.parts):
            given = {key: _present_of(codec, parts[name]) for key, parts in split.items()}
            notes += kind_of(codec).cut(codec, part.column, given)
        return notes


def _present_of(codec: ContextCodec, x: np.ndarray) -> np.ndarray:
    """Those of contexts that say something."""
    return x[~codec.space.is_null(torch.from_numpy(x)).numpy()]


def find_conditions(source: Source, parts: list[Part], options: Options, masks: Masks) -> Conditions:
    """The codec of columns that are a context, each taken for what it is or for what its view says.

    Args:
        source: with its tables.
        parts: columns, at least one.
        options: what was asked of contexts.
        masks: table → split → bool [rows]; what is learned, is learned from train.

    Raises:
        SourceError: a column that is not a context, or a view that does not suit it.
    """
    texts = texts_among(source, source.columns)
    present, missing_notes = _present(source, parts, masks)
    kinds = [kind_of_part(source, part, texts) for part in parts]
    found = [kind.find(source, [part], options, present[part.column]) for part, kind in zip(parts, kinds)]
    notes = [note for _, more in found for note in more]
    if len(found) == 1:
        codec = found[0][0]
        return Conditions(codec, parts, [f"context: {parts[0]}, {_description(codec)}", *notes])
    columns = [part.column for part in parts]
    names = [part.column if columns.count(part.column) == 1 else str(part) for part in parts]
    codec = JointCodec({name: made.to_json() for name, (made, _) in zip(names, found)})
    taken = [f"context: {part}, {_description(made)}" for part, (made, _) in zip(parts, found)]
    return Conditions(codec, parts, taken + notes + missing_notes, bool(missing_notes))


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
    present, missing_notes = _present(source, parts, masks)
    for part, one in zip(parts, codecs.values()):
        notes += kind_of(one).review(source, part.column, one, present[part.column], False)
    return Conditions(codec, parts, notes + missing_notes, bool(missing_notes))


def _by_name(parts: list[Part], names: list[str]) -> tuple[list[Part], list[str]]:
    """Columns in the order of a run's parts, and which are taken for parts of other names, in sentences."""
    found: dict[str, Part] = {}
    for spelled in (str, lambda part: part.column):
        for part in parts:
            if part not in found.values() and spelled(part) in names:
                found.setdefault(spelled(part), part)
    others = [part for part in parts if part not in found.values()]
    taken = dict(zip([name for name in names if name not in found], others))
    notes = [f"context: {part.column} is used as the run's {name}" for name, part in taken.items()]
    return [{**found, **taken}[name] for name in names], notes


def _check_suits(source: Source, part: Part, name: str, codec: ContextCodec) -> None:
    kind = source.columns[part.column].kind
    suits = kind in kind_of(codec).reads or _is_spelled(source, part.column, codec)
    if not suits and not _is_empty(source, part.column):
        context = f"context {name}".strip()
        raise SourceError(
            f"column {part.column!r} ({kind}) of {source.origin} does not fit the run's {context}, "
            f"{_description(codec)}",
            "name the right column with --context",
        )


def _is_spelled(source: Source, name: str, codec: ContextCodec) -> bool:
    """Whether a column of another kind holds the codec's values all the same, as far as its first one tells."""
    if kind_of(codec).spelled != source.columns[name].kind:
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
            notes.append(f"context: {name} is missing in {count:,} of {n:,} rows, where the context leaves it out")
    return found, notes


def kind_of_part(source: Source, part: Part, texts: set[str]) -> Kind:
    """What a column is as a context: what its view says, or what it looks like.

    Args:
        source: with the column.
        part: the column and its view.
        texts: names of the columns that hold texts.

    Raises:
        SourceError: a column that is not a context, or a view that does not suit it.
    """
    column = source.columns[part.column]
    found = recognised(source, column, texts, "context")
    if part.is_reduced and (found is None or found.options is not Pictures):
        raise SourceError(f"column {column.name!r} ({column.kind}) is not a picture", f"it has no view {part.view}")
    if part.view in VALUE_VIEWS:
        viewed = {kind.view: kind for kind in KINDS.values() if kind.view}
        if not any(column.kind in kind.reads for kind in viewed.values()):
            raise SourceError(f"column {column.name!r} ({column.kind}) is not a {part.view}", "leave out the view")
        return viewed[part.view]
    if found is None:
        raise SourceError(f"column {column.name!r} is of an unknown type", "choose another context")
    return found


def possible_kinds(source: Source, parts: list[Part]) -> list[Kind]:
    """What columns are, or may turn out to be, as contexts.

    Raises:
        SourceError: as `kind_of_part`.
    """
    texts = texts_among(source, source.columns)
    kinds = [kind_of_part(source, part, texts) for part in parts]
    strings = [kind for part, kind in zip(parts, kinds) if source.columns[part.column].kind == "string"]
    return kinds + [KINDS[kind.otherwise] for kind in strings if kind.otherwise]


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
    return kind_of(codec).encode(codec, chunk, [part.column], table, place)


def _description(codec: ContextCodec) -> str:
    return kind_of(codec).description(codec)
