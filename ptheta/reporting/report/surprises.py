"""How surprising events are: in all, and where in the most surprising ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.models import Autoregressive
from ptheta.numbers import nats
from ptheta.reporting.documents import reads_documents
from ptheta.reporting.pictures import surprise_grid, surprise_scale
from ptheta.reporting.report.charts import bins, densities
from ptheta.reporting.report.drawn import givens, said
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.markup import Html, figure, joined, paragraph, picture, table, tag
from ptheta.reporting.report.page import Section
from ptheta.reporting.surprise import legend, marked, spans

MAPPED = 12
"""Most, and least, surprising pictures."""

RANKED, REASONS = 10, 3
"""Most surprising events that are listed, and the dimensions named of each."""

SHOWN = 6
"""Values of a listed event whose dimensions have no surprise of their own, at most."""

TEXTS = 3
"""Most, and least, surprising texts."""


def surprise(evidence: Evidence) -> Section | None:
    """Distribution of −log p over splits, then the events that were least expected."""
    found = {name: -values for name, values in evidence.log_prob.items()}
    if not found:
        return None
    edges = bins([v.numpy() for v in found.values()])
    width = np.diff(edges)
    shares = {n: np.histogram(v[v.isfinite()].numpy(), edges)[0] / (len(v) * width) for n, v in found.items()}
    alt = "distributions of −log p: " + ", ".join(f"{n} mean {nats(float(v.mean()))}" for n, v in found.items())
    chart = evidence.charts.draw(alt, densities(edges, shares, "−log p of an event, nats", "density"), (6.4, 3.2))
    rows, numbers = [], {}
    for name, v in found.items():
        error = float(v.std()) / math.sqrt(len(v)) if len(v) > 1 else math.nan
        quartiles = torch.quantile(v, torch.tensor([0.05, 0.5, 0.95], dtype=v.dtype)).tolist()
        rows.append((name, f"{len(v):,}", nats(float(v.mean()), error), *(nats(q) for q in quartiles)))
        numbers |= {f"surprise_{name}": float(v.mean()), f"surprise_{name}_se": error}
    words = "−log p of events in nats, of seeded parts of each split: lower is less surprising."
    if "train" in found and evidence.heldout != "train":
        gap, error = _gap(found[evidence.heldout], found["train"])
        chance = "" if not abs(gap) <= 2 * error else " (which chance explains)"
        words += (
            f" {evidence.heldout.capitalize()} events cost {nats(gap, error)} nats more than training events"
            f"{chance}: what was learned by heart, or how the splits differ."
        )
        numbers |= {"gap": gap, "gap_se": error}
    zero = int(torch.isinf(found[evidence.heldout]).sum())
    if zero:
        words += f" {zero:,} of {len(evidence.real):,} {evidence.heldout_said} have probability 0: off the chart."
    caption = f"−log p, nats, seed {evidence.seed}"
    summary = table(caption, ("split", "events", "mean ± s.e.", "5 %", "median", "95 %"), rows)
    parts = [paragraph(words, cls="how"), figure(chart), summary, *_closer(evidence, found[evidence.heldout])]
    return Section("Surprise", joined(parts), numbers)


def _gap(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Difference of means of independent events, and its standard error."""
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else math.nan for v in (a, b))
    return float(a.mean() - b.mean()), math.sqrt(variance) if variance >= 0 else math.nan


def _closer(evidence: Evidence, surprise: Tensor) -> list[Html]:
    """The most and least surprising events, in the form of the data."""
    model, codec = evidence.run.model, evidence.run.codec
    order = surprise.argsort(descending=True, stable=True)
    if codec.is_picture:
        return _maps(evidence, surprise, order) if isinstance(model, Autoregressive) else []
    if isinstance(codec, TextCodec):
        return _texts(evidence, order) if reads_documents(evidence.run) else []
    if isinstance(codec, DocumentCodec) and isinstance(model, Autoregressive):
        return _texts(evidence, order)
    return [_ranked(evidence, surprise, order)]


