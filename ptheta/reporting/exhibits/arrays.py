"""Arrays: NPY files, and rows of numbers in the user's own type."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ptheta.data.codecs import ArrayCodec
from ptheta.reporting.exhibits.base import Exhibit


class Arrays(Exhibit[ArrayCodec]):
    """Arrays of numbers."""

    def values(self, x: Tensor) -> np.ndarray:
        """The user's values, [n, k]."""
        return self.codec.decode(x).reshape(len(x), -1)
