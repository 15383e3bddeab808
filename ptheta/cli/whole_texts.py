"""Whole texts on the command line: drawn or searched for, printed after their contexts, completed."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.cli.contexts import Given, contexts, given_contexts
from ptheta.cli.json_output import print_json
from ptheta.cli.places import output
from ptheta.data.codecs import DocumentCodec
from ptheta.errors import UsageError
from ptheta.files import write_bytes
from ptheta.judging.texts import agreed
from ptheta.models import Autoregressive
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.numbers import nats, plural
from ptheta.reporting import lines_of
from ptheta.reporting.contexts import context_cells
from ptheta.sampling import Effort
from ptheta.terminal import data_output

if TYPE_CHECKING:
    from ptheta.runs import Run

TEXTS = "samples.txt"
"""File of all texts in a folder."""


def search(
    run: Run, values: list[str], beams: int, length_penalty: float, out: Path | None, force: bool, json: bool
) -> None:
    """Print the most probable text of each context, as far as a beam sees.

    Raises:
        UsageError: the run is about no whole texts, or its model cannot search.
    """
    codec, model = run.codec, run.model
    if not isinstance(codec, DocumentCodec) or not isinstance(model, LanguageModel):
        raise UsageError(f"beam search is for whole texts, and {run.path} is not", "leave out --beams")
    given = given_contexts(run, values, otherwise="searching without one")

    def find(rows: Tensor | None) -> tuple[Tensor, Tensor]:
        return model.beam_search(rows, beams=beams, length_penalty=length_penalty)

    _answer(run, given, find, f"{beams} beams", {}, out, force, json)


def agree(
    run: Run, values: list[str], samples: int, temperature: float, seed: int, out: Path | None, force: bool, json: bool
) -> None:
    """Print of the texts drawn for each context the one that is most like all of them.

    Raises:
        UsageError: the run is about no whole texts.
    """
    if not isinstance(run.codec, DocumentCodec):
        raise UsageError(f"--mbr is for whole texts, and {run.path} is not", "leave out --mbr")
    given = given_contexts(run, values, otherwise="drawing without one")

    def find(rows: Tensor | None) -> tuple[Tensor, Tensor]:
        x = agreed(run, rows, samples, temperature=temperature, seed=seed)
        return x, run.model.log_prob(x, rows)

    _answer(run, given, find, f"of {samples} draws each, seed {seed}", {"seed": seed}, out, force, json)


def _answer(
    run: Run,
    given: Given | None,
    find: Callable[[Tensor | None], tuple[Tensor, Tensor]],
    how: str,
    record: Mapping[str, Any],
    out: Path | None,
    force: bool,
    json: bool,
) -> None:
    """Print the text of each context, and write them.

    Args:
        run: on whole texts.
        given: contexts, or None.
        find: of their rows the texts and their log p.
        how: they are found.
        record: what --json adds.
        out, force, json: as given.
    """
    place = place_of(out, force)
    clock = time.perf_counter()
    rows = None if given is None else given.rows
    x, found = find(rows)
    seconds = time.perf_counter() - clock
    texts, names = run.codec.decode(x), None if given is None else given.names
    if not json:
        show(texts, names)
    files = save(texts, names, place, columns_of(run, texts, rows, names))
    where = f": {files[0]}" if files else ""
    mean = nats(-float(found.mean()))
    print(f"{plural(len(x), 'text')} of mean −log p {mean} nats, {how}, {seconds:.1f} s{where}", file=sys.stderr)
    if json:
        report = {**record} if names is None else {**record, "contexts": names}
        result = {"files": files, "n": len(x), "seconds": round(seconds, 3), "texts": texts}
        print_json({**result, "nats": [-value for value in found.tolist()], **report})


def show(texts: list[str], names: list[str] | None) -> None:
    """Print texts, one a line after their contexts; a single one as it is."""
    file = data_output()
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(as_printed(texts, names).encode(encoding, "replace").decode(encoding), end="", file=file)


def as_printed(texts: list[str], names: list[str] | None) -> str:
    """Lines `context TAB text`; of a single text only itself.

    >>> as_printed(["un chat"], ["a cat"]), as_printed(["un chat", "le chien"], ["a cat", "the dog"])
    ('un chat\\n', 'a cat\\tun chat\\nthe dog\\tle chien\\n')
    """
    return texts[0] + "\n" if len(texts) == 1 else lines_of(texts, names)


def place_of(out: Path | None, force: bool) -> Path | None:
    """The file of all texts, checked before anything is drawn; None if they are only printed.

    Raises:
        UsageError: it is taken, or is not a text file.
    """
    if out is None:
        return None
    if out.suffix.lower() not in ("", ".txt", ".tsv", ".csv"):
        raise UsageError(
            f"these samples cannot be written as a {out.suffix} file", "name a folder, or a .txt or .csv file"
        )
    return output(out, out, force)


def save(
    texts: list[str], names: list[str] | None, place: Path | None, columns: Mapping[str, Sequence[Any]] | None = None
) -> list[Path]:
    """Write all texts, each after its context, into one file: lines, or a CSV table.

    Args:
        texts: to write.
        names: captions of their contexts, for lines.
        place: from `place_of`.
        columns: of the table; see `columns_of`.
    """
    if place is None:
        return []
    path = place if place.suffix and not place.is_dir() else place / TEXTS
    if path.suffix.lower() == ".csv":
        buffer, columns = io.StringIO(), columns or {"text": texts}
        csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([columns, *zip(*columns.values())])
        return [write_bytes(path, buffer.getvalue().encode(), flush=False)]
    return [write_bytes(path, lines_of(texts, names).encode(), flush=False)]


def columns_of(run: Run, texts: list[str], context: Tensor | None, names: list[str] | None) -> dict[str, list[Any]]:
    """Texts and their contexts as columns named as those of the data, or a column `context` of captions."""
    event = run.config["data"]["request"].get("event")
    columns = context_cells(run, context) or ({} if names is None else {"context": names})
    return {**columns, event if isinstance(event, str) else "text": texts}


def complete(
    run: Run,
    files: list[Path],
    keep: float,
    n: int,
    values: list[str],
    steps: Mapping[str, Any],
    seed: int,
    out: Path | None,
    force: bool,
    json: bool,
) -> None:
    """Draw the ends of texts, each after the part of its own tokens that is kept.

    Raises:
        UsageError: keep is not a fraction, or the texts have nothing left to draw.
    """
    codec, model = run.codec, run.model
    assert isinstance(codec, DocumentCodec)
    if not 0 <= keep <= 1:
        raise UsageError(f"keep is {keep}", "give a fraction from 0 to 1")
    x = torch.from_numpy(_read(codec, files)).long()
    rows = contexts(run, values, len(x))
    place = place_of(out, force)
    effort = Effort()
    texts: list[str] = []
    kept: list[int] = []
    clock = time.perf_counter()
    for i, length in enumerate((x != codec.end).sum(1).tolist()):
        mask = torch.arange(codec.length) < min(round(keep * length), codec.length - 1)
        kept.append(int(mask.sum()))
        given = None if rows is None else rows[i : i + 1]
        assert isinstance(model, Autoregressive)
        drawn = model.complete(x[i : i + 1], mask, n, given, seed=seed + i, effort=effort, **steps)
        texts += codec.decode(drawn[0].cpu())
    seconds = time.perf_counter() - clock
    names = [file.stem for file in files for _ in range(n)] if len(files) > 1 else None
    if not json:
        show(texts, names)
    report = {} if names is None else {"file": names}
    written = save(texts, names, place, {**report, "text": texts})
    where = f": {written[0]}" if written else ""
    what = f"each of {len(files)} files" if len(files) > 1 else str(files[0])
    part = f"{plural(sum(kept), 'token')} kept"
    print(f"{plural(n, 'completion')} of {what}, {part}, in {seconds:.1f} s, seed {seed}{where}", file=sys.stderr)
    if json:
        took = {"seconds": round(seconds, 3), "seed": seed}
        print_json({"files": written, "kept": kept, "texts": texts, **took})


def _read(codec: DocumentCodec, files: list[Path]) -> np.ndarray:
    """Events of text files, one each."""
    from ptheta.data.reading import events_of_file

    return np.concatenate([events_of_file(codec, file) for file in files])
