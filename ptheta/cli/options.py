"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ptheta.errors import UsageError

SourceArgument = Annotated[str, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]
ModelArgument = Annotated[str | None, tyro.conf.arg(metavar="MODEL"), tyro.conf.Positional]
RunArgument = Annotated[Path, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
Count = Annotated[int, tyro.conf.arg(aliases=["-n"])]
OptionalCount = Annotated[int | None, tyro.conf.arg(aliases=["-n"])]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Values = Annotated[list[str], tyro.conf.arg(metavar="VALUE …")]
Texts = Annotated[list[str], tyro.conf.arg(metavar="TEXT …")]
Tokenizer = Literal["bytes", "characters", "bpe"]
Sound = Literal["spectrogram", "waveform"]
Columns = Literal["auto", "mixed", "real", "categories"]
Fit = Literal["crop", "pad", "stretch"]


def beside(run: Path, ending: str) -> Path:
    """A path beside a run folder, named after it.

    >>> beside(Path("runs/digits-made"), "-samples").as_posix()
    'runs/digits-made-samples'
    """
    folder = run if run.name not in ("", "..") else run.resolve()
    return folder.with_name(f"{folder.name}{ending}")


def output(path: Path | None, default: Path, force: bool) -> Path:
    """Where to write: the given place, which must be free unless forced, or a fresh one named after `default`.

    Raises:
        UsageError: the given place is taken.
    """
    if path is None:
        number = 2
        fresh = default
        while fresh.exists():
            fresh = default.with_name(f"{default.stem}-{number}{default.suffix}")
            number += 1
        return fresh
    taken = path.exists() and (path.is_file() or any(path.iterdir()))
    if taken and not force:
        raise UsageError(f"{path} exists", "choose another --out, or replace it with --force")
    return path
