"""Names of classes and files as people read them: what looks alike is one name, and every name can be printed."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path


def canonical(name: str) -> str:
    """The spelling of a name that all alike ones share: composed (Unicode's NFC), with single spaces inside only.

    File systems and keyboards differ in how they write é: as one character, or as an e and an accent.

    >>> canonical("cafe\\u0301 "), canonical("New\\u00a0 York")
    ('café', 'New York')
    """
    return " ".join(unicodedata.normalize("NFC", name).split())


def merged(names: Iterable[str]) -> dict[str, list[str]]:
    """Canonical name → the spellings that occur, sorted.

    >>> merged(["red", "red ", "blue"])
    {'blue': ['blue'], 'red': ['red', 'red ']}
    """
    found: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        found.setdefault(canonical(name), []).append(name)
    return dict(sorted(found.items()))


def printable(path: str | Path) -> str:
    r"""A path as text: bytes of a file name that are no UTF-8 are written as \xff.

    >>> printable(os.fsdecode(b"caf\xe9.png"))
    'caf\\xe9.png'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")
