"""Test nats of tables of real numbers: flows and the table model beside scikit-learn's mixtures and kernel densities.

    python -m benchmarks.uci [--sets protein kin40k keggundirected] [--rows flow-nsf flow-maf table gmm kde]
        [--minutes 3] [--seed 0]

Columns are standardised by their training mean and deviation (population), constant ones left out, so all rows of a
set share one unit: mean log p(x) of a test row in nats, higher is better. Mixtures choose their components, and kernel
densities their bandwidth, on validation, within the same minutes. A column whose values mostly repeat carries
probability mass; a density on it can be made as high as one likes, so sets that hold such columns are not ranked.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.evaluation.nats import log_probs

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "flow-nsf": ("flow", {"kind": "nsf"}),
    "flow-maf": ("flow", {"kind": "maf"}),
    "table": ("table", {}),
}
"""Row → family and hyperparameters of a model of ours."""

COMPONENTS = (4, 8, 16, 32, 48, 64, 96, 128, 192, 256)
BANDWIDTHS = (0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
CHOSEN_BY = 1000
"""Validation rows by which a bandwidth is chosen."""

REPEATS = 0.1
"""A column with fewer distinct values than this part of its rows holds atoms."""


class Fitted(NamedTuple):
    """log p of the rows of validation and test, nats, and how it was fitted."""

    validation: np.ndarray
    test: np.ndarray
    how: str


def standardised(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Splits of a set in standardised columns, float64; share of distinct training values of each; columns left out."""
    frames = {s: pq.read_table(DATA / f"uci_{name}" / f"{s}-00000-of-00001.parquet") for s in SPLITS}
    names = frames["train"].column_names
    arrays = {s: np.stack([f[c].to_numpy() for c in names], 1).astype(np.float64) for s, f in frames.items()}
    mean, deviation = arrays["train"].mean(0), arrays["train"].std(0)
    kept = np.array([len(np.unique(column)) > 1 for column in arrays["train"].T])
    splits = {s: (x[:, kept] - mean[kept]) / deviation[kept] for s, x in arrays.items()}
    distinct = np.array([len(np.unique(column)) / len(column) for column in splits["train"].T])
    return splits, distinct, [c for c, k in zip(names, kept) if not k]


SPLITS = ("train", "validation", "test")


def fit_ours(splits: dict[str, np.ndarray], row: str, minutes: float, seed: int) -> Fitted:
    """A model of the zoo by its own recipe."""
    family, hyperparameters = ROWS[row]
    data = ptheta.load(splits)
    with tempfile.TemporaryDirectory() as folder:
        run = ptheta.fit(
            family, data, minutes=minutes, seed=seed, out=Path(folder) / row, hyperparameters=hyperparameters
        )
        steps = [line["step"] for line in run.metrics() if "step" in line][-1]
        found = [log_probs(run.model, data.splits[s]).numpy() for s in SPLITS[1:]]
    return Fitted(*found, f"{run.model.free_parameters:,} parameters, {steps:,} steps")


def fit_mixture(splits: dict[str, np.ndarray], minutes: float, seed: int) -> Fitted:
    """scikit-learn's GaussianMixture, full covariances: more components until validation or the time says stop."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    best, clock, tried = None, time.perf_counter(), []
    for components in COMPONENTS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = GaussianMixture(components, random_state=seed, max_iter=200).fit(splits["train"])
        score = model.score(splits["validation"])
        tried.append(components)
        if best is None or score > best[0]:
            best = score, components, model
        if time.perf_counter() - clock > 60 * minutes:
            break
    assert best is not None
    found = [best[2].score_samples(splits[s]) for s in SPLITS[1:]]
    return Fitted(*found, f"{best[1]} components of {tried[0]} to {tried[-1]} tried")


def fit_kernels(splits: dict[str, np.ndarray], minutes: float, seed: int) -> Fitted:
    """scikit-learn's KernelDensity, Gaussian kernels."""
    from sklearn.neighbors import KernelDensity

    few = np.random.default_rng(seed).choice(len(splits["validation"]), CHOSEN_BY, replace=False)
    clock, scores = time.perf_counter(), {}
    for bandwidth in BANDWIDTHS:
        scores[bandwidth] = KernelDensity(bandwidth=bandwidth).fit(splits["train"]).score(splits["validation"][few])
        if time.perf_counter() - clock > 60 * minutes:
            break
    best = max(scores, key=scores.__getitem__)
    model = KernelDensity(bandwidth=best).fit(splits["train"])
    return Fitted(*(model.score_samples(splits[s]) for s in SPLITS[1:]), f"bandwidth {best} of {len(scores)} tried")


def fit_row(splits: dict[str, np.ndarray], row: str, minutes: float, seed: int) -> Fitted:
    peers = {"gmm": fit_mixture, "kde": fit_kernels}
    return peers[row](splits, minutes, seed) if row in peers else fit_ours(splits, row, minutes, seed)


def said(log_prob: np.ndarray) -> str:
    return f"{log_prob.mean():.3f} ± {log_prob.std() / math.sqrt(len(log_prob)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["protein", "kin40k", "keggundirected"])
    parser.add_argument("--rows", nargs="+", default=[*ROWS, "gmm", "kde"])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in args.sets:
        splits, distinct, out = standardised(name)
        atoms = int((distinct < REPEATS).sum())
        sizes = ", ".join(f"{s} {len(x):,}" for s, x in splits.items())
        print(
            f"\n{name}: {len(distinct)} columns ({sizes})" + (f"; constant, left out: {', '.join(out)}" if out else "")
        )
        shares = ", ".join(f"{share:.2%}" for share in np.sort(distinct))
        print(f"distinct values in training rows, by column: {shares}")
        if atoms:
            print(f"{atoms} columns hold atoms (under {REPEATS:.0%} distinct): densities over them are not ranked")
        rows = []
        for row in args.rows:
            clock = time.perf_counter()
            fitted = fit_row(splits, row, args.minutes, args.seed)
            seconds = f"{time.perf_counter() - clock:.0f}"
            rows.append((row, said(fitted.test), said(fitted.validation), fitted.how, seconds))
            print(table([""] * len(rows[-1]), [rows[-1]]), flush=True)
        print(f"\n{name}, {args.minutes:g} minutes each, seed {args.seed}; {machine()}\n")
        print(table(["row", "test log p, nats ± s.e.", "validation", "how", "seconds"], rows), flush=True)


if __name__ == "__main__":
    main()
