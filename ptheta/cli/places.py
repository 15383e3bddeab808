"""Where a command writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from ptheta.errors import BusyError, UsageError
from ptheta.files import claim
from ptheta.listing import entries, is_folder
from ptheta.run_folders import is_run


def beside(run: Path, ending: str) -> Path:
    """A path beside a run folder, named after it.

    >>> beside(Path("runs/digits-made"), "-samples").as_posix()
    'runs/digits-made-samples'
    """
    folder = run if run.name not in ("", "..") else run.resolve()
    return folder.with_name(f"{folder.name}{ending}")


_held: ContextVar[ExitStack] = ContextVar("_held")
"""Places that the command at hand writes to; no other process does until it ends."""


@contextmanager
def holding() -> Iterator[None]:
    """Keep the places that `output` gives to this command until it ends."""
    with ExitStack() as held:
        token = _held.set(held)
        try:
            yield
        finally:
            _held.reset(token)


def output(path: Path | None, default: Path, force: bool) -> Path:
    """Where to write: the given place, which must be free unless forced, or a fresh one named after `default`.

    No other process can write there until the command ends.

    Raises:
        UsageError: the given place is taken, or a run.
        BusyError: another process writes to it.
    """
    number = 1
    while path is None:
        fresh = default if number == 1 else default.with_name(f"{default.stem}-{number}{default.suffix}")
        number += 1
        if not fresh.exists():
            with suppress(BusyError):
                _held.get().enter_context(claim(fresh))
                if not fresh.exists():
                    return fresh
    if is_folder(path) and is_run(path):
        raise UsageError(f"{path} is a run, which only a fit replaces", "choose another --out")
    _held.get().enter_context(claim(path))
    taken = path.exists() and (path.is_file() or bool(entries(path)))
    if taken and not force:
        raise UsageError(f"{path} exists", "choose another --out, or replace it with --force")
    return path
