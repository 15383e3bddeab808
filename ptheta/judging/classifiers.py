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
from ptheta.spaces import Discrete, Grid, Real, Sequence, Space, Table

MOST_ROWS = 10_000
"""Training events of a classifier, at most; drawn with a seed."""

MOST_VALUES = 200
"""Values of a category that classifiers tell apart, the most frequent ones."""


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
        margins: events → scores by which each label is ranked, [n, K].
    """

    name: str
    rows: int
    predict: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray] | None
    margins: Callable[[np.ndarray], np.ndarray]


def features(space: Space, codec: Codec, x: np.ndarray) -> Features:
    """Features of a classifier, inferred from training events: values from 0 to 1, standardised numbers, n-grams.

    Tokens of a palette are the colours they stand for; categories have a 0 or 1 for each value, and missing numbers are
    at the mean and marked.

    Args:
        space: of the events.
        codec: of the events.
        x: training events [n, *space.shape].

    Raises:
        UsageError: tokens that stand for no colours: their numbers do not compare.
    """
    if is_rows(space) and not isinstance(space, Real):
        return _of_rows(space, x)
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


def is_rows(space: Space) -> bool:
    """Whether events are rows of columns: of a table, of real numbers, or of categories."""
    if isinstance(space, Discrete):
        return len(space.shape) == 1 and not (space.ordered or isinstance(space, Grid | Sequence))
    return isinstance(space, Table) or (isinstance(space, Real) and len(space.shape) == 1)


def _categories(space: Space) -> np.ndarray:
    """Which columns of a row are categories, bool [m]."""
    if isinstance(space, Table):
        return np.array([column.is_category for column in space.columns])
    return np.full(space.dimensions, isinstance(space, Discrete))


def _of_rows(space: Space, x: np.ndarray) -> Features:
    category = _categories(space)
    numbers = x[:, ~category].astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any number
        centre, spread = np.nan_to_num(np.nanmean(numbers, 0)), np.nan_to_num(np.nanstd(numbers, 0))
    spread = np.where(spread > 0, spread, 1.0)
    kept = [_frequent(x[:, j]) for j in np.flatnonzero(category)]

    def of(some: np.ndarray) -> np.ndarray:
        values = some[:, ~category]
        ones = [some[:, j, None] == values for j, values in zip(np.flatnonzero(category), kept)]
        parts = [np.nan_to_num((values - centre) / spread), np.isnan(values), *ones]
        return np.concatenate(parts, 1).astype(np.float32)

    return Features(of, "standardised numbers and categories as 0 or 1")


def _frequent(values: np.ndarray) -> np.ndarray:
    """The most frequent values of a category, in order of their numbers."""
    found, counts = np.unique(values, return_counts=True)
    return np.sort(found[np.argsort(-counts, kind="stable")[:MOST_VALUES]])


def suited(space: Space) -> list[Callable[[Split, Space, Codec], Trained]]:
    """The classifiers that events of a space are judged beside: gradient boosting for rows, else support vectors."""
    return [logistic_regression, boosted_trees if is_rows(space) else support_vectors]


def logistic_regression(split: Split, space: Space, codec: Codec, seed: int = 0) -> Trained:
    """Multinomial logistic regression with scikit-learn's own L2 penalty, at most 10,000 events."""
    from sklearn.linear_model import LogisticRegression

    return _trained("logistic regression", LogisticRegression(max_iter=200), split, space, codec, seed)


def support_vectors(split: Split, space: Space, codec: Codec, seed: int = 0) -> Trained:
    """Support vectors with Gaussian kernels, C = 10, at most 10,000 events."""
    from sklearn.svm import SVC

    return _trained("RBF SVC", SVC(C=10.0), split, space, codec, seed)


def boosted_trees(split: Split, space: Space, codec: Codec, seed: int = 0) -> Trained:
    """Gradient-boosted trees with scikit-learn's own settings on at most 10,000 rows; missing numbers stay missing."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    category = _categories(space)
    kept = {j: _frequent(split.x[:, j]) for j in np.flatnonzero(category)}

    def of(some: np.ndarray) -> np.ndarray:
        rows = some.astype(np.float64)
        for j, values in kept.items():  # scikit-learn takes at most 255 values of a category
            place = np.searchsorted(values, some[:, j]).clip(max=len(values) - 1)
            rows[:, j] = np.where(values[place] == some[:, j], place, np.nan)
        return rows

    options: dict[str, Any] = {"categorical_features": category}
    trees = HistGradientBoostingClassifier(random_state=seed, **options)
    return _trained("gradient boosting", trees, split, space, codec, seed, Features(of, "the rows"))


def _trained(
    name: str, model: Any, split: Split, space: Space, codec: Codec, seed: int, sees: Features | None = None
) -> Trained:
    from sklearn.exceptions import ConvergenceWarning

    assert split.context is not None
    labelled = np.flatnonzero(split.context >= 0)
    part = Split(split.x[labelled], split.context[labelled]).subset(MOST_ROWS, seed)
    assert part.context is not None
    labels = part.context.astype(np.int64)
    if len(np.unique(labels)) < 2:
        raise UsageError("the training events have one label only", "a classifier needs two")
    see = (sees or features(space, codec, part.x)).of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(see(part.x), labels)

    def spread(scores: np.ndarray, missing: float) -> np.ndarray:
        found = np.full((len(scores), int(model.classes_.max()) + 1), missing)
        found[:, model.classes_] = scores
        return found

    def margins(x: np.ndarray) -> np.ndarray:
        scores = model.decision_function(see(x))
        return spread(np.stack([-scores, scores], 1) if scores.ndim == 1 else scores, scores.min(initial=0.0) - 1)

    def probabilities(x: np.ndarray) -> np.ndarray:
        return spread(model.predict_proba(see(x)), 0.0)

    known = probabilities if hasattr(model, "predict_proba") else None
    return Trained(name, len(part), lambda x: model.predict(see(x)), known, margins)
