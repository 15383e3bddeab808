"""Samples and scores as files, in the form of the data."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import UsageError
from ptheta.evaluation import log_probs
from ptheta.files import replacing, write_bytes
from ptheta.models import Autoregressive
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.runs import Run
from ptheta.spaces import Label

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SHOWN = 1024
"""Events in a grid, at most."""

MAPPED = 24
"""Pictures whose surprise is drawn: the most surprising ones."""


def write_events(run: Run, x: Tensor, directory: Path, context: Tensor | None) -> list[Path]:
    """Write events as files of the data's kind; for pictures also one grid of all, `samples.png`, last.

    Args:
        run: whose codec writes.
        x: events [n, *shape].
        directory: made if missing; or one file, by its ending: a table, an array, the grid of pictures, one text.
        context: class of each event [n], or None.

    Raises:
        UsageError: the events are no one file of that ending.
    """
    if directory.suffix and not directory.is_dir():
        return [_write_one(run, x, directory, context)]
    files = run.codec.write(x, directory, "sample", names_of(run, context))
    if run.codec.is_picture:
        files.append(save_picture(sheet(run, x[:SHOWN], context), directory / "samples.png"))
    return files


def _write_one(run: Run, x: Tensor, path: Path, context: Tensor | None) -> Path:
    if run.codec.is_picture and path.suffix.lower() == ".png":
        return save_picture(sheet(run, x[:SHOWN], context), path)
    with tempfile.TemporaryDirectory() as folder:
        files = run.codec.write(x, Path(folder), "sample", names_of(run, context))
        if path.suffix.lower() != files[0].suffix:
            kinds = ".png" if run.codec.is_picture else files[0].suffix
            raise UsageError(f"these samples cannot be a {path.suffix} file", f"name a folder or a {kinds} file")
        if len(files) > 1:
            raise UsageError(f"{len(x)} samples are {len(files)} files", "name a folder with --out")
        return write_bytes(path, files[0].read_bytes())


def write_scores(
    run: Run, events: Split, path: Path, *, per_dimension: bool, advance: Callable[[int], None]
) -> tuple[Tensor, list[Path]]:
    """Score events into a Parquet file.

    Columns: `row`, the event's number in what is scored; `log_prob` in nats; with a context, `context`; with
    `per_dimension`, `log_prob_per_dimension`, a list in the flat order of the event's shape, and for pictures a PNG
    beside the file that maps the most surprising ones.

    Returns:
        log p [n] in nats, and the files written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    model = run.model
    columns: dict[str, object] = {}
    if isinstance(model.context_space, Label) and events.context is not None:
        columns["context"] = np.array(model.context_space.names)[np.asarray(events.context)]
    if per_dimension and isinstance(model, Autoregressive):
        parts = []
        for start in range(0, len(events), 128):
            x, context = events.events(torch.arange(start, min(start + 128, len(events))))
            with torch.no_grad():
                parts.append(model.log_prob_per_dimension(x, context).cpu())
            advance(len(x))
        pieces = torch.cat(parts)
        log_prob = pieces.flatten(1).sum(1)
        flat = pa.array(pieces.flatten().numpy())
        columns["log_prob_per_dimension"] = pa.FixedSizeListArray.from_arrays(flat, model.space.dimensions)
    else:
        pieces = None
        log_prob = log_probs(model, events, advance=advance)
    table = pa.table({"row": np.arange(len(log_prob)), "log_prob": log_prob.numpy(), **columns})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    files = [path]
    if pieces is not None and run.codec.is_picture:
        worst = log_prob.argsort()[:MAPPED]
        pictures = run.codec.decode(events.events(worst)[0])
        files.append(save_picture(surprise_grid(pictures, pieces[worst]), path.with_suffix(".png")))
    return log_prob, files


def sheet(run: Run, x: Tensor, context: Tensor | None = None) -> Picture:
    """One grid of picture events [n, *space.shape]; given labels, rows of each label with its name, in their order."""
    pictures: list[Picture | None] = [*run.codec.decode(x)]
    names = names_of(run, None if context is None else context[: len(x)])
    if names is None:
        return grid(pictures)
    groups = [len(list(group)) for _, group in itertools.groupby(names)]
    columns = _columns(groups)
    cells: list[Picture | None] = []
    titles: list[str] = []
    for size in groups:
        rows = math.ceil(size / columns)
        start = sum(cell is not None for cell in cells)
        titles += [names[start][:16], *[""] * (rows - 1)]
        cells += [*pictures[start : start + size], *[None] * (rows * columns - size)]
    return grid(cells, columns, titles=titles)


def names_of(run: Run, context: Tensor | None) -> list[str] | None:
    """Names of the labels of events [n]; None if they have none."""
    labels = run.model.context_space
    if context is None or not isinstance(labels, Label):
        return None
    return [labels.names[int(row)] for row in context]


def _columns(groups: list[int]) -> int:
    """Columns of a grid that is about square, if every group begins a row and its rows are about equally long.

    >>> _columns([64]), _columns([22, 21, 21]), _columns([6] * 10)
    (8, 8, 6)
    """
    most = max(groups)
    columns = next(c for c in itertools.count(1) if sum(math.ceil(size / c) for size in groups) <= c or c == most)
    return math.ceil(most / math.ceil(most / columns))
