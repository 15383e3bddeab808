"""Numbers as a person reads them."""

from __future__ import annotations

import math


def count(n: int) -> str:
    """An exact integer: all digits if it is short, else as a power of ten.

    >>> count(1567), count(2**784 - 1)
    ('1,567', '1.017e236')
    """
    if abs(n) < 10**12:
        return f"{n:,}"
    digits = str(n)
    return f"{digits[0]}.{digits[1:4]}e{len(digits) - 1}"


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
