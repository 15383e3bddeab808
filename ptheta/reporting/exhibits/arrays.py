"""Arrays: NPY files, and rows of numbers in the user's own type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.data.codecs import ArrayCodec
from ptheta.evaluation.samples import as_frame, features
from ptheta.reporting.exhibits.base import Exhibit

if TYPE_CHECKING:
    import pandas as pd


class Arrays(Exhibit[ArrayCodec]):
    """Arrays of numbers."""

    def frame(self, x: Tensor) -> pd.DataFrame | None:
        """Columns x0, x1, … of vectors that are not long."""
        return as_frame(self.codec, x)

    def features(self, several: list[Tensor]) -> list[np.ndarray]:
        """The numbers themselves, or principal components of many."""
        return features(self.codec, several)

    def values(self, x: Tensor) -> np.ndarray:
        """The user's values, [n, k]."""
        return self.codec.decode(x).reshape(len(x), -1)
