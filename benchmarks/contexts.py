"""The eight conditional tasks: a conditional model and an unconditional one on the same events, judged side by side.

    python -m benchmarks.contexts --row sound-text [--minutes M] [--threads 1] [--seed 0] --out DIR
    python -m benchmarks.contexts --list

A row is fitted by `ptheta fit`, with its context and, where there is time, without, into DIR/ROW and DIR/ROW-alone,
and judged by `ptheta evaluate`; what is made lies in DIR/ROW-made, the numbers in DIR/ROW.json. Runs
that are there already are used as they are. Rows that need a judge take the row named as such from the same DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import DATA, machine, table
from ptheta.cli.main import main as ptheta
from ptheta.evaluation.nats import log_probs
from ptheta.evaluation.results import Score
from ptheta.judging.nats import check_rival, gain
from ptheta.runs import Run


@dataclass(frozen=True)
class Row:
    """One task.

    Args:
        name: of the row.
        task: number in the list of eight, and what becomes what.
        source: folder of the data.
        event, context: columns; no context for the unconditional task.
        model: family.
        minutes: of the fit.
        alone: minutes of the fit to the same events without a context, or the row whose fit that is; None: there is
            none, and the context is compared with the same weights without it.
        hyperparameters: of the family; those of the context are left out of the unconditional fit.
        settings: of learning.
        data: further options of `load`.
        judge: row whose run judges this one's events.
        evaluate: options of `ptheta evaluate`.
    """

    name: str
    task: str
    source: str
    event: str
    context: str | None
    model: str
    minutes: float
    alone: float | str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    judge: str | None = None
    evaluate: Mapping[str, Any] = field(default_factory=dict)


OF_CONTEXT = ("context_dropout", "context_layers", "lexicon", "hold_out")
"""Hyperparameters that only a model with a context has a use for."""

OF_TEXTS = ("tokenizer", "vocabulary")
"""Options of `load` that only texts have a use for."""

PICTURE = {"width": 32, "layers": 4, "reach": 3}
PICTURE_SETTINGS = {"batch_size": 16, "precision": "native"}
TRANSLATION = {"width": 128, "layers": 3, "dropout": 0.1}
DIGITS = {"width": 64, "layers": 4, "heads": 2, "local": 4, "window": 168, "dropout": 0.0}
DIGITS_SETTINGS = {"batch_size": 8, "learning_rate": 4e-3, "average": 0.998, "precision": "native"}

ROWS: dict[str, Row] = {
    row.name: row
    for row in [
        Row("image", "1: ∅ → image", "mnist", "image", None, "transformer", 20, None, DIGITS, DIGITS_SETTINGS,
            {"binarize": "threshold"}, evaluate={"limit": 2000}),
        Row("colour-image", "1: ∅ → image", "cifar10", "img", None, "pixelcnn", 7, None,
            {**PICTURE, "dropout": 0.0}, PICTURE_SETTINGS, evaluate={"limit": 500}),
        Row("class-image", "2: class → image", "mnist", "image", "label", "transformer", 20, "image", DIGITS,
            DIGITS_SETTINGS, {"binarize": "threshold"}, evaluate={"samples": 1, "limit": 1000}),
        Row("class-fashion", "2: class → image", "fashion_mnist", "image", "label", "pixelcnn", 10, 10,
            {"width": 48, "layers": 5}, PICTURE_SETTINGS, evaluate={"samples": 1, "limit": 500}),
        Row("text-image", "3: text → image", "emoji", "image", "text", "pixelcnn", 20, 20, PICTURE,
            PICTURE_SETTINGS, {"tokenizer": "bpe", "vocabulary": 1024}, judge="image-text",
            evaluate={"samples": 1, "limit": 378}),
        Row("small-large", "4: image → image, super-resolution", "cifar10", "img", "img:8x8", "pixelcnn", 15, 15,
            {**PICTURE, "dropout": 0.0}, PICTURE_SETTINGS, evaluate={"samples": 8, "limit": 60}),
        Row("grey-colour", "4: image → image, colourising", "cifar10", "img", "img:grey", "pixelcnn", 7,
            "colour-image", {**PICTURE, "dropout": 0.0}, PICTURE_SETTINGS, evaluate={"samples": 8, "limit": 60}),
        Row("image-text", "5: image → text", "emoji", "text", "image", "transformer", 12, 4,
            {"width": 96, "layers": 3, "dropout": 0.3}, {"average": 0.998}, {"tokenizer": "bpe", "vocabulary": 1024},
            evaluate={"beams": 4, "limit": 378}),
        Row("english-russian", "6: text → text", "en_ru", "ru", "en", "transformer", 30, 4,
            {**TRANSLATION, "lexicon": True, "hold_out": True, "dropout": 0.3, "word_dropout": 0.1,
             "context_dropout": 0.0}, {"batch_size": 32, "average": 0.998}, {"vocabulary": 5000},
            evaluate={"mbr": 128, "temperature": 0.85, "limit": 500}),
        Row("english-german", "6: text → text", "multi30k", "de", "en", "transformer", 16, 4, TRANSLATION,
            {"batch_size": 48}, evaluate={"beams": 4, "limit": 500}),
        Row("sound-text", "7: sound → text", "free_spoken_digits", "text", "audio", "transformer", 2, 1,
            {"width": 64, "layers": 2, "dropout": 0.2}, evaluate={"beams": 4, "limit": 300}),
        Row("text-sound", "8: text → sound", "free_spoken_digits", "audio", "text", "pixelcnn", 20, None,
            {"width": 32, "layers": 5}, PICTURE_SETTINGS, {"bands": 24, "hop": 20}, judge="sound-text",
            evaluate={"samples": 1, "limit": 300}),
    ]
}  # fmt: skip


def fit_words(row: Row, minutes: float, seed: int, out: Path, *, alone: bool) -> list[str]:
    """The words of `ptheta fit` for a row, or for the same events without a context."""
    context, texts = None if alone else row.context, row.task.endswith("→ text")
    kept = {k: v for k, v in row.hyperparameters.items() if context or k not in OF_CONTEXT}
    data = {k: v for k, v in row.data.items() if context or texts or k not in OF_TEXTS}
    words = ["fit", str(DATA / row.source), row.model, "--event", row.event]
    words += ["--context", context] if context else []
    words += ["--whole"] if texts else []
    words += flags({**data, **kept, **row.settings})
    return [*words, "--minutes", f"{minutes:g}", "--seed", str(seed), "--out", str(out)]


def flags(options: Mapping[str, Any]) -> list[str]:
    """Options as words of a command line.

    >>> flags({"batch_size": 8, "lexicon": True})
    ['--batch-size', '8', '--lexicon']
    """
    words = {f"--{name.replace('_', '-')}": [] if value is True else [str(value)] for name, value in options.items()}
    return [word for name, values in words.items() for word in (name, *values)]


def called(words: Sequence[str]) -> dict[str, Any]:
    """What a command's --json prints; the command is printed before it runs."""
    print("$ ptheta", shlex.join(words).replace(f"{DATA}/", ""), file=sys.stderr, flush=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = ptheta([*words, "--json"])
    if status:
        raise SystemExit(status)
    return json.loads(said.getvalue().splitlines()[-1])


def fitted(row: Row, minutes: float | None, seed: int, out: Path, *, alone: bool = False) -> Path:
    """The run of a row, or of its events without a context, fitted unless it is there."""
    if alone and isinstance(row.alone, str):
        return fitted(ROWS[row.alone], minutes, seed, out)
    minutes = minutes or (row.alone if alone and isinstance(row.alone, int | float) else row.minutes)
    place = out / (f"{row.name}-alone" if alone else row.name)
    if not (place / "config.json").exists():
        called(fit_words(row, minutes, seed, place, alone=alone))
    return place


def judged(row: Row, run: Path, alone: Path | None, out: Path, seed: int) -> dict[str, Any]:
    """What `ptheta evaluate` says of a run with a context."""
    words = ["evaluate", str(run), "--seed", str(seed), *flags(row.evaluate)]
    words += ["--against", str(alone)] if alone else []
    if row.judge is not None:
        if not (out / row.judge / "config.json").exists():
            raise SystemExit(f"row {row.name} is judged by {row.judge}: run that row first, with the same --out")
        words += ["--judge", str(out / row.judge)]
    return called([*words, "--out", str(out / f"{row.name}-made"), "--force"])


def unconditional(row: Row, run: Path, seed: int, out: Path) -> dict[str, Any]:
    """Nats of a run without a context, beside those of independent pixels on the same events."""
    independent = out / f"{row.name}-independent"
    if not (independent / "config.json").exists():
        words = ["fit", str(DATA / row.source), "independent", "--event", row.event, *flags(row.data)]
        called([*words, "--seed", str(seed), "--out", str(independent)])
    model, baseline = Run.load(run), Run.load(independent)
    check_rival(model, baseline)
    events = model.own_data.test.subset(row.evaluate["limit"])
    told, untold = (log_probs(fit.model, events) for fit in (model, baseline))
    score, gained = Score.of(told, model.model.space.dimensions), gain(told, untold)
    gains = {"independent pixels": {"value": gained.value, "se": gained.error}}
    return {"nats": score.nats, "nats_se": score.nats_se, "n": score.n, "split": "test", "gains": gains}


def printed(row: Row, found: Mapping[str, Any], minutes: float | None) -> str:
    """A row's numbers as Markdown: nats and gains, then the metrics of the model and its baselines."""
    lines = [(f"nats of {row.name}", value_of({"value": found["nats"], "se": found["nats_se"]}))]
    lines += [(f"gain over {name}".replace("|", "\\|"), value_of(gained)) for name, gained in found["gains"].items()]
    alone = ROWS[row.alone].minutes if isinstance(row.alone, str) else row.alone
    took = f"{minutes or row.minutes:g} minutes" + (f", {minutes or alone:g} without a context" if alone else "")
    parts = [f"\n{row.task} ({row.source}), {took}; {machine()}\n", table(["what", "nats"], lines)]
    metrics = found.get("metrics")
    if metrics:
        columns = list(dict.fromkeys(name for values in metrics.values() for name in values))
        rows = [[who, *(value_of(values.get(c)) for c in columns)] for who, values in metrics.items()]
        parts.append(f"\n{found['task']}\n\n{table(['who', *columns], rows)}")
    parts += [f"\n{note}" for note in found.get("notes", ())]
    parts += ["\n" + "\n".join(" | ".join(example) for example in found["examples"])] if found.get("examples") else []
    return "\n".join(parts)


def value_of(measure: Mapping[str, float | None] | None) -> str:
    """A value with its standard error, or nothing."""
    if measure is None:
        return ""
    value, error = (float("nan") if measure["value"] is None else measure["value"]), measure["se"]
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs="+", choices=ROWS, default=[])
    parser.add_argument("--minutes", type=float, default=None, help="of all fits; left out: each row's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/contexts"))
    parser.add_argument("--list", action="store_true", help="print the rows' commands and stop")
    args = parser.parse_args()
    if args.list:
        for row in ROWS.values():
            words = fit_words(row, args.minutes or row.minutes, args.seed, args.out / row.name, alone=False)
            print(f"{row.task}\n  ptheta {shlex.join(words).replace(f'{DATA}/', '')}")
    torch.set_num_threads(args.threads)
    for name in args.row:
        row = ROWS[name]
        run = fitted(row, args.minutes, args.seed, args.out)
        if row.context is None:
            found = unconditional(row, run, args.seed, args.out)
        else:
            alone = fitted(row, args.minutes, args.seed, args.out, alone=True) if row.alone else None
            found = judged(row, run, alone, args.out, args.seed)
        (args.out / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(printed(row, found, args.minutes), flush=True)


if __name__ == "__main__":
    main()
