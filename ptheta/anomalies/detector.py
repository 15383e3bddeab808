"""Scores of a run's events, with p-values against events that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from ptheta.anomalies.neighbours import Neighbours, compares
from ptheta.anomalies.scores import compressed_nats, either, p_values, ratio, surprise, typicality
from ptheta.data import Split
from ptheta.errors import DensityError, PthetaError, UsageError, nearest
from ptheta.evaluation.nats import elbos, log_probs
from ptheta.models import Autoregressive, Density
from ptheta.runs import Run

Method = Literal["either", "surprise", "neighbours", "typicality", "ratio", "complexity"]
"""Names of the scores."""

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
        distance: mean distance to the nearest training events [n], of `neighbours` and `either`.
        is_far: of `either`, whether an event's distance is stranger than its surprise, bool [n].
    """

    log_prob: np.ndarray
    anomaly: np.ndarray
    p_value: np.ndarray | None
    reference: np.ndarray | None
    pieces: Tensor | None
    usual: Tensor | None
    is_bound: bool = False
    distance: np.ndarray | None = None
    is_far: np.ndarray | None = None

    @property
    def ranking(self) -> np.ndarray:
        """Numbers of the events, strangest first; among equals in their order."""
        return np.argsort(-self.anomaly, kind="stable")


class _Measured(NamedTuple):
    """What is measured of n events.

    Attributes:
        log_prob: nats [n].
        reference: what log p is compared with, nats [n].
        pieces: log p(x_j | x_<j), nats [n, *shape].
        distance: to the nearest training events [n].
    """

    log_prob: np.ndarray
    reference: np.ndarray | None
    pieces: Tensor | None
    distance: np.ndarray | None


