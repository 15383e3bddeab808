"""Fits to a target, an unnormalised density f given as a function, in place of data."""

from __future__ import annotations

from typing import Any

from ptheta.data import Codec, Data
from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.images import ImageCodec
from ptheta.errors import UsageError, nearest
from ptheta.fitting.results import parameters
from ptheta.models import Model
from ptheta.numbers import rounded
from ptheta.reporting import FitProgress, write_card, write_overview
from ptheta.runs import Run
from ptheta.spaces import Discrete, Image, Real, Space
from ptheta.training import OBJECTIVES, FreeEnergy, ReverseKL, Target, Timetable
from ptheta.training.objectives.free_energy import draw_and_weigh, seconds_per_event
from ptheta.training.randomness import generator

DRAWS = 10_000
"""Events from which final estimates are made, if time allows."""


def target_of(objective: str | None, target: Any) -> Target | None:
    """The target of a reverse-KL fit; None of any other.

    Args:
        objective: a name; None: reverse KL if there is a target, else the family's.
        target: function of events that returns log f(x), or None.

    Raises:
        UsageError: there is no such objective, or objective and target do not belong together.
    """
    if objective is not None and objective not in OBJECTIVES:
        raise UsageError(f"no objective is called {objective!r}", nearest(str(objective), list(OBJECTIVES)))
    if target is None:
        if objective == ReverseKL.name:
            raise UsageError(
                "reverse KL needs a target", "give target=f, a function of events [n, …] that returns log f(x) [n]"
            )
        return None
    if objective not in (None, ReverseKL.name):
        raise UsageError(f"{objective} learns from data, not from a target", "give objective='reverse_kl'")
    return Target.of(target)


def check_plan(preset: str | None, epochs: float | None) -> None:
    """Check that a fit to a target is planned without what needs data.

    Raises:
        UsageError: there is a preset, or a budget in epochs.
    """
    if preset is not None:
        raise UsageError("presets are for data", "leave out the preset")
    if epochs is not None:
        raise UsageError("a target has no epochs", "give a budget in minutes or steps")


def as_data(model: str | Model | None, space: Any, target: Target) -> Data:
    """What a run keeps of a target: the space, a codec for samples, and no events.

    Args:
        model: whose space is taken if none is given.
        space: of x.
        target: log f.

    Raises:
        UsageError: there is no space, or one that no target is over.
    """
    if space is None and isinstance(model, Model):
        space = model.space
    if not isinstance(space, Space):
        what = "the space of x is unknown" if space is None else f"a {type(space).__name__} is not a space"
        raise UsageError(
            f"{what}, and reverse KL draws its events itself", "give the space of x: ptheta.fit(model, space, target=f)"
        )
    if isinstance(model, Model) and model.space != space:
        raise UsageError(f"the model is over {model.space}, the target over {space}", "give both the same space")
    return Data(
        target.name,
        f"target: {target.name}, in memory",
        space,
        None,
        codec_for(space),
        {},
        ["learned by reverse KL from an unnormalised density, which is not stored: there are no data"],
        {"event": None, "context": None},
        target.fingerprint(space),
    )


def codec_for(space: Space) -> Codec:
    """How samples of a space without data are written: pictures as pictures, all else as arrays.

    Raises:
        UsageError: it holds neither numbers of one kind nor levels.
    """
    if isinstance(space, Image) and space.channels in (1, 3) and 2 <= space.levels <= 256:
        return ImageCodec(space.height, space.width, space.channels, space.levels)
    if isinstance(space, Discrete):
        return ArrayCodec(list(space.shape), space.levels, "int64")
    if isinstance(space, Real):
        return ArrayCodec(list(space.shape), None, "float64")
    raise UsageError(f"a target cannot be over {space}", "use a discrete or a real space")


def default_family(space: Space) -> str:
    """The family that learns a target when none is named: cheap to draw from, and quick to learn."""
    return "flow" if isinstance(space, Real) else "made"


def conclude_target(run: Run, target: Target, seconds: float, progress: FitProgress, timetable: Timetable) -> None:
    """Save, estimate from fresh events, write samples and the card."""
    run.model.eval()
    run.save_weights()
    n = max(2, rounded(timetable.scoring(seconds) / seconds_per_event(run.model, target), DRAWS))
    with progress.scoring(n) as advance:
        weighed = draw_and_weigh(run.model, target, n, generator(run.config["seed"], 6), advance)
    found = FreeEnergy.of(*weighed)
    results = {
        "run": str(run.path),
        "model": run.name,
        "density": run.model.density.value,
        **parameters(run.model),
        "objective": ReverseKL.name,
        "target": target.name,
        **found.to_json(),
        "seconds": round(seconds, 2),
    }
    run.log({"results": results})
    write_overview(run, patience=timetable.looking(seconds), say=progress.say, during=progress.during)
    write_card(run)
    progress.finished(results)
