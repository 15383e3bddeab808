"""What other compressors make of the same files: PNG, WebP, xz and zstd, one by one and in one stream."""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ptheta.coding.container import zstd
from ptheta.coding.names import collect

WEBP_SIDE = 16_383
"""Longest side of a WebP picture."""


def rivals(files: Iterable[str | Path]) -> dict[str, dict[str, int | None]]:
    """Bytes of the files' contents by other compressors.

    PNG pictures are compared by their pixels: PNG as small as Pillow makes it, lossless WebP with all effort, xz -9e
    and zstd -19 on the bare pixels.

    Args:
        files: as for `compress`.

    Returns:
        `one_file_each` and `one_stream` → compressor → bytes; None for PNG and WebP where not all files are pictures.
    """
    contents: list[bytes] = []
    pixels: list[np.ndarray] = []
    for path, _ in collect(files):
        picture = _pixels(path)
        if picture is not None:
            pixels.append(picture)
        contents.append(path.read_bytes() if picture is None else np.ascontiguousarray(picture).tobytes())
    return sizes(contents, pixels if len(pixels) == len(contents) else [])


def sizes(contents: list[bytes], pictures: list[np.ndarray]) -> dict[str, dict[str, int | None]]:
    """The same of contents in memory, of pictures [height, width] or [height, width, 3], or of other files."""
    stream, sheets = b"".join(contents), list(_sheets(pictures))

    def total(kind: str, some: list[np.ndarray]) -> int | None:
        return sum(_picture(kind, picture) for picture in some) if some else None

    return {
        "one_file_each": {
            "png": total("PNG", pictures),
            "webp": total("WEBP", pictures),
            "xz": sum(map(xz, contents)),
            "zstd": sum(len(zstd(content)) for content in contents),
        },
        "one_stream": {
            "png": total("PNG", sheets),
            "webp": total("WEBP", sheets),
            "xz": xz(stream),
            "zstd": len(zstd(stream)),
        },
    }


def xz(content: bytes) -> int:
    """Bytes by xz -9e, whose dictionary need not be longer than the content."""
    size = min(max(len(content), 2**12), 2**26)
    settings = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": size}
    return len(lzma.compress(content, filters=[settings]))


def _picture(kind: str, pixels: np.ndarray) -> int:
    from PIL import Image as pil

    buffer = io.BytesIO()
    options = {"optimize": True} if kind == "PNG" else {"lossless": True, "quality": 100, "method": 6}
    pil.fromarray(pixels).save(buffer, kind, **options)
    return len(buffer.getvalue())


def _sheets(pictures: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Pictures of one size, one below the other."""
    if len({picture.shape for picture in pictures}) == 1:
        many = max(1, WEBP_SIDE // pictures[0].shape[0])
        for start in range(0, len(pictures), many):
            yield np.concatenate(pictures[start : start + many])


def _pixels(path: Path) -> np.ndarray | None:
    from PIL import Image as pil

    if path.suffix.lower() != ".png":
        return None
    try:
        with pil.open(path) as picture:
            return np.asarray(picture) if picture.mode in ("L", "RGB") else None
    except (OSError, SyntaxError, ValueError):
        return None
