"""`ptheta evaluate`: how well p(x | y) answers its contexts."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from ptheta.cli.arguments import call
from ptheta.cli.groups import of_text_tables, read_as_asked
from ptheta.cli.json_output import print_json
from ptheta.cli.needs import Needs
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, OwnSource, RunArgument
from ptheta.cli.places import output
from ptheta.errors import ContextError, UsageError, nearest

if TYPE_CHECKING:
    from ptheta.data import Data, Split
    from ptheta.judging.base import Findings
    from ptheta.judging.tasks import Judgement
    from ptheta.metrics import Measure
    from ptheta.runs import Run

JUDGED = 500
"""Events that are judged unless asked otherwise, at most."""

SHOWN = 8
"""Answers that are printed."""


def main(args: list[str]) -> None:
    """Parse and run."""
    call(read_as_asked(evaluate), args, "ptheta evaluate", groups=of_text_tables())


def evaluate(
    run: RunArgument,
    source: OwnSource = None,
    *,
    split: str | None = None,
    event: str | None = None,
    context: str | None = None,
    limit: int = JUDGED,
    samples: int = 1,
    beams: int = 4,
    length_penalty: float = 1.0,
    mbr: int | None = None,
    temperature: Annotated[float | None, Needs("mbr")] = None,
    guidance: float = 1.0,
    against: Path | None = None,
    judge: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
    force: Force = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Judge a run with a context: the nats its context gains, and the metric of its task beside trivial baselines.

    Texts are judged by exact matches, word and character errors, chrF and BLEU; pictures by a classifier for labels, by
    --judge for texts, and by PSNR and SSIM for pictures; sounds by --judge. docs/conditional.md says how.

    Args:
        run: run folder
        source: as for `ptheta fit`; the run's own if left out, and then split as in the fit
        split: split of the source to judge; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column(s) of the context; as in the fit if left out
        limit: judge at most this many events, drawn with a fixed seed
        samples: events drawn for each context
        beams: width of the beam search for texts
        length_penalty: rank texts by log p / length^penalty
        mbr: draw this many texts for each context instead, and answer with the one that is most like all of them:
            minimum Bayes risk by chrF, see docs/conditional.md
        temperature: of the draws of --mbr; 1 if left out
        guidance: guidance of the samples, see `ptheta sample`
        against: run folder of p(x), fitted to the same events without a context; nats are compared pair by pair
        judge: run folder of the opposite direction, p(text | picture) or p(text | sound)
        seed: seed of the samples and of the shuffled contexts
        out: folder for the output: texts.tsv, pictures with a sheet, WAV files
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print nats, gains, metrics, notes and examples as one JSON object on the last line
    """

    from ptheta.judging.base import How
    from ptheta.judging.overlap import learned_by
    from ptheta.judging.tasks import densities
    from ptheta.judging.tasks import judge as judge_run
    from ptheta.reporting import track
    from ptheta.runs import Run
    from ptheta.training import choose_device

    for flag, value in (("--limit", limit), ("--samples", samples), ("--beams", beams), ("--mbr", mbr)):
        if value is not None and value < 1:
            raise UsageError(f"{flag} is {value}", "give at least 1")
    if temperature is not None and not 0 <= temperature < math.inf:
        raise UsageError(f"--temperature is {temperature}", "give a finite number of at least 0")
    place = choose_device(device)
    fitted = Run.load(run, place)
    if fitted.model.context_space is None:
        raise ContextError(f"{run} has no context", "`ptheta score` gives its nats")
    rival = None if against is None else Run.load(against, place)
    opposite = None if judge is None else Run.load(judge, place)
    folder = None if out is None else output(out, out, force)
    data, own = read(fitted, source, event, context)
    name = split or ("test" if "test" in data.splits else next(iter(data.splits)))
    if name not in data.splits:
        raise UsageError(f"{data.name} has no split {name!r}", nearest(name, list(data.splits)))
    events = data.splits[name].subset(limit)
    notes = [] if own else warned(learned_by(fitted, events))
    how = How(
        samples, beams, length_penalty, guidance, seed, opposite, mbr, 1.0 if temperature is None else temperature
    )
    many = densities(fitted, rival) * len(events)
    with track("scoring", many) as advance:
        found = judge_run(fitted, events, how, rival, advance)
    found.nats.notes[:0] = notes
    of = f"{len(events):,} events of {data.name} ({name})"
    _show(fitted, found, of, sys.stderr if json else sys.stdout)
    files = [] if folder is None else _write(fitted, events, found.findings, folder)
    if files:
        print(f"made: {folder}", file=sys.stderr)
    if json:
        print_json({**_result(fitted, found), "n": len(events), "split": name, "seed": seed, "files": files})


