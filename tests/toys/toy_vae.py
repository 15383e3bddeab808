"""A variational autoencoder in a few lines: what a family with a bound needs to write."""

import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F

from ptheta.distributions import MixtureHead, head_for
from ptheta.models import Density, Model
from ptheta.models.inputs import Mapped, ScalarInputs, moments
from ptheta.sampling import uniforms
from ptheta.spaces import Discrete, Real


class ToyVAE(Model):
    """Gaussian latents z, one layer each way, and independent dimensions given z (Kingma & Welling 2014).

    Args:
        space: discrete, or vectors of real numbers.
        context_space: labels.
        latent: dimensions of z.
        width: of the hidden layers.
    """

    density = Density.LOWER_BOUND
    spaces = (Discrete, Real)

    def __init__(self, space, context_space=None, *, latent: int = 2, width: int = 16):
        super().__init__(space, context_space)
        self.latent, self.width, self.noise_size = latent, width, latent
        self.given = 0 if context_space is None else context_space.levels
        self.head = head_for(space, torch.arange(space.dimensions), "logistic", 2)
        self.inputs = ScalarInputs(space, self.head)
        size = space.dimensions * self.inputs.channels + self.given
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, 2 * latent))
        outputs = nn.Linear(width, space.dimensions * self.head.size)
        self.decoder = nn.Sequential(nn.Linear(latent + self.given, width), nn.Tanh(), outputs)

    def _prepare(self, chunks):
        if isinstance(self.head, MixtureHead):
            self.head.standardise(*moments(Mapped(lambda x: x.reshape(len(x), -1), chunks)))

    def _with(self, h, context):
        return h if context is None else torch.cat([h, F.one_hot(context, self.given).to(h.dtype)], 1)

    def _decoded(self, z, context):
        return self.head(self.decoder(self._with(z, context)).view(len(z), self.space.dimensions, -1))

    def _log_weight(self, x, context, noise):
        x = x.reshape(len(x), -1)
        mean, log_scale = self.encoder(self._with(self.inputs(x, self.dtype).flatten(1), context)).chunk(2, 1)
        posterior = Normal(mean, log_scale.exp())
        z = mean + log_scale.exp() * noise
        prior = Normal(torch.zeros_like(z), torch.ones_like(z))
        return self._decoded(z, context).log_prob(x).sum(1) + (prior.log_prob(z) - posterior.log_prob(z)).sum(1)

    def _sample(self, n, context, generator):
        z = torch.randn(n, self.latent, generator=generator, dtype=torch.float64).to(self.device, self.dtype)
        u = uniforms(n, self.space.dimensions, self.head.noise_size, generator=generator).to(self.device)
        return self._decoded(z, context).sample(u).reshape(n, *self.space.shape)
