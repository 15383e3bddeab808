"""Samples, completions and scores as files, in the form of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ptheta.anomalies import Scores
from ptheta.data import Split
from ptheta.models import Autoregressive
from ptheta.reporting.columns import write_columns
from ptheta.reporting.contexts import given_of, names_of
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.pictures import save_picture
from ptheta.runs import Run

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def write_events(
    run: Run, x: Tensor, directory: Path, context: Tensor | None, names: list[str] | None = None
) -> list[Path]:
    """Write events as files of the data's kind; for pictures also one grid of all, last.

    The grid is `samples.png`, or with contexts `contexts.png`, in which each of the first ones has rows of its own.

    Args:
        run: whose codec writes.
        x: events [n, *shape].
        directory: made if missing; or one file, by its ending: a table, an array, the grid of pictures, one text.
        context: of each event [n, …], or None.
        names: of the contexts, for files and captions; None: from the context's codec.

    Raises:
        UsageError: the events cannot be one file of that ending.
    """
    names = names_of(run, context) if names is None else names
    return exhibit_of(run.codec).write(x, directory, given_of(run, context, names))


def write_scores(run: Run, events: Split, scores: Scores, path: Path) -> list[Path]:
    """Write scores of events as a Parquet or CSV file.

    Columns: `row`, the event's index in the source, from 0 on; `file`, if each came from its own; `log_prob` in nats,
    or `elbo`, a lower bound on it; `anomaly`, higher is stranger; `p_value`, its rank among the calibration events, if
    there were any; `reference`, nats that log p(x) was compared with, if any; `distance` from the nearest training
    events, of the scores that use it; with a context, `context`; and if they were kept, `log_prob_per_dimension`, a
    list in the flat order of the event's shape, with a PNG beside the file that maps the strangest pictures.

    Args:
        run: that scored.
        events: what was scored.
        scores: of the events.
        path: of the Parquet or CSV file.

    Returns:
        The files written.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {"row": events.source_rows}
    if events.files is not None:
        columns["file"] = events.files
    columns["elbo" if scores.is_bound else "log_prob"], columns["anomaly"] = scores.log_prob, scores.anomaly
    if scores.p_value is not None:
        columns["p_value"] = scores.p_value
    if scores.reference is not None:
        columns["reference"] = scores.reference
    if scores.distance is not None:
        columns["distance"] = scores.distance
    if run.model.context_space is not None and events.context is not None:
        columns["context"] = names_of(run, events.events()[1])
    if scores.pieces is not None:
        flat = pa.array(scores.pieces.flatten().numpy())
        columns["log_prob_per_dimension"] = pa.FixedSizeListArray.from_arrays(flat, run.model.space.dimensions)
    write_columns(columns, path)
    files = [path]
    pieces, contexts = scores.pieces, columns.get("context")
    strangest = None if pieces is None else exhibit_of(run.codec).strangest(events, scores, contexts)
    if strangest is not None:
        files.append(save_picture(strangest, path.with_suffix(".png")))
    return files


def gives_reasons(run: Run) -> bool:
    """Whether the surprise of single dimensions says which values make an event strange, as it does of a table."""
    return exhibit_of(run.codec).gives_reasons and isinstance(run.model, Autoregressive)


def reasons(run: Run, scores: Scores, events: Split, row: int) -> list[tuple[str, str, float]]:
    """What makes an event strange: name, value and excess in nats, most surprising first; none if nothing can say."""
    return exhibit_of(run.codec).reasons(scores, events, row) if gives_reasons(run) else []


def sheet(
    run: Run, x: Tensor, context: Tensor | None = None, names: list[str] | None = None, *, most: int | None = None
) -> Picture | None:
    """One grid of picture events [n, *space.shape]; given contexts, rows of each with its caption or picture.

    Events of one context stand together. Of sounds it says how to read it. None if events are not pictures.

    Args:
        run: whose events they are.
        x: events.
        context: of each event [n, …], or None.
        names: of the contexts; None: from the context's codec.
        most: contexts that are shown, the first ones; None: all.
    """
    return exhibit_of(run.codec).sheet(x, given_of(run, context, names), most=most)
