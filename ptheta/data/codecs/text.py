"""Text ↔ events: blocks of bytes."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Codec, Place, as_array, file_names, nowhere
from ptheta.errors import SourceError
from ptheta.files import write_bytes
from ptheta.spaces import Sequence


@dataclass(frozen=True)
class TextCodec(Codec):
    """A stream of UTF-8 bytes ↔ non-overlapping blocks of tokens; a token is a byte's rank in the alphabet.

    Args:
        length: tokens in one event.
        alphabet: the bytes that occur, ascending; None for all 256.
    """

    length: int = 64
    alphabet: list[int] | None = None

    kind = "text"

    def __post_init__(self):
        alphabet = self.alphabet
        if alphabet is not None and (sorted(set(alphabet)) != alphabet or not alphabet or max(alphabet) > 255):
            raise ValueError("an alphabet is ascending bytes")

    @property
    def space(self) -> Sequence:
        """Sequence(length, number of bytes in the alphabet)."""
        return Sequence(self.length, len(self._bytes))

    @property
    def dtype(self) -> np.dtype:
        """uint8."""
        return np.dtype(np.uint8)

    @cached_property
    def _bytes(self) -> np.ndarray:
        return np.array(range(256) if self.alphabet is None else self.alphabet, np.uint8)

    def tokens(self, text: str | bytes, place: Place = nowhere) -> np.ndarray:
        """Tokens [bytes] of a text of any length, such as a prompt.

        Raises:
            SourceError: a byte that the alphabet lacks.
        """
        data = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
        ranks = np.full(256, -1, np.int16)
        ranks[self._bytes] = np.arange(len(self._bytes))
        tokens = ranks[data]
        if len(tokens) and int(tokens.min()) < 0:
            at = int(np.argmin(tokens))
            raise SourceError(
                f"byte {at + 1:,} of {place(0)} is {bytes([data[at]])!r}, which the training text does not have",
                "remove it, or fit on text that has it",
            )
        return tokens.astype(np.uint8)

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, length] of one text, or of a list of texts that are joined; what is over at the end is dropped."""
        if isinstance(raw, list | tuple):
            raw = b"".join(text.encode() if isinstance(text, str) else text for text in raw)
        tokens = self.tokens(raw, place)
        n = len(tokens) // self.length
        return tokens[: n * self.length].reshape(n, self.length)

    def to_bytes(self, x: Tensor | np.ndarray) -> list[bytes]:
        """The exact bytes of events, or of longer or shorter rows of tokens."""
        return [self._bytes[row].tobytes() for row in as_array(x)]

    def decode(self, x: Tensor | np.ndarray) -> list[str]:
        """Texts; characters cut at the ends of an event show as �."""
        return [text.decode("utf-8", "replace") for text in self.to_bytes(x)]

    def read(self, path: str | Path) -> np.ndarray:
        """All whole blocks of a file, [n, length]."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}", "check the path") from None
        if len(data) < self.length:
            raise SourceError(f"{path} has {len(data)} bytes", f"an event has {self.length}; give a longer text")
        return self.encode(data, lambda _: str(path))

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: SequenceOf[str] | None = None,
    ) -> list[Path]:
        """One text file an event."""
        names = file_names(len(x), stem, ".txt", context_names)
        return [write_bytes(Path(directory) / name, text, flush=False) for name, text in zip(names, self.to_bytes(x))]
