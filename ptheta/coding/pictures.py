"""PNG pictures: pixels are coded, and all chunks that are not pixels are kept as they are."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np

from ptheta.coding.errors import NotCoded
from ptheta.data.codecs.images import PictureCodec
from ptheta.data.codecs.picture_files import MAX_PIXELS, open_picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD_BYTES = 25
"""Of the chunk IHDR, with its length, name and CRC-32."""
_GREY, _RGB = 0, 2
_OURS = (b"IHDR", b"IDAT", b"IEND")
_IDAT = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
"""Stands for the pixels among the chunks that are kept."""


def read(content: bytes, codec: PictureCodec) -> tuple[np.ndarray, bytes, str]:
    """The event of a PNG picture whose pixels it gives back.

    Returns:
        event [1, *shape], the chunks beside the pixels, and a digest.

    Raises:
        NotCoded: a pixel would change, or the picture is not a still one of 8 bits in grey or RGB.
    """
    from PIL import Image as pil

    chunks = _chunks(content)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != _HEAD_BYTES:
        raise NotCoded("damaged")
    if any(name in (b"PLTE", b"acTL") for name, _ in chunks):
        raise NotCoded("of a palette, or moving")
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[0][1], 8)
    if depth != 8 or colour not in (_GREY, _RGB) or width * height > MAX_PIXELS:
        raise NotCoded("not of 8 bits in grey or RGB")
    rows, columns = codec.space.shape[-2:]
    if (height, width) != (rows, columns):
        raise NotCoded(f"of another size: {height}×{width}, and the model's events are {rows}×{columns}")
    picture = open_picture(content, upright=False)
    if picture.mode != ("L" if colour == _GREY else "RGB"):
        raise NotCoded("not in plain grey or RGB")
    pixels = np.asarray(picture)
    event = codec.encode([pil.fromarray(pixels)])  # as they lie in the file, whichever way is up
    kept = _kept(chunks)
    shown = np.asarray(codec.picture(event[0]))
    if not np.array_equal(shown, pixels):
        raise NotCoded("of other colours or grey levels than the model's")
    return event, kept, _digest(shown, kept)


def restore(event: np.ndarray, kept: bytes, codec: PictureCodec) -> tuple[bytes, str]:
    """The PNG file of an event [1, *shape] with the chunks beside its pixels, and the digest of what is found in it.

    Raises:
        ValueError: the chunks are damaged.
    """
    picture = codec.picture(event[0])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    content = buffer.getvalue()
    if kept:
        ours = _chunks(content)
        head, end = ours[0][1], ours[-1][1]
        others = [raw for _, raw in _chunks(_SIGNATURE + kept + end)][:-1]
        at = others.index(_IDAT)  # as a chunk: the same bytes may stand in another one
        pixels = [raw for name, raw in ours if name == b"IDAT"]
        content = b"".join([_SIGNATURE, head, *others[:at], *pixels, *others[at + 1 :], end])
    return content, _digest(np.asarray(open_picture(content, upright=False)), _kept(_chunks(content)))


def _digest(pixels: np.ndarray, kept: bytes) -> str:
    sha = hashlib.sha256(f"{pixels.shape}".encode())
    sha.update(np.ascontiguousarray(pixels).tobytes())
    sha.update(kept)
    return sha.hexdigest()


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Names and whole bytes of a PNG's chunks; none if it is damaged or does not end with the last."""
    if not content.startswith(_SIGNATURE):
        return []
    chunks, at = [], len(_SIGNATURE)
    while at < len(content):
        if at + 12 > len(content):
            return []
        (length,) = struct.unpack_from(">I", content, at)
        raw = content[at : at + 12 + length]
        if len(raw) < 12 + length or zlib.crc32(raw[4:-4]) != int.from_bytes(raw[-4:], "big"):
            return []
        chunks.append((raw[4:8], raw))
        at += 12 + length
    return chunks if chunks and chunks[-1][0] == b"IEND" else []


def _kept(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The chunks beside the pixels, with a mark where the pixels stand; empty if there are none."""
    if all(name in _OURS for name, _ in chunks):
        return b""
    first = next((i for i, (name, _) in enumerate(chunks) if name == b"IDAT"), len(chunks))
    before = b"".join(raw for name, raw in chunks[:first] if name not in _OURS)
    after = b"".join(raw for name, raw in chunks[first:] if name not in _OURS)
    return before + _IDAT + after
