"""A lexicon: which tokens of a text go with which tokens of the text that it is conditioned on.

    a_ti = softmax_i(q(h_t) · k(c_i)),   p_t(y) = Σ_i a_ti t(y | x_i),   logits_t(y) += g log(p_t(y) + ε)

t(y | x) is counted before learning by IBM model 1 (Brown et al. 1993): a network of a few minutes learns how words follow
each other, and is told which ones they may be. As a bias of the logits: Arthur et al. 2016 (arXiv:1606.02006). What is
counted from few pairs is discounted.
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

    def forward(self, h: Tensor, words: Words) -> Tensor:
        """What is added to the logits [n, t, K] at the stream h [n, t, width]."""
        with torch.autocast(h.device.type, enabled=False):
            query, keys = self.query(h.to(self.query.weight.dtype)), words.keys.to(self.query.weight.dtype)
            scores = (query @ keys.mT) / math.sqrt(query.shape[-1])
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
