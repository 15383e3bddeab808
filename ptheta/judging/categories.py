"""Tasks whose events are one category: a column of a table given others, a picture's class given the picture."""

from __future__ import annotations

import numpy as np
import torch

from ptheta.evaluation.nats import suited_batch
from ptheta.judging.base import Case, Findings, as_tensor, kind_of
from ptheta.judging.neighbours import nearest_training
from ptheta.metrics import accuracy
from ptheta.models import Model
from ptheta.spaces import Discrete, Space


def is_category(space: Space) -> bool:
    """Whether an event is one of a few values."""
    return isinstance(space, Discrete) and space.dimensions == 1


def judge_category(case: Case) -> Findings:
    """How often the most probable value given the context is the true one.

    Baselines: the most frequent training value, the value of the training event with the nearest context, and the
    model's own answers shuffled.
    """
    run = case.run
    truth, known = case.events.x.reshape(-1), case.train.x.reshape(-1)
    assert run.context_codec is not None
    answers = {"model": most_probable(run.model, case.context)}
    answers["shuffled outputs"] = answers["model"][case.others()]
    answers["most frequent"] = np.full_like(truth, np.bincount(known.astype(np.int64)).argmax())
    nearest = nearest_training(run.context_codec, case.train, case.context, case.how.seed)
    if nearest is not None:
        answers["nearest neighbour"] = known[nearest]
    found = Findings(f"{kind_of(run.context_codec)} → category: the most probable one")
    found.rows = {name: {"accuracy": accuracy(truth, values)} for name, values in answers.items()}
    return found


def most_probable(model: Model, context: np.ndarray) -> np.ndarray:
    """The value of greatest p(x | y) given each context, by trying all of them, int64 [n]."""
    space = model.space
    assert isinstance(space, Discrete)
    rows, parts = as_tensor(context), []
    values = torch.arange(space.levels)
    contexts = 1 if model.context_space is None else model.context_space.dimensions
    together = max(1, suited_batch(model) // (space.levels * contexts))
    with torch.no_grad():
        for some in rows.split(together):
            x = values.repeat(len(some)).reshape(-1, *space.shape)
            scores = model.log_prob(x, some.repeat_interleave(space.levels, 0)).reshape(len(some), -1)
            parts.append(scores.argmax(1).cpu())
    return torch.cat(parts).numpy()
