"""Classes by Bayes: from p(x | y) and p(y) to p(y | x).

    p(y_k | x) = p(x | y_k) p(y_k) / Σ_j p(x | y_j) p(y_j)

All sums are of logarithms, in float64. The candidates y_k are all labels of the model, or any contexts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import ContextError, DensityError, UsageError
from ptheta.evaluation.nats import suited_batch
from ptheta.models import Density, Model
from ptheta.numbers import plural
from ptheta.runs import Run
from ptheta.spaces import Joint, Label, Space

Prior = Literal["uniform", "train"]

MOST_COMBINATIONS = 4_096
"""Combinations of several labels that are tried for each event, at most."""


def classify(
    model: Model | Run,
    x: Any,
    candidates: Any = None,
    prior: Any = "uniform",
    *,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """p(y | x) of candidate contexts y, by Bayes.

    Args:
        model: p(x | y) with an exact density, or a run of one.
        x: events [n, *space.shape].
        candidates: contexts [K, *context_space.shape] (or names of labels), or [n, K, *context_space.shape], other ones
            for each event; None: all labels, or all combinations of several labels, as `combinations` lists them.
        prior: p(y_k): "uniform", numbers [K] (of any sum), or "train", how often the run's training events have each
            label, or combination of labels.
        batch_size: pairs of an event and a candidate scored together; None chooses by their size.
        advance: called with the number of events done.

    Returns:
        Probabilities [n, K], float64. An event that has probability 0 under every candidate says nothing of y: its row
        is NaN.

    Raises:
        DensityError: the model has no exact density.
        ContextError: it has no context, or its context is not a label and there are no candidates.
        UsageError: an invalid prior.
    """
    network = model.model if isinstance(model, Run) else model
    if network.density is not Density.EXACT:
        raise DensityError(
            f"{type(network).__name__} has {network.density.phrase}, and Bayes needs log p(x | y) itself",
            "classify with an exact model, see `ptheta zoo`",
        )
    log_prior = _log_prior(model, candidates, prior)
    scores = log_likelihoods(network, x, candidates, batch_size=batch_size, advance=advance)
    if log_prior is not None:
        if len(log_prior) != scores.shape[1]:
            raise UsageError(
                f"the prior has {len(log_prior)} numbers for {scores.shape[1]} candidates", "give one for each"
            )
        scores = scores + log_prior
    return (scores - scores.logsumexp(1, keepdim=True)).exp()


def log_likelihoods(
    model: Model,
    x: Any,
    candidates: Any = None,
    *,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """log p(x | y_k) of candidates, nats [n, K] float64 on the CPU; arguments as of `classify`."""
    x = model.space.validate(x)
    rows, each = _rows(model, candidates, len(x))
    n, k = len(x), rows.shape[1] if each else len(rows)
    size = batch_size or suited_batch(model)
    found = torch.empty(n, k, dtype=torch.float64)
    together = max(1, size // max(k, 1))  # events whose candidates fit into one batch
    with torch.no_grad():
        for start in range(0, n, together):
            part = x[start : start + together]
            for first in range(0, k, size):  # one event may have more candidates than a batch holds
                some = rows[start : start + together, first : first + size] if each else rows[first : first + size]
                count = some.shape[1] if each else len(some)
                context = some.flatten(0, 1) if each else some.repeat(len(part), *(1,) * (some.ndim - 1))
                scores = model.log_prob(part.repeat_interleave(count, 0), context)
                found[start : start + together, first : first + size] = scores.reshape(len(part), count).cpu()
            if advance:
                advance(len(part))
    return found


def log_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """−log p(y | x) of the true candidates, nats [n].

    Args:
        probabilities: [n, K].
        truth: numbers of the true candidates [n].
    """
    return -probabilities.gather(1, truth[:, None]).squeeze(1).log()


def labels_of(space: Space | None) -> dict[str, Label] | None:
    """The labels that a context consists of, by name, or None if it is anything else; one label has no name."""
    if isinstance(space, Label):
        return {"": space}
    if isinstance(space, Joint) and all(isinstance(part, Label) for _, part in space.parts):
        return {name: part for name, part in space.parts if isinstance(part, Label)}
    return None


def combinations(space: Space) -> Tensor:
    """All contexts of a space of labels: [K], or of several labels [K, labels], the last one changing fastest.

    Raises:
        ContextError: it has others than labels, or too many combinations.
    """
    labels = labels_of(space)
    if labels is None:
        raise ContextError(f"the contexts in {space} cannot be listed", "give the candidates")
    count = math.prod(label.levels for label in labels.values())
    if len(labels) > 1 and count > MOST_COMBINATIONS:
        raise ContextError(
            f"{len(labels)} labels have {count:,} combinations",
            f"give candidates, at most {MOST_COMBINATIONS:,} are listed, or fit with fewer labels",
        )
    levels = [torch.arange(label.levels) for label in labels.values()]
    return levels[0] if isinstance(space, Label) else torch.cartesian_prod(*levels).reshape(count, len(levels))


def marginals(probabilities: Tensor, space: Space) -> dict[str, Tensor]:
    """p(label | x) of every label of a context, [n, K_label], from those of all their combinations [n, K]."""
    labels = labels_of(space)
    assert labels is not None
    grid = probabilities.reshape(len(probabilities), *(label.levels for label in labels.values()))
    axes = range(1, grid.ndim)
    return {name: grid.sum([b for b in axes if b != a]) if grid.ndim > 2 else grid for a, name in zip(axes, labels)}


def training_prior(run: Run) -> np.ndarray:
    """How often each label, or combination of labels, occurs among the training events of a run, [K], of sum 1.

    Events that lack one of several labels are left out.
    """
    space = run.model.context_space
    labels = labels_of(space)
    if labels is None:
        raise UsageError(f"the context of {run.path} is not a label", 'give the prior as numbers, or "uniform"')
    context = run.own_data.train.context
    assert context is not None
    known = context.astype(np.int64).reshape(len(context), -1)
    known = known[(known >= 0).all(1)]
    levels = [label.levels for label in labels.values()]
    numbers = np.ravel_multi_index(tuple(known.T), levels)
    counts = np.bincount(numbers, minlength=math.prod(levels)).astype(np.float64)
    if not counts.sum():
        raise UsageError("no training event has all labels", 'give the prior as numbers, or "uniform"')
    return counts / counts.sum()


def _rows(model: Model, candidates: Any, n: int) -> tuple[Tensor, bool]:
    """The candidates as rows, [K, *shape] or [n, K, *shape], and whether each event has its own."""
    space = model.context_space
    if space is None:
        raise ContextError("this model has no context", "fit p(x | y) with a context to find p(y | x)")
    if candidates is None:
        return combinations(space), False
    if isinstance(candidates, np.ndarray | Tensor) and candidates.ndim == 2 + len(space.shape):
        if len(candidates) != n:
            raise ContextError(
                f"there are candidates for {plural(len(candidates), 'event')} of {n}", "give some for each"
            )
        flat = torch.as_tensor(candidates).reshape(-1, *space.shape)
        return space.validate(flat).reshape(n, -1, *space.shape), True
    return space.validate(candidates), False


def _log_prior(model: Model | Run, candidates: Any, prior: Any) -> Tensor | None:
    if prior is None or (isinstance(prior, str) and prior == "uniform"):
        return None
    if isinstance(prior, str):
        if prior != "train":
            raise UsageError(f"no prior is called {prior!r}", 'give "uniform", "train" or numbers')
        if not isinstance(model, Run) or candidates is not None:
            raise UsageError("the prior of the training labels is for all labels of a run", "give numbers instead")
        prior = training_prior(model)
    weights = torch.as_tensor(np.asarray(prior), dtype=torch.float64).flatten()
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or not weights.sum() > 0:
        raise UsageError("the prior holds numbers that are not probabilities", "give numbers of at least 0, not all 0")
    return (weights / weights.sum()).log()
