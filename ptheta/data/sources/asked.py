"""How text tables are to be read: what was asked, by whoever opens a source; readers lie deep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from ptheta.data.options import TextTables


@dataclass
class Asked:
    """What was asked of text tables.

    Args:
        options: as given; None where they are to be inferred.
        names: columns that a first row of names is expected to have, if any are known.
        used: whether a text table has been read.
    """

    options: TextTables
    names: tuple[str, ...] = ()
    used: bool = False


_ASKED: ContextVar[Asked | None] = ContextVar("ptheta_asked", default=None)


def asked() -> Asked:
    """What is in force here."""
    return _ASKED.get() or Asked(TextTables())


@contextmanager
def asking(options: TextTables, names: Iterable[str] = ()) -> Iterator[Asked]:
    """Within, text tables are read so; what an option leaves open is as asked outside.

    >>> with asking(TextTables(separator=";")), asking(TextTables(decimal=",")) as inner:
    ...     inner.options.separator, inner.options.decimal
    (';', ',')
    """
    outer = asked()
    given = {one.name: getattr(options, one.name) for one in fields(options)}
    merged = replace(outer.options, **{name: value for name, value in given.items() if value is not None})
    inner = Asked(merged, tuple(names) or outer.names)
    token = _ASKED.set(inner)
    try:
        yield inner
    finally:
        _ASKED.reset(token)
        outer.used |= inner.used
