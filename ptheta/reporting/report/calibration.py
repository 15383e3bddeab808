"""Calibration of conditionals: do the values that occur lie where p(x_j | x_<j) says they do?

For continuous conditionals u_j = F(x_j | x_<j) is uniform if the model is right, and independent over j and over events
(Rosenblatt 1952). For values with mass the transform is randomised, u_j = F(x_j −) + v p(x_j) with v uniform, which is
again exactly uniform (Czado, Gneiting & Held 2009, Biometrics 65).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ptheta.data import Split
from ptheta.distributions import Categorical, DiscretisedLogisticMixture, Distribution, Row, codes_of
from ptheta.evaluation.nats import suited_batch
from ptheta.models import Autoregressive

BINS = 20
"""Bins of the transform's histogram."""

CONFIDENCES = 15
"""Bins of confidence, equally wide (Guo et al. 2017)."""


@dataclass(frozen=True)
class Transforms:
    """What conditionals say about the values that occurred.

    Attributes:
        u: the transform of every value, [n, m] in the flat order of the event; of whole texts [k], of the tokens up to
            and including their ends, since what follows is certain.
        confidence: probability of the most probable level, of every value whose conditional has levels, [k].
        hit: whether that level occurred, [k].
    """

    u: np.ndarray
    confidence: np.ndarray
    hit: np.ndarray


def transforms(model: Autoregressive, split: Split, seed: int) -> Transforms:
    """Transforms of the values of a split.

    Args:
        model: whose conditionals have distribution functions.
        split: events and contexts.
        seed: of what is randomised.

    Raises:
        DensityError: a conditional knows no distribution function.
    """
    g = np.random.default_rng([seed, 1])
    size = suited_batch(model)
    parts: list[np.ndarray] = []
    confidences: list[np.ndarray] = []
    hits: list[np.ndarray] = []
    for start in range(0, len(split), size):
        x, context = split.events(slice(start, start + size))
        with torch.no_grad():
            conditionals = model.conditionals(x, context)
            z = model.flatten(x.to(model.device))
            low, high = conditionals.cdf(z, below=True), conditionals.cdf(z)
            v = torch.from_numpy(g.random(z.shape)).to(low)
            u = model.unflatten(low + v * (high - low)).reshape(len(x), -1)
            counts = torch.ones_like(z, dtype=torch.bool)
            unpadded = model.space.unpadded(x.to(model.device))
            if unpadded is not None:
                counts = model.flatten(unpadded)
                u = u[unpadded]
            parts.append(u.cpu().numpy())
            for levels, values in discrete(conditionals, z):
                confidence, level = levels.probabilities().max(-1)
                kept = counts if counts.shape == level.shape else torch.ones_like(level, dtype=torch.bool)
                confidences.append(confidence[kept].cpu().numpy())
                hits.append((level == values)[kept].cpu().numpy())
    empty = np.zeros(0)
    return Transforms(np.concatenate(parts), np.concatenate([empty, *confidences]), np.concatenate([empty, *hits]) > 0)


def discrete(conditionals: Distribution, z: torch.Tensor) -> list[tuple[Categorical, torch.Tensor]]:
    """The conditionals that have levels, as probabilities, with the levels that occurred."""
    if isinstance(conditionals, Categorical):
        return [(conditionals, z)]
    if isinstance(conditionals, DiscretisedLogisticMixture):
        return [(Categorical(conditionals.level_logits()), z)]
    if isinstance(conditionals, Row):
        cells = [(cell, values) for cell, values in zip(conditionals.cells, z.unbind(1)) if cell.column.is_category]
        return [(Categorical(cell.logits), codes_of(cell.column, values)) for cell, values in cells]
    return []


def uniform_distance(u: np.ndarray) -> float:
    """Kolmogorov–Smirnov distance of values from the uniform distribution: sup |F_n(u) − u|."""
    ordered = np.sort(u.reshape(-1))
    n = len(ordered)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def usual_distance(n: int) -> float:
    """Distance from uniform that n uniform values stay below in 95 % of cases (Stephens 1970).

    >>> round(usual_distance(1000), 4)
    0.0428
    """
    return 1.358 / (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))


def binomial_band(n: int, p: float, mass: float = 0.95) -> tuple[int, int]:
    """Counts between which a binomial of n trials stays with at least the given probability, cutting equal tails."""
    k = torch.arange(n + 1, dtype=torch.float64)
    log_mass = math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    log_mass += torch.special.xlogy(k, torch.tensor(p)) + torch.special.xlog1py(n - k, torch.tensor(-p))
    cdf = log_mass.exp().cumsum(0)
    low, high = (int(torch.searchsorted(cdf, torch.tensor(q, dtype=torch.float64))) for q in tails(mass))
    return low, min(high, n)


def tails(mass: float) -> tuple[float, float]:
    """Probabilities of the lower tail at both ends of the middle `mass`."""
    return (1 - mass) / 2, (1 + mass) / 2


@dataclass(frozen=True)
class Reliability:
    """Confidence against frequency, in bins of confidence that hold any value.

    Attributes:
        count: values of each bin.
        confidence: their mean probability.
        frequency: how often the most probable level occurred.
        deviation: standard deviation of that frequency if the probabilities are right.
        error: expected calibration error, Σ count/n |frequency − confidence|.
        usual_error: its mean if the probabilities are right, which is not 0 for finitely many values.
    """

    count: np.ndarray
    confidence: np.ndarray
    frequency: np.ndarray
    deviation: np.ndarray
    error: float
    usual_error: float


def reliability(confidence: np.ndarray, hit: np.ndarray, seed: int, draws: int = 50) -> Reliability:
    """How well the probability of the most probable level fits how often it occurs.

    Args:
        confidence: probabilities [k].
        hit: whether the level occurred [k].
        seed: of the outcomes drawn for `usual_error`.
        draws: of outcomes.
    """
    which = np.minimum((confidence * CONFIDENCES).astype(np.int64), CONFIDENCES - 1)
    count = np.bincount(which, minlength=CONFIDENCES)
    total = np.bincount(which, confidence, CONFIDENCES)
    variance = np.bincount(which, confidence * (1 - confidence), CONFIDENCES)

    def error(outcome: np.ndarray) -> float:
        return float(np.abs(np.bincount(which, outcome, CONFIDENCES) - total).sum() / len(confidence))

    g = np.random.default_rng([seed, 2])
    usual = [error(g.random(len(confidence)) < confidence) for _ in range(draws)]
    held = count > 0
    hits = np.bincount(which, hit, CONFIDENCES)[held]
    count = count[held]
    return Reliability(
        count,
        total[held] / count,
        hits / count,
        np.sqrt(variance[held]) / count,
        error(hit),
        float(np.mean(usual)),
    )
