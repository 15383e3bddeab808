"""Distributions p(x_j | ·) of one scalar value, which network outputs parameterise."""

from ptheta.distributions.base import Distribution
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.heads import CategoricalHead, Head, MixtureHead, MixtureKind, head_for
from ptheta.distributions.mixture import GaussianMixture, LocationScaleMixture, LogisticMixture

__all__ = [
    "Categorical",
    "CategoricalHead",
    "Distribution",
    "GaussianMixture",
    "Head",
    "LocationScaleMixture",
    "LogisticMixture",
    "MixtureHead",
    "MixtureKind",
    "head_for",
]
