"""How surprising events are: in all, and where in the most surprising ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ptheta.models import Density
from ptheta.numbers import nats
from ptheta.reporting.contexts import given_of
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.exhibits.ranking import Ranking
from ptheta.reporting.markup import figure, joined, paragraph, table
from ptheta.reporting.report.charts import bins, densities
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.page import Section


def surprise(evidence: Evidence) -> Section | None:
    """Distribution of −log p, or of a bound on it, over splits, then the events that were least expected."""
    exact = evidence.run.model.density is Density.EXACT
    what, key = ("−log p", "surprise") if exact else ("upper bound on −log p", "surprise_bound")
    found = {name: -values for name, values in evidence.log_prob.items()}
    if not found:
        return None
    edges = bins([v.numpy() for v in found.values()])
    width = np.diff(edges)
    shares = {n: np.histogram(v[v.isfinite()].numpy(), edges)[0] / (len(v) * width) for n, v in found.items()}
    alt = f"distributions of {what}: " + ", ".join(f"{n} mean {nats(float(v.mean()))}" for n, v in found.items())
    chart = evidence.charts.draw(alt, densities(edges, shares, f"{what} of an event, nats", "density"), (6.4, 3.2))
    rows, numbers = [], {}
    for name, v in found.items():
        error = float(v.std()) / math.sqrt(len(v)) if len(v) > 1 else math.nan
        quartiles = torch.quantile(v, torch.tensor([0.05, 0.5, 0.95], dtype=v.dtype)).tolist()
        rows.append((name, f"{len(v):,}", nats(float(v.mean()), error), *(nats(q) for q in quartiles)))
        numbers |= {f"{key}_{name}": float(v.mean()), f"{key}_{name}_se": error}
    words = f"{what[0].upper()}{what[1:]} of events in nats, of seeded parts of each split: lower is less surprising."
    if exact and "train" in found and evidence.heldout != "train":
        gap, error = _gap(found[evidence.heldout], found["train"])
        held_out = evidence.heldout.capitalize()
        words += f" {held_out} events cost {nats(gap, error)} nats more than training events{why(gap, error)}."
        numbers |= {"gap": gap, "gap_se": error}
    zero = int(torch.isinf(found[evidence.heldout]).sum())
    if zero:
        words += f" {zero:,} of {len(evidence.real):,} {evidence.heldout_text} have probability 0: off the chart."
    caption = f"{what}, nats, seed {evidence.seed}"
    summary = table(caption, ("split", "events", "mean ± s.e.", "5 %", "median", "95 %"), rows)
    closer = exhibit_of(evidence.run.codec).surprises(_ranking(evidence, found[evidence.heldout]))
    parts = [paragraph(words, cls="how"), figure(chart), summary, *closer]
    return Section("Surprise", joined(parts), numbers)


def why(gap: float, error: float) -> str:
    """What may make held-out events cost more or less than training events, by a difference and its standard error."""
    if not abs(gap) > 2 * error:
        return ": no more than chance explains"
    return ": memorisation, or a difference between the splits" if gap > 0 else ": the splits differ"


def _gap(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Difference of means of independent events, and its standard error."""
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else math.nan for v in (a, b))
    return float(a.mean() - b.mean()), math.sqrt(variance) if variance >= 0 else math.nan


def _ranking(evidence: Evidence, surprise: Tensor) -> Ranking:
    """The events that the model is compared with, in the order of their surprise."""
    given = given_of(evidence.run, evidence.context)
    title, rows = evidence.heldout_text, evidence.rows
    return Ranking(evidence.run, evidence.real, title, surprise, rows, given, evidence.name, evidence.frame)
