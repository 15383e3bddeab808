"""How synthetic rows differ from real ones: columns, pairs, a classifier between them, use in training, copies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from ptheta.spaces import Column

BINS = 10


def marginals(a: np.ndarray, b: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Distance of every column's distribution in rows a and b, [m]: total variation of categories, Kolmogorov–Smirnov
    of numbers."""
    return np.array(
        [
            total_variation(a[:, j], b[:, j]) if column.is_category else ks_2samp(a[:, j], b[:, j]).statistic
            for j, column in enumerate(columns)
        ]
    )


def pairs(a: np.ndarray, b: np.ndarray, columns: Sequence[Column], train: np.ndarray) -> dict[tuple[str, str], float]:
    """Total variation of every pair of columns, numbers in bins of the training rows."""
    binned = [np.stack([bins(x[:, j], c, train[:, j]) for j, c in enumerate(columns)], 1) for x in (a, b)]
    return {
        (columns[i].name, columns[j].name): total_variation(*(x[:, i] * 1000 + x[:, j] for x in binned))
        for i, j in itertools.combinations(range(len(columns)), 2)
    }


def bins(x: np.ndarray, column: Column, train: np.ndarray) -> np.ndarray:
    """Levels of a category; bins of a number, by deciles of all training values and of all but the commonest."""
    if column.is_category:
        return x
    values, counts = np.unique(train, return_counts=True)
    others = train[train != values[counts.argmax()]]
    levels = np.arange(1, BINS) / BINS
    edges = np.unique(np.concatenate([np.quantile(t, levels, method="lower") for t in (train, others)]))
    return np.searchsorted(edges, x, side="left")


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Total variation of the distributions of values."""
    values = np.unique(np.concatenate([a, b]))
    p, q = (np.bincount(np.searchsorted(values, x), minlength=len(values)) / len(x) for x in (a, b))
    return float(np.abs(p - q).sum() / 2)


def told_apart(a: np.ndarray, b: np.ndarray, columns: Sequence[Column], seed: int) -> float:
    """Area under the ROC curve of boosted trees that tell rows a from rows b, cross-validated; ½: they cannot."""
    x, y = np.concatenate([a, b]), np.arange(len(a) + len(b)) < len(a)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guess = cross_val_predict(trees(columns, seed), x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, guess[:, 1]))


def trained_on(
    rows: np.ndarray, test: np.ndarray, columns: Sequence[Column], target: int, seed: int
) -> tuple[float, float]:
    """Accuracy on test rows, and area under the ROC curve, of boosted trees trained on rows; a target of two levels."""
    others = [j for j in range(len(columns)) if j != target]
    model = trees([columns[j] for j in others], seed).fit(rows[:, others], rows[:, target])
    p = model.predict_proba(test[:, others])[:, 1]
    return float(accuracy_score(test[:, target], p > 0.5)), float(roc_auc_score(test[:, target], p))


def trees(columns: Sequence[Column], seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(categorical_features=[c.is_category for c in columns], random_state=seed)


def copies(rows: np.ndarray, train: np.ndarray) -> float:
    """Share of rows that are training rows."""
    known = {row.tobytes() for row in np.ascontiguousarray(train)}
    return sum(row.tobytes() in known for row in np.ascontiguousarray(rows)) / len(rows)


def unseen_pairs(rows: np.ndarray, train: np.ndarray, chosen: Sequence[int]) -> float:
    """Share of rows that hold a pair of values, of two of the chosen columns, which no training row holds."""
    unseen = np.zeros(len(rows), bool)
    for i, j in itertools.combinations(chosen, 2):
        unseen |= ~np.isin(rows[:, i] * 1000 + rows[:, j], train[:, i] * 1000 + train[:, j])
    return float(unseen.mean())
