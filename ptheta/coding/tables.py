"""From probabilities to bits: integer tables, and a range coder that reads and writes symbols by them.

The coder is constriction's (Bamler 2022, arXiv:2201.01741). It takes tables as float64, in which integers and their
sums are exact, and fits them to its own 24 bits; that is deterministic, so equal integer tables give equal bytes.
"""

from __future__ import annotations

import functools
import importlib
import zlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.coding.errors import CodingError

PRECISION = 24
"""log2 of a table's total, at most. The floor of one part in 2^24 costs 256 levels 0.00002 bits a symbol."""

MAX_LEVELS = 2**20
"""Most symbols of a table: one in sixteen parts would then be floor."""


@functools.cache
def _stream() -> Any:
    """constriction's stream coders, a compiled module without types; loaded when they are used."""
    return importlib.import_module("constriction").stream


def integer_tables(p: Tensor) -> np.ndarray:
    """⌊p (2^24 − K)⌋ + 1: every symbol can be coded, and no table exceeds 2^24.

    Args:
        p: probabilities [n, K], float64.

    Returns:
        int64 [n, K].

    Raises:
        CodingError: they are not probabilities, or K is above 2^20.
    """
    n, levels = p.shape
    if not 1 <= levels <= MAX_LEVELS:
        raise CodingError(f"a conditional has {levels:,} levels", f"at most {MAX_LEVELS:,} can be coded")
    sums = p.sum(-1)
    if n and not bool((p >= 0).all() & ((sums - 1).abs() < 1e-6).all()):  # false for NaN too
        raise CodingError("the model's probabilities are not finite or do not sum to 1", "fit it again")
    tables = (p * (2**PRECISION - levels)).to(torch.int64).add_(1).numpy()
    assert n == 0 or (tables.min() >= 1 and int(tables.sum(-1).max()) <= 2**PRECISION + 32)
    return tables


class Coder(ABC):
    """Symbols to or from bits, in step with a model.

    `digest` is a CRC-32 of all tables used, in their order.
    """

    def __init__(self):
        self.digest = 0
        self._family: Any = _stream().model.Categorical(perfect=False)

    def code(self, p: Tensor, symbols: Tensor | None) -> Tensor:
        """Code one symbol of each row.

        Args:
            p: probabilities [r, K] of the next symbols, float64 on the CPU.
            symbols: [r] when encoding, else None.

        Returns:
            The symbols [r], int64 on the CPU.
        """
        if len(p) == 0:
            return torch.zeros(0, dtype=torch.long)
        tables = integer_tables(p)
        self.digest = zlib.crc32(tables.astype("<i4").data, self.digest)
        if tables.shape[1] == 1:
            return torch.zeros(len(p), dtype=torch.long)
        return self._code(p, tables.astype(np.float64), symbols)

    @abstractmethod
    def _code(self, p: Tensor, tables: np.ndarray, symbols: Tensor | None) -> Tensor: ...


class Encoder(Coder):
    """Writes symbols, and sums what the model itself would spend: `bits`, Σ −log2 p."""

    def __init__(self):
        super().__init__()
        self.bits = 0.0
        self._encoder = _stream().queue.RangeEncoder()

    def _code(self, p: Tensor, tables: np.ndarray, symbols: Tensor | None) -> Tensor:
        assert symbols is not None
        symbols = symbols.cpu().long()
        self.bits -= float(p.gather(1, symbols[:, None]).log2().sum())
        self._encoder.encode(symbols.numpy().astype(np.int32), self._family, tables)
        return symbols

    def payload(self) -> bytes:
        """All bits written, as little-endian words of 32 bits."""
        return self._encoder.get_compressed().astype("<u4").tobytes()


class Decoder(Coder):
    """Reads symbols.

    Args:
        payload: from `Encoder.payload`.
    """

    def __init__(self, payload: bytes):
        super().__init__()
        if len(payload) % 4:
            raise CodingError(f"a block has {len(payload)} bytes, not whole words", "fetch the file again")
        self._decoder = _stream().queue.RangeDecoder(np.frombuffer(payload, "<u4").astype(np.uint32))

    def _code(self, p: Tensor, tables: np.ndarray, symbols: Tensor | None) -> Tensor:
        return torch.from_numpy(self._decoder.decode(self._family, tables).astype(np.int64))
