"""`ptheta score`: log-likelihood of data."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.cli.arguments import call, print_json
from ptheta.cli.options import Flag, RunArgument, SourceArgument, beside, output
from ptheta.errors import UsageError, nearest

if TYPE_CHECKING:
    from ptheta.data import Split
    from ptheta.data.streams import TextSplit
    from ptheta.evaluation import Score
    from ptheta.runs import Run


def main(args: list[str]) -> None:
    """Parse and run."""
    call(score, args, "ptheta score")


def score(
    run: RunArgument,
    source: SourceArgument,
    *,
    split: str | None = None,
    event: str | None = None,
    context: str | None = None,
    out: Path | None = None,
    force: Flag = False,
    per_dimension: Flag = False,
    limit: int | None = None,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Score every event of a source: log p(x), or log p(x | context), in nats; of texts every document, whole.

    Args:
        run: run folder
        source: as for `ptheta fit`; the run's own source is split as it was in the fit
        split: of the source; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column of the context; as in the fit if left out
        out: Parquet file with a row for each event; scores.parquet beside the run if left out. Of texts a page of the
            same name, .html, shows the surprise of every token
        force: replace --out
        per_dimension: also write log p(x_j | x_<j) of every dimension or token, and for pictures a map of the surprise
        limit: score at most so many events, or documents
        device: auto, cpu or cuda
        json: print nats, nats_se, bits_per_dim (or of another unit), n and out as one JSON object on the last line; of
            texts also bits_per_byte, nats_per_token, perplexity, tokens and bytes
    """
    from ptheta.data.streams import TextSplit
    from ptheta.reporting import reads_documents
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}", "give at least 1")
    fitted = Run.load(run, choose_device(device))
    known = fitted.same(source) if event is None and context is None else None
    data = known or fitted.read(source, event, context)
    name = split or ("test" if "test" in data.splits else next(iter(data.splits)))
    if name not in data.splits:
        raise UsageError(f"{source} has no split {name!r}", nearest(name, list(data.splits)))
    events = data.splits[name]
    if out is not None and out.suffix != ".parquet":
        raise UsageError(f"scores are written as Parquet, not {out.suffix or 'into a folder'}", "name a .parquet file")
    place = output(out, beside(run, "-scores.parquet"), force)
    of = f"{data.name} ({name})"
    if isinstance(events, TextSplit) and reads_documents(fitted):
        output(place.with_suffix(".html"), place, force)  # the page must be free too
        result, files = _documents(fitted, events, place, limit, per_dimension, of)
    else:
        events = events if limit is None else events.subset(limit)
        result, files = _events(fitted, events, place, per_dimension, of)
    if json:
        print_json({**result, "split": name, "out": str(files[0]), "files": files})


def _events(run: Run, events: Split, place: Path, per_dimension: bool, of: str) -> tuple[dict[str, Any], list[Path]]:
    """Score events."""
    from rich.console import Console

    from ptheta.evaluation import Score
    from ptheta.reporting import nats, plural, track, write_scores

    with track("scoring", len(events), Console(stderr=True)) as advance:
        log_prob, files = write_scores(run, events, place, per_dimension=per_dimension, advance=advance)
    score = Score.of(log_prob, run.model.space.dimensions)
    said = f"{nats(score.nats, score.nats_se)} nats, {run.codec.said(score.nats)}"
    print(f"{said}: mean −log p of {plural(score.n, 'event')} of {of}", file=sys.stderr)
    worst = log_prob.argsort()[:3].tolist()
    _most_surprising(worst, [f"{-float(log_prob[row]):.1f} nats" for row in worst], files)
    return _result(run, score, score.bits_per_dim), files


def _documents(
    run: Run, split: TextSplit, place: Path, limit: int | None, per_token: bool, of: str
) -> tuple[dict[str, Any], list[Path]]:
    """Score documents, each whole."""
    import numpy as np
    from rich.console import Console

    from ptheta.evaluation import Score
    from ptheta.reporting import nats, plural, said, score_documents, show, track, write_document_scores

    console = Console(stderr=True, highlight=False)
    many = len(split.ends) if limit is None else min(limit, len(split.ends))
    with track("scoring", many, console) as advance:
        found = score_documents(run, split, limit=limit, per_token=per_token, advance=advance)
    files = write_document_scores(run, found, place, f"{run.name} on {of}")
    rates, score = found.rates, Score.of(found.log_prob, 1)
    print(
        f"document {nats(score.nats, score.nats_se)} nats: mean −log p of {plural(many, 'document')} of {of}\n"
        f"total: {nats(rates.nats)} nats, {said(rates.to_json())}, {plural(rates.tokens, 'token')}, "
        f"{plural(rates.bytes, 'byte')}",
        file=sys.stderr,
    )
    if console.is_terminal:
        show(console, f"document {found.worst[0]}:", found.worst[1])
    worst = np.argsort(-found.bits_per_byte)[:3]  # by what does not grow with the length; empty documents come last
    if many > 1:
        values = [f"{bits:.2f} bits/byte" for bits in found.bits_per_byte[worst]]
        _most_surprising(found.rows[worst].tolist(), values, files)
    else:
        print(f"all is in {', '.join(map(str, files))}", file=sys.stderr)
    sizes = {"tokens": rates.tokens, "bytes": rates.bytes}
    return {**_result(run, score, rates.nats_per_token / math.log(2)), **rates.to_json(), **sizes}, files


def _most_surprising(rows: list[int], values: list[str], files: list[Path]) -> None:
    """Name the most surprising rows, with how surprising they are."""
    surprising = ", ".join(f"{row} ({value})" for row, value in zip(rows, values))
    print(f"most surprising: {surprising}; all are in {', '.join(map(str, files))}", file=sys.stderr)


def _result(run: Run, score: Score, bits: float) -> dict[str, Any]:
    """What `--json` tells of any score."""
    mean = {"nats": score.nats, "nats_se": score.nats_se, run.codec.bits_key: bits}
    return {**mean, "n": score.n, "zero_probability": score.zero}
