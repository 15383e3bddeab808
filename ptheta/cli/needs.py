"""Flags that have no effect without another one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """Marks a flag that has no effect without another one, and is refused without it (`ptheta.cli.arguments.call`).

    Args:
        flag: name of the other parameter.
        remedy: what to do; empty: give the other flag too.
    """

    flag: str
    remedy: str = ""
