"""`ptheta complete`: fill in the rest of a partial event."""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ptheta.cli.arguments import flag_of
from ptheta.cli.contexts import contexts, given_contexts
from ptheta.cli.families import call_with_options, sampling_options
from ptheta.cli.groups import of_text_tables, read_as_asked
from ptheta.cli.json_output import print_json
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, OptionalCount, RunArgument, Values
from ptheta.cli.places import beside, output
from ptheta.data.holes import Unknown
from ptheta.data.readers import check_form
from ptheta.errors import SourceError, UsageError
from ptheta.listing import exists, regular, unreadable
from ptheta.numbers import plural
from ptheta.sampling import Effort, Warp

if TYPE_CHECKING:
    from ptheta.cli.writing import Writer
    from ptheta.runs import Run

WARPS = [field.name for field in fields(Warp)]
"""Options that reshape what is drawn from."""

LINES = 10
"""Lines of a text that are shown."""

Files = Annotated[list[Path], tyro.conf.arg(metavar="FILE …", help_behavior_hint="(required)"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run."""
    call_with_options(read_as_asked(complete), args, "ptheta complete", of_text_tables())


def complete(
    run: RunArgument,
    files: Files,
    *,
    words: list[str],
    keep: float | None = None,
    mask: Path | None = None,
    tokens: int | None = None,
    n: OptionalCount = None,
    point: Flag = False,
    context: Values = [],  # noqa: B006
    unknown: Unknown = "error",
    seed: int = 0,
    out: Path | None = None,
    force: Force = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Draw the missing part of events from its exact conditional distribution, several times; continue texts.

    In a table of mixed columns the empty cells are drawn, and the columns that the file lacks, each cell given the
    others of its row; everything else in the file stays as it is.

    Args:
        run: run folder
        files: events in the form of the data: pictures, a table's rows, a text
        keep: fraction of each event to keep, from the beginning of the model's order (the top of a picture,
            unless --order was given to the fit; the beginning of a sound or a whole text); 0.5 if left out, but
            a text that a transformer continues is kept whole
        mask: a picture of the run's size that is white where pixels are kept
        tokens: for text, the most tokens to draw after what is kept; as many as an event has if left out
        n: number of completions of each event, 4 if left out; 1 for tables
        point: for tables, fill each cell with one best guess: of -n draws (32 if left out) the most frequent
            category, or the median of numbers
        context: contexts, for a model that has one, as for `ptheta sample`; the events are divided among
            several in order
        unknown: for tables, what becomes of a category that no row of the fit had: error; or missing: the cell
            stays as it is, and nothing is conditioned on it
        seed: seed of the completions
        out: folder to write to; a new one beside the run if left out
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print files, kept, seconds, passes and seed as one JSON object on the last line; for texts kept is
            the number of tokens of each file, for tables it is files, missing, seconds and seed
    """
    import torch

    from ptheta.cli import cells, whole_texts, writing
    from ptheta.models import Autoregressive
    from ptheta.reporting import exhibit_of
    from ptheta.reporting.waiting import console_for, waiting
    from ptheta.runs import Run
    from ptheta.training import choose_device

    fitted = Run.load(run, choose_device(device))
    model = fitted.model
    if not isinstance(model, Autoregressive):
        raise UsageError(f"{fitted.name} cannot complete", "use an autoregressive model, see `ptheta zoo`")
    steps = sampling_options(fitted.name, words, "complete")
    if keep is not None and mask is not None:
        raise UsageError("--keep and --mask both set what is kept", "give one of them")
    if not files:
        raise UsageError("FILE is missing", "see ptheta complete --help")
    if n is not None and n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    exhibit = exhibit_of(fitted.codec)
    if exhibit.completion == "cells":
        if not (keep is mask is tokens is None):
            raise UsageError("`complete` fills in the empty cells of a table", "leave out --keep, --mask and --tokens")
        if unsuited := [name for name in steps if name not in WARPS]:
            raise UsageError("cells are drawn column by column", f"leave out {flag_of(unsuited[0])}")
        with fitted.reading():
            cells.impute(fitted, files, n, point, context, seed, out, force, json, Warp(**steps), unknown)
        return
    if unknown != "error":
        raise UsageError("--unknown is for tables of mixed columns", "leave it out")
    if point:
        raise UsageError("--point is for tables of mixed columns", "leave it out")
    n = n or 4
    masked = None if mask is None else exhibit.read_mask(mask)
    if exhibit.completion == "tokens" and (writer := writing.writer_of(fitted)) is not None:
        if unsuited := [name for name in ("method", "guidance") if name in steps]:
            raise UsageError("texts are generated token by token", f"leave out {flag_of(unsuited[0])}")
        warp = Warp(**steps)
        _texts(fitted, writer, files, 1.0 if keep is None else keep, tokens, n, context, warp, seed, out, force, json)
        return
    if exhibit.completion == "texts" and tokens is None:
        part = 0.5 if keep is None else keep
        whole_texts.complete(fitted, files, part, n, context, steps, seed, out, force, json)
        return
    if tokens is not None:
        raise UsageError(f"{fitted.path} models events of a fixed size", "leave out --tokens")
    kept = model.kept((0.5 if keep is None else keep) if masked is None else masked)
    if bool(kept.all()):
        given = f"--keep {keep}" if mask is None else str(mask)
        raise UsageError(f"{given} keeps everything, so nothing is left to draw", "keep less")
    parts = [fitted.events(file) for file in files]
    note(filter(None, map(exhibit.remark, files)))
    x = torch.cat(parts)
    names = [file.stem for file, part in zip(files, parts) for _ in part]
    place = output(out, beside(run, "-completions"), force)
    effort = Effort()
    clock = time.perf_counter()
    given = given_contexts(fitted, context)
    given = None if given is None else given.shared(len(x))
    rows = None if given is None else given.rows
    with waiting(f"drawing {plural(n * len(x), 'completion')}", console_for(True)):
        drawn = model.complete(x, kept, n, rows, seed=seed, effort=effort, **steps).cpu()
    seconds = time.perf_counter() - clock
    written = exhibit.write_completions(x, kept, drawn, place, names, None if given is None else given.names)
    what = f"each of {len(x)} events" if len(x) > 1 else str(files[0])
    part = f"{int(kept.sum()):,} of {kept.numel():,} values kept"
    took = f"{seconds:.1f} s, {effort.summary}, seed {seed}"
    print(f"{plural(n, 'completion')} of {what}, {part}, in {took}: {written[-1]}", file=sys.stderr)
    if json:
        took = {"seconds": round(seconds, 3), "passes": effort.passes, "method": effort.method, "seed": seed}
        print_json({"files": written, "kept": int(kept.sum()), **took})


def _texts(
    run: Run,
    writer: Writer,
    files: list[Path],
    keep: float,
    tokens: int | None,
    n: int,
    context: list[str],
    warp: Warp,
    seed: int,
    out: Path | None,
    force: bool,
    json: bool,
) -> None:
    """Go on from the beginnings of files of text."""
    from ptheta.cli import writing

    if not 0 <= keep <= 1:
        raise UsageError(f"keep is {keep}", "give a fraction from 0 to 1")
    tokens = writing.check_count(run.model.space.dimensions if tokens is None else tokens)
    if lacking := [file for file in files if not exists(file)]:
        raise SourceError(
            f"no file is called {str(lacking[0])!r}",
            "check the path; ptheta sample RUN --prompt TEXT goes on from a text",
        )
    whole = [writer.codec.tokens(_content(file), lambda _, file=file: str(file)) for file in files]
    if empty := [file for file, part in zip(files, whole) if not len(part)]:
        raise SourceError(
            f"{empty[0]} is empty", "give a text, or begin at the beginning: ptheta sample RUN --prompt ''"
        )
    kept = [part[: round(keep * len(part))] for part in whole]
    rows = contexts(run, context, n * len(files))
    place = writing.place_of(out, n * len(files), force) or output(None, beside(run.path, "-completions"), force)
    prompts = [part for part in kept for _ in range(n)]
    writing.note_long_prompts(writer, prompts)
    found = writing.write(writer, prompts, tokens, rows, seed=seed, warp=warp)
    tails = [file.stem for file in files for _ in range(n)] if len(files) > 1 else None
    written = writing.save(found.texts, place, "completion", tails)
    if not json:
        first = found.drawn[0].splitlines(keepends=True)
        shown = b"".join(first[:LINES]).removesuffix(b"\n")
        with writing.streaming(sys.stdout, b"") as on_bytes:
            on_bytes(shown)
    what = f"each of {len(files)} files" if len(files) > 1 else str(files[0])
    part = f"{sum(map(len, kept)):,} of {plural(sum(map(len, whole)), 'token')} kept"
    print(f"{plural(n, 'completion')} of {what}, {part}: {place}", file=sys.stderr)
    print(found.summary(seed, warp), file=sys.stderr)
    if json:
        print_json({"files": written, "kept": [len(part) for part in kept], **found.to_json(), "seed": seed})


def _content(file: Path) -> bytes:
    """The bytes of a text file.

    Raises:
        SourceError: it cannot be read, or is of another form by its name.
    """
    check_form(file, "text")
    try:
        return regular(file).read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None
