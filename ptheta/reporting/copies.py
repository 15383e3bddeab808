"""Are samples copies? Every sample beside the training picture nearest to it, and real unseen pictures for comparison.

A model that memorises draws pictures far nearer to the training pictures than new real ones are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data import Codec, Data, Split
from ptheta.reporting.pictures import SHEET, enlarged, grid, headed, together

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

VALUES = 2**22
"""Sub-pixels of training pictures compared at a time; bounds memory."""

PROBED = 1024
"""Training pictures by which the speed of the search is measured."""

PATIENCE = 20.0
"""Seconds that the search may take; if all training pictures take longer, a seeded part of them is searched."""

PAIRS = 16
"""Pictures shown beside their neighbours."""


@dataclass(frozen=True)
class Neighbours:
    """The training picture nearest to each of n pictures.

    Attributes:
        index: its row in the training split, the first of several, int64 [n].
        rms: root mean square difference over sub-pixels, in 8-bit units, float64 [n]; 0 for equal pictures.
    """

    index: np.ndarray
    rms: np.ndarray

    @property
    def identical(self) -> int:
        """How many pictures equal a training picture."""
        return int((self.rms == 0).sum())

    @property
    def median(self) -> float:
        """Median distance."""
        return float(np.median(self.rms))


def nearest_pictures(
    codec: Codec, x: np.ndarray | Tensor, train: np.ndarray, rows: np.ndarray | None = None
) -> Neighbours:
    """The nearest training pictures by Euclidean distance between the 8-bit colours that the codec shows.

    The distances are exact: products and sums of bytes are integers that float64 holds.

    Args:
        codec: shows events as pictures.
        x: events [n, *space.shape].
        train: events [N, *space.shape].
        rows: of the training events to search; None for all.
    """
    rows = np.arange(len(train)) if rows is None else rows
    pictures = _colours(codec, x)  # [n, d]
    norms, d = (pictures**2).sum(1), pictures.shape[1]
    best, index = np.full(len(pictures), np.inf), np.zeros(len(pictures), np.int64)
    size = max(1, min(VALUES // d, 4096))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        stored = _colours(codec, train[part])  # [r, d]
        squares = norms[:, None] - 2 * pictures @ stored.T + np.einsum("rd,rd->r", stored, stored)  # [n, r]
        at = squares.argmin(1)
        least = squares[np.arange(len(pictures)), at]
        index = np.where(least < best, part[at], index)
        best = np.minimum(least, best)
    return Neighbours(index, np.sqrt(best / d))


def copy_check(codec: Codec, data: Data, x: Tensor, *, seconds: float = PATIENCE) -> tuple[dict[str, Any], Picture]:
    """Compare samples, and as many unseen real pictures, with the training pictures.

    Args:
        codec: shows events as pictures.
        data: with train, and test or validation for comparison. Of pictures binarised anew in every epoch the fixed
            draw is searched.
        x: samples [n, *space.shape].
        seconds: the search may take, about.

    Returns:
        What was found, JSON values: numbers of samples and of those identical to a training picture, medians of
        the distances; the same of real pictures. And a sheet of those samples, and real pictures, that are nearest to
        a training picture, beside it.
    """
    train = data.train
    name = next((name for name in ("test", "validation") if name in data.splits), None)
    real = None if name is None else data.splits[name].subset(len(x)).events()[0]
    queries = np.concatenate([part.numpy() for part in (x, real) if part is not None])
    rows = _affordable(codec, queries, train, seconds)
    found = nearest_pictures(codec, queries, train.x, rows)
    ours, theirs = (Neighbours(found.index[part], found.rms[part]) for part in (slice(len(x)), slice(len(x), None)))
    record: dict[str, Any] = {
        "samples": len(x),
        "identical": ours.identical,
        "nearest_rms_median": ours.median,
        "nearest_rms_least": float(ours.rms.min()),
        "train": len(train),
        "searched": len(train) if rows is None else len(rows),
    }
    part = "" if rows is None else f"{len(rows):,} of "
    blocks = [_block(codec, x.numpy(), train, ours, "samples")]
    if real is not None and len(real):
        record |= {
            "heldout_split": name,
            "heldout": len(real),
            "heldout_identical": theirs.identical,
            "heldout_rms_median": theirs.median,
        }
        blocks.append(_block(codec, real.numpy(), train, theirs, f"{name} pictures"))
    lines = [
        f"right of each picture: the nearest of {part}{len(train):,} training pictures; below: their distance, the "
        "root mean square difference of sub-pixels (0 to 255)"
    ]
    return record, headed(together(blocks, gap=24), lines)


def _affordable(codec: Codec, x: np.ndarray, train: Split, seconds: float) -> np.ndarray | None:
    """Rows of the training pictures that can be searched in about this many seconds; None: all of them."""
    if len(train) <= PROBED:
        return None
    clock = time.perf_counter()
    nearest_pictures(codec, x, train.x, np.arange(PROBED))
    n = int(seconds * PROBED / (time.perf_counter() - clock))
    if n >= len(train):
        return None
    return np.sort(np.random.default_rng(0).choice(len(train), max(n, PROBED), replace=False))


def _block(codec: Codec, x: np.ndarray, train: Split, found: Neighbours, name: str) -> Picture:
    """The pictures that are nearest to a training picture, beside it, under a line that says how near all are."""
    order = np.argsort(found.rms, kind="stable")
    pictures = codec.pictures(x[order[:PAIRS]])
    neighbours = codec.pictures(train.x[found.index[order[:PAIRS]]])
    pairs = [together([enlarged(a), enlarged(b)], gap=2) for a, b in zip(pictures, neighbours)]
    columns = max(1, min(4, SHEET // (2 * pairs[0].width)))
    pairs = pairs[: 4 * columns]
    distances = [f"{rms:.1f}" if rms else "identical" for rms in found.rms[order[: len(pairs)]]]
    shown = "" if len(pairs) == len(x) else f"; the {len(pairs)} nearest:"
    line = f"{len(x)} {name}: median distance {found.median:.1f}, {found.identical} identical{shown}"
    return headed(grid(pairs, columns, gap=8, captions=distances), [line])


def _colours(codec: Codec, x: np.ndarray | Tensor) -> np.ndarray:
    """8-bit sub-pixels of the pictures of events, as float64, [n, d]."""
    pictures: list[Picture] = codec.pictures(x)
    plain = [picture if picture.mode in ("L", "RGB") else picture.convert("RGB") for picture in pictures]
    return np.stack([np.asarray(picture).reshape(-1) for picture in plain]).astype(np.float64)


def copies_line(record: dict[str, Any]) -> str:
    """What a copy check found, in a sentence.

    >>> copies_line({"samples": 64, "identical": 1, "nearest_rms_median": 20.04, "searched": 500, "train": 500})
    '1 of 64 samples equals a training picture; median distance to the nearest one (of 255): samples 20.0.'
    """
    equals = f"equal{'s' if record['identical'] == 1 else ''} a training picture"
    counts, distances = "", ""
    if "heldout" in record:
        real = f"{record['heldout_split']} pictures"
        counts = f", {record['heldout_identical']} of {record['heldout']} {real}"
        distances = f", {real} {record['heldout_rms_median']:.1f}"
    part = f"; {record['searched']:,} of {record['train']:,} were searched" * (record["searched"] < record["train"])
    return (
        f"{record['identical']} of {record['samples']} samples {equals}{counts}; median distance to the nearest one "
        f"(of 255): samples {record['nearest_rms_median']:.1f}{distances}{part}."
    )
