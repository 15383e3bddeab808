"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from ptheta.cli.needs import Needs

OwnSource = Annotated[str | None, tyro.conf.arg(metavar="[SOURCE]"), tyro.conf.Positional]
SourceArgument = Annotated[str, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]
ModelArgument = Annotated[str | None, tyro.conf.arg(metavar="[MODEL]"), tyro.conf.Positional]
RunArgument = Annotated[Path, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
Count = Annotated[int, tyro.conf.arg(aliases=["-n"])]
OptionalCount = Annotated[int | None, tyro.conf.arg(aliases=["-n"])]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Values = Annotated[list[str], tyro.conf.arg(metavar="VALUE …")]
Models = Annotated[list[str], tyro.conf.arg(metavar="MODEL …")]
Texts = Annotated[list[str], tyro.conf.arg(metavar="TEXT …")]
Force = Annotated[bool, tyro.conf.FlagCreatePairsOff, Needs("out", "name with --out what it may replace")]
