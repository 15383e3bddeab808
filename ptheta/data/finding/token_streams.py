"""Text sources: documents become streams of tokens, divided into splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ptheta.data.codecs.base import Place
from ptheta.data.codecs.bpe import learn, vocabulary_size
from ptheta.data.codecs.chunks import Text, pieces, size_of
from ptheta.data.codecs.text import TextCodec, characters
from ptheta.data.options import Loading, Texts
from ptheta.data.sources.signatures import HEAD, head_of
from ptheta.data.sources.tables import Source, Table
from ptheta.data.splits import HELD_OUT, HELD_OUT_MOST, SPLITS, Masks, Split, divide, held_out
from ptheta.data.streams import TextSplit, Writer
from ptheta.errors import SourceError
from ptheta.numbers import plural
from ptheta.remarks import remark

LENGTH = 256
"""Tokens in one event unless asked otherwise."""

BPE_FROM = 4 * 10**6
"""Bytes of training text from which tokens are those of a BPE unless asked otherwise: on 5 MB it gave fewer bits a byte
than bytes within ten minutes (benchmarks/RESULTS.md)."""

DRAWN_FROM = 100
"""Documents from which whole ones are drawn for validation and test; fewer are cut in order."""

TEXT_HELD_OUT = 0.05
"""Part of an undivided text that becomes validation, and test, if it is cut in order."""

FEWEST = 4
"""Training events of a text below which it is reported to be short."""

SAMPLE = 10**8
"""Bytes of train from which merges are learned; of more text, that many are drawn."""

TOKEN_BYTES = 8
"""A BPE token is shorter than this on average; bounds how much text a number of events can be."""


def load_text(
    source: Source, name: str, options: Texts, loading: Loading, codec: TextCodec | None
) -> tuple[TextCodec, dict[str, Split], list[str]]:
    """Codec and splits of a text column, and what was assumed, in sentences.

    Published splits are kept. Of 100 documents and more, whole ones are drawn for what is missing; else the ends of
    train, or of undivided text, become validation (and test).

    Raises:
        SourceError: text that is missing, no text, or too short.
    """
    _check_beginning(source, name)
    first, titles = next(iter(source.tables)), set(source.tables)
    few = len(source.tables[first]) < DRAWN_FROM
    in_order = codec is None and first in ("all", "train") and "validation" not in titles and few
    masks, drawn = divide(
        source, replace(loading, limit=None), everything=codec is not None or in_order, rows="documents"
    )
    made, learned = (codec, 0) if codec is not None else _codec(source, name, options, loading, masks, in_order)
    splits = _encode(source, name, made, masks)
    for split, part in splits.items():
        if len(part.stream) == made.documents * len(part.ends):
            raise SourceError(f"{_called(source.origin, split)} has no text", "give some")
        if codec is None and len(part) == 0:
            raise SourceError(
                f"{_called(source.origin, split)} has {len(part.stream):,} tokens, fewer than one event of"
                f" {made.length}",
                "give more text, or a smaller --length",
            )
    notes = _notes(made, splits, len(source.tables[first])) + drawn if codec is None else []
    if in_order:
        tokens = splits[first].tokens_of(learned, made.byte_lengths)
        splits, drawn = _cut(splits, source.origin, loading, -(-tokens // made.length))
        notes += drawn
    for split, part in splits.items():
        if over := len(part.stream) - part.x.size:
            notes.append(f"{'' if split == 'all' else split + ': '}the last {over} tokens do not fill an event of"
                         f" {made.length} and are in none")  # fmt: skip
    if loading.limit is not None:
        most = loading.limit * made.length
        splits = {split: part.part(0, min(most, len(part.stream))) for split, part in splits.items()}
        notes.append(f"limit: the first {loading.limit:,} events of each split; the text after them is not used")
    return made, {split: splits[split] for split in ("all", *SPLITS) if split in splits}, notes


def _called(origin: str, split: str) -> str:
    return origin if split == "all" else f"{split} of {origin}"


# Reading


def documents(table: Table, name: str) -> Iterator[Text]:
    """The texts of a column, or the files that hold them.

    Raises:
        SourceError: a missing value.
    """
    row = 0
    for chunk in table.chunks([name]):
        for value in chunk[name]:
            text = value.as_py() if hasattr(value, "as_py") else value
            if text is None:
                raise SourceError(f"column {name!r} is missing at {table.place(row)}", "fill it in or remove that row")
            yield text
            row += 1


def _check_beginning(source: Source, name: str) -> None:
    """Check of the first file of each table that it does not begin with zeros alone, as files do that were never
    written: they may be far longer than their disk, and are no text.

    Raises:
        SourceError: one does.
    """
    for table in source.tables.values():
        text = next(documents(table, name), "")
        if isinstance(text, Path) and len(head := head_of(text)) == HEAD and not any(head):
            raise SourceError(f"{text} begins with {HEAD:,} zero bytes, as no text does", "give a text file")


def _encode(source: Source, name: str, codec: TextCodec, masks: Masks) -> dict[str, TextSplit]:
    writers = {split: Writer(codec.dtype, codec.end) for parts in masks.values() for split in parts}
    for title, table in source.tables.items():
        names = list(masks[title])
        owner = np.argmax(np.stack(list(masks[title].values())), 0)  # [rows], every row is in one split
        for row, tokens, last in codec.stream(documents(table, name), table.place):
            writers[names[owner[row]]].append(tokens, last)
    splits = {split: writer.split(codec.length) for split, writer in writers.items()}
    for title, table in source.tables.items():
        for split, mask in masks[title].items():
            rows = np.flatnonzero(mask)
            splits[split].files = table.files_of(rows)
            splits[split].drawn = rows if len(rows) < len(mask) else None
    return splits


# The codec


def _codec(
    source: Source, name: str, options: Texts, loading: Loading, masks: Masks, in_order: bool
) -> tuple[TextCodec, int]:
    """A codec for all of the source, and how many bytes of the text to be cut in order its merges have seen."""
    length = options.length or LENGTH
    tokenizer = options.tokenizer or ("bpe" if options.vocabulary else None)
    several = any(len(table) > 1 for table in source.tables.values())
    if tokenizer == "characters":
        return TextCodec(length, tokenizer, alphabet=_alphabet(source, name), documents=several), 0
    if tokenizer == "bytes":
        return TextCodec(length, tokenizer, documents=several), 0
    title = next(title for title, parts in masks.items() if in_order or "train" in parts)
    table, wanted = source.tables[title], masks[title].get("train", masks[title].get("all"))
    assert wanted is not None
    sizes = np.fromiter(map(size_of, documents(table, name)), np.int64, len(table))
    total = size = int(sizes[wanted].sum())
    if in_order:
        size -= int(np.ceil(total * _held_part(loading, length, total, title == "all")))
    if tokenizer is None and size < BPE_FROM:
        return TextCodec(length, "bytes", documents=several), 0
    vocabulary = options.vocabulary or vocabulary_size(size)
    texts = _training_text(documents(table, name), table.place, wanted, size, loading.seed)
    merges = learn(texts, vocabulary - several)
    return TextCodec(length, "bpe", merges=merges, documents=several), size if in_order else 0


def _alphabet(source: Source, name: str) -> str:
    found: set[str] = set()
    for table in source.tables.values():
        for piece in pieces(documents(table, name)):
            found.update(characters(piece, table.place))
    if not found:
        raise SourceError(f"{source.origin} has no text", "give some")
    return "".join(sorted(found))


def _held_part(loading: Loading, length: int, total: int, undivided: bool) -> float:
    """At most this part of a text that is cut in order is held out, as far as one can know without tokens."""
    asked = loading.validation
    if asked is None:
        validation = TEXT_HELD_OUT if undivided else HELD_OUT
    else:
        validation = asked if asked < 1 else min(0.5, asked * length * TOKEN_BYTES / max(total, 1))
    return validation + TEXT_HELD_OUT * undivided


def _training_text(texts: Iterable[Text], place: Place, wanted: np.ndarray, size: int, seed: int) -> Iterator[str]:
    """Text from the first `size` bytes of the wanted documents: all, or pieces drawn until about `SAMPLE` bytes."""
    random, share, seen = np.random.default_rng(seed), SAMPLE / max(size, 1), 0
    for piece in pieces(texts):
        if not wanted[piece.document]:
            continue
        data = piece.data[: size - seen]
        seen += len(data)
        if share >= 1 or random.random() < share:
            yield data.decode("utf-8", "ignore")
        if seen >= size:
            return


def _notes(codec: TextCodec, splits: dict[str, TextSplit], count: int) -> list[str]:
    tokens_text = f"tokens: {codec.levels - codec.documents:,} {codec.tokenizer}"
    if codec.tokenizer == "bpe":
        tokens = next(iter(splits.values())).stream[: 2**20]
        tokens_text = (
            f"tokens: byte-level BPE of {codec.levels:,}, {codec.byte_lengths[tokens].mean():.1f} bytes a token"
        )
    end = "each ends with an end-of-document token" if codec.documents else "no end token"
    return [tokens_text, f"{count:,} document{'' if count == 1 else 's'}, {end}"]


# Dividing


def _cut(
    splits: dict[str, TextSplit], origin: str, loading: Loading, learned: int
) -> tuple[dict[str, TextSplit], list[str]]:
    """Cut the first split in order, at ends of blocks.

    Args:
        learned: blocks from which merges were learned, and which therefore have to stay in train.
    """
    first = next(iter(splits))
    whole, undivided = splits[first], first == "all"
    n, m = len(whole), whole.length
    validation = _part(n, loading.validation, undivided)
    test = _part(n, None, True) if undivided else 0
    rest = {split: part for split, part in splits.items() if split != first}
    if validation + test == 0:
        return {"train": whole} | rest, []
    train = max(n - validation - test, learned)
    validation = round((n - train) * validation / (validation + test))
    test = n - train - validation if undivided else 0
    if train < 1 or validation < (loading.validation != 0) or test < undivided:
        raise SourceError(
            f"{origin} makes {n} events, too few for train, validation and test",
            "give more text, or a smaller --length",
        )
    middle, end = train * m, len(whole.stream)
    late = (train + validation) * m if test else end
    parts = {"train": whole.part(0, middle), "validation": whole.part(middle, late), "test": whole.part(late, end)}
    if train < FEWEST:
        remark(f"{origin} is short: train has {plural(train, 'event')} of {plural(m, 'token')}, too few to learn from")
    note = f"validation: {plural(validation, 'event')} from the end of train"
    if undivided:
        last = plural(test, "event")
        note = f"train, validation and test: the first {train:,}, the next {validation:,} and the last {last}"
    return {split: part for split, part in parts.items() if len(part)} | rest, [note]


def _part(n: int, asked: float | None, undivided: bool) -> int:
    if asked is None:
        return max(1, round(n * TEXT_HELD_OUT) if undivided else min(HELD_OUT_MOST, round(n * HELD_OUT)))
    return held_out(n, asked, n)
