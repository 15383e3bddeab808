"""Text ↔ events: blocks of tokens, which are bytes, characters or byte pairs merged again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Codec, Place, as_array, compact, file_names, nowhere
from ptheta.data.codecs.bpe import BytePairs
from ptheta.data.codecs.chunks import Piece, Text, groups
from ptheta.errors import SourceError
from ptheta.files import write_bytes
from ptheta.spaces import Sequence

UNITS = {"bytes": "byte", "characters": "character", "bpe": "token"}
"""Tokenizer → what one of its tokens is called."""


@dataclass(frozen=True)
class TextCodec(Codec):
    """Text ↔ tokens, and non-overlapping blocks of them.

    Tokens are the bytes 0 … 255; or the characters of an alphabet; or the 256 bytes and one token for each merge of a
    byte-level BPE. If texts are documents, one more token, the last, ends each of them. Bytes and BPE take any bytes
    and give them back exactly; characters take UTF-8 text of their alphabet.

    Args:
        length: tokens in one event.
        tokenizer: "bytes", "characters" or "bpe".
        alphabet: of characters: those that there are, in the order of their code points.
        merges: of bpe: `left right` on each line, in the byte-level spelling of the `tokenizers` package.
        documents: whether the last level is an end-of-document token.

    >>> codec = TextCodec(4, "characters", alphabet=" abc", documents=True)
    >>> print(codec.space, codec.tokens("cab a"), codec.to_bytes([[3, 1, 2, 4]]))
    Sequence(length=4, levels=5, end of document 4) [3 1 2 0 1] [b'cab']
    """

    length: int = 256
    tokenizer: str = "bytes"
    alphabet: str | None = None
    merges: str | None = None
    documents: bool = False

    kind = "text"

    def __post_init__(self):
        if self.tokenizer not in UNITS or not isinstance(self.documents, bool):
            raise ValueError(f"no tokenizer is called {self.tokenizer!r}, or documents is neither true nor false")
        for name, wanted in (("alphabet", "characters"), ("merges", "bpe")):
            if isinstance(getattr(self, name), str) != (self.tokenizer == wanted):
                raise ValueError(f"the tokenizer {self.tokenizer} does not fit {name} {getattr(self, name)!r:.40}")
        if self.alphabet is not None and (not self.alphabet or sorted(set(self.alphabet)) != list(self.alphabet)):
            raise ValueError("an alphabet is characters in the order of their code points")

    @property
    def space(self) -> Sequence:
        """Sequence(length, number of tokens, end-of-document token)."""
        return Sequence(self.length, self.levels, self.end)

    @property
    def dtype(self) -> np.dtype:
        """Smallest of uint8, int16 and int32 that holds all tokens."""
        return compact(self.levels)

    @property
    def levels(self) -> int:
        """Number of tokens, the end-of-document token among them."""
        return len(self._pieces)

    @property
    def end(self) -> int | None:
        """The end-of-document token, if there is one."""
        return self.levels - 1 if self.documents else None

    @property
    def unit(self) -> str:
        """What one token is called: byte, character or token."""
        return UNITS[self.tokenizer]

    @property
    def bits_key(self) -> str:
        """bits_per_dim, whatever a token is."""
        return "bits_per_dim"

    def in_bits(self, nats: float) -> str:
        """Nats of an event as bits per byte, character or token."""
        return f"{self.bits(nats):.4f} {self.bits_label}"

    @cached_property
    def byte_lengths(self) -> np.ndarray:
        """Bytes of each token, int64 [K]; 0 for the end of a document."""
        return np.array([len(piece) for piece in self._pieces], np.int64)

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for the end of a document."""
        return self._pieces[token]

    def tokens(self, text: str | bytes, place: Place = nowhere) -> np.ndarray:
        """Tokens [k] of a text of any length, such as a prompt; no end-of-document token is added.

        Raises:
            SourceError: of characters: one that the alphabet lacks, or bytes that are not UTF-8.
        """
        return np.concatenate([tokens for _, tokens, _ in self.stream([text], place)])

    def stream(self, documents: Iterable[Text], place: Place = nowhere) -> Iterator[tuple[int, np.ndarray, bool]]:
        """Tokens of documents of any size, a piece at a time.

        Args:
            documents: texts, or paths of files of text.
            place: number of a document → where it is, for an error.

        Yields:
            number of the document, tokens [k] in the compact type, and whether the document ends with them. No
            end-of-document token is added.

        Raises:
            SourceError: as `tokens`.
        """
        encode = {"bytes": self._as_bytes, "characters": self._as_characters, "bpe": self._as_pairs}[self.tokenizer]
        for group in groups(documents):
            for piece, tokens in zip(group, encode(group, place)):
                yield piece.document, tokens.astype(self.dtype, copy=False), piece.last

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, length] of one text, or of a list of texts that are joined; what is over at the end is dropped."""
        texts = raw if isinstance(raw, list | tuple) else [raw]
        found = [tokens for _, tokens, _ in self.stream(texts, place)]
        return self.blocks(np.concatenate([np.empty(0, self.dtype), *found]))

    def to_bytes(self, x: Tensor | np.ndarray) -> list[bytes]:
        """The exact bytes of events, or of longer or shorter rows of tokens; an end of a document adds none."""
        return [b"".join(map(self._pieces.__getitem__, row)) for row in as_array(x).tolist()]

    def decode(self, x: Tensor | np.ndarray) -> list[str]:
        """Texts; characters cut at the ends of an event show as �."""
        return [text.decode("utf-8", "replace") for text in self.to_bytes(x)]

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

    # Tokens

    @cached_property
    def _pairs(self) -> BytePairs:
        return BytePairs(self.merges or "")

    @cached_property
    def _pieces(self) -> list[bytes]:
        """The bytes of each token."""
        if self.alphabet is not None:
            pieces = [character.encode() for character in self.alphabet]
        elif self.merges is not None:
            pieces = self._pairs.tokens
        else:
            pieces = [bytes([byte]) for byte in range(256)]
        return pieces + [b""] * self.documents

    @cached_property
    def _ranks(self) -> np.ndarray:
        """Token of each code point, int32; −1 for those of no token, and for the last, which stands for all above."""
        codes = [ord(character) for character in self.alphabet or ""]
        ranks = np.full(codes[-1] + 2, -1, np.int32)
        ranks[codes] = np.arange(len(codes))
        return ranks

    def _as_bytes(self, group: list[Piece], place: Place) -> Iterator[np.ndarray]:
        return (np.frombuffer(piece.data, np.uint8) for piece in group)

    def _as_pairs(self, group: list[Piece], place: Place) -> list[np.ndarray]:
        return self._pairs.encode([piece.data for piece in group])

    def _as_characters(self, group: list[Piece], place: Place) -> Iterator[np.ndarray]:
        for piece in group:
            text = characters(piece, place)
            codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
            tokens = self._ranks[np.minimum(codes, len(self._ranks) - 1)]
            if len(tokens) and int(tokens.min()) < 0:
                at = int(np.argmin(tokens))
                byte = piece.start + len(text[:at].encode()) + 1
                raise SourceError(
                    f"byte {byte:,} of {place(piece.document)} begins {text[at]!r} (U+{ord(text[at]):04X}), which is"
                    f" none of the {len(self.alphabet or '')} characters of the training text",
                    "remove it, or fit on text that has it, or with --tokenizer bytes",
                )
            yield tokens

    def blocks(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens as whole events [n, length]; what is over is left out."""
        n = len(tokens) // self.length
        return tokens[: n * self.length].reshape(n, self.length)


def characters(piece: Piece, place: Place) -> str:
    """The text of a piece.

    Raises:
        SourceError: it is not valid UTF-8; the first wrong byte is named.
    """
    try:
        return piece.data.decode()
    except UnicodeDecodeError as error:
        raise SourceError(
            f"byte {piece.start + error.start + 1:,} of {place(piece.document)} is not UTF-8 text",
            "correct it, or fit with --tokenizer bytes",
        ) from None
