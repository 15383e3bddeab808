"""What a step of learning takes, estimated before the first one: bytes and seconds, of any family on any events.

A pass forward and back over one event, and over a few, on a throw-away model, shows what is kept for the backward pass
and how long it takes. Where the event is too large to try, the same family with the same hyperparameters is tried on
smaller spaces of the same kind, and the results are extrapolated: bytes and seconds of one event are a + b m + c m² in
its dimensions m (convolutions have c = 0; attention, and networks that connect all dimensions, have not).
Nothing that does not fit is ever allocated: building and passes are given up as soon as they pass a limit.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.errors import PthetaError
from ptheta.evaluation.nats import suited_batch
from ptheta.models import Model
from ptheta.models.limits import Exceeded, Limited
from ptheta.spaces import Discrete, Space
from ptheta.training.extrapolation import by_power, extrapolated
from ptheta.training.objectives import OBJECTIVES
from ptheta.training.optimisers import optimisers
from ptheta.training.precision import autocast
from ptheta.training.settings import Settings

COPIES = 7
"""Copies of the weights that a fit holds at once: weights, gradients and their parts, two moments, the best, one on its
way to disk."""

KEPT = 1.5
"""Peak of a step's memory, in units of what is kept for its backward pass; measured at 0.8 to 1.5 for most families."""

SCORED = 0.75
"""Peak of scoring events, in units of what a step would keep for as many; measured at 0.2 to 1."""

TRIED = 1024
"""Dimensions up to which an event is tried as it is; beyond, smaller ones are tried first."""

LEAST, GROWTH = 4, 4
"""Dimensions of the smallest space tried, and by how much the next one is larger."""

QUICK = 0.15
"""Seconds of a pass after which no larger space is tried, unless the events themselves are little larger."""


REPEATS, SPENT = 3, 1.0
"""Times that something is measured, unless it has taken this many seconds; the least counts, since whatever else the
machine does only adds to it."""

PATIENCE = 20.0
"""Seconds after which a pass is given up."""

CHEAP = 2**29
"""Bytes that trying a space may take where another one is meant."""

EASY = 2**24
"""Events × dimensions × parameters of a step below which it needs no estimate: a tenth of a second, 100 MB."""


@dataclass(frozen=True)
class Cost:
    """What a model, and a step of it, take.

    Attributes:
        parameters: how many.
        weights: bytes of them.
        buffers: bytes of masks and other constants.
        fixed, each: bytes kept for the backward pass, whatever the number of events, and for each event.
        start, pace: seconds of a pass forward and back, whatever the number of events, and for each event.
        update: seconds of the optimiser's part of a step.
        scored: events that are scored together.
        exact: whether it was measured on the events' own space.
    """

    parameters: float
    weights: float
    buffers: float
    fixed: float
    each: float
    start: float
    pace: float
    update: float
    scored: int
    exact: bool = True

    @property
    def model_memory(self) -> float:
        """Bytes that the model takes in a fit, without any event."""
        return COPIES * self.weights + 2 * self.buffers

    def memory(self, n: int) -> float:
        """Peak bytes of a fit whose steps, or parts of a step, have n events."""
        step = KEPT * (self.fixed + n * self.each)
        return self.model_memory + max(step, SCORED * self.scored * self.each)

    def seconds(self, n: int, parts: int = 1) -> float:
        """Seconds of a step of n events in this many parts."""
        return self.update + parts * self.start + n * self.pace


