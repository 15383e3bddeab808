"""Density estimation with scikit-learn's interface: `DensityEstimator`, `DensityImputer`, for pipelines and searches.

    from ptheta.sklearn import DensityEstimator

    model = DensityEstimator("flow", minutes=1).fit(X)
    model.score_samples(X)  # log p(x) of every row, nats
    DensityImputer(minutes=1).fit_transform(X)  # missing cells drawn given the other cells of their rows

Nothing is left on disk; `ptheta.fit` is the way to a run that is kept.
"""

from ptheta.sklearn.estimator import DensityEstimator
from ptheta.sklearn.imputer import DensityImputer

__all__ = ["DensityEstimator", "DensityImputer"]
