"""What was asked of `fit`: arguments in the wrong order, and names of settings that are names of something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta.data.kinds import option_groups
from ptheta.data.sources.opening import BUILT_IN
from ptheta.errors import UsageError, closest, nearest
from ptheta.listing import exists
from ptheta.models import Model, family
from ptheta.models.zoo import ZOO, is_family
from ptheta.numbers import joined, with_article
from ptheta.presets import preset as find_preset
from ptheta.runs import Run
from ptheta.training import OBJECTIVES, ReverseKL, Settings, Target
from ptheta.wording import worded

OWN = ("preset", "minutes", "steps", "epochs", "out", "seed", "force", "resume", "device", "memory", "hyperparameters")
"""Keywords of `fit` that a misspelled one may mean."""


def check_order(model: Any, data: Any) -> None:
    """Check that the first argument is a model, and not the data.

    Raises:
        UsageError: it is something else.
    """
    if model is None or isinstance(model, Model) or (isinstance(model, str) and is_family(model)):
        return
    shown = repr(model) if isinstance(model, str | Path) else "data"
    if isinstance(data, Model) or (isinstance(data, str) and is_family(data)):
        swapped = repr(data) if isinstance(data, str) else "model"
        raise UsageError("fit takes the model first and the data second", f"swap them: ptheta.fit({swapped}, {shown})")
    if isinstance(model, Run):
        raise UsageError(
            "a run is not a model", "give run.model, or resume it: ptheta.fit(None, out=run.path, resume=True)"
        )
    if isinstance(model, str) and not (data is None and (model in BUILT_IN or exists(Path(model)))):
        family(model)  # names the nearest
    what = shown if shown != "data" else with_article(type(model).__name__)
    raise UsageError(f"{what} is not a model", f"to have one chosen, give None: ptheta.fit(None, {shown})")


def with_hyperparameters(
    settings: Mapping[str, Any], hyperparameters: Mapping[str, Any] | None, model: Any, preset: str | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Settings of learning, and hyperparameters together with those that were given as keywords among the settings.

    A name that is both is a setting. Where the family is chosen later, a name is one of any family of the zoo.

    Raises:
        UsageError: a hyperparameter is given twice.
    """
    others = settings.keys() - {*_known()}
    names = _hyperparameters(model, preset) if others else []
    own = {name: settings[name] for name in settings if name in others and name in names}
    if not own:
        return dict(settings), None if hyperparameters is None else dict(hyperparameters)
    if twice := sorted(own.keys() & (hyperparameters or {}).keys()):
        raise UsageError(f"{twice[0]} is given twice", "give it as a keyword or among the hyperparameters")
    return {name: value for name, value in settings.items() if name not in own}, {**(hyperparameters or {}), **own}


def _known() -> list[str]:
    """Names of the settings of learning and of the options of all objectives."""
    return [*Settings.names(), *(name for kind in OBJECTIVES.values() for name in kind.options())]


def check_settings(settings: Mapping[str, Any], target: Target | None, model: Any) -> None:
    """Check that every name is a setting of learning, or an option of an objective that may be meant.

    Raises:
        UsageError: one is neither, and what it may be is named; or it is for fits to a target, and there is none.
    """
    known = _known()
    if unknown := sorted(settings.keys() - set(known)):
        raise UsageError(f"fit has no setting {unknown[0]!r}", _meant(unknown[0], settings[unknown[0]], known, model))
    given = [name for name in ReverseKL.options() if settings.get(name) is not None]
    if given and target is None:
        raise UsageError(f"{given[0]} applies to fits to a target only", "leave it out, or give target=f")


def without_effect(settings: Mapping[str, Any]) -> list[str]:
    """That settings were given to a model that has no use for them, in a sentence; none if none were.

    Args:
        settings: of learning, and options of the objective; None counts as not given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in settings.items() if value is not None]
    return [worded(f"without effect on a model that learns by counting: {joined(given)}")] if given else []


def _meant(name: str, value: Any, known: list[str], model: Any) -> str:
    """What an unknown keyword may be: a setting, a hyperparameter, an option of `load`, or a keyword of `fit`."""
    of_model = _hyperparameters(model, None)
    of_data = [one.name for group in option_groups() for one in group.options()]
    word = closest(name, [*known, *OWN, *of_model, *of_data])
    if word is None or word in known or word in OWN:
        return nearest(name, [*known, *OWN])
    if word in of_model:
        return f"did you mean {word}?"
    shown = repr(value) if len(repr(value)) < 40 else "…"
    return f"{word} is an option of the data: give fit ptheta.load(source, {word}={shown})"


def _hyperparameters(model: Any, preset: str | None) -> list[str]:
    """Names of the hyperparameters of a model, or of all that may be chosen where none is named."""
    if isinstance(model, Model):
        return list(model.hyperparameter_signature())
    if model is None and preset is not None:
        model = find_preset(preset).model
    names = [model] if isinstance(model, str) else [name for name, row in ZOO.items() if not row.is_own]
    return list(dict.fromkeys(name for one in names for name in family(one).load().hyperparameter_signature()))
