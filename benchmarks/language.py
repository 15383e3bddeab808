"""Language models after a fixed budget: nats a token in blocks, and bits a byte of whole documents beside xz and zstd.

    python -m benchmarks.language [--rows shakespeare,enwiki-bytes,…] [--minutes 10] [--seed 0] [--out FOLDER]

A document is scored from its first token to its end through the sliding window. xz and zstd compress the same test
bytes, alone and after the training text, which the model has seen too: the size of both together less that of the
training text.
"""

from __future__ import annotations

import argparse
import lzma
import math
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.common import DATA, machine, table
from ptheta.data.streams import TextSplit

ROWS: dict[str, dict[str, Any]] = {
    "shakespeare": {
        "data": ("tiny_shakespeare", {"tokenizer": "characters", "length": 64}),
        "minutes": 3,
        "model": {"window": None},
        "settings": {"batch_size": 32},
    },
    "enwiki-bytes": {"data": ("enwiki_sample", {"event": "text", "tokenizer": "bytes"})},
    "enwiki-bpe": {"data": ("enwiki_sample", {"event": "text", "tokenizer": "bpe"})},
    "novels-bytes": {"data": ("novels", {"event": "text", "tokenizer": "bytes"})},
    "novels-bpe": {"data": ("novels", {"event": "text", "tokenizer": "bpe"})},
}
"""Row → its data, and what differs from the preset tiny."""


def packed(data: bytes) -> dict[str, int]:
    """Compressor → bytes."""
    zstd = subprocess.run(["zstd", "-19", "--long=27", "-c", "-q"], input=data, capture_output=True, check=True)
    return {"xz -9e": len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)), "zstd -19": len(zstd.stdout)}


def text_of(run: ptheta.Run, split: TextSplit) -> bytes:
    """The bytes of a split's documents."""
    return b"".join(run.codec.to_bytes([split.stream]))  # type: ignore[attr-defined]


def document_bits(run: ptheta.Run, split: TextSplit, bytes_of: Callable[[ptheta.Run, TextSplit], bytes]) -> float:
    """Bits a byte of whole documents."""
    documents = [split.document(i) for i in range(len(split.ends))]
    nats = -sum(float(scores.sum()) for scores in run.model.log_prob_per_token(documents))  # type: ignore[operator]
    return nats / math.log(2) / len(bytes_of(run, split))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    place = args.out or Path(tempfile.mkdtemp())
    fitted, peers = [], []
    for name in args.rows.split(","):
        row = ROWS[name]
        folder, options = row["data"]
        data = ptheta.load(str(DATA / folder), **options, seed=args.seed)
        run = ptheta.fit(
            None, data, preset="tiny", minutes=row.get("minutes", args.minutes), seed=args.seed, out=place / name,
            hyperparameters=row.get("model", {}), verbose=True, **row.get("settings", {}),
        )  # fmt: skip
        blocks = run.evaluate("validation")
        steps = [line for line in run.metrics() if "step" in line][-1]["step"]
        train, test = (data.splits[split] for split in ("train", "test"))
        assert isinstance(train, TextSplit)
        assert isinstance(test, TextSplit)
        bits = document_bits(run, test, text_of)
        fitted.append(
            (name, f"{data.space.levels:,}", f"{run.model.free_parameters:,}", steps,
             f"{run.results()['seconds']:.0f}", f"{blocks.nats / blocks.dimensions:.4f}", f"{bits:.4f}")
        )  # fmt: skip
        raw, seen = text_of(run, test), text_of(run, train)
        alone, before, both = packed(raw), packed(seen), packed(seen + raw)
        for peer, size in alone.items():
            after = 8 * (both[peer] - before[peer]) / len(raw)
            peers.append((name, peer, f"{len(raw):,}", f"{8 * size / len(raw):.3f}", f"{after:.3f}"))
        print(*fitted[-1], peers[-2:], flush=True)
    print(f"\nseed {args.seed}; {machine()}\n")
    head = ["row", "levels", "free parameters", "steps", "seconds", "validation nats/token, blocks", "test bits/byte"]
    print(table(head, fitted))
    print()
    print(table(["row", "compressor", "test bytes", "bits/byte alone", "bits/byte after the training text"], peers))


if __name__ == "__main__":
    main()
