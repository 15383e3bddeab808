"""Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019), lossless for any bytes.

Token b < 256 is byte b; the others are what the merges make, in their order. Merges are spelled as the `tokenizers`
package and GPT-2 spell them, every byte by a printable character.

Merges that are learned respect characters. The first ones make the characters of more than one byte that training has,
and pairs of characters and of what they make follow, so no token ends inside such a character: bytes that continue a
character never begin a token, as they do where pairs of bytes are merged by frequency alone. Only rare characters and
those that training lacks are spelled in bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

VOCABULARY = (2**9, 2**15)
"""Fewest and most tokens of a vocabulary whose size the data decide."""

RUN = 256
"""Characters of a run without whitespace beyond which merges are learned from parts of it: learning takes time as the
runs are long, and tokens are far shorter."""

_PIECES = re.compile("([\udc80-\udcff]+)")
"""Bytes that are not UTF-8, as `surrogateescape` decodes them."""

_LONG = re.compile(rf"\S{{{RUN + 1}}}")


def vocabulary_size(size: int) -> int:
    """Tokens for this many bytes of training text: 512 for a megabyte, 32,768 for a gigabyte, powers of two between.

    >>> [vocabulary_size(10**k) for k in (4, 6, 7, 8, 9, 10)]
    [512, 512, 2048, 8192, 32768, 32768]
    """
    least, most = (round(math.log2(levels)) for levels in VOCABULARY)
    exponent = least + (most - least) * math.log10(max(size, 1) / 10**6) / 3
    return 2 ** min(most, max(least, round(exponent)))


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte: itself, or for the 68 that are not printable, 256 and up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


SYMBOLS = byte_symbols()
"""Byte → the printable character that stands for it."""

WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Where texts are cut before pairs are merged: GPT-2's expression, which the byte-level encoder applies too."""


def learn(texts: Iterable[str], size: int) -> str:
    """Merges, one a line, of a vocabulary of at most `size` tokens; what occurs only once makes none."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    parts = [part for text in texts for part in _short(text)]
    made, wide = _of_characters(Counter(c for part in parts for c in part), (size - 256) // 2)
    known = [chr(code) for code in range(128)] + wide
    others = re.compile(f"[^{re.escape(''.join(known))}]+")  # characters in bytes, across which nothing merges
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORDS), "isolated")  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(  # type: ignore[call-arg]
        vocab_size=len(known) + size - 256 - len(made), min_frequency=2, initial_alphabet=known, show_progress=False
    )
    tokenizer.train_from_iterator((run for part in parts for run in others.split(part)), trainer)
    merged = [(_spelled(left), _spelled(right)) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]
    return "\n".join(" ".join(pair) for pair in made + merged)


def _of_characters(counts: Counter[str], most: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Merges that make the most frequent characters of several bytes, at most so many, and these characters.

    A first byte is followed by one that continues a character only inside that character, so none of these merges joins
    two characters.
    """
    merges: dict[tuple[str, str], None] = {}
    made: list[str] = []
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        spelled = _spelled(character)
        steps = [(spelled[:k], spelled[k]) for k in range(1, len(spelled))]
        new = [step for step in steps if step not in merges]
        if not steps or count < 2:
            continue
        if len(merges) + len(new) > most:
            break
        merges |= dict.fromkeys(new)
        made.append(character)
    return list(merges), made


def _spelled(text: str) -> str:
    """The printable characters that stand for the bytes of a text."""
    return "".join(map(SYMBOLS.__getitem__, text.encode()))


class BytePairs:
    """A vocabulary and its encoder.

    Args:
        merges: `left right` on each line, in the order in which they are applied.

    Raises:
        ValueError: a line is not a pair of tokens that exist by then.
    """

    def __init__(self, merges: str):
        from tokenizers import Tokenizer, models

        symbols = byte_symbols()
        numbers = {symbol: byte for byte, symbol in enumerate(symbols)}
        pairs = []
        for line in merges.split("\n") if merges else ():
            left, _, right = line.partition(" ")
            if left not in numbers or right not in numbers:
                raise ValueError(f"{line!r} merges no two tokens")
            pairs.append((left, right))
            numbers.setdefault(left + right, len(numbers))  # two pairs can make the same token
        value = {symbol: byte for byte, symbol in enumerate(symbols)}
        self.tokens = [bytes(value[symbol] for symbol in token) for token in numbers]
        self._encoder = Tokenizer(models.BPE(numbers, pairs))
        self._encoder.pre_tokenizer = _words()  # type: ignore[assignment]

    def encode(self, texts: list[bytes]) -> list[np.ndarray]:
        """Tokens of each text, int32; bytes that are not UTF-8 become their own tokens."""
        # even parts of a split are text, odd ones are stray bytes
        parts = [_PIECES.split(text.decode("utf-8", "surrogateescape")) for text in texts]
        valid = [part for split in parts for part in split[::2]]
        encoded = iter(self._encoder.encode_batch_fast(valid, add_special_tokens=False))
        return [
            np.concatenate(
                [
                    np.frombuffer(part.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int32)
                    if odd % 2
                    else np.array(next(encoded).ids, np.int32)
                    for odd, part in enumerate(split)
                ]
            )
            for split in parts
        ]


def _short(text: str) -> Iterable[str]:
    """A text, or if it has a long run, as that of nucleotides, parts of it."""
    return (text[i : i + RUN] for i in range(0, len(text), RUN)) if _LONG.search(text) else (text,)


def _words():
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
