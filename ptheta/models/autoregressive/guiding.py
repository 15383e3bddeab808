"""What guidance needs of a context: its parts revealed one after the other, and a scale for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ptheta.errors import UsageError
from ptheta.numbers import plural
from ptheta.spaces import Joint, Space

Scales = tuple[float, ...]
"""Of guidance: one for the whole context, or one for each of its parts."""


def revealed(space: Space | None, context: Tensor | None, count: int) -> Tensor:
    """n contexts, then the same without their last part, and so on to none: [(count + 1) n, *space.shape].

    Args:
        space: of the context.
        context: n rows.
        count: of the scales; 1: the context as a whole.
    """
    assert space is not None
    assert context is not None
    nothing = space.null(len(context)).to(context)
    if count == 1:
        return torch.cat([context, nothing])
    assert isinstance(space, Joint)
    ends = [sum(part.dimensions for _, part in space.parts[:k]) for k in range(count, 0, -1)]
    return torch.cat([*(torch.cat([context[:, :end], nothing[:, end:]], 1) for end in ends), nothing])


def scales_of(guidance: float | tuple[float, ...], space: Space | None, knows_none: bool) -> Scales:
    """The scales of guidance, checked.

    Args:
        guidance: as given to `sample`.
        space: of the context.
        knows_none: whether the model is also p(x) without a context.

    Raises:
        UsageError: they are not finite numbers of at least 0, too many or too few, or the model cannot be guided.
    """
    scales = tuple(map(float, guidance)) if isinstance(guidance, tuple | list) else (float(guidance),)
    if scales == (1.0,):
        return scales
    if not scales or not all(0 <= scale < math.inf for scale in scales):
        raise UsageError(f"guidance is {guidance}", "give a finite number of at least 0")
    if space is None:
        raise UsageError("guidance needs a context, and this model has none", "leave it at 1")
    if not knows_none:
        remedy = "leave it at 1, or fit with --context-dropout 0.1"
        raise UsageError("guidance needs a model that was also trained without contexts", remedy)
    parts = len(space.parts) if isinstance(space, Joint) else 1
    if len(scales) not in (1, parts):
        raise UsageError(
            f"guidance has {len(scales)} scales, and the context {plural(parts, 'part')}",
            "give one for the whole context, or one for each part",
        )
    return scales
