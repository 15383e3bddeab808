"""Beam search: the most probable texts, as far as a beam sees.

Texts are ranked by log p(x) / length^α. At every step the best unfinished beginnings of each row are kept, as many as
the beam is wide; a text that ends leaves the beam and competes with the others that ended. A row is finished when no
beginning can still come to rank above its best text: log p falls with every token, so log p / m^α, with m the most
tokens, bounds what a beginning can become.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.errors import UsageError
from ptheta.sampling.decoding import Decoder


def beam_search(
    decoder: Decoder, n: int, beams: int, most: int, end: int, length_penalty: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The best text of each row.

    Args:
        decoder: of n · beams texts, those of a row one after the other.
        n: rows.
        beams: beginnings kept of each row.
        most: m, tokens of a text at most, its end among them.
        end: the token that ends a text.
        length_penalty: α; 0 ranks by log p alone, which favours short texts, 1 by nats a token.

    Returns:
        Texts [n, most], filled with `end`, and their log p in nats [n], float64.

    Raises:
        UsageError: no beams, or a penalty below 0.
    """
    if beams < 1:
        raise UsageError(f"beams is {beams}", "give at least 1")
    if not 0 <= length_penalty < float("inf"):
        raise UsageError(f"length penalty is {length_penalty}", "give a finite number of at least 0")
    logits = decoder.step(None).level_logits()
    device, levels = logits.device, logits.shape[-1]
    row_of = torch.arange(n, device=device)[:, None] * beams
    texts = torch.full((n, beams, most), end, device=device)
    score = torch.full((n, beams), -torch.inf, dtype=torch.float64, device=device)
    score[:, 0] = 0.0  # the others begin as copies of the first
    best = torch.full((n, most), end, device=device)
    best_score = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)
    best_rank = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)

    def note(candidates: Tensor, scores: Tensor, ranks: Tensor) -> None:
        """Keep candidates [n, c, most] that rank above the best so far."""
        rank, which = ranks.max(1)
        better = rank > best_rank
        rows = torch.arange(n, device=device)
        best[better] = candidates[rows, which][better]
        best_score[better] = scores[rows, which][better]
        best_rank[better] = rank[better]

    for t in range(most):
        if t:
            logits = decoder.step(texts[:, :, t - 1].reshape(-1)).level_logits()
        found = score[..., None] + logits.double().log_softmax(-1).view(n, beams, levels)
        ended = found[..., end]
        note(texts, ended, ended / (t + 1) ** length_penalty)
        found[..., end] = -torch.inf
        score, chosen = found.view(n, -1).topk(beams, 1)
        parent, token = chosen // levels, chosen % levels
        texts = texts.gather(1, parent[..., None].expand(-1, -1, most))
        texts[:, :, t] = token
        if t + 1 == most:
            note(texts, score, score / most**length_penalty)
            break
        if bool((score[:, 0] / most**length_penalty <= best_rank).all()):
            break
        decoder.keep((row_of + parent).reshape(-1))
    return best, best_score
