"""Recognising and opening a source."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.sources.encoded import recognised
from ptheta.data.sources.faults import reading
from ptheta.data.sources.tables import ArrayTable, Column, Source
from ptheta.errors import NoSourceError, SourceError, nearest
from ptheta.listing import entries, exists, is_file, is_folder
from ptheta.names import printable
from ptheta.run_folders import is_run

BUILT_IN = ("digits",)
"""Sources that come with the installation."""

LONGEST = 200
"""Characters of a name that an error shows."""


def open_source(source: Any) -> Source:
    """Open whatever `source` names or is, reading as little as possible.

    Raises:
        SourceError: missing, empty, damaged or of an unknown kind.
    """
    in_memory = not isinstance(source, str | Path)
    with reading("the data in memory" if in_memory else str(source)):
        return recognised(_object(source) if in_memory else _named(source))


def _object(source: Any) -> Source:
    from ptheta.data.sources.memory import open_object

    return open_object(source)


def _named(source: str | Path) -> Source:
    path = Path(source)
    if not str(source).strip():
        raise SourceError("the source is empty", "name a file, a folder or a data set")
    if printable(path).encode() != os.fsencode(path):  # no run could write down where its data lie
        raise SourceError(f"the path {printable(path)} is not UTF-8", "rename it")
    if is_folder(path):
        if is_run(path):
            raise SourceError(f"{path} is a run folder, not data", "load it with ptheta.Run.load, or name its data")
        if runs := [entry.name for entry in entries(path) if is_folder(entry) and is_run(entry)]:
            raise SourceError(f"{path} is a folder of runs, such as {runs[0]}, not data", "name the data")
        from ptheta.data.sources.archives import open_packed, packed_alone
        from ptheta.data.sources.folders import open_folder

        packed = packed_alone(path)
        return open_folder(path) if packed is None else open_packed(packed)
    if exists(path):
        from ptheta.data.sources.archives import is_packed, open_packed
        from ptheta.data.sources.files import open_file

        return open_packed(path) if is_file(path) and is_packed(path) else open_file(path)
    if source == "digits":
        return open_digits()
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) and not path.suffix:
        from ptheta.data.sources.hub import open_hub

        return open_hub(str(source))
    if str(source) == "-":
        raise SourceError("standard input is not read", "save it to a file, and name that")
    if re.match(r"\w+://", str(source)):
        raise SourceError(f"{source} is an address, and only data sets of the Hub are fetched", "save it to a file")
    if os.path.islink(path):
        raise NoSourceError(f"{path} is a link that leads to nothing", "point it to a file or folder")
    hint = nearest(str(source), list(BUILT_IN))
    shown = str(source) if len(str(source)) <= LONGEST else f"{str(source)[:LONGEST]}…"
    raise NoSourceError(
        f"no file or folder is called {shown}",
        hint if hint.startswith("did") else f"check the path; built in is {', '.join(BUILT_IN)}",
    )


def open_digits() -> Source:
    """The 1,797 digits of scikit-learn, 8×8 with 17 levels; always 1,200 train, 237 validation, 360 test."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    columns = {
        "image": Column("image", "array"),
        "label": Column("label", "class", tuple(str(d) for d in range(10))),
    }
    arrays = {"image": digits.images.astype(np.uint8), "label": digits.target.astype(np.int64)}
    table = ArrayTable("digits", columns, arrays)
    return Source("digits", "scikit-learn digits", {"all": table}, white=16, fixed=(1200, 237, 360))
