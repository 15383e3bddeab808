"""The table of `ptheta compare`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

from ptheta.data import Data
from ptheta.evaluation.results import Score
from ptheta.evaluation.samples import Distinguished, distinguished, drawn_within
from ptheta.models import family
from ptheta.numbers import count
from ptheta.reporting.exhibits import exhibit_of
from ptheta.runs import Run
from ptheta.spaces import Discrete, Image, Space

LECTURE = Image(28, 28, levels=2)
"""The space on which the lecture counts parameters."""


JUDGED = 500
"""Samples of each model that are compared with real events, at most."""

PATIENCE = 30.0
"""Seconds that drawing them may take."""


def ranked(runs: Sequence[Run]) -> list[Run]:
    """Runs, worst first: those without a density, then by nats or the bound on them."""

    def place(run: Run) -> tuple[bool, float]:
        value = Score.from_json(run.results(), run.model.space.dimensions).value
        return not math.isnan(value), -value

    return sorted(runs, key=place)


def sample_quality(runs: Sequence[Run], data: Data, seed: int) -> dict[str, Distinguished]:
    """How well a classifier tells each run's samples from events that were held out, by the run's name; under `train`,
    the same of training events, which is the floor.

    Args:
        runs: on the same data.
        data: theirs.
        seed: of samples and classifier.
    """
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    events = data.splits[split].subset(JUDGED, seed)
    real, context = events.events()
    sets = {"train": data.train.subset(JUDGED, seed + 1).events()[0]}
    for run in runs:
        drawn = drawn_within(run.model, len(real), context, seed, PATIENCE)
        if drawn is not None:
            sets[run.name] = drawn
    return distinguished(exhibit_of(data.codec).features, real, sets, seed)


def comparison(runs: Sequence[Run], quality: Mapping[str, Distinguished], data: Data, file: TextIO) -> None:
    """Print results, worst first, and, of discrete events, what counting models would need on 28×28 binary pictures.

    Args:
        runs: in their order.
        quality: as `sample_quality` gives it.
        data: all were fitted to.
        file: to print to.
    """
    console = Console(file=file, highlight=False)
    results = [run.results() for run in runs]
    several = len({row["n"] for row in results}) > 1
    of = f"{results[0]['split']} events" if several else f"{results[0]['n']:,} {results[0]['split']} events"
    title = f"{data.name}: mean −log p({'x | y' if data.context_space else 'x'}) of {of}, lower is better"
    table = Table(title=title, title_justify="left", box=None)
    of_text = any("bits_per_byte" in row for row in results)  # whose tokens may be longer than bytes
    bits = "bits/byte" if of_text else data.codec.bits_label
    events = ("events",) * several
    for column in ("model", "nats ± s.e.", bits, "AUROC", *events, "free parameters", "seconds"):
        table.add_column(column, justify="left" if column == "model" else "right")
    bounded = False
    for run, row in zip(runs, results):
        score = Score.from_json(row, run.model.space.dimensions)
        bounded |= score.is_bound
        rate = row.get("bits_per_byte", math.nan) if of_text else data.codec.bits(score.value)
        table.add_row(
            row["model"],
            str(score),
            "" if math.isnan(rate) else f"{'≤ ' * score.is_bound}{rate:.4f}",
            f"{quality[run.name].auroc:.2f}" if run.name in quality else "",
            *(f"{row['n']:,}",) * several,
            count(row["free_parameters"]),
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    for line in remarks(quality, bounded):
        console.print(line, soft_wrap=True)
    if not isinstance(data.space, Discrete):  # nothing to count
        return
    console.print(f"full joint table over {data.space}: {_joint(data.space)} free parameters", soft_wrap=True)
    counts = [f"{name} {expression}" for name, expression in lecture_counts().items()]
    console.print(f"28×28 binary pictures: {', '.join(counts)}", soft_wrap=True)


def remarks(quality: Mapping[str, Distinguished], bounded: bool) -> list[str]:
    """What the columns of the comparison mean."""
    lines = ["≤: an upper bound; the model's own nats may be lower"] * bounded
    if quality:
        n = max(found.n for found in quality.values())
        floor = f"; {quality['train']} of training events" if "train" in quality else ""
        lines.append(
            f"AUROC: how well a classifier tells up to {n:,} samples from real events, "
            f"0.5 if it cannot{floor}; empty where drawing takes over {PATIENCE:.0f} s or there are too few events"
        )
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
