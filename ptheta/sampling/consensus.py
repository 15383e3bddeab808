"""Minimum Bayes risk decoding: of candidate texts the one that is most like all texts that were drawn.

    x* = argmax_x Σ_i chrF(x, x_i) / k,   x_1 … x_k ~ p(x | y)

The most probable text holds little of the probability, and a beam that finds it favours short and odd ones; what is
like most draws is right in most of its parts (Kumar and Byrne 2004; Eikema and Aziz 2020, arXiv:2005.10283). Likeness
is chrF (Popović 2015) as sacrebleu computes it of single texts: mean precision and recall of character n-grams of 1 to
6, white space left out, as F-score with recall weighing twice as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

ORDERS = 6
"""Longest n-grams of chrF."""

BETA = 2.0
"""Of its F-score."""


def likeness(texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """chrF of each of n texts by each of k references, from 0 to 1, [n, k].

    >>> likeness(["a cat", "dogs"], ["a cat", "the cat"]).round(2)
    array([[1.  , 0.31],
           [0.  , 0.  ]])
    """
    n = len(texts)
    rows = ["".join(text.split()) for text in [*texts, *references]]
    precision = recall = effective = np.zeros((n, len(references)))
    some: Any  # numpy's stubs take the any of a matrix for a number
    for order in range(1, ORDERS + 1):
        has = _occurrences(rows, order)  # [n + k, n-grams, each occurrence of one text on its own]
        matches = has[:n] @ has[n:].T
        ours, theirs = np.maximum(has[:n].sum(1), 1)[:, None], np.maximum(has[n:].sum(1), 1)[None]
        some = has.any(1)
        both = some[:n, None] & some[None, n:]
        precision = precision + np.where(both, matches / ours, 0)
        recall = recall + np.where(both, matches / theirs, 0)
        effective = effective + both
    precision, recall = (each / np.maximum(effective, 1) for each in (precision, recall))
    weight = BETA**2
    return (1 + weight) * precision * recall / np.maximum(weight * precision + recall, 1e-16)


def _occurrences(rows: Sequence[str], order: int) -> np.ndarray:
    """Which n-grams texts have, the r-th occurrence of one apart from the first, so that products count matches."""
    numbers: dict[tuple[str, int], int] = {}
    found = []
    for row in rows:
        seen: Counter[str] = Counter()
        mine = []
        for i in range(len(row) - order + 1):
            gram = row[i : i + order]
            seen[gram] += 1
            mine.append(numbers.setdefault((gram, seen[gram]), len(numbers)))
        found.append(mine)
    has = np.zeros((len(rows), len(numbers)), np.float32)
    for i, mine in enumerate(found):
        has[i, mine] = 1
    return has


def most_agreed(candidates: Sequence[str], drawn: Sequence[str]) -> int:
    """The number of the candidate that is most like the texts drawn; the first of several.

    Args:
        candidates: texts, at least one.
        drawn: k texts of p(x | y), repeated ones as often as they were drawn.
    """
    counts = Counter(drawn)
    kinds = list(dict.fromkeys(candidates))
    share = np.array(list(counts.values())) / len(drawn)
    return candidates.index(kinds[int((likeness(kinds, list(counts)) @ share).argmax())])
