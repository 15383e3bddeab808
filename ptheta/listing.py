"""Listing folders: what is there is listed, or the command stops. Nothing vanishes in silence.

`Path.rglob` and `os.walk` pass over folders that may not be read, as if they were empty.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ptheta.errors import NoSourceError, SourceError

RESERVED = ".ptheta-"
"""Prefix of names that are not data of the user's: temporary files and locks. Every reader ignores them."""


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in order, but for the leftovers of interrupted commands.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise unreadable(folder, error) from None
    return [folder / name for name in sorted(names) if not name.startswith(RESERVED)]


def files_below(folder: Path, *, hidden: bool = True, follow: bool = False) -> list[Path]:
    """Every file in a folder and in the folders below it, in order; what is not a file or folder is listed, too.

    Args:
        folder: to be listed.
        hidden: also what is called `.something` or `__MACOSX…`, and what lies in such folders.
        follow: go through links to folders; otherwise a link is listed as a file is.

    Raises:
        SourceError: a folder cannot be listed, a link leads nowhere or back to a folder above it.
    """
    wanted = (lambda _: True) if hidden else (lambda path: not path.name.startswith((".", "__MACOSX")))
    return sorted(_below(folder, wanted, follow, ()))


def _below(folder: Path, wanted: Callable[[Path], bool], follow: bool, above: tuple[str, ...]) -> Iterator[Path]:
    real = (*above, os.path.realpath(folder))
    for path in filter(wanted, entries(folder)):
        link = path.is_symlink()
        if link and not follow:
            yield path
            continue
        is_below = is_folder(path)
        if is_below and os.path.realpath(path) in real:
            raise SourceError(f"{path} is a link to a folder above it", "remove it")
        if link and exists(path):
            inside(path)
        if is_below:
            yield from _below(path, wanted, follow, real)
        else:
            yield path


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one; False if there is nothing.

    Raises:
        SourceError: that cannot be seen, for a folder above it is closed.
    """
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_file(path: Path) -> bool:
    """Whether it is a regular file, or a link to one; False if there is nothing.

    Raises:
        SourceError: that cannot be seen, for a folder above it is closed.
    """
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def regular(path: str | Path, called: object = None) -> Path:
    """The path, unless it leads to something that is there and is no file: a pipe or a device may never end.

    Args:
        path: to be opened.
        called: names it in the error; None: the path itself.

    Raises:
        SourceError: it is no regular file.
    """
    path = Path(path)
    if exists(path) and not is_file(path):
        what = "is a folder" if is_folder(path) else "is not a regular file"
        raise SourceError(f"{path if called is None else called} {what}", "give a file")
    inside(path, called)
    return path


_BOUNDS: ContextVar[tuple[str, ...]] = ContextVar("ptheta_bounds", default=())
"""Real paths of the folders in which paths named by data stay; none: anywhere."""


@contextmanager
def staying_in(*folders: Path) -> Iterator[None]:
    """Within, what data name, by paths and links, lies in these folders; of none, anywhere."""
    token = _BOUNDS.set(tuple(os.path.realpath(folder) for folder in folders))
    try:
        yield
    finally:
        _BOUNDS.reset(token)


_FOLLOWING: ContextVar[bool] = ContextVar("ptheta_following", default=False)


@contextmanager
def following() -> Iterator[None]:
    """Within, what data name may lie anywhere, whichever options they are loaded with: a person allowed it."""
    token = _FOLLOWING.set(True)
    try:
        yield
    finally:
        _FOLLOWING.reset(token)


def inside(path: str | Path, called: object = None) -> None:
    """Check that a path that data name stays where the data are.

    Args:
        path: named by data, or a link among them.
        called: names it in the error; None: the path itself.

    Raises:
        SourceError: it leads elsewhere.
    """
    bounds, real = _BOUNDS.get(), os.path.realpath(path)
    if not bounds or _FOLLOWING.get() or any(_lies_in(real, folder) for folder in (*bounds, *_UNPACKED)):
        return
    if (datasets := sys.modules.get("datasets")) and any(
        _lies_in(real, os.path.realpath(folder))
        for folder in (datasets.config.HF_DATASETS_CACHE, datasets.config.HF_CACHE_HOME)
    ):
        return
    where = "" if called in (None, str(path)) else f"{called}: "
    raise SourceError(
        f"{where}{path} leads out of the folder of the data, to {real}",
        "copy it there, or allow it with --follow-paths",
    )


_UNPACKED: set[str] = set()
"""Folders into which this process has unpacked archives."""


def unpacked_to(folder: Path) -> None:
    """What an archive was unpacked to is where its data are."""
    _UNPACKED.add(os.path.realpath(folder))


def _lies_in(real: str, folder: str) -> bool:
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def exists(path: Path) -> bool:
    """Whether there is something, not counting a link to nothing.

    Raises:
        SourceError: that cannot be seen, for a folder above it is closed.
    """
    return _status(path) is not None


def _status(path: Path) -> os.stat_result | None:
    """What a path leads to; None: nothing, or it is not a path at all: people give texts where paths could stand."""
    try:
        return path.stat()
    except PermissionError as error:
        raise unreadable(path, error) from None
    except (OSError, ValueError):
        return None


def unreadable(path: object, error: OSError) -> SourceError:
    """The message about a file or folder that cannot be read; an error of our own, which says it already, stays."""
    if isinstance(error, SourceError):
        return error
    remedy = "change its permissions, or leave it out" if isinstance(error, PermissionError) else "check the path"
    reason = os.strerror(error.errno) if error.errno else str(error)
    kind = NoSourceError if isinstance(error, FileNotFoundError) else SourceError
    return kind(f"{path} cannot be read: {reason}", remedy)
