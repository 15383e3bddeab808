"""Text sources: documents joined to a stream of bytes, cut into events."""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs.text import TextCodec
from ptheta.data.options import Options
from ptheta.data.splits import HELD_OUT, HELD_OUT_MOST, Split, held_out
from ptheta.data.tables import Source, Table
from ptheta.errors import SourceError

LENGTH = 64
"""Bytes in one event unless asked otherwise."""

TEXT_HELD_OUT = 0.05
"""Part of an undivided text that becomes validation, and test."""


def load_text(
    source: Source, name: str, options: Options, codec: TextCodec | None
) -> tuple[TextCodec, dict[str, Split], list[str]]:
    """Codec and splits of a text column, and what was assumed, in sentences.

    Documents are joined with a newline. Text is divided in one piece each: the ends of train, or of undivided text,
    become validation (and test).
    """
    streams = {split: stream(table, name) for split, table in source.tables.items()}
    given = codec is not None
    made = codec or _codec(streams, options.length or LENGTH)
    notes, splits = [], {}
    for split, data in streams.items():
        x = made.encode(data, lambda _, split=split: f"{source.name} {split}")
        if over := len(data) - x.size:
            notes.append(f"{'' if split == 'all' else split + ': '}the last {over} bytes make no whole event of"
                         f" {made.length} and are left out")  # fmt: skip
        splits[split] = x
    if not given:
        splits, drawn = _divide(splits, source.origin, options)
        notes += drawn
    for split, x in splits.items():
        if len(x) == 0:
            raise SourceError(
                f"{source.origin} has fewer than {made.length} bytes of text{'' if split == 'all' else f' in {split}'}",
                "give more text, or a smaller --length",
            )
    limit = options.limit
    parts = {split: Split(x) for split, x in splits.items()}
    if limit is not None:
        parts = {split: part.subset(limit, options.seed) for split, part in parts.items()}
        notes.append(f"limit: at most {limit:,} events of each split, drawn with seed {options.seed}")
    return made, parts, notes


def stream(table: Table, name: str) -> bytes:
    """All documents of a column, joined with newlines."""
    documents: list[bytes] = []
    for chunk in table.chunks([name]):
        values = chunk[name] if isinstance(chunk[name], list) else chunk[name].to_pylist()
        for value in values:
            if value is None:
                place = table.place(len(documents))
                raise SourceError(f"column {name!r} is missing at {place}", "fill it in or remove that row")
            documents.append(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)
    return b"\n".join(documents)


def _codec(streams: dict[str, bytes], length: int) -> TextCodec:
    present = np.zeros(256, bool)
    for data in streams.values():
        present |= np.bincount(np.frombuffer(data, np.uint8), minlength=256) > 0
    alphabet = np.flatnonzero(present).tolist()
    return TextCodec(length, alphabet if 0 < len(alphabet) < 256 else None)


def _divide(blocks: dict[str, np.ndarray], origin: str, options: Options) -> tuple[dict[str, np.ndarray], list[str]]:
    first = "all" if "all" in blocks else "train"
    if first not in blocks:
        raise SourceError(f"{origin} has no train split, only {', '.join(blocks)}", "add training text")
    if "validation" in blocks:
        if options.validation is not None:
            raise SourceError(f"{origin} has its own validation split", "leave out --validation")
        return blocks, []
    x = blocks.pop(first)
    undivided = first == "all"
    validation = _part(len(x), options.validation, undivided)
    test = _part(len(x), None, True) if undivided else 0
    train = len(x) - validation - test
    if train < 1:
        raise SourceError(
            f"{origin} makes {len(x)} events, too few for train, validation and test",
            "give more text, or a smaller --length",
        )
    parts = {"train": x[:train], "validation": x[train : train + validation], "test": x[train + validation :]}
    note = f"validation: {validation:,} events from the end of train"
    if undivided:
        note = f"train, validation and test: the first {train:,}, the next {validation:,} and the last {test:,} events"
    return {split: part for split, part in parts.items() if len(part)} | blocks, [note]


def _part(n: int, asked: float | None, undivided: bool) -> int:
    if asked is None:
        return max(1, round(n * TEXT_HELD_OUT) if undivided else min(HELD_OUT_MOST, round(n * HELD_OUT)))
    return held_out(n, asked, n)
