"""What a run is, how it learned, and what it left."""

from __future__ import annotations

import hashlib
import inspect
import math
import shlex
from itertools import pairwise
from typing import Any

from ptheta.data import load
from ptheta.evaluation.results import Score
from ptheta.listing import files_below
from ptheta.models import Autoregressive, Counting, Density, family
from ptheta.models.ensembles.base import Ensemble
from ptheta.numbers import count, nats, plural
from ptheta.reporting.card import card_rows, scoring
from ptheta.reporting.contexts import given_words, run_words
from ptheta.reporting.markup import Html, command, facts, figure, joined, panels, paragraph, table, tag
from ptheta.reporting.report.charts import S1, S2, Line, curves
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.page import Section
from ptheta.runs import CHANGED, Run
from ptheta.training import OBJECTIVES, Settings

DENSITIES = {
    Density.EXACT: "log p(x) is exact: probabilities of all events add up to 1, and what is sampled is what is scored.",
    Density.LOWER_BOUND: "Only a lower bound on log p(x) is known; all nats here are upper bounds on −log p(x).",
    Density.IMPLICIT: "The model samples and has no density: nothing on this page is a likelihood.",
}

OVERFITS = "where validation rises while train falls, the model overfits"
CURVES = {
    "validation_nats": ("Mean −log p of an event", "nats", OVERFITS),
    "validation_nats_bound": ("Upper bound on mean −log p of an event", "nats", OVERFITS),
    "validation_energy_distance": (
        "Validation is the energy distance of samples from validation events, train the model's own loss",
        "",
        "the two have different units",
    ),
}
"""What the curves of a fit show, by the name of what it was judged by: in words, the unit, and how they compare."""

BYTES = 2**20
"""Read at a time to hash a file."""


def head(evidence: Evidence) -> tuple[str, Html, dict[str, Any]]:
    """Title, what stands below it, and the main numbers."""
    run, data = evidence.run, evidence.run.config["data"]
    results = run.results()
    numbers = {"density": run.model.density.value}
    tiles: list[tuple[str, str]] = []
    if results:
        score = Score.from_json(results, run.model.space.dimensions)
        if score.density is Density.IMPLICIT:
            judged = {key: results[key] for key in ("energy_distance", "free_energy") if key in results}
            tiles += [(nats(value), key.replace("_", " ")) for key, value in judged.items()]
        else:
            tiles.append((str(score), f"{results['split']} nats, ± standard error"))
        bits = run.codec.bits_key + "_bound" * score.is_bound
        rates = (("bits_per_byte", "bits/byte"),) if "bits_per_byte" in results else ((bits, run.codec.bits_label),)
        bound = "≤ " * score.is_bound
        tiles += [(f"{bound}{results[key]:.4f}", label) for key, label in rates if key in results]
        done = "compared" if "energy_distance" in results else "scored"
        of = results.get("of", results["n"])
        part = f"of {of:,} " if of > results["n"] else ""
        tiles.append(
            (f"{results['n']:,}", f"{part}{results.get('split', 'drawn')} {'event' if of == 1 else 'events'} {done}")
        )
        numbers |= score.to_json()
    tiles.append((count(run.model.free_parameters), "free parameters"))
    if results:
        tiles.append((f"{results['seconds']:,.0f} s", "to fit"))
    shown = tag(
        "div", *(tag("div", tag("b", value), tag("span", name), cls="tile") for value, name in tiles), cls="tiles"
    )
    about = [paragraph(f"{run.name}: {family(run.name).summary}. ", DENSITIES[run.model.density])]
    if not evidence.own:
        words = f"The run is judged on other data than those it was fitted to: {evidence.data.source}."
        if doubt := run.doubt(evidence.data.source):
            words = f"{doubt[0].upper()}{doubt[1:]}."
        about.append(paragraph(words, cls="warning"))
    elif evidence.data.fingerprint != data["fingerprint"]:
        words = f"The data {CHANGED}, so held-out events may be events it was trained on."
        about.append(paragraph(words, cls="warning"))
    about += [paragraph(f"{remark}.", cls="warning") for remark in run.remarks]
    if zero := results.get("zero_probability"):
        about.append(paragraph(f"{plural(zero, 'event')} of the scored ones have probability 0.", cls="warning"))
    return f"{run.name} on {data['name']}", joined([shown, *about]), numbers


