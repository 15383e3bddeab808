"""The fit loop: one for all models that learn by gradients.

Each step is a function of (weights, seed, step): the order of events, dropout and drawn binarisation are seeded anew
from these, so a resumed fit takes exactly the steps the uninterrupted one would have taken.
"""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ptheta.data import Split
from ptheta.errors import FitError, RunError
from ptheta.evaluation import affordable, evaluate
from ptheta.models import Model
from ptheta.training.budget import Budget, rate
from ptheta.training.distributed import World
from ptheta.training.optimisers import optimisers, set_rate
from ptheta.training.precision import autocast
from ptheta.training.settings import Settings
from ptheta.training.state import Position, load_optimisers, load_state, save_state

PREPARE_EVENTS = 50_000
"""Training events from which data-dependent constants are set."""

VALIDATION_SHARE = 0.02
"""Part of a budget in minutes that one validation may take; fewer events are scored if all take longer."""

VALIDATION_STEPS = 10
"""Steps between validations, at least, for a budget in steps or epochs."""

VALIDATIONS = 25
"""Validations of a fit, at most; fewer if they would take over a tenth of the time."""


class Listener(Protocol):
    """Hears how a fit goes."""

    def record(self, values: dict[str, Any]) -> None:
        """A validation was done: step, seconds, train_nats, validation_nats, learning_rate …"""
        ...

    def stopping(self) -> None:
        """Ctrl-C was pressed; the step at hand is finished and saved first."""
        ...

    def advance(self, progress: float, position: Position, train_nats: float) -> None:
        """A step was done; train_nats is a running mean."""
        ...


