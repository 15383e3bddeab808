"""The folder of a fit: a new one, one that is resumed, one that is given up."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ptheta.configs import build_model, read_config
from ptheta.data import Data
from ptheta.errors import BusyError, RunError, UsageError
from ptheta.files import claim
from ptheta.fitting.targets import as_data
from ptheta.listing import entries
from ptheta.models import Model, family, name_of
from ptheta.models.zoo import stored_name
from ptheta.numbers import plural
from ptheta.runs import CHANGED, Run
from ptheta.training import OBJECTIVES, Budget, MaximumLikelihood, ReverseKL, Settings, Target, World
from ptheta.training.state import load_state

UNREADABLE = re.compile(r"[\x00-\x1f\x7f/\\]+")
"""Characters that no new folder has in its name."""


def create(
    out: str | Path | None,
    model: Model,
    data: Data,
    fit: dict[str, Any],
    seed: int,
    force: bool,
    processes: World,
    held: ExitStack,
) -> Run:
    """A new run, in a folder that is this process's until `held` is closed; only rank 0 writes it."""
    if out is not None:
        path, first = Path(out), processes.rank == 0
        if first:
            held.enter_context(claim(path))
            check_free(path, force)
    else:
        path = _fresh(
            Path("runs") / f"{UNREADABLE.sub('_', data.name)}-{name_of(model).rpartition(':')[2]}", processes, held
        )
    run = Run.create(path, model, data, fit, seed, replaces=(path / "config.json").exists())
    if processes.rank == 0:
        run.begin()
    return run


def plan(
    objective: str,
    budget: Budget | None,
    settings: Settings | None,
    options: Mapping[str, Any],
    members: int | str = 1,
    settled: Sequence[str] = (),
) -> dict[str, Any]:
    """What a config keeps of a fit: what was minimised, how long, how and by how many members.

    Settings that were chosen for the budget and the machine, so that another one may choose others, are named under
    `settled`."""
    kept: dict[str, Any] = {"settled": list(settled)} if settled else {}
    return kept | {
        "objective": objective,
        "budget": budget and asdict(budget),
        "settings": settings and asdict(settings),
        "options": dict(options),
        "members": members,
    }


def check_free(path: Path, force: bool) -> None:
    """Check that a run may be written to `path`. Only a run is ever replaced, so that no slip deletes anything else.

    Raises:
        UsageError: something is there already, and it is not a run or `force` is not given; or it cannot be replaced.
    """
    if path.is_symlink() or path.is_file():
        raise UsageError(f"{path} exists and is not a run folder", "choose another --out")
    if not path.exists() or not entries(path):
        return
    try:
        read_config(path)
    except RunError as error:
        raise UsageError(f"{path} exists and is not a run folder: {error.problem}", "choose another --out") from None
    if not force:
        raise UsageError(f"{path} exists", "choose another --out, replace it with --force, or resume it with --resume")
    if Path.cwd().is_relative_to(path.resolve()):
        raise UsageError(f"{path} is the working folder or holds it", "replace it from another folder")
    if closed := closed_folder(path):
        raise UsageError(f"{path} cannot be replaced: no write access to {closed}", "grant it, or choose another --out")
    if path.is_mount() or not os.access(path.resolve().parent, os.W_OK):
        raise UsageError(f"{path} cannot be replaced: the folder it lies in is not writable", "choose another --out")


def closed_folder(path: Path) -> Path | None:
    """A folder, this or one below it, whose files this process may not move; None if there is none."""
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return path
    below = (entry for entry in entries(path) if entry.is_dir() and not entry.is_symlink())
    return next(filter(None, map(closed_folder, below)), None)


def claim_again(run: Run, held: ExitStack) -> None:
    """Make the folder of a resumed run this process's until `held` is closed.

    Raises:
        UsageError: another process writes there.
        RunError: the run has been replaced since it was read.
    """
    held.enter_context(claim(run.path))
    if read_config(run.path)["sha256"] != run.config["sha256"]:
        raise RunError(f"{run.path} has just been replaced by another run", "look at it before you go on")


def _fresh(path: Path, processes: World, held: ExitStack) -> Path:
    """The first of path, path-2, path-3 … that neither exists nor is claimed; the same for all processes."""
    number = 1
    while processes.rank == 0:
        candidate = _numbered(path, number)
        if not candidate.exists():
            with suppress(BusyError):
                held.enter_context(claim(candidate))
                if not candidate.exists():
                    break
        number += 1
    return _numbered(path, int(processes.agree(number)))


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.name}-{number}")