def read(run: Run, source: str | None, event: str | None, context: str | None) -> tuple[Data, bool]:
    """The data to judge a run on, and whether they are its own, split as in the fit.

    Args:
        run: whose own data they are without a source.
        source, event, context: as given.

    Raises:
        PthetaError: they cannot be read, or the run's own have changed.
    """
    if source is None and event is None and context is None:
        note(run.own_data.remarks)
        return run.own_data, True
    source = source or run.config["data"]["request"].get("source")
    if source is None:
        raise UsageError(f"{run.path} was fitted on data in memory", "name the SOURCE of the columns")
    own = run.same(source, event, context)
    data = run.read(source, event, context) if own is None else own
    note(data.remarks)
    return data, own is not None


def warned(text: str | None) -> list[str]:
    """A note, printed at once as a warning; none without one."""
    note([] if text is None else [f"warning: {text}"])
    return [] if text is None else [text]


def _show(run: Run, found: Judgement, of: str, file: TextIO) -> None:
    """Nats, gains and a table of metrics."""
    from ptheta.models import Density
    from ptheta.numbers import nats

    score = found.nats.score
    if score.density is Density.IMPLICIT:
        print(f"no density; samples for {of}", file=file)
    else:
        bits = "≤ " * score.is_bound + run.codec.in_bits(score.value)
        print(f"{score} nats, {bits}: −log p(x | y) of {of}", file=file)
    for over, gained in found.nats.gains.items():
        print(f"  gain of {nats(*gained)} nats over {over}", file=file)
    findings = found.findings
    print("there is no metric beyond nats for this task" if findings is None else findings.task, file=file)
    for line in [] if findings is None else lines(findings.rows):
        print(f"  {line}", file=file)
    for line in found.notes:
        print(f"  {line}", file=file)
    for example in [] if findings is None else shown(findings.examples):
        print("  " + "\t".join(" ".join(part.split()) for part in example), file=file)


def lines(rows: dict[str, dict[str, Measure]]) -> list[str]:
    """A table of metrics in lines of text; the first names the columns.

    >>> from ptheta.metrics import Measure
    >>> for line in lines({"model": {"exact": Measure(0.5, 0.05)}, "copy": {"exact": Measure(0)}}):
    ...     print(line.strip())
    exact
    model  0.500 ± 0.050
    copy           0.000
    """
    columns = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    cells = [["", *columns], *([name, *(str(row.get(c, "")) for c in columns)] for name, row in rows.items())]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join([first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:]))]).rstrip()
        for first, *rest in cells
        if rows
    ]


def shown(examples: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """At most `SHOWN` of the examples, evenly spread."""
    return [examples[i * len(examples) // SHOWN] for i in range(SHOWN)] if len(examples) > SHOWN else examples


def _result(run: Run, found: Judgement) -> dict[str, Any]:
    """What `--json` prints."""
    score = found.nats.score
    report: dict[str, Any] = {"run": run.path, **score.to_json()}
    report["gains"] = {name: _plain(measure) for name, measure in found.nats.gains.items()}
    if found.findings is not None:
        rows = found.findings.rows
        report["task"] = found.findings.task
        report["metrics"] = {name: {k: _plain(v) for k, v in row.items()} for name, row in rows.items()}
        report["examples"] = shown(found.findings.examples)
    report["notes"] = found.notes
    return report


def _plain(measure: Measure) -> dict[str, float | None]:
    return {"value": measure.value, "se": measure.error}


def _write(run: Run, events: Split, found: Findings | None, folder: Path) -> list[Path]:
    """Answers as files: texts in one table, drawn events in the form of the data, named after their contexts."""
    from ptheta.files import write_bytes
    from ptheta.reporting import write_events
    from ptheta.reporting.contexts import names_of

    files: list[Path] = []
    if found is not None and found.examples:
        rows = [("context", "reference", "output"), *found.examples]
        text = "".join("\t".join(" ".join(part.split()) for part in row) + "\n" for row in rows)
        files.append(write_bytes(folder / "texts.tsv", text.encode(), flush=False))
    if found is not None and found.made is not None:
        k = found.made.shape[1]
        rows_of = events.events()[1]
        assert rows_of is not None
        context = rows_of.repeat_interleave(k, 0)
        files += write_events(run, found.made.flatten(0, 1), folder, context, names_of(run, context))
    return files
