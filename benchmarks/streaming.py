"""Counting models over a table too long to look at: 10 million rows of 32 categorical columns in Parquet.

    python benchmarks/streaming.py [--rows 10000000] [--columns 32]

Each model runs as a process of its own, `ptheta fit`, from reading the file to the run folder; wall time and peak
memory are the operating system's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import machine, table


def write(path: Path, rows: int, columns: int, text: bool) -> None:
    """A first-order chain over the columns with 2 to 20 levels each; with `text`, half the columns are strings."""
    rng = np.random.default_rng(0)
    levels = rng.integers(2, 21, columns)
    writer = None
    for start in range(0, rows, 1_000_000):
        n = min(1_000_000, rows - start)
        value = rng.integers(0, levels[0], n)
        arrays = []
        for j in range(columns):
            if j:
                value = np.where(rng.random(n) < 0.5, value % levels[j], rng.integers(0, levels[j], n))
            if text and j % 2:
                names = pa.array([f"level {k}" for k in range(levels[j])])
                arrays.append(pa.DictionaryArray.from_arrays(value.astype(np.int32), names).cast(pa.string()))
            else:
                arrays.append(pa.array(value.astype(np.int8)))
        batch = pa.table({f"c{j}": array for j, array in enumerate(arrays)})
        writer = writer or pq.ParquetWriter(path, batch.schema)
        writer.write_table(batch)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=32)
    args = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as place:
        for text in (False, True):
            source = Path(place) / f"{'half-text' if text else 'integers'}.parquet"
            write(source, args.rows, args.columns, text)
            for model in ("independent", "markov_chain"):
                command = [sys.executable, "-m", "ptheta", "fit", str(source), model, "--json"]
                start = perf_counter()
                process = subprocess.Popen(
                    [*command, "--out", f"{place}/{source.stem}-{model}"], stdout=subprocess.PIPE, text=True
                )
                out = process.communicate()[0]
                seconds = perf_counter() - start
                if process.returncode:
                    sys.exit(f"{' '.join(command)} failed")
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # the largest child so far
                result = json.loads(out.splitlines()[-1])
                megabytes = f"{source.stat().st_size / 2**20:.0f} MiB"
                lines.append(
                    (source.stem, megabytes, model, f"{seconds:.1f}", f"{result['seconds']:.1f}", f"{peak:.2f}",
                     f"{result['nats']:.3f}")
                )  # fmt: skip
    print(f"\n{args.rows:,} rows × {args.columns} columns; {machine()}\n")
    head = ["columns", "file", "model", "process, s", "of it counting, s", "peak memory so far, GiB", "test nats"]
    print(table(head, lines))


if __name__ == "__main__":
    main()
