"""Decoding a transformer with cached keys and values: one value at a time, or several that are known."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ptheta.distributions import Categorical, Distribution
from ptheta.models.autoregressive.language import CHUNK
from ptheta.models.autoregressive.trunk import Trunk
from ptheta.nn import KeyValueCache, Turn
from ptheta.nn.attention import Memory
from ptheta.nn.lexicon import Alignment
from ptheta.sampling.decoding import Decoder

TURNS = 256
"""Slots of a sequence for which rotary turns are computed at once."""


def through_blocks(
    h: Tensor,
    turns: tuple[Turn, Turn],
    blocks: list[Any],
    caches: list[KeyValueCache],
    back: Tensor | None,
    memories: list[Memory | None],
) -> Tensor:
    """The stream [n, t, width] after all blocks."""
    for block, cache, memory in zip(blocks, caches, memories):
        h = block(h, turns, cache, back, memory)
    return h


@functools.cache
def compiled_blocks() -> Callable[..., Tensor]:
    """`through_blocks`, compiled by torch.compile; as it is, with a warning, where that fails for want of a compiler.

    On a CPU it rarely pays: for a single sequence of 80,000 tokens on one thread (benchmarks/LOG.md).
    """
    from torch._dynamo.exc import TorchDynamoException

    compiled, usable = torch.compile(through_blocks, dynamic=True), True

    def run(
        h: Tensor, turns: Any, blocks: list[Any], caches: list[KeyValueCache], back: Tensor | None, memories: list[Any]
    ) -> Tensor:
        nonlocal usable
        if usable:
            filled = [cache.filled for cache in caches]
            try:
                return compiled(h, turns, blocks, caches, back, memories)
            except TorchDynamoException as error:
                usable = False
                for cache, slots in zip(caches, filled):  # it may have failed half-way
                    cache.filled = slots
                reason = str(error).strip().splitlines()
                warnings.warn(f"decoding is not compiled: {reason[0] if reason else error!r}", stacklevel=2)
        return through_blocks(h, turns, blocks, caches, back, memories)

    return run


class CachedDecoder(Decoder):
    """Keeps keys and values of every block and, where slots are given their neighbours, the values drawn so far.

    Args:
        model: a transformer.
        n: rows.
        context: validated, n rows.
        slots: values that will come in all; None: an event. More than the event has only for sequences.
        window: slots that a slot sees; None: as the model says.
        first: the slot at which each row begins [n]; what is read before is padding. Only for sequences.
        compile: run the blocks compiled, see `compiled_blocks`.
        begin: the token before the first; None: the start token.
    """

    def __init__(
        self,
        model: Trunk,
        n: int,
        context: Tensor | None,
        slots: int | None = None,
        window: int | None = None,
        first: Tensor | None = None,
        compile: bool = False,
        begin: int | None = None,
    ):
        self.through = compiled_blocks() if compile else through_blocks
        m, like = model.space.dimensions, model.token.weight
        self.model, self.conditioning, self.j = model, model._conditions(context), 0
        self.slots = slots or m
        window = window or model.window
        self.chunk = self.slots if window is None else max(window, CHUNK)
        self.caches = [
            KeyValueCache(n, model.heads, model.width // model.heads, self.slots, window, self.chunk, like)
            for _ in model.blocks
        ]
        self.nothing = torch.full((n, 1), model.head.size, device=model.device)
        self.start = self.nothing if begin is None else torch.full_like(self.nothing, begin)  # before the first
        self.firsts = None if first is None else first[:, None]  # where the past of the last slots read begins [n, t]
        if model.cut is not None and first is None:
            self.firsts = torch.zeros_like(self.start)
        self.alignment: Alignment | None = None  # of the last slots read, where there is a lexicon
        self.order = model.slots if model.any_order else None
        self.recent = self.z = None
        if model.neighbours is not None and model.reads_on:
            self.recent = self.nothing.repeat(1, model.neighbours.count - 1)  # values before the next slot's
        elif model.neighbours is not None or model.any_order:
            self.z = self.nothing.repeat(1, m)  # in the order that parameters know
        self.turns, self.turned = self._turns_from(0), 0  # of slots from number `turned` on

    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) over [n]."""
        before = self.start if previous is None else previous[:, None]
        return self._next(before)[:, 0]

    def prefill(self, values: Tensor) -> Distribution:
        """Read the first values [n, k] in one pass."""
        if self.order is not None or not values.shape[1]:
            return super().prefill(values)
        before = self._begun(values)
        for part in before.split(self.chunk, 1):
            h, here = self._stream(part)
        last = slice(here.stop - 1, here.stop)
        alignment = None if self.alignment is None else self.alignment.at(slice(-1, None))
        logits = self.model.outputs(h[:, -1:], last, before[:, -1:], self.conditioning, alignment)
        return self.model.head(logits, last)[:, 0]

    def weighed(self, values: Tensor) -> tuple[Tensor, Distribution]:
        """Read the first values [n, k] in one pass; log p of those that are no padding."""
        if self.order is not None or not values.shape[1]:
            return super().weighed(values)
        before, k = self._begun(values), values.shape[1]
        counted = torch.ones_like(values, dtype=torch.bool)
        if self.firsts is not None:
            counted = torch.arange(k, device=values.device) >= self.firsts[:, :1]
        total = torch.zeros(len(values), dtype=torch.float64, device=values.device)
        for part in before.split(self.chunk, 1):
            conditionals = self._next(part)
            here = slice(self.j - part.shape[1], min(self.j, k))
            scores = conditionals[:, : here.stop - here.start].log_prob(values[:, here].long())
            total = total + torch.where(counted[:, here], scores, 0.0).sum(1)
        return total, conditionals[:, -1]

    def _begun(self, values: Tensor) -> Tensor:
        """What stands before the first values [n, k] and before what follows them, [n, k + 1]."""
        before = torch.cat([self.start, values.long()], 1)
        if self.firsts is not None:
            place = torch.arange(before.shape[1], device=before.device)
            before = torch.where(place < self.firsts, self.nothing, before)
            before = torch.where(place == self.firsts, self.start, before)
        return before

    def extend(self, values: Tensor) -> Distribution:
        """After values [n, t] more: the conditionals that follow each of them, [n, t]."""
        parts = [self._next(part) for part in values.split(self.chunk, 1)]
        return parts[0] if len(parts) == 1 else self.model.head(torch.cat([part.logits for part in parts], 1))

    def settled(self, previous: Tensor) -> Tensor | None:
        """Ends, if all texts have ended."""
        ends = self.model.ends
        return previous if ends is not None and bool((previous == ends).all()) else None

    def rewind(self, count: int) -> None:
        """Forget the last values of those extended together."""
        self.j -= count
        if self.firsts is not None and self.firsts.shape[1] > count:
            self.firsts = self.firsts[:, : self.firsts.shape[1] - count]
        for cache in self.caches:
            cache.rewind(count)
        if self.alignment is not None:
            self.alignment = self.alignment.at(slice(0, self.alignment.last.shape[1] - count))
        if self.recent is not None:
            self.recent = self.recent[:, : self.recent.shape[1] - count]

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows."""
        for cache in self.caches:
            cache.keep(rows)
        self.start = self.start[rows]
        self.firsts = None if self.firsts is None else self.firsts[rows]
        self.conditioning = None if self.conditioning is None else self.conditioning.rows(rows)
        self.alignment = None if self.alignment is None else Alignment(*(value[rows] for value in self.alignment))
        self.z = None if self.z is None else self.z[rows]
        self.recent = None if self.recent is None else self.recent[rows]

    def _next(self, before: Tensor) -> Categorical:
        """The conditionals of the next t slots from the values before them [n, t]."""
        h, here = self._stream(before)
        return self.model.head(self.model.outputs(h, here, before, self.conditioning, self.alignment), here)

    def _stream(self, before: Tensor) -> tuple[Tensor, slice]:
        """The stream of the next t slots [n, t, width] from the values before them [n, t], and these slots."""
        model, t = self.model, before.shape[1]
        here, sources, around = slice(self.j, self.j + t), None, None
        if self.order is not None:  # one slot at a time
            slot = int(self.order[self.j])
            here = slice(slot, slot + 1)
            source = int(self.order[self.j - 1]) if self.j else model.space.dimensions
            sources = torch.tensor([[source]], device=before.device)
        if self.z is not None:
            if self.order is None:
                self.z[:, max(0, self.j - 1) : self.j + t - 1] = before[:, int(self.j == 0) :]
            elif self.j:
                self.z[:, int(self.order[self.j - 1])] = before[:, 0]
            around = None if model.neighbours is None else model.neighbours.of(self.z, here)
        back = self._back(before)
        covered = None if self.alignment is None else self.alignment.covered[:, -1:]
        self.alignment = model.alignment(before, self.conditioning, covered)
        before = model.as_starts(before)
        if self.recent is not None and model.neighbours is not None:
            before_slot = model.neighbours.count - 1
            values = torch.cat([self.recent[:, self.recent.shape[1] - before_slot :], before], 1)
            around, self.recent = model.neighbours.before(values, back), values
        h = model.embed(before, around, self.conditioning, here, sources)
        turns = self._turn(t)
        memories: list[Memory | None] = [None] * len(self.caches)
        if self.conditioning is not None:
            memories = self.conditioning.memories
        h = self.through(h, turns, list(model.blocks), self.caches, back, memories)
        self.j += t
        return h, here

    def _back(self, before: Tensor) -> Tensor | None:
        """How many slots before itself each of the next ones may see at most, [n, t]; None: all."""
        if self.firsts is None:
            return None
        place = torch.arange(self.j, self.j + before.shape[1], device=before.device)
        firsts = self.firsts[:, -1:].expand_as(before)
        if self.model.cut is not None:
            firsts = torch.where(before == self.model.cut, place, firsts).cummax(1).values
        self.firsts = firsts
        return (place - firsts).clamp(min=0)  # padding sees itself

    def _turn(self, t: int) -> tuple[Turn, Turn]:
        """Rotary turns of the next t slots, for queries and for keys."""
        at = self.j - self.turned
        if not 0 <= at <= len(self.turns[0][0]) - t:
            self.turns, self.turned, at = self._turns_from(self.j, t), self.j, 0
        query = self.turns[0][0][at : at + t], self.turns[0][1][at : at + t]
        if self.turns[0] is self.turns[1]:
            return query, query
        return query, (self.turns[1][0][at : at + t], self.turns[1][1][at : at + t])

    def _turns_from(self, start: int, least: int = 0) -> tuple[Turn, Turn]:
        rotary = self.model.rotary
        if self.model.reads_on:
            stop = start + max(least, min(TURNS, self.slots - start))
            turn = rotary.turn(torch.arange(start, stop, device=self.model.device)[:, None])
            return turn, turn
        if self.order is None:
            turn = rotary.at(slice(None))
            return turn, turn
        sources = torch.cat([self.order.new_zeros(1), self.order[:-1]])
        return rotary.turn(rotary.coordinates[self.order]), rotary.turn(rotary.coordinates[sources])
