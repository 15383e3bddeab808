"""Speed of training and decoding in two checkouts, interleaved in one run: medians and ratios.

    python -m benchmarks.before_after --before ../checkout-of-the-commit-before [--rounds 5] [--threads 1]

Every measurement is a process of its own with `PYTHONPATH` at one checkout; the two take turns. Training: optimiser
steps a second of the ordinary trainer, validations apart. Decoding: values drawn a second by cached steps. Whole
processes: seconds of `import ptheta` and `ptheta --help`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import table

MEASURED = """
import sys, time, torch, numpy as np
torch.manual_seed(0)
import ptheta
from ptheta.data import Split
from ptheta.models import family
from ptheta.training import Budget, MaximumLikelihood, Settings, Trainer, World
name, what = sys.argv[1:3]
g = np.random.default_rng(0)
if name == "transformer":
    space, x = ptheta.Image(16, 16, levels=4), g.integers(0, 4, (512, 1, 16, 16)).astype(np.uint8)
    how, steps, n = {"width": 96, "layers": 4}, 25, 64
elif name == "pixelcnn":
    space, x = ptheta.Image(16, 16, 3, levels=32), g.integers(0, 32, (256, 3, 16, 16)).astype(np.uint8)
    how, steps, n = {"width": 48, "layers": 4}, 15, 32
else:
    columns = [ptheta.Column(f"c{j}", 6) for j in range(8)] + [ptheta.Column(f"r{j}") for j in range(6)]
    space = ptheta.Table(tuple(columns))
    x = np.concatenate([g.integers(0, 6, (512, 8)), g.normal(size=(512, 6))], 1)
    how, steps, n = {}, 30, 2000
model = family(name).load()(space, None, **how)
if what == "train":
    settings = Settings.of(model, batch_size=32, warmup=0.0, validation_events=1)
    split = Split(x)
    here = World(0, 1, torch.device("cpu"))
    objective = MaximumLikelihood(model, split, Split(x[:1]), settings, seed=0, world=here)
    times = []
    class Clock:
        def record(self, *_): pass
        def stopping(self): pass
        def advance(self, progress, position): times.append(time.perf_counter())
    Trainer(objective, Budget(steps=steps), listener=Clock()).run()
    gaps = sorted(b - a for a, b in zip(times[3:], times[4:]))
    print(1 / gaps[len(gaps) // 2])
else:
    options = {} if name == "table" else {"method": "ancestral"}
    model.sample(2, seed=0, **options)
    clock = time.perf_counter()
    model.sample(n, seed=0, **options)
    print(n * space.dimensions / (time.perf_counter() - clock))
"""

PROCESSES = {
    "import ptheta": ["-c", "import ptheta"],
    "ptheta --help": ["-m", "ptheta", "--help"],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    checkouts = {"before": args.before.resolve(), "after": Path(__file__).resolve().parents[1]}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(args.rounds):
        for name in ("transformer", "pixelcnn", "table"):
            for what in ("train", "decode"):
                for side, folder in checkouts.items():
                    row = f"{name}, {'steps/s' if what == 'train' else 'values/s'}"
                    value = float(run(folder, args.threads, "-c", MEASURED, name, what))
                    found.setdefault((row, side), []).append(value)
        for row, command in PROCESSES.items():
            for side, folder in checkouts.items():
                for _ in range(3):
                    clock = time.perf_counter()
                    run(folder, args.threads, *command)
                    found.setdefault((f"{row}, 1/s", side), []).append(1 / (time.perf_counter() - clock))
    rows = []
    for row in dict.fromkeys(row for row, _ in found):
        before, after = (found[row, side] for side in ("before", "after"))
        paired = [b / a for a, b in zip(before, after)]
        rows.append(
            [row, f"{statistics.median(before):,.4g}", f"{statistics.median(after):,.4g}",
             f"{statistics.median(after) / statistics.median(before):.3f}", f"{min(paired):.3f}–{max(paired):.3f}"]
        )  # fmt: skip
    print(table(["", "before", "after", "ratio of medians", "ratios of rounds"], rows))


def run(folder: Path, threads: int, *command: str) -> str:
    """Output of a Python process of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, *command], env=environment, cwd="/", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
