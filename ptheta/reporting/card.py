"""The model card: README.md of a run folder."""

from __future__ import annotations

from typing import Any

from ptheta.evaluation.results import Score
from ptheta.files import write_text
from ptheta.models import Density, family
from ptheta.numbers import count, nats, plural
from ptheta.reporting.contexts import given_words, run_words
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.overview import file_lines
from ptheta.run_folders import sealed, spare_card
from ptheta.runs import Run


def write_card(run: Run) -> None:
    """Write README.md: what the model is, how it was fitted, what it scores, how to use it.

    One that a person has edited is kept as README-1.md.
    """
    spare_card(run.path, run.path)
    write_text(run.path / "README.md", sealed(card(run)))


def card(run: Run) -> str:
    """The card as Markdown."""
    row, data = family(run.name), run.config["data"]
    density = run.model.density.value
    lines = [
        "---",
        "library_name: ptheta",
        f"tags: [density-estimation, generative, {row.name}]",
        "---",
        "",
        f"# {row.name} on {data['name']}",
        "",
        f"p(x{' | y' if run.model.context_space else ''}): {row.summary} ({row.reference}). Density: {density}.",
        "",
        *file_lines(run, "samples"),
        "| | |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in card_rows(run)],
        "",
        *[f"- {note}" for note in run.notes],
        "",
        *file_lines(run, "copies", "surprise"),
        "```sh",
        f"ptheta sample {run_words(run)}{given_words(run)}    # draw from it",
        *(f"ptheta {words.format(run=run_words(run), source='FILE')}    # {what}" for words, what in scoring(run)),
        "```",
    ]
    return "\n".join(lines) + "\n"


def scoring(run: Run) -> list[tuple[str, str]]:
    """How events are scored: words of the command with places for run and source, and what they give; none if they
    cannot be."""
    return {
        Density.EXACT: [("score {run} {source}", "log p of events")],
        Density.LOWER_BOUND: [("score {run} {source} --elbo", "a lower bound on log p of events")],
        Density.IMPLICIT: [],
    }[run.model.density]


def card_rows(run: Run) -> list[tuple[str, str]]:
    """Name and value of everything a card shows."""
    results, data = run.results(), run.config["data"]
    scored = "not scored yet"
    if "free_energy" in results:
        scored = free_energy_text(results)
    elif results:
        scored = score_text(run, results)
        if "nats_random_orders" in results:
            scored += f"; {results['nats_random_orders']:.2f} nats in random orders"
    return [
        ("model", run.name),
        ("events", str(run.model.space)),
        ("context", str(run.model.context_space or "none")),
        ("score", scored),
        ("density", run.model.density.value),
        *parameters(run),
        *parts(run),
        *members(run),
        ("hyperparameters", _pairs(run.config["model"]["hyperparameters"])),
        ("fit", f"{_fit(run.plan())}, seed {run.config['seed']}"),
        ("data", f"{data['source']}: {_pairs(data['splits'])} events" if run.has_data else data["source"]),
        ("versions", _pairs(run.config["versions"])),
    ]


def scored_events(results: dict[str, Any], of: int | None = None) -> str:
    """The events that a result is of, and of how many there are, in words.

    Args:
        results: of a fit.
        of: events of the split, if the results do not say.

    >>> scored_events({"n": 500, "of": 2000}), scored_events({"n": 1, "split": "test"})
    ('500 of 2,000 events', '1 event')
    """
    of = results.get("of", of)
    part = of is not None and of > results["n"]
    return f"{results['n']:,} of {plural(of, 'event')}" if of is not None and part else plural(results["n"], "event")


def score_text(run: Run, results: dict[str, Any]) -> str:
    """What the events that were held out score, in a sentence."""
    score = Score.from_json(results, run.model.space.dimensions)
    events = scored_events(results, run.config["data"]["splits"].get(results["split"]))
    events = events.replace("event", f"{results['split']} event")
    if score.density is Density.IMPLICIT:
        distance = results.get("energy_distance")
        judged = "" if distance is None else f"; energy distance {distance:.4f} of samples from {events}"
        return f"no density{judged}"
    rates = exhibit_of(run.codec).spelled(results)
    what = "upper bound on the mean" if score.is_bound else "mean"
    return f"{score} nats, {rates}: {what} negative log-likelihood of {events} ± standard error"


def parameters(run: Run) -> list[tuple[str, str]]:
    """How many parameters there are, where some are frozen also in all."""
    model = run.model
    rows = [("free parameters", count(model.free_parameters))]
    if model.total_parameters != model.free_parameters:
        rows.append(("parameters", f"{count(model.total_parameters)}, frozen ones included"))
    return rows


def parts(run: Run) -> list[tuple[str, str]]:
    """What the model is made of."""
    rows = []
    for name, part in run.config["model"].get("parts", {}).items():
        origin = part["origin"] and f", from the run {part['origin']['config'][:12]}"
        rows.append((f"part {name}", f"{part['family']}{', frozen' * part['frozen']}{origin or ''}"))
    return rows


def members(run: Run) -> list[tuple[str, str]]:
    """How many models the run mixes, if it does."""
    count = len(run.config["model"].get("members", []))
    return [("members", f"{count}, a mixture with equal weights")] if count else []


def free_energy_text(results: dict[str, Any]) -> str:
    """What a fit to a target found, in a sentence."""
    return (
        f"free energy {nats(results['free_energy'], results['free_energy_se'])} nats, at least −log Z; "
        f"log Z {nats(results['log_z'], results['log_z_se'])} by importance weights, "
        f"which {results['ess']:,.0f} of {results['n']:,} draws carry"
        + (f"; {results['impossible']:,} draws are impossible under the target" if results["impossible"] else "")
    )


def _fit(fit: dict[str, Any]) -> str:
    if fit["budget"] is None:
        return "closed form, one pass"
    settings = {**fit["settings"], **fit.get("options", {})}
    return f"{_pairs(fit['budget'])}; {_pairs(settings)}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in values.items() if v is not None) or "none"
