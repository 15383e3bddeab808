"""How strange events are: scores that rank them by log-densities, and what a rank means.

A density alone ranks badly where simple events are likely by their simplicity: a model of clothes finds digits
likelier than clothes. The scores here compare log p(x) with something: its expectation, another model, the size of a
compressed file. Higher is stranger. An event of probability 0 is strangest of all, and its score is +∞, never NaN.

The functions take arrays of nats; `Detector` measures them for a run and turns scores into p-values.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import DensityError, UsageError, nearest
from ptheta.evaluation.nats import elbos, log_probs
from ptheta.metrics import checked_nats
from ptheta.models import Autoregressive, Density
from ptheta.runs import Run

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Method = Literal["surprise", "typicality", "ratio", "complexity"]
"""Names of the scores."""

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


# Scores of a run's events


@dataclass(frozen=True)
class Scores:
    """How strange some events are.

    Attributes:
        log_prob: log p(x), nats [n]; if `is_bound`, a lower bound on it.
        anomaly: scores [n], higher is stranger.
        p_value: conformal p-values [n] against the calibration events; None without any.
        reference: what log p(x) was compared with, nats [n]: log q(x) of the background, or −L of the compressor.
        pieces: log p(x_j | x_<j), nats [n, *shape], if they were asked for and the model has them.
        usual: mean −log p(x_j | x_<j) of the calibration events, nats [*shape]; with `pieces`.
        is_bound: whether the model has a bound on log p only.
    """

    log_prob: np.ndarray
    anomaly: np.ndarray
    p_value: np.ndarray | None
    reference: np.ndarray | None
    pieces: Tensor | None
    usual: Tensor | None
    is_bound: bool = False

    @property
    def ranking(self) -> np.ndarray:
        """Numbers of the events, strangest first; among equals in their order."""
        return np.argsort(-self.anomaly, kind="stable")


class Detector:
    """Scores of a run's events, with p-values against events that it was not trained on.

    Args:
        run: whose model has an exact density; or a lower bound on it, with `elbo`.
        method: `surprise`, `typicality`, `ratio` or `complexity`; None: `ratio` if there is a background, else
            `surprise`.
        against: the background of `ratio`: a run on the same space with an exact density, such as an `independent`
            model of the same data or the same family fitted to noisy copies of them.
        per_dimension: also keep log p(x_j | x_<j), if the model is autoregressive.
        elbo: rank by the lower bound on log p that the model has. How far it lies below log p differs between events,
            so there are no p-values, no ratio and no typicality.
        draws: of the latent variables for each event, with `elbo`.

    Raises:
        DensityError: one of the two has no exact density, or a bound is asked what it cannot say.
        UsageError: the two are about different events, or the method does not suit the run.

    After `calibrate` the scores carry p-values; `typicality` cannot do without.
    """

    def __init__(
        self,
        run: Run,
        method: str | None = None,
        against: Run | None = None,
        *,
        per_dimension: bool = False,
        elbo: bool = False,
        draws: int = 1,
    ):
        self.method = method or ("surprise" if against is None else "ratio")
        if self.method not in get_args(Method):
            raise UsageError(
                f"no anomaly score is called {self.method!r}", nearest(self.method, list(get_args(Method)))
            )
        if (against is not None) != (self.method == "ratio"):
            problem = "the score `ratio` needs a background" if against is None else f"{self.method} has no background"
            raise UsageError(problem, "name a run with --against, or leave out --anomaly ratio")
        if self.method == "complexity" and not run.codec.is_picture:
            raise UsageError("the score `complexity` is for pictures", "use surprise, or ratio with --against RUN")
        self.is_bound = elbo and run.model.density is Density.LOWER_BOUND
        for one in (run, against):
            if one is not None and not (self.is_bound and one is run):
                _check_density(one)
        if self.is_bound and self.method not in ("surprise", "complexity"):
            raise DensityError(
                f"{run.path} has only a bound on log p, whose distance from it differs between events, so it has no "
                f"{self.method}",
                "leave out --anomaly and --against, or score with an exact model",
            )
        self.draws = draws
        if against is not None:
            _check_same_events(run, against)
        self.run, self.against = run, against
        self.per_dimension = per_dimension and isinstance(run.model, Autoregressive)
        self.known: np.ndarray | None = None
        self.entropy = math.nan
        self.usual: Tensor | None = None

    def calibrate(self, split: Split, *, advance: Callable[[int], None] | None = None) -> Detector:
        """Learn what is ordinary from events that were not trained on; returns the detector.

        For `typicality` every second event serves to estimate the entropy and the others to rank by, so that the events
        scored stay exchangeable with those they are ranked among.

        Args:
            split: events and contexts.
            advance: called with the number of events done.

        Raises:
            DensityError: the model has only a bound.
        """
        if self.is_bound:
            raise DensityError(
                "a bound has no p-values: how far it lies below log p differs between events",
                "rank by the bound without them, or score with an exact model",
            )
        log_prob, reference, pieces = self._measured(split, advance)
        if pieces is not None and len(pieces):
            self.usual = mean_surprise(pieces)
        if self.method == "typicality":
            finite = log_prob[::2][np.isfinite(log_prob[::2])]
            if not len(finite):
                raise UsageError("there are no events to estimate the entropy by", "hold some out of the fit")
            self.entropy, log_prob = -float(finite.mean()), log_prob[1::2]
        known = self._anomaly(log_prob, reference)
        self.known = known if len(known) else None
        return self

    def score(self, split: Split, *, advance: Callable[[int], None] | None = None) -> Scores:
        """Score every event of a split.

        Args:
            split: events and contexts.
            advance: called with the number of events done.
        """
        log_prob, reference, pieces = self._measured(split, advance)
        anomaly = self._anomaly(log_prob, reference)
        p_value = None if self.known is None else p_values(anomaly, self.known)
        return Scores(log_prob, anomaly, p_value, reference, pieces, self.usual, self.is_bound)

    def _anomaly(self, log_prob: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
        if self.method == "typicality":
            if math.isnan(self.entropy):
                raise UsageError("typicality needs events that were held out of the fit", "use another --anomaly")
            return typicality(log_prob, self.entropy)
        return surprise(log_prob) if reference is None else ratio(log_prob, reference)

    def _measured(
        self, split: Split, advance: Callable[[int], None] | None
    ) -> tuple[np.ndarray, np.ndarray | None, Tensor | None]:
        """log p of every event; what it is compared with; and the pieces of log p."""
        pieces = reference = None
        if self.per_dimension:
            pieces = _per_dimension(self.run.model, split, advance)
            log_prob = pieces.flatten(1).sum(1)
        elif self.is_bound:
            log_prob = elbos(self.run.model, split, draws=self.draws, advance=advance)
        else:
            log_prob = log_probs(self.run.model, split, advance=advance)
        if self.against is not None:
            context = split.context if self.against.model.context_space is not None else None
            reference = log_probs(self.against.model, Split(split.x, context)).numpy()
        elif self.method == "complexity":
            groups = [self.run.codec.pictures(split.x[start : start + GROUP]) for start in range(0, len(split), GROUP)]
            reference = -np.concatenate([compressed_nats(group) for group in groups] or [np.zeros(0)])
        return log_prob.numpy(), reference, pieces


GROUP = 128
"""Events whose pictures or pieces are held together."""


def _per_dimension(model: Any, split: Split, advance: Callable[[int], None] | None) -> Tensor:
    parts = [torch.zeros(0, *model.space.shape, dtype=torch.float64)]
    for start in range(0, len(split), GROUP):
        x, context = split.events(slice(start, start + GROUP))
        with torch.no_grad():
            parts.append(model.log_prob_per_dimension(x, context).cpu())
        if advance:
            advance(len(x))
    return torch.cat(parts)


def mean_surprise(pieces: Tensor) -> Tensor:
    """Mean −log p of every dimension over the events where it is finite, nats [*shape], of pieces [n, *shape]."""
    return -pieces.where(pieces.isfinite(), torch.nan).nanmean(0)


def _check_density(run: Run) -> None:
    """Check that a run has an exact density.

    Raises:
        DensityError: it has a bound, or none.
    """
    if run.model.density is Density.LOWER_BOUND:
        raise DensityError(
            f"{run.path} has no exact density, only a lower bound",
            "rank by the bound with --elbo, or score with an exact model; see `ptheta zoo`",
        )
    if run.model.density is Density.IMPLICIT:
        raise DensityError(f"{run.path} has no density", "compare its samples: ptheta compare, ptheta report")


def _check_same_events(run: Run, against: Run) -> None:
    """Two runs must read the same values as the same events; which others they take, such as larger pictures, is free.

    Raises:
        UsageError: they do not, or the background needs a context that the run has not.
    """
    codecs = [{k: v for k, v in one.codec.to_json().items() if k not in READING} for one in (run, against)]
    if run.model.space != against.model.space or codecs[0] != codecs[1]:
        which = f"{against.model.space}, not {run.model.space}"
        if run.model.space == against.model.space:
            which = "other values of the same space"
        raise UsageError(f"{against.path} models {which}", "fit the background on the same data")
    labels = against.model.context_space
    if labels is not None and labels != run.model.context_space:
        raise UsageError(f"{against.path} needs a context in {labels}", "fit the background without --context")


READING = ("resize", "convert", "fit", "aspect", "resolution", "resolutions", "numbered")
"""Options of a codec that say which pictures it takes, not what an event means."""
