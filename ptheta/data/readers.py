"""How events of each kind of data are read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.codecs import ArrayCodec, Codec, DocumentCodec, FrameCodec, TextCodec
from ptheta.data.codecs.labels import ValueCodec
from ptheta.data.formats import FORMS, PACKED, TEXTS
from ptheta.data.sources.asked import asking
from ptheta.data.sources.delimited import read_lines
from ptheta.data.sources.files import read_npy
from ptheta.data.sources.opening import open_source
from ptheta.data.sources.tables import Table, lacking
from ptheta.errors import SourceError
from ptheta.listing import exists, is_file, is_folder, regular, unreadable
from ptheta.numbers import with_article

HEAD = 2**16
"""Bytes that show whether a file is a text."""


def check_form(path: str | Path, form: str) -> None:
    """Check that a file may be of one form of data (`FORMS`): a regular file, whose suffix is not of another form.

    Raises:
        SourceError: it is not.
    """
    if is_folder(Path(path)):
        raise SourceError(f"{path} is a folder", "name the files in it")
    if exists(Path(path)) and not is_file(Path(path)):
        raise SourceError(f"{path} is not a regular file", f"give {with_article(form)} file")
    suffix = Path(path).suffix.lower()
    if suffix in PACKED and form != "table":  # whose readers unpack
        what, remedy = PACKED[suffix]
        raise SourceError(f"{path} is {what}, not {with_article(form)}", f"{remedy}, and give a file in it")
    actual = next((name for name, suffixes in FORMS.items() if suffix in suffixes), form)
    if actual != form:
        raise SourceError(
            f"{path} is {with_article(actual)}, not {with_article(form)}",
            f"give {with_article(form)} file, such as x{FORMS[form][0]}",
        )
    if form == "text" and suffix not in TEXTS and is_file(Path(path)) and b"\0" in _content(path, HEAD):
        raise SourceError(f"{path} holds zero bytes, as no text does", "give a text file, such as x.txt")


def read_value(codec: Codec, path: str | Path) -> np.ndarray:
    """The one event of a file that is a value of its own, such as a picture or a sound, [1, *space.shape]."""
    return codec.encode([{"path": str(path), "bytes": None}], lambda _: str(path))


def read_array(codec: ArrayCodec, path: str | Path) -> np.ndarray:
    """The events of an NPY file: [n, *shape], or one event [*shape]."""
    array = read_npy(Path(path))
    if list(array.shape) == codec.shape:
        array = array[None]
    return codec.encode(array, lambda row: f"row {row + 1:,} of {path}")


def open_rows(codec: FrameCodec, path: str | Path) -> Table:
    """The table of a file, columns of words as they are spelled."""
    with asking(None, codec.names, codec.words):
        return next(iter(open_source(path).spelled(codec.words).tables.values()))


def read_rows(codec: FrameCodec, path: str | Path) -> np.ndarray:
    """All rows of a table file, [n, m]."""
    return rows_of(codec, open_rows(codec, path), path)


def rows_of(codec: FrameCodec, table: Table, path: str | Path) -> np.ndarray:
    """All rows of a table that was opened from a file, [n, m]."""
    if missing := [name for name in codec.names if name not in table.columns]:
        raise lacking(path, missing, codec.names, list(table.columns))
    parts, start = [np.empty((0, len(codec.names)), codec.dtype)], 0
    for chunk in table.chunks(codec.names):

        def place(row: int, start: int = start) -> str:
            return table.place(start + row)

        cells: dict[str, Any] = {
            name: codec.named(chunk[name], table.columns[name], place, missing=True) for name in codec.names
        }
        parts.append(codec.encode(cells, place))
        start += len(parts[-1])
    return np.concatenate(parts)


def read_blocks(codec: TextCodec, path: str | Path) -> np.ndarray:
    """All whole blocks of a text file, [n, length]."""
    tokens = codec.tokens(_content(path), lambda _: str(path))
    if len(tokens) < codec.length:
        raise SourceError(f"{path} has {len(tokens)} tokens", f"an event has {codec.length}; give a longer text")
    return codec.blocks(tokens)


def read_document(codec: DocumentCodec, path: str | Path) -> np.ndarray:
    """The one text of a file, [1, length].

    Raises:
        SourceError: it cannot be read.
    """
    return codec.encode([_content(path)], lambda _: str(path))


def read_values(codec: ValueCodec, path: str | Path) -> np.ndarray:
    """The values of a text file, one a line, [n]; a blank line is none."""
    return np.concatenate([codec.parse(line) for line in read_lines(path)])


def _content(path: str | Path, most: int = -1) -> bytes:
    """The first bytes of a file; −1: all of them."""
    try:
        with regular(path).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise unreadable(path, error) from None
