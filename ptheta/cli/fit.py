"""`ptheta fit`: learn a distribution from data."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ptheta.cli.arguments import call, flag_of, is_first, take
from ptheta.cli.clock import began
from ptheta.cli.families import hyperparameters as of_flags
from ptheta.cli.families import hyperparameters_of, named, of_all, of_family, own_model
from ptheta.cli.groups import Argument, objectives_of, of_data, of_learning
from ptheta.cli.json_output import print_json
from ptheta.cli.notes import note
from ptheta.cli.options import Flag, Force, ModelArgument
from ptheta.errors import UsageError
from ptheta.listing import exists

if TYPE_CHECKING:
    from ptheta.runs import Run

Members = Annotated[int | Literal["auto"], tyro.conf.arg(metavar="{INT,auto}")]
Source = Annotated[str | None, tyro.conf.arg(metavar="SOURCE"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run, together with the other processes if torchrun started several."""
    since = began()
    from ptheta.training import together

    with together():
        _main(args, since)


def _main(args: list[str], since: float) -> None:
    """Parse and run; hyperparameters are flags typed from the model's own signature."""
    from ptheta.models import ZOO

    own = own_model(args, kinds())
    every = of_all(hyperparameters_of, own)
    hyperparameters, rest = take(args, every)
    models = own + [word.replace("-", "_") for word in rest if word.replace("-", "_") in ZOO]
    if {"-h", "--help"} & set(rest):
        name = models[0] if models else None
        of_model = {"hyperparameters": of_family(name)} if name else {}
        prog = f"ptheta fit SOURCE {name}" if name else "ptheta fit"
        shown = groups(objectives_of(name)) | of_model
        hidden: dict[str, Any] = {"since": since} if name else {"since": since, "hyperparameters": hyperparameters}
        call(fit, rest, prog, (), shown, **hidden)
    call(fit, rest, "ptheta fit", map(flag_of, every), groups(), hyperparameters=hyperparameters, since=since)


def check_places(source: str | None, model: str | None) -> None:
    """Check that the source is not the model.

    Raises:
        UsageError: it is one, and no file is called so.
    """
    from ptheta.models.zoo import is_family

    if source is None or not is_family(source) or exists(Path(source)) or (model is not None and is_family(model)):
        return
    swapped = f"give it after them: ptheta fit {model or 'SOURCE'} {source}"
    raise UsageError(f"{source} is a model, and the data come first", swapped)


def groups(objectives: Collection[str] | None = None) -> dict[str, dict[str, list[Argument]]]:
    """The flags that come from options of data and from settings of learning, of some objectives or of all."""
    return {"options": of_data(), "settings": of_learning(objectives)}


def kinds() -> dict[str, Any]:
    """Parameter → type of all flags but hyperparameters."""
    flags = [flag for titles in groups().values() for group in titles.values() for flag in group]
    own = {name: one.annotation for name, one in inspect.signature(fit, eval_str=True).parameters.items()}
    return own | {"help": bool} | {name: flag.kind for flag in flags for name in (flag.name, flag.alias)}


