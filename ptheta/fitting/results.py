"""What a fit says at its end: scores, samples, the card."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ptheta.data import Data, Split
from ptheta.evaluation.nats import affordable, evaluate, suited_batch
from ptheta.evaluation.results import Score
from ptheta.fitting.advice import shortcomings
from ptheta.models import Autoregressive, Density, Model
from ptheta.models.ensembles.base import Ensemble
from ptheta.numbers import jsonable, rounded
from ptheta.remarks import collecting, remark
from ptheta.reporting import FitProgress, exhibit_of, write_card, write_overview
from ptheta.runs import Run
from ptheta.training import Objective, Timetable

ORDERED = 500
"""Events scored in random orders, at most."""


def held_out(data: Data) -> str:
    """The split that a fit is scored on: what it did not learn from, if there is such."""
    return next(name for name in ("test", "validation", "train") if name in data.splits)


def conclude(
    run: Run,
    data: Data,
    objective: Objective | None,
    seconds: float,
    progress: FitProgress,
    timetable: Timetable,
    scored: int | None = None,
) -> None:
    """Save, score the test split, write samples and the card. Weights are on disk before anything is evaluated.

    If all events would take longer than the final score may, a seeded part of them is scored, of a round number.

    Args:
        run: that was fitted.
        data: the run's.
        objective: of the fit; None of models that count.
        seconds: that learning took.
        progress: of the fit.
        timetable: of the command.
        scored: events that an earlier fit in this folder was scored on; the same ones are scored again.
    """
    run.model.eval()
    run.save_weights()
    split = held_out(data)
    whole = data.splits[split]
    with progress.during("measuring how long scores take"):
        limit = scored or _affordable(run, whole, timetable, timetable.scoring(seconds))
    events = whole.subset(limit)
    with progress.scoring(len(events)) as advance:
        score = evaluate(run.model, events, advance=advance)
    results = summary(run, score, split, len(whole), seconds)
    if objective is not None:
        results["steps"] = progress.steps
        if isinstance(run.model, Ensemble):
            results["members"] = len(run.model.members)
    if score.density is Density.EXACT:
        results |= exhibit_of(run.codec).rates(score, events.x)
    if isinstance(run.model, Autoregressive) and run.model.any_order:
        results["nats_random_orders"] = in_random_orders(run.model, events)
    if objective is not None:
        results |= objective.conclude(run.model, events)
        if notes := shortcomings(run, score, progress.steps, progress.advise(progress.steps)):
            results["notes"] = notes
            run.log({"notes": notes})
    run.log({"results": results})
    with noting(run):
        write_overview(run, patience=timetable.looking(seconds), say=progress.say, during=progress.during)
    write_card(run)
    progress.finished(results)


@contextmanager
def noting(run: Run) -> Iterator[None]:
    """Within, remarks are kept among the run's notes, too."""
    with collecting() as found:
        yield
    for text in found:
        remark(text)
    if found:
        run.log({"notes": found})


def _affordable(run: Run, events: Split, timetable: Timetable, seconds: float) -> int:
    """How many events are scored: as many as seconds allow by the last validation, else by a measurement."""
    if math.isnan(timetable.scored) or run.model.density is Density.IMPLICIT:
        return affordable(run.model, events, seconds)
    return rounded(seconds / max(timetable.scored, 1e-9), len(events))


def on_the_same_events(runs: Sequence[Run], data: Data) -> tuple[Split, list[dict[str, Any]]]:
    """The results of several runs on the same held-out events: those that the slowest of them was scored on.

    Args:
        runs: on the same data.
        data: theirs.

    Returns:
        The events, a seeded part of their split, and results of each run, as `fit` records them.
    """
    split = held_out(data)
    n = min(run.results()["n"] for run in runs)
    events = data.splits[split].subset(n)
    found = []
    for run in runs:
        results = run.results()
        if results["n"] != n:
            score = evaluate(run.model, events)
            again = summary(run, score, split, len(data.splits[split]), results["seconds"])
            if score.density is Density.EXACT:
                again |= exhibit_of(run.codec).rates(score, events.x)
            results |= {"zero_probability": 0} | again
        found.append(results)
    return events, found


def in_random_orders(model: Autoregressive, events: Split) -> float:
    """Mean −log p of some events, each in a random order, as a model of any order was trained."""
    batches = enumerate(events.subset(ORDERED).batches(min(32, suited_batch(model))))
    with torch.no_grad():
        parts = [model.log_prob_in_random_orders(x, y, seed=number).cpu() for number, (x, y) in batches]
    return -float(torch.cat(parts).mean())


def summary(run: Run, score: Score, split: str, of: int, seconds: float) -> dict[str, Any]:
    """What `fit --json` prints: `n` events were scored of the `of` events of the split."""
    model = run.model
    results: dict[str, Any] = {
        "run": str(run.path),
        "model": run.name,
        "density": model.density.value,
        **parameters(model),
        **score.to_json(run.codec.bits_key),
        "split": split,
        "n": score.n,
        "of": of,
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
