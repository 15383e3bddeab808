"""The folder of a run on the disk: what in it is the run's, and how a new run takes the place of an old one.

A new run is built in a folder beside the old one, and the two then swap their names. The folder beside now holds the
old run, or after a crash perhaps still the new one: the files of a run in it are removed, and whatever else lies there
is moved to the run that stays, so that nothing is ever removed that ptheta did not write.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from ptheta.files import exchange, is_abandoned, move_into, sweep, temporary_name
from ptheta.listing import RESERVED, entries

STAGED = f"{RESERVED}staged-"
"""Prefix of folders in which a run is built that replaces another."""

_MADE = r"(?:-\w{0,40})?\.(?:png|wav|txt|npy|csv)"

OWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"config\.json",
        r"model\.safetensors",
        r"metrics\.jsonl",
        r"checkpoint/state\.safetensors",
        r"samples\.(?:png|txt|csv|npy)",
        rf"samples-\d{{4,}}{_MADE}",
        rf"samples/sample-\d{{4,}}{_MADE}",
        r"copies\.png",
        r"surprise\.(?:png|html)",
        r"tensorboard/events\.out\.tfevents\.[^/]*",
    )
)
"""Files that a fit writes into its folder."""

WHOLE = {"config.json", "model.safetensors"}
"""Files that every run folder has."""

SEAL = "<!-- written by ptheta, sha256 {} -->\n"
"""Last line of a model card, with the digest of what stands above it: a card that a person has edited is theirs."""


def is_run(folder: Path) -> bool:
    """Whether a folder is a run."""
    return {entry.name for entry in entries(folder)} >= WHOLE


def sealed(card: str) -> str:
    """A model card with its seal."""
    card = card.encode("utf-8", "backslashreplace").decode()  # bytes of file names that are not UTF-8
    return card + SEAL.format(hashlib.sha256(card.encode()).hexdigest())


def staging(path: Path) -> Path:
    """A new folder beside `path` in which a run is built that will take its place."""
    return temporary_name(path.parent, f"-{_digest(path)}", STAGED)


def install(staged: Path, path: Path) -> list[str]:
    """Let a whole staged run take the place of the one in `path`.

    Returns:
        Files that were in the old folder and are not part of a run, which are in the new one now; and the folder that
        holds what could not be moved, if there is such.

    Raises:
        OSError: the names cannot be swapped; both folders are as they were.
    """
    if path.exists():
        exchange(staged, path, staging(path))
    else:  # it was removed in the meantime
        os.rename(staged, path)
    try:
        kept = _settle(staged, path)
    except OSError:
        kept = []
    return [*kept, str(staged)] if staged.exists() else kept


def share(folder: Path, staged: Path, besides: Collection[str]) -> None:
    """Give a staged run the files of the run that it is a later state of.

    Args:
        folder: of the run.
        staged: what will take its place.
        besides: names of files that the staged run has already.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent, name)
            relative = file.relative_to(folder)
            if relative.as_posix() in besides or name.startswith(RESERVED) or not _is_own(folder, file):
                continue
            (staged / relative).parent.mkdir(exist_ok=True)
            try:
                os.link(file, staged / relative)  # what still writes to it goes on writing to both
            except OSError:  # of a file system without
                shutil.copy2(file, staged / relative)


def is_fixed(path: Path) -> bool:
    """Whether a folder cannot change its name: it is a link, a mount or a working folder, or lies in a closed one."""
    inside = Path.cwd().is_relative_to(path.resolve())
    return inside or path.is_symlink() or path.is_mount() or not os.access(path.resolve().parent, os.W_OK)


def recover(path: Path) -> None:
    """Finish, or undo, what a process that died while it replaced the run in `path` has left behind."""
    path = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for entry in sorted(path.parent.glob(f"{STAGED}*-{_digest(path)}")):
            if is_abandoned(entry):
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
            if _is_own(folder, Path(parent, name)):
                os.unlink(Path(parent, name))
        with contextlib.suppress(OSError):  # something that is not a run's is in it
            os.rmdir(parent)


def _settle(folder: Path, path: Path) -> list[str]:
    """Remove a folder beside a run; what is in it and no run's is moved to the run in `path`."""
    remove(folder)
    if not folder.exists():
        return []
    path.mkdir(exist_ok=True)
    spared = spare_card(folder, path)
    return spared + [file.as_posix() for file in move_into(folder, path, replace=False)]


def spare_card(folder: Path, into: Path) -> list[str]:
    """Give a model card that a person has edited another name, since the next card gets its own; returns that name."""
    card = folder / "README.md"
    if not os.path.lexists(card) or _is_own(folder, card):
        return []
    free = next(name for k in itertools.count(1) if not os.path.lexists(into / (name := f"README-{k}.md")))
    os.rename(card, into / free)
    return [free]


def _digest(path: Path) -> str:
    """Of a folder's name, which may be too long to be part of another one."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]


def _is_own(folder: Path, file: Path) -> bool:
    """Whether a file in a run folder is one that a fit writes, and nobody has edited since."""
    relative = file.relative_to(folder)
    if file.is_symlink():
        return False
    if file.name.startswith(RESERVED):
        return True
    if relative.as_posix() == "README.md":
        *above, _ = file.read_bytes().decode("utf-8", "replace").splitlines(keepends=True) or [""]
        return file.read_bytes() == sealed("".join(above)).encode()
    return any(pattern.fullmatch(relative.as_posix()) for pattern in OWN)
