"""What the benchmarks share: where the data are, what machine this is, tables in Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter

import torch

DATA = Path(os.environ.get("PTHETA_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Folder of the real data sets."""


def machine() -> str:
    """The machine, in a line."""
    return f"{torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def interleaved(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, taken in turn so that drifts of the machine hit all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = perf_counter()
            run()
            seconds[name].append(perf_counter() - start)
    return seconds


def spread(values: Sequence[float]) -> str:
    """Median, with least and most."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"
