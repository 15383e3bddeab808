"""Rows of a source → events and contexts of every split, a chunk at a time."""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs import Codec
from ptheta.data.columns.choosing import Choice
from ptheta.data.columns.contexts import Conditions
from ptheta.data.failures import Failures, UnusableFiles
from ptheta.data.sources.chunk_values import take
from ptheta.data.sources.tables import Source, Table
from ptheta.data.splits import Masks, Split, allocate


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
            rows = np.flatnonzero(mask)
            splits[split].files = table.files_of(rows)
            if len(rows) < len(mask):
                splits[split].drawn = rows
                splits[split].numbers = rows if len(masks[name]) == 1 else None
        _fill(table, choice, codec, given, masks[name], splits)
    choice.kind.settle(codec, splits, seed)
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
    start, failures = 0, Failures()
    for chunk in table.chunks(names):
        n = len(chunk[names[0]])
        rows = np.flatnonzero(wanted[start : start + n])
        if len(rows) < n:
            chunk = {name: take(values, rows) for name, values in chunk.items()}

        def place(row: int, rows: np.ndarray = rows, start: int = start) -> str:
            return table.place(start + int(rows[row]))

        if not len(rows):
            start += n
            continue
        with failures.caught(UnusableFiles):
            x = choice.kind.encode(codec, chunk, choice.event, table, place)
            y = None if given is None else given.encode(chunk, table, place)
            for split, mask in masks.items():
                mine = mask[start : start + n][rows]
                count = int(mine.sum())
                to = slice(filled[split], filled[split] + count)
                splits[split].x[to] = x if count == len(x) else x[mine]
                if y is not None and (context := splits[split].context) is not None:
                    context[to] = y[mine]
                filled[split] += count
        start += n
    failures.end()
