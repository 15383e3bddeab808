"""Finding the classes of a column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptheta.data.codecs.base import nowhere
from ptheta.data.codecs.labels import distinct
from ptheta.data.sources.chunk_values import missing, take
from ptheta.data.sources.tables import Source
from ptheta.errors import SourceError
from ptheta.names import merged
from ptheta.remarks import remark

MAX_NAMES = 1_000
"""Most classes a context may have."""


def categories(name: str, values: Iterable[Any]) -> list[Any]:
    """The values of a column, sorted; strings that look alike, as é in its two spellings, are one, which is remarked.

    Args:
        name: of the column.
        values: all of one type, each once.

    Returns:
        Values that occur: of several spellings the canonical one, if it is among them.
    """
    found = sorted(values)
    if not found or not isinstance(found[0], str):
        return found
    kept = []
    for label, spellings in merged(found).items():
        kept.append(label if label in spellings else spellings[0])
        _report(name, label, spellings, "category")
    return sorted(kept)


def find_labels(source: Source, name: str, *, strict: bool = True) -> list[str] | None:
    """The classes of a column: its published names, or its sorted distinct values over all splits.

    Missing cells are passed over, and strings that look alike are one class.

    Args:
        source: with its tables.
        name: of the column.
        strict: whether too many are an error; otherwise None is returned.

    Raises:
        SourceError: a column that is not a set of classes.
    """
    column = source.columns[name]
    if column.names:
        return list(column.names)
    if column.kind not in ("string", "int", "bool"):
        raise SourceError(
            f"column {name!r} ({column.kind}) is not a set of classes",
            "a label column holds classes, strings or whole numbers",
        )
    values: set[Any] = set()
    for table in source.tables.values():
        for chunk in table.chunks([name]):
            present = np.flatnonzero(~missing(chunk[name]))
            values.update(distinct(take(chunk[name], present), name, nowhere)[0])
            if len(values) > MAX_NAMES:
                if not strict:
                    return None
                remedy = f", or take it as {name}:number" if column.kind == "int" else f", or take it as {name}:text"
                raise SourceError(
                    f"column {name!r} has more than {MAX_NAMES:,} different values",
                    f"condition on a column of fewer{remedy}",
                )
    if not values:
        raise SourceError(f"column {name!r} has no values", "choose another context")
    if column.kind != "string":
        return [str(value) for value in sorted(values)]
    classes = merged(values)
    for label, spellings in classes.items():
        _report(name, label, spellings, "label")
    return list(classes)


def _report(name: str, label: str, spellings: list[str], what: str) -> None:
    """Remark that several spellings are one label or category."""
    if len(spellings) > 1:
        remark(f"{name}: spellings that look alike are one {what}, {label!r}: {', '.join(map(ascii, spellings))}")
