"""How text tables are to be read: what was asked, by whoever opens a source; readers lie deep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace

from ptheta.data.options import TextTables


@dataclass
class Asked:
    """What was asked of text tables.

    Args:
        options: as given; None where they are to be inferred.
        names: columns that are wanted, if they are known: a first row that has one of them is a header.
        words: columns that hold words → values of them that are known.
        decimals: columns of numbers → their decimal mark, if a file leaves it open.
        used: whether a text table has been read.
    """

    options: TextTables
    names: tuple[str, ...] = ()
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    decimals: Mapping[str, str] = field(default_factory=dict)
    used: bool = False


_ASKED: ContextVar[Asked | None] = ContextVar("ptheta_asked", default=None)


def asked() -> Asked:
    """What is in force here."""
    return _ASKED.get() or Asked(TextTables())


@contextmanager
def asking(
    options: TextTables | None = None,
    names: Iterable[str] = (),
    words: Mapping[str, Sequence[str]] | None = None,
    decimals: Mapping[str, str] | None = None,
    *,
    usually: bool = False,
    alone: bool = False,
) -> Iterator[Asked]:
    """Within, text tables are read so; what an option leaves open is as asked outside.

    Args:
        options: for text tables.
        names, words, decimals: of columns, see `Asked`.
        usually: whether what is asked outside comes first.
        alone: whether what is asked outside does not count.

    >>> with asking(TextTables(separator=";")), asking(TextTables(decimal=",")) as inner:
    ...     inner.options.separator, inner.options.decimal
    (';', ',')
    """
    outer, options = Asked(TextTables()) if alone else asked(), options or TextTables()
    first, second = (options, outer.options) if usually else (outer.options, options)
    given = {one.name: getattr(second, one.name) for one in fields(options)}
    merged = replace(first, **{name: value for name, value in given.items() if value is not None})
    inner = Asked(merged, tuple(names) or outer.names, words or outer.words, decimals or outer.decimals)
    token = _ASKED.set(inner)
    try:
        yield inner
    finally:
        _ASKED.reset(token)
        outer.used |= inner.used
