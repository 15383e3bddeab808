"""Files of a folder that are not read are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from ptheta.names import printable
from ptheta.numbers import plural
from ptheta.remarks import remark

DOCUMENTATION = ("readme", "license", "licence", "copying", "citation", "changelog", "authors", "notice", "datasheet")
"""Stems of files that are about data."""


def is_documentation(file: Path) -> bool:
    """Whether a file is about the data beside it, and none of them.

    >>> [is_documentation(Path(name)) for name in ("README.md", "LICENSE", "readme.csv", "notes.md")]
    [True, True, False, False]
    """
    return file.stem.lower() in DOCUMENTATION and file.suffix.lower() in ("", ".md", ".txt", ".rst", ".cff", ".bib")


def left_out(files: Sequence[Path], taken: Collection[Path], why: str, *, documents: bool = False) -> None:
    """Report the files of a folder that are not read, by their suffixes.

    Args:
        files: all in it.
        taken: those that are read.
        why: the others are not.
        documents: whether the data are documents, so that what looks like documentation may be one.
    """
    rest = [file for file in files if file not in taken and (documents or not is_documentation(file))]
    if not rest:
        return
    kinds = Counter(file.suffix.lower() or "no suffix" for file in rest).most_common()
    listed = ", ".join(f"{count:,} of {kind}" for kind, count in kinds[:5]) + ", …" * (len(kinds) > 5)
    what = plural(len(rest), "file") + (f" ({listed})" if len(kinds) > 1 else "")
    remark(f"left out, {why}: {what}, such as {printable(rest[0])}")
