"""What was spent, and what was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """Bits of a compressed file.

    Args:
        out: the file.
        bytes_in: of all files.
        bytes_out: of the compressed file.
        model_bits: Σ −log2 p of all values that the model was asked to code, from the conditionals that coded them.
        coded_bits: spent on the blocks that were coded with the model.
        coded_model_bits: the model's own bits on the same blocks.
        values: pixels, tokens, cells that the model was asked to code.
        side_bytes: spent on what was only stored.
        files: names of all files.
        stored: names of those that the model could not code exactly, and that were stored.
        why: of each of those, what it is.
        blocks: number of them.
        value_blocks: those of them that hold values which the model was asked to code.
        stored_blocks: those of these that are smaller without the model, or that it could not repeat.
        by_model, by_zstd: bytes that these blocks take coded with the model, and packed by zstd instead.
        model_bytes: weights and config, which the reader of the file needs too.
        threads: the model computed with.
        seconds: it took, verification included.
    """

    out: Path
    bytes_in: int = 0
    bytes_out: int = 0
    model_bits: float = 0.0
    coded_bits: int = 0
    coded_model_bits: float = 0.0
    values: int = 0
    side_bytes: int = 0
    files: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    blocks: int = 0
    value_blocks: int = 0
    stored_blocks: int = 0
    by_model: int = 0
    by_zstd: int = 0
    model_bytes: int = 0
    threads: int = 1
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """How much more than the model's own bits the coded blocks take, a fraction."""
        return self.coded_bits / self.coded_model_bits - 1 if self.coded_model_bits > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "model_bits": self.model_bits,
            "seconds": round(self.seconds, 3),
            "coded_bits": self.coded_bits,
            "gap": self.gap,
            "values": self.values,
            "side_bytes": self.side_bytes,
            "files": len(self.files),
            "stored_files": self.stored,
            "stored_why": self.why,
            "blocks": self.blocks,
            "value_blocks": self.value_blocks,
            "stored_blocks": self.stored_blocks,
            "by_model": self.by_model,
            "by_zstd": self.by_zstd,
            "model_bytes": self.model_bytes,
            "bytes_out_with_model": self.bytes_out + self.model_bytes,
            "threads": self.threads,
            "out": str(self.out),
        }


@dataclass
class Restored:
    """What a compressed file gave.

    Args:
        directory: that holds the files.
        files: names, in their order.
        damaged: names of those that could not be restored.
        parts: names of files with what is intact of damaged ones.
        blocks: number of blocks, damaged ones included.
        damaged_blocks: their numbers.
        bytes: written.
        seconds: it took.
    """

    directory: Path
    files: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    blocks: int = 0
    damaged_blocks: list[int] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "directory": str(self.directory), "seconds": round(self.seconds, 3)}
