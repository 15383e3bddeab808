"""What becomes of each file: events, tokens, or bytes that are only stored; and the way back.

A file is coded only if what comes back was compared with the file and found identical: the pixels of a PNG picture with
all its other chunks, the bytes of an NPY file, of a text, of a CSV file, the cells and the schema of a Parquet file.
Everything else is stored as it is.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.coding import arrays, pictures, tabular
from ptheta.coding.blocks import Values
from ptheta.coding.csv_tables import Found
from ptheta.coding.errors import CodingError, NotCoded
from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.base import Codec
from ptheta.data.codecs.frames import FrameCodec
from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.text import TextCodec
from ptheta.errors import PthetaError
from ptheta.foreign import guarded
from ptheta.listing import regular, unreadable

UNLIKE = "read as events of the run, from which it would not come back exactly as it is"
"""Of a file that is read, and would come back otherwise."""

LINE = 80
"""Characters of a line that are shown."""

STORED, TEXT, PICTURE, ARRAY, TABLE = "stored", "text", "picture", "array", "table"


PIECE = 2**20
"""Bytes of a stored file, or tokens of a text, that are handled at once."""


@dataclass
class Part:
    """One file.

    Args:
        name: under which it comes back.
        kind: `STORED`, `TEXT`, `PICTURE`, `ARRAY` or `TABLE`.
        size: of the file, bytes.
        digest: SHA-256, hexadecimal, of what comes back: the bytes, a picture's pixels, or a Parquet file's cells.
        count: events or tokens.
        side: number of bytes that are stored beside the values.
        how: what the way back needs to know, JSON.
        labels: names of the events' labels, if the file holds them.
        why: of a stored file, what it is that the model cannot give back; not written to the compressed file.
    """

    name: str
    kind: str
    size: int
    digest: str
    count: int = 0
    side: int = 0
    how: dict[str, Any] = field(default_factory=dict)
    labels: list[str] | None = None
    why: str = ""


def read(path: Path, name: str, codec: Codec, values: Values, context: str | None = None) -> Part:
    """Append a file to `values`: as the codec's events, if it would come back identical, else as bytes to be stored.

    Args:
        path: of the file.
        name: under which it comes back.
        codec: of the run.
        values: to append to.
        context: column of a table that holds the labels.

    Raises:
        SourceError: it cannot be read.
    """
    why = "of a kind that the model does not read"
    try:
        for kind, form in FORMS.items():
            if path.stat().st_size and form.suits(codec, path):
                part = (
                    _text(path, name, codec, values)
                    if kind == TEXT
                    else _events(path, name, kind, codec, values, context)
                )
                if isinstance(part, Part):
                    return part
                why = part
        return replace(_stored(path, name, values), why=why)
    except OSError as error:
        raise unreadable(path, error) from None


def _stored(path: Path, name: str, values: Values) -> Part:
    """A file as its bytes."""
    sha, size = hashlib.sha256(), 0
    with regular(path).open("rb") as file:
        while content := file.read(PIECE):
            sha.update(content)
            values.side.append(content)
            size += len(content)
    return Part(name, STORED, size, sha.hexdigest(), side=size)


def _text(path: Path, name: str, codec: Any, values: Values) -> Part | str:
    """A file as tokens, each piece compared with the file; what it is instead, if it is not such a text."""
    sha, size = hashlib.sha256(), 0

    def pieces() -> Iterator[np.ndarray]:
        nonlocal size
        with path.open("rb") as file:
            for _, tokens, _ in codec.stream([path], lambda _: str(path)):
                again = codec.to_bytes(tokens[None])[0]
                if file.read(len(again)) != again:
                    raise ValueError("a text that does not come back")
                sha.update(again)
                size += len(again)
                yield tokens
            if file.read(1):
                raise ValueError("a text that does not come back")

    try:
        count = values.add_text(pieces())
    except Exception:
        return UNLIKE
    return Part(name, TEXT, size, sha.hexdigest(), count)


def _events(path: Path, name: str, kind: str, codec: Codec, values: Values, context: str | None) -> Part | str:
    """A file as events; what it is instead, if it would not come back identical."""
    content, form, again = regular(path).read_bytes(), FORMS[kind], None
    try:
        for x, side, how, labels in form.read(path, content, codec, context):
            again, digest = restore(kind, codec, x, side, how)
            same = kind in (PICTURE, TABLE) and digest == how.pop("digest", None)
            if same or again == content:
                values.side.append(side)
                values.add_events(x)
                sha = digest if same else sha256(content)
                return Part(name, kind, len(content), sha, len(x), len(side), how, labels)
    except NotCoded as error:
        return str(error)
    except PthetaError as error:
        return f"not read as events of the run: {error.problem}"
    except Exception:  # whatever is wrong with it as a picture or a table, its bytes can be stored
        return UNLIKE
    return UNLIKE if again is None else UNLIKE + _first_difference(content, again)


def _first_difference(content: bytes, again: bytes) -> str:
    """The first line of a text in which it would come back otherwise, in print; empty of what is no text."""
    if b"\0" in content or b"\0" in again:
        return ""
    pairs = itertools.zip_longest(content.splitlines(keepends=True), again.splitlines(keepends=True), fillvalue=b"")
    number, (one, other) = next(((k, pair) for k, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (0, (b"", b"")))
    if not number:
        return ""
    shown, would = (line.decode("utf-8", "replace")[:LINE] for line in (one, other))
    return f": line {number:,} is {shown!r}, and would be {would!r}"


def restore(kind: str, codec: Codec, x: np.ndarray, side: bytes, how: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a file of events, and the SHA-256 that `Part.digest` is compared with.

    Raises:
        CodingError: what is stored of it makes no such file.
    """
    remedy = "use the ptheta version that made it"
    with guarded(f"a file of kind {kind}", remedy, error=CodingError, problem="{origin} cannot be put together"):
        try:
            content, digest = FORMS[kind].restore(x, side, codec, how)
        except PthetaError as error:
            raise CodingError(f"a file of kind {kind} cannot be put together: {error}", remedy) from None
    return content, sha256(content) if digest is None else digest


