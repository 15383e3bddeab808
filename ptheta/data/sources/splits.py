"""The published splits of a source."""

from __future__ import annotations

from ptheta.data.sources.tables import Table
from ptheta.errors import SourceError

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
