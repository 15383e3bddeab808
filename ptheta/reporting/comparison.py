"""The table of `ptheta compare`, and its sheet of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.table import Table
from torch import Tensor

from ptheta.data import Data, Split
from ptheta.evaluation.baselines import Baseline
from ptheta.evaluation.results import Score
from ptheta.evaluation.samples import FEWEST, Distinguished, distinguished, drawn_within
from ptheta.models import family
from ptheta.numbers import count, plural
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.pictures import grid
from ptheta.runs import Run
from ptheta.spaces import Discrete, Image, Space
from ptheta.terminal import console

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LECTURE = Image(28, 28, levels=2)
"""The space on which the lecture counts parameters."""

JUDGED = 500
"""Samples of each model that are compared with real events, at most."""

PATIENCE = 30.0
"""Seconds that drawing them may take."""

SHOWN = 12
"""Samples of each model on the sheet."""


@dataclass(frozen=True)
class Row:
    """What one model, or one baseline, reached on the events that all are scored on.

    Attributes:
        name: of the family or baseline.
        results: as `fit --json` prints them, of these events.
        score: the same, typed.
        run: of the model; None of a baseline.
    """

    name: str
    results: Mapping[str, Any]
    score: Score
    run: Run | None = None

    @classmethod
    def of(cls, run: Run, results: Mapping[str, Any]) -> Row:
        """Of a run and its results."""
        return cls(run.name, results, Score.from_json(results, run.model.space.dimensions), run)

    @classmethod
    def of_baseline(cls, baseline: Baseline) -> Row:
        """Of a simple density."""
        return cls(baseline.name, baseline.to_json(), baseline.score)

    @property
    def size(self) -> str:
        """Of the weights on disk, in words; empty of a baseline, which has none."""
        if self.run is None:
            return ""
        size = (self.run.path / "model.safetensors").stat().st_size
        return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Rows, best first: by nats or the bound on them; those without a density last."""
    return sorted(rows, key=lambda row: (math.isnan(row.score.value), row.score.value))


def held_out(data: Data) -> Split:
    """Some events with which samples are compared."""
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    return data.splits[split]


def drawn(runs: Sequence[Run], data: Data, seed: int) -> dict[str, Tensor]:
    """Samples of each run by its name, given the contexts of `JUDGED` held-out events; without those that take long."""
    real, context = held_out(data).subset(JUDGED, seed).events()
    found = {run.name: drawn_within(run.model, len(real), context, seed, PATIENCE) for run in runs}
    return {name: x for name, x in found.items() if x is not None}


def sample_quality(samples: Mapping[str, Tensor], data: Data, seed: int) -> dict[str, Distinguished]:
    """How well a classifier distinguishes each run's samples from held-out events, by the run's name; under `train`,
    that of training events, which is the floor.

    Args:
        samples: as `drawn` gives them.
        data: of the runs.
        seed: of samples and classifier.
    """
    real, _ = held_out(data).subset(JUDGED, seed).events()
    sets = {"train": data.train.subset(JUDGED, seed + 1).events()[0], **samples}
    return distinguished(exhibit_of(data.codec).features, real, sets, seed)


def sheet(rows: Sequence[Row], samples: Mapping[str, Tensor], data: Data, seed: int) -> Picture | None:
    """Samples of all models as one picture, a row for each under one of real events; None if they are not looked at.

    Args:
        rows: in their order.
        samples: as `drawn` gives them, for the same contexts.
        data: of the runs.
        seed: of the samples.
    """
    real, _ = held_out(data).subset(JUDGED, seed).events()
    shown = {"real events": real, **{row.name: samples[row.name] for row in rows if row.name in samples}}
    pictures = [exhibit_of(data.codec).drawn(x[:SHOWN]) for x in shown.values()]
    flat = [picture for several in pictures for picture in several]
    return grid(flat, len(pictures[0]), titles=list(shown)) if flat else None


