"""Cells of tables on the command line: columns given to `sample`, missing cells drawn by `complete`."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.cli.contexts import contexts, lacks_value
from ptheta.cli.json_output import print_json
from ptheta.cli.places import beside, output
from ptheta.data.codecs import RowCodec
from ptheta.data.holes import DRAWS, Unknown, merged, rows_of
from ptheta.data.readers import check_form, open_rows
from ptheta.data.sources.cells import Writing
from ptheta.data.sources.delimited import TextTable
from ptheta.data.sources.spelled_rows import filled as filled_text
from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.errors import SourceError, UsageError, closest
from ptheta.files import replacing, replacing_folder, write_bytes
from ptheta.imputing import filled
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.numbers import listed, plural
from ptheta.remarks import remark
from ptheta.reporting import exhibit_of
from ptheta.reporting.contexts import VIEW, context_columns
from ptheta.reporting.waiting import console_for, waiting

if TYPE_CHECKING:
    from ptheta.runs import Run


def given_cells(run: Run, values: list[str]) -> tuple[dict[str, str], list[str]]:
    """The values of --context that name a column of the event (NAME=VALUE), and the rest.

    Raises:
        UsageError: a column is given twice.
    """
    names, codec = exhibit_of(run.codec).columns, run.context_codec
    labels = [] if codec is None else exhibit_of(codec).words
    own = context_columns(run)
    cells: dict[str, str] = {}
    rest = []
    for value in values:
        if value in names and value not in labels and value not in own:
            raise lacks_value(value, exhibit_of(run.codec).some_values(value))
        name = next((n for n in sorted(names, key=len, reverse=True) if value.startswith(f"{n}=")), None)
        if VIEW.sub("", value.partition("=")[0]) in own:
            name = None
        elif name is None and names and "=" in value and value not in labels and len(own) < 2:  # parts say it better
            name = value.partition("=")[0]
        if name is None:
            rest.append(value)
        elif name in cells:
            raise UsageError(f"{name} is given twice", f"give one {name}=VALUE")
        else:
            cells[name] = value[len(name) + 1 :]
    return cells, rest


def impute(
    run: Run,
    files: list[Path],
    n: int | None,
    point: bool,
    context: list[str],
    seed: int,
    out: Path | None,
    force: bool,
    json: bool,
    warp: Warp = UNCHANGED,
    unknown: Unknown = "error",
) -> None:
    """Draw the missing cells of tables, and write the tables without them."""
    codec, model = run.codec, run.model
    assert isinstance(codec, RowCodec)
    if not isinstance(model, Imputing):
        raise UsageError(f"{run.name} cannot fill in missing cells", "fit the model `table`")
    tables, missing = [], []
    for file in files:
        x, strange = read(codec, file, context_columns(run), unknown)
        tables.append(x)
        missing.append(np.isnan(x) & ~strange)
    empty = [int(absent.sum()) for absent in missing]
    if not sum(empty):
        raise UsageError(
            f"nothing is missing in {', '.join(map(str, files))}", "leave cells empty, or leave out columns"
        )
    draws = n or (DRAWS if point else 1)
    single = len(files) == 1 and (point or draws == 1)
    place = output(out, beside(run.path, f"-completions{files[0].suffix if single else ''}"), force)
    if single and place.suffix == "":
        place = place / files[0].name
    elif single and place.suffix.lower() != files[0].suffix.lower():
        raise UsageError(f"{files[0]} is completed as a {files[0].suffix} file", f"name a {files[0].suffix} file")
    elif not single and place.suffix:
        raise UsageError("several tables would be written", "name a folder with --out")
    names = [file.name for file in files]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two of the files are called {twice[0]}", "complete them one at a time")
    rows = contexts(run, context, sum(map(len, tables)))
    clock = time.perf_counter()
    with waiting(f"drawing {plural(sum(empty), 'missing cell')}", console_for(True)):
        drawn = filled(model, codec, np.concatenate(tables), draws, rows, point, seed, warp)
    seconds = time.perf_counter() - clock
    written, start = [], 0
    with nullcontext(place) if single else replacing_folder(place) as folder:
        for file, x, absent in zip(files, tables, missing):
            part = drawn[start : start + len(x)]
            start += len(x)
            for k in range(part.shape[1]):
                name = file.name if part.shape[1] == 1 else f"{file.stem}-{k:04d}{file.suffix}"
                fill(codec, file, absent, part[:, k], folder if single else folder / name)
                written.append(place if single else place / name)
    counts = np.concatenate(missing).sum(0)
    most = ", ".join(f"{codec.names[j]} {counts[j]:,}" for j in np.argsort(-counts, kind="stable")[:5] if counts[j])
    how = f"the best guess of {draws} draws" if point else plural(draws, "draw")
    print(
        f"{plural(sum(empty), 'missing cell')} of {plural(start, 'row')} ({most}), {how}, in {seconds:.1f} s, "
        f"seed {seed}: {written[0] if len(written) == 1 else place}",
        file=sys.stderr,
    )
    if json:
        print_json({"files": written, "missing": sum(empty), "seconds": round(seconds, 3), "seed": seed})


def read(
    codec: RowCodec, file: Path, known: Collection[str] = (), unknown: Unknown = "error"
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a file [n, m], NaN where a cell is missing or its column is, and which cells are unknown categories.

    Args:
        codec: of the run.
        file: CSV, TSV or Parquet.
        known: columns that are no surprise, though they are not of the event.
        unknown: what becomes of a category that no row of the fit had.

    Raises:
        SourceError: it is not a CSV or Parquet file, or a cell does not fit its column.
    """
    check_form(file, "table")
    if file.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise SourceError(f"{file} cannot be completed", "give the table as a CSV, TSV or Parquet file")
    table = open_rows(codec, file)
    names = [name for name in codec.names if name in table.columns]
    _check_spelling(file, [name for name in table.columns if name not in names], codec.names, names)
    if not names:
        raise SourceError(f"{file} has none of the run's columns", f"they are {listed(codec.names, 8)}")
    if others := [name for name in table.columns if name not in names and name not in known]:
        remark(f"{file.name}: columns that the run does not know stay as they are: {listed(others)}")
    return rows_of(table, codec, names, unknown, place_of=table.place)


