"""`fit`: learn a distribution from data and leave a run folder.

run = ptheta.fit("transformer", ptheta.load("digits"), minutes=1)
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ptheta.data import Data, Split, load
from ptheta.data.codecs.text import TextCodec
from ptheta.errors import FitError, RunError, UsageError, nearest
from ptheta.evaluation import Score, affordable, evaluate
from ptheta.models import Counting, Model, family, name_of
from ptheta.models.pixelcnn import MANY_LEVELS
from ptheta.models.transformer import Transformer
from ptheta.numbers import jsonable
from ptheta.presets import Preset
from ptheta.presets import preset as find_preset
from ptheta.reporting import FitProgress, rates_of_blocks, write_card, write_overview
from ptheta.runs import Run, build_model, read_config
from ptheta.spaces import Discrete, Image, Sequence
from ptheta.training import Budget, Settings, Trainer, World, world

COUNTED_EVENTS = 2**18
"""Events counted at once by models that learn in closed form."""

PATIENCE = 60.0
"""Seconds that the final scoring may take, or as long as the fit took; if all events take longer, a seeded part of them
is scored, and n says how many."""

ORDERED = 500
"""Events scored in random orders."""

DEFAULT_MINUTES = 1.0
"""Budget of a gradient fit when none is given."""


def default_model(data: Data) -> str:
    """The family chosen when none is named: the one that does best on that kind of space in a short fit."""
    if isinstance(data.space, Image) and data.space.levels >= MANY_LEVELS:
        return "pixelcnn"
    return "transformer" if isinstance(data.space, Discrete) and data.space.dimensions > 1 else "made"


def default_preset(data: Data) -> str | None:
    """The preset taken when neither it nor a model is named."""
    return "tiny" if isinstance(data.space, Sequence) else None


def preset_for(model: str, data: Data) -> str | None:
    """The preset that a family takes where families are compared: the default one, if it is its own."""
    name = default_preset(data)
    return name if name is not None and find_preset(name).model == family(model).name else None


def fit(
    model: str | Model | None,
    data: Any = None,
    *,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    force: bool = False,
    resume: bool = False,
    resume_inexact: bool = False,
    device: str = "auto",
    track: bool = False,
    verbose: bool | None = None,
    hyperparameters: dict[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """Learn p(x), or p(x | context), from data.

    Args:
        model: name of a family in the zoo, a model instance, or None: chosen from the space.
        data: what `ptheta.load` returns, or anything it takes. A resumed fit knows both model and data.
        preset: name of a recipe, see `ptheta.presets`: model, hyperparameters, settings, budget and, if `data` is still
            to be loaded, options of `load`; what is given beside it wins. None: `tiny` for text without a model.
        minutes, steps, epochs: budget, one of them; if none is given the preset's, else one minute. Models that learn
            by counting need none.
        out: folder of the run; None: a new folder under `runs/`.
        seed: of initial weights, shuffling, dropout and samples; None: 0, or that of the resumed fit.
        force: replace the run in `out`.
        resume: go on with the unfinished fit in `out`; bit-equal to the uninterrupted fit for a budget in steps or
            epochs on the same CPU set-up.
        resume_inexact: go on even with other data or another seed.
        device: `auto`, `cpu`, `cuda`.
        track: also write TensorBoard scalars to the run folder (extra `track`).
        verbose: show progress; None: if the terminal is one.
        hyperparameters: of the family, if `model` is a name.
        settings: of learning, see `ptheta.training.Settings`: batch_size, learning_rate, optimizer, average …

    Returns:
        The run, with the best weights by validation.

    Raises:
        PthetaError: something does not fit together; nothing half-made is left in a new `out`.
        KeyboardInterrupt: stopped by Ctrl-C, after the state was saved.
    """
    if unknown := sorted(settings.keys() - set(Settings.names())):
        raise UsageError(f"fit has no setting {unknown[0]!r}", nearest(unknown[0], Settings.names()))
    given: dict[str, Any] = {"minutes": minutes, "steps": steps, "epochs": epochs}
    resuming = resume or resume_inexact
    if resuming:
        if preset is not None:
            raise UsageError("a resumed fit has its recipe already", "leave out --preset")
        run = _unfinished(out, model, data, hyperparameters or {})
        model, data = run.model, run.data
        seed = run.same_seed(seed, other=resume_inexact)
        given, settings = _continued(run.plan(), given, settings)
    else:
        run, seed = None, seed or 0
        data = _loaded(data, preset)
        preset = preset or (default_preset(data) if model is None else None)
        if preset is not None:
            recipe = find_preset(preset)
            model = family_of_preset(recipe, model)
            hyperparameters = {**recipe.hyperparameters, **(hyperparameters or {})}
            settings = {**recipe.settings, **{name: value for name, value in settings.items() if value is not None}}
            if not any(value is not None for value in given.values()):
                given["minutes"] = recipe.minutes
        model = _build(default_model(data) if model is None else model, data, seed, hyperparameters or {})
    counting = isinstance(model, Counting)
    if not any(value is not None for value in given.values()):
        given["minutes"] = DEFAULT_MINUTES
    budget = None if counting else Budget(**given)
    chosen = None if counting else Settings.of(model, **settings)
    with world(device) as processes:
        model.to(processes.device)
        if run is None:
            run = _create(out, model, data, budget, chosen, seed, force, processes)
        progress = FitProgress(run, data, budget, verbose=verbose, speaks=processes.rank == 0, track=track)
        clock = time.perf_counter()
        try:
            with progress:
                if isinstance(model, Counting):
                    _count(model, data.train, progress)
                else:
                    assert budget is not None
                    assert chosen is not None
                    trainer = Trainer(
                        model,
                        data.train,
                        data.splits.get("validation", data.train),
                        budget,
                        chosen,
                        seed=seed,
                        fingerprint=data.fingerprint,
                        world=processes,
                        checkpoint=run.checkpoint,
                        listener=progress,
                        keep=run.save_weights,
                    )
                    if resuming:
                        trainer.resume(inexact=resume_inexact)
                        if processes.rank == 0:
                            run.note_resumed(_plan(budget, chosen), seed, data)
                    model.load_state_dict(trainer.run())
        except KeyboardInterrupt:
            progress.interrupted()
            raise
        except Exception:
            if processes.rank == 0 and not resuming:
                _discard(run)
            raise
        if processes.rank == 0:
            _conclude(run, data, time.perf_counter() - clock, progress)
    return run


def family_of_preset(recipe: Preset, model: str | Model | None) -> str:
    """The preset's family.

    Raises:
        UsageError: another model is named beside it.
    """
    if model is not None and (isinstance(model, Model) or family(model).name != recipe.model):
        raise UsageError(f"preset {recipe.name} is a recipe for {recipe.model}", "leave the model out")
    return recipe.model


def _loaded(data: Any, preset: str | None) -> Data:
    """The data to fit; a preset's options of `load` apply to what is still to be loaded.

    Raises:
        UsageError: there are none, or they were loaded in a way that the preset is not for.
    """
    if data is None:
        raise UsageError("there is nothing to fit", "name a data source")
    wanted = {} if preset is None else find_preset(preset).data
    data = data if isinstance(data, Data) else load(data, **wanted)
    if missing := [k for k in wanted if data.request and data.request.get(k) in (None, "none")]:
        raise UsageError(
            f"preset {preset} is for data loaded with {missing[0]}={wanted[missing[0]]!r}, and these were not",
            f"give ptheta.load {missing[0]}, or give fit the source itself",
        )
    return data


def _unfinished(
    out: str | Path | None, model: str | Model | None, data: Data | str | None, hyperparameters: dict[str, Any]
) -> Run:
    """The run to go on with: model and data are those of its config; what was given must agree with it."""
    if out is None:
        raise UsageError("--resume needs the folder of the unfinished run", "name it with --out")
    path = Path(out)
    config = read_config(path)
    built = build_model(config)
    if isinstance(model, Model):
        model, hyperparameters = name_of(model), model.hyperparameters()
    stored = config["model"]
    changed = [k for k, v in hyperparameters.items() if _plain(v) != stored["hyperparameters"].get(k)]
    if (model is not None and family(model).name != stored["family"]) or changed:
        what = f"--{changed[0].replace('_', '-')} differs" if changed else f"it is a {stored['family']}"
        raise RunError(f"{path} holds another model: {what}", "leave the model out; --resume takes it from the run")
    run = Run(path, config, built, data if isinstance(data, Data) else None)
    if isinstance(data, str):
        run = Run(path, config, built, run.reload(data))
    spaces = (built.space, built.context_space)
    if (run.data.space, run.data.context_space) != spaces or run.data.codec.to_json() != config["codec"]:
        raise RunError(f"{path} was fitted on {built.space}, the data are {run.data.space}", "resume with its own data")
    return run


def _continued(
    stored: dict[str, Any], given: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Budget and settings of a resumed fit: the stored ones, unless others are given."""
    if any(value is not None for value in given.values()) or stored["budget"] is None:
        budget = given
    else:
        budget = stored["budget"]
    before, now = (stored["settings"] or {}).get("optimizer"), settings.get("optimizer")
    if before and now not in (None, before):
        raise RunError(f"the fit began with {before}, whose state {now} cannot take over", "leave out --optimizer")
    return budget, (stored["settings"] or {}) | {k: v for k, v in settings.items() if v is not None}


