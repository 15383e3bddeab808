"""The compressed file, byte for byte.

    magic, version, sizes and CRC-32 of the header · the header: JSON, packed by zstd
    blocks: marker, number, method, number of values, bytes, three CRC-32 (payload, values, tables), CRC-32 of these
            · payload
    end: marker, number of blocks, CRC-32

All numbers are little-endian. Every byte is under a CRC-32, which detects every flip of a single bit. What the header
claims is held against limits, and against the size of the file, before anything is allocated for it.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptheta.coding.errors import CodingError
from ptheta.listing import regular

MAGIC = b"ptheta\x00z"
VERSION = 1
"""Of the format; a newer one is refused."""

RAW, ZSTD, CODED = 0, 1, 2
"""How a block's values are kept: as they are, packed by zstd, or coded with the model."""

_HEAD = struct.Struct("<8sHIII")
_BLOCK = struct.Struct("<4sIBIIIII")
_END = struct.Struct("<4sII")
_CRC = struct.Struct("<I")
_MARKER, _LAST = b"\xf5blk", b"\xf5end"

FETCH = "fetch it again, or restore it from a copy"
RECOVER = "fetch it again, or take what is intact with --recover"


@dataclass(frozen=True)
class Limits:
    """What a compressed file may claim at most.

    Args:
        header: bytes of the header, unpacked.
        files: number of files.
        bytes: of all files together.
        block: values of one block.
        blocks: number of blocks, and of lanes of text.
    """

    header: int = 2**27
    files: int = 2**22
    bytes: int = 2**35
    block: int = 2**26
    blocks: int = 2**22


@dataclass(frozen=True)
class Block:
    """One block as it is stored.

    Args:
        number: counting from 0.
        method: `RAW`, `ZSTD` or `CODED`.
        count: number of values, bytes of side data.
        payload: what is kept of them.
        values: CRC-32 of the values.
        tables: CRC-32 of the integer tables that coded them; 0 without.
    """

    number: int
    method: int
    count: int
    payload: bytes
    values: int
    tables: int

    def pack(self) -> bytes:
        """All bytes of the block."""
        head = _BLOCK.pack(
            _MARKER,
            self.number,
            self.method,
            self.count,
            len(self.payload),
            zlib.crc32(self.payload),
            self.values,
            self.tables,
        )
        return head + _CRC.pack(zlib.crc32(head)) + self.payload


BLOCK_OVERHEAD = _BLOCK.size + _CRC.size
"""Bytes of a block beside its payload."""


