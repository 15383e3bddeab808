"""Texts that lie beside pictures and sounds, under the same name."""

from __future__ import annotations

from pathlib import Path

from ptheta.data.formats import CAPTIONS
from ptheta.data.sources.delimited import read_text
from ptheta.errors import SourceError
from ptheta.names import printable

LONGEST_CAPTION = 2**20
"""Bytes of a text beside a picture or a sound, at most."""


def captions_of(rows: list[Path], files: list[Path]) -> dict[Path, Path]:
    """Picture or sound → the text of the same name beside it.

    Raises:
        SourceError: two rows or two texts of one name.
    """
    texts = {file.with_suffix(""): file for file in reversed(files) if file.suffix.lower() in CAPTIONS}
    found = {row: texts[row.with_suffix("")] for row in rows if row.with_suffix("") in texts}
    owners: dict[Path, Path] = {}
    for row, text in found.items():
        if owners.setdefault(text, row) != row:
            both = f"{printable(owners[text])} and {printable(row)}"
            raise SourceError(f"{printable(text)} may be the text of {both}", "give each a name of its own")
    return found


def caption(file: Path | None) -> str | None:
    """A text beside a picture or a sound, without the ends of its lines' last one."""
    if file is None:
        return None
    if file.stat().st_size > LONGEST_CAPTION:
        raise SourceError(f"{printable(file)} is longer than {LONGEST_CAPTION:,} bytes", "give shorter texts")
    return read_text(file).strip()