def _build(model: str | Model, data: Data, seed: int, hyperparameters: dict[str, Any]) -> Model:
    """The model to fit; the global random state is untouched."""
    if isinstance(model, Model):
        if hyperparameters:
            raise UsageError("hyperparameters were given with a model instance", "give them to its constructor")
        if (model.space, model.context_space) != (data.space, data.context_space):
            raise FitError(
                f"the model is over {model.space} given {model.context_space}, the data are {data.space} given "
                f"{data.context_space}",
                "build it as Family(data.space, data.context_space)",
            )
        return model
    cls = family(model).load()
    known = list(cls.hyperparameter_signature())
    if unknown := [name for name in hyperparameters if name not in known]:
        remedy = nearest(unknown[0], known) if known else "it has none"
        raise UsageError(f"{cls.__name__} has no hyperparameter {unknown[0]!r}", remedy)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return cls(data.space, data.context_space, **hyperparameters)


def _create(
    out: str | Path | None,
    model: Model,
    data: Data,
    budget: Budget | None,
    settings: Settings | None,
    seed: int,
    force: bool,
    processes: World,
) -> Run:
    """A new run; only rank 0 writes its folder."""
    path = Path(out) if out is not None else _fresh(Path("runs") / f"{data.name}-{name_of(model)}", processes)
    run = Run.create(path, model, data, _plan(budget, settings), seed)
    if processes.rank == 0:
        check_free(path, force)
        if (path / "config.json").is_file():
            shutil.rmtree(path)
        run.save_config()
    return run


