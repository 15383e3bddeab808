"""Self-attention, causal with a key–value cache or under a given mask, and the transformer block around it.

- pre-norm by LayerNorm without parameters (Ba et al. 2016); no biases
- queries and keys normalised (QK-norm, Henry et al. 2020), rotary positions
- ReLU² feed-forward (So et al. 2021); output projections start at zero, so a block starts as the identity
- an optional sliding window: slot j sees slots j − window + 1 … j
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.nn.lexicon import Words
from ptheta.nn.rotary import Turn, turned

SHORT = 512
"""Keys up to which attention in bfloat16 on a CPU is written out as products of matrices: there the fused kernel takes
2.4 to 6 times as long, forward and backward (benchmarks/LOG.md)."""

MANY = 32
"""Heads of all rows from which one slot's attention on a CPU is faster as products of matrices than fused."""


def norm(x: Tensor) -> Tensor:
    """x centred and scaled to variance 1 over its last dimension.

    One fused kernel, where RMSNorm is five operations on a CPU (benchmarks/LOG.md).
    """
    return torch.layer_norm(x, x.shape[-1:])


class KeyValueCache:
    """Keys and values of the slots seen so far, in memory of fixed size.

    Without a window there is room for every slot. With one there is room for a window and for as much again: when that
    is full, the last slots move to its beginning, so what a slot sees lies in one piece and memory does not grow.

    Args:
        n, heads, size: shape of one slot's entry.
        slots: how many will come in all.
        window: slots that a slot sees, itself included; None for all.
        chunk: slots appended at once, at most; with a window.
        like: its device and dtype are used.
    """

    def __init__(self, n: int, heads: int, size: int, slots: int, window: int | None, chunk: int, like: Tensor):
        self.window = window
        room = slots if window is None else min(slots, window + max(window, chunk))
        self.keys = like.new_empty(n, heads, room, size)
        self.values = like.new_empty(n, heads, room, size)
        self.room, self.filled = room, 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [n, heads, t, size] of the next t slots; returns all that these slots may see."""
        t, start = key.shape[2], self.filled
        before = start if self.window is None else min(start, self.window - 1)
        if start + t > self.room:
            for store in (self.keys, self.values):
                store[:, :, :before] = store[:, :, start - before : start].clone()
            start = before
        self.filled = start + t
        self.keys.narrow(2, start, t).copy_(key)
        self.values.narrow(2, start, t).copy_(value)
        return self.keys.narrow(2, start - before, before + t), self.values.narrow(2, start - before, before + t)

    def rewind(self, slots: int) -> None:
        """Forget the last slots, of those that were appended together."""
        self.filled -= slots

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows."""
        self.keys, self.values = self.keys[rows], self.values[rows]