def the_run(evidence: Evidence) -> Section:
    """Everything that is known about the run, and the command that fits it again."""
    run = evidence.run
    notes = tag("ul", *(tag("li", note) for note in run.notes))
    body = [facts(card_rows(run)), tag("h3", "Fit again"), command(fit_command(run))]
    if "parts" in run.config["model"]:
        body.append(paragraph("The model was built from parts in Python; the command builds new ones.", cls="how"))
    if any("resumed" in line for line in run.metrics()):
        body.append(paragraph("The fit was resumed; the command names its last budget and settings.", cls="how"))
    values = {**run.config["model"]["hyperparameters"], **(run.plan()["settings"] or {})}
    if settled := [f"--{k.replace('_', '-')} {values[k]}" for k in run.plan().get("settled", [])]:
        words = f"Chosen for the budget on the machine as it was, and chosen again: {', '.join(settled)}."
        body.append(paragraph(words, cls="how"))
    if "minutes" in (run.plan()["budget"] or {}) and run.plan()["budget"]["minutes"] is not None:
        words = "A budget in minutes gives different weights on another machine; one in steps or epochs gives the same."
        body.append(paragraph(words, cls="how"))
    return Section("The run", joined([*body, tag("h3", "Notes on the data"), notes]))


def fit_command(run: Run) -> str:
    """The command that fits the run again: everything that is not a default."""
    request, stored, plan = run.config["data"]["request"], run.config["model"], run.plan()
    source = request.get("source") or "DATA"
    words = ["ptheta", "fit", source, stored["family"]]
    usual_data = {name: parameter.default for name, parameter in inspect.signature(load).parameters.items()}
    given = {k: v for k, v in request.items() if k not in ("source", "seed") and v not in (None, usual_data.get(k))}
    signature = family(stored["family"]).load().hyperparameter_signature()
    settled = plan.get("settled", [])
    hyperparameters = {k: v for k, v in stored["hyperparameters"].items() if k not in settled}
    chosen = {k: v for k, v in hyperparameters.items() if not _is_default(v, signature.get(k))}
    budget = {k: v for k, v in (plan["budget"] or {}).items() if v is not None}
    usual = vars(Settings.of(run.model))
    settings = {k: v for k, v in (plan["settings"] or {}).items() if k in usual and v != usual[k] and k not in settled}
    objective = OBJECTIVES[plan.get("objective", "maximum_likelihood")]
    options = {k: v for k, v in plan.get("options", {}).items() if v != objective.options()[k].default}
    members = plan.get("members", 1)
    usual_members = "auto" if budget.get("minutes") and objective.anneals and "members" in plan else 1
    several = {} if members == usual_members else {"members": members}
    for name, value in (given | chosen | budget | several | settings | options | {"seed": run.config["seed"]}).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list):
            words += [flag, *map(str, value)] if name in chosen else [flag, ",".join(map(str, value))]
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def _is_default(value: Any, parameter: inspect.Parameter | None) -> bool:
    default = None if parameter is None else parameter.default
    return value == (list(default) if isinstance(default, tuple) else default)


