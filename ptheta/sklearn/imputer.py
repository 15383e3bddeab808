"""Missing cells drawn from their exact conditional distribution, with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ptheta.data.codecs import RowCodec
from ptheta.data.holes import DRAWS, Holed, Unknown
from ptheta.errors import UsageError, nearest
from ptheta.imputing import filled
from ptheta.models import Model
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.models.zoo import class_of
from ptheta.sklearn.estimator import DensityEstimator, is_frame, seed_of, to_pandas, without_na
from ptheta.sklearn.rows import Loaded, framed

Strategy = Literal["draw", "best"]


class DensityImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Missing cells drawn from p(missing cells | other cells of the row), of a table model fitted to all rows.

    Columns may hold categories, whole numbers and real numbers, and rows of the fit may lack any cells. `transform`
    fills each cell once, with a draw, which keeps the spread of a column, or with a best guess, which predicts it;
    `multiple` fills them several times.

    Args:
        model: a family that draws cells in any order: `table`.
        strategy: `draw`; or `best`: of `draws` draws the most frequent category, the median of numbers.
        draws: from which a best guess is made.
        unknown: what becomes of a category that fit did not see: `missing`: the cell stays, nothing is conditioned on
            it, and how many there are is a `ptheta.remarks.DataWarning`; or `error`.
        minutes, steps, hyperparameters, settings, validation, device, verbose: as of `DensityEstimator`.
        random_state: of the fit and of the draws; the same table is filled alike again. None: the system's entropy.

    Attributes:
        estimator_: the fitted `DensityEstimator`.
        n_features_in_: number of columns.
        feature_names_in_: their names, if a data frame was given.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> x[3, 1] = np.nan
    >>> small = {"width": 8, "layers": 1, "heads": 1}
    >>> imputer = DensityImputer(steps=2, hyperparameters=small, random_state=0)
    >>> bool(np.isfinite(imputer.fit_transform(x)).all())
    True
    """

    def __init__(
        self,
        model: str | type[Model] = "table",
        *,
        strategy: Strategy = "draw",
        draws: int = DRAWS,
        unknown: Unknown = "missing",
        minutes: float | None = None,
        steps: int | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        validation: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ):
        self.model = model
        self.strategy = strategy
        self.draws = draws
        self.unknown: Unknown = unknown
        self.minutes = minutes
        self.steps = steps
        self.hyperparameters = hyperparameters
        self.settings = settings
        self.validation = validation
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None) -> DensityImputer:
        """Learn the distribution of the rows of X, of which any cells may be missing.

        Args:
            X: array [n, m] of numbers, NaN where one is missing, or data frame.
            y: ignored.

        Raises:
            PthetaError: the family draws no cells, or an argument makes no sense.
        """
        if self.strategy not in ("draw", "best"):
            raise UsageError(f"no strategy is called {self.strategy!r}", nearest(str(self.strategy), ["draw", "best"]))
        if self.draws < 1:
            raise UsageError(f"draws is {self.draws}", "give at least 1")
        if not issubclass(class_of(self.model), Imputing):
            raise UsageError(f"{self.model} cannot fill in missing cells", "use the model `table`")
        self.estimator_ = DensityEstimator(
            self.model,
            minutes=self.minutes,
            steps=self.steps,
            hyperparameters=self.hyperparameters,
            settings=self.settings,
            validation=self.validation,
            random_state=seed_of(self.random_state),
            device=self.device,
            verbose=self.verbose,
        ).fit(self._frame(X, reset=True))
        return self

    def transform(self, X: Any) -> Any:
        """X with its missing cells filled, of the same type and columns.

        Raises:
            ValueError: X has other columns than in fit.
            SourceError: a cell that is none of its column's, or with `unknown="error"` a category that fit did not see;
                its row and column are named.
        """
        return self._filled(X, 1)[0]

    def multiple(self, X: Any, n: int) -> list[Any]:
        """n tables, each with all missing cells drawn anew: multiple imputation (Rubin 1987).

        Args:
            X: as of `transform`.
            n: how many.
        """
        if n < 1:
            raise UsageError(f"n is {n}", "give at least 1")
        return self._filled(X, n, best=False)

    def _filled(self, X: Any, n: int, best: bool | None = None) -> list[Any]:
        check_is_fitted(self, "estimator_")
        best = self.strategy == "best" if best is None else best
        frame, rows = self._frame(X, reset=False), self.estimator_._rows
        assert isinstance(rows, Loaded)
        codec, model = rows.codec, self.estimator_.model_
        assert isinstance(codec, RowCodec)
        assert isinstance(model, Imputing)
        is_table = is_frame(X) or hasattr(X, "__arrow_c_stream__")
        held = Holed(X if is_table else frame, codec, self.unknown)
        seed = self.estimator_.random_state
        assert isinstance(seed, int)
        cells = filled(model, codec, held.rows, self.draws if best else n, None, best, seed)
        tables = [held.filled(cells[:, k]) for k in range(n)]
        if is_table:
            return tables
        kind = np.asarray(X).dtype  # of objects whole numbers, too, come back as float64
        return [table.to_numpy(kind if kind.kind in "fiu" else np.float64) for table in tables]

    def _frame(self, X: Any, *, reset: bool) -> Any:
        """X as a data frame of pandas, its number and names of columns checked."""
        X = to_pandas(X)
        if is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        least = 2 if reset else 1
        X = without_na(X)
        return framed(
            np.asarray(
                validate_data(
                    self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan", ensure_min_samples=least
                )
            )
        )
