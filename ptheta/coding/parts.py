"""What becomes of each file: events, tokens, or bytes that are only stored; and the way back.

A file is coded only if what comes back was compared with the file and found identical: the pixels of a PNG picture with
all its other chunks, the bytes of an NPY file, of a text, of a CSV file, the cells and the schema of a Parquet file.
Everything else is stored as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.coding import arrays, pictures, tabular
from ptheta.coding.errors import CodingError
from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.base import Codec
from ptheta.data.codecs.frames import FrameCodec
from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.text import TextCodec
from ptheta.errors import PthetaError
from ptheta.foreign import guarded
from ptheta.listing import unreadable

STORED, TEXT, PICTURE, ARRAY, TABLE = "stored", "text", "picture", "array", "table"


@dataclass
class Part:
    """One file.

    Args:
        name: under which it comes back.
        kind: `STORED`, `TEXT`, `PICTURE`, `ARRAY` or `TABLE`.
        size: of the file, bytes.
        digest: SHA-256, hexadecimal, of what comes back: the bytes, a picture's pixels, or a Parquet file's cells.
        values: events [k, *shape] or tokens [k]; None if only stored.
        side: bytes that are stored beside the values.
        how: what the way back needs to know, JSON.
        labels: names of the events' labels, if the file holds them.
    """

    name: str
    kind: str
    size: int
    digest: str
    values: np.ndarray | None = None
    side: bytes = b""
    how: dict[str, Any] = field(default_factory=dict)
    labels: list[str] | None = None

    @property
    def count(self) -> int:
        """Events or tokens."""
        return 0 if self.values is None else len(self.values)


def read(path: Path, name: str, codec: Codec, context: str | None = None) -> Part:
    """A file as the codec's events, if it would come back identical, else as bytes to be stored.

    Args:
        path: of the file.
        name: under which it comes back.
        codec: of the run.
        context: column of a table that holds the labels.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    stored = Part(name, STORED, len(content), sha256(content), side=content)
    for kind, form in FORMS.items():
        if not content or not form.suits(codec, path):
            continue
        try:
            found = form.read(path, content, codec, context)
        except Exception:
            continue  # whatever is wrong with it as a picture or a table, its bytes can be stored
        if found is not None:
            values, side, how, labels = found
            part = Part(name, kind, len(content), stored.digest, values, side, how, labels)
            again, digest = restore(kind, codec, values, side, how)
            if kind in (PICTURE, TABLE) and digest == how.pop("digest", None):
                part.digest = digest
                return part
            if again == content:
                return part
    return stored


def restore(kind: str, codec: Codec, values: np.ndarray | None, side: bytes, how: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a file, and the SHA-256 that `Part.digest` is compared with.

    Raises:
        CodingError: what is stored of it makes no such file.
    """
    remedy = "use the ptheta version that made it"
    with guarded(f"a file of kind {kind}", remedy, error=CodingError, problem="{origin} cannot be put together"):
        if kind == STORED:
            return side, sha256(side)
        assert values is not None
        try:
            content, digest = FORMS[kind].restore(values, side, codec, how)
        except PthetaError as error:
            raise CodingError(f"a file of kind {kind} cannot be put together: {error}", remedy) from None
    return content, sha256(content) if digest is None else digest


def sha256(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


Found = tuple[np.ndarray, bytes, dict[str, Any], list[str] | None]
"""Values, side data, how to restore, labels."""


@dataclass(frozen=True)
class Form:
    """Files that some codecs read and give back.

    Attributes:
        codecs: that do.
        suffixes: of the files; none for any.
        read: path, its bytes, codec and column of the labels → what is coded; None if the file would change.
        restore: values, side data, codec and how → the file, and a digest of what comes back if that is not its bytes.
    """

    codecs: tuple[type[Codec], ...]
    suffixes: tuple[str, ...]
    read: Callable[[Path, bytes, Any, str | None], Found | None]
    restore: Callable[[np.ndarray, bytes, Any, dict[str, Any]], tuple[bytes, str | None]]

    def suits(self, codec: Codec, path: Path) -> bool:
        """Whether a file may be of this form to a codec."""
        return isinstance(codec, self.codecs) and (not self.suffixes or path.suffix.lower() in self.suffixes)


def _text(path: Path, content: bytes, codec: TextCodec, context: str | None) -> Found:
    return codec.tokens(content, lambda _: str(path)), b"", {}, None


def _text_again(values: np.ndarray, side: bytes, codec: TextCodec, how: dict[str, Any]) -> tuple[bytes, None]:
    return codec.to_bytes(values[None])[0], None


def _picture(path: Path, content: bytes, codec: PictureCodec, context: str | None) -> Found | None:
    found = pictures.read(content, codec)
    if found is None:
        return None
    event, chunks, digest = found
    return event, chunks, {"digest": digest}, None


def _picture_again(values: np.ndarray, side: bytes, codec: PictureCodec, how: dict[str, Any]) -> tuple[bytes, str]:
    return pictures.restore(values, side, codec)


def _array(path: Path, content: bytes, codec: ArrayCodec | ImageCodec, context: str | None) -> Found:
    values, how = arrays.read(path, codec)
    return values, b"", how, None


def _array_again(
    values: np.ndarray, side: bytes, codec: ArrayCodec | ImageCodec, how: dict[str, Any]
) -> tuple[bytes, None]:
    return arrays.restore(values, codec, how), None


FORMS = {
    TEXT: Form((TextCodec,), (), _text, _text_again),
    PICTURE: Form((PictureCodec,), (".png",), _picture, _picture_again),
    ARRAY: Form((ArrayCodec, ImageCodec), (".npy",), _array, _array_again),
    TABLE: Form((FrameCodec,), tabular.SUFFIXES, tabular.read, tabular.restore),
}
"""Kind of part → the files of that kind."""