class Attention(nn.Module):
    """Multi-head self-attention: causal, unless it is given which slots are seen.

    Args:
        width: of the stream.
        heads: number of heads; width must be divisible by 2 · heads.
        window: slots a slot can see, itself included; None for all before it.
    """

    def __init__(self, width: int, heads: int, window: int | None):
        super().__init__()
        self.heads, self.window = heads, window
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def memory(self, encoded: Encoded) -> Memory:
        """Keys and values of a context's tokens."""
        n, s, width = encoded.tokens.shape
        both = F.linear(encoded.tokens, self.query_key_value.weight[width:])
        key, value = both.view(n, s, 2, self.heads, width // self.heads).unbind(2)
        return Memory(norm(key).transpose(1, 2), value.transpose(1, 2), encoded.present[:, None, None])

    def forward(
        self,
        x: Tensor,
        turns: tuple[Turn, Turn],
        cache: KeyValueCache | None = None,
        back: Tensor | None = None,
        memory: Memory | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """All slots at once, or, with a cache, the next ones; [n, t, width] → [n, t, width].

        Args:
            x: stream.
            turns: rotary positions of queries and of keys.
            cache: of the slots before; its window is this layer's.
            back: how many slots before itself each slot may see at most [n, t]; None: as the window allows.
            memory: a context's tokens, which every slot sees; they have no place and do not turn.
            seen: bool, broadcasts to [n, heads, t, S]: which slots each one sees, before and after it; None: causal.
        """
        n, t, width = x.shape
        qkv = F.linear(x, self.query_key_value.weight).view(n, t, 3, self.heads, width // self.heads).transpose(1, 3)
        if turns[0] is turns[1]:  # [n, heads, 3, t, size]
            query, key = turned(norm(qkv[:, :, :2]), turns[0]).unbind(2)
        else:
            query, key = (turned(norm(qkv[:, :, i]), turn) for i, turn in enumerate(turns))
        if seen is not None:
            value = qkv[:, :, 2]
            mixed = _masked(query.to(value), key.to(value), value, seen)  # norms are in full precision under autocast
        else:
            value, window = qkv[:, :, 2].to(key.dtype), self.window
            if cache is not None:
                key, value, window = *cache.append(key, value), cache.window
            mixed = attend(query, key, value, window, back, memory)
        return F.linear(mixed.transpose(1, 2).reshape(n, t, width), self.out.weight)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    window: int | None,
    back: Tensor | None = None,
    memory: Memory | None = None,
) -> Tensor:
    """Causal attention of the last t of S slots.

    Args:
        query: [n, heads, t, size].
        key, value: [n, heads, S, size].
        window: slots seen, itself included; None for all.
        back: how many slots before itself each slot may see at most [n, t], or None.
        memory: tokens of a context that all slots see besides, in the same softmax.
    """
    t, s = query.shape[2], key.shape[2]
    if memory is not None:
        seen = _seen(t, s, window, back, query.device).expand(len(query), 1, t, s)
        seen = torch.cat([memory.present.expand(-1, 1, t, -1), seen], 3)
        kind = value.dtype  # norms are in full precision under autocast
        keys, values = torch.cat([memory.key.to(kind), key.to(kind)], 2), torch.cat([memory.value.to(kind), value], 2)
        return _masked(query.to(kind), keys, values, seen)
    if t == 1 and back is None:
        if query.device.type == "cpu" and query.shape[0] * query.shape[1] >= MANY:
            weights = (query * query.shape[-1] ** -0.5 @ key.mT).softmax(-1)
            return weights @ value
        return F.scaled_dot_product_attention(query, key, value)
    if window is not None and window >= s:
        window = None
    if window is not None and t == s and 2 * window < t:
        return windowed_attention(query, key, value, window, back)
    if back is None and window is None and t == s and not _written_out(query, s):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    return _masked(query, key, value, _seen(t, s, window, back, query.device))


def _seen(t: int, s: int, window: int | None, back: Tensor | None, device: torch.device) -> Tensor:
    """Which of S slots each of the last t may see: bool [t, S], or [n, 1, t, S] if rows differ."""
    distance = torch.arange(s - t, s, device=device)[:, None] - torch.arange(s, device=device)  # [t, S]
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    return seen if back is None else seen & (distance <= back[..., None])[:, None]


def _written_out(query: Tensor, slots: int) -> bool:
    """Whether products of matrices are the faster way."""
    return query.device.type == "cpu" and slots <= SHORT and torch.is_autocast_enabled("cpu")


def _masked(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Attention [n, heads, t, size] to the keys that are seen, a mask that broadcasts to [n, heads, t, S]."""
    n, heads, t, size = query.shape
    if not _written_out(query, key.shape[2]):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    with torch.autocast("cpu", enabled=False):
        query, key, value = (x.bfloat16().reshape(n * heads, -1, size) for x in (query, key, value))
        bias = torch.zeros(seen.shape, dtype=query.dtype).masked_fill_(~seen, -torch.inf)
        if bias.ndim > 2:
            bias = bias.expand(n, heads, t, -1).reshape(n * heads, t, -1)
        weights = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=size**-0.5).softmax(-1)
        return torch.bmm(weights, value).view(n, heads, t, size)


def windowed_attention(query: Tensor, key: Tensor, value: Tensor, window: int, back: Tensor | None = None) -> Tensor:
    """Attention of every slot to the last `window` slots, itself included, in time and memory O(m · window).

    Slots are cut into blocks of the window's size; a block looks at itself and at the block before it.

    Args:
        query, key, value: [n, heads, m, size].
        window: slots.
        back: as for `attend`.
    """
    n, heads, m, size = query.shape
    blocks = -(-m // window)
    short = blocks * window - m

    def pairs(x: Tensor) -> Tensor:
        """[n · heads, blocks, 2 · window, size]: every block after the one before it."""
        x = F.pad(x, (0, 0, window, short)).reshape(n * heads, blocks + 1, window, size)
        return torch.cat([x[:, :-1], x[:, 1:]], 2)

    i = torch.arange(window, device=query.device)[:, None]
    c = torch.arange(2 * window, device=query.device)
    distance = i + window - c  # [window, 2 · window]
    first = torch.arange(blocks, device=query.device)[:, None, None] == 0
    seen = (distance >= 0) & (distance < window) & (~first | (c >= window))  # before the first block there is nothing
    if back is not None:
        reach = F.pad(back, (0, short)).view(n, blocks, window, 1)
        seen = (seen & (distance <= reach)).repeat_interleave(heads, 0)  # [n · heads, blocks, window, 2 · window]
    blocked = F.pad(query, (0, 0, 0, short)).reshape(n * heads, blocks, window, size)
    mixed = _masked(blocked, pairs(key), pairs(value), seen)
    return mixed.reshape(n, heads, blocks * window, size)[:, :, :m]


class Encoded(NamedTuple):
    """What a context says.

    Args:
        vector: [n, width].
        tokens: [n, S, width].
        present: bool [n, S], which tokens are there.
    """

    vector: Tensor
    tokens: Tensor
    present: Tensor


class Memory(NamedTuple):
    """Keys and values [n, heads, S, size] of a context's tokens for one layer, and which are there [n, 1, 1, S]."""

    key: Tensor
    value: Tensor
    present: Tensor

    def rows(self, rows: Tensor) -> Memory:
        """Those of some rows."""
        return Memory(self.key[rows], self.value[rows], self.present[rows])


class Conditioning(NamedTuple):
    """What all layers are conditioned on, computed once for an event.

    Args:
        vector: [n, width].
        memories: of each layer that attends.
        words: what a lexicon knows of the context's tokens, or None.
    """

    vector: Tensor
    memories: list[Memory | None]
    words: Words | None = None

    def rows(self, rows: Tensor) -> Conditioning:
        """That of some rows."""
        memories = [None if m is None else m.rows(rows) for m in self.memories]
        return Conditioning(self.vector[rows], memories, None if self.words is None else self.words.of(rows))


class Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x).

    Args:
        width, heads, window: see `Attention`.
        dropout: probability with which entries of each branch's output are dropped in training.
    """

    def __init__(self, width: int, heads: int, window: int | None, dropout: float):
        super().__init__()
        self.attention = Attention(width, heads, window)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.dropout = dropout
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.down.weight)

    def memory(self, encoded: Encoded) -> Memory:
        """Keys and values of a context's tokens; see `Attention`."""
        return self.attention.memory(encoded)

    def forward(
        self,
        x: Tensor,
        turns: tuple[Turn, Turn],
        cache: KeyValueCache | None = None,
        back: Tensor | None = None,
        memory: Memory | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """[n, t, width] → [n, t, width]; see `Attention`."""
        x = x + self._dropped(self.attention(norm(x), turns, cache, back, memory, seen))
        hidden = F.relu(F.linear(norm(x), self.up.weight))
        return x + self._dropped(F.linear(hidden * hidden, self.down.weight))

    def _dropped(self, branch: Tensor) -> Tensor:
        return F.dropout(branch, self.dropout) if self.training and self.dropout else branch
