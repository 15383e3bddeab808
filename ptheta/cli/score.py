"""`ptheta score`: log-likelihood of data."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ptheta import terminal
from ptheta.anomalies import Detector, Method, Scores
from ptheta.cli.arguments import call
from ptheta.cli.contexts import has_columns, names_file
from ptheta.cli.groups import of_text_tables, read_as_asked
from ptheta.cli.json_output import print_json
from ptheta.cli.needs import Needs
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, RunArgument, SourceArgument, Values
from ptheta.cli.places import beside, output
from ptheta.errors import ContextError, PthetaError, SourceError, UsageError, nearest
from ptheta.listing import exists
from ptheta.numbers import joined, plural

if TYPE_CHECKING:
    from ptheta.data import Data, Split
    from ptheta.data.streams import TextSplit
    from ptheta.evaluation.results import Score
    from ptheta.runs import Run

CALIBRATED = 1000
"""Events that p-values rank an event among, at most, unless asked otherwise."""

WRITTEN = (".parquet", ".csv")
"""Kinds of files that scores are written as."""

SHOWN = 3
"""Strangest events that are printed."""

LARGER = "the larger of surprise and distance from training events"
"""What the method `either` is, in print."""


def main(args: list[str]) -> None:
    """Parse and run."""
    call(read_as_asked(score), args, "ptheta score", groups=of_text_tables())


def score(
    run: RunArgument,
    source: SourceArgument,
    *,
    split: str | None = None,
    event: str | None = None,
    context: str | None = None,
    given: Values = [],  # noqa: B006
    anomaly: Method | None = None,
    against: Path | None = None,
    elbo: Flag = False,
    draws: Annotated[int, Needs("elbo")] = 1,
    calibrate: int = CALIBRATED,
    out: Path | None = None,
    force: Force = False,
    per_dimension: Flag = False,
    limit: int | None = None,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Score every event of a source: log p(x), or log p(x | context), in nats; rank the strangest; of texts every
    document, whole.

    Args:
        run: run folder
        source: as for `ptheta fit`; the run's own source is split as it was in the fit; for a run on text also a
            sentence
        split: split of the source to score; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column(s) of the context; as in the fit if left out
        given: context of all events, or one for each, as --context of `ptheta sample`, for sources without a
            column of contexts
        anomaly: what ranks the events: surprise, −log p; neighbours, the mean distance to the nearest training events;
            either, the larger of these two, each in units of held-out events; typicality, how far −log p is from its
            usual value; ratio, log q − log p of a background q named with --against; complexity, −log p less the size
            of a compressed picture. If left out: ratio with --against; either, where there are p-values; else surprise,
            as for texts, waveforms and contexts other than a label
        against: run folder of the background, fitted to events of the same space
        elbo: for a model with a lower bound on log p: score and rank by the bound, without p-values
        draws: with --elbo, draws of the latent variables for each event: the more, the tighter the bound
        calibrate: how many of the run's own held-out events the p-values rank an event among; 0 for no p-values
        out: .parquet or .csv file with a row for each event, whose index in the source, from 0 on, is in the column
            `row`; a Parquet file beside the run if left out. Of texts a page of the same name, .html, shows the
            surprise of every token
        force: replace the file in --out
        per_dimension: also write log p(x_j | x_<j) of each dimension or token, and for pictures a map of the
            surprise
        limit: score at most this many events, or documents
        device: auto, cpu or cuda
        json: print nats, nats_se, bits_per_dim (or of another unit), n and out as one JSON object on the last line; of
            texts also bits_per_byte, nats_per_token, perplexity, tokens and bytes
    """
    from ptheta.data.codecs import TextCodec
    from ptheta.data.streams import TextSplit
    from ptheta.reporting import gives_reasons, reads_documents
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}", "give at least 1")
    if calibrate < 0:
        raise UsageError(f"--calibrate is {calibrate}", "give 0 for no p-values, or more")
    if draws < 1:
        raise UsageError(f"--draws is {draws}", "give at least 1")
    if out is not None and out.suffix.lower() not in WRITTEN:
        what = f"as a {out.suffix} file" if out.suffix else "into a folder"
        raise UsageError(f"scores cannot be written {what}", "name a .parquet or .csv file")
    if out is not None and out.suffix.lower() == ".csv" and per_dimension:
        raise UsageError("lists of nats cannot be written as CSV", "name a .parquet file, or leave out --per-dimension")
    place_of = choose_device(device)
    fitted = Run.load(run, place_of)
    background = None if against is None else Run.load(against, place_of)
    if given and context is not None:
        raise UsageError("--context and --given both set the contexts", "leave out --context or --given")
    text = as_text(fitted, source)
    own = fitted.same(source) if text is None else None
    if text is None and own is None and (doubt := fitted.doubt(source)) is not None:
        note([f"warning: {doubt}"])
    if text is not None:
        note([f"no file is called {text!r}, so it is scored as a text"])
        column = fitted.config["data"]["request"].get("event")
        data = _opened(fitted, {column if isinstance(column, str) else "text": [text]}, event, context, given)
    elif own is not None and event is None and context is None:
        data = own
    else:
        most = None if isinstance(fitted.codec, TextCodec) else limit  # of text, documents are limited
        data = _opened(fitted, source, event, context, given, most)
    note(data.remarks)
    name = split or ("test" if "test" in data.splits else next(iter(data.splits)))
    if name not in data.splits:
        raise UsageError(f"{source} has no split {name!r}", nearest(name, list(data.splits)))
    if own is not None and split is None and (rest := {k: len(v) for k, v in data.splits.items() if k != name}):
        counts = joined([f"{many:,} of {part}" for part, many in rest.items()])
        note(
            [f"{name} is scored, which the fit held out; not scored: {counts}; --split {next(iter(rest))} scores those"]
        )
    events = _with_contexts(fitted, data.splits[name], given) if given else data.splits[name]
    place = output(out, beside(run, "-scores.parquet"), force)
    of = f"{data.name} ({name if name == 'all' else f'{name} split'})"
    if isinstance(events, TextSplit) and reads_documents(fitted):
        if background is not None or anomaly not in (None, "surprise"):
            raise UsageError("texts are ranked by bits/byte", "leave out --anomaly and --against")
        output(place.with_suffix(".html"), place, force)  # the page must be free too
        result, files = _documents(fitted, events, place, limit, per_dimension, of)
    else:
        several = per_dimension or gives_reasons(fitted)
        detector = Detector(fitted, anomaly, background, per_dimension=several, elbo=elbo, draws=draws)
        held_out = _held_out(fitted, own, name, calibrate)
        if detector.is_bound:
            held_out = "no p-values: how far a bound lies below log p differs between events", None
        events = events if limit is None else events.subset(limit)
        result, files = _events(detector, events, held_out, place, per_dimension, of)
    if json:
        print_json({**result, "split": name, "out": str(files[0]), "files": files})


