"""Plain arrays ↔ events."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import ContextCodec, Place, as_array, compact, nowhere
from ptheta.data.codecs.plain_rows import check_resolutions
from ptheta.errors import SourceError
from ptheta.files import write_bytes
from ptheta.spaces import Discrete, Real
from ptheta.values import shortest, snapped


@dataclass(frozen=True)
class ArrayCodec(ContextCodec):
    """Arrays of whole numbers 0 … levels − 1, or of real numbers, as they are.

    Args:
        shape: of one event.
        levels: number of values; None for real numbers.
        type: the numpy type of the user's arrays.
        resolution: of real numbers, see `ptheta.values`.
    """

    shape: list[int]
    levels: int | None
    type: str
    resolution: str = field(default="double", compare=False)

    kind = "array"

    def __post_init__(self):
        if np.dtype(self.type).kind not in "fiub":
            raise ValueError(f"arrays of {self.type} are not numbers")
        check_resolutions([self.resolution], [self.type])

    @property
    def space(self) -> Discrete | Real:
        """Discrete(shape, levels) or Real(shape)."""
        return Real(tuple(self.shape)) if self.levels is None else Discrete(tuple(self.shape), self.levels)

    @property
    def dtype(self) -> np.dtype:
        """Compact integers, float32 or float64."""
        if self.levels is not None:
            return compact(self.levels)
        return np.dtype(np.float64 if np.dtype(self.type).itemsize > 4 else np.float32)

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, *shape] of an array."""
        array = np.asarray(raw)
        if array.ndim == 1 and self.shape == [1]:
            array = array[:, None]
        if list(array.shape[1:]) != self.shape:
            raise SourceError(f"events have shape {list(array.shape[1:])}", f"they need {self.shape}")
        if self.levels is None:
            bad, allowed = ~np.isfinite(array), "finite numbers"
        elif array.dtype.kind not in "iub" and not (array == np.round(array)).all():
            raise SourceError(f"the array holds {array.dtype} values", "these events are whole numbers; round them")
        else:
            bad, allowed = (array < 0) | (array >= self.levels), f"0 to {self.levels - 1}"
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise SourceError(f"{place(row)} holds {array[row][bad[row]][0]}", f"values need to be {allowed}")
        if self.levels is None and array.dtype != self.dtype:
            array = shortest(array)
        if self.levels is None and self.dtype.itemsize > 4:
            array = snapped(array, self.resolution)
        return np.ascontiguousarray(array, self.dtype)

    def decode(self, x: Tensor | np.ndarray) -> np.ndarray:
        """An array of the user's type, [n, *shape]."""
        return as_array(x).astype(self.type)

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One NPY file of all events, and one of their contexts if there are any."""
        files = {f"{stem}.npy": self.decode(x)}
        if context_names is not None:
            files[f"{stem}-context.npy"] = np.array(list(context_names), str)
        paths = []
        for name, array in files.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            paths.append(write_bytes(Path(directory) / name, buffer.getvalue(), flush=False))
        return paths
