"""A generative adversarial network in a few lines: what a family without a density needs to write."""

import torch
from torch import nn
from torch.nn import functional as F

from ptheta.models.adversarial.base import Adversarial


class Opponent(nn.Module):
    """Scores signals [n, ...] and one-hot labels."""

    def __init__(self, inputs, given, width):
        super().__init__()
        self.given = given
        self.net = nn.Sequential(nn.Linear(inputs + given, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, signal, context):
        return self.net(with_label(signal.reshape(len(signal), -1), context, self.given))[:, 0]


class ToyGAN(Adversarial):
    """Two layers with batch normalisation, against an opponent of two layers (Goodfellow et al. 2014).

    Args:
        space: levels that are taken as numbers, or real values.
        context_space: labels.
        latent: dimensions of the noise.
        width: of the hidden layers.
    """

    def __init__(self, space, context_space=None, *, latent: int = 4, width: int = 16):
        super().__init__(space, context_space)
        self.latent, self.width, self.noise_size = latent, width, latent
        self.given = 0 if context_space is None else context_space.levels
        self.first = nn.Linear(latent + self.given, width)
        self.normal = nn.BatchNorm1d(width)
        self.out = nn.Linear(width + self.given, space.dimensions)

    def _generate(self, noise, context):
        h = F.leaky_relu(self.normal(self.first(with_label(noise, context, self.given))), 0.2)
        return self.out(with_label(h, context, self.given)).view(len(noise), *self.space.shape)

    def _opponent(self):
        return Opponent(self.space.dimensions, self.given, self.width)


def with_label(h, context, levels):
    """Features [n, d] beside one-hot labels."""
    return h if context is None else torch.cat([h, F.one_hot(context, levels).to(h.dtype)], 1)
