"""A lexicon: which tokens of a text go with which tokens of the text that it is conditioned on.

    b_ti = t(y_{t−1} | x_i) / Σ_j t(y_{t−1} | x_j)                         where the last token came from
    a_ti = softmax_i(q(h_t) · k(c_i) + u · (b_ti, b_{t,i−1}, b_{t,i+1}) − v Σ_{s≤t} b_si)
    p_t(y) = Σ_i a_ti t(y | x_i),   logits_t(y) += g log(p_t(y) + ε)

t(y | x) is counted before learning by IBM model 1 (Brown et al. 1993): a network of a few minutes learns how words
follow each other, and the lexicon says which ones they may be. As a bias of the logits: Arthur et al. 2016
(arXiv:1606.02006). The learned u and v say that a token goes on with the word of the last one or with its neighbour,
as in a hidden Markov model of alignments (Vogel et al. 1996), and not with words that have been translated, as coverage
does (Tu et al. 2016, arXiv:1601.04811). Both look at the tokens themselves, not at earlier attention, so all slots are
computed at once. What is counted from few pairs is discounted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

ROUNDS = 5
"""Of expectation maximisation: later ones fit rare words to their sentences."""

DISCOUNT = 0.5
"""Taken from every expected count, so that what occurred once or twice says little."""

FLOOR = 1e-3
"""ε: probability of a token that no word of the context goes with."""

PAIRS = 2**24
"""Pairs of tokens that are counted, at most."""


class Words(NamedTuple):
    """Of n contexts.

    Attributes:
        keys: [n, S, width], of their tokens.
        rows: t(y | x) of their tokens [n, S, K].
        present: bool [n, S], which tokens are words.
    """

    keys: Tensor
    rows: Tensor
    present: Tensor

    def of(self, rows: Tensor) -> Words:
        """Those of some contexts."""
        return Words(*(value[rows] for value in self))


class Alignment(NamedTuple):
    """Where the tokens before some slots came from.

    Attributes:
        last: b, of the token before each slot [n, t, S].
        covered: sums of b over all tokens before each slot [n, t, S].
    """

    last: Tensor
    covered: Tensor

    def at(self, slots: slice) -> Alignment:
        """That of some of the slots."""
        return Alignment(self.last[:, slots], self.covered[:, slots])


class Lexicon(nn.Module):
    """What a context's tokens say of the next token.

    Args:
        levels: tokens of contexts.
        outputs: K, tokens of events.
        width: of the stream.
    """

    table: Tensor

    def __init__(self, levels: int, outputs: int, width: int):
        super().__init__()
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.strength = nn.Parameter(torch.ones(()))
        self.step = nn.Parameter(torch.tensor([1.0, 1.0, 0.0]))  # stay, go on, go back
        self.cover = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("table", torch.zeros(levels, outputs))
        nn.init.zeros_(self.query.weight)  # all words alike

    def words(self, encoded: Tensor, tokens: Tensor, present: Tensor) -> Words:
        """What is computed once for an event.

        Args:
            encoded: the tokens of its context after their encoder [n, S, width].
            tokens: themselves [n, S].
            present: which are words [n, S].
        """
        return Words(self.key(encoded), self.table[torch.where(present, tokens, 0)], present)

    def alignment(self, before: Tensor, words: Words, covered: Tensor | None = None) -> Alignment:
        """Where tokens came from.

        Args:
            before: the tokens before t slots [n, t]; what is no token came from nowhere.
            words: of the contexts.
            covered: what the tokens before these cover [n, 1, S].
        """
        n, s, outputs = words.rows.shape
        index = before.clamp(max=outputs - 1)[:, None].expand(n, s, -1)
        found = words.rows.gather(2, index) * (words.present[:, :, None] & (before < outputs)[:, None])
        last = (found / (found.sum(1, keepdim=True) + FLOOR)).transpose(1, 2)
        total = last.cumsum(1)
        return Alignment(last, total if covered is None else total + covered)

    def forward(self, h: Tensor, words: Words, alignment: Alignment) -> Tensor:
        """What is added to the logits [n, t, K] at the stream h [n, t, width]."""
        with torch.autocast(h.device.type, enabled=False):
            query, keys = self.query(h.to(self.query.weight.dtype)), words.keys.to(self.query.weight.dtype)
            scores = (query @ keys.mT) / math.sqrt(query.shape[-1])
            last = alignment.last.to(scores.dtype)
            on, back = nn.functional.pad(last, (1, 0))[..., :-1], nn.functional.pad(last, (0, 1))[..., 1:]
            scores = scores + self.step[0] * last + self.step[1] * on + self.step[2] * back
            scores = scores - self.cover * alignment.covered.to(scores.dtype)
            scores = scores.masked_fill(~words.present[:, None], -torch.inf)
            share = scores.softmax(-1).nan_to_num(0.0)  # of a context that says nothing
            return self.strength * (share @ words.rows.to(share.dtype) + FLOOR).log()


def translations(
    sources: list[np.ndarray], targets: list[np.ndarray], levels: int, outputs: int, rounds: int = ROUNDS
) -> np.ndarray:
    """t(y | x) by IBM model 1 [levels, outputs] float32, rows of sum 1 at most.

    Every target token is made by one of the source's tokens or by none of them.

    Args:
        sources, targets: tokens of each pair.
        levels, outputs: numbers of tokens.
        rounds: of expectation maximisation.
    """
    from_, to, which = [], [], []
    at = 0
    for source, target in zip(sources, targets):
        source = np.append(source, levels)  # the empty word
        from_.append(np.tile(source, len(target)))
        to.append(np.repeat(target, len(source)))
        which.append(np.repeat(np.arange(at, at + len(target)), len(source)))
        at += len(target)
    if not at:
        return np.zeros((levels, outputs), np.float32)
    cells = np.concatenate(from_).astype(np.int64) * outputs + np.concatenate(to)
    kinds, cells = np.unique(cells, return_inverse=True)  # only pairs of tokens that occur together
    token = np.concatenate(which)
    owner, probability = kinds // outputs, np.ones(len(kinds))
    counts = totals = np.zeros(0)
    for _ in range(rounds):
        share = probability[cells]
        share = share / np.bincount(token, share)[token]
        counts = np.bincount(cells, share)
        totals = np.bincount(owner, counts, minlength=levels + 1)
        probability = counts / np.maximum(totals[owner], 1e-300)
    kept = np.maximum(counts - DISCOUNT, 0) / np.maximum(totals[owner], 1e-300)
    table = np.zeros((levels + 1) * outputs, np.float32)
    table[kinds] = kept
    return table.reshape(levels + 1, outputs)[:levels]