def as_text(run: Run, source: str) -> str | None:
    """A source that is a text itself: of a run of texts, where no file is called so and none is likely to be meant."""
    from ptheta.data.codecs import DocumentCodec, TextCodec

    named = names_file(source) or source == "digits"
    of_texts = isinstance(run.codec, TextCodec | DocumentCodec)
    return source if of_texts and not named and not exists(Path(source)) else None


def _opened(
    run: Run, source: Any, event: str | None, context: str | None, given: list[str], limit: int | None = None
) -> Data:
    """A source as events of the run, without its contexts where they are given.

    Raises:
        ContextError: the run needs contexts, and they are neither given nor a column.
    """
    if given:
        return _without_contexts(run, source, event)
    asked = run.config["data"]["request"].get("context")
    try:
        return run.read(source, event, context, limit=limit)
    except SourceError as error:
        if context is not None or run.model.context_space is None or has_columns(source, asked):
            raise
        names = asked if isinstance(asked, str) else ", ".join(map(str, asked))
        _check_events(run, source, event)
        raise ContextError(
            f"{run.path} needs a context, and the source has no column {names}",
            "give it with --given, or name its column with --context",
        ) from error


def _check_events(run: Run, source: Any, event: str | None) -> None:
    """Check that a source holds events of the run at all, before anything is said of its contexts.

    Raises:
        SourceError: it does not.
    """
    from ptheta.data import load

    asked = event or run.config["data"]["request"]["event"]
    asked = asked if asked and has_columns(source, asked) else None
    with run.reading():
        load(source, event=asked, codec=run.codec, limit=1)


