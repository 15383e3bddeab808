"""Samples and scores as files, in the form of the data."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.anomalies import Scores, mean_surprise
from ptheta.data import Split
from ptheta.data.codecs import FrameCodec, SoundCodec
from ptheta.errors import UsageError
from ptheta.files import replacing, replacing_folder, write_bytes
from ptheta.models import Autoregressive
from ptheta.numbers import nats
from ptheta.reporting.contexts import context_cells, gathered, groups_of, names_of, pictures_of
from ptheta.reporting.pictures import enlarged, fitted, grid, headed, save_picture, surprise_grid
from ptheta.runs import Run

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SHOWN = 1024
"""Events in a grid, at most."""

ROWS = 40
"""Contexts in a grid beside the files of all events, at most."""

SOUND = 192
"""Pixels across of a picture of a sound, about."""

AXES = "time to the right, pitch upwards, loud is bright"
"""What a picture of a sound shows."""

MAPPED = 24
"""Pictures whose surprise is drawn: the strangest ones."""


CAPTION = 32
"""Characters of a context beside its samples, at most."""

NAMED = 3
"""Columns that are named as making a row strange, at most."""


def write_events(
    run: Run, x: Tensor, directory: Path, context: Tensor | None, names: list[str] | None = None
) -> list[Path]:
    """Write events as files of the data's kind; for pictures also one grid of all, last.

    The grid is `samples.png`, or with contexts `contexts.png`, in which each of the first `ROWS` contexts has rows of
    its own.

    Args:
        run: whose codec writes.
        x: events [n, *shape].
        directory: made if missing; or one file, by its ending: a table, an array, the grid of pictures, one text.
        context: of each event [n, …], or None.
        names: of the contexts, for files and captions; None: found by the context's codec.

    Raises:
        UsageError: the events are no one file of that ending.
    """
    names = names_of(run, context) if names is None else names
    if directory.suffix and not directory.is_dir():
        return [_write_one(run, x, directory, context, names)]
    if isinstance(run.codec, FrameCodec):
        return [write_rows(run, x, directory / "sample.csv", context, names)]
    with replacing_folder(directory) as temporary:
        files = run.codec.write(x, temporary, "sample", names)
        if run.codec.is_picture:
            name = "samples.png" if context is None else "contexts.png"
            files.append(save_picture(sheet(run, x[:SHOWN], context, names, most=ROWS), temporary / name))
    return [directory / file.relative_to(temporary) for file in files]


def _write_one(run: Run, x: Tensor, path: Path, context: Tensor | None, names: list[str] | None) -> Path:
    if run.codec.is_picture and path.suffix.lower() == ".png":
        return save_picture(sheet(run, x[:SHOWN], context, names), path)
    if isinstance(run.codec, FrameCodec):
        return write_rows(run, x, path, context, names)
    with tempfile.TemporaryDirectory() as folder:
        files = run.codec.write(x, Path(folder), "sample", names)
        if path.suffix.lower() != files[0].suffix:
            kinds = ".png" if run.codec.is_picture else files[0].suffix
            raise UsageError(f"these samples cannot be a {path.suffix} file", f"name a folder or a {kinds} file")
        if len(files) > 1:
            raise UsageError(f"{len(x)} samples are {len(files)} files", "name a folder with --out")
        return write_bytes(path, files[0].read_bytes())


def write_rows(run: Run, x: Tensor, path: Path, context: Tensor | None, names: list[str] | None) -> Path:
    """Rows of a table after the columns of their contexts, or one column of captions."""
    assert isinstance(run.codec, FrameCodec)
    captions = None if names is None else {"context": names}
    return run.codec.write_frame(x, path, context_cells(run, context) or captions)


def write_scores(run: Run, events: Split, scores: Scores, path: Path) -> list[Path]:
    """Write scores of events as a Parquet file.

    Columns: `row`, the event's number in what is scored; `file`, if each event came from its own; `log_prob` in nats;
    `anomaly`, higher is stranger; `p_value`, its rank among the calibration events, if there were any; `reference`,
    nats that log p(x) was compared with, if any; with a context, `context`; and if they were kept,
    `log_prob_per_dimension`, a list in the flat order of the event's shape, with a PNG beside the file that maps the
    strangest pictures.

    Args:
        run: that scored.
        events: what was scored.
        scores: of the events.
        path: of the Parquet file.

    Returns:
        The files written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, object] = {"row": np.arange(len(events))}
    if events.files is not None:
        columns["file"] = events.files
    columns["log_prob"], columns["anomaly"] = scores.log_prob, scores.anomaly
    if scores.p_value is not None:
        columns["p_value"] = scores.p_value
    if scores.reference is not None:
        columns["reference"] = scores.reference
    if run.model.context_space is not None and events.context is not None:
        columns["context"] = names_of(run, events.events()[1])
    if scores.pieces is not None:
        flat = pa.array(scores.pieces.flatten().numpy())
        columns["log_prob_per_dimension"] = pa.FixedSizeListArray.from_arrays(flat, run.model.space.dimensions)
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
    files = [path]
    if scores.pieces is not None and run.codec.is_picture:
        files.append(save_picture(_surprise_sheet(run, events, scores), path.with_suffix(".png")))
    return files


