"""The report of a run: one page of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ptheta.data import Data
from ptheta.errors import PthetaError, SourceError, UsageError
from ptheta.files import write_text
from ptheta.reporting.markup import paragraph, safe
from ptheta.reporting.report.about import files, head, learning, the_run
from ptheta.reporting.report.drawn import samples
from ptheta.reporting.report.evidence import FAILURES, Evidence, suited
from ptheta.reporting.report.judged import calibration, divergences
from ptheta.reporting.report.page import Section, page
from ptheta.reporting.report.surprises import surprise
from ptheta.reporting.report.tables import columns
from ptheta.runs import Run

SECTIONS: dict[str, Callable[[Evidence], Section | None]] = {
    "The run": the_run,
    "Learning": learning,
    "Samples": samples,
    "Calibration": calibration,
    "Surprise": surprise,
    "Columns": columns,
    "Divergences": divergences,
    "From here": files,
}
"""Parts of the page in order; one that does not suit the run's space is None."""


def write_report(
    run: Run,
    path: str | Path,
    data: Data | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Any]:
    """Write the report of a run.

    The same run, data, n and seed give the same page.

    Args:
        run: to report on.
        path: of the page.
        data: that it is judged by; None: the run's own.
        n: events looked at in every split, and samples; None: as many as suit their size.
        seed: of the choice of events, the samples and all else that is drawn.
        advance: called with 1 after each part of `SECTIONS`.

    Returns:
        The main numbers by name, JSON values.

    Raises:
        UsageError: n is below 1.
        SourceError: the run's data are no longer to be had, or there are no events to judge by.
    """
    if n is not None and n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    own = data is None or data.fingerprint == run.config["data"]["fingerprint"]
    data = run.data if data is None else data
    evidence = Evidence(run, data, own, n or suited(run.model.space.dimensions), seed, Path(path))
    if data.codec != run.codec:
        raise SourceError(
            f"{data.source} now gives {data.space}, not in the form that {run.path} was fitted on",
            "name a SOURCE to judge the run by; it is read as the run's own data were",
        )
    if not len(data.splits[evidence.heldout]):
        raise SourceError(f"{data.name} has no events to judge by", "give another source")
    title, lead, numbers = head(evidence)
    sections = []
    for name, build in SECTIONS.items():
        section = _built(name, build, evidence)
        if section is not None:
            sections.append(section)
            numbers |= section.numbers
        advance(1)
    foot = (
        f"Written by ptheta {version('ptheta')} from at most {evidence.n:,} events of each split, seed {seed}. "
        f"Nats of different spaces cannot be compared: these are of {run.model.space}."
    )
    write_text(Path(path), page(title, lead, sections, safe(foot)))
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}


def _built(name: str, build: Callable[[Evidence], Section | None], evidence: Evidence) -> Section | None:
    """A part of the page, or in its place what went wrong."""
    try:
        return build(evidence)
    except FAILURES as error:
        problem = error.problem if isinstance(error, PthetaError) else "there is too little memory"
        return Section(name, paragraph(f"This part could not be made: {problem}.", cls="warning"))
