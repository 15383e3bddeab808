"""Test nats on statically binarised MNIST after a fixed budget, beside published marks.

python benchmarks/binarized_mnist.py [--minutes 10] [--models independent,markov_chain,transformer,made]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.presets import PRESETS
from ptheta.reporting import count, nats

PUBLISHED = [
    ("MADE, one order (Germain et al. 2015)", "88.40"),
    ("MADE, 32 orders averaged (Germain et al. 2015)", "86.64"),
    ("NADE, fixed order (Larochelle & Murray 2011)", "88.33"),
]
RECIPES = {"transformer": PRESETS["binarized-mnist-transformer"], "pixelcnn": PRESETS["binarized-mnist"]}
HYPERPARAMETERS: dict[str, dict] = {name: dict(recipe.hyperparameters) for name, recipe in RECIPES.items()}
HYPERPARAMETERS["made"] = {"width": 1024, "layers": 2, "dropout": 0.2}
SETTINGS: dict[str, dict] = {name: dict(recipe.settings) for name, recipe in RECIPES.items()}
SETTINGS["made"] = {"average": 0.999}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--models", default="independent,markov_chain,transformer,made")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = ptheta.load(str(DATA / "binarized_mnist"))
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name in args.models.split(","):
            run = ptheta.fit(
                name,
                data,
                minutes=args.minutes,
                seed=args.seed,
                out=Path(place) / name,
                verbose=True,
                hyperparameters=HYPERPARAMETERS.get(name, {}),
                **SETTINGS.get(name, {}),
            )
            r = run.results()
            steps = run.metrics()[-2].get("step", "") if name in SETTINGS else ""
            rows.append(
                (name, nats(r["nats"], r["nats_se"]), f"{r['bits_per_dim']:.4f}", count(r["parameters"]), steps,
                 f"{r['seconds']:.0f}")
            )  # fmt: skip
    print(f"\n{data.name}, {len(data.test):,} test images, seed {args.seed}; {machine()}\n")
    print(table(["model", "test nats ± s.e.", "bits/dim", "free parameters", "steps", "seconds"], rows))
    print()
    print(table(["published", "test nats"], PUBLISHED))


if __name__ == "__main__":
    main()
