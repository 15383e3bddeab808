"""Memory and speed of `compress` and `decompress`, each in a process of its own, with small models.

    OMP_NUM_THREADS=1 python -m benchmarks.coding [--rows stored,text,pictures,array,transformer] [--megabytes 200]

`stored` is a file of noise that no model codes; `text` a text through a Markov chain of bytes; `pictures` a folder of
PNG files of 28×28 pixels through independent pixels; `array` one NPY file of such pictures; `transformer` a text and
a small transformer. Speed is by processor time, memory the peak beyond that of having loaded the run, in MiB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ptheta
from benchmarks.common import machine, table
from ptheta.coding import compress, decompress

WORDS = np.array(["the", "a", "of", "and", "to", "in", "sea", "wind", "old", "man", "boat", "day", "night", "fish"])
PARTS = {"stored": 1.0, "text": 0.02, "pictures": 0.01, "array": 0.05, "transformer": 0.0005}
"""Row → size of its input as a part of --megabytes."""


def text(size: int, seed: int) -> bytes:
    """Words in random order, about this many bytes."""
    chosen = np.random.default_rng(seed).choice(WORDS, size // 3)
    return " ".join(chosen.tolist()).encode()[:size]


def pictures(n: int, seed: int) -> np.ndarray:
    """Noisy slopes [n, 28, 28], four greys."""
    g = np.random.default_rng(seed)
    slope = (np.arange(28)[:, None] + np.arange(28)) // 14
    return ((slope + (g.random((n, 28, 28)) < 0.1)) % 4 * 85).astype(np.uint8)


def prepare(row: str, size: int, folder: Path) -> tuple[Path, Path]:
    """The run and the input of a row."""
    run, source = folder / "run", folder / "source"
    if row in ("text", "transformer", "stored"):
        (folder / "train.txt").write_bytes(text(30_000, 0))
        data = ptheta.load(str(folder / "train.txt"), tokenizer="bytes", length=64)
        if row == "transformer":
            model: Any = ptheta.models.Transformer(data.space, width=64, layers=2, heads=2, window=32)
            ptheta.fit(model, data, steps=20, out=run)
        else:
            ptheta.fit(ptheta.models.MarkovChain(data.space, order=2, shared=True), data, out=run)
    else:
        np.save(folder / "train.npy", pictures(200, 0))
        ptheta.fit("independent", ptheta.load(str(folder / "train.npy"), levels=4), out=run)
    if row == "stored":  # a text run would code noise as bytes: a picture run stores it
        np.save(folder / "train.npy", pictures(200, 0))
        ptheta.fit("independent", ptheta.load(str(folder / "train.npy"), levels=4), out=run, force=True)
        source.write_bytes(np.random.default_rng(1).bytes(size))
    elif row == "pictures":
        source.mkdir()
        for i, picture in enumerate(pictures(size // 784, 1)):
            Image.fromarray(picture).save(source / f"{i:06}.png")
    elif row == "array":
        source = folder / "source.npy"
        np.save(source, pictures(size // 784, 1))
    else:
        source = folder / "source.txt"
        source.write_bytes(text(size, 1))
    return run, source


def measured(action: str, folder: Path, source: Path) -> None:
    """Do one half of a row and print its seconds and the memory it took beyond having loaded the run."""
    run = ptheta.Run.load(folder / "run")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, clock = memory("VmRSS"), time.process_time()
    found: dict[str, Any] = {}
    if action == "compress":
        report = compress(run, [source], folder / "x.ptz")
        found = {"in": report.bytes_in, "out": report.bytes_out, "files": len(report.files)}
    else:
        decompress(run, folder / "x.ptz", folder / "out")
    print(json.dumps({**found, "seconds": time.process_time() - clock, "mib": memory("VmHWM") - before}))


def memory(key: str) -> float:
    """Memory of this process in MiB: VmRSS now, VmHWM at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def same(source: Path, folder: Path) -> bool:
    """Whether what came back is what went in, pictures by their pixels."""
    if source.is_file():
        return (folder / "out" / source.name).read_bytes() == source.read_bytes()
    back = sorted((folder / "out").rglob("*.png"))
    return len(back) == len(list(source.iterdir())) and all(
        np.array_equal(np.asarray(Image.open(file)), np.asarray(Image.open(source / file.name))) for file in back
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(PARTS))
    parser.add_argument("--megabytes", type=float, default=200.0)
    parser.add_argument("--action", choices=["compress", "decompress"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.action:
        measured(arguments.action, arguments.folder, arguments.source)
        return
    print(machine())
    rows = []
    for row in arguments.rows.split(","):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            _, source = prepare(row, int(arguments.megabytes * 1e6 * PARTS[row]), folder)
            results = {}
            for action in ("compress", "decompress"):
                command = [sys.executable, "-m", "benchmarks.coding", "--action", action]
                command += ["--folder", str(folder), "--source", str(source)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                results[action] = json.loads(done.stdout.splitlines()[-1])
            there, back = results["compress"], results["decompress"]
            many = there["in"] // 784 if row == "array" else there["files"]
            rates = [n / r["seconds"] for n, r in ((there["in"] / 1000, there), (there["in"] / 1000, back))]
            per_second = [f"{many / r['seconds']:,.0f}" if many > 1 else "" for r in (there, back)]
            memory = [f"{r['mib']:,.0f}" for r in (there, back)]
            sizes = [f"{there['in']:,}", f"{there['out']:,}"]
            rows.append([row, *sizes, *(f"{rate:,.1f}" for rate in rates), *per_second, *memory, same(source, folder)])
            print(rows[-1], file=sys.stderr)
    head = ["row", "bytes", "compressed", "kB/s in", "kB/s out", "pictures/s in", "pictures/s out"]
    print(table([*head, "MiB compress", "MiB decompress", "identical"], rows))


if __name__ == "__main__":
    main()
