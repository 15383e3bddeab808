"""Samples, scores and completions as files, in the form of the data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import SourceError, UsageError
from ptheta.evaluation import log_probs
from ptheta.files import replacing, write_bytes
from ptheta.models import Autoregressive
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.runs import Run
from ptheta.spaces import Image, Label, Space

CELLS = 64
"""Events in the overview of a run, about."""

MAPPED = 24
"""Pictures whose surprise is drawn: the most surprising ones."""


def write_overview(run: Run, seed: int = 0) -> list[Path]:
    """Write samples.png, or samples.csv or .txt, into the run folder.

    A conditional model gets a row of the grid for each of its first labels.

    Args:
        run: its model samples.
        seed: of the samples.
    """
    labels = run.model.context_space
    context, columns, titles = None, 8, None
    if isinstance(labels, Label):
        rows = min(labels.levels, 12)
        columns = max(1, CELLS // rows)
        context = torch.arange(rows).repeat_interleave(columns)
        titles = [name[:16] for name in labels.names[:rows]]
    x = run.model.sample(CELLS if context is None else len(context), context, seed=seed).cpu()
    if run.codec.is_picture:
        return [save_picture(_sheet(run, x, columns, titles), run.path / "samples.png")]
    return run.codec.write(x, run.path, "samples", _names(run, context))


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
    files = run.codec.write(x, directory, "sample", _names(run, context))
    if run.codec.is_picture:
        files.append(save_picture(_sheet(run, x[:1024]), directory / "samples.png"))
    return files


def _write_one(run: Run, x: Tensor, path: Path, context: Tensor | None) -> Path:
    if run.codec.is_picture and path.suffix.lower() == ".png":
        return save_picture(_sheet(run, x[:1024]), path)
    with tempfile.TemporaryDirectory() as folder:
        files = run.codec.write(x, Path(folder), "sample", _names(run, context))
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
        pictures = [run.codec.picture(event) for event in events.events(worst)[0]]  # type: ignore[attr-defined]
        files.append(save_picture(surprise_grid(pictures, pieces[worst]), path.with_suffix(".png")))
    return log_prob, files


def write_completions(run: Run, x: Tensor, kept: int, drawn: Tensor, directory: Path) -> list[Path]:
    """Write completions [b, n, *shape] of events x [b, *shape] of which `kept` leading dimensions were kept.

    For pictures the last file, `completions.png`, shows each original, what was kept of it, and its completions.
    """
    flat = drawn.flatten(0, 1)
    files = run.codec.write(flat, directory, "completion")
    if run.codec.is_picture:
        assert isinstance(run.model, Autoregressive)
        mask = torch.zeros(x[0].numel(), dtype=torch.bool)
        mask[run.model.visit[:kept].cpu()] = True
        shown = mask.reshape(run.model.space.shape).any(0).numpy()  # [height, width]
        cells = []
        for event, several in zip(x, drawn):
            cells += [run.codec.picture(event), _veiled(run.codec.picture(event), shown)]  # type: ignore[attr-defined]
            cells += [run.codec.picture(one) for one in several]  # type: ignore[attr-defined]
        files.append(save_picture(grid(cells, 2 + drawn.shape[1]), directory / "completions.png"))
    return files


def read_mask(path: Path, space: Space) -> Tensor:
    """A mask [*space.shape] from a picture: True where it is at least half white.

    Raises:
        SourceError: it is no picture of the space's size.
    """
    from PIL import Image as Pictures
    from PIL import UnidentifiedImageError

    if not isinstance(space, Image):
        raise SourceError(f"{path} masks pictures, and the run is about {space}", "use --keep")
    try:
        with Pictures.open(path) as picture:
            if picture.size != (space.width, space.height):
                raise SourceError(
                    f"{path} is {picture.height}×{picture.width} pixels, the run's pictures are "
                    f"{space.height}×{space.width}",
                    "give a mask of that size",
                )
            white = np.asarray(picture.convert("L")) >= 128
    except (OSError, UnidentifiedImageError) as error:
        raise SourceError(f"cannot read the mask {path}", "give a picture, white where the event is kept") from error
    return torch.from_numpy(white).expand(space.shape)


def _sheet(run: Run, x: Tensor, columns: int | None = None, titles: list[str] | None = None):
    return grid([run.codec.picture(event) for event in x], columns, titles=titles)  # type: ignore[attr-defined]


def _names(run: Run, context: Tensor | None) -> list[str] | None:
    labels = run.model.context_space
    if context is None or not isinstance(labels, Label):
        return None
    return [labels.names[int(row)] for row in context]


def _veiled(picture, shown: np.ndarray):
    """A picture whose hidden pixels are a dull blue that no grey picture has."""
    from PIL import Image as Pictures

    pixels = np.array(picture.convert("RGB"))
    pixels[~shown] = (70, 80, 110)
    return Pictures.fromarray(pixels)
