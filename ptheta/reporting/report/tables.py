"""Columns real against synthetic, on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptheta.numbers import plural
from ptheta.reporting.exhibits.rows import cell as spelled
from ptheta.reporting.markup import Html, figure, joined, panels, paragraph, table, tag
from ptheta.reporting.report.charts import bars, densities, heatmap
from ptheta.reporting.report.columns import FEW, Cells, association, is_number, marginal_distance
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.page import Section

if TYPE_CHECKING:
    import pandas as pd

CHARTED = 18
"""Columns that are drawn, at most: those whose marginals differ most."""

PAIRED = 30
"""Columns whose pairs are compared, at most."""

HEADERS = (
    "column",
    "values real",
    "synthetic",
    "missing real",
    "synthetic",
    "mean or mode real",
    "synthetic",
    "total variation",
    "by chance",
)
MISSING = (3, 4)
"""Headers that are left out if nothing is missing."""

BARS = 12
"""Bars of a chart of a category, at most; the rest are one."""


def columns(evidence: Evidence) -> Section | None:
    """Marginals, pairs and missing cells of samples against held-out events."""
    real = evidence.frame(evidence.real.events()[0])
    if real is None:
        return None
    synthetic = evidence.frame(evidence.samples)
    assert synthetic is not None
    known = evidence.splits.get("train") if evidence.own and evidence.heldout != "train" else None
    train = None if known is None else evidence.frame(known.events()[0])
    everything = real if train is None else _below(real, train)
    distance, chance, rows = [], [], []
    for j, name in enumerate(real.columns):
        whole, a, b = (frame.iloc[:, j] for frame in (everything, real, synthetic))
        distance.append(marginal_distance(whole, a, b))
        chance.append(np.nan if train is None else marginal_distance(whole, a, train.iloc[:, j]))
        rows.append(_row(name, a, b, distance[-1], chance[-1]))
    number = f"{plural(len(real), 'real row')}, {len(synthetic):,} synthetic ones"
    words = (
        f"{number} (seed {evidence.seed}). Total variation is ½ Σ |p − q| over a column's values, or over about 20 "
        f"ranges of "
        "equal mass of its numbers: 0 for equal marginals, 1 for disjoint ones. "
    )
    if train is not None:
        words += (
            f"By chance alone real rows differ from real rows too: the last column compares {evidence.heldout_text} "
            f"with "
            f"{len(train):,} training rows. Mean over columns: {np.mean(distance):.3f} synthetic, "
            f"{np.mean(chance):.3f} chance."
        )
    kept = [j for j in range(len(HEADERS)) if rows and (j not in MISSING or any(row[j] != "0.0%" for row in rows))]
    if train is None:
        kept.remove(len(HEADERS) - 1)
    caption = f"Marginals of samples and {evidence.heldout_text}"
    summary = table(caption, [HEADERS[j] for j in kept], [[row[j] for j in kept] for row in rows])
    order = np.argsort(-np.array(distance), kind="stable")[:CHARTED] if len(rows) > CHARTED else range(len(rows))
    charts = []
    for j in order:
        name = real.columns[j]
        alt = f"column {name}, real and synthetic; total variation {distance[j]:.3f}"
        paint = _marginals(*(frame.iloc[:, j] for frame in (everything, real, synthetic)))
        charts.append(
            figure(evidence.charts.draw(alt, paint, (3.9, 2.7)), f"{name}: total variation {distance[j]:.3f}")
        )
    parts = [paragraph(words, cls="how"), summary, panels(charts)]
    if len(rows) > CHARTED:
        parts.append(paragraph(f"The {CHARTED} columns that differ most are shown.", cls="how"))
    numbers = {"marginal_distance_mean": float(np.mean(distance)), "marginal_distance_max": float(np.max(distance))}
    if train is not None:
        numbers["marginal_distance_chance"] = float(np.mean(chance))
    if real.shape[1] > 1:
        pairs, found = _pairs(evidence, real, synthetic, train)
        parts.append(pairs)
        numbers |= found
    return Section("Columns", joined(parts), numbers)


def _below(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([a, b], ignore_index=True)


def _row(name: object, real: pd.Series, synthetic: pd.Series, distance: float, chance: float) -> tuple[str, ...]:
    def middle(column: pd.Series) -> str:
        present = column.dropna()
        if not len(present):
            return ""
        if is_number(column):
            numbers = present.to_numpy(np.float64)
            return f"{spelled(float(numbers.mean()))} ± {spelled(float(numbers.std()))}"
        mode = present.value_counts().index[0]
        return f"{spelled(mode)} ({(present == mode).mean():.0%})"

    return (
        str(name),
        f"{real.nunique():,}",
        f"{synthetic.nunique():,}",
        f"{real.isna().mean():.1%}",
        f"{synthetic.isna().mean():.1%}",
        middle(real),
        middle(synthetic),
        f"{distance:.3f}",
        "" if np.isnan(chance) else f"{chance:.3f}",
    )


def _marginals(everything: pd.Series, real: pd.Series, synthetic: pd.Series):
    """A chart of one column: bars of its values, or histograms of its numbers."""
    cells = Cells.of(everything)
    if cells.values is not None and len(cells.values) <= (FEW if is_number(real) else 10**9):
        shares = {"real": cells.shares(real), "synthetic": cells.shares(synthetic)}
        names = [spelled(value) for value in cells.values] + ["other values", "missing"]
        mass = shares["real"] + shares["synthetic"]
        kept = [k for k in range(len(names)) if k < cells.count or mass[k] > 0]
        if len(kept) > BARS:
            kept = sorted(np.argsort(-mass, kind="stable")[: BARS - 1].tolist())
            rest = [k for k in range(len(names)) if k not in kept]
            shares = {n: np.append(s[kept], s[rest].sum()) for n, s in shares.items()}
            names = [*(names[k] for k in kept), f"{len(rest)} others"]
        else:
            shares, names = {n: s[kept] for n, s in shares.items()}, [names[k] for k in kept]
        return bars(names, shares, "share of rows")
    values = everything.dropna().to_numpy(np.float64)
    low, high = np.quantile(values, [0.005, 0.995])
    if not high > low:
        low, high = values.min(), values.max()
    edges = np.linspace(low, high, 31)
    shares = {}
    for name, column in (("real", real), ("synthetic", synthetic)):
        inside = np.clip(column.dropna().to_numpy(np.float64), low, high)
        shares[name] = np.histogram(inside, edges)[0] / max(1, len(column))
    return densities(edges, shares, "value (outer 0.5 % in the end bins)", "share of rows")


def _pairs(
    evidence: Evidence, real: pd.DataFrame, synthetic: pd.DataFrame, train: pd.DataFrame | None
) -> tuple[Html, dict[str, float]]:
    """How strongly columns depend on each other, real and synthetic."""
    names = [str(name) for name in real.columns[:PAIRED]]
    numeric = [is_number(real.iloc[:, j]) for j in range(len(names))]
    a, b = (association(frame.iloc[:, : len(names)], numeric) for frame in (real, synthetic))
    signed = all(numeric)
    below = np.tril_indices(len(names), -1)
    mean = float(np.nanmean(np.abs(b - a)[below])) if np.isfinite((b - a)[below]).any() else float("nan")
    words = (
        "Rank correlation of numbers (Spearman)"
        if signed
        else (
            "Between numbers Spearman's rank correlation, between categories Cramér's V, between one of each the "
            "correlation "
            "ratio of ranks, the last two without their bias, at least 0"
        )
    )
    words += f". Mean absolute difference of pairs: {mean:.3f} synthetic against real"
    numbers = {"association_difference": mean}
    if train is not None:
        chance = np.abs(association(train.iloc[:, : len(names)], numeric) - a)[below]
        if np.isfinite(chance).any():
            numbers["association_difference_chance"] = float(np.nanmean(chance))
            words += f", {numbers['association_difference_chance']:.3f} train against {evidence.heldout} (chance)"
    top = max(0.1, float(np.nanmax(np.abs(b - a), initial=0)))
    lowest = -1.0 if any(numeric) else 0.0
    scale = "RdBu_r" if lowest else "viridis"
    maps = {
        "real": (a, lowest, 1.0, scale),
        "synthetic": (b, lowest, 1.0, scale),
        "synthetic − real": (b - a, -top, top, "RdBu_r"),
    }
    size = (4.0, 3.6) if len(names) <= 16 else (5.6, 5.2)
    charts = [
        figure(
            evidence.charts.draw(
                f"dependence of pairs of columns: {title}",
                heatmap(values, names, title, low=low, high=high, colours=colours),
                size,
            )
        )
        for title, (values, low, high, colours) in maps.items()
    ]
    return joined([tag("h3", "Pairs of columns"), paragraph(words + ".", cls="how"), panels(charts)]), numbers
