"""`ptheta info`: what a run folder holds."""

from __future__ import annotations

import sys

from ptheta.cli.arguments import call
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Flag, RunArgument


def main(args: list[str]) -> None:
    """Parse and run."""
    call(info, args, "ptheta info")


def info(run: RunArgument, *, json: Flag = False) -> None:
    """Print a run's card: model, spaces, data, settings, score. The folder is verified first.

    Args:
        run: run folder
        json: print the card as one JSON object on the last line
    """
    from rich.table import Table
    from rich.text import Text

    from ptheta.numbers import jsonable
    from ptheta.reporting import card_rows
    from ptheta.runs import Run
    from ptheta.terminal import console

    fitted = Run.load(run)
    if json:
        known = {"run": str(run), "parameters": jsonable(fitted.model.free_parameters), "results": fitted.results()}
        print_json(known | {"remarks": fitted.remarks} | fitted.config)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in card_rows(fitted):
        table.add_row(Text(name, "bold"), value)
    for remark in fitted.remarks:
        table.add_row(Text("note", "bold"), remark)
    console(sys.stdout).print(table)
