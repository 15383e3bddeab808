"""What a fit says at its end: scores, samples, the card."""

from __future__ import annotations

from typing import Any

import torch

from ptheta.data import Data, Split
from ptheta.evaluation.nats import affordable, evaluate, suited_batch
from ptheta.evaluation.results import Score
from ptheta.models import Autoregressive, Density, Model
from ptheta.numbers import jsonable
from ptheta.reporting import FitProgress, exhibit_of, write_card, write_overview
from ptheta.runs import Run
from ptheta.training import Objective

PATIENCE = 60.0
"""Seconds that the final scoring may take, or as long as the fit took; if all events take longer, a seeded part of them
is scored, and n says how many."""

LOOKED_AT = 10.0
"""Seconds that drawing samples to look at may take, or half as long as the fit took."""

ORDERED = 500
"""Events scored in random orders."""


def conclude(run: Run, data: Data, objective: Objective | None, seconds: float, progress: FitProgress) -> None:
    """Save, score the test split, write samples and the card. Weights are on disk before anything is evaluated."""
    run.model.eval()
    run.save_weights()
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    limit = affordable(run.model, data.splits[split], max(seconds, PATIENCE))
    events = data.splits[split].subset(limit)
    with progress.scoring(limit) as advance:
        score = evaluate(run.model, events, advance=advance)
    results = summary(run, score, split, seconds)
    if score.density is Density.EXACT:
        results |= exhibit_of(run.codec).rates(score, events.x)
    if isinstance(run.model, Autoregressive) and run.model.any_order:
        results["nats_random_orders"] = in_random_orders(run.model, data.splits[split])
    if objective is not None:
        results |= objective.conclude(run.model, events)
    run.log({"results": results})
    write_overview(run, patience=max(seconds / 2, LOOKED_AT), say=progress.say)
    write_card(run)
    progress.finished(results)


def in_random_orders(model: Autoregressive, events: Split) -> float:
    """Mean −log p of some events, each in a random order, as a model of any order was trained."""
    batches = enumerate(events.subset(ORDERED).batches(min(32, suited_batch(model))))
    with torch.no_grad():
        parts = [model.log_prob_in_random_orders(x, y, seed=number).cpu() for number, (x, y) in batches]
    return -float(torch.cat(parts).mean())


def summary(run: Run, score: Score, split: str, seconds: float) -> dict[str, Any]:
    """What `fit --json` prints."""
    model = run.model
    results: dict[str, Any] = {
        "run": str(run.path),
        "model": run.name,
        "density": model.density.value,
        **parameters(model),
        **score.to_json(run.codec.bits_key),
        "split": split,
        "n": score.n,
        "seconds": round(seconds, 2),
    }
    if score.zero:
        results["zero_probability"] = score.zero
    return results


def parameters(model: Model) -> dict[str, Any]:
    """How many there are, and of them free ones."""
    return {
        "parameters": jsonable(model.total_parameters),
        "free_parameters": jsonable(model.free_parameters),
    }
