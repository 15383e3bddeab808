"""Events as rows of values on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.numerals import is_figure
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.markup import Html, joined, table, tag

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 20
"""Columns of a table that are shown, at most."""

FLAT_SHOWN = 24
"""Numbers of a long event that are shown."""


def as_table(title: str, frame: pd.DataFrame, given: Given | None) -> Html:
    """Rows of a frame, after the captions of their contexts if there are any."""
    names = [str(name) for name in frame.columns[:COLUMNS]]
    cells = [[cell(frame.iat[i, j]) for j in range(len(names))] for i in range(len(frame))]
    if given is not None:
        names, cells = ["context", *names], [[label, *row] for label, row in zip(given.names, cells)]
    more = f" (the first {COLUMNS} of {frame.shape[1]} columns)" * (frame.shape[1] > COLUMNS)
    text = [j for j in range(len(names)) if any(row[j] and not is_figure(row[j]) for row in cells)]
    return table(title + more, names, cells, text=text, named=False)


def as_lines(title: str, values: np.ndarray) -> Html:
    """The first values [n, k] of events that have many."""
    lines = ["  ".join(cell(v) for v in row[:FLAT_SHOWN]) + " …" * (len(row) > FLAT_SHOWN) for row in values]
    return joined([tag("h3", title), tag("pre", "\n".join(lines))])


def cell(value: Any) -> str:
    """A cell of a table in print; missing ones are empty.

    >>> cell(1234.5678), cell(3), cell(float("nan")), cell("Bär")
    ('1,235', '3', '', 'Bär')
    """
    if value is None or str(value) in ("<NA>", "NaT") or value != value:
        return ""
    if isinstance(value, float | np.floating):
        whole = float(value).is_integer() and abs(value) < 1e15
        return f"{int(value):,}" if whole else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
