"""A form of file, and what is done with a mutant of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mutations import Random, mutated

import ptheta
from ptheta.data.sources import archives
from ptheta.data.sources.opening import open_source
from ptheta.remarks import collecting

G = np.random.default_rng(0)


@dataclass
class Reader:
    """A form of file.

    Args:
        name: of the form.
        path: of the mutant.
        content: the original.
        read: whatever is done with it.
        share: of the mutants; cheap readers have more.
        mutate: content, random → mutant.
    """

    name: str
    path: Path
    content: bytes
    read: Callable[[Path], Any]
    share: float = 1.0
    mutate: Callable[[bytes, Random], bytes] = field(default=mutated)


def walked(path: Path) -> None:
    """A source opened, and all of its rows read."""
    with collecting():
        source = open_source(path)
        for table in source.tables.values():
            len(table)
            for chunk in table.chunks(list(table.columns)):
                assert chunk


def loaded(path: Path, **options: Any) -> None:
    """A source as `fit` sees it."""
    ptheta.load(path, **options)


def saved(save: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def repacked(pack: Callable[[bytes], bytes], content: bytes) -> Callable[[bytes, Random], bytes]:
    """Mutations below a checksum: of what is packed, not of the package."""
    return lambda _, random: pack(mutated(content, random))


def unpacked(path: Path) -> None:
    """As `walked`, of an archive: what was unpacked goes at once."""
    try:
        walked(path)
    finally:
        while archives._unpacked:
            archives._unpacked.popitem()[1].cleanup()