class Estimate:
    """Estimates the cost of a family on spaces of one kind.

    Args:
        build: space → a model with random weights.
        settings: of learning, those given beside the family's recipe.
        context: some contexts [k, …] of the events, or None.
        device: of learning.
        limit: bytes that may be taken.
        timed: whether seconds matter; otherwise those of the optimiser are not measured.
    """

    def __init__(
        self,
        build: Callable[[Space], Model],
        settings: dict[str, Any],
        context: Tensor | None,
        device: torch.device,
        limit: float,
        timed: bool = True,
    ):
        self.build, self.settings, self.context, self.device, self.limit = build, settings, context, device, limit
        self._second_per_byte: float | None = None if timed else 0.0  # of weights, for the optimiser
        self._points: dict[int, Cost] = {}  # dimensions → cost

    def at(self, space: Space, x: Tensor | None = None, *, cheaply: bool = False) -> Cost:
        """The cost of a space.

        Args:
            space: of the events.
            x: some events [k, *space.shape]; None: random ones, if the kind of space has such.
            cheaply: try nothing that takes more than `CHEAP` bytes, but extrapolate.

        Raises:
            Exceeded: it is beyond the limit, and no smaller space shows by how much.
        """
        m = space.dimensions
        limit = min(self.limit, CHEAP) if cheaply else self.limit
        guess = self._extrapolated(space) if self._points else None
        if guess is not None and guess.model_memory > 2 * self.limit:  # as smaller ones have shown
            return guess
        if m <= TRIED or space.reduced(LEAST) is None:
            with contextlib.suppress(Exceeded):
                return self._tried(space, x, limit, PATIENCE)
        guess = self._extrapolated(space)
        easy = guess is not None and guess.model_memory < limit / 3 and KEPT * guess.each < limit / 3
        if guess is None or (easy and guess.start + guess.pace < 4 * QUICK):
            try:
                return self._tried(space, x, limit, PATIENCE)
            except Exceeded:
                if guess is None:
                    raise
        return guess

    def _extrapolated(self, space: Space) -> Cost | None:
        """From smaller spaces; None if the family cannot be built on them."""
        wanted = space.dimensions
        m = LEAST
        while m < wanted and m not in self._points:
            smaller = space.reduced(m)
            if smaller is None:
                return None
            clock = time.perf_counter()
            try:
                cost = self._tried(smaller, None, min(self.limit / 4, CHEAP), 2.0)
            except Exceeded:
                break
            except PthetaError:  # an order or the like that is of the events themselves
                return None
            self._points[m] = cost
            slow = cost.start + cost.pace > QUICK or time.perf_counter() - clock > 20 * QUICK
            if slow and len(self._points) >= 3:  # fewer say little of how costs grow
                break
            m *= GROWTH
        sides = {d: (space.reduced(d) or space).dimensions for d in sorted(self._points) if d < wanted}
        if not sides:
            return None
        points = {sides[d]: self._points[d] for d in list(sides)[-3:]}

        def at(name: str) -> float:
            return extrapolated({k: float(getattr(cost, name)) for k, cost in points.items()}, wanted)

        names = ("parameters", "weights", "buffers", "fixed", "each")
        scored = max(1, points[max(points)].scored * max(points) // wanted)
        start = points[max(points)].start
        found = {name: at(name) for name in names}
        last = points[max(points)]
        grown = [found[name] / getattr(last, name) for name in ("each", "weights") if getattr(last, name)]
        pace = (
            by_power({k: cost.start + cost.pace for k, cost in points.items()}, wanted, max(grown, default=1.0)) - start
        )
        update = found["weights"] * (self._second_per_byte or 0.0)
        return Cost(**found, start=start, pace=pace, update=update, scored=scored, exact=False)

    def _tried(self, space: Space, x: Tensor | None, limit: float, patience: float) -> Cost:
        """Measured on a throw-away model of a space."""
        with untouched(self.device):
            with Limited(limit / 3):
                model = self.build(space)
            losses = self._losses(model)
            parameters = {id(p): p for loss in losses.values() for p in loss.parameters()}.values()
            weights = float(sum(p.nbytes for p in parameters))
            buffers = float(sum(b.nbytes for loss in losses.values() for b in loss.buffers()))
            if 3 * weights + 2 * buffers > limit or COPIES * weights + 2 * buffers > self.limit:
                raise Exceeded
            model = model.to(self.device).train()
            losses = self._losses(model)
            scored, count = suited_batch(model), sum(p.numel() for p in parameters)
            if x is None:
                x = random_events(space, 4)
            if x is None or count == 0:
                return Cost(count, weights, buffers, 0, 0, 0, 0, 0, scored)
            rows = torch.arange(4)
            x = x[rows % len(x)].to(self.device)
            context = None if self.context is None else self.context[rows % len(self.context)].to(self.device)
            room = (limit - 3 * weights - 2 * buffers) / KEPT
            kept, seconds = least(lambda: self._pass(losses, x[:1], context, room, patience))
            update = self._update(model, losses, weights)
            n = 4 if seconds < 0.1 and 4 * kept < room else 2 if seconds < 2 and 2 * kept < room else 1
            if n == 1:
                return Cost(count, weights, buffers, 0, kept, 0, seconds, update, scored)
            more, longer = least(lambda: self._pass(losses, x[:n], context, room, patience))
            each = max((more - kept) / (n - 1), 0.0)
            pace = max((longer - seconds) / (n - 1), longer / (4 * n))
            start, fixed = max(longer - n * pace, 0.0), max(kept - each, 0.0)
            return Cost(count, weights, buffers, fixed, each, start, pace, update, scored)

    def _losses(self, model: Model) -> dict[str, nn.Module]:
        """The losses of a model's players; batch normalisation needs more than one event, so it is as in evaluation."""
        cast = autocast(Settings.of(model, **self.settings).precision, self.device.type, model.dtype)
        losses = OBJECTIVES[model.objective].trial(model, cast)
        for loss in losses.values():
            for module in loss.train().modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return losses

    def _update(self, model: Model, losses: dict[str, nn.Module], weights: float) -> float:
        """Seconds of the optimiser, measured once, and taken to grow with the weights; it uses a pass's gradients."""
        if self._second_per_byte is None:
            settings = Settings.of(model, **self.settings)
            name = type(model).__name__
            many = [one for loss in losses.values() for one in optimisers(loss, settings, name=name)]

            def update() -> tuple[float, float]:
                clock = time.perf_counter()
                for optimiser in many:
                    optimiser.step()
                return 0.0, time.perf_counter() - clock

            update()  # the first one makes its state
            self._second_per_byte = least(update)[1] / weights
        return self._second_per_byte * weights

    def _pass(
        self, losses: dict[str, nn.Module], x: Tensor, context: Tensor | None, limit: float, patience: float
    ) -> tuple[float, float]:
        """Bytes kept for the backward pass of a loss, and seconds of both passes of all."""
        tensors = [t for loss in losses.values() for t in (*loss.parameters(), *loss.buffers())]
        own = {t.untyped_storage().data_ptr() for t in [*tensors, x]}
        rows = None if context is None else context[: len(x)]
        kept, clock = 0.0, time.perf_counter()
        for loss in losses.values():
            loss.zero_grad(set_to_none=True)
        for loss in losses.values():
            with counting(own, limit, clock + patience) as held:
                value = loss(x, rows)
            kept = max(kept, float(sum(held.values())))
            value.backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return kept, time.perf_counter() - clock


def least(measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Bytes, and the least of several measurements of seconds."""
    found = [measure()]
    while len(found) < REPEATS and sum(seconds for _, seconds in found) < SPENT:
        found.append(measure())
    return found[0][0], min(seconds for _, seconds in found)


def is_easy(model: Model, n: int) -> bool:
    """Whether a step of n events is so small that it needs no estimate."""
    space = model.space
    levels = space.levels if isinstance(space, Discrete) else 1
    parameters = sum(p.numel() for p in model.parameters()) + levels
    given = 0 if model.context_space is None else model.context_space.dimensions
    return n * (space.dimensions + given) * parameters <= EASY


def random_events(space: Space, n: int) -> Tensor | None:
    """n random events of a discrete or real space; None for other kinds."""
    if isinstance(space, Discrete):
        if space.sizes:
            x = torch.stack([torch.randint(size, (n,)) for size in space.sizes], 1).reshape(n, *space.shape)
        else:
            x = torch.randint(space.levels, (n, *space.shape))
        end = getattr(space, "end", None)
        return x if end is None or space.levels == 1 else torch.where(x == end, (end + 1) % space.levels, x)
    return torch.randn(n, *space.shape, dtype=torch.float64) if space.kind == "real" else None


@contextlib.contextmanager
def counting(own: set[int], limit: float, until: float) -> Iterator[dict[int, int]]:
    """Storage → bytes of what is kept for a backward pass, without the storages that are `own`.

    Raises:
        Exceeded: within, as soon as they are more than the limit, or the time is up.
    """
    held: dict[int, int] = {}
    total = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if (place := storage.data_ptr()) not in own and place not in held:
            held[place] = storage.nbytes()
            total += held[place]
            if total > limit or time.perf_counter() > until:
                raise Exceeded
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield held


@contextlib.contextmanager
def untouched(device: torch.device) -> Iterator[None]:
    """The global random states are as before afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(0)
        yield