def learning(evidence: Evidence) -> Section:
    """Train and validation nats over steps and seconds."""
    run = evidence.run
    validated = [line for line in run.metrics() if "learning_rate" in line]
    judged, trained = (_key(validated, start) for start in ("validation_", "train_"))
    lines = [line for line in validated if line.get(judged) is not None and "member" not in line]
    if isinstance(run.model, Counting) or run.plan()["budget"] is None:
        words = "The model is learned in closed form, by one pass over the training events: there are no curves."
        return Section("Learning", paragraph(words))
    if len(lines) < 2:
        return Section("Learning", paragraph("The fit was validated less than twice: there are no curves."))
    kept = min(lines, key=lambda line: line[judged])
    first = lines[0]
    shown = lines[1:] if len(lines) > 3 else lines
    rows = [line for line in run.metrics() if "learning_rate" in line or "resumed" in line]
    resumed = [a for a, b in pairwise(rows) if "resumed" in b and "learning_rate" in a and "member" not in a]
    what, unit, compared = CURVES.get(judged, (f"Validation is {judged}", "", "the two may have different units"))
    axis = f"{unit} per event" if unit else "loss and distance"
    charts = []
    for key, label in (("step", "optimiser steps"), ("seconds", "seconds of learning")):
        x = [line[key] for line in shown]
        series = [
            Line(x, [math.nan if line.get(trained) is None else line[trained] for line in shown], "train", S1),
            Line(x, [line[judged] for line in shown], "validation", S2, marker="o"),
        ]
        marks = {kept[key]: "kept"} | {line[key]: "resumed" for line in resumed[:1]}
        alt = f"train and validation over {label}; the lowest validation, {kept[judged]:.2f}, is kept"
        charts.append(figure(evidence.charts.draw(alt, curves(series, label, axis, marks=marks))))
    lowest = f"{nats(kept[judged], kept.get(f'{judged}_se'))} {unit}".strip()
    owner = "those of the first member" if isinstance(run.model, Ensemble) else "the run's"
    words = (
        f"{what}, lower is better. Train is the average over the steps since the last validation, at the weights of "
        f"each step, so it lags behind; {compared}. The weights of step {kept['step']:,} had the lowest validation, "
        f"{lowest}, and are {owner}."
    )
    if shown is not lines:
        value = f"{nats(first[judged])} {unit}".strip()
        words += f" Not drawn: step {first['step']}, where validation was {value}."
    if resumed:
        words += f" The fit was resumed {plural(len(resumed), 'time')}."
    numbers = {"kept_step": kept["step"], judged: kept[judged]}
    return Section("Learning", joined([paragraph(words, cls="how"), panels(charts)]), numbers)


def _key(lines: list[dict[str, Any]], start: str) -> str:
    """The name of the value whose name begins so, in the records of a fit."""
    names = [name for line in lines for name in line if name.startswith(start) and not name.endswith("_se")]
    return names[0] if names else f"{start}nats"


def files(evidence: Evidence) -> Section:
    """What is in the run folder, and what to do next."""
    run = evidence.run
    rows = []
    for path in files_below(run.path):
        if path.is_symlink() or not path.is_file() or path == evidence.out:
            continue
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while part := file.read(BYTES):
                digest.update(part)
        rows.append(
            (path.relative_to(run.path).as_posix(), f"{path.stat().st_size:,}", tag("code", digest.hexdigest()))
        )
    where, context = run_words(run), given_words(run)
    source = shlex.quote(run.config["data"]["request"].get("source") or "SOURCE")
    completes = isinstance(run.model, Autoregressive)
    commands = [
        (f"ptheta sample {where} -n 64{context}", "draw from it"),
        *((f"ptheta {words.format(run=where, source=source)}", what) for words, what in scoring(run)),
        *([(f"ptheta complete {where} FILE{context} -n 4", "fill in the rest of an event")] * completes),
        (f"ptheta info {where}", "verify the folder"),
    ]
    width = max(len(line) for line, _ in commands)
    lines = "\n".join(f"{line:<{width}}  # {what}" for line, what in commands)
    how = (
        "Loading a run checks that config and weights are those that were written; the hashes here are of whole files."
    )
    parts = [command(lines), table(f"Files in {run.path}", ("file", "bytes", "SHA-256"), rows, text=[2])]
    return Section("From here", joined([*parts, paragraph(how, cls="how")]))
