"""Discriminative classifiers of scikit-learn, trained on a run's own data: what classes and samples are judged by."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ptheta.data import Split
from ptheta.data.codecs import Codec, DocumentCodec
from ptheta.errors import UsageError
from ptheta.judging.base import as_pixels
from ptheta.spaces import Discrete, Real, Space

MOST_ROWS = 10_000
"""Training events of a classifier, at most; drawn with a seed."""


class Features(NamedTuple):
    """Events as rows of numbers.

    Attributes:
        of: events [n, …] → an array or sparse matrix [n, features].
        description: what they are.
    """

    of: Callable[[np.ndarray], Any]
    description: str


class Trained(NamedTuple):
    """A classifier and what it was trained on.

    Attributes:
        name: of the classifier.
        rows: training events.
        predict: events [n, …] → numbers of labels [n].
        probabilities: events → p(label | x), [n, K], or None if it has none.
    """

    name: str
    rows: int
    predict: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray] | None


def features(space: Space, codec: Codec, x: np.ndarray) -> Features:
    """Features of a classifier, inferred from training events: values from 0 to 1, standardised numbers, n-grams.

    Tokens of a palette are the colours they stand for.

    Args:
        space: of the events.
        codec: of the events.
        x: training events [n, *space.shape].

    Raises:
        UsageError: rows of a table, or tokens that stand for no colours: their numbers do not compare.
    """
    if isinstance(codec, DocumentCodec):
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True).fit(codec.decode(x))
        return Features(lambda some: vectors.transform(codec.decode(some)), "tf-idf of character 1- to 4-grams")
    if "height" in space.axes and not space.ordered:
        if not codec.is_picture:
            raise UsageError(f"the levels of {space} have no order", "give events that are pictures")
        return Features(lambda some: as_pixels(codec, some).reshape(len(some), -1) / np.float32(255), "RGB from 0 to 1")
    if isinstance(space, Discrete):
        scale = np.float32(max(space.levels - 1, 1))
        return Features(lambda some: some.reshape(len(some), -1).astype(np.float32) / scale, "values from 0 to 1")
    if isinstance(space, Real):
        flat = x.reshape(len(x), -1).astype(np.float64)
        centre, spread = flat.mean(0), np.where(flat.std(0) > 0, flat.std(0), 1)
        return Features(lambda some: (some.reshape(len(some), -1) - centre) / spread, "standardised numbers")
    raise UsageError(f"no classifier is trained on {space}", "give events that are pictures, sounds, texts or numbers")


def logistic_regression(split: Split, space: Space, codec: Codec, seed: int = 0) -> Trained:
    """Multinomial logistic regression with scikit-learn's own L2 penalty, at most 10,000 events."""
    from sklearn.linear_model import LogisticRegression

    return _trained("logistic regression", LogisticRegression(max_iter=200), split, space, codec, seed)


def support_vectors(split: Split, space: Space, codec: Codec, seed: int = 0) -> Trained:
    """Support vectors with Gaussian kernels, C = 10, at most 10,000 events."""
    from sklearn.svm import SVC

    return _trained("RBF SVC", SVC(C=10.0), split, space, codec, seed)


def _trained(name: str, model: Any, split: Split, space: Space, codec: Codec, seed: int) -> Trained:
    from sklearn.exceptions import ConvergenceWarning

    part = split.subset(MOST_ROWS, seed)
    assert part.context is not None
    labels = part.context.astype(np.int64)
    if len(np.unique(labels)) < 2:
        raise UsageError("the training events have one label only", "a classifier needs two")
    see = features(space, codec, part.x).of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(see(part.x), labels)

    def probabilities(x: np.ndarray) -> np.ndarray:
        found = np.zeros((len(x), int(model.classes_.max()) + 1))
        found[:, model.classes_] = model.predict_proba(see(x))
        return found

    known = probabilities if hasattr(model, "predict_proba") else None
    return Trained(name, len(part), lambda x: model.predict(see(x)), known)