def _check_spelling(file: Path, others: list[str], known: Sequence[str], present: Sequence[str]) -> None:
    """Refuse a column that looks like one of the run's that the file lacks: its values would be drawn over.

    Args:
        file: of the table.
        others: its columns that are not the run's.
        known: the run's columns.
        present: those of them that the file has.

    Raises:
        SourceError: the nearest name is in the message.
    """
    for name in others:
        meant = closest(name, [one for one in known if one not in present])
        if meant is not None:
            raise SourceError(
                f"{file} has a column {name!r} and none called {meant!r}",
                f"rename it to {meant}, or remove it if it is something else",
            )


def fill(codec: RowCodec, file: Path, absent: np.ndarray, cells: np.ndarray, path: Path) -> Path:
    """Write a table as it was, its missing cells filled; everything else stays, other columns included.

    Raises:
        SourceError: the lines of a text are not its rows.
    """
    frame = codec.decode(cells)
    table = open_rows(codec, file)
    columns = table.columns
    holes = {name: absent[:, j] for j, name in enumerate(codec.names) if absent[:, j].any()}
    if file.suffix.lower() == ".parquet":
        for name in holes.keys() & columns.keys():
            if (classes := columns[name].names) is not None:
                frame[name] = frame[name].map(classes.index)
        return _fill_parquet(codec, file, holes, frame, path)
    assert isinstance(table, TextTable)
    drawn = {}
    for name, where in holes.items():
        way = table.writing_of(name) if codec.levels_of(name) is None or name not in codec.words else Writing()
        drawn[name] = [way.written(str(value)) if hole else None for value, hole in zip(frame[name].array, where)]
    (layout,) = table.layouts
    return write_bytes(path, layout.dialect.encode(filled_text(layout.text(), layout, drawn)))


def _fill_parquet(codec: RowCodec, file: Path, holes: dict[str, np.ndarray], frame: Any, path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    for name, where in holes.items():
        if name not in table.column_names:
            table = table.append_column(name, codec.arrow(frame).column(name))
            continue
        at = table.column_names.index(name)
        drawn = pa.array(frame[name], from_pandas=True)
        table = table.set_column(at, table.schema.field(at), merged(table.column(at), drawn, pa.array(where)))
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    return path
