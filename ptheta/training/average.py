"""The moving average of weights that is validated and kept."""

from __future__ import annotations

import copy

import torch

from ptheta.models import Model


class Average:
    """Exponential moving average of a model's parameters, with a ramp, so that early weights are forgotten; buffers,
    such as the moments of batch normalisation, are those of the model.

    Args:
        model: that learns.
        decay: of the average.
    """

    def __init__(self, model: Model, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)

    def restart(self, model: Model) -> None:
        """Take the model's weights as they are."""
        self.model.load_state_dict(model.state_dict())

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Follow the model after step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, new in zip(self.model.parameters(), model.parameters()):
            mean.lerp_(new, 1 - decay)
        for mean, new in zip(self.model.buffers(), model.buffers()):
            mean.copy_(new)
