"""Calibration and divergences on the page: what was measured, and how it is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from ptheta.errors import DensityError
from ptheta.evaluation.samples import classifier_test, listable, point_masses
from ptheta.models import Autoregressive
from ptheta.models.flows.flow import Flow
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.markup import figure, joined, panels, paragraph, table
from ptheta.reporting.report.calibration import (
    BINS,
    Reliability,
    Transforms,
    binomial_band,
    reliability,
    transforms,
    uniform_distance,
    usual_distance,
)
from ptheta.reporting.report.charts import MUTED, S1, S2
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.page import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LISTED = 12
"""Dimensions that are named one by one, at most: those farthest from calibrated."""

NAMES = {
    "forward_kl": "KL(p ‖ p_θ), nats",
    "reverse_kl": "KL(p_θ ‖ p), nats",
    "jensen_shannon": "Jensen–Shannon, nats",
    "total_variation": "total variation",
    "chi_squared": "χ²(p ‖ p_θ)",
}


def calibration(evidence: Evidence) -> Section:
    """The probability integral transform of held-out values, and the reliability of the most probable level."""
    found = _transforms(evidence)
    if isinstance(found, str):
        return Section("Calibration", paragraph(found))
    u = found.u
    distance, usual = uniform_distance(u), usual_distance(u.size)
    low, high = binomial_band(u.size, 1 / BINS)
    what = "noise values" if isinstance(evidence.run.model, Flow) else "conditionals"
    alt = f"histogram of {u.size:,} transforms; a uniform one would lie in the band; distance {distance:.4f}"
    charts = [
        figure(
            evidence.charts.draw(alt, _transform_chart(u, low, high)),
            "Transforms of values. Flat: calibrated. High ends: the model is too sure; high middle: too unsure; a "
            "slope: "
            "values lie higher or lower than it says. Band: where 95 % of calibrated bins lie.",
        )
    ]
    numbers = {"pit_distance": distance, "pit_distance_usual": usual, "values": u.size}
    words = (
        f"u = F(x_j | x_<j) of every value of {evidence.drawn_text}: uniform if the {what} are right (Rosenblatt "
        f"1952); for "
        f"values that have a probability, drawn between P(X < x_j) and P(X ≤ x_j) (Czado et al. 2009), seed "
        f"{evidence.seed}. "
        f"Kolmogorov–Smirnov distance from uniform {distance:.4f}; a calibrated model stays below {usual:.4f} in 95 "
        f"% of "
        f"cases with {u.size:,} values. Many values betray small errors, so the distance says more than the verdict."
    )
    parts = [paragraph(words, cls="how")]
    if len(found.hit):
        r = reliability(found.confidence, found.hit, evidence.seed)
        alt = f"frequency of the most probable level against its probability; expected calibration error {r.error:.4f}"
        caption = (
            "The most probable level: how often it occurred, against its probability. Below the line: too sure. "
            "Bars: two "
            f"standard deviations if the probabilities are right. Grey: share of the values. Expected calibration "
            f"error "
            f"{r.error:.4f}; a calibrated model would show {r.usual_error:.4f} on this many values."
        )
        charts.append(figure(evidence.charts.draw(alt, _reliability_chart(r)), caption))
        numbers |= {"calibration_error": r.error, "calibration_error_usual": r.usual_error}
    parts.append(panels(charts))
    named = exhibit_of(evidence.run.codec).names_dimensions and not isinstance(evidence.run.model, Flow)
    if named and u.shape[1] > 1:
        distances = np.array([uniform_distance(column) for column in u.T])
        worst = np.argsort(-distances, kind="stable")[:LISTED]
        rows = [(evidence.name(int(j)), f"{distances[j]:.3f}", f"{u[:, j].mean():.3f}") for j in worst]
        part = f"The {len(worst)} of {u.shape[1]:,} dimensions farthest from uniform"
        few = part if len(worst) < u.shape[1] else "Dimensions"
        usual = usual_distance(len(u))
        caption = f"{few}; below {usual:.3f} in 95 % of cases for one calibrated dimension of {len(u):,} events"
        parts.append(table(caption, ("dimension", "distance", "mean u"), rows))
    return Section("Calibration", joined(parts), numbers)


def _transforms(evidence: Evidence) -> Transforms | str:
    """The transforms, or why there are none."""
    model = evidence.run.model
    if isinstance(model, Flow):
        x, context = evidence.real.events()
        with torch.no_grad():
            u = torch.special.ndtr(model.normalised(x, context))
        return Transforms(u.cpu().numpy(), np.zeros(0), np.zeros(0, bool))
    if not isinstance(model, Autoregressive):
        return "The model has no conditionals of single values, so their calibration cannot be measured."
    try:
        return transforms(model, evidence.real, evidence.seed)
    except DensityError as error:
        return f"Calibration is not measured: {error.problem}."


def _transform_chart(u: np.ndarray, low: int, high: int) -> Callable[[Axes], None]:
    """Histogram of transforms, 1 where they are uniform."""
    heights, edges = np.histogram(u, BINS, (0, 1))
    unit = u.size / BINS

    def paint(axes: Axes) -> None:
        axes.stairs(heights / unit, edges, fill=True, color=S1, alpha=0.45)
        axes.fill_between([0, 1], low / unit, high / unit, color=S2, alpha=0.35, linewidth=0, label="calibrated")
        axes.axhline(1, color=MUTED, linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(1.5, 1.1 * heights.max() / unit))
        axes.set_xlabel("u, transform of a value")
        axes.set_ylabel("density")
        axes.legend()

    return paint


def _reliability_chart(r: Reliability) -> Callable[[Axes], None]:
    """Frequency against confidence."""

    def paint(axes: Axes) -> None:
        axes.bar(r.confidence, r.count / r.count.sum(), 0.05, color=MUTED, alpha=0.35, label="share of values")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        axes.errorbar(
            r.confidence, r.frequency, 2 * r.deviation, color=S1, marker="o", markersize=4, capsize=2, label="frequency"
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("probability of the most probable level")
        axes.set_ylabel("how often it occurred")
        axes.legend(loc="upper left")

    return paint


def divergences(evidence: Evidence) -> Section | None:
    """Two-sample distances between samples and held-out events, and exact divergences where events can be listed."""
    parts, numbers = [], {}
    model = evidence.run.model
    real, context = evidence.real.events()
    if len(real) >= 20:
        train = evidence.splits.get("train") if evidence.own and evidence.heldout != "train" else None
        sets = [real, evidence.samples] + ([] if train is None else [train.events()[0]])
        found = exhibit_of(evidence.run.codec).features(sets)
        contexts = [context, context] + ([] if train is None else [train.events()[1]])
        if context is not None:
            found = [np.column_stack([f, c.reshape(len(f), -1)]) for f, c in zip(found, contexts) if c is not None]
        rows = []
        for name, key, other in zip(("samples", "train events"), ("classifier_auc", "classifier_auc_train"), found[1:]):
            area, error = classifier_test(found[0], other, evidence.seed)
            rows.append((f"{name} against {evidence.heldout_text}", f"{area:.3f} ± {error:.3f}", f"{len(other):,}"))
            numbers |= {key: area, f"{key}_se": error}
        words = (
            "Gradient-boosted trees learn to tell samples from real events, and are judged on events they have not "
            "seen: "
            "area under the ROC curve ± standard error, 5 folds (Lopez-Paz & Oquab 2017). 0.5: cannot be told "
            "apart; 1: "
            "always can. A sharp test: a single detail that is always wrong is enough for 1."
        )
        if train is not None:
            words += " The second row compares real events with real events, so it shows what chance looks like."
        caption = f"Classifier two-sample test, {found[0].shape[1]} numbers an event, seed {evidence.seed}"
        parts += [paragraph(words, cls="how"), table(caption, ("sets", "AUC", "events of each"), rows)]
    if (space := listable(model)) is not None:
        from ptheta.divergences import divergences as between

        whole = evidence.data.splits[evidence.heldout]
        p = point_masses(space, whole)
        columns = {"model": model}
        if evidence.own and evidence.heldout != "train":
            columns["train events"] = point_masses(space, evidence.data.splits["train"])
        values = {name: between(p, q, exact=True) for name, q in columns.items()}
        rows = [(label, *(_cell(values[name][key].value) for name in columns)) for key, label in NAMES.items()]
        words = (
            f"All {model.space.event_count:,} events were listed. p is the relative frequency of each among all "
            f"{len(whole):,} "
            f"{evidence.heldout_text}; finitely many events are never p_data itself, so even the truth would not "
            f"show 0."
        )
        parts += [paragraph(words, cls="how"), table("Exact divergences from p", ("divergence", *columns), rows)]
        numbers |= {f"exact_{key}": values["model"][key].value for key in NAMES}
    return Section("Divergences", joined(parts), numbers) if parts else None


def _cell(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "∞"
