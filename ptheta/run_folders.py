"""The folder of a run on the disk: what in it is the run's, and how a new run takes the place of an old one.

A new run is built in a folder beside the old one, and the two then swap their names. The folder beside now holds the
old run, or after a crash perhaps still the new one: the files of a run in it are removed, and whatever else lies there
is moved to the run that stays, so that nothing is ever removed that ptheta did not write.
"""

from __future__ import annotations

import contextlib
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

from ptheta.files import exchange, is_abandoned, move_into, sweep, temporary_name
from ptheta.listing import RESERVED

STAGED = f"{RESERVED}staged-"
"""Prefix of folders in which a run is built that replaces another."""

OWN = (
    "config.json",
    "model.safetensors",
    "metrics.jsonl",
    "README.md",
    "checkpoint/state.safetensors",
    "samples.*",
    "samples-[0-9][0-9][0-9][0-9]*",
    "samples/sample-[0-9][0-9][0-9][0-9]*",
    "copies.png",
    "surprise.png",
    "surprise.html",
    "tensorboard/events.out.tfevents.*",
)
"""Files that a fit writes into its folder."""


def staging(path: Path) -> Path:
    """A new folder beside `path` in which a run is built that will take its place."""
    return temporary_name(path.parent, f"-{path.name}", STAGED)


def install(staged: Path, path: Path) -> list[str]:
    """Let a whole staged run take the place of the one in `path`.

    Returns:
        Files that were in the old folder and are no part of a run; they are in the new one now.

    Raises:
        OSError: the names cannot be swapped; both folders are as they were.
    """
    if path.exists():
        exchange(staged, path)
    else:  # it was removed in the meantime
        os.rename(staged, path)
    return _settle(staged, path)


def recover(path: Path) -> None:
    """Finish, or undo, what a process that died while it replaced the run in `path` has left behind."""
    path = Path(os.path.abspath(path))
    with contextlib.suppress(OSError):
        for entry in sorted(path.parent.glob(f"{STAGED}*")):
            tail = re.fullmatch(r"\.ptheta-staged-\d+-\w+?-[0-9a-f]{8}-(.+?)(-aside)?", entry.name)
            if tail is not None and tail[1] == path.name and is_abandoned(entry):
                if not path.exists() and (entry / "model.safetensors").exists():
                    os.rename(entry, path)
                else:
                    _settle(entry, path)
    for folder in (path.parent, path, path / "checkpoint"):
        sweep(folder)


def remove(folder: Path) -> None:
    """Delete the files of a run in a folder, and the folder if nothing else is in it."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            if _is_own(Path(parent, name).relative_to(folder)):
                os.unlink(Path(parent, name))
        with contextlib.suppress(OSError):  # something that is no run's is in it
            os.rmdir(parent)


def _settle(folder: Path, path: Path) -> list[str]:
    """Remove a folder beside a run; what is in it and no run's is moved to the run in `path`."""
    remove(folder)
    if not folder.exists():
        return []
    path.mkdir(exist_ok=True)
    return [file.as_posix() for file in move_into(folder, path, replace=False)]


def _is_own(file: Path) -> bool:
    """Whether a file, relative to its folder, is one that a fit writes."""
    if file.name.startswith(RESERVED):
        return True
    patterns = [pattern.split("/") for pattern in OWN]
    return any(len(p) == len(file.parts) and all(map(fnmatchcase, file.parts, p)) for p in patterns)
