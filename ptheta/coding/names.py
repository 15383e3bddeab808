"""Which files are compressed, under which names, and which names may be written again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ptheta.coding.container import FETCH
from ptheta.coding.errors import CodingError
from ptheta.errors import SourceError, UsageError
from ptheta.listing import exists, files_below, is_file, is_folder

_FORBIDDEN = {"\0", "\\", ":"} if os.name == "nt" else {"\0"}


def collect(files: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """Files, and those in folders, in order, with the names they come back under.

    A relative path is kept; of an absolute one, or one that leaves the present folder, the last part.

    Raises:
        SourceError: a file that is missing, a link, or not a regular file; a folder that cannot be listed; a name that
            is not UTF-8.
        UsageError: two files of one name, or no files.
    """
    found: list[tuple[Path, str]] = []
    for given in map(Path, files):
        outside = given.is_absolute() or ".." in given.parts or given == Path(".")
        name = PurePosixPath(given.resolve().name if outside else given.as_posix())
        if is_folder(given) and not given.is_symlink():
            inside = files_below(given)
            if not inside:
                raise SourceError(f"{given} contains no files", "give files, or folders with files")
            found += [(path, str(name / path.relative_to(given).as_posix())) for path in inside]
        else:
            found.append((given, str(name)))
    for path, _ in found:
        if path.is_symlink() or not is_file(path):
            what = "is not a regular file" if exists(path) else "does not exist"
            what = "is a link, which is never followed" if path.is_symlink() else what
            raise SourceError(f"{path} {what}", "give regular files")
    if not found:
        raise UsageError("FILE is missing", "see ptheta compress --help")
    names = [name for _, name in found]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise SourceError(f"the file name {name!r} is not valid UTF-8", "rename it") from None
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UsageError(f"two files would both be called {twice}", "compress them from the folder that holds both")
    return found


def check(names: Sequence[object], where: str) -> list[str]:
    """Names that are relative, stay in their folder, and do not stand in each other's way.

    Raises:
        CodingError: one that does not.
    """
    taken: set[str] = set()
    folders: set[str] = set()
    for name in names:
        parts = name.split("/") if isinstance(name, str) else [""]
        bad = any(part in ("", ".", "..") or set(part) & _FORBIDDEN or len(part) > 255 for part in parts)
        if bad or name in taken or name in folders or taken & set(_above(parts)):
            raise CodingError(f"{where} contains the file name {name!r}", f"such names are never written; {FETCH}")
        taken.add(str(name))
        folders.update(_above(parts))
    return [str(name) for name in names]


def _above(parts: list[str]) -> list[str]:
    """The folders above a file."""
    return ["/".join(parts[:i]) for i in range(1, len(parts))]
