"""`ptheta zoo`: the families of models."""

from __future__ import annotations

import sys
from dataclasses import asdict

from ptheta.cli.arguments import call
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Flag

HIDDEN = ("path", "small", "variants")
"""Fields of a row that are for the software, not for people."""


def main(args: list[str]) -> None:
    """Parse and run."""
    call(zoo, args, "ptheta zoo")


def zoo(*, json: Flag = False) -> None:
    """List the families of models, what they can model and what their density is, and the presets of `ptheta fit`.

    Args:
        json: print the list as one JSON object on the last line
    """
    from rich.table import Table

    from ptheta.models import ZOO
    from ptheta.presets import PRESETS
    from ptheta.terminal import console

    table = Table("model", "density", "events", "what it is", box=None, pad_edge=False)
    for row in ZOO.values():
        table.add_row(row.name, row.density, row.events, row.summary)
    recipes = Table("preset", "model", "minutes", "for", box=None, pad_edge=False)
    for recipe in PRESETS.values():
        recipes.add_row(recipe.name, recipe.model, f"{recipe.minutes:g}", recipe.summary)
    shown = console(sys.stderr if json else sys.stdout)
    shown.print(table)
    shown.print()
    shown.print(recipes)
    if json:
        rows = [{k: v for k, v in asdict(row).items() if k not in HIDDEN} for row in ZOO.values()]
        print_json({"models": rows, "presets": [asdict(recipe) for recipe in PRESETS.values()]})
