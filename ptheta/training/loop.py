"""The fit loop: one for all models that learn by gradients, and all objectives.

Each step is a function of (weights, seed, step): the order of events, dropout, drawn binarisation and drawn events are
seeded anew from these, so a resumed fit takes exactly the steps the uninterrupted one would have taken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.errors import FitError, RunError
from ptheta.models import Model
from ptheta.numbers import plural
from ptheta.training.annealing import Annealing, rises
from ptheta.training.average import Average
from ptheta.training.budget import Budget, rate
from ptheta.training.listening import Listener, Stop, interruptible
from ptheta.training.objectives.base import Objective, Verdict
from ptheta.training.optimisers import optimisers, set_rate
from ptheta.training.players import Player, turn
from ptheta.training.randomness import mix, own_randomness, seed_device
from ptheta.training.state import Position, State, load_optimisers, load_state, save_state
from ptheta.training.timetable import Timetable

VALIDATION_SHARE = 0.02
"""Part of a budget in minutes that one validation may take; fewer events are scored if all take longer."""

VALIDATION_STEPS = 10
"""Steps between validations, at least, for a budget in steps or epochs."""

VALIDATIONS = 25
"""Validations of a fit, about, at equal distances; fewer if they would take over a tenth of the time."""

FIRST, GROWTH = 0.01, 1 / 6
"""At first they are closer, so that a fit that soon stops improving is seen to: this part of the budget, and then this
part of what is used of it."""

VALIDATED = 2**16
"""Values of validation events that judge a fit in steps or epochs, however short it is; more if they cost at most a
tenth of its steps, where a step costs three times as much for an event as its score."""


class Trainer:
    """Minimises an objective within a budget.

    Args:
        objective: what is minimised, with the model and the settings.
        budget: how long.
        fingerprint: of what is trained on, kept in checkpoints.
        checkpoint: file of the unfinished state; None keeps none.
        listener: its callbacks are called as the fit proceeds.
        keep: called with weights whenever the best ones are to be put on disk.
        timetable: of the whole command; None: all minutes of the budget are for learning.
        position: where it begins, of another member than the first.
        share: part of what is left of the budget that this fit may use.
        members: weights of the members that were learned before, kept in checkpoints.
    """

    def __init__(
        self,
        objective: Objective,
        budget: Budget,
        *,
        fingerprint: str = "",
        checkpoint: Path | None = None,
        listener: Listener | None = None,
        keep: Callable[[dict[str, Tensor]], None] | None = None,
        timetable: Timetable | None = None,
        position: Position | None = None,
        share: float = 1.0,
        members: Sequence[dict[str, Tensor]] = (),
    ):
        self.objective, self.budget = objective, budget
        self.model, self.settings, self.world = objective.model, objective.settings, objective.world
        self.checkpoint, self.listener, self.keep = checkpoint, listener, keep
        self.position = position or Position(objective.seed, fingerprint)
        self.share, self.members = share, list(members)
        self.average = Average(self.model, self.settings.average) if self.settings.average else None
        self.best = _snapshot(self.model)
        self.players = objective.players()
        for name, player in self.players.items():
            if not any(parameter.requires_grad for parameter in player.loss.parameters()):
                raise FitError(f"{name} has no parameters to train: all are frozen", "leave a part unfrozen")
        self.optimisers = {
            name: optimisers(player.loss, self.settings, player.betas, type(self.model).__name__)
            for name, player in self.players.items()
        }
        self.timetable, self.allowed = timetable, budget.seconds
        self._prepared = False  # data-dependent constants are set

    # Public

    def resume(self, state: State | None = None, *, inexact: bool = False) -> None:
        """Go on from the checkpoint; if the fit stopped before its first one, from the start, which is as exact.

        Args:
            state: of the checkpoint, if it was read already.
            inexact: accept a checkpoint of other data or another seed, or one that lacks the position.

        Raises:
            RunError: the checkpoint is damaged, or belongs to another fit.
        """
        assert self.checkpoint is not None
        if state is None and not self.checkpoint.exists() and not self.checkpoint.is_symlink():
            return
        position, groups = state or load_state(self.checkpoint, inexact=inexact)
        if not inexact and (position.seed, position.fingerprint) != (self.position.seed, self.position.fingerprint):
            what = "seed" if position.seed != self.position.seed else "data, or these are read differently now"
            raise RunError(
                f"{self.checkpoint} was made with different {what}", "use the same, or continue with --resume-inexact"
            )
        position.seed, position.fingerprint = self.position.seed, self.position.fingerprint
        self.position = position
        try:
            self.model.load_state_dict(groups["weights"])
            self.best = groups["best"]
            if self.average is not None:
                self.average.model.load_state_dict(groups.get("average", groups["weights"]))
            for name, module in self.objective.scaffolding.items():
                module.load_state_dict(groups[f"scaffolding.{name}"])
            load_optimisers(self._all_optimisers(), groups)
            self.members = [groups[f"members.{number}"] for number in range(position.member)]
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"{self.checkpoint} does not fit the model and its optimiser", "resume with the settings of the fit"
            ) from error
        self._prepared = True
        progress = self._progress()
        if position.next_validation > progress + self._validation_gap(progress):  # the budget was raised
            position.next_validation = progress

    def run(self) -> dict[str, Tensor]:
        """Learn until the budget is spent, or until validation no longer improves and the fit has been annealed.

        Returns:
            the best weights by validation.

        Raises:
            FitError: the loss is not finite; the best weights so far are on disk.
            KeyboardInterrupt: after the state was saved.
        """
        with self._keeping_best(), own_randomness(self.world.device), interruptible(self.listener) as stop:
            losses = {name: self._loss(player) for name, player in self.players.items()}
            if not self._prepared:
                self._prepare()
            started, saved = time.perf_counter() - self.position.seconds, time.perf_counter()
            if self.timetable is not None and not self.timetable.learns:
                self.timetable.before, self.timetable.learns = self.world.agree(self.timetable.passed), True
                if self.allowed is not None:
                    self.position.before += self.timetable.before
            self._allow()
            due = self._is_due(self._progress())
            if self.position.step and due and not self.position.finished:  # it was stopped before it judged its weights
                self._validate_unless(stop, self._progress())
                self.position.seconds = self.world.agree(time.perf_counter() - started)
            self.position.finished = False  # the budget of a finished fit may have been raised
            while (progress := self._progress()) < 1.0 and not self.position.is_settled:
                self._step(losses, progress)
                self.position.step += 1
                self.position.seconds = self.world.agree(time.perf_counter() - started)
                progress = self._progress()
                stopping = self.world.agree(float(bool(stop)))
                if not stopping and self._is_due(progress):
                    self._validate_unless(stop, progress)
                    self.position.seconds = self.world.agree(time.perf_counter() - started)
                if self.listener:
                    self.listener.advance(progress, self.position)
                if stopping or self.world.agree(time.perf_counter() - saved) > self.settings.checkpoint_seconds:
                    self._save()
                    saved = time.perf_counter()
                if stopping:
                    raise stop.error
            self.position.finished = True
            self._save()
            if self.world.agree(float(bool(stop))):  # during the last step
                raise stop.error
        return self.best

    def room(self) -> float:
        """Steps for which there is room in what this fit has left of the budget, at its pace."""
        position, total = self.position, self.budget.total_steps(self.objective.steps_per_epoch)
        if total is not None:
            return total - position.all_steps
        self._allow()
        assert self.allowed is not None
        left = self.allowed / self.share - position.seconds
        return self.world.agree(left * position.step / max(position.seconds, 1e-9))

    # Steps

    def _progress(self) -> float:
        """Fraction of this fit that is done: of its steps or of its seconds, whichever is further."""
        total, seconds = self._total(), self.allowed
        return max(
            self.position.step / total if total else 0.0,
            self.position.seconds / max(seconds, 1e-9) if seconds is not None else 0.0,
        )

    def _total(self) -> int | None:
        """Steps of this fit, or None if only the clock says."""
        if self.position.length:
            return self.position.length
        total = self.budget.total_steps(self.objective.steps_per_epoch)
        return None if total is None else max(1, round(total * self.share))

    def _is_due(self, progress: float) -> bool:
        """Whether the weights are to be judged."""
        return progress >= min(1.0, self.position.next_validation) or self.position.is_settled

    def _allow(self) -> None:
        """Plan how many seconds are for learning, by what is known of the rest."""
        if self.budget.seconds is None:
            return
        seconds = self.budget.seconds
        if self.timetable is not None:
            seconds = self.timetable.learning(self.position.before)
        self.allowed = self.world.agree((seconds - self.position.earlier_seconds) * self.share)

    def _prepare(self) -> None:
        self.objective.prepare()
        if self.average is not None:
            self.average.restart(self.model)

    def _loss(self, player: Player) -> nn.Module:
        """A player's loss, compiled and data-parallel as the settings say."""
        module = player.loss
        long_gpu_fit = self.world.device.type == "cuda" and (self.budget.minutes or 0) >= 5
        wanted = long_gpu_fit if self.settings.compile is None else self.settings.compile
        if wanted and player.compiles:
            module.compile(dynamic=False)
        return self.world.wrap(module)

    def _step(self, losses: Mapping[str, nn.Module], progress: float) -> None:
        step = self.position.step
        rows = self.objective.rows(step, progress)
        seed_device(mix(self.position.seed, 4, step, self.world.rank), self.world.device)  # dropout
        fraction = self._rate(progress)
        modules = [self.model, *self.objective.scaffolding.values()]
        for module in modules:
            module.train(self.objective.dropout)
        if len(modules) > 1 or len(losses) > 1:  # else data parallelism does so
            self.world.share_buffers(modules)
        values = {}
        for name, player in self.players.items():
            if step % player.every == 0:
                with turn(name, self.players):
                    values[name] = float(self._move(name, losses[name], rows, fraction))
        if self.average is not None:
            self.average.update(self.model, step)
        value, mean = self.objective.reported(values), self.position.mean
        if value is not None:
            self.position.mean = value if math.isnan(mean) else 0.98 * mean + 0.02 * value

    def _rate(self, progress: float) -> float:
        """Learning rate of the present step as a fraction of its peak."""
        total, annealing = self._total(), self.position.annealing
        if annealing is not None:
            return annealing.rate(self.position.step, progress)
        middle = progress + 0.5 / total if total else progress  # of the step, so that neither end has rate 0
        return rate(middle, self.settings.warmup, self.settings.hold)

    def _move(self, name: str, loss: nn.Module, rows: tuple[Tensor | None, ...], fraction: float) -> Tensor:
        """One optimiser step of a player; returns its loss."""
        player, many = self.players[name], self.optimisers[name]
        set_rate(many, (player.learning_rate or self.settings.learning_rate) * fraction)
        for optimiser in many:
            optimiser.zero_grad(set_to_none=True)
        value = self._accumulate(loss, rows)
        norm = nn.utils.clip_grad_norm_(player.loss.parameters(), self.settings.clip)
        if not bool(torch.isfinite(norm)):
            raise FitError(
                f"the loss or its gradient is not finite at step {self.position.step}",
                "lower --learning-rate; the best weights so far are kept",
            )
        for optimiser in many:
            optimiser.step()
        return value

    def _accumulate(self, loss: nn.Module, rows: tuple[Tensor | None, ...]) -> Tensor:
        """Gradient of the mean loss, in parts; returns that loss."""
        total = torch.zeros((), device=self.world.device)
        n = next(len(tensor) for tensor in rows if tensor is not None)
        parts = torch.arange(n).tensor_split(min(self.settings.accumulate, n))
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            sharing = isinstance(loss, nn.parallel.DistributedDataParallel)
            with loss.no_sync() if sharing and not last else nullcontext():
                mine = (None if tensor is None else tensor[part].to(self.world.device) for tensor in rows)
                value = loss(*mine) * (len(part) / n)
                value.backward()
            total += value.detach()
        return total

    def _validate_unless(self, stop: Stop, progress: float) -> None:
        """Judge the weights. A signal stops that at once: the state is saved, and resumed with the judgement."""
        clock = time.perf_counter()
        if self.world.size > 1:  # the other processes would wait for this one
            verdict = self._judge()
        else:
            try:
                with stop.at_once():
                    verdict = self._judge()
            except KeyboardInterrupt:
                self._save()
                raise
        self._validated(verdict, progress, time.perf_counter() - clock)

    def _judge(self) -> Verdict | None:
        """Judge the weights; nothing else changes."""
        self.position.validated = self.position.validated or self._validation_events(self._judged)
        return self.objective.judge(self._judged, self.position.validated)

    def _validated(self, verdict: Verdict | None, progress: float, seconds: float) -> None:
        """Keep the weights if they are the best, plan the next time."""
        position, model = self.position, self._judged
        value = self.world.agree(verdict.value if verdict else self.position.mean)
        if math.isnan(value):
            raise FitError(f"the validation loss is not a number at step {position.step}", "lower --learning-rate")
        if verdict is not None:
            position.since.append(value)
        if value < position.best or position.best_step < 0:
            position.best, position.best_step, position.since = value, position.step, []
            self.best = _snapshot(model)
        gap = self._validation_gap(progress)
        if self.timetable is not None:
            self.timetable.judging, self.timetable.pace = seconds, seconds / max(1, position.validated)
            self._allow()
        if self.allowed is not None:
            gap = self.world.agree(max(gap, 10 * seconds / self.allowed))
        position.next_validation = progress + gap
        if self.listener:
            self.listener.record(
                {
                    "step": position.all_steps,
                    "seconds": round(position.earlier_seconds + position.seconds, 3),
                    **({"member": position.member + 1} if position.member else {}),
                    self.objective.running: self.position.mean,
                    **(verdict.record if verdict else {}),
                    "learning_rate": (self.optimisers.get("model") or self._all_optimisers())[0].param_groups[0]["lr"],
                },
                verdict,
            )
        if self._has_stalled() and progress < 1.0:
            self._anneal(progress)

    def _has_stalled(self) -> bool:
        """Whether validation has not improved for as long as patience lasts, and becomes worse."""
        position, patience = self.position, self.settings.patience
        if not patience or not self.objective.anneals or position.length or position.annealing is not None:
            return False
        learned = position.best_step > 1  # else it may still begin to learn
        return learned and position.step >= (1 + patience) * position.best_step and rises(position.since)

    def _anneal(self, progress: float) -> None:
        """Go back to the best weights, and lower the rate to 0 from them."""
        source = self.position.best_step
        steps = math.ceil(self.settings.patience * source)
        self.position.annealing = Annealing(source, self.position.step, steps, progress, self._rate(progress))
        self.model.load_state_dict(self.best)
        if self.average is not None:
            self.average.restart(self.model)
        if self.listener:
            self.listener.note(
                f"validation has become worse since step {source:,}: from its weights the learning rate falls to 0"
                f" in {plural(steps, 'step')}"
            )

    @contextmanager
    def _keeping_best(self) -> Iterator[None]:
        """If learning fails, the best weights so far are put on disk first."""
        try:
            yield
        except FitError:
            if self.keep and self.position.best_step >= 0 and self.world.rank == 0:
                self.keep(self.best)
            raise

    def _validation_gap(self, progress: float) -> float:
        """Progress between validations, at least, after some of it."""
        total = self._total()
        gap = min(1.0 / VALIDATIONS, max(FIRST, GROWTH * progress))
        return max(gap, VALIDATION_STEPS / total if total else 0.0)

    def _validation_events(self, model: Model) -> int:
        """How many events decide which weights are best; fewer than set if a validation would take long."""
        most, total = self.settings.validation_events, self._total()
        if total is not None:  # whatever the clock says, so that the fit is reproducible
            times, progress = 1, 0.0
            while progress < 1.0:
                times, progress = times + 1, progress + self._validation_gap(progress)
            share = 0.1 * 3 * total * self.settings.batch_size / times
            return min(most, int(max(2, share, VALIDATED // self.model.space.dimensions)))
        assert self.allowed is not None
        return int(self.world.agree(min(most, self.objective.affordable(model, VALIDATION_SHARE * self.allowed))))

    def _save(self) -> None:
        if self.world.rank:
            return
        clock = time.perf_counter()
        self._write()
        if self.timetable is not None:
            self.timetable.saving = time.perf_counter() - clock

    def _write(self) -> None:
        """Put weights and checkpoint on disk."""
        if self.keep:
            learned = self.position.best_step > 1 or self.position.step <= 1
            self.keep(self.best if learned else _snapshot(self._judged))  # not yet validated, but learned
        if self.checkpoint:
            modules: dict[str, Any] = {"weights": self.model, "best": self.best}
            if self.average is not None:
                modules["average"] = self.average.model
            modules |= {f"scaffolding.{name}": module for name, module in self.objective.scaffolding.items()}
            modules |= {f"members.{number}": weights for number, weights in enumerate(self.members)}
            save_state(self.checkpoint, self.position, modules, self._all_optimisers())

    @property
    def _judged(self) -> Model:
        """The weights that are validated and kept."""
        return self.model if self.average is None else self.average.model

    def _all_optimisers(self) -> list[torch.optim.Optimizer]:
        return [optimiser for many in self.optimisers.values() for optimiser in many]


def _snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
