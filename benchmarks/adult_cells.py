"""Missing cells: scikit-learn's imputers, how guesses are scored, and whether draws are calibrated."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from ptheta.spaces import Column

LEARNED_FROM = 10_000
"""Training rows for the imputers whose cost grows fast with them."""

RARE = 20
"""Training rows of a level, below which boosted trees do not learn it."""


def masked(x: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows of which a random share of the cells is missing (NaN)."""
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


def most_frequent(train: np.ndarray, rows: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """The most frequent level, or the median."""
    centre = [np.bincount(t.astype(int)).argmax() if c.is_category else np.median(t) for t, c in zip(train.T, columns)]
    return np.where(np.isnan(rows), centre, rows)


def iterative(train: np.ndarray, rows: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """scikit-learn's IterativeImputer (Bayesian ridge regressions) on indicators and standardised numbers.

    The most frequent level has no indicator: each would be one minus the sum of the others, and nothing would move.
    """
    return _on_indicators(IterativeImputer(random_state=seed), train, rows, columns, seed, reference=True)


def neighbours(train: np.ndarray, rows: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """scikit-learn's KNNImputer, 20 neighbours, on indicators and standardised numbers."""
    return _on_indicators(KNNImputer(n_neighbors=20), train, rows, columns, seed, reference=False)


def boosted(train: np.ndarray, rows: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """One model of boosted trees a column, given the others, which learn from rows with as much missing."""
    holes, filled = masked(train, float(np.isnan(rows).mean()), seed), rows.copy()
    for j, column in enumerate(columns):
        where, others = np.isnan(rows[:, j]), [k for k in range(len(columns)) if k != j]
        settings = {"categorical_features": [columns[k].is_category for k in others], "random_state": seed}
        kind = HistGradientBoostingClassifier if column.is_category else HistGradientBoostingRegressor
        loss = {} if column.is_category else {"loss": "absolute_error"}
        level = train[:, j].astype(int)
        known = np.bincount(level)[level] >= RARE if column.is_category else np.full(len(train), True)
        model = kind(**settings, **loss).fit(holes[known][:, others], train[known, j])
        filled[where, j] = model.predict(rows[where][:, others])
    return filled


IMPUTERS = {
    "most frequent, median": most_frequent,
    "IterativeImputer": iterative,
    "KNNImputer": neighbours,
    "boosted trees a column": boosted,
}


def scored(
    guess: np.ndarray, truth: np.ndarray, where: np.ndarray, columns: Sequence[Column], train: np.ndarray
) -> list[float]:
    """Of every column, over its missing cells: accuracy of a category; of a number the mean absolute error, by that of
    the training median."""
    found = []
    for j, column in enumerate(columns):
        a, b = guess[where[:, j], j], truth[where[:, j], j]
        centre = np.median(train[:, j])
        found.append(float((a == b).mean() if column.is_category else np.abs(a - b).sum() / np.abs(b - centre).sum()))
    return found


def places(draws: np.ndarray, truth: np.ndarray, where: np.ndarray, seed: int) -> np.ndarray:
    """Place of the true value among its draws [b, n, m], ties broken at random, for the cells `where`, from 0 to 1;
    uniform if truth and draws are exchangeable."""
    below, equal = (draws < truth[:, None]).sum(1)[where], (draws == truth[:, None]).sum(1)[where]
    u = np.random.default_rng(seed).random(below.shape)
    return (below + u * (equal + 1)) / (draws.shape[1] + 1)


def _on_indicators(
    imputer: IterativeImputer | KNNImputer,
    train: np.ndarray,
    rows: np.ndarray,
    columns: Sequence[Column],
    seed: int,
    reference: bool,
) -> np.ndarray:
    few = train[np.random.default_rng(seed).permutation(len(train))[:LEARNED_FROM]]
    holes = masked(few, float(np.isnan(rows).mean()), seed)
    mean, deviation = train.mean(0), train.std(0)
    levels = [
        np.argsort(-np.bincount(train[:, j].astype(int), minlength=c.levels))[int(reference) :]
        if c.is_category
        else None
        for j, c in enumerate(columns)
    ]

    def indicators(x: np.ndarray) -> np.ndarray:
        parts = []
        for j, shown in enumerate(levels):
            if shown is None:
                parts.append(((x[:, j] - mean[j]) / deviation[j])[:, None])
            else:
                parts.append(np.where(np.isnan(x[:, j, None]), np.nan, x[:, j, None] == shown))
        return np.concatenate(parts, 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = imputer.set_params(keep_empty_features=True).fit(indicators(holes)).transform(indicators(rows))
    filled, start = rows.copy(), 0
    for j, shown in enumerate(levels):
        part = found[:, start : start + (1 if shown is None else len(shown))]
        start += part.shape[1]
        if shown is None:
            guess = part[:, 0] * deviation[j] + mean[j]
        elif reference:
            first = np.bincount(train[:, j].astype(int)).argmax()
            guess = np.append(first, shown)[np.column_stack([1 - part.sum(1), part]).argmax(1)]
        else:
            guess = shown[part.argmax(1)]
        filled[:, j] = np.where(np.isnan(rows[:, j]), guess, rows[:, j])
    return filled
