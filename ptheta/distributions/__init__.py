"""Distributions p(x_j | ·) of one scalar value, which network outputs parameterise."""

from ptheta.distributions.base import Distribution
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.discretised import DiscretisedLogisticMixture, bin_log_mass, level_value
from ptheta.distributions.heads import CategoricalHead, Head, MixtureHead, MixtureKind, head_for
from ptheta.distributions.mixture import GaussianMixture, LocationScaleMixture, LogisticMixture

__all__ = [
    "Categorical",
    "CategoricalHead",
    "DiscretisedLogisticMixture",
    "Distribution",
    "GaussianMixture",
    "Head",
    "LocationScaleMixture",
    "LogisticMixture",
    "MixtureHead",
    "MixtureKind",
    "bin_log_mass",
    "head_for",
    "level_value",
]
