"""Whole texts ↔ events: each text, then its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs.base import ContextCodec, Place, compact, file_names, nowhere
from ptheta.data.codecs.text import UNITS, TextCodec
from ptheta.errors import SourceError
from ptheta.files import write_bytes
from ptheta.spaces import Document


@dataclass(frozen=True)
class DocumentCodec(ContextCodec):
    """Whole texts ↔ tokens and an end token, as often as a text is shorter than an event.

    Tokens are those of `TextCodec`; the end token is one more, the last. Of a text of more than `length` tokens the
    beginning is the event; an event without an end token is therefore a text of `length` tokens or more.

    Args:
        length: tokens in one event, the end token among them.
        tokenizer: "bytes", "characters" or "bpe".
        alphabet, merges: of the tokenizer, as in `TextCodec`.
        seen: characters that occur in train, in the order of their code points.

    >>> codec = DocumentCodec(4, "characters", alphabet="abc")
    >>> codec.encode(["ab", "cabbac"]).tolist(), codec.decode([[2, 1, 3, 3]])
    ([[0, 1, 3, 3], [2, 0, 1, 1]], ['cb'])
    """

    length: int
    tokenizer: str = "bytes"
    alphabet: str | None = None
    merges: str | None = None
    seen: str = field(default="", compare=False)  # texts become the same events whatever was seen

    kind = "document"
    noun = "text"

    def __post_init__(self):
        _ = self.tokens  # an alphabet or merges that do not fit are refused at once

    @cached_property
    def tokens(self) -> TextCodec:
        """Text ↔ tokens, without the end."""
        return TextCodec(self.length, self.tokenizer, self.alphabet, self.merges)

    @property
    def space(self) -> Document:
        """Document(length, number of tokens and the end)."""
        return Document(self.length, self.levels)

    @property
    def dtype(self) -> np.dtype:
        """Smallest of uint8, int16 and int32 that holds all tokens."""
        return compact(self.levels)

    @property
    def levels(self) -> int:
        """Number of tokens, the end token among them."""
        return self.tokens.levels + 1

    @property
    def end(self) -> int:
        """The token that ends a text."""
        return self.tokens.levels

    @property
    def unit(self) -> str:
        """What one token is called: byte, character or token."""
        return UNITS[self.tokenizer]

    @property
    def bits_label(self) -> str:
        """bits/dim: the ends that fill up short texts are dimensions, but no text."""
        return "bits/dim"

    @property
    def bits_key(self) -> str:
        """bits_per_dim."""
        return "bits_per_dim"

    def in_bits(self, nats: float) -> str:
        """Nats of an event as bits per dimension, and of how many dimensions."""
        return f"{self.bits(nats):.4f} {self.bits_label} of {self.space}"

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for the end."""
        return b"" if token == self.end else self.tokens.piece(token)

    def rows(self, raw: Any, place: Place = nowhere) -> list[np.ndarray]:
        """All tokens [k] of each text, however long, without an end.

        Args:
            raw: texts, bytes, or paths of text files.
            place: names a row in an error.

        Raises:
            SourceError: a missing text, or one that the tokenizer cannot say.
        """
        raw = raw if isinstance(raw, list | tuple) else raw.tolist() if isinstance(raw, np.ndarray) else raw.to_pylist()
        for row, text in enumerate(raw):
            if text is None:
                raise SourceError(f"the text of {place(row)} is missing", "fill it in or remove that row")
        parts: list[list[np.ndarray]] = [[] for _ in raw]
        for row, tokens, _ in self.tokens.stream(raw, place):
            parts[row].append(tokens)
        return [np.concatenate(part) for part in parts]

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, length] of texts; what is longer is cut."""
        rows = self.rows([raw] if isinstance(raw, str | bytes) else raw, place)
        return self.space.pad(rows).numpy().astype(self.dtype)

    def to_bytes(self, x: Tensor | np.ndarray) -> list[bytes]:
        """The exact bytes of events up to their first end."""
        x = torch.as_tensor(x)
        return [b"".join(map(self.piece, row[:k])) for row, k in zip(x.tolist(), self.space.lengths(x).tolist())]

    def decode(self, x: Tensor | np.ndarray) -> list[str]:
        """Texts; a character that was cut shows as �."""
        return [text.decode("utf-8", "replace") for text in self.to_bytes(x)]

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One text file an event."""
        names = file_names(len(x), stem, ".txt", context_names)
        return [write_bytes(Path(directory) / name, text, flush=False) for name, text in zip(names, self.to_bytes(x))]

    # As a context

    def parse(self, text: str) -> np.ndarray:
        """The text itself, [1, length]."""
        return self.encode([text], lambda _: f"the text {text[:40]!r}")

    def names(self, x: Tensor | np.ndarray) -> list[str]:
        """The texts, on one line each."""
        return [" ".join(text.split()) for text in self.decode(x)]

    def remark(self, text: str) -> str | None:
        """That a text is in another script, or too long."""
        if self.is_foreign(text):
            return f"no letter of {text[:40]!r} occurs in the texts that the run was trained on"
        k = len(self.rows([text])[0])
        return f"{text[:40]!r} has {k:,} tokens, and the first {self.length:,} are read" if k > self.length else None

    def is_foreign(self, text: str) -> bool:
        """Whether a text has letters, and none of them, as capital or small letter, occurred in train."""
        letters = {c for c in text.casefold() if c.isalpha()}
        return bool(letters) and letters.isdisjoint(self.seen.casefold())
