"""Density estimation with scikit-learn's interface: `DensityEstimator`, for pipelines and grid searches.

    from ptheta.sklearn import DensityEstimator

    model = DensityEstimator("flow", minutes=1).fit(X)
    model.score_samples(X)  # log p(x) of every row, nats

Nothing is left on disk; `ptheta.fit` is the way to a run that is kept.
"""

from ptheta.sklearn.estimator import DensityEstimator

__all__ = ["DensityEstimator"]
