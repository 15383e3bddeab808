"""One number whatever file the rows come in: tables scored by one run from files and objects of many types.

    python -m benchmarks.formats [--sets adult uci_shoppers …] [--steps 30] [--rows 500] [--seed 0]

Each table is fitted once, from its data set. Seeded rows of its test split are then written as Parquet (numbers with a
fraction in float32, and in float64), CSV and JSONL, and given as a pandas frame, a dict of NumPy arrays, one a column,
and a polars frame, and the same run scores them all. The rows are those of the data set: of a float32 column the
Parquet file of float64 holds what the cast leaves, 0.10000000149…, while CSV and JSONL say 0.1.

The first table has mean nats a row. The second has the largest difference of any row from the Parquet file of float64,
in nats. Where a column has more digits than float32 keeps, its float32 file holds other numbers, and that difference is
their rounding: which columns, and the largest relative rounding, stand beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.evaluation.nats import log_probs
from ptheta.values import shortest

SETS = ("adult", "uci_shoppers", "uci_magic", "uci_beijing_pm25", "uci_protein", "uci_keggundirected", "uci_kin40k")


def cast(rows: pa.Table, kind: pa.DataType) -> pa.Table:
    """Rows with all numbers with a fraction in one type."""
    fields = [field.with_type(kind) if pa.types.is_floating(field.type) else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def meant(rows: pa.Table) -> pd.DataFrame:
    """Rows as a frame whose numbers print as what they stand for."""
    frame = rows.to_pandas()
    return frame.assign(**{name: shortest(frame[name].to_numpy()) for name in frame if frame[name].dtype == np.float32})


def parquet(kind: pa.DataType) -> Callable[[pa.Table, Path], Any]:
    def write(rows: pa.Table, folder: Path) -> Path:
        pq.write_table(cast(rows, kind), folder / f"{kind}.parquet")
        return folder / f"{kind}.parquet"

    return write


def csv(rows: pa.Table, folder: Path) -> Path:
    rows.to_pandas().to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def jsonl(rows: pa.Table, folder: Path) -> Path:
    lines = [json.dumps(row) for row in meant(rows).to_dict("records")]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "rows.jsonl"


def numpy(rows: pa.Table, folder: Path) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy() for name in rows.column_names}


FORMS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "Parquet float64": parquet(pa.float64()),
    "Parquet float32": parquet(pa.float32()),
    "CSV": csv,
    "JSONL": jsonl,
    "pandas": lambda rows, folder: rows.to_pandas(),
    "NumPy": numpy,
    "polars": lambda rows, folder: polars.from_arrow(rows),
}
"""Form → how rows are given in it."""


def rounded(rows: pa.Table) -> str:
    """Columns whose numbers float32 does not keep, and the largest relative rounding."""
    worst: dict[str, float] = {}
    for name, column in zip(rows.column_names, rows.columns):
        if pa.types.is_floating(column.type):
            values = column.to_numpy()
            values = values[np.isfinite(values) & (values != 0)]
            kept = shortest(values.astype(np.float32))
            off = np.abs(kept - shortest(values)) / np.abs(values)
            if off.max(initial=0) > 0:
                worst[name] = float(off.max())
    return f"{len(worst)} columns, to {max(worst.values()):.1e}" if worst else "none"


def compare(name: str, steps: int, n: int, seed: int) -> tuple[list[str], list[str]]:
    """Mean nats of every form, and the largest difference of a row in each."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = ptheta.fit("table", str(DATA / name), steps=steps, seed=seed, out=folder / "run", verbose=False)
        rows = pq.read_table(next((DATA / name).glob("test-*.parquet"))).replace_schema_metadata(None)
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), min(n, len(rows)), replace=False))
        rows = rows.take(pa.array(chosen))
        scores = {}
        for form, give in FORMS.items():
            data = run.read(give(rows, folder))
            scores[form] = log_probs(run.model, data.splits["all"]).numpy()
    first = scores["Parquet float64"]
    nats = [name, *(f"{-score.mean():.6f}" for score in scores.values())]
    apart = [name, *(f"{np.abs(score - first).max():.1e}" for score in scores.values()), rounded(rows)]
    return nats, apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    found = []
    for name in args.sets:
        found.append(compare(name, args.steps, args.rows, args.seed))
        print(table([""] * len(found[-1][0]), [found[-1][0]]), flush=True)
    print(f"\n{args.rows} test rows, {args.steps} steps, seed {args.seed}; {machine()}\n")
    print(table(["mean nats a row", *FORMS], [nats for nats, _ in found]))
    print()
    print(table(["largest difference of a row, nats", *FORMS, "rounded by float32"], [apart for _, apart in found]))


if __name__ == "__main__":
    main()
