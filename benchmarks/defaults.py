"""`ptheta fit` with all defaults on real data of every kind: what two minutes are worth, and whether it ends on time.

python -m benchmarks.defaults --minutes 2
python -m benchmarks.defaults --only adult,mnist --minutes 0.5

Each row is one command line in a process of its own, timed from its start to its end. The independent baseline is
scored on the same events: of discrete ones the family `independent`, of tables and real vectors independent columns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.common import DATA, machine, table
from ptheta import Data, Run
from ptheta.evaluation.baselines import as_table, baselines
from ptheta.evaluation.nats import evaluate
from ptheta.fitting.results import held_out
from ptheta.models import family
from ptheta.models.counting.tables import Independent

SOURCES = {
    "mnist": (),
    "flowers64": (),
    "emoji": ("--context", "text"),
    "adult": (),
    "uci_kin40k": (),
    "tiny_shakespeare": (),
    "multi30k": (),
    "free_spoken_digits": (),
    "bsds300_patches": (),
    "omniglot": (),
}
"""Data set → flags without which it is not of its kind; all else is left to ptheta."""

FEW = 200
"""Steps below which a fit must say so."""

LATE = 1.25
"""Wall time of a command, in units of its budget, at most."""


@dataclass(frozen=True)
class Fit:
    """One command and what it left.

    Attributes:
        name: of the data set.
        seconds: wall time of the whole command.
        results: as `--json` prints them.
        lines: that it wrote beside them.
        baseline: nats of the independent baseline on the same events.
    """

    name: str
    seconds: float
    results: dict
    lines: list[str]
    baseline: float

    def row(self, minutes: float) -> list[str]:
        """As a row of the table."""
        results, late = self.results, self.seconds / (60 * minutes)
        said = any("that is little" in line for line in self.lines)
        steps = f"{results['steps']:,}" + (
            " (reported)" if said else " (NOT reported)" if results["steps"] < FEW else ""
        )
        gain = self.baseline - results["nats"]
        return [
            self.name,
            results["model"],
            steps,
            f"{self.seconds:.0f} s",
            f"{late:.2f}{' LATE' if late > LATE else ''}",
            f"{results['n']:,} of {results['of']:,}",
            f"{results['nats']:.2f} ± {results['nats_se']:.2f}",
            f"{self.baseline:.2f}",
            f"{gain:+.2f}{'' if gain > 0 else ' WORSE'}",
            str(len(self.lines)),
        ]


def fitted(name: str, flags: tuple[str, ...], minutes: float, folder: Path) -> Fit:
    """The command on one data set, and the baseline on the events that it was scored on."""
    out = folder / name
    words = ["fit", str(DATA / name), *flags, "--minutes", f"{minutes:g}", "--out", str(out), "--json"]
    clock = perf_counter()
    done = subprocess.run([sys.executable, "-m", "ptheta.cli.main", *words], capture_output=True, text=True)
    seconds = perf_counter() - clock
    if done.returncode:
        raise SystemExit(f"{name}: {done.stdout}{done.stderr}")
    results = json.loads(done.stdout.splitlines()[-1])
    run = Run.load(out)
    return Fit(name, seconds, results, done.stderr.splitlines(), independent(run.data, results["n"]))


def independent(data: Data, n: int) -> float:
    """Nats of the independent baseline on the n events that a fit is scored on, whatever their contexts."""
    events = data.splits[held_out(data)].subset(n)
    if as_table(data.space) is not None:
        return baselines(data, events, ["independent columns"])[0].score.value
    model = family("independent").load()(data.space)
    assert isinstance(model, Independent)
    for x, _ in data.train.batches(2**12):
        model.observe(x, None)
    model.finish()
    events.context = None
    return evaluate(model, events).value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="budget of each fit")
    parser.add_argument("--only", default="", help="names of data sets, comma-separated")
    parser.add_argument("--out", type=Path, help="folder for the runs; one that is deleted if left out")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name] or list(SOURCES)
    head = ["data", "model", "steps", "wall", "wall / budget", "events", "nats", "independent", "gain", "lines"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.out or Path(temporary)
        rows = []
        for name in names:
            rows.append(fitted(name, SOURCES[name], given.minutes, folder).row(given.minutes))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(f"{machine()}, budget {given.minutes:g} min each\n\n{table(head, rows)}")


if __name__ == "__main__":
    main()
