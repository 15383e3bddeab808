"""Remarks: what a reader leaves out or reinterprets is reported, by one path, to whoever asked for the data.

Readers lie deep: a codec, a lister of folders, a parser of CSV. Each calls `remark`; `load` and the commands collect.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COLLECTED: ContextVar[list[str] | None] = ContextVar("ptheta_remarks", default=None)


class DataWarning(UserWarning):
    """Data that were left out or reinterpreted, where nobody collects remarks."""


def remark(text: str) -> None:
    """Report what is left out or reinterpreted, in one sentence without a full stop; a repeated one is kept once.

    Without a collector it becomes a `DataWarning`.
    """
    found = _COLLECTED.get()
    if found is None:
        warnings.warn(text, DataWarning, stacklevel=2)
    elif text not in found:
        found.append(text)


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Within, remarks are added to the list that this gives, in order.

    >>> with collecting() as found:
    ...     remark("2 rows were skipped")
    ...     remark("2 rows were skipped")
    >>> found
    ['2 rows were skipped']
    """
    found: list[str] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)
