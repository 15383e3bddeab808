"""What a fit leaves to look at in its run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, FrameCodec, SoundCodec, TextCodec
from ptheta.errors import PthetaError, UsageError
from ptheta.evaluation.nats import suited_batch
from ptheta.files import write_bytes
from ptheta.models import Autoregressive
from ptheta.numbers import nats, plural
from ptheta.reporting.contexts import lines_of, names_of, shown_contexts
from ptheta.reporting.copies import copy_check
from ptheta.reporting.documents import write_text_surprise
from ptheta.reporting.pictures import headed, save_picture, surprise_grid, surprise_scale, together
from ptheta.reporting.samples import sheet, write_rows
from ptheta.reporting.surprise import END
from ptheta.runs import Run
from ptheta.sampling import Effort, PatienceError

CELLS = 64
"""Events in the overview of a run, about."""

FEWER = (16, 4)
"""Events in the overview if more would take too long."""

TEXTS = 16
"""Texts in the overview of a run."""

HEARD = 8
"""Sounds in the overview of a run."""

SCORED = 1000
"""Events among which the most surprising ones are sought."""

MAPPED = 12
"""Most surprising events whose surprise is mapped, and as many typical ones."""

PATIENCE = 10.0
"""Seconds after which no more events are scored to find surprising ones."""

FAILURES = PthetaError, MemoryError, torch.OutOfMemoryError
"""What may go wrong here without harm to the fit."""


def write_overview(
    run: Run, seed: int = 0, *, patience: float = math.inf, say: Callable[[str], None] = print
) -> list[Path]:
    """Write samples in the form of the data; of pictures also copies.png and surprise.png, of text surprise.html.

    What cannot be written is left out, which is reported.

    Args:
        run: its model samples, its data are compared with.
        seed: of the samples.
        patience: seconds that drawing may take; fewer samples are drawn where it would take longer.
        say: hears what could not be written, and whether samples are copies.

    Returns:
        The files written.
    """
    files: list[Path] = []
    x: Tensor | None = None
    try:
        x, written = _samples(run, seed, patience, say)
        files += written
    except FAILURES as error:
        say(f"no samples were written: {_problem(error)}")
    rest: dict[str, Callable[[], list[Path]]] = {}
    if run.codec.is_picture and run.has_data:
        rest = {
            "picture of copies": lambda: write_copies(run, x, say),
            "picture of surprise": lambda: write_surprise(run),
        }
    elif isinstance(run.codec, TextCodec):
        rest = {"page of surprise": lambda: write_text_surprise(run)}
    for what, write in rest.items():
        try:
            files += write()
        except FAILURES as error:
            say(f"no {what} was written: {_problem(error)}")
    return files


def write_copies(run: Run, x: Tensor | None, say: Callable[[str], None] = print) -> list[Path]:
    """Write copies.png, samples x [n, *space.shape] beside their nearest training pictures, and log what was found."""
    if x is None or not len(x):
        return []
    record, picture = copy_check(run.codec, run.data, x)
    run.log({"copies": record})
    if record["identical"] > record.get("heldout_identical", 0):
        say(copies_line(record))
    return [save_picture(picture, run.path / "copies.png")]


def write_surprise(run: Run) -> list[Path]:
    """Write surprise.png: the surprise of every pixel of unseen events, the most surprising ones and typical ones."""
    model = run.model
    name = next((name for name in ("test", "validation") if name in run.data.splits), None)
    if not isinstance(model, Autoregressive) or name is None:
        return []
    split = run.data.splits[name]
    rows = np.random.default_rng(0).choice(len(split), min(SCORED, len(split)), replace=False)
    size = suited_batch(model)
    parts: list[Tensor] = []
    clock = time.perf_counter()
    for start in range(0, len(rows), size):
        with torch.no_grad():
            parts.append(model.log_prob(*split.events(rows[start : start + size])).cpu())
        if time.perf_counter() - clock > PATIENCE and start + size >= 2 * MAPPED:
            break
    log_prob = torch.cat(parts)
    order = log_prob.argsort()
    n, most = len(order), min(MAPPED, len(order))
    middle = max(most, n // 2 - MAPPED // 2)
    chosen = {
        f"the {most} most surprising of {n:,} {name} pictures": order[:most],
        "typical ones, around the median": order[middle : middle + MAPPED],
    }
    chosen = {line: part for line, part in chosen.items() if len(part)}
    pieces = {line: _pieces(run, *split.events(rows[part.numpy()])) for line, part in chosen.items()}
    top = surprise_scale(torch.cat(list(pieces.values())))
    blocks = []
    for line, part in chosen.items():
        pictures = run.codec.pictures(split.x[rows[part.numpy()]])
        captions = [f"{-value:.1f}" if math.isfinite(value) else nats(-value) for value in log_prob[part].tolist()]
        blocks.append(headed(surprise_grid(pictures, pieces[line], top=top, captions=captions), [line]))
    scale = "pictures above −log p of their pixels, as the model visits them:"
    scale += f" black is 0 nats, the brightest {top:.2g} nats or more; below: nats of the whole picture"
    picture = headed(together(blocks, gap=12, down=True), [scale])
    return [save_picture(picture, run.path / "surprise.png")]


_LINKED = {
    "samples": ("samples.txt", "texts drawn from it."),
    "surprise": ("surprise.html", "−log p of every token of unseen text; open it in a browser."),
}
"""What a run on text has instead of pictures."""


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
    lines: list[str] = []
    for name in names:
        if (run.path / f"{name}.png").exists():
            words = explained.get(name)
            lines += [*([words, ""] if words else []), f"![{name}]({name}.png)", ""]
        elif name in _LINKED and (run.path / _LINKED[name][0]).exists():
            file, words = _LINKED[name]
            lines += [f"[{file}]({file}): {words}", ""]
    return lines


def copies_line(record: dict[str, Any]) -> str:
    """What a copy check found, in a sentence.

    >>> copies_line({"samples": 64, "identical": 1, "nearest_rms_median": 20.04, "searched": 500, "train": 500})
    '1 of 64 samples equals a training picture; median distance to the nearest one (of 255): samples 20.0.'
    """
    equals = f"equal{'s' if record['identical'] == 1 else ''} a training picture"
    counts, distances = "", ""
    if "heldout" in record:
        real = f"{record['heldout_split']} pictures"
        counts = f", {record['heldout_identical']} of {record['heldout']} {real}"
        distances = f", {real} {record['heldout_rms_median']:.1f}"
    part = f"; {record['searched']:,} of {record['train']:,} were searched" * (record["searched"] < record["train"])
    return (
        f"{record['identical']} of {record['samples']} samples {equals}{counts}; median distance to the nearest one "
        f"(of 255): samples {record['nearest_rms_median']:.1f}{distances}{part}."
    )


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
    """Samples and the files they are written to; given contexts, a row of a grid for each of some."""
    context = shown_contexts(run)
    if isinstance(run.codec, TextCodec | DocumentCodec):
        x, context = _drawn(run, TEXTS if context is None else len(context), context, seed, patience, say)
        text = _in_one(run.codec, x, names_of(run, context))
        return x, [write_bytes(run.path / "samples.txt", text.encode())]
    n = HEARD if isinstance(run.codec, SoundCodec) and not run.codec.is_picture else CELLS
    x, context = _drawn(run, n if context is None else len(context), context, seed, patience, say)
    if not isinstance(run.codec, SoundCodec):
        if run.codec.is_picture:
            return x, [save_picture(sheet(run, x, context), run.path / "samples.png")]
        if isinstance(run.codec, FrameCodec):
            return x, [write_rows(run, x, run.path / "samples.csv", context, names_of(run, context))]
        return x, run.codec.write(x, run.path, "samples", names_of(run, context))
    sheets = [save_picture(sheet(run, x, context), run.path / "samples.png")] if run.codec.is_picture else []
    rows = np.unique(np.linspace(0, len(x) - 1, HEARD).astype(np.int64))
    names = names_of(run, None if context is None else context[rows])
    return x, [*sheets, *run.codec.write(x[rows], run.path / "samples", context_names=names)]


def _in_one(codec: TextCodec | DocumentCodec, x: Tensor, names: list[str] | None) -> str:
    """Texts one below the other, with a mark where a document ends; whole texts after their contexts, if any."""
    if isinstance(codec, DocumentCodec) and names is not None:
        return lines_of(codec.decode(x), names)
    parts = []
    lengths = codec.space.lengths(x).tolist() if isinstance(codec, DocumentCodec) else [x.shape[1]] * len(x)
    for i, (row, k) in enumerate(zip(x.tolist(), lengths)):
        text = b"".join(END.encode() + b"\n" if token == codec.end else codec.piece(token) for token in row[:k])
        given = "" if names is None else f", {names[i]}"
        parts.append(f"── {i + 1} of {len(x)}{given} ──\n{text.decode('utf-8', 'replace')}\n")
    return "\n".join(parts)


def _pieces(run: Run, x: Tensor, context: Tensor | None) -> Tensor:
    """log p of every dimension, nats [n, *space.shape]."""
    assert isinstance(run.model, Autoregressive)
    size, parts = suited_batch(run.model), []
    with torch.no_grad():
        for rows in torch.arange(len(x)).split(size):
            given = None if context is None else context[rows]
            parts.append(run.model.log_prob_per_dimension(x[rows], given).cpu())
    return run.codec.upright(torch.cat(parts))


def _problem(error: BaseException) -> str:
    return error.problem if isinstance(error, PthetaError) else "there is too little memory"