class Trainer:
    """Fits a model to a split within a budget.

    Args:
        model: on the world's device.
        train, validation: events.
        budget: how long.
        settings: how.
        seed: of all randomness.
        fingerprint: of the data, kept in checkpoints.
        world: processes that learn together.
        checkpoint: file of the unfinished state; None keeps none.
        listener: hears how it goes.
        keep: called with weights whenever the best ones are to be put on disk.
    """

    def __init__(
        self,
        model: Model,
        train: Split,
        validation: Split,
        budget: Budget,
        settings: Settings,
        *,
        seed: int,
        fingerprint: str,
        world: World,
        checkpoint: Path | None = None,
        listener: Listener | None = None,
        keep: Callable[[dict[str, Tensor]], None] | None = None,
    ):
        if len(train) < world.size:
            few = f"{len(train)} training events for {world.size} processes" if len(train) else "no training events"
            raise FitError(f"there are {few}", "give more data")
        self.model, self.train, self.validation = model, train, validation
        self.budget, self.settings, self.world = budget, settings, world
        self.checkpoint, self.listener, self.keep = checkpoint, listener, keep
        self.batch = min(settings.batch_size, len(train) // world.size * world.size)
        world.check(self.batch)
        self.steps_per_epoch = max(1, len(train) // self.batch)
        self.position = Position(seed, fingerprint)
        self.average = copy.deepcopy(model).requires_grad_(False) if settings.average else None
        self.best = _snapshot(model)
        self.optimisers = {name: optimisers(module, settings) for name, module in model.players().items()}
        self.train_nats = math.nan
        self._prepared = False  # data-dependent constants are set
        self._order: tuple[int, Tensor] | None = None  # of the present epoch

    # Public

    def resume(self, *, inexact: bool = False) -> None:
        """Go on from the checkpoint; if the fit stopped before its first one, from the start, which is as exact.

        Args:
            inexact: accept a checkpoint of other data or another seed, or one that lacks the position.

        Raises:
            RunError: the checkpoint is damaged, or belongs to another fit.
        """
        assert self.checkpoint is not None
        if not self.checkpoint.exists() and not self.checkpoint.is_symlink():
            return
        position, groups = load_state(self.checkpoint, inexact=inexact)
        if not inexact and (position.seed, position.fingerprint) != (self.position.seed, self.position.fingerprint):
            what = "seed" if position.seed != self.position.seed else "data"
            raise RunError(
                f"{self.checkpoint} was made with other {what}", "use the same, or continue with --resume-inexact"
            )
        position.seed, position.fingerprint = self.position.seed, self.position.fingerprint
        self.position = position
        try:
            self.model.load_state_dict(groups["weights"])
            self.best = groups["best"]
            if self.average is not None:
                self.average.load_state_dict(groups.get("average", groups["weights"]))
            load_optimisers(self._all_optimisers(), groups)
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"{self.checkpoint} does not fit the model and its optimiser", "resume with the settings of the fit"
            ) from error
        self._prepared = True
        if position.next_validation > self._progress() + self._validation_gap():  # the budget was raised
            position.next_validation = self._progress()

    def run(self) -> dict[str, Tensor]:
        """Learn until the budget is spent.

        Returns:
            the best weights by validation.

        Raises:
            FitError: the loss is not finite; the best weights so far are on disk.
            KeyboardInterrupt: after the state was saved.
        """
        with self._keeping_best(), _own_randomness(self.world.device), _interruptible(self.listener) as interrupted:
            loss = self._loss()
            if not self._prepared:
                self._prepare()
            started, saved = time.perf_counter() - self.position.seconds, time.perf_counter()
            while (progress := self._progress()) < 1.0:
                self._step(loss, progress)
                self.position.step += 1
                self.position.seconds = self.world.agree(time.perf_counter() - started)
                progress = self._progress()
                stop = bool(self.world.agree(float(interrupted.is_set())))
                if progress >= min(1.0, self.position.next_validation):
                    self._validate(progress)
                    self.position.seconds = self.world.agree(time.perf_counter() - started)
                if self.listener:
                    self.listener.advance(progress, self.position, self.train_nats)
                if stop or self.world.agree(time.perf_counter() - saved) > self.settings.checkpoint_seconds:
                    self._save()
                    saved = time.perf_counter()
                if stop:
                    raise KeyboardInterrupt
            self.position.finished = True
            self._save()
        return self.best

    # Steps

    def _progress(self) -> float:
        return self.budget.progress(self.position.step, self.position.seconds, self.steps_per_epoch)

    def _prepare(self) -> None:
        count = min(len(self.train), PREPARE_EVENTS)
        rows = torch.randperm(len(self.train), generator=_generator(self.position.seed, 0))[:count]
        self.model.prepare(self.train.events(rows, _generator(self.position.seed, 1))[0].to(self.world.device))
        if self.average is not None:
            self.average.load_state_dict(self.model.state_dict())

    def _loss(self) -> nn.Module:
        """The loss as a module of (x, context, player), compiled and data-parallel as the settings say."""
        module: nn.Module = _Loss(self.model, autocast(self.settings.precision, self.world.device.type))
        long_gpu_fit = self.world.device.type == "cuda" and (self.budget.minutes or 0) >= 5
        if long_gpu_fit if self.settings.compile is None else self.settings.compile:
            module.compile(dynamic=False)
        return self.world.wrap(module)

    def _rows(self) -> Tensor:
        """Rows of this step's global batch."""
        epoch, at = divmod(self.position.step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            shuffled = torch.randperm(len(self.train), generator=_generator(self.position.seed, 2, epoch))
            self._order = (epoch, shuffled)
        return self._order[1][at * self.batch : (at + 1) * self.batch]

    def _step(self, loss: nn.Module, progress: float) -> None:
        seed, step = self.position.seed, self.position.step
        rows = self._rows()
        x, context = self.train.events(rows, _generator(seed, 3, step))
        mine = self.world.share(torch.arange(len(rows)))
        x, context = x[mine], None if context is None else context[mine]
        _seed(_mix(seed, 4, step, self.world.rank), self.world.device)  # dropout
        total = self.budget.total_steps(self.steps_per_epoch)
        middle = progress + 0.5 / total if total else progress  # of the step, so that neither end has rate 0
        fraction = rate(middle, self.settings.warmup, self.settings.hold)
        self.model.train()
        for player, module in self.model.players().items():
            set_rate(self.optimisers[player], self.settings.learning_rate * fraction)
            for optimiser in self.optimisers[player]:
                optimiser.zero_grad(set_to_none=True)
            value = self._accumulate(loss, x, context, player)
            norm = nn.utils.clip_grad_norm_(module.parameters(), self.settings.clip)
            if not bool(torch.isfinite(norm)):
                raise FitError(
                    f"the loss or its gradient is not finite at step {step}",
                    "lower --learning-rate; the best weights so far are kept",
                )
            for optimiser in self.optimisers[player]:
                optimiser.step()
        if self.average is not None:
            self._update_average()
        nats = float(value) * self.model.space.dimensions
        self.train_nats = nats if math.isnan(self.train_nats) else 0.98 * self.train_nats + 0.02 * nats

    def _accumulate(self, loss: nn.Module, x: Tensor, context: Tensor | None, player: str) -> Tensor:
        """Gradient of the mean loss, in parts; returns that loss."""
        total = torch.zeros((), device=self.world.device)
        parts = torch.arange(len(x)).tensor_split(min(self.settings.accumulate, len(x)))
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            silent = nullcontext() if last or self.world.size == 1 else loss.no_sync()  # type: ignore[operator]
            with silent:
                y = None if context is None else context[part].to(self.world.device)
                value = loss(x[part].to(self.world.device), y, player) * (len(part) / len(x))
                value.backward()
            total += value.detach()
        return total

    def _update_average(self) -> None:
        """Exponential moving average with a ramp, so that early weights are forgotten."""
        assert self.average is not None
        step = self.position.step
        decay = min(self.settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.model.parameters()):
                mean.lerp_(new, 1 - decay)

    def _validate(self, progress: float) -> None:
        """Score the validation split, keep the weights if they are the best, plan the next time."""
        position = self.position
        clock = time.perf_counter()
        model = self.average or self.model
        position.validated = position.validated or self._validation_events(model)
        score = evaluate(model, self.validation, limit=position.validated) if len(self.validation) else None
        nats = self.world.agree(score.nats if score else self.train_nats)
        if math.isnan(nats):
            raise FitError(f"the validation loss is not a number at step {position.step}", "lower --learning-rate")
        if nats < position.best_nats or position.best_step < 0:
            position.best_nats, position.best_step = nats, position.step
            self.best = _snapshot(model)
        gap = self._validation_gap()
        if self.budget.minutes is not None:
            gap = self.world.agree(max(gap, 10 * (time.perf_counter() - clock) / (60 * self.budget.minutes)))
        position.next_validation = progress + gap
        if self.listener:
            self.listener.record(
                {
                    "step": position.step,
                    "seconds": round(position.seconds, 3),
                    "train_nats": self.train_nats,
                    "validation_nats": nats,
                    "validation_nats_se": score.nats_se if score else None,
                    "learning_rate": self.optimisers[next(iter(self.optimisers))][0].param_groups[0]["lr"],
                }
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

    def _validation_gap(self) -> float:
        """Progress between validations, at least."""
        total = self.budget.total_steps(self.steps_per_epoch)
        return max(1.0 / VALIDATIONS, VALIDATION_STEPS / total if total else 0.0)

    def _validation_events(self, model: Model) -> int:
        """How many events decide which weights are best; fewer than set if a validation would take long."""
        most = self.settings.validation_events
        if self.budget.minutes is None or not len(self.validation):
            return most
        seconds = VALIDATION_SHARE * 60 * self.budget.minutes
        return int(self.world.agree(min(most, affordable(model, self.validation, seconds))))

    def _save(self) -> None:
        if self.world.rank:
            return
        if self.keep:
            learned = self.position.best_step > 1 or self.position.step <= 1
            self.keep(self.best if learned else _snapshot(self.average or self.model))  # not yet validated, but learned
        if self.checkpoint:
            modules: dict[str, Any] = {"weights": self.model, "best": self.best}
            if self.average is not None:
                modules["average"] = self.average
            save_state(self.checkpoint, self.position, modules, self._all_optimisers())

    def _all_optimisers(self) -> list[torch.optim.Optimizer]:
        return [optimiser for many in self.optimisers.values() for optimiser in many]


class _Loss(nn.Module):
    """The model's loss as a forward pass, which compilation and data parallelism can wrap."""

    def __init__(self, model: Model, autocast: Callable[[], Any]):
        super().__init__()
        self.model, self.autocast = model, autocast

    def forward(self, x: Tensor, context: Tensor | None, player: str) -> Tensor:
        with self.autocast():
            return self.model.loss(x, context, player)


def _snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little") >> 1


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mix(*numbers))


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that this fit uses, and no other device's."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Random state of our own within; the user's is untouched."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def _interruptible(listener: Listener | None) -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that a step is finished and saved; a second one stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        if listener:
            listener.stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
