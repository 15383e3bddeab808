"""The one door to Arrow files and streams: what they claim is checked before it is unpacked, and they are validated in
full before anything looks at a value, since an offset that leads out of its buffer ends the process where it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ptheta.data.sources.tables import check_claimed

if TYPE_CHECKING:
    import pyarrow as pa

_INDEXED = b"ARROW1"
"""What an Arrow file with an index begins with, filled up to eight bytes; a stream follows, and then the index."""


def validated(path: Path) -> pa.Table:
    """The rows of an Arrow stream or file, mapped into memory; offsets and indices lie in their buffers.

    Raises:
        SourceError: its compressed buffers claim far more bytes than the file has.
        ArrowException: it is damaged.
    """
    import pyarrow as pa

    mapped = pa.memory_map(str(path))
    content = mapped.read_buffer()
    indexed = content.slice(0, len(_INDEXED)).to_pybytes() == _INDEXED
    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(content.slice(8) if indexed else content))
    check_claimed(path, sum(_unpacked(message) for message in messages))
    mapped.seek(0)
    table = (pa.ipc.open_file(mapped) if indexed else pa.ipc.open_stream(mapped)).read_all()
    table.validate(full=True)
    return table


def _unpacked(message: pa.Message) -> int:
    """Bytes that the compressed buffers of a message hold by their own account; 0 of a message without any.

    Field numbers are those of Message.fbs of the Arrow format, version 1.5; a buffer that is compressed begins with its
    length, −1 for one that is stored.
    """
    batch = {"record batch": (), "dictionary": (1,)}.get(message.type)
    if batch is None:
        return 0
    data = memoryview(message.metadata)
    place = struct.unpack_from("<I", data)[0]
    for number in (2, *batch):  # the header; the batch of a dictionary
        place = _followed(data, _field(data, place, number))
    if not _field(data, place, 3):  # not compressed
        return 0
    body, lengths = memoryview(message.body), 0
    for start, size in _buffers(data, _followed(data, _field(data, place, 2))):
        if size >= 8:
            lengths += max(0, struct.unpack_from("<q", body, start)[0])
    return lengths


def _buffers(data: memoryview, place: int) -> Iterator[tuple[int, int]]:
    """Start and length of each buffer in the body."""
    (count,) = struct.unpack_from("<I", data, place)
    for k in range(count):
        yield struct.unpack_from("<qq", data, place + 4 + 16 * k)


def _field(data: memoryview, table: int, number: int) -> int:
    """Where a field of a table of a FlatBuffer lies; 0 if it is left out."""
    names = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, names)
    offset = struct.unpack_from("<H", data, names + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
    return table + offset if offset else 0


def _followed(data: memoryview, place: int) -> int:
    return place + struct.unpack_from("<I", data, place)[0]
