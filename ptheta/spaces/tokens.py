"""Whole texts as events: documents that end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.spaces.discrete import Sequence


@dataclass(frozen=True)
class Document(Sequence):
    """Whole texts of at most this many tokens.

    An event is the tokens of a text, then the end token, and again the end token wherever the text is shorter. A text
    of exactly `length` tokens, or the beginning of a longer one, has no end token.

    Args:
        length: tokens in one event.
        levels: size of the vocabulary, the end token among them.
        end: the token that ends a text; None: the last one.

    >>> space = Document(4, 3)
    >>> space.pad([[0, 1], [1, 1, 0, 1, 0]])
    tensor([[0, 1, 2, 2],
            [1, 1, 0, 1]])
    >>> space.lengths(space.pad([[0, 1], []]))
    tensor([3, 1])
    """

    kind = "document"
    noun = "whole texts"
    end: int = 0

    def __init__(self, length: int, levels: int, end: int | None = None):
        super().__init__(length, levels, levels - 1 if end is None else end)

    def pad(self, rows: Any) -> Tensor:
        """Events int64 [n, length] of texts of any length, integers [k] each; what is too long is cut."""
        x = torch.full((len(rows), self.length), self.end)
        for i, row in enumerate(rows):
            row = self.validate_tokens(row)[: self.length]
            x[i, : len(row)] = row
        return x

    def lengths(self, x: Tensor) -> Tensor:
        """Tokens of each text [n], its end token among them."""
        ended = x == self.end
        return torch.where(ended.any(1), ended.int().argmax(1) + 1, self.length)

    def unpadded(self, x: Tensor) -> Tensor:
        """Which values of texts [n, length] are theirs, the end among them, and not what fills the event."""
        return torch.arange(self.length, device=x.device) < self.lengths(x)[:, None]

    def __str__(self) -> str:
        return f"Document(length={self.length}, levels={self.levels}, end {self.end})"
