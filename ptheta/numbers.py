"""Numbers as a person reads them."""

from __future__ import annotations

import math


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