def _without_contexts(run: Run, source: str, event: str | None) -> Data:
    """A source as events of the run, whether or not it has the run's column of contexts."""
    from ptheta.data import load

    if run.model.context_space is None:
        raise ContextError(f"{run.path} has no context", "leave out --given")
    asked = run.config["data"]["request"]
    if has_columns(source, asked["context"]):
        return run.read(source, event)
    if event is None and asked["event"] and has_columns(source, asked["event"]):
        event = asked["event"]  # otherwise the only column that can be events
    return load(source, event=event, codec=run.codec)


def _with_contexts(run: Run, events: Split, values: list[str]) -> Split:
    """Events with the contexts that are given: one for all, or one each.

    Raises:
        ContextError: another number of contexts.
    """
    import dataclasses

    import numpy as np

    from ptheta.cli.contexts import given_contexts

    given = given_contexts(run, values)
    assert given is not None
    if len(given) not in (1, len(events)):
        raise ContextError(
            f"{len(given)} contexts are given for {plural(len(events), 'event')}", "give one, or one for each"
        )
    rows = given.rows.numpy()
    return dataclasses.replace(events, context=np.repeat(rows, len(events) // len(rows), 0))


def _held_out(run: Run, known: Data | None, scored: str, most: int) -> tuple[str, Split | None]:
    """Events of the run's own that were not learned from and are not those scored; what to call them, or why none."""
    if most == 0:
        return "", None
    try:
        own = known or run.data
    except PthetaError as error:
        return f"no p-values: {error.problem}", None
    from ptheta.runs import CHANGED

    if own.fingerprint != run.config["data"]["fingerprint"]:
        return f"no p-values: the data of the fit {CHANGED}", None
    if known is not None and scored not in known.splits:
        return f"no p-values: the events scored include those held out of {own.name}", None
    for name in ("test", "validation"):
        if name in own.splits and not (known is not None and name == scored):
            part = own.splits[name].subset(most)
            return f"{name} events of {own.name}", part
    return f"no p-values: no events of {own.name} were held out", None


def _events(
    detector: Detector, events: Split, held_out: tuple[str, Split | None], place: Path, per_dimension: bool, of: str
) -> tuple[dict[str, Any], list[Path]]:
    """Score events."""
    import dataclasses

    import torch

    from ptheta.evaluation.results import Score
    from ptheta.models import Density
    from ptheta.reporting import exhibit_of, track, write_scores

    (name, calibration), run = held_out, detector.run
    exhibit = exhibit_of(run.codec)
    many = len(events) + (0 if calibration is None else len(calibration))
    with track("scoring", many) as advance:
        if calibration is not None:
            detector.calibrate(calibration, advance=advance)
        scores = detector.score(events, advance=advance)
    files = write_scores(run, events, scores if per_dimension else dataclasses.replace(scores, pieces=None), place)
    density = Density.LOWER_BOUND if scores.is_bound else Density.EXACT
    score = Score.of(torch.from_numpy(scores.log_prob), run.model.space.dimensions, density)
    rates = {} if score.is_bound else exhibit.rates(score, events.x)
    bits = exhibit.spelled({**score.to_json(), **rates})
    mean = "a bound on mean −log p" if score.is_bound else "mean −log p"
    print(
        f"{score} nats, {bits}: {mean} of {plural(score.n, 'event')} of {of}",
        file=sys.stderr,
    )
    ranked = 0 if detector.known is None else len(detector.known)
    if name:
        print(name if calibration is None else f"p-values: ranks among {ranked:,} {name}", file=sys.stderr)
    strangest = scores.ranking[:SHOWN]
    places = ", ".join(map(str, files))
    by = LARGER if detector.method == "either" else detector.method
    print(f"most anomalous, by {by}; all are in {places} (rows are counted from 0)", file=sys.stderr)
    for row in strangest.tolist():
        print(f"  {_strange(detector, scores, events, row)}", file=sys.stderr)
    ranking = {"anomaly": detector.method, "calibrated": ranked, "strangest": events.source_rows[strangest].tolist()}
    if events.files is not None:
        ranking["strangest_files"] = [events.files[row] for row in strangest.tolist()]
    return {**_result(run, score, score.bits_per_dim), **rates, **ranking}, files


def _strange(detector: Detector, scores: Scores, events: Split, row: int) -> str:
    """A line about an event: which, how strange, and of a table by which columns."""
    from ptheta.reporting import nats, reasons

    number = f"row index {events.source_rows[row]}"
    parts = [number if events.files is None else f"{number}, {events.files[row]}"]
    parts[0] += f": {'≤ ' * scores.is_bound}{nats(-float(scores.log_prob[row]))} nats"
    if detector.method != "surprise":
        why = "" if scores.is_far is None else " (far from training)" if scores.is_far[row] else " (improbable)"
        name = "score" if detector.method == "either" else detector.method
        parts.append(f"{name} {nats(float(scores.anomaly[row]))}{why}")
    if scores.p_value is not None:
        parts.append(f"p = {scores.p_value[row]:.2g}")
    found = reasons(detector.run, scores, events, row)
    because = ", ".join(f"{name} = {value} {nats(excess)}" for name, value, excess in found)
    return ", ".join(parts) + (f"; nats above the average: {because}" if because else "")


def _documents(
    run: Run, split: TextSplit, place: Path, limit: int | None, per_token: bool, of: str
) -> tuple[dict[str, Any], list[Path]]:
    """Score documents, each whole."""
    import numpy as np

    from ptheta.evaluation.results import Score
    from ptheta.reporting import nats, rates_text, score_documents, show, track, write_document_scores

    console = terminal.console()
    many = len(split.ends) if limit is None else min(limit, len(split.ends))
    with track("scoring", many, console) as advance:
        found = score_documents(run, split, limit=limit, per_token=per_token, advance=advance)
    files = write_document_scores(run, found, place, f"{run.name} on {of}")
    rates, score = found.rates, Score.of(found.log_prob, 1)
    print(
        f"document {nats(score.nats, score.nats_se)} nats: mean −log p of {plural(many, 'document')} of {of}\n"
        f"total: {nats(rates.nats)} nats, {rates_text(rates.to_json())}, {plural(rates.tokens, 'token')}, "
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
        print(f"everything is in {', '.join(map(str, files))}", file=sys.stderr)
    sizes = {"tokens": rates.tokens, "bytes": rates.bytes}
    return {**_result(run, score, rates.nats_per_token / math.log(2)), **rates.to_json(), **sizes}, files


def _most_surprising(rows: list[int], values: list[str], files: list[Path]) -> None:
    """Name the most surprising rows, with how surprising they are."""
    surprising = ", ".join(f"row index {row} ({value})" for row, value in zip(rows, values))
    print(f"most surprising: {surprising}; all are in {', '.join(map(str, files))}", file=sys.stderr)


def _result(run: Run, score: Score, bits: float) -> dict[str, Any]:
    """What `--json` prints of any score."""
    key = run.codec.bits_key + "_bound" * score.is_bound
    return {**score.to_json(), key: bits, "n": score.n, "zero_probability": score.zero}