class FileBytes:
    """The bytes of a file by their places, read as they are asked for; like `bytes`, but not held in memory.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path):
        self._file = regular(path).open("rb")
        self._size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> FileBytes:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, _ = place.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))

    def find(self, words: bytes, start: int) -> int:
        """As `bytes.find`."""
        while start < self._size:
            at = self[start : start + SEARCHED].find(words)
            if at >= 0:
                return start + at
            start += SEARCHED - len(words) + 1
        return -1


SEARCHED = 2**20
"""Bytes of a file that are searched at once."""


def pack_header(header: dict[str, Any]) -> bytes:
    """The beginning of a file."""
    content = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    packed = zstd(content)
    sizes = struct.pack("<HII", VERSION, len(packed), len(content))
    return _HEAD.pack(MAGIC, VERSION, len(packed), len(content), zlib.crc32(packed, zlib.crc32(sizes))) + packed


def pack_end(blocks: int) -> bytes:
    """The end of a file of this many blocks."""
    return _END.pack(_LAST, blocks, zlib.crc32(_LAST + struct.pack("<I", blocks)))


def read_header(data: bytes | FileBytes, name: str, limits: Limits) -> tuple[dict[str, Any], int]:
    """The header, and where the blocks begin.

    Raises:
        CodingError: it is damaged, of a newer format, or claims more than the limits.
    """
    if len(data) < _HEAD.size:
        raise CodingError(f"{name} is not a compressed file, or cut off: it has {len(data)} bytes", FETCH)
    magic, version, stored, size, crc = _HEAD.unpack(data[: _HEAD.size])
    if magic != MAGIC:
        raise CodingError(f"{name} is not a compressed file of ptheta", "give a file that `ptheta compress` wrote")
    if size > limits.header or stored > len(data) - _HEAD.size:
        raise CodingError(
            f"{name} claims a header of {size:,} bytes in {stored:,}",
            f"a file of {len(data):,} bytes cannot hold it, or it is above the limit of {limits.header:,}; {FETCH}",
        )
    packed = bytes(data[_HEAD.size : _HEAD.size + stored])
    if zlib.crc32(packed, zlib.crc32(struct.pack("<HII", version, stored, size))) != crc:
        raise CodingError(f"the header of {name} is damaged", FETCH)
    if version != VERSION:
        raise CodingError(
            f"{name} has format {version}, and this ptheta reads {VERSION}", "use the ptheta version that fits"
        )
    try:
        return json.loads(unzstd(packed, size)), _HEAD.size + stored
    except (ValueError, RecursionError) as error:
        raise CodingError(f"the header of {name} is invalid: {type(error).__name__}", FETCH) from None


def read_block(data: bytes | FileBytes, offset: int, number: int) -> tuple[Block, int]:
    """Block number `number` at an offset, its payload verified, and where the next begins.

    Raises:
        CodingError: it is damaged or cut off; `next_block` may find the one behind it.
    """
    if offset + BLOCK_OVERHEAD > len(data):
        raise CodingError(f"block {number} is missing: the file is cut off", RECOVER)
    head = _head(data, offset)
    if head is None or head[0] != number:
        raise CodingError(f"block {number} is damaged", RECOVER)
    _, method, count, length, crc, values, tables = head
    start = offset + BLOCK_OVERHEAD
    payload = bytes(data[start : start + length])
    if len(payload) < length or zlib.crc32(payload) != crc:
        raise CodingError(f"block {number} is {'damaged' if len(payload) == length else 'cut off'}", RECOVER)
    return Block(number, method, count, payload, values, tables), start + length


def next_block(data: bytes | FileBytes, offset: int, number: int) -> tuple[int, int] | None:
    """Number and offset of the first block with a whole head behind `offset`, not before `number`."""
    while (offset := data.find(_MARKER, offset)) >= 0:
        head = _head(data, offset)
        if head is not None and head[0] >= number:
            return head[0], offset
        offset += 1
    return None


def check_end(data: bytes | FileBytes, offset: int, blocks: int) -> None:
    """The end lies at `offset`, and nothing behind it.

    Raises:
        CodingError: it does not.
    """
    if bytes(data[offset : offset + _END.size]) != pack_end(blocks):
        raise CodingError("the end of the file is damaged or missing", RECOVER)
    if len(data) != offset + _END.size:
        raise CodingError(f"{len(data) - offset - _END.size:,} bytes follow the end of the file", RECOVER)


def _head(data: bytes | FileBytes, offset: int) -> tuple[int, int, int, int, int, int, int] | None:
    if offset + BLOCK_OVERHEAD > len(data):
        return None
    head = data[offset : offset + BLOCK_OVERHEAD]
    marker, number, method, count, length, *crcs = _BLOCK.unpack_from(head)
    (crc,) = _CRC.unpack_from(head, _BLOCK.size)
    whole = marker == _MARKER and zlib.crc32(head[: _BLOCK.size]) == crc
    payload, values, tables = crcs
    return (number, method, count, length, payload, values, tables) if whole else None


def zstd(content: bytes) -> bytes:
    """Packed by zstd, level 19."""
    import pyarrow as pa

    return pa.Codec("zstd", 19).compress(content, asbytes=True)


def unzstd(packed: bytes, size: int) -> bytes:
    """The inverse of `zstd` for content of a known size, which the caller has held against a limit.

    Raises:
        CodingError: it is not what `zstd` made.
    """
    import pyarrow as pa

    try:
        content = pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True)
    except (OSError, ValueError) as error:
        raise CodingError(f"packed data cannot be unpacked: {error}", FETCH) from None
    if len(content) != size:
        raise CodingError(f"packed data hold {len(content):,} bytes instead of {size:,}", FETCH)
    return content
