"""Causal self-attention with a key–value cache, and the transformer block around it.

- pre-norm with parameter-free RMSNorm (Zhang & Sennrich 2019); no biases
- queries and keys normalised (QK-norm, Henry et al. 2020), rotary positions
- ReLU² feed-forward (So et al. 2021); output projections start at zero, so a block starts as the identity
- an optional sliding window: slot j sees slots j − window + 1 … j
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.nn.rotary import Turn, turned


def rms_norm(x: Tensor) -> Tensor:
    """x scaled to root mean square 1 over its last dimension.

    Written out: on a CPU `F.rms_norm` takes the same steps and more, 40 % of the time of a decoding step.
    """
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


class KeyValueCache:
    """Keys and values of the slots seen so far; a ring when there is a window, so memory does not grow beyond it.

    Args:
        n, heads, slots, size: shape of the store; slots is min(m, window).
        like: its device and dtype are used.
    """

    def __init__(self, n: int, heads: int, slots: int, size: int, like: Tensor):
        self.keys = like.new_empty(n, heads, slots, size)
        self.values = like.new_empty(n, heads, slots, size)
        self.seen = 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store one slot's key and value [n, heads, 1, size]; returns all that the slot may see."""
        slots = self.keys.shape[2]
        at = self.seen % slots
        self.keys[:, :, at : at + 1] = key
        self.values[:, :, at : at + 1] = value
        self.seen += 1
        filled = min(self.seen, slots)
        return self.keys[:, :, :filled], self.values[:, :, :filled]


class Attention(nn.Module):
    """Causal multi-head self-attention.

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

    def forward(self, x: Tensor, turns: tuple[Turn, Turn], cache: KeyValueCache | None = None) -> Tensor:
        """All slots [n, m, width] at once, or, with a cache, the next one [n, 1, width].

        Args:
            x: stream.
            turns: rotary positions of queries and of keys.
            cache: of the slots before.
        """
        n, t, width = x.shape
        qkv = self.query_key_value(x).view(n, t, 3, self.heads, width // self.heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, n, heads, t, size]
        if turns[0] is turns[1]:
            query, key = turned(rms_norm(qkv[:2]), turns[0])
        else:
            query, key = (turned(rms_norm(part), turn) for part, turn in zip(qkv, turns))
        value = qkv[2]
        if cache is not None:
            key, value = cache.append(key, value)
            mixed = F.scaled_dot_product_attention(query, key, value)
        elif self.window is None or self.window >= t:
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            mixed = windowed_attention(query, key, value, self.window)
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


def windowed_attention(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Attention of every slot to the last `window` slots, itself included, in time and memory O(m · window).

    Slots are cut into blocks of the window's size; a block looks at itself and at the block before it.

    Args:
        query, key, value: [n, heads, m, size].
        window: slots.
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
    seen = (c > i) & (c <= i + window)  # [window, 2 · window]
    first = torch.arange(blocks, device=query.device)[:, None, None] == 0
    mask = seen & (~first | (c >= window))  # before the first block there is nothing
    blocked = F.pad(query, (0, 0, 0, short)).reshape(n * heads, blocks, window, size)
    mixed = F.scaled_dot_product_attention(blocked, pairs(key), pairs(value), attn_mask=mask)
    return mixed.reshape(n, heads, blocks * window, size)[:, :, :m]


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
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, turns: tuple[Turn, Turn], cache: KeyValueCache | None = None) -> Tensor:
        """[n, t, width] → [n, t, width]."""
        x = x + self.dropout(self.attention(rms_norm(x), turns, cache))
        return x + self.dropout(self.down(F.relu(self.up(rms_norm(x))).square()))
