"""Metrics of texts, classes and pictures, computed by the libraries their fields use (extra `metrics`).

chrF and BLEU by sacrebleu, word and character error rates by jiwer, PSNR and SSIM by scikit-image. All are pure
functions of texts and arrays; none knows a model.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ptheta.errors import UsageError

WHITE = 255.0
"""Range of the values of pictures."""

SSIM_WINDOW = 7
"""Side of the window of SSIM, or the largest odd one that fits a smaller picture."""


class Measure(NamedTuple):
    """A number and its standard error over events; None where none is known.

    >>> print(Measure(0.912, 0.0123), Measure(31.4))
    0.912 ± 0.012 31.400
    """

    value: float
    error: float | None = None

    def __str__(self) -> str:
        known = self.error is not None and math.isfinite(self.error)
        return f"{self.value:.3f} ± {self.error:.3f}" if known else f"{self.value:.3f}"


def mean(values: Any) -> Measure:
    """Mean of values [n], with its standard error."""
    values = np.asarray(values, np.float64)
    n = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 and np.isfinite(values).all() else None
    return Measure(float(values.mean()) if n else math.nan, error)


def accuracy(truth: Any, predicted: Any) -> Measure:
    """Share of equal values of two arrays [n]."""
    return mean(np.asarray(truth) == np.asarray(predicted))


# Texts


def exact_match(references: Sequence[str], outputs: Sequence[str], together: int = 1) -> Measure:
    """Share of outputs that are their reference, up to the amount of white space.

    Args:
        references, outputs: n · k texts.
        together: k in a row that depend on each other, as draws for one context: the standard error is over n.
    """
    _paired(references, outputs)
    same = np.array([a.split() == b.split() for a, b in zip(references, outputs)], np.float64)
    return mean(same.reshape(-1, together).mean(1))


def word_error_rate(references: Sequence[str], outputs: Sequence[str], together: int = 1) -> Measure:
    """Word insertions, deletions and substitutions per word of the references (jiwer), over all texts together.

    The standard error is that of a ratio of two means over texts (delta method).

    Args:
        references, outputs: n · k texts.
        together: k in a row that depend on each other, as draws for one context: the standard error is over n.
    """
    return _error_rate(references, outputs, together, metric_library("jiwer").process_words)


def character_error_rate(references: Sequence[str], outputs: Sequence[str], together: int = 1) -> Measure:
    """As `word_error_rate`, of characters."""
    return _error_rate(references, outputs, together, metric_library("jiwer").process_characters)


def _error_rate(
    references: Sequence[str], outputs: Sequence[str], together: int, process: Callable[..., Any]
) -> Measure:
    _paired(references, outputs)
    found = [process(reference, output) for reference, output in zip(references, outputs)]
    edits = np.array([r.substitutions + r.deletions + r.insertions for r in found], np.float64)
    sizes = np.array([r.substitutions + r.deletions + r.hits for r in found], np.float64)
    edits, sizes = (each.reshape(-1, together).sum(1) for each in (edits, sizes))
    if not sizes.sum():
        return Measure(math.nan if not edits.sum() else math.inf)
    rate = float(edits.sum() / sizes.sum())
    n = len(sizes)
    error = float((edits - rate * sizes).std(ddof=1) / (sizes.mean() * math.sqrt(n))) if n > 1 else None
    return Measure(rate, error)


def chrf(references: Sequence[str], outputs: Sequence[str]) -> Measure:
    """Corpus chrF2 of 0 to 100: F-score of character 1- to 6-grams (sacrebleu; Popović 2015)."""
    _paired(references, outputs)
    return Measure(float(metric_library("sacrebleu").corpus_chrf(list(outputs), [list(references)]).score))


def bleu(references: Sequence[str], outputs: Sequence[str]) -> Measure:
    """Corpus BLEU of 0 to 100: word 1- to 4-grams, tokenised by sacrebleu's 13a (Post 2018)."""
    _paired(references, outputs)
    library = metric_library("sacrebleu")
    return Measure(float(library.corpus_bleu(list(outputs), [list(references)], force=True).score))


TEXT_METRICS: dict[str, Callable[[Sequence[str], Sequence[str]], Measure]] = {
    "exact": exact_match,
    "WER": word_error_rate,
    "CER": character_error_rate,
    "chrF": chrf,
    "BLEU": bleu,
}
"""Name → metric of references and outputs, n texts each."""


def text_metrics(references: Sequence[str], outputs: Sequence[str]) -> dict[str, Measure]:
    """All metrics of texts."""
    return {name: metric(references, outputs) for name, metric in TEXT_METRICS.items()}


