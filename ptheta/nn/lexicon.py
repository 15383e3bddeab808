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

DISCOUNT, HELD_OUT_DISCOUNT = 0.5, 0.05
"""Taken from every expected count, so that what occurred once or twice says little; less where learning holds out its
own counts."""

UNMADE = 0.1
"""What the empty word has in place of the share of the other direction, where directions agree."""

FLOOR = 1e-3
"""ε: probability of a token that no word of the context goes with."""

PAIRS = 2**24
"""Pairs of tokens that are counted, at most."""


class Words(NamedTuple):
    """Of n contexts, of which so many in a row may be the same: n = u · r.

    Attributes:
        keys: [n, S, width], of their tokens.
        rows: t(y | x) of the tokens of those that differ [u, S, K].
        present: bool [n, S], which tokens are words.
        tokens: themselves [n, S].
    """

    keys: Tensor
    rows: Tensor
    present: Tensor
    tokens: Tensor

    @property
    def same(self) -> int:
        """r."""
        return len(self.present) // max(1, len(self.rows))

    def of(self, rows: Tensor) -> Words:
        """Those of some contexts."""
        which = rows // self.same
        if len(rows) % self.same == 0:
            groups = which.view(-1, self.same)
            if bool((groups == groups[:, :1]).all()):
                which = groups[:, 0]
        kept = len(which) == len(self.rows) and bool((which == torch.arange(len(which), device=which.device)).all())
        table = self.rows if kept else self.rows[which]
        return Words(self.keys[rows], table, self.present[rows], self.tokens[rows])


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
        hold_out: keep what `held_out` needs.
    """

    table: Tensor
    counts: Tensor | None

    def __init__(self, levels: int, outputs: int, width: int, hold_out: bool = False):
        super().__init__()
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.strength = nn.Parameter(torch.ones(()))
        self.step = nn.Parameter(torch.tensor([1.0, 1.0, 0.0]))  # stay, go on, go back
        self.cover = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("table", torch.zeros(levels, outputs))
        self.register_buffer("counts", torch.zeros(levels) if hold_out else None)
        nn.init.zeros_(self.query.weight)  # all words alike

    def words(self, encoded: Tensor, tokens: Tensor, present: Tensor, same: int = 1) -> Words:
        """What is computed once for an event.

        Args:
            encoded: the tokens of its context after their encoder [n, S, width].
            tokens: themselves [n, S].
            present: which are words [n, S].
            same: contexts in a row that are the same, see `repeated`.
        """
        tokens = torch.where(present, tokens, 0)
        return Words(self.key(encoded), self.table[tokens[::same]], present, tokens)

    def held_out(self, words: Words, targets: Tensor) -> Words:
        """Words as if their own events had not been counted, so that learning trusts the lexicon as far as others may.

        Args:
            words: of the contexts, each on its own.
            targets: tokens of the events [n, t]; what is no token came from nowhere.
        """
        assert words.same == 1
        assert self.counts is not None
        with torch.no_grad(), torch.autocast(targets.device.type, enabled=False):
            rows, known = words.rows, words.present[:, :, None] & (targets < words.rows.shape[-1])[:, None]
            index = targets.clamp(max=rows.shape[-1] - 1)[:, None].expand(-1, rows.shape[1], -1)
            found = rows.gather(2, index) * known
            share = found / (found.sum(1, keepdim=True) + FLOOR)  # expected counts of this event [n, S, t]
            same = (words.tokens[:, :, None] == words.tokens[:, None]) & words.present[:, None]
            counts = self.counts[words.tokens]
            left = (rows * counts[..., None]).scatter_add(2, index, -known.to(rows.dtype)).clamp_(min=0)
            others = counts - (same.to(share.dtype) @ share).sum(2)  # without those of all places of the token
            return words._replace(rows=left / torch.maximum(others, left.sum(2)).clamp(min=FLOOR)[..., None])

    def alignment(self, before: Tensor, words: Words, covered: Tensor | None = None) -> Alignment:
        """Where tokens came from.

        Args:
            before: the tokens before t slots [n, t]; what is no token came from nowhere.
            words: of the contexts.
            covered: what the tokens before these cover [n, 1, S].
        """
        (u, s, outputs), (n, t) = words.rows.shape, before.shape
        index = before.clamp(max=outputs - 1).reshape(u, 1, -1).expand(u, s, -1)
        found = words.rows.gather(2, index).view(u, s, -1, t).transpose(1, 2).reshape(n, s, t)
        found = found * (words.present[:, :, None] & (before < outputs)[:, None])
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
            n, t, s = share.shape
            said = share.reshape(len(words.rows), -1, s) @ words.rows.to(share.dtype)
            return self.strength * (said.view(n, t, -1) + FLOOR).log()


def repeated(context: Tensor) -> int:
    """How many rows of a context [n, …] in a row are the same, throughout.

    >>> repeated(torch.tensor([[1], [1], [2], [2], [2], [2]])), repeated(torch.tensor([[1], [2], [2]]))
    (2, 1)
    """
    if len(context) < 2:
        return 1
    starts = torch.nonzero((context[1:] != context[:-1]).flatten(1).any(1)).flatten() + 1
    return math.gcd(len(context), *starts.tolist())


def translations(
    sources: list[np.ndarray],
    targets: list[np.ndarray],
    levels: int,
    outputs: int,
    rounds: int = ROUNDS,
    discount: float = DISCOUNT,
    agree: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """t(y | x) by IBM model 1 [levels, outputs] float32, rows of sum 1 at most, and expected counts of each x [levels].

    Every target token is made by one of the source's tokens or by none of them.

    Args:
        sources, targets: tokens of each pair.
        levels, outputs: numbers of tokens.
        rounds: of expectation maximisation.
        discount: taken from every expected count.
        agree: expect of each pair of tokens the product of what both directions do (Liang et al. 2006), which leaves
            less to rare tokens that could have made anything.
    """
    from_, to, which, place = [], [], [], []
    slots = places = 0
    for source, target in zip(sources, targets):
        source = np.append(source, levels)  # the empty word
        from_.append(np.tile(source, len(target)))
        to.append(np.repeat(target, len(source)))
        which.append(np.repeat(np.arange(slots, slots + len(target)), len(source)))
        place.append(np.tile(np.arange(places, places + len(source)), len(target)))
        slots, places = slots + len(target), places + len(source)
    if not slots:
        return np.zeros((levels, outputs), np.float32), np.zeros(levels, np.float32)
    cells = np.concatenate(from_).astype(np.int64) * outputs + np.concatenate(to)
    kinds, cells = np.unique(cells, return_inverse=True)  # only pairs of tokens that occur together
    token, origin = np.concatenate(which), np.concatenate(place)
    owner, made = kinds // outputs, kinds % outputs
    said = owner < levels
    forward, backward = np.ones(len(kinds)), np.where(said, 1.0, 0.0)
    counts = totals = np.zeros(0)
    for _ in range(rounds):
        share = forward[cells]
        share = share / np.bincount(token, share)[token]
        if agree:
            back = backward[cells]
            back = back / np.maximum(np.bincount(origin, back)[origin], 1e-300)
            share = share * np.where(said[cells], back, UNMADE)
            share = share / np.maximum(np.bincount(token, share)[token], 1e-300)
        counts = np.bincount(cells, share)
        totals = np.bincount(owner, counts, minlength=levels + 1)
        forward = counts / np.maximum(totals[owner], 1e-300)
        theirs = np.where(said, counts, 0.0)
        backward = theirs / np.maximum(np.bincount(made, theirs, minlength=outputs)[made], 1e-300)
    kept = np.maximum(counts - discount, 0) / np.maximum(totals[owner], 1e-300)
    table = np.zeros((levels + 1) * outputs, np.float32)
    table[kinds] = kept
    return table.reshape(levels + 1, outputs)[:levels], totals[:levels].astype(np.float32)
