"""Durable writing: what is on disk under a name is always whole, and belongs to one writer at a time.

A file is written under a temporary name in the same folder, flushed to the disk, then renamed, and the folder flushed.
A crash at any point leaves the old file or the new one. A folder of files is written under a temporary name, too.

Temporary names tell who writes them, so that whoever writes there next can tell what a dead process has left from what
is in use. All of them begin with `RESERVED`, which every reader ignores.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ptheta.errors import PthetaError, UsageError
from ptheta.listing import RESERVED
from ptheta.locks import LOCK, locked, sign, sweep_lock

TEMPORARY = f"{RESERVED}partial-"
"""Prefix of files and folders that are being written; `sweep` removes those of dead processes."""

ABANDONED = 86_400.0
"""Seconds without a change after which a temporary file of another machine counts as left behind."""


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
    made: list[Path] = []
    try:
        with _writing(path):
            made = _make(path.parent)
            if flush:
                sweep(path.parent)
            temporary = temporary_name(path.parent, path.suffix)
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode
            yield temporary
            os.chmod(temporary, mode)  # a writer may have put a file of its own under the name
            if flush:
                _flush(temporary)
            os.replace(temporary, path)
            temporary = None
            if flush:
                _flush(path.parent)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # the folder may be gone, or closed in the meantime
                temporary.unlink(missing_ok=True)
        _unmake(made)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to write files to; on success they are in `path`, on failure none of them is.

    A folder that does not exist yet appears at once. In one that does, files of the same names are replaced, each at
    once, and the others stay.

    Args:
        path: of the folder.

    Raises:
        UsageError: the folder cannot be written or the disk is full.
    """
    path = Path(os.path.realpath(path))
    temporary: Path | None = None
    made: list[Path] = []
    try:
        with _writing(path):
            made = _make(path.parent)
            sweep(path)
            beside = not path.is_dir()
            temporary = temporary_name(path.parent if beside else path)
            sweep(temporary.parent)
            temporary.mkdir()
            with naming(temporary, path):
                yield temporary
            if beside:
                os.replace(temporary, path)
            else:
                move_into(temporary, path, replace=True)
            temporary = None
            _flush(path)
            _flush(path.parent)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        _unmake(made)


@contextlib.contextmanager
def naming(temporary: Path, path: Path) -> Iterator[None]:
    """Within, errors that name files of a temporary folder name those that they were to become."""
    try:
        yield
    except UsageError as error:
        if str(temporary) not in error.problem:
            raise
        raise UsageError(error.problem.replace(str(temporary), str(path)), error.remedy) from error


def write_bytes(path: Path, content: bytes, *, flush: bool = True) -> Path:
    """Write a whole file; returns its path."""
    with replacing(path, flush=flush) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 text file durably; bytes of file names that are not UTF-8 are escaped, as JSON reads them."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


# Temporary names


def temporary_name(folder: Path, suffix: str = "", prefix: str = TEMPORARY) -> Path:
    """A new path in a folder whose name holds the id of the process that writes it."""
    return folder / f"{prefix}{os.getpid()}-{_host()}-{secrets.token_hex(4)}{suffix}"


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a temporary path is dead; of another machine's, whether it is a day old."""
    owner = re.match(r"\.ptheta-[a-z]+-(\d+)-(\w+)-", path.name)
    if owner is not None and owner[2] == _host():
        return not _alive(int(owner[1]))
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED
    except OSError:
        return False


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders, and the locks, that dead processes have left in a folder."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(RESERVED)]
    except OSError:
        return
    for path in (folder / name for name in names):
        with contextlib.suppress(OSError):
            if path.name.startswith(TEMPORARY) and is_abandoned(path):
                _remove(path)
            elif path.name.startswith(LOCK):
                sweep_lock(path)


def move_into(source: Path, target: Path, *, replace: bool) -> list[Path]:
    """Move the files below one folder into another on the same disk, keeping subfolders; the source then goes.

    Args:
        source: moved from; removed when nothing is left in it.
        target: moved into, a folder.
        replace: replace files of the same names; else these stay where they are, and so does the source.

    Returns:
        Where the files are now, relative to the target, sorted.
    """
    moved = []
    for folder, folders, names in os.walk(source, topdown=False):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in names + links:
            relative = Path(folder, name).relative_to(source)
            if replace or not os.path.lexists(target / relative):
                (target / relative).parent.mkdir(parents=True, exist_ok=True)
                os.replace(source / relative, target / relative)
                moved.append(relative)
        with contextlib.suppress(OSError):  # something stays in it
            os.rmdir(folder)
    return sorted(moved)


def exchange(one: Path, other: Path, aside: Path) -> None:
    """Swap the names of two existing files or folders: at once where the system can, else by three renames.

    Args:
        one, other: to be swapped.
        aside: a free name that `other` has between the renames.

    Raises:
        OSError: the names cannot be changed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = -1
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        code = libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)  # AT_FDCWD, RENAME_EXCHANGE
    elif sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        code = libc.renamex_np(os.fsencode(one), os.fsencode(other), 2)  # RENAME_SWAP
    else:
        ctypes.set_errno(errno.ENOSYS)
    if code == 0:
        return
    if ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


# One writer at a time


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """Be the only process that writes to a file or folder, until the end of the block or of the process.

    The lock is a file beside it that the kernel holds for as long as this process lives; it records who holds it and
    since when. What dead processes left beside the path is removed.

    Args:
        path: of a file or folder, which may not exist yet.

    Raises:
        BusyError: another process, or another thread, writes there.
        UsageError: the place cannot be written.
    """
    path = Path(os.path.realpath(path))
    with _writing(path):
        made = _make(path.parent)
        inside = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
        lock = (path if inside else path.parent) / (LOCK + short_name(path.name))
        handle = locked(lock, path)
        sign(handle)
    try:
        sweep(path.parent)
        sweep(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(handle)
        _unmake(made)


def short_name(name: str) -> str:
    """A name, or of a long one its digest: room for a prefix within the length that file systems allow.

    >>> short_name("run"), len(short_name("run" * 80))
    ('run', 32)
    """
    return name if len(os.fsencode(name)) <= 150 else hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says of writing into one line."""
    try:
        yield
    except PthetaError:  # of which some are also the system's, about files that are read
        raise
    except OSError as error:
        blocked = next((folder for folder in path.parents if folder.is_file()), None)
        reason = f"{blocked} is a file, not a folder" if blocked else error.strerror or error
        raise UsageError(
            f"cannot write {path}: {reason}", "choose another place with --out, or free disk space"
        ) from error


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns those that were missing, the lowest first."""
    missing = [above for above in (folder, *folder.parents) if not os.path.lexists(above)]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _unmake(folders: list[Path]) -> None:
    """Remove folders that were made for what was not written, as far as nothing lies in them."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _host() -> str:
    """This machine; in a container of its own processes also which one, for their numbers are its own."""
    name = re.sub(r"\W", "_", socket.gethostname()) or "host"
    with contextlib.suppress(OSError):
        name += f"_{os.stat('/proc/self/ns/pid').st_ino}"
    return name


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