def comparison(rows: Sequence[Row], quality: Mapping[str, Distinguished], data: Data, file: TextIO) -> None:
    """Print results, best first, and, of 28×28 binary pictures, what counting models need.

    Args:
        rows: in their order.
        quality: as `sample_quality` gives it.
        data: all were fitted to.
        file: to print to.
    """
    shown = console(file)
    first = next(row.results for row in rows if row.run is not None)
    of = f"all {first['n']:,}" if first["n"] == first["of"] else f"{first['n']:,} of {first['of']:,}"
    events = f"{of} {first['split']} {'event' if first['of'] == 1 else 'events'}"
    title = f"{data.name}: mean −log p({'x | y' if data.context_space else 'x'}) of {events}, lower is better"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    of_text = any("bits_per_byte" in row.results for row in rows)  # whose tokens may be longer than bytes
    bits = "bits/byte" if of_text else data.codec.bits_label
    for column in ("model", "nats ± s.e.", bits, "AUROC", "parameters", "on disk", "seconds"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=column != "model")
    for row in rows:
        score = row.score
        rate = row.results.get("bits_per_byte", math.nan) if of_text else data.codec.bits(score.value)
        parameters = row.results["parameters" if row.run is None else "free_parameters"]
        table.add_row(
            row.name,
            str(score),
            "" if math.isnan(rate) else "∞" if math.isinf(rate) else f"{'≤ ' * score.is_bound}{rate:.4f}",
            f"{quality[row.name].auroc:.2f}" if row.name in quality else "",
            count(parameters),
            row.size,
            f"{row.results['seconds']:.1f}",
        )
    shown.print(table)
    for line in remarks(quality, rows, data):
        shown.print(line, soft_wrap=True)
    if data.space == LECTURE:
        shown.print(f"full joint table over {data.space}: {_joint(data.space)} free parameters", soft_wrap=True)
        counts = [f"{name} {expression}" for name, expression in lecture_counts().items()]
        shown.print(f"28×28 binary pictures: {', '.join(counts)}", soft_wrap=True)


def remarks(quality: Mapping[str, Distinguished], rows: Sequence[Row], data: Data) -> list[str]:
    """What the columns of the comparison mean."""
    lines = ["≤: an upper bound; the model's own nats may be lower"] * any(row.score.is_bound for row in rows)
    if impossible := [row for row in rows if row.score.zero]:
        most = max(row.score.zero for row in impossible)
        lines.append(f"∞: {'up to ' * (len(impossible) > 1)}{plural(most, 'event')} have probability 0")
    simple = [row.name for row in rows if row.run is None]
    if simple and data.context_space is not None:
        lines.append(f"{', '.join(simple)}: of x alone, whatever the context")
    if quality:
        n = max(found.n for found in quality.values())
        floor = f"; {quality['train']} of training events" if "train" in quality else ""
        lines.append(
            f"AUROC: how well a classifier distinguishes up to {n:,} samples from real events, 0.5 if it cannot{floor}"
        )
    few = min(len(held_out(data)), JUDGED)
    if few < FEWEST:
        lines.append(f"AUROC is left out: {plural(few, 'event')} to compare samples with, and {FEWEST} are needed")
    elif lacking := [row.name for row in rows if row.run is not None and row.name not in quality]:
        lines.append(f"AUROC is left out of {', '.join(lacking)}: drawing {few:,} samples takes over {PATIENCE:.0f} s")
    return lines


def lecture_counts() -> dict[str, str]:
    """Free parameters of the counting models on 28×28 binary pictures, computed by the models themselves."""
    histogram, independent, chain = (
        family(name).load()(LECTURE).free_parameters for name in ("histogram", "independent", "markov_chain")
    )
    power = LECTURE.levels**LECTURE.dimensions
    assert histogram == power - 1
    return {
        "full joint": f"2^784 − 1 ≈ {count(histogram)}",
        "independent": f"{independent:,}",
        "first-order chain": f"{chain:,}",
    }


def _joint(space: Space) -> str:
    assert isinstance(space, Discrete)
    if space.sizes:
        return count(space.event_count - 1)
    return f"{space.levels}^{space.dimensions} − 1 ≈ {count(space.event_count - 1)}"
