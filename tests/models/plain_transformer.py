"""The transformer on sequences once more, as one network over a whole sequence: every slot against every slot, with a
mask written out as [L, L]. It takes the weights of a model and nothing else of it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ptheta.models import Transformer  # type: ignore[attr-defined]
from ptheta.spaces import Label, Sequence

LABELS = Label(("ant", "bee"))


def transformer(space: Sequence, context_space: Label | None = None, size: float = 0.3, **hyperparameters: Any) -> Any:
    """A small model in float64 with noise on all weights, so that nothing is zero or equal by initialisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer(
            space, context_space, **{"width": 8, "layers": 2, "heads": 2, "local": 3, **hyperparameters}
        )
    generator = torch.Generator().manual_seed(1)
    model = model.double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def tokens(*shape: int, levels: int, seed: int = 0) -> Tensor:
    return torch.randint(levels, shape, generator=torch.Generator().manual_seed(seed))


def plain_logits(model: Any, z: Tensor, label: int | None = None, block: bool = False) -> Tensor:
    """Logits [L + 1, K] of every token of z [L] and of the one that follows, given all that a window shows."""
    weights = {name: value.double() for name, value in model.state_dict().items()}
    m, levels = model.space.dimensions, model.space.levels
    window = model.window or m
    end = None if model.across_documents else model.space.end
    starts = block or model.space.end is None or not model.across_documents
    previous = [levels if starts else model.space.end, *z.tolist()]  # level number K: the start of a block
    documents = torch.tensor([sum(token == end for token in previous[: j + 1]) for j in range(len(previous))])
    previous = torch.tensor([levels if token == end else token for token in previous])
    i = torch.arange(len(previous))
    distance = i[:, None] - i
    seen = (distance >= 0) & (distance < window) & (documents[:, None] == documents)

    h = weights["token.weight"][previous]
    if "neighbours.mix.weight" in weights:  # the last s values of the same document, the nearest last
        values = weights["neighbours.value.weight"]
        told = weights["neighbours.mix.weight"].shape[1] // values.shape[1]
        for j in range(len(previous)):
            known = [
                int(previous[k]) if k >= 0 and documents[k] == documents[j] else levels
                for k in range(j - told + 1, j + 1)
            ]
            h[j] += weights["neighbours.mix.weight"] @ values[known].flatten()
    if label is not None:
        h = h + weights["condition.parts.0.encoder.table"][0, label]
    pairs = model.width // model.heads // 2
    frequencies = min(10_000.0, 4.0 * (m - 1)) ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    turn = torch.polar(torch.ones(len(previous), pairs).double(), i[:, None] * frequencies)
    for block in range(model.layers):
        of = f"blocks.{block}."
        qkv = _normed(h) @ weights[of + "attention.query_key_value.weight"].T
        heads = []
        for head in range(model.heads):
            q, k, v = (x.chunk(model.heads, -1)[head] for x in qkv.chunk(3, -1))
            q, k = (torch.complex(*_normed(x).chunk(2, -1)) * turn for x in (q, k))  # a pair: an entry of each half
            scores = (q @ k.conj().T).real / math.sqrt(2 * pairs)
            heads.append(scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v)
        h = h + torch.cat(heads, -1) @ weights[of + "attention.out.weight"].T
        up = (_normed(h) @ weights[of + "up.weight"].T).clamp(min=0)
        h = h + up * up @ weights[of + "down.weight"].T
    return _normed(h) @ weights["out.weight"].T


def plain_log_prob(model: Any, z: Tensor, label: int | None = None) -> Tensor:
    """log p of every token of z [L]."""
    table = plain_logits(model, z, label).log_softmax(-1)
    return table[torch.arange(len(z)), z]


def _normed(x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
