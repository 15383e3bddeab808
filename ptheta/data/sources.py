"""Recognising and opening a source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.tables import ArrayTable, Column, Source, Table
from ptheta.errors import SourceError, nearest
from ptheta.listing import exists, is_folder

BUILT_IN = ("digits",)
"""Sources that come with the installation."""

PUBLISHED = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
}
"""Names under which splits are published → split."""

IGNORED = ("unsupervised",)
"""Published splits that are left out."""


def open_source(source: Any) -> Source:
    """Open whatever `source` names or is, reading as little as possible.

    Raises:
        SourceError: missing, empty, damaged or of an unknown kind.
    """
    if not isinstance(source, str | Path):
        from ptheta.data.objects import open_object

        return open_object(source)
    path = Path(source)
    if is_folder(path):
        from ptheta.data.folders import open_folder

        return open_folder(path)
    if exists(path):
        from ptheta.data.files import open_file

        return open_file(path)
    if source == "digits":
        return open_digits()
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) and not path.suffix:
        from ptheta.data.hub import open_hub

        return open_hub(str(source))
    hint = nearest(str(source), list(BUILT_IN))
    raise SourceError(
        f"no file or folder is called {source}",
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


def named_splits(tables: dict[str, Table], origin: str) -> dict[str, Table]:
    """Published split names in our own words; a single split of another name is undivided data ("all").

    Raises:
        SourceError: nothing to learn from.
    """
    known = {PUBLISHED[name.lower()]: table for name, table in tables.items() if name.lower() in PUBLISHED}
    if len(known) < sum(name.lower() in PUBLISHED for name in tables):
        raise SourceError(f"{origin} has splits that mean the same: {', '.join(tables)}", "leave one of each kind")
    if not known:
        rest = {name: table for name, table in tables.items() if name not in IGNORED}
        if len(rest) != 1:
            raise SourceError(
                f"{origin} has the splits {', '.join(tables)}", "name them train, validation and test, or give one file"
            )
        known = {"all": next(iter(rest.values()))}
    if set(known) == {"train"}:
        known = {"all": known["train"]}
    if any(len(table) == 0 for table in known.values()):
        empty = next(name for name, table in known.items() if len(table) == 0)
        raise SourceError(f"{origin} has no rows{'' if empty == 'all' else f' in {empty}'}", "give at least one")
    return {name: known[name] for name in ("all", "train", "validation", "test") if name in known}
