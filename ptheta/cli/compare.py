"""`ptheta compare`: several models, the same data, the same nats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.cli.arguments import call
from ptheta.cli.families import named
from ptheta.cli.groups import of_data
from ptheta.cli.json_output import print_json
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, Models, SourceArgument
from ptheta.cli.places import output
from ptheta.errors import UsageError
from ptheta.models.zoo import is_family

if TYPE_CHECKING:
    from ptheta.data import Data
    from ptheta.models import Model

DEFAULT_MODELS = "independent,markov_chain,markov_mlp,made,transformer,flow,table"
"""Families that are compared if none is named, those that suit the data, with the one that `fit` would choose."""


def main(args: list[str]) -> None:
    """Parse and run."""
    call(compare, source_first(args), "ptheta compare", groups={"options": of_data()})


def source_first(args: list[str]) -> list[str]:
    """Arguments with the source in front, if it stands behind the values of --models, which would take it in.

    >>> source_first(["--models", "made", "flow", "digits", "--steps", "3"])
    ['digits', '--models', 'made', 'flow', '--steps', '3']
    """
    if not args or args[0] != "--models":
        return args
    last = next((j for j, word in enumerate(args[1:], 1) if word.startswith("--")), len(args)) - 1
    if last < 2 or is_family(args[last]):
        return args
    return [args[last], *args[:last], *args[last + 1 :]]


def suits(model: type[Model], data: Data) -> bool:
    """Whether a family models the events and takes the contexts of some data."""
    given = data.context_space
    return isinstance(data.space, model.spaces) and (given is None or isinstance(given, model.context_spaces))


def compare(
    source: SourceArgument,
    *,
    options: dict[str, Any],
    models: Models = [],  # noqa: B006
    minutes: float | None = None,
    steps: int | None = None,
    out: Path | None = None,
    force: Force = False,
    seed: int = 0,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Fit several models to the same data and rank them by test nats, tables beside simple densities.

    Args:
        source: as for `ptheta fit`
        models: names from `ptheta zoo`, or `module:Class`, with commas or spaces between them; if left out those that
            suit the data, with the one that `fit` chooses
        minutes: budget of each model that learns by gradients; 1 if no budget is given
        steps: budget of each model in optimiser steps
        out: folder for the runs; a new one under runs/ if left out
        force: replace what is in --out
        seed: seed of splits, weights, shuffling and samples
        device: auto, cpu or cuda
        json: print the models' results as one JSON object on the last line
    """
    import ptheta
    from ptheta.evaluation.baselines import baselines
    from ptheta.fitting import DEFAULT_MINUTES, check_numbers, default_model, preset_for
    from ptheta.fitting.results import held_out, on_the_same_events
    from ptheta.models import family
    from ptheta.reporting.comparison import Row, comparison, drawn, ranked, sample_quality, sheet
    from ptheta.reporting.pictures import save_picture
    from ptheta.reporting.waiting import console_for, waiting

    asked = ",".join(models)
    names = [named(name.strip()) for name in (asked or DEFAULT_MODELS).split(",") if name.strip()]
    if not names:
        raise UsageError("there is nothing to compare", f"name models, for example --models {DEFAULT_MODELS}")
    check_numbers({"minutes": minutes, "steps": steps, "epochs": None}, {}, None, device)
    console = console_for(True)
    with waiting(f"reading {source}", console):
        data = ptheta.load(source, **options, seed=seed)
    if not asked:
        names = [name for name in names if suits(family(name).load(), data)]
        names = list(dict.fromkeys([*names, default_model(data)]))
    for name in names:
        family(name).load()(data.space, data.context_space)  # all must suit the data, before any is fitted
    place = output(out, Path("runs") / f"{data.name}-compare", force)
    note(data.notes)
    runs = []
    for name in dict.fromkeys(names):
        run = ptheta.fit(
            name,
            data,
            preset=preset_for(name, data),
            minutes=DEFAULT_MINUTES if minutes is None and steps is None else minutes,
            steps=steps,
            out=place / family(name).short,
            force=force,
            seed=seed,
            device=device,
            verbose=True,
        )
        runs.append(run)
    with waiting("scoring all models on the same events", console):
        events, results = on_the_same_events(runs, data)
    with waiting("fitting baselines", console):
        simple = baselines(data, events, None if "independent" not in names else ("Chow–Liu tree", "Gaussian mixture"))
    rows = [Row.of(run, found) for run, found in zip(runs, results)]
    rows = ranked([*rows, *map(Row.of_baseline, simple)])
    with waiting("comparing samples with real events", console):
        samples = drawn(runs, data, seed)
        quality = sample_quality(samples, data, seed)
        picture = sheet(rows, samples, data, seed)
    file = None if picture is None else save_picture(picture, place / "samples.png")
    comparison(rows, quality, data, sys.stderr if json else sys.stdout)
    if file is not None:
        note([f"samples of all models: {file}"])
    if not asked:
        note([f"`ptheta fit` would choose {default_model(data)}"])
    if json:
        judged = {name: {"auroc": found.auroc, "se": found.se, "n": found.n} for name, found in quality.items()}
        print_json(
            {
                "models": [row.results for row in rows if row.run is not None],
                "baselines": [row.results for row in rows if row.run is None],
                "events": {"split": held_out(data), "n": len(events), "of": len(data.splits[held_out(data)])},
                "sample_auroc": judged,
                "samples": file,
            }
        )
