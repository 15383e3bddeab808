"""What rows of numbers are to a model: real numbers, whole numbers seen before, bins, or columns of a mixed table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data import load
from ptheta.data.codecs import TableCodec
from ptheta.data.finding.densities import NAMED, check_numbers, of_numbers, remarks
from ptheta.errors import UsageError, nearest
from ptheta.spaces import Discrete, Real, Space
from ptheta.values import inferred, resolution_of, shortest, snapped


class Rows(ABC):
    """Rows of numbers ↔ events of a space."""

    space: Space
    context_space: Space | None = None
    remarks: Sequence[str] = ()
    """What was left out or reinterpreted, in sentences."""

    @abstractmethod
    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | float]:
        """Events [n, m], their contexts, and what is added to their log-probability, [n] nats, for the log-density of
        rows X."""

    @abstractmethod
    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> Any:
        """Rows of events [n, m] and their contexts."""


class Reals(Rows):
    """Real numbers as they are.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
        names: of the columns.
    """

    def __init__(self, X: np.ndarray, bins: int, names: Sequence[str]):
        self.space = Real((X.shape[1],))
        self.resolutions = _resolutions(X)
        values = _values(X, self.resolutions)
        check_numbers([values], lambda j: f"column {names[j]}")
        self.remarks = of_numbers([values], names)

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, float]:
        """The rows, float64."""
        return _values(X, self.resolutions), None, 0.0

    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
        """The events."""
        return events


class Levels(Rows):
    """Whole numbers, those seen in the fit, as levels.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
        names: of the columns.
    """

    def __init__(self, X: np.ndarray, bins: int, names: Sequence[str]):
        columns = [np.unique(column).tolist() for column in _whole(X).T]
        self.codec = TableCodec([f"column {j}" for j in range(X.shape[1])], columns)
        self.space = self.codec.space

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, float]:
        """The level of every number."""
        X = _whole(X)
        return self.codec.encode({name: X[:, j] for j, name in enumerate(self.codec.columns)}), None, 0.0

    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
        """The numbers, int64."""
        return self.codec.decode(events).to_numpy()


class Bins(Rows):
    """Real numbers as numbers of bins: 0 below the range of the fit, 1 … `bins` in it, `bins` + 1 above it.

    Args:
        X: rows of the fit [n, m].
        bins: of one width, over the range of every column.
        names: of the columns.
    """

    def __init__(self, X: np.ndarray, bins: int, names: Sequence[str]):
        if bins < 1:
            raise UsageError(f"bins is {bins}", "give at least 1")
        self.resolutions = _resolutions(X)
        X = _values(X, self.resolutions)
        if (whole := (np.round(X) == X).all(0)).any():
            self.remarks = [_binned([names[int(j)] for j in np.flatnonzero(whole)], bins)]
        low, high = X.min(0), X.max(0)
        low, high = np.where(high > low, (low, high), (low - 0.5, high + 0.5))
        with np.errstate(all="ignore"):
            outer = high - low
            inner = np.linspace(low, high, bins + 1)
            self.edges = np.concatenate([[low - outer], inner, [high + outer]])  # [bins + 3, m]
            self.log_width = np.log(np.diff(self.edges, axis=0))
        if not (uncut := np.isfinite(self.log_width).all(0)).all():
            raise UsageError(
                f"column {int(uncut.argmin())} goes from {low[uncut.argmin()]:g} to {high[uncut.argmin()]:g}, which "
                f"float64 cannot cut into {bins} bins",
                "subtract an offset from that column, or scale it",
            )
        self.space = Discrete((X.shape[1],), bins + 2)

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """The bin of every number, and −log of the volume of the cell, or −∞ outside."""
        last = len(self.log_width) - 1
        X = _values(X, self.resolutions)
        found = np.stack([np.searchsorted(edges, x, "right") - 1 for edges, x in zip(self.edges.T, X.T)], 1)
        found = np.where(self.edges[-2] == X, last - 1, found)  # the greatest number of the fit is in its range
        outside = ((found < 0) | (found > last)).any(1)
        levels = found.clip(0, last)
        log_volume = np.take_along_axis(self.log_width, levels, 0).sum(1)
        return levels.astype(np.int32), None, np.where(outside, -np.inf, -log_volume)

    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
        """A number drawn evenly from every bin."""
        low, high = (np.take_along_axis(self.edges, events + upper, 0) for upper in (0, 1))
        return generator.uniform(low, high)


class Loaded(Rows):
    """Data frames as `ptheta.load` reads them.

    Args:
        frame: of the fit.
        columns: option of `load`.
        context: columns that are the context.
    """

    def __init__(self, frame: Any, columns: str, context: str | list[str] | None = None):
        self.given = [context] if isinstance(context, str) else list(context or [])
        self.order = [str(name) for name in frame.columns]
        if unknown := [name for name in self.given if name not in self.order]:
            raise UsageError(f"X has no column {unknown[0]!r}", nearest(unknown[0], self.order))
        self.names = [name for name in self.order if name not in self.given]
        found = load(frame, self.names, self.given or None, columns=columns)
        self.codec, self.context_codec = found.codec, found.context_codec
        self.remarks = [*found.remarks, *(remarks(found.codec, found.splits) if "train" in found.splits else [])]
        self.space, self.context_space = found.space, found.context_space

    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray | None, float]:
        """The events and contexts of a frame."""
        read = load(X, self.names, self.given or None, codec=self.codec, context_codec=self.context_codec)
        return read.splits["all"].x, read.splits["all"].context, 0.0

    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> Any:
        """A data frame."""
        frame = self.codec.decode(events)
        if contexts is None or self.context_codec is None:
            return frame
        decoded = self.context_codec.decode(contexts)
        columns = decoded if isinstance(decoded, dict) else {self.given[0]: decoded}
        return frame.assign(**{name: list(values) for name, values in columns.items()})[self.order]


class Mixed(Rows):
    """Arrays whose columns are each what they are.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
        names: of the columns.
    """

    def __init__(self, X: np.ndarray, bins: int, names: Sequence[str]):
        self.type = X.dtype
        self.loaded = Loaded(framed(X), "mixed")
        self.space, self.remarks = self.loaded.space, self.loaded.remarks

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, float]:
        """The events of an array."""
        return self.loaded.encode(framed(X))

    def decode(self, events: np.ndarray, contexts: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
        """An array of the type of the fit."""
        return self.loaded.decode(events, contexts, generator).to_numpy(self.type)


KINDS: dict[str, Callable[[np.ndarray, int, Sequence[str]], Rows]] = {
    "real": Reals,
    "discrete": Levels,
    "binned": Bins,
    "mixed": Mixed,
}


def framed(X: np.ndarray) -> Any:
    """An array [n, m] as a data frame."""
    import pandas as pd

    return pd.DataFrame(X, columns=pd.Index([f"column {j}" for j in range(X.shape[1])]))


def as_context(contexts: np.ndarray | None) -> Tensor | None:
    """Contexts in their compact type as a model takes them."""
    if contexts is None:
        return None
    rows = torch.from_numpy(contexts)
    return rows if rows.is_floating_point() else rows.long()


def _resolutions(X: np.ndarray) -> list[str]:
    """The resolution of each column, see `ptheta.values`."""
    values, stored, exact = shortest(X), resolution_of(X.dtype), X.dtype.kind != "f"
    return [inferred(column, stored, exact) for column in values.T]


def _values(X: np.ndarray, resolutions: list[str]) -> np.ndarray:
    """The values that numbers [n, m] stand for in columns of these resolutions, float64."""
    columns = [snapped(column, resolution) for column, resolution in zip(shortest(X).T, resolutions)]
    return np.stack(columns, 1) if columns else np.empty(X.shape)


def _binned(names: list[str], bins: int) -> str:
    """That whole numbers become bins."""
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return (
        f"column{'s' * (len(names) > 1)} {listed}: whole numbers, cut into {bins} bins, so scores are densities;"
        ' values="discrete" gives each number a probability'
    )


def _whole(X: np.ndarray) -> np.ndarray:
    """Whole numbers, int64.

    Raises:
        UsageError: some are not whole, or too large for int64.
    """
    if X.dtype.kind == "f" and (wrong := np.argwhere(np.round(X) != X)).size:
        row, column = wrong[0]
        raise UsageError(
            f"X[{row}, {column}] is {X[row, column]}, not a whole number", 'give values="real" or "binned"'
        )
    if (wrong := np.argwhere((X >= 2**63) | (X < -(2**63)))).size:
        row, column = wrong[0]
        raise UsageError(
            f"X[{row}, {column}] is {X[row, column]}, beyond 64 bits", "subtract an offset from that column"
        )
    return X.astype(np.int64)
