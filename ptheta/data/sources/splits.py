"""The published splits of a source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ptheta.data.sources.tables import Source, Table
from ptheta.errors import SourceError
from ptheta.names import printable
from ptheta.numbers import plural
from ptheta.remarks import remark

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
"""Published splits that are left out, even where there is no other one to learn from."""


def named_splits(tables: dict[str, Table], origin: str) -> dict[str, Table]:
    """Published split names in our own words; a single split of another name is undivided data ("all").

    Beside splits of known names those of others are left out, and reported.

    Raises:
        SourceError: nothing to learn from.
    """
    known = {PUBLISHED[name.lower()]: table for name, table in tables.items() if name.lower() in PUBLISHED}
    if len(known) < sum(name.lower() in PUBLISHED for name in tables):
        raise SourceError(f"{origin} has splits that mean the same: {', '.join(tables)}", "leave one of each kind")
    taken = [name for name in tables if name.lower() in PUBLISHED]
    if not known:
        taken = [name for name in tables if name not in IGNORED]
        if len(taken) != 1:
            raise SourceError(
                f"{origin} has the splits {', '.join(tables)}", "name them train, validation and test, or give one file"
            )
        known = {"all": tables[taken[0]]}
    if other := [f"{name} ({plural(len(table), 'row')})" for name, table in tables.items() if name not in taken]:
        remark(f"splits left out of {origin}, neither train nor validation nor test: {', '.join(other)}")
    if set(known) == {"train"}:
        known = {"all": known["train"]}
    if any(len(table) == 0 for table in known.values()):
        empty = next(name for name, table in known.items() if len(table) == 0)
        raise SourceError(f"{origin} has no rows{'' if empty == 'all' else f' in {empty}'}", "give at least one")
    return {name: known[name] for name in ("all", "train", "validation", "test") if name in known}


def divisible(source: Source) -> Source:
    """A source whose only split is not one to learn from, as undivided data; others as they are."""
    if len(source.tables) > 1 or not {"validation", "test"} & source.tables.keys():
        return source
    ((split, table),) = source.tables.items()
    remark(f"{source.origin} has only a {split} split: it is divided like undivided data")
    return replace(source, tables={"all": table})


def split_folders(path: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """The files below each top folder that is named like a split; "" → all, if there is no such folder.

    Raises:
        SourceError: some lie in such folders and some do not.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        top = file.relative_to(path).parts[:-1][:1] if file.is_relative_to(path) else ()
        groups.setdefault(top[0] if top and top[0].lower() in PUBLISHED else "", []).append(file)
    if "" in groups and len(groups) > 1:
        outside = printable(groups[""][0])
        raise SourceError(f"{outside} lies outside the split folders of {path}", "move it into one, or remove it")
    return groups
