"""Numbers as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def count(n: int | str) -> str:
    """An integer of any length: all digits if it is short, else as a power of ten; text passes as it is.

    >>> count(1567), count(2**784 - 1)
    ('1,567', '1.017e236')
    """
    if isinstance(n, str):
        return n
    if n < 10**12:
        return f"{n:,}"
    exponent, mantissa = divmod(math.log10(n), 1)
    return f"{10**mantissa:.3f}e{int(exponent)}"


def jsonable(n: int) -> int | str:
    """An integer as JSON can hold it: itself, or its power of ten if it has thousands of digits.

    >>> jsonable(784), jsonable(256**3072)
    (784, '1.298e7398')
    """
    return n if n.bit_length() < 2**13 else count(n)


def nats(value: float, error: float | None = None) -> str:
    """A value in nats with its standard error, to a sensible number of digits.

    >>> nats(81.0212, 0.4521), nats(math.inf, math.inf)
    ('81.02 ± 0.45', '∞')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "undefined"
    if error is None or not math.isfinite(error):
        return f"{value:.2f}"
    digits = 2 if error >= 0.01 else 4
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def plural(n: int, word: str) -> str:
    """A count and its noun.

    >>> plural(1, "event"), plural(1200, "event")
    ('1 event', '1,200 events')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def joined(words: Sequence[str], conjunction: str = "and") -> str:
    """Words as a list in a sentence.

    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"], "or")
    ('a', 'a and b', 'a, b or c')
    """
    *first, last = words or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def listed(words: Sequence[str], most: int = 5) -> str:
    """Some words, and how many more there are.

    >>> listed(["a", "b"]), listed(["a", "b", "c"], most=2)
    ('a, b', 'a, b and 1 more')
    """
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def rounded(n: float, most: int) -> int:
    """A number of events that does not betray how fast the machine was at that moment: 1, 2 or 5 times a power of ten.

    Args:
        n: events that are affordable; one is always taken.
        most: events that there are; all of them if they are affordable.

    >>> rounded(1606.0, 2000), rounded(5000.0, 2000), rounded(0.3, 10), rounded(99.9, 100)
    (1000, 2000, 1, 50)
    """
    if n >= most:
        return most
    power = 10 ** math.floor(math.log10(max(n, 1.0)))
    return min(most, power * max(k for k in (1, 2, 5) if k * power <= max(n, 1.0)))


def amount(size: float) -> str:
    """Bytes as a person reads them.

    >>> amount(8.3e7), amount(1.26e9), amount(4.04e10), amount(3.2e12), amount(1.2e5)
    ('0.083 GB', '1.3 GB', '40 GB', '3.2 TB', '0.001 GB')
    """
    for unit, name in ((1e15, "PB"), (1e12, "TB")):
        if size >= unit:
            return f"{size / unit:.2g} {name}" if size < 100 * unit else f"{size / unit:,.0f} {name}"
    gigabytes = size / 1e9
    return f"{gigabytes:.0f} GB" if gigabytes >= 9.5 else f"{gigabytes:.2g} GB" if gigabytes >= 0.001 else "0.001 GB"


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(0.0213), duration(12), duration(200), duration(9000), duration(1e7)
    ('0.021 s', '12 s', '3 minutes', '2.5 hours', '116 days')
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.2g} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.2g} hours" if seconds < 2 * 86400 else f"{seconds / 86400:,.0f} days"


def many(n: float) -> str:
    """A large number as a person reads it.

    >>> many(471680), many(3.93e12), many(5.6e9)
    ('471,680', '3.9 trillion', '5.6 billion')
    """
    for unit, name in ((1e12, "trillion"), (1e9, "billion")):
        if n >= unit:
            return f"{n / unit:,.2g} {name}" if n < 100 * unit else f"{n / unit:,.0f} {name}"
    return f"{n:,.0f}"


def with_article(word: str) -> str:
    """A word with its indefinite article, by its first letter.

    >>> with_article("int"), with_article("Run")
    ('an int', 'a Run')
    """
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
