"""`ptheta score`: log-likelihood of data."""

from __future__ import annotations

import sys
from pathlib import Path

from ptheta.cli.arguments import call, print_json
from ptheta.cli.options import Flag, RunArgument, SourceArgument, beside, output
from ptheta.errors import UsageError, nearest


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
    """Score every event of a source: log p(x), or log p(x | context), in nats.

    Args:
        run: run folder
        source: as for `ptheta fit`; the run's own source is split as it was in the fit
        split: of the source; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column of the context; as in the fit if left out
        out: Parquet file with a row for each event; scores.parquet beside the run if left out
        force: replace --out
        per_dimension: also write log p(x_j | x_<j) of every dimension, and for pictures a map of the surprise
        limit: score at most so many events
        device: auto, cpu or cuda
        json: print nats, nats_se, bits_per_dim (or of another unit), n and out as one JSON object on the last line
    """
    from rich.console import Console

    from ptheta.evaluation import Score
    from ptheta.reporting import nats, plural, track, write_scores
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
    if limit is not None:
        events = events.subset(limit)
    if out is not None and out.suffix != ".parquet":
        raise UsageError(f"scores are written as Parquet, not {out.suffix or 'into a folder'}", "name a .parquet file")
    place = output(out, beside(run, "-scores.parquet"), force)
    with track("scoring", len(events), Console(stderr=True)) as advance:
        log_prob, files = write_scores(fitted, events, place, per_dimension=per_dimension, advance=advance)
    result = Score.of(log_prob, fitted.model.space.dimensions)
    said = f"{nats(result.nats, result.nats_se)} nats, {fitted.codec.said(result.nats)}"
    print(f"{said}: mean −log p of {plural(result.n, 'event')} of {data.name} ({name})", file=sys.stderr)
    worst = log_prob.argsort()[:3].tolist()
    surprising = ", ".join(f"{row} ({-float(log_prob[row]):.1f} nats)" for row in worst)
    print(f"most surprising: {surprising}; all are in {', '.join(map(str, files))}", file=sys.stderr)
    if json:
        print_json(
            {
                "nats": result.nats,
                "nats_se": result.nats_se,
                fitted.codec.bits_key: result.bits_per_dim,
                "n": result.n,
                "split": name,
                "zero_probability": result.zero,
                "out": str(files[0]),
                "files": files,
            }
        )
