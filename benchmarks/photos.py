"""Photos of any size through `ptheta fit PHOTOS --minutes 0.2`: what they become, how long it takes, its memory.

    python -m benchmarks.photos [--minutes 0.2] [--cases small tall large mixed] [--out runs/photos]

The photos are flowers of 64×64 pixels enlarged, so that samples can be judged by eye. Memory is the peak of the whole
process, as the system counts it for its children; seconds are those of the whole command, from imports to pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from benchmarks.common import DATA, machine, table

CASES: dict[str, list[tuple[int, int]]] = {
    "small": [(200, 300)] * 20,
    "tall": [(400, 200)] * 12,
    "large": [(3000, 4000)] * 8,
    "mixed": [(200, 300), (300, 200), (480, 640), (1200, 1600)] * 6,
}
"""Case → (height, width) of its photos."""

PATIENCE = 600
"""Seconds after which a command is stopped."""


def make(folder: Path, sizes: list[tuple[int, int]]) -> None:
    """Write flowers of these sizes as JPEG files."""
    rows = pq.read_table(DATA / "flowers64" / "train-00000-of-00001.parquet").slice(0, len(sizes)).to_pylist()
    folder.mkdir(parents=True)
    for number, (row, (height, width)) in enumerate(zip(rows, sizes)):
        flower = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        flower.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number:02}.jpg", quality=90)


def run(photos: Path, out: Path, minutes: float) -> list[str]:
    """Fit one folder; the row of its table."""
    command = [sys.executable, "-m", "ptheta", "fit", str(photos), "--minutes", str(minutes), "--out", str(out)]
    clock = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        pid, status, usage = 0, 0, None
        while not pid:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not pid and time.perf_counter() - clock > PATIENCE:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.05)
        seconds = time.perf_counter() - clock
        said.seek(0)
        lines = said.read().splitlines()
    assert usage is not None
    event = re.search(r"Image\(([^ ]+)", "\n".join(lines))
    result = next((line for line in lines if line.startswith("test ")), lines[-1] if lines else "")
    code = os.waitstatus_to_exitcode(status)
    memory = f"{usage.ru_maxrss / 2**20:.2f}"
    return [
        photos.name,
        event[1] if event else "",
        f"{seconds:.0f}",
        f"{usage.ru_utime:.0f}",
        memory,
        str(code),
        result,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.2)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path, help="keep the runs there")
    asked = parser.parse_args()
    print(machine())
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in asked.cases:
            make(Path(folder) / case, CASES[case])
            rows.append(run(Path(folder) / case, (asked.out or Path(folder) / "runs") / case, asked.minutes))
    print(table(["photos", "became", "seconds", "of a core", "GiB", "exit", "result"], rows))


if __name__ == "__main__":
    main()