def _paired(references: Sequence[Any], outputs: Sequence[Any]) -> None:
    if len(references) != len(outputs) or not len(references):
        raise UsageError(
            f"{len(outputs)} outputs and {len(references)} references", "give one reference for each output"
        )


# Pictures

PictureMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""References and outputs, [n, H, W] or [n, H, W, 3] with values 0 … 255 → a value for each, [n]."""


def psnr(references: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of pictures with values 0 … 255, [n]; infinite for equal pictures."""
    measure = metric_library("skimage.metrics").peak_signal_noise_ratio
    with np.errstate(divide="ignore"):
        return _each(lambda a, b: measure(a, b, data_range=WHITE), references, outputs)


def ssim(references: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Structural similarity of pictures with values 0 … 255, [n] (Wang et al. 2004; scikit-image).

    Raises:
        UsageError: pictures of fewer than 3 pixels a side.
    """
    side = min(references.shape[1:3])
    if side < 3:
        raise UsageError(f"pictures are {side} pixels wide or high", "SSIM needs at least 3")
    window = min(SSIM_WINDOW, side - 1 + side % 2)
    channel = -1 if references.ndim == 4 else None
    measure = metric_library("skimage.metrics").structural_similarity
    return _each(
        lambda a, b: measure(a, b, data_range=WHITE, win_size=window, channel_axis=channel), references, outputs
    )


def _each(measure: Callable[[np.ndarray, np.ndarray], Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape != b.shape:
        raise UsageError(f"pictures of {a.shape} and {b.shape} cannot be compared", "give pictures of equal size")
    pairs = zip(a.astype(np.float64), b.astype(np.float64))
    return np.array([measure(x, y) for x, y in pairs], np.float64)


class OfSamples(NamedTuple):
    """A metric of pictures of which there are k samples each, all [n].

    Attributes:
        one: of the first sample.
        best: of the best of the k.
        mean: of the pixelwise mean of the k.
    """

    one: np.ndarray
    best: np.ndarray
    mean: np.ndarray


def of_samples(metric: PictureMetric, references: np.ndarray, samples: np.ndarray) -> OfSamples:
    """A metric, of which more is better, for one sample, the best of k, and the mean of k.

    Args:
        metric: `psnr` or `ssim`.
        references: [n, H, W] or [n, H, W, 3], 0 … 255.
        samples: [n, k, …].
    """
    each = np.stack([metric(references, samples[:, i]) for i in range(samples.shape[1])], 1)  # [n, k]
    return OfSamples(each[:, 0], each.max(1), metric(references, samples.astype(np.float64).mean(1)))


def metric_library(name: str) -> Any:
    """A package of the extra `metrics`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = {"skimage.metrics": "scikit-image"}.get(name, name)
        raise UsageError(
            f"this metric needs {package}, which is not installed", "install it with pip install 'ptheta[metrics]'"
        ) from None


def checked_nats(name: str, values: Any) -> np.ndarray:
    """One number for each event [n], float64, on the CPU.

    Args:
        name: of the values, in an error.
        values: an array or a tensor.

    Raises:
        UsageError: they are not a list of numbers, or one is NaN.
    """
    values = values.detach().cpu() if isinstance(values, Tensor) else values
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or np.isnan(array).any():
        what = f"is {array.ndim}-dimensional" if array.ndim != 1 else f"is NaN at {int(np.isnan(array).argmax())}"
        raise UsageError(f"{name} {what}", "give one number of nats for each event")
    return array


def auroc(ordinary: Any, strange: Any) -> tuple[float, float]:
    """Area under the ROC curve, P(strange > ordinary) + P(equal) / 2, and its standard error (DeLong et al. 1988).

    Args:
        ordinary, strange: scores of the two kinds of events, at least two of each.

    >>> auroc([1.0, 2.0, 3.0, 4.0], [2.5, 5.0])[0]
    0.75
    """
    low, high = checked_nats("ordinary", ordinary), checked_nats("strange", strange)
    if min(len(low), len(high)) < 2:
        raise UsageError("an area needs two events of each kind", "give more")
    wins_of_strange = _part_below(high, low)
    wins_of_ordinary = 1 - _part_below(low, high)
    variance = wins_of_strange.var(ddof=1) / len(high) + wins_of_ordinary.var(ddof=1) / len(low)
    return float(wins_of_strange.mean()), math.sqrt(variance)


def _part_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score, the part of the others below it; equal ones count half."""
    others = np.sort(others)
    below, up_to = (np.searchsorted(others, scores, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))
