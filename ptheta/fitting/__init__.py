"""`fit`: learn a distribution from data and leave a run folder.

run = ptheta.fit("transformer", ptheta.load("digits"), minutes=1)
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ptheta.data import Data, Split
from ptheta.errors import FitError, UsageError
from ptheta.fitting.advice import advice
from ptheta.fitting.affording import Affording
from ptheta.fitting.agreement import record
from ptheta.fitting.asking import check_order, check_settings, with_hyperparameters, without_effect
from ptheta.fitting.defaults import default_model, default_preset, family_of_preset, load_for, loaded, preset_for
from ptheta.fitting.folders import check_free, claim_again, continued, create, finished, plan, unfinished, with_data
from ptheta.fitting.means import Means, limit_of, means_of
from ptheta.fitting.members import Course, check_members, first_member, wanted_members
from ptheta.fitting.networks import suit
from ptheta.fitting.objectives import check_numbers, divided, objective_for, objective_of
from ptheta.fitting.own import check_own
from ptheta.fitting.results import conclude, held_out
from ptheta.fitting.sizes import DEFAULT_MINUTES, learns_by_counting, photo_size
from ptheta.fitting.targets import as_data, check_plan, conclude_target, default_family, target_of
from ptheta.models import Counting, Model, family
from ptheta.models.building import build, check_names
from ptheta.models.zoo import admit
from ptheta.presets import preset as find_preset
from ptheta.reporting import FitProgress
from ptheta.reporting.waiting import console_for, waiting
from ptheta.runs import Run
from ptheta.spaces import Joint, Space
from ptheta.training import (
    Budget,
    Settings,
    Timetable,
    local_device,
    numbers,
    processes_here,
    together,
    world,
)
from ptheta.typed import typed

__all__ = [
    "DEFAULT_MINUTES",
    "check_free",
    "check_numbers",
    "default_model",
    "default_preset",
    "family_of_preset",
    "fit",
    "load_for",
    "photo_size",
    "preset_for",
]

COUNTED_EVENTS = 2**18
"""Events counted at once by models that learn in closed form."""


@together()
@typed
def fit(
    model: str | type[Model] | Model | None,
    data: Any = None,
    *,
    objective: str | None = None,
    target: Callable[[Tensor], Tensor] | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    force: bool = False,
    resume: bool = False,
    resume_inexact: bool = False,
    members: int | Literal["auto"] | None = None,
    device: str | torch.device = "auto",
    track: bool = False,
    verbose: bool | None = None,
    since: float | None = None,
    memory: float | None = None,
    hyperparameters: dict[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """Learn p(x), or p(x | context), from data; or p(x) from an unnormalised density.

    Args:
        model: name of a family in the zoo; a family of one's own, by its class or as `module:Class`; a model instance;
            or None: chosen from the space.
        data: what `ptheta.load` returns, or anything it takes; with a target, the space of x. A resumed fit knows both
            model and data, but not the target.
        objective: `maximum_likelihood`; `reverse_kl`, which learns from a target; `adversarial`, against an opponent.
            None: that of the family, or of the target.
        target: function of events [n, *space.shape] that returns log f(x) [n], the logarithm of an unnormalised
            density, nats; of torch's operations, which flows differentiate. See `ReverseKL`.
        preset: name of a recipe, see `ptheta.presets`: model, hyperparameters, settings, budget and, if `data` is still
            to be loaded, options of `load`; what is given beside it wins. None: `tiny` for text without a model.
        minutes, steps, epochs: budget, one of them; if none is given the preset's, else one minute. Minutes are those
            of the whole call, final score and pictures included. Models that learn by counting need none.
        out: folder of the run; None: a new folder under `runs/`.
        seed: of initial weights, shuffling, dropout and samples; None: 0, or that of the resumed fit.
        force: replace the run in `out`.
        resume: resume the unfinished fit in `out`; bit-equal to the uninterrupted fit for a budget in steps or
            epochs on the same CPU set-up.
        resume_inexact: resume even with other data or another seed.
        members: models of the family that are learned one after the other within the budget, from different first
            weights and in different orders of events; the run holds their mixture. `auto`: as many as improve
            validation, learned from what is left of the budget once the first one no longer improves. None: `auto` for
            a budget in minutes where members can be mixed, else 1.
        device: `auto`, `cpu`, `cuda`.
        track: also write TensorBoard scalars to the run folder (extra `track`).
        verbose: show progress; None: on a terminal, and in a notebook.
        since: `time.perf_counter()` when the minutes began to pass; None: now.
        memory: GiB that the fit may take; None: seven tenths of what is available. What would take more is refused
            before the first step, as is a step longer than the whole budget; a batch that is not given is made smaller
            if too few steps would fit into the minutes, and computed in parts if it takes too much memory.
        hyperparameters: of the family, if `model` is no instance; they may be given as keywords, too.
        settings: of learning, see `ptheta.training.Settings`: batch_size, learning_rate, optimizer, average …; options
            of the objective, see `ptheta.training.objectives`: anneal, r1 …; and hyperparameters of the family: width …

    Returns:
        The run, with the best weights by validation.

    Raises:
        PthetaError: something does not fit together; nothing half-made is left in a new `out`.
        KeyboardInterrupt: stopped by Ctrl-C, after the state was saved.
    """
    clock = time.perf_counter()
    log_f = target_of(objective, target)
    model = admit(model)
    check_order(model, data)
    settings, hyperparameters = with_hyperparameters(settings, hyperparameters, model, preset)
    check_settings(settings, log_f, model)
    check_numbers({"minutes": minutes, "steps": steps, "epochs": epochs}, settings, memory, device, members)
    if log_f is not None:
        check_plan(preset, epochs)
    given: dict[str, Any] = {"minutes": minutes, "steps": steps, "epochs": epochs}
    resuming = resume or resume_inexact
    if resuming:
        if preset is not None:
            raise UsageError("a resumed fit has its recipe already", "leave out --preset")
        run = unfinished(out, model, data, hyperparameters or {}, log_f)
        in_memory = isinstance(data, Data)
        run = with_data(run, data) if in_memory else run
        if line := finished(run, given, members):
            whole = Run.load(run.path)
            console_for(verbose).print(line, soft_wrap=True)
            return whole
        run = run if in_memory else with_data(run, data)
        data = run.data
        seed = run.same_seed(seed, other=resume_inexact)
        given, settings = continued(run.plan(), given, settings)
        members, asked = check_members(run, members), {}
        model = first_member(run)
    else:
        run, seed = None, seed or 0
        if log_f is not None:
            data = as_data(model, data, log_f)
            model = default_family(data.space) if model is None else model
        else:
            size = photo_size(model, preset, hyperparameters, settings, given, device, memory, since)
            data = loaded(data, preset, size, model if preset is None else find_preset(preset).model)
            preset = preset or (default_preset(data) if model is None else None)
        asked = {k: v for k, v in {**settings, **(hyperparameters or {})}.items() if v is not None}
        if preset is not None:
            recipe = find_preset(preset)
            model = family_of_preset(recipe, model)
            if log_f is not None or preset != default_preset(data):  # its sizes are asked for, too
                asked = {**recipe.settings, **recipe.hyperparameters, **asked}
            hyperparameters = {**recipe.hyperparameters, **(hyperparameters or {})}
            settings = {**recipe.settings, **{name: value for name, value in settings.items() if value is not None}}
            if not any(value is not None for value in given.values()):
                given["minutes"] = recipe.minutes
        model = default_model(data) if model is None else model
    if not any(value is not None for value in given.values()):
        given["minutes"] = DEFAULT_MINUTES
    place, count = local_device(device), numbers()[1]
    limit = limit_of(memory, place, processes_here())
    planned = None if learns_by_counting(model) and log_f is None else Budget(**given)
    heldout = 0 if log_f is not None else len(data.splits[held_out(data)])
    timetable = Timetable(planned and planned.seconds, clock if since is None else since, heldout)
    kind, is_named = objective_of(objective, model, log_f), resuming or not isinstance(model, Model)
    settings, options = divided(settings, kind)
    means = means_of(
        timetable.expected(),
        asked.get("batch_size"),
        limit,
        kind,
        dimensions=data.space.dimensions,
        resuming=resuming,
        processes=count,
    )
    console = console_for(verbose, is_main=numbers()[0] == 0)
    counting = learns_by_counting(model) and log_f is None
    budget = None if counting else planned
    with world(device) as processes, contextlib.ExitStack() as held:
        with waiting("estimating what a step takes", console):
            affording = _affording(model, data, seed, hyperparameters or {}, settings, place, means, run is None, asked)
            settled, notes = ([], []) if run is not None or budget is None else suit(affording, processes)
            model = model if isinstance(model, Model) else affording.model()
            affording.means = replace(means, seconds=timetable.expected())  # of which some has passed
        if run is None:
            _check_contexts(model, data)
            if log_f is None:
                check_own(model, data)
        chosen = wanted = None if counting else Settings.of(model, **settings)
        validated = bool(data.splits.get("validation")) if log_f is None else False
        number = wanted_members(members, model, kind, budget, named=is_named, validated=validated)
        if counting and run is None:
            usual = {name: one.default for name, one in kind.options().items()}
            notes += without_effect(settings | {name: value for name, value in options.items() if value != usual[name]})
        processes.compare(record(model, data, plan(kind.name, budget, chosen, options, number), seed))
        if chosen is not None:
            with waiting("estimating what a step takes", console):
                chosen, changed = affording.settle(model, chosen, processes)
            notes += changed
        if run is not None:
            settled = run.plan().get("settled", [])
        if chosen is not wanted:
            settled += [name for name, value in vars(wanted).items() if value != vars(chosen)[name]]
        if type(model).__module__ == "__main__":
            notes.append(
                f"{type(model).__name__} is not defined in a module: its run can be loaded only where it is defined"
            )
        model.to(processes.device)
        if run is None:
            how = plan(kind.name, budget, chosen, options, number, settled)
            run = create(out, model, data, how, seed, force, processes, held)
        elif processes.rank == 0:
            claim_again(run, held)
        progress = None
        clock, minimised = time.perf_counter(), None
        scored = run.results().get("n") if resuming else None
        try:
            progress = FitProgress(run, data, budget, console=console, is_main=processes.rank == 0, track=track)
            batch = None if chosen is None else chosen.batch_size
            progress.timetable, progress.advise = timetable, partial(advice, model, affording, timetable, batch=batch)
            with progress:
                for note in notes:
                    progress.note(note)
                if counting:
                    assert isinstance(model, Counting)
                    processes.compare({}, last=True)
                    _count(model, data.train, progress)
                else:
                    assert budget is not None
                    assert chosen is not None
                    objective_of_model = partial(objective_for, kind, data, log_f, chosen, options, processes)
                    course = Course(
                        run,
                        objective_of_model,
                        budget,
                        wanted=number,
                        world=processes,
                        progress=progress,
                        timetable=timetable,
                        fingerprint=data.fingerprint,
                        seed=seed,
                    )
                    if resuming:
                        course.resume(inexact=resume_inexact)
                    position = course.trainer.position
                    processes.compare(asdict(position), last=True)
                    if resuming and processes.rank == 0:
                        run.rewind(position.all_steps)
                        run.note_resumed(plan(kind.name, budget, chosen, options, number, settled), seed, data)
                    model = course.learn()
                    minimised = course.trainer.objective
        except KeyboardInterrupt:
            if progress is not None:
                progress.interrupted()
            raise
        except Exception:
            if processes.rank == 0 and not resuming:
                run.discard()
            raise
        if processes.rank == 0:
            seconds = time.perf_counter() - clock
            if log_f is None:
                conclude(run, data, minimised, seconds, progress, timetable, scored)
            else:
                conclude_target(run, log_f, seconds, progress, timetable)
            run.make_whole()
            progress.remarks()
    model.eval()
    return run


def _affording(
    model: str | Model,
    data: Data,
    seed: int,
    hyperparameters: dict[str, Any],
    settings: dict[str, Any],
    device: torch.device,
    means: Means,
    checked: bool,
    asked: Mapping[str, Any],
) -> Affording:
    """What says whether the model to fit fits; the global random state is untouched."""
    if isinstance(model, Model):
        if checked and hyperparameters:
            raise UsageError("hyperparameters were given with a model instance", "give them to its constructor")
        if checked and (model.space, model.context_space) != (data.space, data.context_space):
            raise FitError(
                f"the model is over {model.space} given {model.context_space}, the data are {data.space} given "
                f"{data.context_space}",
                "build it as Family(data.space, data.context_space)",
            )
        return Affording.of_model(model, settings, data, device, means)
    cls = family(model).load()
    check_names(cls, hyperparameters)

    def built(space: Space, chosen: dict[str, Any]) -> Model:
        return build(cls, space, data.context_space, chosen, seed=seed)

    return Affording(cls, built, hyperparameters, settings, data, device, means, asked)


def _check_contexts(model: Model, data: Data) -> None:
    """Contexts that lack parts are for models that are trained without contexts, too."""
    space = data.context_space
    if not isinstance(space, Joint) or model.context_dropout:
        return
    for name, split in data.splits.items():
        assert split.context is not None
        for start in range(0, len(split), COUNTED_EVENTS):
            absent = space.absent(torch.from_numpy(split.context[start : start + COUNTED_EVENTS])).any(0)
            if bool(absent.any()):
                raise FitError(
                    f"contexts of {name} lack {space.names[int(absent.int().argmax())]}",
                    "fill in its missing cells, or fit with a context dropout above 0",
                )


def _count(model: Counting, train: Split, progress: FitProgress) -> None:
    """Learn in closed form, in one pass."""
    if len(train) == 0:
        raise FitError("there are no training events", "give more data")
    for x, context in train.batches(COUNTED_EVENTS):
        model.observe(x, context)
        progress.counted(len(x))
    model.finish()
