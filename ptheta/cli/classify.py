"""`ptheta classify`: p(y | x) by Bayes, beside a classifier trained on the same data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ptheta.cli.arguments import call, print_json
from ptheta.cli.contexts import has_columns
from ptheta.cli.evaluate import read, warned
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, RunArgument, SourceArgument
from ptheta.cli.places import output
from ptheta.errors import ContextError, PthetaError, UsageError, nearest
from ptheta.spaces import Label

if TYPE_CHECKING:
    from torch import Tensor

    from ptheta.data import Data, Split
    from ptheta.runs import Run


def main(args: list[str]) -> None:
    """Parse and run."""
    call(classify, args, "ptheta classify")


def classify(
    run: RunArgument,
    source: SourceArgument,
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
    """Find p(label | x) of every event by Bayes from a run that learned p(x | label).

    Args:
        run: run folder, whose context is a label
        source: as for `ptheta fit`; the run's own source is split as it was in the fit
        prior: p(label): uniform, or how often each label occurs in the run's training data
        split: of the source; test if there is one
        event: column(s) of x; as in the fit if left out
        context: column of the labels; as in the fit if left out. Without labels there is no accuracy
        limit: classify at most this many events, drawn with a fixed seed
        baselines: train logistic regression and support vectors on at most 10,000 training events of the run, and
            classify the same events with them
        out: a .csv or .parquet file with a row for each event: the label predicted and the probability of each
        force: replace --out
        device: auto, cpu or cuda
        json: print accuracy, accuracy_se, log_loss, n and the baselines as one JSON object on the last line
    """
    from rich.console import Console

    from ptheta.classifying import classify as posterior
    from ptheta.judging.overlap import learned_by
    from ptheta.reporting import track
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}", "give at least 1")
    fitted = Run.load(run, choose_device(device))
    space = fitted.model.context_space
    if not isinstance(space, Label):
        raise ContextError(f"the context of {run} is not a label", "fit with a column of labels as --context")
    place = None if out is None else output(out, out, force)
    if place is not None and place.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{place} is not a table", "name a .csv or .parquet file")
    data, own = _read(fitted, source, event, context)
    name = split or ("test" if "test" in data.splits else next(iter(data.splits)))
    if name not in data.splits:
        raise UsageError(f"{source} has no split {name!r}", nearest(name, list(data.splits)))
    events = data.splits[name] if limit is None else data.splits[name].subset(limit)
    notes = [] if own else warned(learned_by(fitted, events))
    x, truth = events.events()
    with track("classifying", len(x), Console(stderr=True)) as advance:
        found = posterior(fitted, x, None, prior, advance=advance)
    report: dict[str, Any] = {"n": len(x), "split": name, "prior": prior, "notes": notes}
    impossible = int(found.isnan().any(1).sum())
    if impossible:
        print(f"{impossible:,} events have probability 0 under every label", file=sys.stderr)
    if truth is not None:
        report |= _judged(found, truth)
        _say("Bayes", report, f" on {len(x):,} events of {data.name} ({name}), {prior} prior")
        if baselines:
            report["baselines"] = _baselines(fitted, events, truth)
    files = [] if place is None else [_write(events, found, space.names, truth, place)]
    if truth is None and not files:
        for row, k in enumerate(_best(found)):
            print(f"{row}\t" + ("\t" if k is None else f"{space.names[k]}\t{float(found[row, k]):.4f}"))
    if files:
        print(f"all are in {files[0]}", file=sys.stderr)
    if json:
        print_json({**report, "files": files})


def _read(run: Run, source: str, event: str | None, context: str | None) -> tuple[Data, bool]:
    """The source as events of the run, without labels where it has no such column; and whether it is the run's own."""
    from ptheta.data import load

    asked = run.config["data"]["request"]["context"]
    if context is not None or has_columns(source, asked):
        return read(run, source, event, context)
    print(f"without labels: {source} has no column {asked!r}", file=sys.stderr)
    data = load(source, event=event or run.config["data"]["request"]["event"], codec=run.codec)
    note(data.remarks)
    return data, False


def _judged(found: Tensor, truth: Tensor) -> dict[str, Any]:
    """Accuracy and log-loss; an event without a posterior is an error and costs infinitely many nats."""
    from ptheta.classifying import log_loss
    from ptheta.metrics import mean

    right = mean((found.nan_to_num(nan=-1.0).argmax(1) == truth).numpy() & ~found.isnan().any(1).numpy())
    loss = mean(log_loss(found.nan_to_num(nan=0.0), truth).numpy())
    return {
        "accuracy": right.value,
        "accuracy_se": right.error,
        "log_loss": loss.value,
        "log_loss_se": loss.error,
    }


def _baselines(run: Run, events: Split, truth: Tensor) -> dict[str, dict[str, Any]]:
    """Classifiers trained on the run's own training data, on the same events."""
    import torch

    from ptheta.judging.classifiers import logistic_regression, support_vectors
    from ptheta.metrics import accuracy

    results: dict[str, dict[str, Any]] = {}
    for train in (logistic_regression, support_vectors):
        try:
            trained = train(run.own_data.train, run.model.space, run.codec)
        except PthetaError as error:
            print(f"no baselines: {error.problem}", file=sys.stderr)
            break
        if trained.probabilities is None:
            right = accuracy(truth.numpy(), trained.predict(events.x))
            report: dict[str, Any] = {"accuracy": right.value, "accuracy_se": right.error}
        else:
            found = np.zeros((len(events), int(max(truth.max() + 1, run.model.context_space.levels))))  # type: ignore[union-attr]
            known = trained.probabilities(events.x)
            found[:, : known.shape[1]] = known
            report = _judged(torch.from_numpy(found), truth)
        results[trained.name] = {**report, "rows": trained.rows}
        _say(trained.name, report, f", trained on {trained.rows:,} events")
    return results


def _best(found: Tensor) -> list[int | None]:
    """The most probable label of each event; None where no posterior exists."""
    return [None if row.isnan().any() else int(row.argmax()) for row in found]


def _say(name: str, report: dict[str, Any], where: str) -> None:
    from ptheta.metrics import Measure

    loss = f", log-loss {Measure(report['log_loss'], report['log_loss_se'])} nats" if "log_loss" in report else ""
    accuracy = Measure(report["accuracy"], report["accuracy_se"])
    print(f"{name}: accuracy {accuracy}{loss}{where}", file=sys.stderr)


def _write(events: Split, found: Tensor, names: Sequence[str], truth: Tensor | None, path: Path) -> Path:
    """A row for each event; where no posterior exists the prediction is empty."""
    import pandas as pd

    from ptheta.files import replacing

    columns: dict[str, Any] = {"row": np.arange(len(found))}
    if events.files is not None:
        columns["file"] = events.files
    if truth is not None:
        columns["label"] = [names[k] for k in truth.tolist()]
    columns["predicted"] = [None if k is None else names[k] for k in _best(found)]
    columns |= {f"p({name})": found[:, k].numpy() for k, name in enumerate(names)}
    frame = pd.DataFrame(columns)
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    return path
