"""The table model on the Adult census: density, synthetic rows, missing cells and conditioning, beside peers.

    OMP_NUM_THREADS=1 python -m benchmarks.adult [--minutes 3] [--seeds 0 1] [--peer-python PYTHON] [--runs FOLDER]
        [--parts density rows cells given]

Minutes and seconds are those of the processor, so that other work on the machine costs nobody anything. SDV (licence
BUSL-1.1) needs pandas < 3: --peer-python names the interpreter of an environment of its own, after `pip install sdv`
there. --runs keeps runs and synthetic rows, and fits only what is missing there. Peers learn from all 32,561 training
rows; the table model keeps a tenth of them to choose its weights.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch

import ptheta
from benchmarks import adult_cells, adult_rows
from benchmarks.common import DATA, machine, table
from ptheta.data.holes import DRAWS, best_guess
from ptheta.evaluation.baselines import CountedTable, Numbers
from ptheta.evaluation.nats import log_probs
from ptheta.training import loop

PEERS = ("gaussian_copula", "ctgan", "tvae")
TARGET, VALUE, ASKED = "income", ">50K", "education"
CONDITIONED = 10_000
MASKED = 0.2


class Adult:
    """The rows, the fitted runs and what they drew.

    Args:
        folder: of runs and rows.
        minutes: of a fit.
        peer: interpreter that has SDV.
    """

    def __init__(self, folder: Path, minutes: float, peer: str):
        self.folder, self.minutes, self.peer = folder, minutes, peer
        self.data = ptheta.load(str(DATA / "adult"))
        self.codec, self.columns = self.data.codec, self.data.space.columns
        self.names = [column.name for column in self.columns]
        self.train = np.concatenate([self.data.train.x, self.data.validation.x])
        self.test = np.asarray(self.data.test.x)

    def run(self, seed: int) -> tuple[Any, dict[str, Any]]:
        """The table model's run, and what its fit took."""
        path, took = self.folder / f"table-{seed}", self.folder / f"table-{seed}.json"
        if not took.exists():
            clock = time.process_time()
            with mock.patch.object(loop, "time", SimpleNamespace(perf_counter=time.process_time)):
                run = ptheta.fit(
                    "table", self.data, minutes=self.minutes, seed=seed, out=path, force=True, verbose=False
                )
            found = {"seconds": time.process_time() - clock}
            found["steps"] = [line["step"] for line in run.metrics() if "step" in line][-1]
            took.write_text(json.dumps(found))
        return ptheta.Run.load(path), json.loads(took.read_text())

    def drawn(self, name: str, seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """As many synthetic rows as test has, others given the target's value, and what fit and draws took.

        Raises:
            CalledProcessError: the peer failed.
        """
        files = [self.folder / f"{name}-{seed}{ending}.csv" for ending in ("", "-given")]
        took = self.folder / f"{name}-{seed}-draws.json"
        if not took.exists():
            found = self._drawn_by_us(seed, files) if name == "table" else self._drawn_by_peer(name, seed, files)
            took.write_text(json.dumps(found))
        rows = [self.codec.encode(pd.read_csv(file, keep_default_na=False)) for file in files]
        return rows[0], rows[1], json.loads(took.read_text())

    def _drawn_by_us(self, seed: int, files: list[Path]) -> dict[str, Any]:
        run, found = self.run(seed)
        event, known = (torch.from_numpy(part) for part in self.codec.cells({TARGET: VALUE}))
        clock = time.process_time()
        rows = run.model.sample(len(self.test), seed=seed)
        drawn = time.process_time() - clock
        clock = time.process_time()
        given = run.model.complete(event[None], known, CONDITIONED, seed=seed)[0]
        conditioned = time.process_time() - clock
        for x, file in zip((rows, given), files):
            self.codec.decode(x).to_csv(file, index=False)
        return found | {"drawn": drawn, "conditioned": conditioned, "how": f"{found['steps']:,} steps"}

    def _drawn_by_peer(self, name: str, seed: int, files: list[Path]) -> dict[str, Any]:
        real = self.folder / "train.csv"
        self.codec.decode(self.train).to_csv(real, index=False)
        script = [self.peer, str(Path(__file__).with_name("adult_peers.py")), name, str(real), *map(str, files)]
        sizes = ["-n", str(len(self.test)), "--conditioned-n", str(CONDITIONED), "--given", TARGET, VALUE]
        plan = ["--minutes", str(self.minutes), "--seed", str(seed)]
        done = subprocess.run([*script, *sizes, *plan], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        return found | {"how": "closed form" if name == "gaussian_copula" else f"{found['epochs']} epochs"}


def density(adult: Adult, seeds: list[int]) -> None:
    """Test nats a row, and where they come from."""
    x = {name: split.events()[0].double() for name, split in adult.data.splits.items()}
    numbers = Numbers(adult.data.space, x["train"])
    counted = {
        "independent columns": CountedTable(numbers, x["train"], x["validation"], tree=False),
        "Chow–Liu tree": CountedTable(numbers, x["train"], x["validation"], tree=True),
    }
    nats = {name: -model.log_prob_per_column(x["test"]).numpy() for name, model in counted.items()}
    for seed in seeds:
        run, _ = adult.run(seed)
        with torch.inference_mode():
            parts = [run.model.log_prob_per_dimension(b) for b, _ in adult.data.test.batches(1024)]
        whole = log_probs(run.model, adult.data.test)
        per_column = -torch.cat(parts).reshape(len(whole), -1).double().numpy()
        assert np.allclose(per_column.sum(1), -whole.numpy(), atol=1e-3)
        nats[f"table, seed {seed}"] = per_column
    rows = [
        (name, f"{n.sum(1).mean():.3f} ± {n.sum(1).std() / math.sqrt(len(n)):.3f}", f"{n.sum(1).max():.0f}")
        for name, n in nats.items()
    ]
    print(f"\ntest nats a row, {len(adult.test):,} rows; every cell carries a probability, so these are −log masses\n")
    print(table(["model", "nats ± s.e.", "the most surprising row"], rows))
    print(f"\nthe tree's pseudo-count, chosen on validation: {counted['Chow–Liu tree'].pseudo:g}")
    print("nats of each column: alone, given its parent in the tree, given all columns before it\n")
    parents = [adult.names[p] if p >= 0 else "none" for p in counted["Chow–Liu tree"].parents]
    lines = [
        (name, *(f"{n[:, j].mean():.3f}" for n in nats.values()), parents[j]) for j, name in enumerate(adult.names)
    ]
    print(table(["column", *nats, "parent"], lines), flush=True)


def rows(adult: Adult, seeds: list[int], peers: list[str]) -> None:
    """Synthetic rows against test rows."""
    n, target = len(adult.test), adult.names.index(TARGET)
    found: dict[str, list[list[str]]] = {}
    worst: dict[str, str] = {}
    times = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        candidates = {"training rows": generator.permutation(adult.train)[:n]}
        candidates["training rows, columns shuffled"] = generator.permuted(candidates["training rows"], axis=0)
        for name in ["table", *peers]:
            candidates[name], _, took = adult.drawn(name, seed)
            draws = (f"{took[key] / many * 1e4:.2g}" for key, many in (("drawn", n), ("conditioned", CONDITIONED)))
            times.append((name, seed, f"{took['seconds']:.0f}", took["how"], *draws))
        for name, x in candidates.items():
            measures, said = compared(adult, x, target, seed)
            found.setdefault(name, []).append(measures)
            worst[name] = said
            print(f"seed {seed}, {name}: {', '.join(measures)}; {said}", file=sys.stderr, flush=True)
    own = [f"{adult_rows.copies(adult.test[:, keep], adult.train[:, keep]):.2%}" for keep in cuts(adult)]
    unseen = f"{adult_rows.unseen_pairs(adult.test, adult.train, categories(adult)):.2%}"
    ceiling = adult_rows.trained_on(adult.train, adult.test, adult.columns, target, 0)
    print(f"\n{n:,} rows of each against the {n:,} test rows, seeds {', '.join(map(str, seeds))}\n")
    head = [
        "rows",
        "columns, mean",
        "worst",
        "pairs, mean",
        "worst",
        "told apart, AUC",
        "trained on them: accuracy",
        "AUC",
    ]
    print(table(head, [(name, *(", ".join(m) for m in list(zip(*values))[:7])) for name, values in found.items()]))
    print(f"\nall {len(adult.train):,} training rows: accuracy {ceiling[0]:.4f}, AUC {ceiling[1]:.4f}\n")
    head = ["rows", "copies of training rows", "the same but for fnlwgt", "a pair of values never seen"]
    lines = [(name, *(", ".join(m) for m in list(zip(*values))[7:])) for name, values in found.items()]
    print(table(head, [("test rows", *own, unseen), *lines]))
    print("\nworst column and pair, last seed\n")
    print(table(["rows", "worst"], worst.items()))
    print("\nseconds of the processor\n")
    head = ["rows", "seed", "fit, s", "how", "10,000 rows, s", f"given {TARGET}={VALUE}, s"]
    print(table(head, times), flush=True)


def compared(adult: Adult, x: np.ndarray, target: int, seed: int) -> tuple[list[str], str]:
    """All measures of rows, and which column and pair are worst."""
    columns, train, test = adult.columns, adult.train, adult.test
    single = adult_rows.marginals(x, test, columns)
    double = adult_rows.pairs(x, test, columns, train)
    pair = max(double, key=double.__getitem__)
    measures = [f"{v:.4f}" for v in (single.mean(), single.max(), np.mean(list(double.values())), double[pair])]
    measures.append(f"{adult_rows.told_apart(x, test, columns, seed):.3f}")
    measures += [f"{v:.4f}" for v in adult_rows.trained_on(x, test, columns, target, seed)]
    measures += [f"{adult_rows.copies(x[:, keep], train[:, keep]):.2%}" for keep in cuts(adult)]
    measures.append(f"{adult_rows.unseen_pairs(x, train, categories(adult)):.2%}")
    return measures, f"{adult.names[single.argmax()]} {single.max():.3f}; {' × '.join(pair)} {double[pair]:.3f}"


def cuts(adult: Adult) -> list[list[int]]:
    """All columns; all but the sampling weight, which is nearly a row's name."""
    m = len(adult.names)
    return [list(range(m)), [j for j in range(m) if adult.names[j] != "fnlwgt"]]


def categories(adult: Adult) -> list[int]:
    """Categories, and the number of the education, which is another name of it."""
    return [j for j, c in enumerate(adult.columns) if c.is_category or c.name == "education.num"]


def cells(adult: Adult, seeds: list[int], count: int) -> None:
    """Missing cells of test rows."""
    truth = adult.test[np.random.default_rng(0).permutation(len(adult.test))[:count]]
    holes = adult_cells.masked(truth, MASKED, 0)
    where = np.isnan(holes)
    scores, seconds, ranks = {}, {}, {}
    for seed in seeds:
        run, _ = adult.run(seed)
        clock, name = time.process_time(), f"table, seed {seed}"
        draws = run.model.impute(holes, DRAWS, seed=seed).numpy()
        guess = best_guess(adult.codec, draws)
        seconds[name] = time.process_time() - clock
        scores[name] = adult_cells.scored(guess, truth, where, adult.columns, adult.train)
        ranks[seed] = [
            adult_cells.places(draws[:, :, j], truth[:, j], where[:, j], seed) for j in range(len(adult.names))
        ]
    for name, imputer in adult_cells.IMPUTERS.items():
        clock = time.process_time()
        guess = imputer(adult.train, holes, adult.columns, 0)
        seconds[name] = time.process_time() - clock
        scores[name] = adult_cells.scored(guess, truth, where, adult.columns, adult.train)
        print(f"{name}: {seconds[name]:.0f} s", file=sys.stderr, flush=True)
    print(f"\n{where.sum():,} cells of {count:,} test rows ({where.mean():.1%}) filled in\n")
    kinds = [("accuracy", True), ("error", False)]
    lines = []
    for said, is_category in kinds:
        chosen = [j for j, column in enumerate(adult.columns) if column.is_category == is_category]
        lines += [(adult.names[j], said, *(f"{s[j]:.3f}" for s in scores.values())) for j in chosen]
        for kind, middle in (("mean", np.mean), ("median", np.median)):
            lines.append(
                (f"**{kind} {said}**", "", *(f"**{middle([s[j] for j in chosen]):.3f}**" for s in scores.values()))
            )
    lines.append(("seconds of the processor", "", *(f"{s:.0f}" for s in seconds.values())))
    print(table(["column", "measure", *scores], lines))
    print(f"\nshare of true numbers within the middle 50 % and 90 % of {DRAWS} draws, ties at random\n")
    numbers = [j for j, column in enumerate(adult.columns) if not column.is_category]
    lines = []
    for j in numbers:
        covered = (f"{coverage(r[j], part):.1%}" for r in ranks.values() for part in (0.5, 0.9))
        lines.append((adult.names[j], int(where[:, j].sum()), *covered))
    print(table(["column", "cells", *(f"{p} %, seed {s}" for s in ranks for p in (50, 90))], lines), flush=True)


def coverage(places: np.ndarray, part: float) -> float:
    """Share of places in the middle part."""
    return float((np.abs(places - 0.5) < part / 2).mean())


def given(adult: Adult, seeds: list[int], peers: list[str]) -> None:
    """What is drawn given a cell, against the rows that have it."""
    target, asked = adult.names.index(TARGET), adult.names.index(ASKED)
    level = adult.codec.cell(target, VALUE)
    real = {name: x[x[:, target] == level] for name, x in (("test", adult.test), ("train", adult.train))}
    shares = {name: share(x[:, asked], adult.columns[asked].levels) for name, x in real.items()}
    for name in ["table", *peers]:
        for seed in seeds:
            _, x, _ = adult.drawn(name, seed)
            assert bool((x[:, target] == level).all()), "a row was drawn that is not what was asked for"
            shares[f"{name}, seed {seed}"] = share(x[:, asked], adult.columns[asked].levels)
    names = adult.codec.columns[asked]["values"]
    common = np.argsort(-shares["test"])[:8]
    lines = [(names[k], *(f"{p[k]:.3f}" for p in shares.values())) for k in common]
    lines.append(("total variation to test", *(f"{np.abs(p - shares['test']).sum() / 2:.3f}" for p in shares.values())))
    print(f"\nP({ASKED} | {TARGET}={VALUE}), {CONDITIONED:,} rows drawn; {len(real['test']):,} real rows in test\n")
    print(table([ASKED, *shares], lines), flush=True)


def share(levels: np.ndarray, many: int) -> np.ndarray:
    return np.bincount(levels.astype(int), minlength=many) / len(levels)


def available(python: str) -> list[str]:
    """Peers that an interpreter has."""
    if subprocess.run([python, "-c", "import sdv"], capture_output=True).returncode:
        print(f"SDV is missing in {python}: left out; name another with --peer-python", file=sys.stderr)
        return []
    return list(PEERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--runs", type=Path, help="folder that keeps runs and synthetic rows")
    parser.add_argument("--imputed", type=int, default=4096, help="test rows whose cells are imputed")
    parser.add_argument("--parts", nargs="+", default=["density", "rows", "cells", "given"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.runs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        adult = Adult(folder, args.minutes, args.peer_python)
        peers = available(args.peer_python) if {"rows", "given"} & set(args.parts) else []
        print(f"Adult, {args.minutes:g} minutes a fit; {machine()}", flush=True)
        parts = {
            "density": lambda: density(adult, args.seeds),
            "rows": lambda: rows(adult, args.seeds, peers),
            "cells": lambda: cells(adult, args.seeds, args.imputed),
            "given": lambda: given(adult, args.seeds, peers),
        }
        for part in args.parts:
            parts[part]()


if __name__ == "__main__":
    main()
