"""Tables: CSV and Parquet files, and the columns that make a row strange."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.anomalies import Scores, mean_surprise
from ptheta.data import Split
from ptheta.data.codecs import FrameCodec, RowCodec
from ptheta.evaluation.samples import as_frame, features
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given

if TYPE_CHECKING:
    import pandas as pd

NAMED = 3
"""Columns that are named as making a row strange, at most."""


class Tables(Exhibit[FrameCodec]):
    """Rows of named columns."""

    gives_reasons = True

    @classmethod
    def of(cls, codec: FrameCodec) -> Exhibit[FrameCodec]:
        """Of mixed columns any cell may be missing."""
        return MixedTables(codec) if isinstance(codec, RowCodec) else cls(codec)

    @property
    def columns(self) -> list[str]:
        """Their names."""
        return self.codec.names

    def some_values(self, name: str) -> list[str]:
        """Some of a column."""
        return self.codec.some_values(name)

    def reasons(self, scores: Scores, events: Split, row: int) -> list[tuple[str, str, float]]:
        """The columns that make a row strange.

        The surprise of a column is −log p of its cell given those before it; it is compared with the column's mean
        among the calibration events (among those scored, if there are none): densities of real columns have units, and
        differences of their logarithms have not.

        Returns:
            Name, value and excess in nats of at most `NAMED` columns of positive excess, most surprising first.
        """
        if scores.pieces is None:
            return []
        usual = mean_surprise(scores.pieces) if scores.usual is None else scores.usual
        excess = (-scores.pieces[row] - usual).numpy()
        cells = self.codec.decode(events.x[row : row + 1]).iloc[0]
        most = [int(j) for j in np.argsort(-excess)[:NAMED] if excess[j] > 0]
        return [(str(cells.index[j]), str(cells.iloc[j]), float(excess[j])) for j in most]

    def write(self, x: Tensor, directory: Path, given: Given | None) -> list[Path]:
        """One CSV file in a folder, or a CSV or Parquet file."""
        is_file = directory.suffix and not directory.is_dir()
        return [self.write_one(x, directory if is_file else directory / "sample.csv", given)]

    def write_one(self, x: Tensor, path: Path, given: Given | None) -> Path:
        """Rows after the columns of their contexts, or one column of captions."""
        columns, writings = (None, None) if given is None else (given.columns(), given.writings)
        return self.codec.write_frame(x, path, columns, writings)

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """One CSV file."""
        return [self.write_one(x, folder / "samples.csv", given)]

    # a report

    def frame(self, x: Tensor) -> pd.DataFrame | None:
        """The rows."""
        return as_frame(self.codec, x)

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """The columns, categories as numbers of values."""
        return features(self.codec, several)


class MixedTables(Tables):
    """Rows whose cells may be missing, and are then drawn."""

    completion = "cells"