def _maps(evidence: Evidence, surprise: Tensor, order: Tensor) -> list[Html]:
    n = min(MAPPED, len(order) // 2)
    if not n:
        return []
    chosen = {"most": order[:n], "least": order[-n:].flip(0)}
    upright = evidence.run.codec.upright
    pieces = {name: upright(_pieces(evidence, rows)) for name, rows in chosen.items()}
    top = surprise_scale(torch.cat(list(pieces.values())))
    figures = []
    for name, rows in chosen.items():
        pictures = evidence.run.codec.pictures(evidence.real.events(rows)[0])
        captions = [nats(value) if not math.isfinite(value) else f"{value:.1f}" for value in surprise[rows].tolist()]
        alt = f"the {n} {name} surprising {evidence.heldout_said}, each above a map of the surprise of its pixels"
        drawn = surprise_grid(pictures, pieces[name], top=top, captions=captions)
        figures.append(figure(picture(drawn, alt), f"The {n} {name} surprising of {len(order):,}, with their nats"))
    words = (
        f"Below each picture −log p of its pixels, in the order in which the model visits them: black is 0 nats, the "
        f"brightest {top:.2g} nats or more."
    )
    return [tag("h3", "Where the surprise is"), paragraph(words, cls="how"), *figures]


def _texts(evidence: Evidence, order: Tensor) -> list[Html]:
    """The most and least surprising texts, after what was given, with the surprise of their tokens."""
    codec, model = evidence.run.codec, evidence.run.model
    assert isinstance(codec, TextCodec | DocumentCodec)
    assert isinstance(model, Autoregressive)
    n = min(TEXTS, len(order) // 2)
    parts: list[Html] = [tag("h3", "Token by token"), Html(legend())]
    for name, rows in (("most", order[:n]), ("least", order[-n:].flip(0))):
        for place, row in enumerate(rows.tolist(), 1):
            x, context = evidence.real.events([row])
            with torch.no_grad():
                pieces = model.log_prob_per_dimension(x, context)[0].cpu()
            tokens = x[0]
            if isinstance(codec, DocumentCodec):  # up to its end; the ends after it cost nothing
                tokens = tokens[: int(codec.space.lengths(x)[0]) + 1]
            title = f"{name} surprising, number {place}: {-float(pieces.sum()):.1f} nats"
            given = givens(evidence.run, context)
            parts += [tag("h4", title), *([] if given is None else [paragraph("given ", given[0], cls="how")])]
            parts.append(Html(marked(spans(codec, tokens.tolist(), pieces[: len(tokens)]))))
    return parts


def _ranked(evidence: Evidence, surprise: Tensor, order: Tensor) -> Html:
    """A table of the most surprising events, with what surprises most in each."""
    model = evidence.run.model
    rows = order[:RANKED]
    x = evidence.real.events(rows)[0]
    columns: list[list[str]] = []
    parts = [tag("h3", "Ranked anomalies")]
    if isinstance(model, Autoregressive):
        usual = _pieces(evidence, torch.arange(len(evidence.real))).flatten(1)
        usual = torch.where(usual.isfinite(), usual, torch.nan).nanmean(0)
        excess = usual - _pieces(evidence, rows).flatten(1)
        values = evidence.frame(x)
        for i in range(len(rows)):
            told = []
            for j in excess[i].argsort(descending=True, stable=True)[:REASONS].tolist():
                value = values.iat[i, j] if values is not None else x[i].flatten()[j].item()
                told.append(f"{evidence.name(j)} = {said(value) or 'missing'} (+{nats(float(excess[i, j]))})")
            columns.append(told)
        words = (
            "The least probable events, and in each the values that cost most above what that dimension costs on "
            "average "
            "(nats, given the dimensions before it)."
        )
    else:
        values = evidence.frame(x)
        for i in range(len(rows)):
            few = range(min(6, values.shape[1])) if values is not None else ()
            columns.append(
                [f"{evidence.name(j)} = {said(values.iat[i, j])}" for j in few] if values is not None else []
            )
        words = "The least probable events. The model does not say which of their values are to blame."
    ranked = [
        (f"{evidence.rows[row]:,}", nats(float(surprise[row])), "; ".join(told))
        for row, told in zip(rows.tolist(), columns)
    ]
    parts.append(paragraph(words, cls="how"))
    parts.append(table(f"Most surprising {evidence.heldout_said}", ("row", "−log p", "values"), ranked, text=[2]))
    return joined(parts)


def _pieces(evidence: Evidence, rows: Tensor) -> Tensor:
    """log p of every dimension of some of the events, nats [k, *space.shape]."""
    model = evidence.run.model
    assert isinstance(model, Autoregressive)
    parts = []
    for some in rows.split(64):
        with torch.no_grad():
            parts.append(model.log_prob_per_dimension(*evidence.real.events(some)).cpu())
    return torch.cat(parts)
