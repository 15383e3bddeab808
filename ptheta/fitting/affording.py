"""Does a fit fit the machine and its budget? Sizes, batches and refusals, from `ptheta.training.cost`."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import torch

from ptheta.data import Data
from ptheta.data.codecs import SoundCodec
from ptheta.data.codecs.images import PictureCodec
from ptheta.errors import FitError
from ptheta.fitting.means import ENOUGH, Means
from ptheta.fitting.sizes import of_passes
from ptheta.models import Model
from ptheta.models.limits import Exceeded, Limited, largest
from ptheta.numbers import amount, duration, many
from ptheta.spaces import Grid, Image, Sequence, Space
from ptheta.training import Settings, World
from ptheta.training.cost import CHEAP, TRIED, Cost, Estimate, is_easy

SURELY = 4
"""A model that is estimated to take more than this many times what there is, is not even begun."""

SLOW = 10.0
"""Seconds of a step beyond which something smaller is proposed."""

SMALLER = (256, 128, 96, 64, 48, 32, 24, 16, 12, 8)
"""Sides of squares of as many pixels as are proposed where pictures are too large."""


class Affording:
    """What a fit of one family to some data takes, against what there is.

    Args:
        family: of the models.
        build: (space, hyperparameters) → a model with random weights.
        hyperparameters: of the family.
        settings: given beside the family's recipe; None counts as not given.
        data: to be fitted, or the space of a target.
        device: of the fit.
        means: what it may take.
        given: names of hyperparameters that were asked for.
    """

    def __init__(
        self,
        family: type[Model],
        build: Callable[[Space, dict[str, Any]], Model],
        hyperparameters: dict[str, Any],
        settings: dict[str, Any],
        data: Data,
        device: torch.device,
        means: Means,
        given: Collection[str] = (),
    ):
        self.given = given
        self.build, self.hyperparameters, self.settings, self.data = build, hyperparameters, settings, data
        self.family, self.device, self.means = family, device, means
        train = data.splits.get("train")
        self.x, self.context = (None, None) if not train else train.subset(4).events()
        self.estimate = self._estimate(hyperparameters)
        self.cost: Cost | None = None

    @classmethod
    def of_model(
        cls, model: Model, settings: dict[str, Any], data: Data, device: torch.device, means: Means
    ) -> Affording:
        """For a model that exists."""
        family, context_space, own = type(model), model.context_space, model.hyperparameters()

        def build(space: Space, hyperparameters: dict[str, Any]) -> Model:
            if space == model.space and hyperparameters == own:
                return copy.deepcopy(model)
            return family(space, context_space, **hyperparameters)

        return cls(family, build, own, settings, data, device, means, own)

    def model(self) -> Model:
        """The model to fit, if it fits.

        Raises:
            FitError: it does not, and nothing was allocated.
        """
        space, most = self.data.space, self.means.limit / 3
        if space.dimensions > TRIED:
            self._check_surely(self.known_cost())
        else:
            try:
                with Limited(min(most, CHEAP)):
                    return self.build(space, self.hyperparameters)
            except Exceeded:
                with contextlib.suppress(Exceeded):
                    self._check_surely(self.estimate.at(space, self.x, cheaply=True))
        try:
            with Limited(most):
                return self.build(space, self.hyperparameters)
        except Exceeded:
            cost = self.known_cost()
            if cost is not None and cost.memory(1) <= self.means.limit:  # building takes more than what is built
                return self.build(space, self.hyperparameters)
            raise self._refused(cost, 1) from None

    def take(self, hyperparameters: dict[str, Any]) -> None:
        """Go on with other hyperparameters, whose cost is not known yet."""
        self.hyperparameters, self.estimate, self.cost = hyperparameters, self._estimate(hyperparameters), None

    def batch_of_recipe(self) -> int:
        """Events of a step, as they were asked for or the recipe has them."""
        return self._batch(self.data.space, 1, self.hyperparameters)

    def _check_surely(self, guess: Cost | None) -> None:
        """Check that a model is not far beyond what there is, before anything of its size is allocated.

        Raises:
            FitError: it is.
        """
        if guess is not None and guess.memory(1) > SURELY * self.means.limit:
            raise self._refused(guess, 1)

    def settle(self, model: Model, chosen: Settings, world: World) -> tuple[Settings, list[str]]:
        """Settings of a step that fits, the same for all processes, and what was changed for it, in sentences.

        Args:
            model: to be fitted.
            chosen: settings that were given and those of the recipe.
            world: the processes; the first one decides.

        Raises:
            FitError: no step fits.
        """
        planned, notes = self._settled(model, chosen)
        first = world.first({"batch": planned.batch_size, "parts": planned.accumulate, "notes": notes})
        return replace(chosen, batch_size=first["batch"], accumulate=first["parts"]), first["notes"]

    def _settled(self, model: Model, chosen: Settings) -> tuple[Settings, list[str]]:
        """Settings of a step that fits as this process sees it; it waits for no other."""
        train, size = self.data.splits.get("train"), self.means.processes
        batch = min(chosen.batch_size, len(train) // size * size) if train else chosen.batch_size
        if not batch or is_easy(model, batch):
            return chosen, []
        cost = self.known_cost()
        if cost is None:
            raise self._refused(None, batch)
        means = self.means
        step = means.plan(cost, batch, chosen.accumulate)
        if step.batch < batch and cost.exact:  # perhaps only since the machine was busy for a moment
            cost = self.cost = self._again(cost)
            step = means.plan(cost, batch, chosen.accumulate)
        whole = cost.seconds(batch // size, chosen.accumulate)
        if not step.fits:
            raise self._refused(cost, batch, chosen.accumulate)
        notes: list[str] = []
        if step.batch < batch:
            notes.append(
                f"a step of {batch} events would take {duration(whole)}: batches of {step.batch}; "
                "--batch-size sets another"
            )
            chosen = replace(chosen, batch_size=step.batch)
        if step.parts > min(chosen.accumulate, step.batch):
            needed = amount(cost.memory(step.batch // size))
            notes.append(f"a batch of {step.batch} events would take {needed}: it is computed in {step.parts} parts")
            chosen = replace(chosen, accumulate=step.parts)
        return chosen, notes

    def _estimate(self, hyperparameters: dict[str, Any]) -> Estimate:
        return Estimate(
            lambda space: self.build(space, hyperparameters),
            of_passes(self.settings),
            self.context,
            self.device,
            self.means.limit,
            self.means.seconds is not None,
        )

    def known_cost(self) -> Cost | None:
        """The cost of the events; None if it is beyond all that can be tried."""
        if self.cost is None:
            try:
                self.cost = self.estimate.at(self.data.space, self.x)
            except Exceeded:
                return None
        return self.cost

    def _again(self, cost: Cost) -> Cost:
        """A cost whose seconds are the least of two measurements."""
        try:
            other = self.estimate.at(self.data.space, self.x)
        except Exceeded:
            return cost
        return replace(cost, **{name: min(getattr(cost, name), getattr(other, name)) for name in ("pace", "update")})

    def _refused(self, cost: Cost | None, batch: int, parts: int = 1) -> FitError:
        """What it would take, what there is, and what would fit."""
        limit, seconds = self.means.limit, self.means.seconds
        one = replace(self.means, shrinks=self.means.shrinks and cost is not None)
        step = None if cost is None else one.plan(cost, batch, parts)
        there = f"and {amount(limit)} are available"
        m = self.data.space.dimensions
        name = largest(self.family.hyperparameter_signature(), self.hyperparameters)
        asked = "" if name is None else f" with {name} {self.hyperparameters[name]:,}"
        values = f"{m:,} value{'s' * (m != 1)} an event: "
        if cost is None or step is None:
            problem = f"{values}the model{asked}, or one event of it, takes more than the {amount(limit)} available"
        elif cost.model_memory > limit:
            problem = (
                f"{values}the model{asked} would have {many(cost.parameters)} parameters and its fit take"
                f" {amount(cost.model_memory)}, {there}"
            )
        else:
            events = "one event" if step.batch // self.means.processes == 1 else f"{step.batch} events"
            if batch == 1:
                events = "one event"
            if seconds is not None:
                there = f"and {amount(limit)} and {duration(seconds)} of learning are available"
            problem = (
                f"{values}a step of {events} would take {amount(step.memory)} and {duration(step.seconds)}, {there}"
            )
        return FitError(problem, self._remedy(cost, batch, parts))

    def _remedy(self, cost: Cost | None, batch: int, parts: int) -> str:
        """The largest change that fits, with what it takes."""
        if not self.means.parts:
            return "its settings are the run's: resume where there is more memory, or allow more with --memory GIB"
        batch = max(batch, 1)
        if cost is not None and cost.model_memory <= self.means.limit and not self.means.shrinks:
            smaller = replace(self.means, shrinks=True).plan(cost, batch, parts)
            if smaller.fits and smaller.batch < batch:
                return f"--batch-size {smaller.batch} takes {amount(smaller.memory)} and {duration(smaller.seconds)}"
        free, first = replace(self.means, shrinks=True), ""
        slow = SLOW if self.means.seconds is None else self.means.seconds / ENOUGH
        for flags, space, hyperparameters in self.smaller():
            estimate = self.estimate if hyperparameters == self.hyperparameters else self._estimate(hyperparameters)
            try:
                found = estimate.at(space, self.x if space == self.data.space else None, cheaply=True)
            except Exceeded:
                continue
            step = free.plan(found, self._batch(space, batch, hyperparameters), parts)
            if step.fits:
                with_batch = "" if self.means.shrinks or step.batch >= batch else f" --batch-size {step.batch}"
                line = f"{flags}{with_batch} takes {amount(step.memory)} and {duration(step.seconds)}"
                if step.seconds <= slow:
                    return line
                first = first or line
        return first or "choose another model, or smaller events; --memory GIB allows more"

    def _batch(self, space: Space, batch: int, hyperparameters: dict[str, Any]) -> int:
        """Events of a step on another space: those given, or of the recipe."""
        if (given := self.settings.get("batch_size")) is not None:
            return given
        train = self.data.splits.get("train")
        model = self.build(space.reduced(4) or space, hyperparameters)
        known = Settings.of(model).batch_size
        return min(known, len(train)) if train else max(known, batch)

    def smaller(self) -> Iterator[tuple[str, Space, dict[str, Any]]]:
        """Flags that make events or models smaller, with the spaces and hyperparameters that they give."""
        space, codec, same = self.data.space, self.data.codec, self.hyperparameters
        if isinstance(codec, SoundCodec):
            for flag, fewer in codec.smaller():
                yield flag, fewer, same
        elif isinstance(codec, PictureCodec):
            height, width = space.shape[-2:]
            for side in SMALLER:
                h, w = _shaped(height, width, side)
                if h * w < height * width:
                    yield f"--size {h}x{w}", _with_sides(space, h, w), same
        elif isinstance(space, Sequence):
            for k in (2, 4, 8, 16, 32, 64, 128, 256, 512):
                if space.length // k >= 8 and (fewer := space.reduced(space.length // k)) is not None:
                    yield f"--length {fewer.dimensions}", fewer, same
        signature = self.family.hyperparameter_signature()
        name = largest(signature, same) or "width"
        default = signature[name].default if name in signature else None
        value, least = same.get(name) or default, 8 if name == "width" else 1
        while isinstance(value, int) and value // 4 >= least:
            value = default if isinstance(default, int) and value >= 64 * default else value // 4
            yield f"--{name.replace('_', '-')} {value}", space, same | {name: value}


def _shaped(height: int, width: int, side: int) -> tuple[int, int]:
    from ptheta.data.codecs.sizes import modest

    return modest(height, width, side**2)


def _with_sides(space: Space, height: int, width: int) -> Space:
    if isinstance(space, Image):
        return Image(height, width, space.channels, space.levels)
    assert isinstance(space, Grid)
    return Grid(height, width, space.levels)
