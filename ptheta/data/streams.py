"""Streams of tokens: documents one after the other, seen as blocks, as documents, or from random places."""

from __future__ import annotations

import io
import tempfile
from array import array
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.splits import IN_MEMORY, Split
from ptheta.errors import SourceError


class TextSplit(Split):
    """A stream of tokens. Its events are its blocks of `length` tokens, one after the other.

    What is over at the end of the stream is in no event, but in `stream` and `document`.

    Args:
        stream: tokens [N] in a compact type, in memory or mapped from a file: each document, and the token that ends
            it if there is one.
        ends: int64 [D], where each document ends in the stream (exclusive; after its end token).
        length: m, tokens in one event.

    >>> split = TextSplit(np.arange(7), np.array([4, 7]), 3)
    >>> print(split.x.tolist(), split.document(1))
    [[0, 1, 2], [3, 4, 5]] [4 5 6]
    """

    def __init__(self, stream: np.ndarray, ends: np.ndarray, length: int):
        rows = len(stream) // length
        super().__init__(stream[: rows * length].reshape(rows, length))
        self.stream, self.ends, self.length = stream, ends, length

    def __repr__(self) -> str:
        return f"TextSplit({len(self.stream):,} tokens, {len(self.ends):,} documents, {len(self):,} events)"

    @property
    def arrays(self) -> tuple[np.ndarray | None, ...]:
        """Stream and ends."""
        return self.stream, self.ends

    @property
    def source_rows(self) -> np.ndarray:
        """The number of each block, from 0 on, [n]: blocks are no rows of a table."""
        return self.rows

    @property
    def document_rows(self) -> np.ndarray:
        """The index of each document's row in the table of the source that it came from, from 0 on, [D]."""
        return np.arange(len(self.ends)) if self.drawn is None else self.drawn

    def document(self, i: int) -> np.ndarray:
        """Tokens of document i, with its end token if there is one."""
        return self.stream[int(self.ends[i - 1]) if i else 0 : int(self.ends[i])]

    def events(self, index: Any = None, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """Events as a model takes them.

        Args:
            index: blocks (slice, array or tensor); None for all.
            generator: moves each block by a random 0 to m − 1 tokens, within the stream, so that a model learns from
                every m tokens in a row; without it the blocks are fixed.

        Returns:
            x int64 [n, m], and None, the context.
        """
        if generator is None:
            return super().events(index)
        rows: Any = slice(None) if index is None else index.cpu().numpy() if isinstance(index, Tensor) else index
        blocks = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows, np.int64)
        starts = blocks * self.length
        starts = starts + torch.randint(self.length, (len(starts),), generator=generator).numpy()
        starts = np.minimum(starts, len(self.stream) - self.length)
        return torch.from_numpy(np.asarray(self.stream[starts[:, None] + np.arange(self.length)])).long(), None

    def part(self, start: int, stop: int) -> TextSplit:
        """Tokens start … stop − 1 as a split of their own; documents that reach across are cut."""
        ends = self.ends[(self.ends > start) & (self.ends <= stop)] - start
        if stop > start and (len(ends) == 0 or ends[-1] < stop - start):
            ends = np.append(ends, stop - start)
        return TextSplit(self.stream[start:stop], ends, self.length)

    def tokens_of(self, size: int, byte_lengths: np.ndarray) -> int:
        """How many tokens the first `size` bytes of the text take.

        Args:
            size: bytes, at most those of the stream.
            byte_lengths: bytes of each token [K].
        """
        step, before = 2**20, 0
        for start in range(0, len(self.stream), step):
            held = np.cumsum(byte_lengths[self.stream[start : start + step]])
            if before + held[-1] >= size:
                return start + int(np.searchsorted(held, size - before)) + (size > before)
            before += int(held[-1])
        return len(self.stream)


class Writer:
    """Collects a stream whose length nobody knows yet: in memory, or beyond `IN_MEMORY` bytes in a temporary file.

    Args:
        dtype: of the tokens.
        end: token to write after each document, or None.
    """

    def __init__(self, dtype: np.dtype, end: int | None):
        self.dtype = dtype
        self._end = b"" if end is None else np.array(end, dtype).tobytes()
        self._file: Any = io.BytesIO()
        self._ends = array("q")

    def append(self, tokens: np.ndarray, last: bool) -> None:
        """Go on with a document by its next tokens [k], and end it if they are its last."""
        try:
            self._file.write(tokens.tobytes())
            if last:
                self._file.write(self._end)
                self._ends.append(self._file.tell() // self.dtype.itemsize)
            if isinstance(self._file, io.BytesIO) and self._file.tell() > IN_MEMORY:
                memory, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115
                self._file.write(memory.getbuffer())
        except OSError as error:
            raise _full(error) from error

    def split(self, length: int) -> TextSplit:
        """The stream with its documents; a file vanishes with it."""
        if isinstance(self._file, io.BytesIO):
            stream = np.frombuffer(self._file.getbuffer(), self.dtype)
        else:
            try:
                self._file.flush()
            except OSError as error:
                raise _full(error) from error
            stream = np.memmap(self._file, self.dtype, "r+")
            self._file.close()  # the mapping stays
        return TextSplit(stream, np.array(self._ends, np.int64), length)


def _full(error: OSError) -> SourceError:
    return SourceError(f"no room for the tokens of the text: {error.strerror}", "free some disk, or give less text")
