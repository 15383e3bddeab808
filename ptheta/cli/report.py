"""`ptheta report`: a page about a run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ptheta.cli.arguments import call
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Flag, Force, OptionalCount, RunArgument
from ptheta.cli.places import beside, output
from ptheta.errors import UsageError

if TYPE_CHECKING:
    from ptheta.data import Data
    from ptheta.runs import Run

OptionalSource = Annotated[str | None, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(report, args, "ptheta report")


def report(
    run: RunArgument,
    source: OptionalSource = None,
    *,
    out: Path | None = None,
    force: Force = False,
    n: OptionalCount = None,
    seed: int = 0,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Write one page of HTML about a run: curves, samples, calibration, surprise, columns, divergences.

    The page needs nothing else: no network, no other file.

    Args:
        run: run folder
        source: the run's own data at another place, or other data to judge it by; its own data, where they
            were, if left out
        out: HTML file; RUN-report.html beside the run if left out
        force: replace the file in --out
        n: number of events of each split to look at, and of samples; 64 to 1,000 by their size if left out
        seed: seed of the choice of events, the samples and everything else that is drawn
        device: auto, cpu or cuda
        json: print out, seconds and the main numbers as one JSON object on the last line
    """

    from ptheta.reporting import track
    from ptheta.reporting.report import SECTIONS, write_report
    from ptheta.runs import Run
    from ptheta.training import choose_device

    clock = time.perf_counter()
    if n is not None and n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    if out is not None and out.suffix not in (".html", ".htm"):
        raise UsageError(f"a report is HTML, not {out.suffix or 'a folder'}", "name an .html file")
    fitted = Run.load(run, choose_device(device))
    place = output(out, beside(run, "-report.html"), force)
    data = None if source is None else _read(fitted, source)
    with track("reporting", len(SECTIONS)) as advance:
        numbers = write_report(fitted, place, data, n=n, seed=seed, advance=advance)
    print(f"report: {place}", file=sys.stderr)
    if json:
        print_json({"out": str(place), "seconds": round(time.perf_counter() - clock, 2), **numbers})


def _read(run: Run, source: str) -> Data:
    """The run's own data, if the source holds them; other data, seen as the run sees its own."""
    return run.same(source) or run.read(source)