class Detector:
    """Scores of a run's events, with p-values against events that it was not trained on.

    Args:
        run: whose model has an exact density; or a lower bound on it, with `elbo`.
        method: `either`, `surprise`, `neighbours`, `typicality`, `ratio` or `complexity`; None: `ratio` if there is a
            background, else `either` once calibrated, where the run's events can be compared and its training events
            are at hand, else `surprise`.
        against: the background of `ratio`: a run on the same space with an exact density, such as an `independent`
            model of the same data or the same family fitted to noisy copies of them.
        per_dimension: also keep log p(x_j | x_<j), if the model is autoregressive.
        elbo: rank by the lower bound on log p that the model has. How far it lies below log p differs between events,
            so there are no p-values, no ratio and no typicality.
        draws: of the latent variables for each event, with `elbo`.

    Raises:
        DensityError: one of the two has no exact density, or a bound is asked what it cannot say.
        UsageError: the two are about different events, or the method does not suit the run.

    After `calibrate` the scores carry p-values; `typicality` and `either` cannot do without. `method` is the score
    that is taken.
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
        self.is_chosen = method is None and against is None
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
        if self.is_bound and self.method not in ("surprise", "complexity", "neighbours"):
            raise DensityError(
                f"{run.path} has only a bound on log p, whose distance from it differs between events, so it has no "
                f"{self.method}",
                "leave out --anomaly and --against, or score with an exact model",
            )
        can_compare = compares(run.model.space, run.codec, run.model.context_space)
        if self.method in ("neighbours", "either") and not can_compare:
            what = "texts, waveforms and events with contexts other than a label have no distance"
            raise UsageError(f"the score `{self.method}` compares events, and {what}", "use surprise")
        self.is_chosen &= can_compare and not self.is_bound
        self.draws = draws
        if against is not None:
            _check_same_events(run, against)
        self.run, self.against = run, against
        self.per_dimension = per_dimension and isinstance(run.model, Autoregressive)
        self.known: np.ndarray | None = None
        self.entropy = math.nan
        self.reference: tuple[np.ndarray, np.ndarray] | None = None
        self.neighbours = self._neighbours() if self.method in ("neighbours", "either") else None
        self.usual: Tensor | None = None

    def calibrate(self, split: Split, *, advance: Callable[[int], None] | None = None) -> Detector:
        """Learn what is ordinary from events that were not trained on; returns the detector.

        For `typicality` every second event serves to estimate the entropy, for `either` every fourth to estimate the
        scales, and the others to rank by, so that the events scored stay exchangeable with those they are ranked among.

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
        self._choose(split)
        found = self._measured(split, advance)
        if found.pieces is not None and len(found.pieces):
            self.usual = mean_surprise(found.pieces)
        estimated = np.zeros(len(split), bool)
        estimated[:: ESTIMATED.get(self.method, len(split) + 1)] = self.method in ESTIMATED
        if self.method == "typicality":
            finite = found.log_prob[estimated][np.isfinite(found.log_prob[estimated])]
            if not len(finite):
                raise UsageError("there are no events to estimate the entropy by", "hold some out of the fit")
            self.entropy = -float(finite.mean())
        elif self.method == "either":
            assert found.distance is not None
            self.reference = surprise(found.log_prob)[estimated], found.distance[estimated]
        known = self._anomaly(found)[0][~estimated]
        self.known = known if len(known) else None
        return self

    def score(self, split: Split, *, advance: Callable[[int], None] | None = None) -> Scores:
        """Score every event of a split.

        Args:
            split: events and contexts.
            advance: called with the number of events done.
        """
        found = self._measured(split, advance)
        anomaly, is_far = self._anomaly(found)
        p_value = None if self.known is None else p_values(anomaly, self.known)
        return Scores(
            found.log_prob,
            anomaly,
            p_value,
            found.reference,
            found.pieces,
            self.usual,
            self.is_bound,
            found.distance,
            is_far,
        )

    def _choose(self, split: Split) -> None:
        """Take `either` where no method was asked for, and it can be had."""
        if not self.is_chosen or len(split) < FEWEST:
            return
        try:
            self.neighbours = self._neighbours()
        except PthetaError:  # the training events have gone or changed: surprise needs none
            return
        self.method = "either"

    def _neighbours(self) -> Neighbours:
        run = self.run
        return Neighbours(run.own_data.train, run.model.space, run.codec)

    def _anomaly(self, found: _Measured) -> tuple[np.ndarray, np.ndarray | None]:
        """Scores [n], and of `either` whether the distance is the larger one."""
        if self.method == "typicality":
            if math.isnan(self.entropy):
                raise UsageError("typicality needs events that were held out of the fit", "use another --anomaly")
            return typicality(found.log_prob, self.entropy), None
        if self.method == "either":
            if self.reference is None:
                raise UsageError("either needs events that were held out of the fit", "use another --anomaly")
            assert found.distance is not None
            return either(surprise(found.log_prob), found.distance, self.reference)
        if self.method == "neighbours":
            assert found.distance is not None
            return found.distance, None
        if found.reference is None:
            return surprise(found.log_prob), None
        return ratio(found.log_prob, found.reference), None

    def _measured(self, split: Split, advance: Callable[[int], None] | None) -> _Measured:
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
        distance = None if self.neighbours is None else self.neighbours(split)
        return _Measured(log_prob.numpy(), reference, pieces, distance)


FEWEST = 8
"""Held-out events below which scores are not put on one scale."""


ESTIMATED = {"typicality": 2, "either": 4}
"""Score → every how many-th held-out event it estimates something from; it ranks by the others."""


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
    if run.model.space != against.model.space or not run.codec.means_as(against.codec):
        which = f"{against.model.space}, not {run.model.space}"
        if run.model.space == against.model.space:
            which = "other values of the same space"
        raise UsageError(f"{against.path} models {which}", "fit the background on the same data")
    labels = against.model.context_space
    if labels is not None and labels != run.model.context_space:
        raise UsageError(f"{against.path} needs a context in {labels}", "fit the background without --context")
