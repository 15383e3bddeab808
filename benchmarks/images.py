"""Test nats and bits/dim of image models after a fixed budget, each by a preset that anyone can run by name.

    python -m benchmarks.images [--minutes 10] [--rows binarized-mnist,cifar10,…] [--out FOLDER]

A row is a preset on a data set, with what differs from the preset. Runs are kept in --out, with their pictures.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.reporting import count, nats

ROWS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "binarized-mnist": ("binarized_mnist", "binarized-mnist", {}),
    "binarized-mnist-transformer": ("binarized_mnist", "binarized-mnist-transformer", {}),
    "any-order": ("binarized_mnist", "any-order", {}),
    "fashion-mnist": ("fashion_mnist", "fashion-mnist", {}),
    "cifar10": ("cifar10", "cifar10", {}),
    "cifar10-uncoupled": ("cifar10", "cifar10", {"coupling": False}),
    "cifar10-palette": ("cifar10", "cifar10-palette", {}),
    "cifar10-subpixels": ("cifar10", None, {"width": 96, "layers": 4, "heads": 4, "dropout": 0.0}),
    "olivetti": ("olivetti_faces", "faces", {}),
    "frey": ("frey_faces", "faces", {}),
}
"""Row → folder of the data, preset, hyperparameters that differ. Without a preset: a transformer over the sub-pixels of
pictures reduced to 16×16, 768 values of 256 levels, with the settings of `cifar10-palette`."""

SUB_PIXELS = {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998, "precision": "native"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    place = args.out or Path(tempfile.mkdtemp())
    rows = []
    for name in args.rows.split(","):
        folder, preset, differs = ROWS[name]
        run = ptheta.fit(
            None if preset else "transformer",
            str(DATA / folder) if preset else ptheta.load(str(DATA / folder), size="16x16", seed=args.seed),
            preset=preset,
            minutes=args.minutes,
            seed=args.seed,
            out=place / name,
            verbose=True,
            hyperparameters=differs,
            **({} if preset else SUB_PIXELS),
        )
        r = run.results()
        validated = [line for line in run.metrics() if "step" in line]
        unit = run.codec.unit
        rows.append(
            (
                name,
                run.name + "".join(f", {k} {v}" for k, v in differs.items()),
                nats(r["nats"], r["nats_se"]),
                f"{r[run.codec.bits_key]:.4f}" + ("" if unit == "dim" else f" per {unit}"),
                r["n"],
                count(r["parameters"]),
                validated[-1]["step"],
                f"{r['seconds']:.0f}",
            )
        )
        print(table([""] * len(rows[-1]), [rows[-1]]), flush=True)
    print(f"\n{args.minutes:g} minutes each, seed {args.seed}; {machine()}\n")
    head = ["row", "model", "test nats ± s.e.", "bits/dim", "events", "free parameters", "steps", "seconds"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
