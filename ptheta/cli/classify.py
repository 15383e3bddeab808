"""`ptheta classify`: p(y | x) by Bayes, beside a classifier trained on the same data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ptheta.cli.arguments import call
from ptheta.cli.contexts import has_columns
from ptheta.cli.evaluate import read, warned
from ptheta.cli.groups import of_text_tables, read_as_asked
from ptheta.cli.json_output import print_json
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, OwnSource, RunArgument
from ptheta.cli.places import output
from ptheta.errors import ContextError, PthetaError, UsageError, nearest
from ptheta.numbers import plural
from ptheta.spaces import Label

if TYPE_CHECKING:
    from torch import Tensor

    from ptheta.data import Data, Split
    from ptheta.metrics import Measure
    from ptheta.runs import Run


def main(args: list[str]) -> None:
    """Parse and run."""
    call(read_as_asked(classify), args, "ptheta classify", groups=of_text_tables())


def classify(
    run: RunArgument,
    source: OwnSource = None,
    *,
    prior: Literal["uniform", "train"] = "uniform",
    split: str | None = None,
    event: str | None = None,
    context: str | None = None,
    limit: int | None = None,
    baselines: bool = True,
    out: Path | None = None,
    force: Force = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Find p(label | x) of every event by Bayes from a run that learned p(x | label), or p(x | several labels).

    Args:
        run: run folder, whose context is a label, or several labels
        source: as for `ptheta fit`; the run's own if left out, and then split as in the fit
        prior: p(label): uniform, or how often each label occurs in the run's training data
        split: split of the source to classify; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column(s) of the labels; as in the fit if left out. Without labels nothing is judged
        limit: classify at most this many events, drawn with a fixed seed
        baselines: beside the most frequent training label, train logistic regression and support vectors, or for rows
            of a table gradient boosting, on at most 10,000 training events of the run, and classify the same events
        out: a .csv or .parquet file with a row for each event: the predicted label and the probability of each
            label
        force: replace the file in --out
        device: auto, cpu or cuda
        json: print n, split, prior, notes, and of each label accuracy, auroc, average_precision, log_loss, brier (each
            with _se where it has one), calibration_error, labels (n, auroc and average_precision of each) and the same
            of all baselines as one JSON object on the last line; of several labels under parts
    """

    from ptheta.classifying import classify as posterior
    from ptheta.classifying import labels_of, marginals
    from ptheta.judging.overlap import learned_by
    from ptheta.reporting import track
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}", "give at least 1")
    fitted = Run.load(run, choose_device(device))
    space = fitted.model.context_space
    labels = labels_of(space)
    if space is None or labels is None:
        raise ContextError(f"the context of {run} is not a label", "fit with column(s) of labels as --context")
    place = None if out is None else output(out, out, force)
    if place is not None and place.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{place} is not a table", "name a .csv or .parquet file")
    data, own = _read(fitted, source, event, context)
    name = split or ("test" if "test" in data.splits else next(iter(data.splits)))
    if name not in data.splits:
        raise UsageError(f"{data.name} has no split {name!r}", nearest(name, list(data.splits)))
    events = data.splits[name] if limit is None else data.splits[name].subset(limit)
    notes = [] if own else warned(learned_by(fitted, events))
    x, truth = events.events()
    with track("classifying", len(x)) as advance:
        found = posterior(fitted, x, None, prior, advance=advance)
    report: dict[str, Any] = {"n": len(x), "split": name, "prior": prior, "notes": notes}
    impossible = int(found.isnan().any(1).sum())
    if impossible:
        have = "has" if impossible == 1 else "have"
        print(f"{plural(impossible, 'event')} {have} probability 0 under every label", file=sys.stderr)
    truths = None if truth is None else truth.reshape(len(truth), -1)
    answers = [
        Answer(part, labels[part], p, None if truths is None else truths[:, j])
        for j, (part, p) in enumerate(marginals(found, space).items())
    ]
    for j, answer in enumerate(answers):
        if answer.truth is None:
            continue
        of = f"{answer.name or 'labels'} of {len(x):,} events of {data.name} ({name}), {prior} prior"
        judged = _judged(fitted, events, answer, j, of, notes, prior, baselines)
        if answer.name:
            report.setdefault("parts", {})[answer.name] = judged
        else:
            report |= judged
    files = [] if place is None else [_write(events, answers, place)]
    if truth is None and not files:
        for row in range(len(x)):
            print("\t".join([str(row), *(cell for answer in answers for cell in answer.cells(row))]))
    if files:
        print(f"all are in {files[0]}", file=sys.stderr)
    if json:
        print_json({**report, "files": files})


@dataclass(frozen=True)
class Answer:
    """What is inferred of one label.

    Attributes:
        name: of the label, of several; otherwise empty.
        space: of the label.
        probabilities: [n, K]; a row of NaN where no posterior exists.
        truth: numbers of the true labels [n], −1 where unknown; None if none are known.
    """

    name: str
    space: Label
    probabilities: Tensor
    truth: Tensor | None

    @property
    def best(self) -> list[int | None]:
        """The most probable label of each event; None where no posterior exists."""
        return [None if row.isnan().any() else int(row.argmax()) for row in self.probabilities]

    def cells(self, row: int) -> list[str]:
        """The most probable label of an event and its probability, as text."""
        found = self.probabilities[row]
        if found.isnan().any():
            return ["", ""]
        return [self.space.names[int(found.argmax())], f"{float(found.max()):.4f}"]


