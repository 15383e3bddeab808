"""One block: from values to stored bytes and back, each step verified."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.coding.container import CODED, RAW, RECOVER, ZSTD, Block, unzstd, zstd
from ptheta.coding.errors import CodingError
from ptheta.coding.plan import Events, Side, Stretches
from ptheta.coding.spool import Spool
from ptheta.coding.tables import Decoder, Encoder
from ptheta.coding.walking import walk
from ptheta.errors import PthetaError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.spaces import Discrete

_FAILURES = (PthetaError, RuntimeError, ValueError, IndexError, AssertionError, KeyError, OverflowError)
"""How models and the coder complain about values that were decoded wrongly."""


class Values:
    """Everything a compressed file holds, addressed by the blocks of its plan; filled file by file, or block by block.

    Args:
        model: of the values.
        texts: tokens of each text, if known beforehand.

    Attributes:
        side: bytes that are only stored.
        events: in visiting order [n, m].
        tokens: of all texts, one after the other; text i begins at `starts[i]`.
        event_labels, text_labels: contexts [n] each, or None.
    """

    def __init__(self, model: Autoregressive, texts: Sequence[int] = ()):
        self.model = model
        self.side = Spool(np.uint8)
        self.events = Spool(_type(model), model.space.dimensions)
        self.tokens = Spool(_type(model))
        self.starts: list[int] = np.concatenate([[0], np.cumsum(texts, dtype=np.int64)]).tolist()
        self.event_labels: Tensor | None = None
        self.text_labels: Tensor | None = None

    @property
    def texts(self) -> list[int]:
        """Tokens of each text."""
        return np.diff(self.starts).tolist()

    def add_events(self, x: np.ndarray) -> None:
        """Append events [n, *space.shape]."""
        flat = x.reshape(len(x), self.model.space.dimensions)
        self.events.append(flat[:, self.model.visit.cpu().numpy()])

    def add_text(self, pieces: Iterable[np.ndarray]) -> int:
        """Append a text, given in pieces; returns its number of tokens. If a piece fails, nothing is appended."""
        start = self.starts[-1]
        try:
            for piece in pieces:
                self.tokens.append(piece)
        except BaseException:
            self.tokens.truncate(start)
            raise
        self.starts.append(len(self.tokens))
        return self.starts[-1] - start

    def text(self, number: int, start: int, stop: int) -> np.ndarray:
        """Tokens start … stop of a text."""
        return self.tokens.read(self.starts[number] + start, self.starts[number] + stop)

    def bytes(self, cut: Side) -> bytes:
        """A part of the side data."""
        return self.side.read(cut.start, cut.stop).tobytes()

    def of(self, cut: Events | Stretches) -> Tensor:
        """Values of the lanes [n, longest], 0 behind their ends."""
        if isinstance(cut, Events):
            return torch.from_numpy(self.events.read(cut.start, cut.stop).astype(self._in_memory))
        lengths = cut.lengths
        z = torch.zeros(len(lengths), lengths[0], dtype=torch.long)
        for row, (text, start, stop) in enumerate(cut.lanes):
            z[row, : stop - start] = torch.from_numpy(self.text(text, start, stop).astype(np.int64))
        return z

    def put(self, cut: Side | Events | Stretches, found: Any) -> None:
        """Take what a block held."""
        if isinstance(cut, Side):
            self.side.put(cut.start, found)
        elif isinstance(cut, Events):
            self.events.put(cut.start, found.numpy())
        else:
            for row, (text, start, stop) in enumerate(cut.lanes):
                self.tokens.put(self.starts[text] + start, found[row, : stop - start].numpy())

    def labels(self, cut: Events | Stretches) -> Tensor | None:
        """The context of every lane."""
        if isinstance(cut, Events):
            return None if self.event_labels is None else self.event_labels[cut.start : cut.stop]
        return None if self.text_labels is None else self.text_labels[[text for text, _, _ in cut.lanes]]

    @property
    def _in_memory(self) -> type[np.generic]:
        return np.int64 if isinstance(self.model.space, Discrete) else np.float64


class Encoded(NamedTuple):
    """A block in its smallest form, and what the model spent on it.

    Args:
        block: coded with the model, or packed by zstd where that is smaller.
        bits: Σ −log2 p of its values, 0 for side data; infinite where the model gives no probabilities.
        by_model: bytes as coded with the model; 0 without.
        by_zstd: bytes without the model.
    """

    block: Block
    bits: float
    by_model: int
    by_zstd: int


def encode(number: int, cut: Side | Events | Stretches, values: Values, model: Autoregressive) -> Encoded:
    """The smallest form of a block."""
    plain, encoder = stored(number, cut, values, model), Encoder()
    size = len(plain.payload)
    if isinstance(cut, Side):
        return Encoded(plain, 0.0, 0, size)
    try:
        walk(model, encoder, cut.lengths, values.labels(cut), values.of(cut))
    except CodingError:  # what the model gives are not probabilities
        return Encoded(plain, float("inf"), 0, size)
    payload = encoder.payload()
    coded = Block(number, CODED, cut.count, payload, plain.values, encoder.digest)
    return Encoded(coded if len(payload) < size else plain, encoder.bits, len(payload), size)


def stored(number: int, cut: Side | Events | Stretches, values: Values, model: Autoregressive) -> Block:
    """A block without the model: packed by zstd, or raw where that is not larger."""
    if isinstance(cut, Side):
        raw = values.bytes(cut)
    else:
        raw = _pack(values.of(cut), cut.lengths, model)
    packed = zstd(raw)
    method, payload = (ZSTD, packed) if len(packed) < len(raw) else (RAW, raw)
    return Block(number, method, cut.count, payload, zlib.crc32(raw), 0)


def decode(block: Block, cut: Side | Events | Stretches, values: Values, model: Autoregressive) -> Any:
    """The values of a block: bytes of side data, or [n, longest].

    Raises:
        CodingError: they are not those that were encoded.
    """
    if block.count != cut.count:
        raise CodingError(f"block {block.number} holds {block.count:,} values instead of {cut.count:,}", RECOVER)
    if block.method == CODED and not isinstance(cut, Side):
        decoder = Decoder(block.payload)
        otherwise = CodingError(
            f"the model computes different probabilities here than where block {block.number} was made",
            "decompress it in the environment it was made in",
        )
        try:
            z = walk(model, decoder, cut.lengths, values.labels(cut), None)
        except _FAILURES:
            raise otherwise from None
        if decoder.digest != block.tables:
            raise otherwise
        raw = _pack(z, cut.lengths, model)
    else:
        size = cut.count if isinstance(cut, Side) else cut.count * _type(model).itemsize
        if block.method not in (RAW, ZSTD):
            raise CodingError(f"block {block.number} is of the unknown method {block.method}", RECOVER)
        raw = unzstd(block.payload, size) if block.method == ZSTD else block.payload
        if len(raw) != size:
            raise CodingError(f"block {block.number} holds {len(raw):,} bytes instead of {size:,}", RECOVER)
        z = raw if isinstance(cut, Side) else _unpack(raw, cut.lengths, model)
    if zlib.crc32(raw) != block.values:
        raise CodingError(f"the values of block {block.number} are not those that were encoded", RECOVER)
    return z


def _type(model: Autoregressive) -> np.dtype:
    """In which values are kept and hashed."""
    if not isinstance(model.space, Discrete):
        return np.dtype("<f8")
    levels = model.space.levels
    return np.dtype("<u1" if levels <= 2**8 else "<u2" if levels <= 2**16 else "<u4")


def _mask(lengths: list[int]) -> np.ndarray:
    return np.arange(lengths[0]) < np.array(lengths)[:, None]


def _pack(z: Tensor, lengths: list[int], model: Autoregressive) -> bytes:
    return z.numpy().astype(_type(model))[_mask(lengths)].tobytes()


def _unpack(raw: bytes, lengths: list[int], model: Autoregressive) -> Tensor:
    z = np.zeros((len(lengths), lengths[0]), _type(model))
    z[_mask(lengths)] = np.frombuffer(raw, _type(model))
    return torch.from_numpy(z.astype(np.int64 if isinstance(model.space, Discrete) else np.float64))
