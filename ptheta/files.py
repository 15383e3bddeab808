"""Durable writing: what is on disk under a name is always whole.

A file is written under a temporary name in the same folder, flushed to the disk, then renamed, and the folder flushed.
A crash at any point leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ptheta.errors import UsageError

TEMPORARY = ".ptheta-partial-"
"""Prefix of temporary names; such files are ignored by every reader."""


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """A temporary path to write to; on success it becomes `path`, on failure it vanishes and `path` is untouched.

    Args:
        path: of the file.
        flush: wait for the disk, so that the file also survives a power cut; off for many small files of samples.

    Raises:
        UsageError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        if flush:
            _flush(temporary)
        os.replace(temporary, path)
        temporary = None
        if flush:
            _flush(path.parent)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}", "choose another place with --out, or free disk space"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, flush: bool = True) -> Path:
    """Write a whole file; returns its path."""
    with replacing(path, flush=flush) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 text file durably."""
    write_bytes(path, content.encode())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
