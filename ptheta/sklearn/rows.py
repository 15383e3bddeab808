"""What rows of numbers are to a model: real numbers, whole numbers seen before, bins, or columns of a mixed table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ptheta.data import load
from ptheta.data.codecs import TableCodec
from ptheta.errors import UsageError
from ptheta.spaces import Discrete, Real, Space
from ptheta.values import inferred, resolution_of, shortest, snapped


class Rows(ABC):
    """Rows of numbers ↔ events of a space."""

    space: Space

    @abstractmethod
    def encode(self, X: Any) -> tuple[np.ndarray, np.ndarray | float]:
        """Events [n, m], and what is added to their log-probability, [n] nats, for the log-density of rows X."""

    @abstractmethod
    def decode(self, events: np.ndarray, generator: np.random.Generator) -> Any:
        """Rows of events [n, m]."""


class Reals(Rows):
    """Real numbers as they are.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
    """

    def __init__(self, X: np.ndarray, bins: int):
        self.space = Real((X.shape[1],))
        self.resolutions = _resolutions(X)

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, float]:
        """The rows, float64."""
        return _values(X, self.resolutions), 0.0

    def decode(self, events: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The events."""
        return events


class Levels(Rows):
    """Whole numbers, those seen in the fit, as levels.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
    """

    def __init__(self, X: np.ndarray, bins: int):
        columns = [np.unique(column).tolist() for column in _whole(X).T]
        self.codec = TableCodec([f"column {j}" for j in range(X.shape[1])], columns)
        self.space = self.codec.space

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, float]:
        """The level of every number."""
        X = _whole(X)
        return self.codec.encode({name: X[:, j] for j, name in enumerate(self.codec.columns)}), 0.0

    def decode(self, events: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The numbers, int64."""
        return self.codec.decode(events).to_numpy()


class Bins(Rows):
    """Real numbers as numbers of bins: 0 below the range of the fit, 1 … `bins` in it, `bins` + 1 above it.

    Args:
        X: rows of the fit [n, m].
        bins: of one width, over the range of every column.
    """

    def __init__(self, X: np.ndarray, bins: int):
        if bins < 1:
            raise UsageError(f"bins is {bins}", "give at least 1")
        self.resolutions = _resolutions(X)
        X = _values(X, self.resolutions)
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

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bin of every number, and −log of the volume of the cell, or −∞ outside."""
        last = len(self.log_width) - 1
        X = _values(X, self.resolutions)
        found = np.stack([np.searchsorted(edges, x, "right") - 1 for edges, x in zip(self.edges.T, X.T)], 1)
        found = np.where(self.edges[-2] == X, last - 1, found)  # the greatest number of the fit is in its range
        outside = ((found < 0) | (found > last)).any(1)
        levels = found.clip(0, last)
        log_volume = np.take_along_axis(self.log_width, levels, 0).sum(1)
        return levels.astype(np.int32), np.where(outside, -np.inf, -log_volume)

    def decode(self, events: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A number drawn evenly from every bin."""
        low, high = (np.take_along_axis(self.edges, events + upper, 0) for upper in (0, 1))
        return generator.uniform(low, high)


class Loaded(Rows):
    """Data frames as `ptheta.load` reads them.

    Args:
        frame: of the fit.
        columns: option of `load`.
    """

    def __init__(self, frame: Any, columns: str):
        self.names = [str(name) for name in frame.columns]
        self.codec = load(frame, self.names, columns=columns).codec
        self.space = self.codec.space

    def encode(self, X: Any) -> tuple[np.ndarray, float]:
        """The events of a frame."""
        return load(X, self.names, codec=self.codec).splits["all"].x, 0.0

    def decode(self, events: np.ndarray, generator: np.random.Generator) -> Any:
        """A data frame."""
        return self.codec.decode(events)


class Mixed(Rows):
    """Arrays whose columns are each what they are.

    Args:
        X: rows of the fit [n, m].
        bins: not used.
    """

    def __init__(self, X: np.ndarray, bins: int):
        self.type = X.dtype
        self.loaded = Loaded(self._frame(X), "mixed")
        self.space = self.loaded.space

    def _frame(self, X: np.ndarray) -> Any:
        import pandas as pd

        return pd.DataFrame(X, columns=pd.Index([f"column {j}" for j in range(X.shape[1])]))

    def encode(self, X: np.ndarray) -> tuple[np.ndarray, float]:
        """The events of an array."""
        return self.loaded.encode(self._frame(X))

    def decode(self, events: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """An array of the type of the fit."""
        return self.loaded.decode(events, generator).to_numpy(self.type)


KINDS: dict[str, Callable[[np.ndarray, int], Rows]] = {
    "real": Reals,
    "discrete": Levels,
    "binned": Bins,
    "mixed": Mixed,
}


def _resolutions(X: np.ndarray) -> list[str]:
    """The resolution of each column, see `ptheta.values`."""
    values, stored, exact = shortest(X), resolution_of(X.dtype), X.dtype.kind != "f"
    return [inferred(column, stored, exact) for column in values.T]


def _values(X: np.ndarray, resolutions: list[str]) -> np.ndarray:
    """The values that numbers [n, m] stand for in columns of these resolutions, float64."""
    columns = [snapped(column, resolution) for column, resolution in zip(shortest(X).T, resolutions)]
    return np.stack(columns, 1) if columns else np.empty(X.shape)


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