def sha256(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Form:
    """Files that some codecs read and give back.

    Attributes:
        codecs: that do.
        suffixes: of the files; none for any.
        read: path, its bytes, codec and column of the labels → values, side data, how to restore and labels, in one way
            or several; it raises if the file would change.
        restore: values, side data, codec and how → the file, and a digest of what comes back if that is not its bytes.
            Texts are read and restored in pieces instead.
    """

    codecs: tuple[type[Codec], ...]
    suffixes: tuple[str, ...]
    read: Callable[[Path, bytes, Any, str | None], Iterable[Found]] = lambda *_: ()
    restore: Callable[[np.ndarray, bytes, Any, dict[str, Any]], tuple[bytes, str | None]] = lambda *_: (b"", None)

    def suits(self, codec: Codec, path: Path) -> bool:
        """Whether a file may be of this form to a codec."""
        return isinstance(codec, self.codecs) and (not self.suffixes or path.suffix.lower() in self.suffixes)


def _picture(path: Path, content: bytes, codec: PictureCodec, context: str | None) -> Iterator[Found]:
    event, chunks, digest = pictures.read(content, codec)
    yield event, chunks, {"digest": digest}, None


def _picture_again(values: np.ndarray, side: bytes, codec: PictureCodec, how: dict[str, Any]) -> tuple[bytes, str]:
    return pictures.restore(values, side, codec)


def _array(path: Path, content: bytes, codec: ArrayCodec | ImageCodec, context: str | None) -> Iterator[Found]:
    values, how = arrays.read(path, codec)
    yield values, b"", how, None


def _array_again(
    values: np.ndarray, side: bytes, codec: ArrayCodec | ImageCodec, how: dict[str, Any]
) -> tuple[bytes, None]:
    return arrays.restore(values, codec, how), None


FORMS = {
    TEXT: Form((TextCodec,), ()),
    PICTURE: Form((PictureCodec,), (".png",), _picture, _picture_again),
    ARRAY: Form((ArrayCodec, ImageCodec), (".npy",), _array, _array_again),
    TABLE: Form((FrameCodec,), tabular.SUFFIXES, tabular.read, tabular.restore),
}
"""Kind of part → the files of that kind."""
