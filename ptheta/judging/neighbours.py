"""Baselines that only look things up: the training event of the nearest context, the word that goes with a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptheta.data import Split
from ptheta.data.codecs import Codec
from ptheta.judging.base import contexts_of, kind_of

WORDS = re.compile(r"\w+|[^\w\s]")
"""Words and single punctuation marks."""

LEAST_TOGETHER = 2
"""Pairs in which two words must occur together to be looked up."""


def nearest_training(codec: Codec, train: Split, contexts: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """The training event whose context is nearest, [n]; None for contexts of several parts.

    Texts are compared by the cosine of tf-idf vectors of character 2- to 4-grams, pictures, spectrograms, samples and
    numbers by Euclidean distance; of labels an event with the same one is drawn.

    Args:
        codec: of the contexts.
        train: events with contexts.
        contexts: [n, …].
        seed: of the draw.
    """
    known, kind = contexts_of(train), kind_of(codec)
    if kind == "text":
        return nearest_texts(codec.decode(known), codec.decode(contexts))
    if kind == "label":
        g, rows = np.random.default_rng(seed), {k: np.flatnonzero(known == k) for k in np.unique(contexts)}
        every = np.arange(len(train))
        return np.array([g.choice(rows[k] if len(rows[k]) else every) for k in contexts], np.int64)
    if codec.kind == "joint":
        return None
    from sklearn.neighbors import NearestNeighbors

    flat = known.reshape(len(known), -1).astype(np.float32)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat)
    return index.kneighbors(contexts.reshape(len(contexts), -1).astype(np.float32), return_distance=False)[:, 0]


def nearest_texts(known: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """For each text the known one with the most alike character n-grams, [n]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    index = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(vectors.fit_transform(known))
    return index.kneighbors(vectors.transform(texts), return_distance=False)[:, 0]


class Lookup:
    """Word by word: each source word becomes the target word with which it shares the most pairs.

    The association of a source word s and a target word t is Dice's coefficient 2 n(s, t) / (n(s) + n(t)), with n the
    number of pairs of texts in which they occur. Words that never occurred stay as they are.

    Args:
        sources, targets: pairs of texts.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]):
        from sklearn.feature_extraction.text import CountVectorizer

        counters = [
            CountVectorizer(binary=True, lowercase=lower, token_pattern=WORDS.pattern) for lower in (True, False)
        ]
        s: Any = counters[0].fit_transform(sources)  # [texts, source words]
        t: Any = counters[1].fit_transform(targets)
        together = (s.T @ t).tocsr()  # [source words, target words]
        of_source, of_target = np.asarray(s.sum(0))[0], np.asarray(t.sum(0))[0]
        found = counters[1].get_feature_names_out()
        self.words: dict[str, str] = {}
        for word, i in counters[0].vocabulary_.items():
            row = slice(together.indptr[i], together.indptr[i + 1])
            counts, columns = together.data[row], together.indices[row]
            kept = counts >= min(LEAST_TOGETHER, counts.max(initial=0))
            dice = 2 * counts / (of_source[i] + of_target[columns]) * kept
            if len(dice):
                self.words[str(word)] = str(found[columns[dice.argmax()]])

    def __call__(self, text: str) -> str:
        """The target words of a text's words, in their order."""
        words = [self.words.get(word.lower(), word) for word in map(str, WORDS.findall(text))]
        return re.sub(r" ([^\w\s])", r"\1", " ".join(words))
