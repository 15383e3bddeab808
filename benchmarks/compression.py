"""Lossless compression beside PNG, WebP, xz and zstd; exact round trips; what single flipped bits do.

    python -m benchmarks.compression [--rows mnist,fashion,text,random,flips] [--minutes 10] [--runs FOLDER]
        [--images 10000] [--flips 10000] [--threads 1]

Runs are taken from FOLDER/mnist, FOLDER/fashion and FOLDER/text where they are, else fitted there. Pictures are coded
as one array of the test split; of the other compressors both groupings are told.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.coding import CodingError, compress, decompress
from ptheta.coding.rivals import sizes

PICTURES = {"width": 64, "layers": 6, "dropout": 0.0}
SETTINGS = {"batch_size": 8, "learning_rate": 6e-3, "precision": "native"}
ROWS: dict[str, dict[str, Any]] = {
    "mnist": {"data": "mnist", "model": PICTURES, "settings": SETTINGS, "load": {}},
    "fashion": {"data": "fashion_mnist", "model": PICTURES, "settings": SETTINGS, "load": {}},
    "text": {"data": "tiny_shakespeare", "model": None, "settings": {}, "load": {"tokenizer": "bytes"}},
}
"""Row → its data, and the model that is fitted for it; text takes the preset tiny."""


def fitted(name: str, folder: Path, minutes: float) -> ptheta.Run:
    """The run of a row."""
    if (folder / name / "config.json").exists():
        return ptheta.Run.load(folder / name)
    row = ROWS[name]
    data = ptheta.load(str(DATA / row["data"]), **row["load"])
    model = None if row["model"] is None else ptheta.models.PixelCNN(data.space, **row["model"])
    return ptheta.fit(model, data, minutes=minutes, out=folder / name, seed=0, **row["settings"])


def test_pictures(run: ptheta.Run, limit: int) -> np.ndarray:
    """Greys [n, height, width] of the test split."""
    return run.data.splits["test"].x[:limit, 0]


def round_trip(
    run: ptheta.Run, files: list[Path], folder: Path, threads: int, stretch: int | None = None
) -> tuple[Any, float, bool]:
    """The report, seconds to decompress, and whether the same bytes came back."""
    out = folder / "x.ptz"
    report = compress(run, files, out, threads=threads, stretch=stretch, force=True)
    with tempfile.TemporaryDirectory() as place:
        restored = decompress(run, out, Path(place) / "out")
        same = all((Path(place) / "out" / file.name).read_bytes() == file.read_bytes() for file in files)
    return report, restored.seconds, same


def pictures(name: str, run: ptheta.Run, images: int, folder: Path, threads: int) -> None:
    x = test_pictures(run, images)
    file = folder / f"{name}.npy"
    np.save(file, x)
    report, seconds, same = round_trip(run, [file], folder, threads)
    others = sizes([row.tobytes() for row in x], list(x))
    print(f"\n### {name}: {len(x):,} test pictures\n")
    rows = [["ptheta, all in one file", report.bytes_out], ["the model's own bits", round(report.model_bits / 8)]]
    rows.append(["ptheta and the model itself", report.bytes_out + report.model_bytes])
    for grouping, found in others.items():
        rows += [[f"{name}, {grouping.replace('_', ' ')}", size] for name, size in found.items() if size]
    print(table(["", "bytes", "bits/dim"], [[what, f"{n:,}", f"{8 * n / x.size:.4f}"] for what, n in rows]))
    ratio = 8 * report.bytes_out / report.model_bits
    print(f"\nratio to the model's bits {ratio:.5f}, of the coder alone {1 + report.gap:.6f}; identical: {same};")
    print(f"{len(x) / report.seconds:.1f} pictures/s in, verified; {len(x) / seconds:.1f} pictures/s out")


def bytes_rows(run: ptheta.Run, folder: Path, threads: int) -> None:
    """A text, and noise, through a model of bytes."""
    text = folder / "text.txt"
    text.write_bytes(run.codec.to_bytes([run.data.splits["test"].stream])[0])  # type: ignore[attr-defined]
    noise = folder / "noise.bin"
    noise.write_bytes(np.random.default_rng(0).bytes(200_000))
    rows = []
    for file in (text, noise):
        for stretch in (1024, 4096, 16384) if file is text else (4096,):
            report, seconds, same = round_trip(run, [file], folder, threads, stretch)
            other = sizes([file.read_bytes()], [])["one_stream"]
            numbers = [report.bytes_in, report.bytes_out, round(report.model_bits / 8), other["xz"], other["zstd"]]
            rates = [report.bytes_in / 1000 / clock for clock in (report.seconds, seconds)]
            ratio = 8 * report.bytes_out / report.model_bits
            rows.append([file.stem, stretch, *(f"{n:,}" for n in numbers), f"{ratio:.4f}", *rates, same])
    print("\n### files of bytes\n")
    head = ["file", "stretch", "bytes", "ptheta", "model's own bytes", "xz -9e", "zstd -19", "ratio"]
    rows = [[f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    print(table([*head, "kB/s in", "kB/s out", "identical"], rows))


def flips(number: int, folder: Path, seed: int = 0) -> None:
    """Flip one bit of a small file, again and again: every flip must be noticed, and nothing written."""
    run_folder, file = folder / "chain", folder / "small.npy"
    x = np.random.default_rng(seed).integers(0, 4, (60, 6)).cumsum(1) % 4
    run = ptheta.fit("markov_chain", x.astype(np.uint8), out=run_folder, force=True)
    np.save(file, x.astype(np.uint8))
    small = folder / "small.ptz"
    report = compress(run, [file], small, lanes=16, force=True)
    whole = small.read_bytes()
    g, noticed, emitted, recovered = np.random.default_rng(seed), 0, 0, 0
    bits = g.integers(0, 8 * len(whole), number)
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        small.write_bytes(damaged)
        for recover in (False, True):
            out = folder / "flipped"
            try:
                found = decompress(run, small, out, recover=recover)
            except CodingError:
                noticed += not recover
            else:
                emitted += not recover
                whole_file = (out / "small.npy").read_bytes() if "small.npy" in found.files else None
                emitted += whole_file is not None and whole_file != file.read_bytes()
                recovered += whole_file == file.read_bytes()
                for path in sorted(out.rglob("*"), reverse=True):
                    path.unlink()
                out.rmdir()
    print(
        f"\n### flips of single bits\n\na file of {len(whole)} bytes ({report.blocks} blocks): {number:,} random flips,"
    )
    print(f"{len(set(bits.tolist())):,} different of {8 * len(whole):,}: {noticed:,} noticed, {emitted} wrong files")
    print(f"written; with recovery the file came back exactly after {recovered:,} of them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="mnist,fashion,text,flips")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=Path, default=Path("runs/compression"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as place:
        for name in arguments.rows.split(","):
            if name in ("mnist", "fashion"):
                run = fitted(name, arguments.runs, arguments.minutes)
                pictures(name, run, arguments.images, Path(place), arguments.threads)
            elif name == "text":
                bytes_rows(fitted(name, arguments.runs, arguments.minutes), Path(place), arguments.threads)
            elif name == "flips":
                flips(arguments.flips, Path(place))


if __name__ == "__main__":
    main()
