"""Members: models of one family that a fit learns one after the other, and whose mixture its run holds.

The first one learns as it would alone. The others take as many steps as led to its weights, from first weights and in
an order of events of their own. Where their number is left to the fit, they are learned from what the first one leaves
of the budget since it no longer improves, take fewer steps, and the last one is that after which the mixture's
validation is no better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from torch import Tensor

from ptheta.configs import build_model
from ptheta.errors import FitError, RunError, UsageError
from ptheta.models import Counting, Density, Model
from ptheta.models.ensembles.base import Ensemble
from ptheta.models.ensembles.kinds import ensemble_of
from ptheta.numbers import plural
from ptheta.reporting import FitProgress
from ptheta.runs import Run
from ptheta.training import Budget, Objective, Timetable, Trainer, World
from ptheta.training.randomness import mix
from ptheta.training.state import Position, load_state

Members = int | Literal["auto"]
"""How many members a fit has; `auto`: as many as its budget is good for."""

MOST = 8
"""Members that a fit takes by itself, at most: sampling and scoring take as many times as long."""

PART = 0.6
"""Part of the steps that led to the weights of the first member which the others take where their number is left to the
fit: their rate falls by plan, so they need fewer, and more of them are worth more than better ones."""

SHORT = 0.6
"""Part of those steps that one takes at least, if the budget has no room for all."""


def wanted_members(
    asked: Members | None,
    model: Model,
    objective: type[Objective],
    budget: Budget | None,
    *,
    named: bool,
    validated: bool,
) -> Members:
    """How many members a fit has: what was asked for, if it can be done. By default one, or `auto` for a budget in
    minutes.

    Args:
        asked: what was asked for; None: nothing.
        model: to be fitted.
        objective: of the fit.
        budget: of the fit; None: the model counts.
        named: whether the model is built by its family's name, and not an instance, which has weights of its own.
        validated: whether there are validation events, which say whether a member is worth keeping.

    Raises:
        UsageError: it cannot be done.
    """
    name = type(model).__name__
    obstacles = {
        f"{name} learns by counting, which every member would do alike": isinstance(model, Counting),
        f"{name} has no density that could be mixed": model.density is Density.IMPLICIT,
        "members are of fits to data": not objective.anneals,
        f"{name} is made of parts": bool(model.parts()),
        "an ensemble has members of its own": isinstance(model, Ensemble),
        "a model instance has weights of its own, which every member would begin with": not named,
    }
    obstacle = next((text for text, holds in obstacles.items() if holds), None)
    if obstacle is None:
        usual: Members = "auto" if budget is not None and budget.minutes is not None else 1
        number = asked or usual
        return 1 if number == "auto" and not validated else number
    if asked in (None, 1, "auto"):
        return 1
    remedy = "name its family instead" if obstacle.startswith("a model instance") else "leave out --members"
    raise UsageError(f"{asked} members cannot be learned: {obstacle}", remedy)


class Course:
    """Learns the members of a fit, and keeps their mixture in the run.

    Args:
        run: of the fit.
        objective: (model, seed) → what is minimised.
        budget: of all members together.
        wanted: how many there are to be.
        world: processes that learn together.
        progress: that reports.
        timetable: of the command.
        fingerprint: of the data.
        seed: of the fit.
    """

    def __init__(
        self,
        run: Run,
        objective: Callable[[Model, int], Objective],
        budget: Budget,
        *,
        wanted: Members,
        world: World,
        progress: FitProgress,
        timetable: Timetable,
        fingerprint: str,
        seed: int,
    ):
        self.seed = seed
        self.run, self.objective, self.budget, self.wanted = run, objective, budget, wanted
        self.world, self.progress, self.timetable, self.fingerprint = world, progress, timetable, fingerprint
        self.trainer = self._trainer(first_member(run), 0)

    def resume(self, *, inexact: bool) -> Position:
        """Go on from the run's checkpoint, if there is one; see `Trainer.resume`.

        Returns:
            Where the fit stands.
        """
        checkpoint = self.run.checkpoint
        if checkpoint.exists() or checkpoint.is_symlink():
            state = load_state(checkpoint, inexact=inexact)
            member = state[0].member
            if isinstance(self.wanted, int) and member >= self.wanted:
                raise RunError(
                    f"{self.run.path} has begun member {member + 1} already", f"give --members {member + 1} or more"
                )
            if member:
                self.trainer = self._trainer(self._another(member), member)
            self.trainer.resume(state, inexact=inexact)
            self.timetable.members = 1 + len(self.trainer.members)
            self.progress.steps = self.trainer.position.all_steps
        return self.trainer.position

    def learn(self) -> Model:
        """Learn until the budget is spent, or nothing improves any more.

        Returns:
            The run's model, with the weights that are kept.

        Raises:
            FitError: the loss is not finite; the best weights so far are on disk.
            KeyboardInterrupt: after the state was saved.
        """
        while True:
            trainer = self.trainer
            try:
                trainer.model.load_state_dict(trainer.run())
            except FitError as error:
                if not trainer.members:
                    raise
                self.progress.note(f"member {trainer.position.member + 1}: {error.problem}; it is left out")
                self._hold([self._member(weights) for weights in trainer.members])
                return self.run.model
            clock = time.perf_counter()
            joined = self._join(trainer)
            trainer.position.seconds += self.world.agree(time.perf_counter() - clock)
            following = self._following(trainer) if joined else None
            if following is None:
                return self.run.model
            self.trainer = following

    def _trainer(self, model: Model, member: int, position: Position | None = None, members: Any = ()) -> Trainer:
        left = max(1, self.wanted - member) if isinstance(self.wanted, int) else 1
        self.timetable.members = 1 + len(members)
        return Trainer(
            self.objective(model, self._seed(member)),
            self.budget,
            fingerprint=self.fingerprint,
            checkpoint=self.run.checkpoint,
            listener=self.progress,
            keep=None if member else self._keep_first,
            timetable=self.timetable,
            position=position,
            share=1 / left,
            members=members,
        )

    def _another(self, member: int) -> Model:
        """A model like the first one, with first weights of its own."""
        config = self.run.config
        described = {name: value for name, value in config["model"].items() if name != "members"}
        model = build_model(config | {"model": described, "seed": self._seed(member)})
        return model.to(self.world.device)

    def _keep_first(self, weights: dict[str, Tensor]) -> None:
        if self.run.model is not self.trainer.model:  # the fit begins anew, since its checkpoint was lost
            self.run.become(self.trainer.model)
        self.run.save_weights(weights)

    def _join(self, trainer: Trainer) -> bool:
        """Take what was learned into the mixture; False if that is no better for it, and it is left out."""
        position, earlier = trainer.position, [self._member(weights) for weights in trainer.members]
        if not earlier:
            return True
        mixture = ensemble_of([*earlier, trainer.model]).eval()
        verdict = trainer.objective.judge(mixture, position.validated)
        value = self.world.agree(verdict.value if verdict else position.best)
        joined = self.wanted != "auto" or value < position.together
        said = f"member {position.member + 1}: the mixture's validation is {value:.2f} nats"
        if joined:
            self.progress.note(f"{said}, {position.together:.2f} without it")
            position.together = value
        else:
            self.progress.note(f"{said}, {position.together:.2f} without it: it is left out")
        if self.world.rank == 0:
            self.run.log({"step": position.all_steps, "members": len(earlier) + joined, "mixture": value})
        self._hold([*earlier, trainer.model] if joined else earlier)
        return joined

    def _hold(self, members: list[Model]) -> None:
        """Let the run be the mixture of these members."""
        model = ensemble_of(members).eval() if len(members) > 1 else members[0].eval()
        self.timetable.members = len(members)
        if self.world.rank == 0:
            self.run.become(model)
        else:
            self.run.model = model

    def _member(self, weights: dict[str, Tensor]) -> Model:
        model = self._another(0)
        model.load_state_dict(weights)
        return model

    def _following(self, trainer: Trainer) -> Trainer | None:
        """What learns the next member; None if there is to be none."""
        position, member = trainer.position, trainer.position.member + 1
        if isinstance(self.wanted, int):
            left = self.wanted - member
        else:
            left = int(member < MOST and (member > 1 or position.is_settled))
        if left < 1:
            return None
        part = PART if self.wanted == "auto" else 1.0
        length = position.length or math.ceil(part * position.effective_steps)
        room = trainer.room() / left
        if room < (SHORT * length if self.wanted == "auto" else 1):
            self.progress.note(f"no further member: the budget has no room for the {plural(length, 'step')} of one")
            return None
        following = Position(
            self._seed(member),
            self.fingerprint,
            best=float("inf"),
            validated=position.validated,
            before=position.before,
            member=member,
            length=max(1, min(length, int(room))),
            earlier_steps=position.all_steps,
            earlier_seconds=position.earlier_seconds + position.seconds,
            together=position.together if position.member else position.best,
        )
        kept = {name: tensor.detach().cpu().clone() for name, tensor in trainer.model.state_dict().items()}
        return self._trainer(self._another(member), member, following, [*trainer.members, kept])

    def _seed(self, member: int) -> int:
        """The seed of a member: of the first one that of the fit."""
        return mix(self.seed, 8, member) if member else self.seed


def first_member(run: Run) -> Model:
    """The model of a run that its fit learns, or learns first."""
    several = run.plan().get("members", 1) != 1
    return run.model.members[0] if several and isinstance(run.model, Ensemble) else run.model


def check_members(run: Run, asked: Members | None) -> Members:
    """How many members a resumed fit goes on to: those of the run, unless more are asked for.

    Raises:
        RunError: the run has more already.
    """
    stored: Members = run.plan().get("members", 1)
    have = len(run.config["model"].get("members", [])) if stored != 1 else 1
    if isinstance(asked, int) and 0 < asked < have:
        raise RunError(f"{run.path} has {have} members already", f"give --members {have} or more, or fit again")
    return stored if asked is None else asked
