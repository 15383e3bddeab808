"""What each part of a recipe is worth, on the built-in digits: best validation nats in the same number of steps.

python benchmarks/ablation.py [--seeds 0 1]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import mean

import ptheta
from benchmarks.common import machine, table

VARIANTS = [
    ("transformer", 300, {}, {}),
    ("transformer", 300, {"local": 0}, {}),
    ("transformer", 300, {"dropout": 0.1}, {}),
    ("transformer", 300, {}, {"optimizer": "adamw"}),
    ("transformer", 300, {}, {"average": 0.98}),
    ("made", 1000, {}, {}),
    ("made", 1000, {"rank": 0}, {}),
    ("markov_mlp", 1000, {}, {}),
    ("markov_mlp", 1000, {"window": 4}, {}),
    ("markov_mlp", 1000, {"window": 16}, {}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", default="transformer,made,markov_mlp")
    args = parser.parse_args()
    data = ptheta.load("digits")
    rows = []
    for name, steps, hyperparameters, settings in VARIANTS:
        if name not in args.models.split(","):
            continue
        scores, seconds = [], []
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as place:
                run = ptheta.fit(
                    name, data, steps=steps, seed=seed, out=Path(place) / "run", verbose=False,
                    hyperparameters=hyperparameters, **settings,
                )  # fmt: skip
                scores.append(min(line["validation_nats"] for line in run.metrics() if "validation_nats" in line))
                seconds.append(run.results()["seconds"])
        changed = ", ".join(f"{k} {v}" for k, v in (hyperparameters | settings).items()) or "as it comes"
        rows.append((name, changed, steps, " / ".join(f"{s:.2f}" for s in scores), f"{mean(seconds):.0f}"))
        print(rows[-1], flush=True)
    print(f"\ndigits, best validation nats for seeds {args.seeds}; {machine()}\n")
    print(table(["model", "change", "steps", "validation nats", "seconds"], rows))


if __name__ == "__main__":
    main()