def _plan(budget: Budget | None, settings: Settings | None) -> dict[str, Any]:
    """What a config keeps of a fit: how long and how."""
    return {"budget": budget and asdict(budget), "settings": settings and asdict(settings)}


def check_free(path: Path, force: bool) -> None:
    """Check that a run may be written to `path`. Only a run is ever replaced, so that no slip deletes anything else.

    Raises:
        UsageError: something is there already.
    """
    if path.is_symlink() or path.is_file():
        raise UsageError(f"{path} exists and is no run folder", "choose another --out")
    if not path.exists() or not any(path.iterdir()):
        return
    if not (path / "config.json").is_file():
        raise UsageError(f"{path} exists and is no run folder", "choose another --out")
    if not force:
        raise UsageError(f"{path} exists", "choose another --out, replace it with --force, or --resume it")


def _discard(run: Run) -> None:
    """Remove the folder of a fit that failed before it had any weights."""
    if not (run.path / "model.safetensors").exists():
        shutil.rmtree(run.path, ignore_errors=True)


def _fresh(path: Path, processes: World) -> Path:
    """The first of path, path-2, path-3 … that does not exist; the same for all processes."""
    names = itertools.chain([path], (path.with_name(f"{path.name}-{k}") for k in itertools.count(2)))
    number = next(k for k, candidate in enumerate(names, 1) if not candidate.exists())
    number = int(processes.agree(number))
    return path if number == 1 else path.with_name(f"{path.name}-{number}")


def _count(model: Counting, train: Split, progress: FitProgress) -> None:
    """Learn in closed form, in one pass."""
    if len(train) == 0:
        raise FitError("there are no training events", "give more data")
    for x, context in train.batches(COUNTED_EVENTS):
        model.observe(x, context)
        progress.counted(len(x))
    model.finish()


def _conclude(run: Run, data: Data, seconds: float, progress: FitProgress) -> None:
    """Save, score the test split, write samples and the card. Weights are on disk before anything is evaluated."""
    run.model.eval()
    run.save_weights()
    split = next(name for name in ("test", "validation", "train") if name in data.splits)
    limit = affordable(run.model, data.splits[split], max(seconds, PATIENCE))
    events = data.splits[split].subset(limit)
    with progress.scoring(limit) as advance:
        score = evaluate(run.model, events, advance=advance)
    results = summary(run, score, split, seconds)
    if isinstance(run.codec, TextCodec):
        results |= rates_of_blocks(run.codec, score, events.x).to_json()
    if isinstance(run.model, Transformer) and run.model.any_order:
        results["nats_random_orders"] = in_random_orders(run.model, data.splits[split])
    run.log({"results": results})
    write_overview(run, say=progress.say)
    write_card(run)
    progress.finished(results)


def in_random_orders(model: Transformer, events: Split) -> float:
    """Mean −log p of some events, each in a random order, as a model of any order was taught."""
    batches = enumerate(events.subset(ORDERED).batches(32))
    with torch.no_grad():
        parts = [model.log_prob_in_random_orders(x, y, seed=number).cpu() for number, (x, y) in batches]
    return -float(torch.cat(parts).mean())


def summary(run: Run, score: Score, split: str, seconds: float) -> dict[str, Any]:
    """What `fit --json` prints."""
    model = run.model
    results: dict[str, Any] = {
        "run": str(run.path),
        "model": run.name,
        "density": model.density.value,
        "parameters": jsonable(model.free_parameters),
        "nats": score.nats,
        "nats_se": score.nats_se,
        run.codec.bits_key: score.bits_per_dim,
        "split": split,
        "n": score.n,
        "seconds": round(seconds, 2),
    }
    if score.zero:
        results["zero_probability"] = score.zero
    return results


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))