def _read(run: Run, source: str | None, event: str | None, context: str | None) -> tuple[Data, bool]:
    """The source as events of the run, without labels where it has no such column; and whether it is the run's own."""
    from ptheta.data import load

    asked = run.config["data"]["request"]["context"]
    if source is None or context is not None or has_columns(source, asked):
        return read(run, source, event, context)
    print(f"without labels: {source} has no column {asked!r}", file=sys.stderr)
    data = load(source, event=event or run.config["data"]["request"]["event"], codec=run.codec)
    note(data.remarks)
    return data, False


def _judged(
    run: Run, events: Split, answer: Answer, part: int, of: str, notes: list[str], prior: str, baselines: bool
) -> dict[str, Any]:
    """Metrics of one label, beside those of the most frequent label and of classifiers; printed, and for --json."""
    from ptheta.cli.evaluate import lines
    from ptheta.judging.classes import judge_classes, judged_labels, per_label

    assert answer.truth is not None
    known = (answer.truth >= 0).numpy()
    truth, p = answer.truth[known].numpy(), answer.probabilities[known].numpy()
    rows = {"Bayes": judge_classes(p, truth)}
    sizes: dict[str, int] = {}
    if baselines:
        where = np.flatnonzero(known)
        for name, found in _baselines(run, events.x[where], truth, answer.space.levels, part).items():
            rows[name], sizes[name] = found
    ranked = judged_labels(truth, answer.space.levels)
    which = f"of {answer.space.names[ranked[0]]!r}" if len(ranked) == 1 else f"means over {len(ranked)} labels"
    print(f"{of}; AUROC and average precision {which}", file=sys.stderr)
    shown = {name: {TITLES[key]: value for key, value in row.items()} for name, row in rows.items()}
    for line in lines(shown):
        print(f"  {line}", file=sys.stderr)
    note = _below_majority(rows, prior)
    if note:
        notes.append(note)
        print(note, file=sys.stderr)
    plain = {name: _plain(row) | ({"rows": sizes[name]} if name in sizes else {}) for name, row in rows.items()}
    labels = per_label(np.nan_to_num(p), truth, answer.space.names)
    report = plain.pop("Bayes") | {"labels": labels}
    return report | ({"baselines": plain} if baselines else {})


TITLES = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "average_precision": "av. precision",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "ECE",
}
"""Key of a metric → head of its column."""


def _plain(row: dict[str, Measure]) -> dict[str, Any]:
    """Metrics as JSON has them: a value by its key, and its standard error by the key with _se."""
    values = {key: measure.value for key, measure in row.items()}
    return values | {f"{key}_se": measure.error for key, measure in row.items() if measure.error is not None}


def _below_majority(rows: dict[str, dict[str, Measure]], prior: str) -> str | None:
    """What to say of an accuracy below that of one answer for all."""
    constant = rows.get(MAJORITY)
    if constant is None or rows["Bayes"]["accuracy"].value >= constant["accuracy"].value:
        return None
    remedy = "; --prior train takes labels to be as frequent as in training" if prior == "uniform" else ""
    return f"the most frequent training label for every event is right more often{remedy}"


MAJORITY = "most frequent label"
"""Name of the baseline that sees no event."""


def _baselines(
    run: Run, x: np.ndarray, truth: np.ndarray, levels: int, part: int
) -> dict[str, tuple[dict[str, Measure], int]]:
    """Metrics and training events of classifiers trained on the run's own training data, on the same events."""
    from ptheta.data import Split
    from ptheta.judging.classes import judge_classes, most_frequent, ranking
    from ptheta.judging.classifiers import suited
    from ptheta.metrics import accuracy

    results: dict[str, tuple[dict[str, Measure], int]] = {}
    try:
        train = run.own_data.train
        assert train.context is not None
        train = Split(train.x, train.context.reshape(len(train), -1)[:, part])
        constant = most_frequent(train.context, levels, len(x))
        results[MAJORITY] = judge_classes(constant, truth), len(train)
        for learn in suited(run.model.space):
            trained = learn(train, run.model.space, run.codec)
            if trained.probabilities is None:
                scores = _widened(trained.margins(x), levels, -np.inf)
                row = {"accuracy": accuracy(truth, trained.predict(x)), **ranking(scores, truth)}
            else:
                row = judge_classes(_widened(trained.probabilities(x), levels, 0.0), truth)
            results[trained.name] = row, trained.rows
    except PthetaError as error:
        print(f"no {'further ' * bool(results)}baselines: {error.problem}", file=sys.stderr)
    return results


def _widened(scores: np.ndarray, levels: int, missing: float) -> np.ndarray:
    """Scores [n, k] with columns for the labels that training lacks, [n, K]."""
    low = missing if np.isfinite(missing) else float(scores.min(initial=0.0)) - 1
    return np.pad(scores, ((0, 0), (0, levels - scores.shape[1])), constant_values=low)


def _write(events: Split, answers: Sequence[Answer], path: Path) -> Path:
    """A row for each event; where no posterior exists the prediction is empty. Several labels have columns each."""
    import pandas as pd

    from ptheta.files import replacing

    columns: dict[str, Any] = {"row": events.source_rows}
    if events.files is not None:
        columns["file"] = events.files
    for answer in answers:
        names, of = answer.space.names, f"{answer.name}=" if answer.name else ""
        mark = f" {answer.name}" if answer.name else ""
        if answer.truth is not None:
            columns[f"label{mark}"] = [names[k] if k >= 0 else None for k in answer.truth.tolist()]
        columns[f"predicted{mark}"] = [None if k is None else names[k] for k in answer.best]
        columns |= {f"p({of}{name})": answer.probabilities[:, k].numpy() for k, name in enumerate(names)}
    frame = pd.DataFrame(columns)
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    return path