def fit(
    source: Source = None,
    model: ModelArgument = None,
    *,
    hyperparameters: list[str],
    options: dict[str, Any],
    settings: dict[str, Any],
    since: float,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    members: Members | None = None,
    out: Path | None = None,
    force: Force = False,
    resume: Flag = False,
    resume_inexact: Flag = False,
    seed: int | None = None,
    memory: float | None = None,
    device: str = "auto",
    track: Flag = False,
    json: Flag = False,
) -> None:
    """Learn p(x), or p(x | context), from data, and leave a run folder.

    The model's hyperparameters are flags too: `ptheta fit SOURCE MODEL --help` lists them. Under torchrun the fit is
    data-parallel: `torchrun --nproc-per-node 2 -m -- ptheta fit SOURCE …`; the two dashes end torchrun's own flags.

    Args:
        source: `digits`, a file, a folder, or a Hugging Face data set folder or Hub id
        model: a name from `ptheta zoo`, or `module:Class` for a family of your own; chosen from the data if left out
        preset: recipe by name, see `ptheta zoo`; flags given with it override it
        minutes: budget in minutes, of the whole command; if no budget is given the preset's, else 1
        steps: budget in optimiser steps
        epochs: budget in passes over the training events
        members: models that are learned one after the other within the budget, and of which the run holds the mixture;
            auto: as many as improve validation, once the first one no longer improves; left out: auto for a budget in
            minutes, else 1
        out: run folder; a new one under runs/ if left out
        force: replace the run in --out
        resume: resume the unfinished run in --out
        resume_inexact: resume even with other data or another seed
        seed: seed of splits, initial weights, shuffling, dropout and samples; 0 if left out
        memory: GiB that the fit may take; a fit that needs more is refused; seven tenths of what is available
            if left out
        device: auto, cpu or cuda
        track: write TensorBoard scalars too
        json: print the results as one JSON object on the last line
    """
    import ptheta
    from ptheta.configs import read_config
    from ptheta.fitting import (
        check_free,
        check_numbers,
        default_model,
        default_preset,
        family_of_preset,
        load_for,
        photo_size,
    )
    from ptheta.presets import preset as find_preset
    from ptheta.reporting.waiting import console_for, waiting

    check_numbers({"minutes": minutes, "steps": steps, "epochs": epochs}, settings, memory, device, members)
    data = None
    if resume or resume_inexact:
        chosen = None if out is None else named(model) if model else read_config(out)["model"]["family"]
        values = of_flags(chosen, hyperparameters) if chosen else {}
        data = source
        if options:
            raise UsageError(
                f"--{next(iter(options))} cannot change in a resumed fit", "leave it out; it is taken from the run"
            )
    else:
        check_places(source, model)
        if source is None:
            raise UsageError("there is nothing to fit", "name a SOURCE, for example: ptheta fit digits")
        recipe = None if preset is None else find_preset(preset)
        if recipe is not None:
            chosen = family_of_preset(recipe, model)
        else:
            chosen = None if model is None else named(model)
        values = of_flags(chosen, hyperparameters) if chosen else {}
        if out is not None:
            check_free(out, force)

        def values_of(name: str) -> dict[str, Any]:
            return of_flags(name, hyperparameters)

        given = {"minutes": minutes, "steps": steps, "epochs": epochs}
        chooser = photo_size(chosen, preset, values_of, settings, given, device, memory, since)
        wanted = {"size": chooser, **(recipe.data if recipe else {}), **options}
        with waiting(f"reading {source}", console_for(True, is_main=is_first())):
            data = load_for(chosen, source, **wanted, seed=seed or 0)
        note(data.notes)
        if chosen is None:
            preset = default_preset(data)
            if preset is not None:
                note([f"preset {preset}: {find_preset(preset).summary}"])
            chosen = default_model(data) if preset is None else find_preset(preset).model
            values = of_flags(chosen, hyperparameters)
    run = ptheta.fit(
        chosen,
        data,
        preset=preset,
        minutes=minutes,
        steps=steps,
        epochs=epochs,
        members=members,
        out=out,
        seed=seed,
        force=force,
        resume=resume,
        resume_inexact=resume_inexact,
        memory=memory,
        device=device,
        track=track,
        verbose=True,
        since=since,
        hyperparameters=values,
        **settings,
    )
    if json and is_first() and run.results():
        print_json(run.results())
    elif not json:
        note([f"next: {line}" for line in what_next(run)])


def what_next(run: Run) -> list[str]:
    """Commands that use a run."""
    from ptheta.reporting.contexts import given_words, run_words

    folder = run_words(run)
    commands = [f"ptheta sample {folder}{given_words(run)}"]
    if run.has_data:
        commands.append(f"ptheta report {folder}")
    if run.has_data and run.model.context_space is not None:
        commands.append(f"ptheta evaluate {folder}")
    return commands
