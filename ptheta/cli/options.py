"""Arguments that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Needs:
    """Marks a flag that has no effect without another one, and is refused without it (`ptheta.cli.arguments.call`).

    Args:
        flag: name of the other parameter.
        remedy: what to do; empty: give the other flag too.
    """

    flag: str
    remedy: str = ""


SourceArgument = Annotated[str, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]
ModelArgument = Annotated[str | None, tyro.conf.arg(metavar="MODEL"), tyro.conf.Positional]
RunArgument = Annotated[Path, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
Count = Annotated[int, tyro.conf.arg(aliases=["-n"])]
OptionalCount = Annotated[int | None, tyro.conf.arg(aliases=["-n"])]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Values = Annotated[list[str], tyro.conf.arg(metavar="VALUE …")]
Texts = Annotated[list[str], tyro.conf.arg(metavar="TEXT …")]
Force = Annotated[bool, tyro.conf.FlagCreatePairsOff, Needs("out", "name with --out what it may replace")]
