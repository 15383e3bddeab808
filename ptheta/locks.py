"""Lock files: which process writes to a path, held by the kernel for as long as that process lives."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shlex
import socket
import stat
import sys
import time
from pathlib import Path

from ptheta.errors import BusyError
from ptheta.listing import RESERVED

LOCK = f"{RESERVED}lock-"
"""Prefix of locks; the rest is the name of what is locked."""

MOMENT = 0.5
"""Seconds after which a lock that is still held is."""


def locked(lock: Path, path: Path) -> int:
    """An open handle of the lock file, held by this process alone."""
    until = time.monotonic() + MOMENT
    while True:
        handle = _opened(lock)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() < until:  # another process may just be looking whether it is held
                time.sleep(MOMENT / 20)
                continue
            raise BusyError(
                f"{path} is being written by {_owner(lock)}", "wait for it, stop it, or choose another --out"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                os.close(handle)
                raise
            return handle  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), lock.lstat()):
                return handle
        os.close(handle)  # its last holder has just removed it


def _opened(lock: Path) -> int:
    """A handle of a lock file, made if missing. Another user's is opened too; a link is not followed."""
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"{lock.name} is not a regular file")
    return handle


def sign(handle: int) -> None:
    """Record in a lock file who holds it, since when."""
    owner = {"process": os.getpid(), "host": socket.gethostname(), "since": time.time(), "command": _command()}
    with contextlib.suppress(OSError):  # of another user, whose process has died
        os.truncate(handle, 0)
        os.write(handle, json.dumps(owner).encode())


def _owner(lock: Path) -> str:
    """Who holds a lock, since when."""
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        minutes = max(0.0, time.time() - owner["since"]) / 60
        age = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
        return f"process {owner['process']} on {owner['host']} for {age}: {owner['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def sweep_lock(lock: Path) -> None:
    """Remove a lock that nobody holds."""
    handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), lock.lstat()):
            lock.unlink()
    finally:
        os.close(handle)


def _command() -> str:
    program = Path(sys.argv[0]).name if sys.argv else ""
    words = ["ptheta" if program == "__main__.py" else program, *sys.argv[1:]]
    line = shlex.join(words)
    return line if len(line) <= 200 else f"{line[:199]}…"
