"""Sequences of open length: prompts are read at once, then token after token is drawn until an end.

All noise is drawn first, so a sequence is a deterministic function of its noise and prompt. That makes drafts exact:
guesses of the next tokens are read in one pass, every position is drawn with its own noise, and what was drawn up to
and including the first wrong guess is what token-by-token decoding would have drawn (cf. Leviathan et al. 2023,
arXiv:2211.17192, where acceptance is random; here it is equality). Guesses come from what was written before (n-grams,
cf. Saxena 2023, prompt lookup decoding) or from the last pass itself (Jacobi iteration, cf. Song et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.sampling.decoding import Decoder

Draft = Literal["none", "ngram", "fixed_point"]
"""Where guesses of the next tokens come from."""

DRAFTED = 8
"""Tokens guessed at once."""

NGRAM = 4
"""Longest run of tokens that is looked up."""

Listener = Callable[[int, int], bool | None]
"""Is called with (row, token) for every token drawn, in order; True ends that row."""


@dataclass
class Generation:
    """What was drawn.

    Attributes:
        tokens: of each row, int64 [k]: drawn ones only, with the end token if it was drawn.
        log_prob: nats of each of them under the model, float64 [k].
        log_prob_warped: nats under the warped conditional it was drawn from, float64 [k].
        ended: why each row ended: `end` (its token), `stop` (the listener), `length`.
        passes: network passes, prompts included.
    """

    tokens: list[Tensor] = field(default_factory=list)
    log_prob: list[Tensor] = field(default_factory=list)
    log_prob_warped: list[Tensor] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    passes: int = 0

    def add(self, other: Generation) -> None:
        """Append the rows of another."""
        self.tokens += other.tokens
        self.log_prob += other.log_prob
        self.log_prob_warped += other.log_prob_warped
        self.ended += other.ended
        self.passes += other.passes


def generate(
    reader: Decoder,
    prompts: Tensor,
    noise: Tensor,
    warp: Warp = UNCHANGED,
    *,
    end: int | None = None,
    draft: Draft = "none",
    listener: Listener | None = None,
) -> Generation:
    """Continue prompts.

    Args:
        reader: fresh.
        prompts: int64 [n, k], padded on the left with anything the reader ignores.
        noise: uniforms [n, T, r]; at most T tokens are drawn.
        warp: applied to every conditional before drawing from it.
        end: token that ends a row.
        draft: see above; it changes the number of passes and nothing else.
        listener: is called with every token.
    """
    n, length, _ = noise.shape
    tokens = torch.zeros(n, length, dtype=torch.long, device=noise.device)
    plain = torch.zeros(n, length, dtype=torch.float64, device=noise.device)
    warped = plain if warp.is_identity else torch.zeros_like(plain)
    counts, ended = [0] * n, ["length"] * n
    rows = list(range(n))  # of the reader
    index: Tensor | slice = slice(None)  # the same
    live = set(rows) if length else set()
    guesses = _Guesses(prompts, draft)
    conditionals = reader.prefill(prompts)[:, None]  # [n, 1]
    guessed = tokens[:, :0]  # [rows, g], the tokens that conditionals 1 … g were computed from
    passes, at = 1, 0
    while live:
        width = 1 + guessed.shape[1]
        reshaped = conditionals.warped(warp)
        drawn = reshaped.sample(noise[index, at : at + width])  # [rows, width]
        right = 1 + _agreeing(drawn, guessed, [row in live for row in rows])  # of drawn, in every live row
        here = slice(at, at + right)
        tokens[index, here] = drawn[:, :right]
        plain[index, here] = conditionals.log_prob(drawn)[:, :right]
        if warped is not plain:
            warped[index, here] = reshaped.log_prob(drawn)[:, :right]
        for row, values in zip(rows, drawn[:, :right].tolist()):
            if row in live:
                read, reason = _until(row, values, end, listener)
                counts[row] += read
                if reason:
                    ended[row] = reason
                    live.discard(row)
        at += right
        if at == length or not live:
            break
        if width > right:
            reader.rewind(width - right)
        if 2 * len(live) <= len(rows):  # finished rows are computed along until they are half of all
            kept = [i for i, row in enumerate(rows) if row in live]
            rows = [rows[i] for i in kept]
            drawn, index = drawn[kept], torch.tensor(rows, device=noise.device)
            reader.keep(torch.tensor(kept, device=noise.device))
        guessed = guesses.after(rows, live, drawn[:, :right], drawn[:, right:], min(DRAFTED, length - at - 1))
        conditionals = reader.extend(torch.cat([drawn[:, right - 1 : right], guessed], 1))
        passes += 1
    drawn, plain, warped = ([row[:count] for row, count in zip(x, counts)] for x in (tokens, plain, warped))
    return Generation(drawn, plain, warped, ended, passes)


def _until(row: int, values: list[int], end: int | None, listener: Listener | None) -> tuple[int, str]:
    """How many of a row's new tokens it takes, and why it ends with the last of them, if it does."""
    for count, token in enumerate(values, 1):
        stopped = listener is not None and listener(row, token)
        if token == end or stopped:
            return count, "end" if token == end else "stop"
    return len(values), ""


def _agreeing(drawn: Tensor, guessed: Tensor, live: list[bool]) -> int:
    """How many guesses, from the first on, were right in every live row."""
    if not guessed.shape[1]:
        return 0
    right = (drawn[:, :-1] == guessed).cumprod(1).sum(1)
    return int(right[torch.tensor(live, device=right.device)].min())


class _History:
    """A row's tokens, with where every run of 2 to `NGRAM` of them was last followed by something."""

    def __init__(self, tokens: list[int]):
        self.tokens: list[int] = []
        self.after: dict[tuple[int, ...], int] = {}
        self.match: int | None = None  # what followed the longest run that the row ends with, when it last occurred
        self.read(tokens)

    def read(self, tokens: list[int]) -> None:
        """Append."""
        for token in tokens:
            self.tokens.append(token)
            self.match = None
            for size in range(min(NGRAM, len(self.tokens)), 1, -1):
                run = tuple(self.tokens[-size:])
                if self.match is None:
                    self.match = self.after.get(run)
                self.after[run] = len(self.tokens)

    def guess(self, most: int) -> list[int]:
        """At most this many tokens that may follow."""
        return [] if self.match is None else self.tokens[self.match : self.match + most]


class _Guesses:
    """Guesses of the next tokens."""

    def __init__(self, prompts: Tensor, draft: Draft):
        self.draft = draft
        self.histories = [_History(row) for row in prompts.tolist()] if draft == "ngram" else []

    def after(self, rows: list[int], live: set[int], written: Tensor, overdrawn: Tensor, most: int) -> Tensor:
        """At most this many guesses [rows, g] of what follows.

        Args:
            rows: numbers of the rows among the prompts.
            live: those that go on; what is guessed for others does not matter.
            written: tokens just drawn [rows, t].
            overdrawn: tokens drawn after a wrong guess [rows, w], with their own noise but from a wrong past.
            most: guesses.
        """
        if self.draft == "none" or most < 1:
            return written[:, :0]
        if self.draft == "fixed_point":
            fill = written[:, -1:].expand(-1, max(0, most - overdrawn.shape[1]))
            return torch.cat([overdrawn, fill], 1)[:, :most]
        for row, tokens in zip(rows, written.tolist()):
            self.histories[row].read(tokens)
        found = [self.histories[row].guess(most) if row in live else [0] * most for row in rows]
        common = min(len(guess) for guess in found)
        return (
            torch.tensor([guess[:common] for guess in found], device=written.device).long().reshape(len(rows), common)
        )
