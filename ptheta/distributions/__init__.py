"""Distributions p(x_j | ·) of one scalar value, which network outputs parameterise."""

from ptheta.distributions.base import Distribution
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.cells import Cell, Scale, cell_mixture, codes_of, log_of_cells, real_columns
from ptheta.distributions.discretised import DiscretisedLogisticMixture, bin_log_mass, level_value
from ptheta.distributions.heads import CategoricalHead, Head, MixtureHead, MixtureKind, head_for
from ptheta.distributions.mixture import GaussianMixture, LocationScaleMixture, LogisticMixture, bounded
from ptheta.distributions.rows import Row

__all__ = [
    "Categorical",
    "CategoricalHead",
    "Cell",
    "DiscretisedLogisticMixture",
    "Distribution",
    "GaussianMixture",
    "Head",
    "LocationScaleMixture",
    "LogisticMixture",
    "MixtureHead",
    "MixtureKind",
    "Row",
    "Scale",
    "bin_log_mass",
    "bounded",
    "cell_mixture",
    "codes_of",
    "head_for",
    "level_value",
    "log_of_cells",
    "real_columns",
]
