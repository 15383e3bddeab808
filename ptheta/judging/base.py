"""What is judged, how, and the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.data.codecs import Codec
from ptheta.metrics import Measure
from ptheta.runs import Run

Row = dict[str, Measure]
"""Metric → its value."""


@dataclass(frozen=True)
class How:
    """How events are made from contexts.

    Attributes:
        samples: k, drawn for each context.
        beams: of the search for texts.
        length_penalty: of that search.
        mbr: texts drawn for each context, of which the one most like all others is the answer; None: beam search.
        temperature: of these draws.
        guidance: of draws; 1 draws from p(x | y).
        seed: of draws, shuffling and choices.
        judge: a run of the opposite direction, which says whether a picture or a sound is what was asked for.
    """

    samples: int = 1
    beams: int = 4
    length_penalty: float = 1.0
    guidance: float = 1.0
    seed: int = 0
    judge: Run | None = None
    mbr: int | None = None
    temperature: float = 1.0


@dataclass
class Case:
    """A run and the events it is judged on.

    Attributes:
        run: with a context.
        events: events and contexts that are judged.
        how: events are made.
    """

    run: Run
    events: Split
    how: How

    @property
    def train(self) -> Split:
        """What the run was trained on: baselines are trained on it too."""
        return self.run.own_data.train

    @property
    def validation(self) -> Split | None:
        """What baselines choose by; None if nothing was held out."""
        return self.run.own_data.splits.get("validation")

    @property
    def context(self) -> np.ndarray:
        """Contexts [n, …] of the events."""
        return contexts_of(self.events)

    def names(self) -> list[str]:
        """Captions of the contexts, n."""
        codec = self.run.context_codec
        return [] if codec is None else codec.names(self.context)

    def draw(self) -> Tensor:
        """k events for each context, [n, k, *space.shape]."""
        context = self.events.events()[1]
        guided: dict[str, Any] = {} if self.how.guidance == 1 else {"guidance": self.how.guidance}
        return self.run.model.sample_each(self.how.samples, context, seed=self.how.seed, **guided).cpu()

    def others(self) -> np.ndarray:
        """For each event another one, [n]: a seeded cyclic permutation."""
        return derangement(len(self.events), self.how.seed)


@dataclass
class Findings:
    """What the metric of a task says.

    Attributes:
        task: in words.
        rows: who answered → metrics; the model first, then the baselines.
        notes: in sentences.
        examples: context, reference, output.
        made: events of the model [n, k, …], if it drew some.
    """

    task: str
    rows: dict[str, Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    examples: list[tuple[str, str, str]] = field(default_factory=list)
    made: Tensor | None = None


def contexts_of(split: Split) -> np.ndarray:
    """Contexts of a split that has some."""
    assert split.context is not None
    return split.context


def derangement(n: int, seed: int) -> np.ndarray:
    """A permutation of 0 … n − 1 that leaves nothing where it was, if n > 1: one random cycle.

    >>> bool((derangement(50, 0) != np.arange(50)).all())
    True
    """
    order = np.random.default_rng(seed).permutation(n)
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, 1)
    return found


def kind_of(codec: Codec | None) -> str:
    """What a person calls the values of a codec: text, sound, picture, label or other."""
    return Codec.noun if codec is None else codec.noun


def as_pixels(codec: Codec, x: Tensor | np.ndarray) -> np.ndarray:
    """Picture events as 8-bit pictures, [n, H, W] or [n, H, W, 3]."""
    return np.stack([np.asarray(picture) for picture in codec.pictures(x)])


def as_tensor(x: np.ndarray) -> Tensor:
    """Rows of a split's array as a model takes them."""
    rows = torch.from_numpy(np.ascontiguousarray(x))
    return rows.double() if rows.is_floating_point() else rows.long()
