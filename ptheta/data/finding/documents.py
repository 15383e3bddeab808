"""Texts that are events of their own, or contexts: finding their tokens and their length."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ptheta.data.codecs.base import Place
from ptheta.data.codecs.bpe import learn
from ptheta.data.codecs.chunks import Text, pieces, size_of
from ptheta.data.codecs.documents import DocumentCodec
from ptheta.data.codecs.text import characters
from ptheta.data.options import Texts
from ptheta.data.sources.chunk_values import named, take
from ptheta.data.sources.tables import Source
from ptheta.data.splits import Masks
from ptheta.errors import SourceError
from ptheta.numbers import plural

MOST = 512
"""Tokens of an event unless asked otherwise, at most."""

BPE_FROM = 10**5
"""Bytes of training texts from which tokens are those of a BPE unless asked otherwise."""

VOCABULARY = (512, 8192)
"""Fewest and most tokens of a vocabulary whose size the data decide."""

BYTES_A_TOKEN = 500
"""Bytes of training texts for each token of such a vocabulary."""

GROUP = 4096
"""Texts that are measured together."""


def chosen(source: Source, name: str, masks: Masks) -> Iterator[tuple[str, list, Place]]:
    """Values of a column that are in some split, as Python objects, a chunk at a time.

    Yields:
        the split, its values in order, and what names one of them in an error.

    Raises:
        SourceError: a missing value.
    """
    for title, table in source.tables.items():
        start = 0
        for chunk in table.chunks([name]):
            column = table.columns[name]
            values = named(chunk[name], column, lambda row, s=start, t=table: t.place(s + row), missing=True)
            n = len(values)
            for split, mask in masks[title].items():
                rows = np.flatnonzero(mask[start : start + n])
                if not len(rows):
                    continue

                def place(row: int, rows: np.ndarray = rows, start: int = start, table=table) -> str:
                    return table.place(start + int(rows[row]))

                found = take(values, rows)
                found = found.to_pylist() if hasattr(found, "to_pylist") else list(found)
                for row, value in enumerate(found):
                    if value is None:
                        raise SourceError(
                            f"column {name!r} is missing at {place(row)}", "fill it in or remove that row"
                        )
                yield split, found, place
            start += n


def document_codec(source: Source, name: str, options: Texts, masks: Masks) -> tuple[DocumentCodec, list[str]]:
    """The codec of whole texts in a column, and what was assumed, in sentences.

    Args:
        source: with its tables.
        name: of the column; numbers and classes are read as they are written.
        options: tokenizer, vocabulary and length; of the longest text with its end if None, at most `MOST`.
        masks: tokens are learned from train (from all, if nothing is divided).

    Raises:
        SourceError: a missing text, or none but empty ones.
    """
    train: list[Text] = []
    alphabet: set[str] = set()
    for split, values, place in chosen(source, name, masks):
        texts = [as_text(value) for value in values]
        if options.tokenizer == "characters":
            alphabet.update(*(_characters(text, place(row)) for row, text in enumerate(texts)))
        if split in ("train", "all"):
            train += texts
    size = sum(map(size_of, train))
    if not size:
        raise SourceError(f"all texts of column {name!r} are empty", "give some text")
    seen = "".join(sorted(set().union(*(_decoded(text) for text in train))))
    tokenizer = options.tokenizer or ("bpe" if options.vocabulary or size >= BPE_FROM else "bytes")
    letters = "".join(sorted(alphabet)) if alphabet else None
    codec = DocumentCodec(1, tokenizer, letters, _merges(tokenizer, train, size, options), seen)
    longest = longest_text(source, name, masks, codec)
    codec = dataclasses.replace(codec, length=options.length or min(longest + 1, MOST))
    tokens_text = f"{codec.levels - 1:,} {tokenizer}"
    if tokenizer == "bpe":
        tokens_text = f"byte-level BPE of {codec.levels - 1:,}"
    return codec, [f"{name}: whole texts, tokens: {tokens_text}; the longest has {plural(longest, 'token')}"]


def _merges(tokenizer: str, train: list[Text], size: int, options: Texts) -> str | None:
    if tokenizer != "bpe":
        return None
    least, most = VOCABULARY
    wanted = options.vocabulary or min(most, max(least, size // BYTES_A_TOKEN))
    return learn((piece.data.decode("utf-8", "ignore") for piece in pieces(train)), wanted)


def longest_text(source: Source, name: str, masks: Masks, codec: DocumentCodec) -> int:
    """Tokens of the longest text of a column, without its end."""
    longest = 0
    for _, values, place in chosen(source, name, masks):
        for start in range(0, len(values), GROUP):
            texts = [as_text(value) for value in values[start : start + GROUP]]
            rows = codec.rows(texts, lambda row, start=start, place=place: place(start + row))
            longest = max([longest, *map(len, rows)])
    return longest


def cut_notes(codec: DocumentCodec, name: str, events: dict[str, np.ndarray]) -> list[str]:
    """How many texts have no end, because they are as long as an event or longer; nothing if all have one."""
    count = sum(int((x != codec.end).all(1).sum()) for x in events.values())
    if not count:
        return []
    have = "text has" if count == 1 else "texts have"
    return [f"{name}: {count:,} {have} {codec.length:,} tokens or more, of which the first {codec.length:,} are used"]


def as_text(value: object) -> Text:
    """A value of a column as a text; a path stands for its file."""
    return value if isinstance(value, Text) else str(value)


def _decoded(text: Text) -> set[str]:
    return {c for piece in pieces([text]) for c in piece.data.decode("utf-8", "ignore")}


def _characters(text: Text, place: str) -> set[str]:
    return {c for piece in pieces([text]) for c in characters(piece, lambda _: place)}
