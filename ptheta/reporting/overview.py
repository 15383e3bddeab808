"""What a fit leaves to look at in its run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from ptheta.errors import PthetaError, UsageError
from ptheta.models import Autoregressive
from ptheta.numbers import plural
from ptheta.reporting.contexts import given_of, shown_contexts
from ptheta.reporting.copies import copies_line
from ptheta.reporting.exhibits import exhibit_of
from ptheta.runs import Run
from ptheta.sampling import Effort, PatienceError

FEWER = (16, 8, 4, 2, 1)
"""Events in the overview if more would take too long."""

DRAWING = 0.6
"""Part of the time that drawing samples may take."""

FAILURES = PthetaError, MemoryError, torch.OutOfMemoryError
"""What may go wrong here without harm to the fit."""


def write_overview(
    run: Run,
    seed: int = 0,
    *,
    patience: float = math.inf,
    say: Callable[[str], None] = print,
    during: Callable[[str], AbstractContextManager[None]] = nullcontext,
) -> list[Path]:
    """Write samples in the form of the data; of pictures also copies.png and surprise.png, of text surprise.html.

    What cannot be written is left out, which is reported.

    Args:
        run: its model samples, its data are compared with.
        seed: of the samples.
        patience: seconds that all may take, about: most of them are for drawing, and fewer samples are drawn where
            that would take longer; the others are for the pictures.
        say: is called with what could not be written, and with whether samples are copies.
        during: shows what is being done.

    Returns:
        The files written.
    """
    files: list[Path] = []
    x: Tensor | None = None
    until = time.perf_counter() + patience
    try:
        with during("drawing samples"):
            x, written = _samples(run, seed, DRAWING * patience, say)
        files += written
    except FAILURES as error:
        say(f"no samples were written: {_problem(error)}")
    extras = exhibit_of(run.codec).extras(run, x, say)
    for number, (what, write) in enumerate(extras.items()):
        try:
            with during(f"making the {what}"):
                left = (until - time.perf_counter()) / (len(extras) - number)
                files += write(max(left, patience / 8))
        except FAILURES as error:
            say(f"no {what} was written: {_problem(error)}")
    return files


def file_lines(run: Run, *names: str) -> list[str]:
    """Lines of Markdown that show some of the pictures of a run folder, or link its pages, each explained.

    Args:
        run: whose folder is looked into.
        names: samples, copies, surprise; what is not there is left out.
    """
    record = next((line["copies"] for line in reversed(run.metrics()) if "copies" in line), None)
    explained = {
        "copies": copies_line(record) if record else "",
        "surprise": "−log p of every pixel of unseen pictures: dark is expected, bright is surprising.",
    }
    pages = exhibit_of(run.codec).pages
    lines: list[str] = []
    for name in names:
        if (run.path / f"{name}.png").exists():
            words = explained.get(name)
            lines += [*([words, ""] if words else []), f"![{name}]({name}.png)", ""]
        elif name in pages and (run.path / pages[name][0]).exists():
            file, words = pages[name]
            lines += [f"[{file}]({file}): {words}", ""]
    return lines


def _drawn(
    run: Run, n: int, context: Tensor | None, seed: int, patience: float, say: Callable[[str], None]
) -> tuple[Tensor, Tensor | None]:
    """At most n events and their contexts, fewer if all would take longer than `patience`, seconds.

    Raises:
        UsageError: even a few would.
    """
    if not isinstance(run.model, Autoregressive):
        return run.model.sample(n, context, seed=seed).cpu(), context
    until, seconds = time.perf_counter() + patience, 0.0
    for count in dict.fromkeys(min(n, most) for most in (n, *FEWER)):
        rows = None if context is None else context[:count]
        try:
            x = run.model.sample(count, rows, seed=seed, effort=Effort(until - time.perf_counter())).cpu()
        except PatienceError as error:
            seconds = seconds or error.seconds
            continue
        if count < n:
            say(f"{plural(count, 'sample')}, since {n} would take about {seconds:.0f} s; ptheta sample draws more")
        return x, rows
    raise UsageError(f"{n} would take about {seconds:.0f} s; ptheta sample draws them", "wait for them")


def _samples(run: Run, seed: int, patience: float, say: Callable[[str], None]) -> tuple[Tensor, list[Path]]:
    """Samples and the files they are written to; given contexts, some of each."""
    exhibit, context = exhibit_of(run.codec), shown_contexts(run)
    n = exhibit.overview if context is None else len(context)
    x, context = _drawn(run, n, context, seed, patience, say)
    return x, exhibit.write_overview(x, run.path, given_of(run, context))


def _problem(error: BaseException) -> str:
    return error.problem if isinstance(error, PthetaError) else "there is too little memory"
