"""Numbers that wait in a temporary file, so that no file that is coded has to fit into memory."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

HELD = 2**24
"""Bytes that are held in memory; beyond, they lie in a temporary file."""


class Spool:
    """Rows of numbers in order: appended, or put at their places, and read by their places.

    Args:
        dtype: of the numbers.
        width: numbers in a row; None: rows are single numbers.
    """

    def __init__(self, dtype: Any, width: int | None = None):
        self.dtype, self.width, self.rows = np.dtype(dtype), width, 0
        self._row_bytes = self.dtype.itemsize * (1 if width is None else width)
        self._file = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115

    def __len__(self) -> int:
        return self.rows

    def append(self, rows: np.ndarray | bytes) -> None:
        """Add rows [n] or [n, width] at the end; bytes are rows as they lie in memory."""
        self.put(self.rows, rows)

    def put(self, start: int, rows: np.ndarray | bytes) -> None:
        """Write rows from row `start` on."""
        content = rows if isinstance(rows, bytes) else rows.astype(self.dtype, copy=False).tobytes()
        if start * self._row_bytes + len(content) > HELD:
            self._file.rollover()  # before the gap in front of a far place is filled with zeros in memory
        self._file.seek(start * self._row_bytes)
        self._file.write(content)
        self.rows = max(self.rows, start + len(content) // max(self._row_bytes, 1))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop, [n] or [n, width]; 0 where nothing was written."""
        size = (stop - start) * self._row_bytes
        self._file.seek(start * self._row_bytes)
        content = bytearray(self._file.read(size))
        content.extend(bytes(size - len(content)))
        found = np.frombuffer(content, self.dtype)
        return found if self.width is None else found.reshape(stop - start, self.width)

    def truncate(self, rows: int) -> None:
        """Forget the rows from `rows` on."""
        self._file.truncate(rows * self._row_bytes)
        self.rows = rows
