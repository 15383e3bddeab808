"""Test nats of `ptheta fit` with all defaults after more and more minutes, and beside an earlier commit.

python -m benchmarks.minutes --minutes 0.25,0.5,1,2,4,8 --keep minutes.jsonl
python -m benchmarks.minutes --minutes 1,10 --only mnist,adult --before ../checkout-of-the-commit-before

Each fit is a command in a process of its own, one after the other; those of two checkouts take turns. With `--keep`
every result is a line of that file, and fits that it holds already are not repeated, so a long series can be done in
parts. A fit that is worse than one of fewer minutes by more than two standard errors is marked. Fits that were scored
on different numbers of events are not compared with each other.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.common import DATA, machine, table

NAMES = ("digits", "adult", "uci_shoppers", "omniglot", "olivetti_faces", "tiny_shakespeare", "uci_kin40k")
"""Data sets, of most kinds."""

HERE = Path(__file__).resolve().parents[1]


def fitted(name: str, minutes: float, checkout: Path, flags: list[str]) -> dict[str, Any]:
    """The results of one command, as `--json` prints them, with its seconds and notes."""
    source = name if name == "digits" else str(DATA.resolve() / name)
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "ptheta", "fit", source, "--minutes", f"{minutes:g}", "--out", f"{folder}/run", "--json", *flags]
        clock = perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )
        if done.returncode:
            raise SystemExit(f"{name}: {done.stdout}{done.stderr}")
        found = json.loads(done.stdout.splitlines()[-1])
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
    said = [note for line in lines for note in json.loads(line).get("notes", [])]
    return found | {"wall": round(perf_counter() - clock, 1), "said": said}


def row(key: list[Any], found: dict[str, Any], fewer: list[dict[str, Any]]) -> list[str]:
    """A fit as a row of the table; `fewer`: those of fewer minutes."""
    name, minutes, side = key
    worse = [
        one
        for one in fewer
        if one["n"] == found["n"] and found["nats"] - one["nats"] > 2 * math.hypot(one["nats_se"], found["nats_se"])
    ]
    bits = next((f"{found[key]:.4f}" for key in ("bits_per_dim", "bits_per_byte") if key in found), "")
    return [
        name,
        f"{minutes:g}",
        *([side] if side else []),
        f"{found['nats']:.2f} ± {found['nats_se']:.2f}{' WORSE' * bool(worse)}",
        bits,
        f"{found['n']:,} of {found['of']:,}",
        f"{found['steps']:,}",
        str(found.get("members", 1)),
        f"{found['free_parameters'] // found.get('members', 1):,}",
        f"{found['wall']:.0f} s",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", default="0.25,0.5,1,2,4,8", help="budgets, comma-separated")
    parser.add_argument("--only", default=",".join(NAMES), help="names of data sets, comma-separated")
    parser.add_argument("--before", type=Path, help="checkout of another commit, which takes turns with this one")
    parser.add_argument("--keep", type=Path, help="file of the results, which are not made again")
    parser.add_argument("--flags", default="", help="more flags of every fit")
    given = parser.parse_args()
    sides = {"": HERE} if given.before is None else {"before": given.before.resolve(), "after": HERE}
    known: dict[str, dict[str, Any]] = {}
    if given.keep and given.keep.exists():
        known = {line["key"]: line for line in map(json.loads, given.keep.read_text().splitlines())}
    rows = []
    for name in given.only.split(","):
        done: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for minutes in sorted(map(float, given.minutes.split(","))):
            for side, checkout in sides.items():
                key = json.dumps([name, minutes, side])
                if key not in known:
                    known[key] = {"key": key} | fitted(name, minutes, checkout, given.flags.split())
                    if given.keep:
                        with given.keep.open("a") as file:
                            file.write(json.dumps(known[key]) + "\n")
                rows.append(row(json.loads(key), known[key], done[side]))
                done[side].append(known[key])
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["data", "minutes", *(["commit"] if given.before else []), "test nats", "bits", "events", "steps", "members"]
    print(f"{machine()}\n\n{table([*head, 'parameters of one', 'wall'], rows)}")


if __name__ == "__main__":
    main()