def _surprise_sheet(run: Run, events: Split, scores: Scores) -> Picture:
    """Maps of the surprise of the strangest pictures, each with its row and nats."""
    assert scores.pieces is not None
    strangest = scores.ranking[:MAPPED]
    pictures = run.codec.pictures(events.x[strangest])
    captions = [f"{row}: {nats(-float(scores.log_prob[row]))}" for row in strangest]
    pieces = run.codec.upright(scores.pieces[torch.from_numpy(strangest)])
    maps = surprise_grid(pictures, pieces, captions=captions)
    return headed(maps, ["row: −log p in nats. Above the picture, below it −log p of every pixel; strangest first"])


def is_table(run: Run) -> bool:
    """Whether the events of a run are rows of a table and its model tells the surprise of each column."""
    return isinstance(run.codec, FrameCodec) and isinstance(run.model, Autoregressive)


def surprising_columns(run: Run, scores: Scores, events: Split, row: int) -> list[tuple[str, str, float]]:
    """The columns that make a row of a table strange; none for other events.

    The surprise of a column is −log p of its cell given those before it, and is told as its excess over the column's
    mean among the calibration events (among those scored, if there are none): densities of real columns have units, and
    differences of their logarithms have not.

    Returns:
        Name, value and excess in nats of at most `NAMED` columns of positive excess, most surprising first.
    """
    if scores.pieces is None or not is_table(run):
        return []
    usual = mean_surprise(scores.pieces) if scores.usual is None else scores.usual
    excess = (-scores.pieces[row] - usual).numpy()
    cells = run.codec.decode(events.x[row : row + 1]).iloc[0]
    most = [int(j) for j in np.argsort(-excess)[:NAMED] if excess[j] > 0]
    return [(str(cells.index[j]), str(cells.iloc[j]), float(excess[j])) for j in most]


def sheet(
    run: Run, x: Tensor, context: Tensor | None = None, names: list[str] | None = None, *, most: int | None = None
) -> Picture:
    """One grid of picture events [n, *space.shape]; given contexts, rows of each with its caption or picture.

    Events of one context stand together. Of sounds it says how to read it.

    Args:
        run: whose codec draws.
        x: events.
        context: of each event [n, …], or None.
        names: of the contexts; None: found by the context's codec.
        most: contexts that are shown, the first ones; None: all.
    """
    drawn = _sheet(run, x, context, names, most)
    return headed(drawn, [AXES]) if isinstance(run.codec, SoundCodec) else drawn


def _pictures(run: Run, x: Tensor) -> list[Picture]:
    """Events as pictures; those of sounds are large enough to look at."""
    pictures = run.codec.pictures(x)
    return [enlarged(picture, SOUND) for picture in pictures] if isinstance(run.codec, SoundCodec) else pictures


def _sheet(run: Run, x: Tensor, context: Tensor | None, names: list[str] | None, most: int | None) -> Picture:
    if context is None or (names is None and names_of(run, context[:1]) is None):
        return grid([*_pictures(run, x)])
    order = gathered(context[: len(x)])
    order = order[: sum(groups_of(context[order])[:most])]
    names = names_of(run, context[order]) if names is None else [names[i] for i in order.tolist()]
    x, context = x[order], context[order]
    assert names is not None
    pictures: list[Picture | None] = [*_pictures(run, x)]
    groups = groups_of(context)
    columns = _columns(groups)
    starts = np.cumsum([0, *groups])
    given = pictures_of(run, context[starts[:-1]])
    cells: list[Picture | None] = []
    titles: list[str] = []
    for number, size in enumerate(groups):
        rows, start = math.ceil(size / columns), int(starts[number])
        padded = [*pictures[start : start + size], *[None] * (rows * columns - size)]
        titles += [shortened(names[start], CAPTION) if given is None else "", *[""] * (rows - 1)]
        for row in range(rows):
            first = [] if given is None else [None if row else fitted(given[number], pictures[0])]
            cells += [*first, *padded[row * columns : (row + 1) * columns]]
    if given is None:
        return grid(cells, columns, titles=titles)
    headers = ["given", *[""] * columns]
    return grid(cells, columns + 1, headers=headers)


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters.

    >>> shortened("hand, medium skin tone", 12)
    'hand, mediu…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def _columns(groups: list[int]) -> int:
    """Columns of a grid that is about square, if every group begins a row and its rows are about equally long.

    >>> _columns([64]), _columns([22, 21, 21]), _columns([6] * 10)
    (8, 8, 6)
    """
    most = max(groups)
    columns = next(c for c in itertools.count(1) if sum(math.ceil(size / c) for size in groups) <= c or c == most)
    return math.ceil(most / math.ceil(most / columns))
