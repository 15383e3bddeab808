"""How good probabilities of classes are: accuracy beside the most frequent label, ranking, and calibration.

Accuracy alone hides rare classes: where 2 % of the events are of one label, calling none of them so is right for 98 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptheta.metrics import Measure, auroc, mean

BINS = 15
"""Bins of equal width of the expected calibration error (Guo et al. 2017)."""


def judge_classes(probabilities: Any, truth: Any) -> dict[str, Measure]:
    """Metrics of p(label | x).

    Args:
        probabilities: [n, K] of sum 1; a row of NaN, of an event that is impossible under every label, is a wrong
            answer and costs infinitely many nats.
        truth: numbers of the true labels [n].

    Returns:
        Of n events:

        - `accuracy`: share whose most probable label is the true one.
        - `auroc`: area under the ROC curve, one label against the others (DeLong et al. 1988); of two labels of the
          rarer one, of more the mean over the labels that occur, all alike.
        - `average_precision`: likewise, the area under the curve of precision and recall, as scikit-learn has it.
        - `log_loss`: mean −log p(true label), nats.
        - `brier`: mean Σ_k (p_k − 1[k true])², 0 to 2 (Brier 1950).
        - `calibration_error`: mean |accuracy − confidence| over bins of the confidence (expected calibration error).
    """
    p, truth = np.asarray(probabilities, np.float64).copy(), np.asarray(truth)
    impossible = np.isnan(p).any(1)
    p[impossible] = 0.0
    right = (p.argmax(1) == truth) & ~impossible
    with np.errstate(divide="ignore"):
        loss = -np.log(p[np.arange(len(p)), truth])
    squares = ((p - np.eye(p.shape[1])[truth]) ** 2).sum(1)
    rank = {} if len(p) == 0 else ranking(p, truth)
    return {
        "accuracy": mean(right),
        **rank,
        "log_loss": mean(loss),
        "brier": mean(squares),
        "calibration_error": Measure(calibration_error(p.max(1, initial=0.0), right)),
    }


def ranking(scores: Any, truth: Any) -> dict[str, Measure]:
    """How well scores of each label [n, K] rank the events that have it before the others; see `judge_classes`.

    A label of which there are not two events, or not two others, has no area; without any, nothing is returned.
    """
    of_labels = [found for k in judged_labels(truth, np.shape(scores)[1]) if (found := one_label(scores, truth, k))]
    if not of_labels:
        return {}
    areas, precisions = zip(*of_labels)
    error = math.hypot(*(area.error for area in areas)) / len(areas)
    area = Measure(float(np.mean([area.value for area in areas])), error)
    return {"auroc": area, "average_precision": Measure(float(np.mean(precisions)))}


def judged_labels(truth: Any, levels: int) -> list[int]:
    """The labels that are ranked: of two the rarer one, since its area is the other's too; of more, all."""
    if levels != 2:
        return list(range(levels))
    counts = np.bincount(np.asarray(truth), minlength=2)
    return [int(counts[1] <= counts[0])]


def one_label(scores: Any, truth: Any, label: int) -> tuple[Measure, float] | None:
    """Area under the ROC curve and average precision of one label against the others; None if it has none."""
    from sklearn.metrics import average_precision_score

    score, has = np.asarray(scores)[:, label], np.asarray(truth) == label
    if min(has.sum(), (~has).sum()) < 2:
        return None
    return Measure(*auroc(score[~has], score[has])), float(average_precision_score(has, score))


def per_label(scores: Any, truth: Any, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each label how many events have it and, where they can be ranked, `auroc`, `auroc_se`, `average_precision`."""
    counts = np.bincount(np.asarray(truth), minlength=len(names))
    found: dict[str, dict[str, float]] = {}
    for k, name in enumerate(names):
        found[name] = {"n": int(counts[k])}
        if ranked := one_label(scores, truth, k):
            area, precision = ranked
            assert area.error is not None
            found[name] |= {"auroc": area.value, "auroc_se": area.error, "average_precision": precision}
    return found


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: mean |accuracy − mean confidence| over bins, weighted by their events.

    Args:
        confidence: probabilities of the answers [n].
        right: whether they are true [n].

    >>> round(calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False])), 9)
    0.1
    """
    if not len(confidence):
        return math.nan
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum()) / len(confidence)


def most_frequent(train: Any, levels: int, n: int) -> np.ndarray:
    """What a classifier that sees no x answers: how often each label occurs in train, [n, K].

    Args:
        train: numbers of the training labels; those below 0 say nothing.
        levels: K.
        n: events.
    """
    known = np.asarray(train).astype(np.int64)
    counts = np.bincount(known[known >= 0], minlength=levels).astype(np.float64)
    return np.broadcast_to(counts / counts.sum(), (n, levels))
