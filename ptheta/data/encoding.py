"""Rows of a source → events and contexts of every split, a chunk at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.codecs import Codec, FrameCodec, ImageCodec, RowCodec
from ptheta.data.codecs.base import Place
from ptheta.data.columns.choosing import Choice
from ptheta.data.columns.contexts import Conditions
from ptheta.data.finding.documents import Masks
from ptheta.data.sources.tables import Source, Table, as_numpy, named, take
from ptheta.data.splits import Split, allocate


def encode(
    source: Source,
    choice: Choice,
    codec: Codec,
    given: Conditions | None,
    masks: Masks,
    seed: int,
) -> dict[str, Split]:
    """Encode the rows of every split.

    Args:
        source: with its tables.
        choice: columns of the event.
        codec: of the events.
        given: the contexts, or None.
        masks: table → split → bool [rows], true for the rows of the split.
        seed: of binarisations.
    """
    splits: dict[str, Split] = {}
    for name, table in source.tables.items():
        for split, mask in masks[name].items():
            n = int(mask.sum())
            x = allocate((n, *codec.space.shape), codec.dtype)
            y = None if given is None else allocate((n, *given.codec.space.shape), given.dtype)
            splits[split] = Split(x, y)
            splits[split].files = table.files_of(np.flatnonzero(mask))
        _fill(table, choice, codec, given, masks[name], splits)
    if isinstance(codec, ImageCodec) and codec.draws:
        for i, (name, split) in enumerate(splits.items()):
            greys = split.x
            split.x = codec.draw(greys, np.random.default_rng([seed, i]))
            if codec.binarize == "epoch" and name == "train":
                split.greys, split.white = greys, codec.white
    return {name: splits[name] for name in ("all", "train", "validation", "test") if name in splits}


def _fill(
    table: Table,
    choice: Choice,
    codec: Codec,
    given: Conditions | None,
    masks: dict[str, np.ndarray],
    splits: dict[str, Split],
) -> None:
    names = list(dict.fromkeys(choice.event + (given.columns if given else [])))
    wanted = np.logical_or.reduce(list(masks.values()))
    filled = dict.fromkeys(masks, 0)
    start = 0
    for chunk in table.chunks(names):
        n = len(chunk[names[0]])
        rows = np.flatnonzero(wanted[start : start + n])
        if len(rows) < n:
            chunk = {name: take(values, rows) for name, values in chunk.items()}

        def place(row: int, rows: np.ndarray = rows, start: int = start) -> str:
            return table.place(start + int(rows[row]))

        if len(rows):
            x = _events(chunk, choice, codec, table, place)
            y = None if given is None else given.encode(chunk, table, place)
            for split, mask in masks.items():
                mine = mask[start : start + n][rows]
                count = int(mine.sum())
                to = slice(filled[split], filled[split] + count)
                splits[split].x[to] = x if count == len(x) else x[mine]
                if y is not None:
                    splits[split].context[to] = y[mine]  # type: ignore[index]
                filled[split] += count
        start += n


def _events(chunk: dict[str, Any], choice: Choice, codec: Codec, table: Table, place: Place) -> np.ndarray:
    """Events of a chunk; greys, if events are to be drawn from them."""
    if isinstance(codec, FrameCodec):
        missing = isinstance(codec, RowCodec)
        cells = {n: codec.named(chunk[n], table.columns[n], place, missing=missing) for n in choice.event}
        return codec.encode(cells, place)
    raw = chunk[choice.event[0]]
    if choice.kind == "document":
        raw = named(raw, table.columns[choice.event[0]], place)
    if table.columns[choice.event[0]].kind == "array":
        raw = as_numpy(raw)
    return codec.greys(raw, place) if isinstance(codec, ImageCodec) and codec.draws else codec.encode(raw, place)