def unfinished(
    out: str | Path | None,
    model: str | Model | None,
    data: Data | str | None,
    hyperparameters: dict[str, Any],
    target: Target | None,
) -> Run:
    """The run to resume: model and data are those of its config; what was given must agree with it."""
    if out is None:
        raise UsageError("--resume needs the folder of the unfinished run", "name it with --out")
    path = Path(out)
    config = read_config(path)
    built = build_model(config)
    if isinstance(model, Model):
        model, hyperparameters = stored_name(model), model.hyperparameters()
    stored = config["model"]
    changed = [k for k, v in hyperparameters.items() if _plain(v) != stored["hyperparameters"].get(k)]
    if (model is not None and family(model) != family(stored["family"])) or changed:
        what = f"--{changed[0].replace('_', '-')} differs" if changed else f"it is a {stored['family']}"
        raise RunError(f"{path} is a run of another model: {what}", "leave out the model; the run names it")
    if (config["fit"].get("objective") == ReverseKL.name) != (target is not None):
        if target is not None:
            raise RunError(f"{path} was fitted to data, not to a target", "leave out the target")
        raise RunError(
            f"{path} was fitted to a target, a function that is not stored in the folder",
            "give it again in Python: ptheta.fit(None, out=…, resume=True, target=f)",
        )
    if target is not None:
        return Run(path, config, built, as_data(None, built.space, target))
    return Run(path, config, built, data if isinstance(data, Data) else None)


def with_data(run: Run, source: Any) -> Run:
    """A run to resume with the data that it goes on with: its own, those given in memory, or those of another source.

    Raises:
        RunError: they are not events of the run's model, made as they were.
    """
    path, config, built = run.path, run.config, run.model
    if not run.has_data:
        return run
    if isinstance(source, str):
        run = Run(path, config, built, run.reload(source))
    spaces, given = (built.space, built.context_space), run.data
    codecs = (given.codec, given.context_codec)
    if (given.space, given.context_space) != spaces or codecs != (run.codec, run.context_codec):
        had, have = (f"{x}" if y is None else f"{x} | {y}" for x, y in (spaces, (given.space, given.context_space)))
        what = f"{had}, the data are {have}" if had != have else f"{had}, encoded differently from these"
        if run.doubt(str(given.request.get("source"))):
            raise RunError(f"{path} was fitted on {what}: the data {CHANGED}", "restore them, or fit again")
        raise RunError(f"{path} was fitted on {what}", "resume with its own data")
    return run


def finished(run: Run, given: Mapping[str, Any], members: int | str | None = None) -> str | None:
    """That a fit has come to its end and nothing is to be resumed, in a sentence; None if there is something to do.

    Args:
        run: to be resumed.
        given: minutes, steps and epochs of the new budget; all None: that of the run.
        members: that are asked for; None: those of the run.
    """
    if not run.results():
        return None
    budget = run.plan()["budget"]
    if budget is None:
        return f"the fit in {run.path} is finished: {run.name} learns in one pass"
    wanted = {name: value for name, value in given.items() if value is not None} or budget
    position, _ = load_state(run.checkpoint, inexact=True)
    seconds = position.earlier_seconds + position.seconds
    spent = {"steps": position.all_steps, "minutes": seconds / 60}
    spent |= {name: value for name, value in budget.items() if value is not None}
    more = any(name not in spent or value > spent[name] for name, value in wanted.items() if value is not None)
    stored = run.plan().get("members", 1)
    if not position.finished or members not in (None, stored):
        return None
    done = Budget(**budget)
    took = f"{done}" if done.steps == position.all_steps else f"{plural(position.all_steps, 'step')} of {done}"
    have = len(run.config["model"].get("members", [1]))
    if stored == have and (position.is_settled or position.member):
        why = "since validation no longer improved" if have == 1 else f"with {have} members"
        return f"the fit in {run.path} is finished after {took}, {why}; --members {have + 1} goes on with another one"
    if more:
        return None
    flag = next(name for name, value in budget.items() if value is not None)
    return f"the fit in {run.path} is finished after {took}; --{flag} with more than that goes on"


def continued(
    stored: dict[str, Any], given: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Budget, and settings with options, of a resumed fit: the stored ones, unless others are given."""
    if any(value is not None for value in given.values()) or stored["budget"] is None:
        budget = given
    else:
        budget = stored["budget"]
    before, now = (stored["settings"] or {}).get("optimizer"), settings.get("optimizer")
    if before and now not in (None, before):
        raise RunError(f"the fit began with {before}, and {now} cannot resume its state", "leave out --optimizer")
    known = {k: v for k, v in (stored["settings"] or {}).items() if k in Settings.names()}
    options = stored.get("options")
    if options is None:  # of an older run, whose settings held those of every objective
        own = OBJECTIVES[stored.get("objective", MaximumLikelihood.name)].options()
        options = {k: v for k, v in (stored["settings"] or {}).items() if k in own}
    return budget, known | options | {k: v for k, v in settings.items() if v is not None}


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))
