"""How many rows the description of a data set declares, held against those that are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta.data.sources.tables import Table
from ptheta.listing import is_file, regular
from ptheta.numbers import listed
from ptheta.remarks import remark

DESCRIPTION = "dataset_info.json"
"""File beside the data in which `datasets` describes them."""


def compare_counts(declared: Mapping[str, Any], tables: Mapping[str, Table], origin: str) -> None:
    """Remark splits of which other numbers of rows are read than their description declares.

    Args:
        declared: split → number of rows; what is not a number declares nothing.
        tables: split → rows.
        origin: of the data.
    """
    counts = {name: len(tables[name]) if name in tables else 0 for name in declared}
    others = [
        f"{name} {rows:,} (read {counts[name]:,})"
        for name, rows in declared.items()
        if isinstance(rows, int) and not isinstance(rows, bool) and rows != counts[name]
    ]
    if others:
        remark(f"{origin}: its description declares other numbers of rows than are read: {listed(others)}")


def counts_of(splits: Any) -> dict[str, Any]:
    """Split → number of rows, of the splits in a description by `datasets`; none if it has none."""
    return {str(name): split.num_examples for name, split in (splits or {}).items()}


def counts_beside(folder: Path) -> dict[str, Any]:
    """Split → number of rows, of the description beside data files; none if there is none, or it is damaged."""
    file = folder / DESCRIPTION
    if not is_file(file):
        return {}
    try:
        about = json.loads(regular(file).read_text(encoding="utf-8"))
        return {str(name): split["num_examples"] for name, split in (about.get("splits") or {}).items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return {}
