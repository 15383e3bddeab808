"""The one door from files to events: codecs turn values into events, and open no files of events themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ptheta.data.codecs import Codec, ContextCodec, JointCodec
from ptheta.data.kinds import kind_of
from ptheta.data.readers import check_form
from ptheta.data.sources.delimited import in_row, read_cells
from ptheta.data.sources.faults import reading
from ptheta.errors import UsageError, nearest
from ptheta.listing import staying_in


def events_of_file(codec: Codec, path: str | Path) -> np.ndarray:
    """Events [n, *space.shape] in one file in the form of the data: a picture, a sound, rows of a table, text.

    Of contexts of several parts: the rows of a CSV file whose columns are parts, where an empty cell says nothing.

    Raises:
        SourceError: a missing or damaged file, one of another form, or one that does not fit the space.
        UsageError: a column that is not part of a context, or a cell that is not a value; the row is named.
    """
    with reading(str(path)):
        if isinstance(codec, JointCodec):
            return _parts_of_file(codec, path)
        kind = kind_of(codec)
        if kind.form:
            check_form(path, kind.form)
        return kind.read(codec, path)


def context_of(codec: ContextCodec, text: str) -> np.ndarray:
    """The context [1, …] that a person writes: a name, a number, a text; a path of anything else; of parts name=value.

    Raises:
        PthetaError: no such file or value.
    """
    if isinstance(codec, JointCodec):
        return context_of_parts(codec, [text])
    kind = kind_of(codec)
    return events_of_file(codec, text) if kind.parse is None else kind.parse(codec, text)


def context_of_parts(codec: JointCodec, texts: Sequence[str]) -> np.ndarray:
    """A context [1, …], int64 or float64, of some parts, each as name=value; the others are missing.

    Raises:
        UsageError: no part of that name, or one twice.
        PthetaError: no such file or value.

    >>> codec = JointCodec({"a": {"kind": "number", "column": "a"}, "b": {"kind": "number", "column": "b"}})
    >>> context_of_parts(codec, ["b=3"]).tolist()
    [[nan, 3.0]]
    """
    given: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in codec.parts:
            close = nearest(name, list(codec.parts)) if sign else f"give {' '.join(f'{n}=…' for n in codec.parts)}"
            raise UsageError(f"{text!r} does not name a part of the context", close)
        if name in given:
            raise UsageError(f"the context has two values of {name}", "give one")
        given[name] = value
    return _of_parts(codec, given)


def _of_parts(codec: JointCodec, given: Mapping[str, str]) -> np.ndarray:
    return codec.joined({name: context_of(codec.codecs[name], text) for name, text in given.items()})


def _parts_of_file(codec: JointCodec, path: str | Path) -> np.ndarray:
    known = [kind_of(one).words(one, name) for name, one in codec.codecs.items()]
    names, rows = read_cells(path, {name: values for words in known for name, values in words.items()})
    if unknown := [name for name in names if name not in codec.parts]:
        raise UsageError(f"no part of the context is called {unknown[0]!r}", nearest(unknown[0], list(codec.parts)))
    found = []
    for number, row in enumerate(rows, 1):
        with in_row(number, path), staying_in(Path(path).absolute().parent, Path(path).resolve().parent):
            found.append(_of_parts(codec, {name: cell for name, cell in zip(names, row) if cell}))
    return np.concatenate(found)
