"""Splits of a data set: train, validation and test, with the draws that make them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import Codec, ContextCodec
from ptheta.data.options import Loading
from ptheta.data.sources.tables import Source
from ptheta.errors import SourceError
from ptheta.numbers import joined, plural
from ptheta.spaces import Space

HELD_OUT = 0.1
"""Part of train that becomes validation (and of an undivided source that becomes test)."""

HELD_OUT_MOST = 10_000
"""Most events taken from a published train split for validation."""

IN_MEMORY = 2**30
"""Bytes up to which events are kept in memory; more go to a temporary file that vanishes with them."""

SPLITS = ("train", "validation", "test")

Masks = dict[str, dict[str, np.ndarray]]
"""Table → split → bool [rows], true for the rows of the split."""


@dataclass
class Split:
    """Events of one split.

    Args:
        x: [n, *space.shape] in a compact type: uint8, int16 or int32 for discrete spaces, float32 or float64 for real.
        context: [n, *context space's shape] in a compact type, such as class numbers [n]; or None.
        greys: if events are binarised anew on every visit, the grey values [n, *space.shape] behind them; `x` is
            then one fixed draw.
        white: the grey value that is drawn as 1 with probability 1.
        files: the file of each event, or of each document of a text, if each came from its own; else None.
        numbers: of the events in the split that this is a part of, [n]; None: 0 … n − 1.
        drawn: index, in the source's table, of each event's row, or of each document's of a text, [n], where the split
            is a part of the table; None: `rows`.
    """

    x: np.ndarray
    context: np.ndarray | None = None
    greys: np.ndarray | None = None
    white: int = 255
    files: list[str] | None = None
    numbers: np.ndarray | None = None
    drawn: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def arrays(self) -> tuple[np.ndarray | None, ...]:
        """What the fingerprint of the data covers."""
        return self.x, self.context, self.greys

    def events(self, index: Any = None, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """Events and their context as a model takes them.

        Args:
            index: rows (slice, array or tensor); None for all.
            generator: draws a new binarisation where the split has one; without it the fixed draw is returned.

        Returns:
            x [n, *space.shape], int64 or floating point, and the context [n, …], int64 or float64, or None.
        """
        rows: Any = slice(None) if index is None else index.cpu().numpy() if isinstance(index, Tensor) else index
        context = None if self.context is None else torch.from_numpy(np.ascontiguousarray(self.context[rows]))
        if context is not None:
            context = context.double() if context.is_floating_point() else context.long()
        if self.greys is not None and generator is not None:
            probability = torch.from_numpy(np.ascontiguousarray(self.greys[rows])).float() / self.white
            return torch.bernoulli(probability, generator=generator).long(), context
        x = torch.from_numpy(np.array(self.x[rows]))
        return x if x.is_floating_point() else x.long(), context

    @property
    def rows(self) -> np.ndarray:
        """The number of each event in the split that this is a part of, [n]."""
        return np.arange(len(self)) if self.numbers is None else self.numbers

    @property
    def source_rows(self) -> np.ndarray:
        """The index of each event's row in the table of the source that it came from, from 0 on, [n]."""
        return self.rows if self.drawn is None else self.drawn

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """All events in order, `size` rows at a time, in their compact type (uint8, int16, int32 or floating point)."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            context = None if self.context is None else torch.from_numpy(self.context[rows])
            yield torch.from_numpy(self.x[rows]), context

    def subset(self, n: int, seed: int = 0) -> Split:
        """At most n events drawn without replacement, in their old order."""
        if n >= len(self):
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False))
        pick = (None if a is None else a[rows] for a in (self.context, self.greys))
        files = None if self.files is None else [self.files[row] for row in rows]
        numbers = rows if self.numbers is None else self.numbers[rows]
        drawn = None if self.drawn is None else self.drawn[rows]
        return Split(self.x[rows], *pick, white=self.white, files=files, numbers=numbers, drawn=drawn)


@dataclass(repr=False)
class Data:
    """A data set ready to train on.

    Args:
        name: short name of the source.
        source: where it came from.
        space: of the events.
        context_space: of the context; None if there is none.
        codec: raw value ↔ event.
        splits: name → split.
        notes: what was taken and assumed, a sentence each.
        request: options of `load` that give the same data again.
        fingerprint: SHA-256 over the splits.
        context_codec: column values ↔ context; None if there is none.
        remarks: those of the notes that say what values lost on the way: sounds resampled or cut, texts cut.
    """

    name: str
    source: str
    space: Space
    context_space: Space | None
    codec: Codec
    splits: dict[str, Split]
    notes: list[str] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    context_codec: ContextCodec | None = None
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.fingerprint = self.fingerprint or fingerprint(self.splits)

    @property
    def train(self) -> Split:
        """Events to learn from."""
        return self._split("train")

    @property
    def validation(self) -> Split:
        """Events to choose by."""
        return self._split("validation")

    @property
    def test(self) -> Split:
        """Events to report on."""
        return self._split("test")

    def _split(self, name: str) -> Split:
        if name not in self.splits:
            raise SourceError(f"{self.name} has no {name} split", f"it has {', '.join(self.splits)}")
        return self.splits[name]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(split):,}" for name, split in self.splits.items())
        context = "" if self.context_space is None else f" | {self.context_space}"
        return f"Data({self.name}: {self.space}{context}; {sizes})"


def divide(
    source: Source, loading: Loading, *, everything: bool, rows: str = "events"
) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Which rows of which table belong to which split.

    Published splits are kept. Where none is published for validation, it is drawn from train; an undivided source is
    drawn apart 80/10/10. The limit is drawn last.

    Args:
        source: with its tables.
        loading: validation, limit and seed.
        everything: divide nothing at random.
        rows: what a row is called.

    Returns:
        Table → split → bool [rows], and what was drawn, in sentences.

    Raises:
        SourceError: no rows to learn from, or too few to divide.
    """
    tables, seed, one = source.tables, loading.seed, rows.removesuffix("s")
    masks = {name: {name: np.ones(len(table), bool)} for name, table in tables.items()}
    notes = []
    if source.fixed is not None:
        masks["all"] = assign(len(tables["all"]), dict(zip(SPLITS, source.fixed)), seed=0)
    elif not everything:
        first = "all" if "all" in tables else "train"
        if first not in tables:
            raise SourceError(f"{source.origin} has no train split, only {', '.join(tables)}", "add training events")
        if "validation" in tables and loading.validation is not None:
            raise SourceError(f"{source.origin} has its own validation split", "leave out --validation")
        n = len(tables[first])
        parts = {}
        if "validation" not in tables:
            parts["validation"] = held_out(n, loading.validation, HELD_OUT_MOST if first == "train" else n)
        if first == "all":
            parts["test"] = held_out(n, None, n)
        parts = {name: count for name, count in parts.items() if count}
        if sum(parts.values()) >= n:
            wanted = joined([f"{count:,} for {name}" for name, count in parts.items()])
            fewer = bool(parts.get("validation")) and loading.validation is not None
            remedy = "give a smaller validation (--validation)" if fewer and n > 2 else f"give more {rows}"
            raise SourceError(f"{source.origin} has {plural(n, one)}, too few to hold out {wanted}", remedy)
        if parts:
            masks[first] = assign(n, {"train": n - sum(parts.values())} | parts, seed)
            drawn = joined([f"{name}: {plural(count, one)}" for name, count in parts.items()])
            notes.append(f"{drawn} drawn from {'all' if first == 'all' else 'train'} with seed {seed}")
        elif first == "all":
            masks["all"] = {"train": masks["all"]["all"]}
    if loading.limit is not None:
        for table in masks.values():
            for i, (name, mask) in enumerate(table.items()):
                table[name] = _limited(mask, loading.limit, [seed, i])
        notes.append(f"limit: at most {loading.limit:,} events of each split, drawn with seed {seed}")
    return masks, notes


def held_out(n: int, asked: float | None, most: int) -> int:
    """How many of n events to hold out: the number or part asked for, else a tenth and at most `most`; at least 1."""
    if asked == 0:
        return 0
    if asked is None:
        return max(1, min(round(n * HELD_OUT), most))
    return max(1, round(n * asked)) if asked < 1 else int(asked)


def assign(n: int, parts: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """Divide n rows at random.

    Args:
        n: rows.
        parts: split → how many rows.
        seed: of the permutation.

    Returns:
        Split → bool [n], true for its rows.
    """
    order = np.random.default_rng(seed).permutation(np.arange(n, dtype=np.int32))
    masks, start = {}, 0
    for name, count in parts.items():
        masks[name] = np.zeros(n, bool)
        masks[name][order[start : start + count]] = True
        start += count
    return masks


def _limited(mask: np.ndarray, limit: int, seed: list[int]) -> np.ndarray:
    rows = np.flatnonzero(mask)
    if len(rows) <= limit:
        return mask
    kept = np.zeros_like(mask)
    kept[np.random.default_rng(seed).choice(rows, limit, replace=False)] = True
    return kept


def allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array for events: in memory, or beyond `IN_MEMORY` bytes in a temporary file that goes away with it."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise SourceError(
            f"no room for {size / 2**30:.1f} GiB of events: {error.strerror}", "free some disk, or give a --limit"
        ) from error


def fingerprint(splits: dict[str, Split]) -> str:
    """SHA-256 over names, shapes, types and bytes of the splits.

    Of an array of more than 64 MiB, 1,024 evenly spaced blocks of 64 KiB are hashed.
    """
    digest = hashlib.sha256()
    for name, split in splits.items():
        for array in split.arrays:
            if array is None:
                continue
            digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            if len(data) <= 2**26:
                digest.update(data.data)
            else:
                for start in np.linspace(0, len(data) - 2**16, 1024).astype(np.int64):
                    digest.update(data[start : start + 2**16].data)
    return digest.hexdigest()
