"""Scores of events as functions of arrays of nats, and what a rank among held-out events means."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.errors import UsageError
from ptheta.metrics import checked_nats

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Scores of events from their nats


def surprise(log_prob: Any) -> np.ndarray:
    """−log p(x): what is improbable is strange (Bishop 1994).

    Args:
        log_prob: nats [n].

    Returns:
        Nats [n], float64.
    """
    return -checked_nats("log_prob", log_prob)


def typicality(log_prob: Any, entropy: float) -> np.ndarray:
    """|−log p(x) − H|: what is too probable is strange too (Nalisnick et al. 2019, with one event).

    Draws of a distribution over many dimensions lie where −log p is near its mean H, hardly ever where it is least.

    Args:
        log_prob: nats [n].
        entropy: H, nats; the mean of −log p over events that were not trained on.

    Returns:
        Nats [n], float64; +∞ for an event of probability 0.
    """
    if not math.isfinite(entropy):
        raise UsageError(f"the entropy is {entropy} nats", "average over events of positive probability")
    return np.abs(surprise(log_prob) - entropy)


def ratio(log_prob: Any, background: Any) -> np.ndarray:
    """log q(x) − log p(x): what a background q explains better than p is strange (Ren et al. 2019).

    What makes any event likely, such as smoothness or much background, makes it likely under q too, and cancels.
    Between two models of equal prior weight it is the log-odds that x came from q.

    Args:
        log_prob: log p(x), nats [n].
        background: log q(x), nats [n].

    Returns:
        Nats [n], float64; +∞ wherever p(x) = 0, also if q(x) = 0; −∞ where only q(x) = 0.
    """
    p, q = checked_nats("log_prob", log_prob), checked_nats("background", background)
    if p.shape != q.shape:
        raise UsageError(f"{len(p)} events, but {len(q)} of the background", "score the same events under both")
    return np.where(np.isneginf(p), np.inf, q - np.where(np.isneginf(p), 0.0, p))


def complexity(log_prob: Any, compressed: Any) -> np.ndarray:
    """−log p(x) − L(x): the nats a model needs beyond a general-purpose compressor's (Serrà et al. 2020).

    It is `ratio` with the compressor's exp(−L) as the background.

    Args:
        log_prob: nats [n].
        compressed: L, nats [n], as `compressed_nats` gives them.

    Returns:
        Nats [n], float64; +∞ for an event of probability 0.
    """
    return ratio(log_prob, -checked_nats("compressed", compressed))


def either(surprise: Any, distance: Any, reference: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The larger of surprise and distance, in units of each: what is improbable, or far from all training events.

    Neither score knows it all. A density finds simple events likely, whatever they are; distances do not see what
    belongs together. The larger one is blind only where both are, and an event that is too probable hides nothing.

    Args:
        surprise: −log p(x), nats [n].
        distance: of the same events from the training events [n].
        reference: surprise and distance of events that were not trained on; each score is measured from its median, in
            interquartile ranges.

    Returns:
        Scores [n], +∞ for an event of probability 0; and whether the distance is the larger one, bool [n].
    """
    nats, far = (
        (checked_nats(name, values) - centre) / unit
        for name, values, (centre, unit) in zip(
            ("surprise", "distance"), (surprise, distance), map(location_and_scale, reference)
        )
    )
    return np.maximum(nats, far), far > nats


def location_and_scale(values: Any) -> tuple[float, float]:
    """Median and interquartile range of finite values; where those are equal their standard deviation, else 1.

    >>> location_and_scale([1.0, 2.0, 3.0, 4.0, float("inf")])
    (2.5, 1.5)
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        raise UsageError("there are no events to scale the scores by", "hold some out of the fit")
    low, middle, high = np.percentile(known, [25, 50, 75])
    return float(middle), float(high - low) or float(known.std()) or 1.0


# What a compressor needs


def compressed_nats(pictures: Sequence[Picture]) -> np.ndarray:
    """Size of every picture under general-purpose lossless compressors, nats [n] (1 byte = 8 log 2 nats).

    The least of PNG, lossless WebP and JPEG 2000, headers included: those shift all scores alike.

    Args:
        pictures: n of them, modes L or RGB.
    """
    sizes = [min(_saved(picture, **options) for options in PICTURE_FORMATS) for picture in pictures]
    return np.array(sizes, np.float64) * 8 * math.log(2)


PICTURE_FORMATS: tuple[dict[str, Any], ...] = (
    {"format": "PNG", "optimize": True},
    {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
    {"format": "JPEG2000", "irreversible": False},
)
"""Lossless formats and their options."""


def _saved(picture: Picture, **options: Any) -> int:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.tell()


# What a rank means


def p_values(anomaly: Any, calibration: Any) -> np.ndarray:
    """Conformal p-values: (1 + #{calibration ≥ anomaly}) / (n + 1) (Vovk et al. 2005; Bates et al. 2023).

    If an event is exchangeable with the calibration events, P(p ≤ t) ≤ t for every t, whatever the score and however
    bad the model: flagging p ≤ 0.01 flags at most 1 % of ordinary events, on average over calibration sets.

    Args:
        anomaly: scores [k].
        calibration: scores [n] of events that were not trained on.

    Returns:
        [k], from 1 / (n + 1) to 1; ties count as stranger, so p is never too small.

    Raises:
        UsageError: there is nothing to calibrate by.
    """
    scores, known = checked_nats("anomaly", anomaly), np.sort(checked_nats("calibration", calibration))
    if len(known) == 0:
        raise UsageError("there are no events to calibrate by", "hold some out of the fit")
    return (1 + len(known) - np.searchsorted(known, scores, side="left")) / (len(known) + 1)
