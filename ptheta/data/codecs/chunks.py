"""Documents, read a piece at a time, so that no text has to fit into memory.

A piece ends where no token of a byte-level BPE can reach across: the GPT-2 pretokeniser always begins a new word at
whitespace that follows something else. So tokens of the pieces, one after the other, are the tokens of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ptheta.listing import regular

Text = str | bytes | Path
"""A text; a path stands for the text in that file."""

PIECE = 2**16
"""Most bytes of a piece."""

GROUP = 2**20
"""Bytes of pieces that are encoded together: enough to keep several threads at work."""

_SAFE = re.compile(rb"(?s).*[!-~](?=[ \n])")
"""Up to the last ASCII character that a space or newline follows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document.

    Args:
        data: its bytes.
        document: number of the document.
        start: bytes of the document before it.
        last: whether the document ends with it.
    """

    data: bytes
    document: int
    start: int
    last: bool


def pieces(documents: Iterable[Text]) -> Iterator[Piece]:
    """All documents in order, cut into pieces; an empty document is one empty piece.

    Where 64 KiB have no safe place, as in Chinese prose, the cut is before a character.
    """
    for number, document in enumerate(documents):
        start, rest = 0, b""
        for block in _blocks(document):
            rest += block
            while len(rest) > PIECE:
                cut = _cut(rest[: PIECE + 1])
                yield Piece(rest[:cut], number, start, False)
                start, rest = start + cut, rest[cut:]
        yield Piece(rest, number, start, True)


def groups(documents: Iterable[Text]) -> Iterator[list[Piece]]:
    """The pieces of documents, about `GROUP` bytes at a time."""
    group: list[Piece] = []
    size = 0
    for piece in pieces(documents):
        group.append(piece)
        size += len(piece.data) + 64  # a small document costs, too
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def size_of(document: Text) -> int:
    """Bytes of a document."""
    return document.stat().st_size if isinstance(document, Path) else len(_bytes(document))


def _blocks(document: Text) -> Iterator[bytes]:
    if isinstance(document, Path):
        with regular(document).open("rb") as file:
            while block := file.read(PIECE):
                yield block
    else:
        data = _bytes(document)
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]


def _bytes(text: str | bytes) -> bytes:
    # JSON can hold half a surrogate pair: no Unicode, but it must not stop a byte-level codec
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _cut(window: bytes) -> int:
    """Where to cut a window of PIECE + 1 bytes."""
    if safe := _SAFE.match(window):
        return safe.end()
    for cut in range(PIECE, PIECE - 4, -1):
        if window[cut] & 0xC0 != 0x80:  # no byte inside a UTF-8 character
            return cut
    return PIECE
