"""A density of the zoo with scikit-learn's interface."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ptheta.data import Split
from ptheta.data.codecs import RowCodec
from ptheta.data.codecs.frames import is_number
from ptheta.data.holes import Unknown, opened, rows_of
from ptheta.errors import DensityError, SourceError, UsageError, nearest
from ptheta.evaluation.nats import log_probs
from ptheta.fitting import COUNTED_EVENTS
from ptheta.imputing import of_known
from ptheta.models import Counting, Density, Model
from ptheta.models.autoregressive.table import TableTransformer
from ptheta.models.building import build, check_names
from ptheta.models.zoo import class_of
from ptheta.remarks import warn
from ptheta.reporting.waiting import console_for
from ptheta.sklearn.lines import Lines
from ptheta.sklearn.rows import KINDS, Loaded, Rows, as_context
from ptheta.spaces import Discrete, Real, Table
from ptheta.training import Budget, MaximumLikelihood, Settings, Trainer, World, choose_device

Values = Literal["auto", "real", "discrete", "binned", "mixed"]

STEPS = 1_000
"""Budget of a fit by gradients when none is given: in steps, so that a seed fixes the result."""


class DensityEstimator(DensityMixin, BaseEstimator):
    """A density p(x) of the zoo, fitted to the rows of an array or a data frame.

    What a row is, `values` decides:

    - `real`: columns of an array are real numbers, and scores are log-densities.
    - `discrete`: every column takes the whole numbers seen in fit and no others, and scores are log-probabilities.
      Other numbers are refused.
    - `binned`: columns are cut into bins of one width, and within a bin the density is even: its mass divided by its
      volume. Two more bins, each as wide as all others together, take what lies outside; beyond them the density is 0.
    - `mixed`: every column is what `ptheta.load(…, columns="mixed")` infers: categories, whole numbers or others on a
      grid, real numbers, and values that repeat; only for families of tables. What is not real carries probability.
    - `auto`: arrays of floats are real and arrays of integers or bools discrete, as far as the family models such
      values; else floats are binned, and integers mixed or real.

    A data frame in which any column is not numeric, and every data frame for a family of tables, is read by
    `ptheta.load`, whatever `values` says.

    Args:
        model: name of a family, see `ptheta zoo`; or one of one's own, by its class or as `module:Class`.
        minutes, steps: budget of families that learn by gradients, one of them; 1,000 steps if neither is given.
        hyperparameters: of the family, name → value.
        settings: of learning, see `ptheta.training.Settings`: batch_size, learning_rate …
        values: what the columns of an array are, see above.
        bins: of every column, if they are binned.
        validation: part of the rows by which the best weights are chosen, or their number; 0 for none: the running loss
            of training chooses. Families that count learn from all rows.
        random_state: of the rows held out, initial weights and shuffling, and of samples; None: the system's entropy.
        device: `cpu`, `cuda` or `auto`.
        unknown: what becomes of a category of a data frame that fit did not see, for the family `table`: `missing`: the
            other cells of its row are scored, and how many there are is a `ptheta.remarks.DataWarning`; or `error`, as
            always for other families, and with a context.
        context: columns of a data frame that are the context y: the density is then p(x | y) of the other columns.
        verbose: print the progress of a fit by gradients on standard error.

    What `ptheta fit` would report of the data, such as values that repeat in a column of real numbers, is a
    `ptheta.remarks.DataWarning`. The negative of `score_samples` is an anomaly score; with `context` it says how
    strange a row is for its context.

    Attributes:
        model_: the fitted `ptheta.models.Model`, in float64.
        n_features_in_: number of columns.
        feature_names_in_: their names, if a data frame was given.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> estimator = DensityEstimator("histogram", bins=10).fit(x)
    >>> estimator.score_samples(x).shape
    (500,)
    """

    def __init__(
        self,
        model: str | type[Model] = "made",
        *,
        minutes: float | None = None,
        steps: int | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        values: Values = "auto",
        bins: int = 16,
        validation: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
        context: str | list[str] | None = None,
        verbose: bool = False,
        unknown: Unknown = "missing",
    ):
        self.model = model
        self.minutes = minutes
        self.steps = steps
        self.hyperparameters = hyperparameters
        self.settings = settings
        self.values = values
        self.bins = bins
        self.validation = validation
        self.random_state = random_state
        self.device = device
        self.context = context
        self.verbose = verbose
        self.unknown: Unknown = unknown

    def fit(self, X: Any, y: Any = None) -> DensityEstimator:
        """Learn the density of the rows of X.

        Args:
            X: array [n, m] or data frame, of pandas or of a library that Arrow reads, such as polars.
            y: ignored.

        Raises:
            ValueError: X is not a table of finite numbers, where it has to be.
            PthetaError: the family does not suit the values, or an argument makes no sense.
        """
        X = to_pandas(X)
        cls, seed = class_of(self.model), seed_of(self.random_state)
        if cls.density is not Density.EXACT:
            raise DensityError(
                f"{self.model} has {cls.density.phrase}, and score_samples returns log p itself",
                "fit it with ptheta.fit, or choose an exact family, see `ptheta zoo`",
            )
        if self.values not in ("auto", *KINDS):
            raise UsageError(f"no values are called {self.values!r}", nearest(str(self.values), ["auto", *KINDS]))
        if self.context is not None and not is_frame(X):
            raise UsageError("context names columns, and X is an array", "give a data frame")
        if is_frame(X) and (_models_tables(cls) or self.context is not None or not _is_numeric(X)):
            validate_data(self, X, skip_check_array=True)
            self._rows: Rows = self._loaded(cls, X)
        else:
            X = validate_data(self, without_na(X), dtype="numeric")
            self._rows = KINDS[self._kind(cls, X)](X, self.bins, self._names(X))
        for remark in self._rows.remarks:
            warn(remark)
        events, contexts, _ = self._rows.encode(X)
        self._contexts = contexts
        self.model_ = self._learned(self._build(cls, seed), events, contexts, seed).double().eval()
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of every row of X, nats [n] float64.

        Raises:
            ValueError: X has other columns than in fit.
            PthetaError: X holds a discrete value that fit did not see.
        """
        check_is_fitted(self, "model_")
        X = to_pandas(X)
        if isinstance(self._rows, Loaded):
            if not is_frame(X):
                raise UsageError(f"X is a {type(X).__name__}, and fit was given a data frame", "give a data frame")
            validate_data(self, X, reset=False, skip_check_array=True)
        else:
            X = validate_data(self, without_na(X), reset=False, dtype="numeric")
        if self.unknown != "error" and isinstance(self._rows, Loaded) and not self._rows.given:
            codec, model = self._rows.codec, self.model_
            if isinstance(codec, RowCodec) and isinstance(model, TableTransformer):
                events, strange = rows_of(opened(X, codec), codec, codec.names, self.unknown, whole=True)
                return of_known(model, events, strange, None)
        events, contexts, offset = self._rows.encode(X)
        return log_probs(self.model_, Split(events, contexts)).numpy() + offset

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`, nats; higher is better. y is ignored."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Any:
        """Draw rows.

        Args:
            n_samples: how many.
            random_state: of the draw; None: that of the estimator.

        Returns:
            Array [n_samples, m], or a data frame if one was fitted; with `context`, of rows whose contexts are drawn
            from those of the fit.
        """
        check_is_fitted(self, "model_")
        seed = seed_of(self.random_state if random_state is None else random_state)
        generator = np.random.default_rng(seed)
        contexts = None
        if self._contexts is not None:
            contexts = self._contexts[generator.integers(len(self._contexts), size=n_samples)]
        events = self.model_.sample(n_samples, as_context(contexts), seed=seed).cpu().numpy()
        drawn = self._rows.decode(events, contexts, generator)
        names = getattr(self, "feature_names_in_", None)
        if names is None or not isinstance(drawn, np.ndarray):
            return drawn
        import pandas as pd

        return pd.DataFrame(drawn, columns=names)

    def _loaded(self, cls: type[Model], X: Any) -> Loaded:
        """The rows of a data frame as the family models them: its columns as categories where it knows levels only."""
        rows = Loaded(X, "mixed" if _models_tables(cls) else "auto", self.context)
        if not isinstance(rows.space, cls.spaces) and Discrete in cls.spaces:
            with contextlib.suppress(SourceError):  # real numbers: the family says what it models
                return Loaded(X, "categories", self.context)
        return rows

    def _names(self, X: np.ndarray) -> list[str]:
        """What the columns of an array are called: as in the data frame, else by number."""
        return [str(name) for name in getattr(self, "feature_names_in_", range(X.shape[1]))]

    def _kind(self, cls: type[Model], X: np.ndarray) -> str:
        """What the columns of an array are."""
        if self.values != "auto":
            return self.values
        if X.dtype.kind == "f":
            return "real" if issubclass(Real, cls.spaces) else "binned"
        if isinstance(Discrete((1,), 2), cls.spaces):
            return "discrete"
        return "mixed" if _models_tables(cls) else "real"

    def _build(self, cls: type[Model], seed: int) -> Model:
        """The model to fit; the global random state is untouched."""
        check_names(cls, self.hyperparameters or {})
        return build(cls, self._rows.space, self._rows.context_space, self.hyperparameters, seed=seed)

    def _learned(self, model: Model, events: np.ndarray, contexts: np.ndarray | None, seed: int) -> Model:
        """The model with what it learns from events [n, m] and their contexts."""
        device = choose_device(self.device)
        model.to(device)
        if isinstance(model, Counting):
            for x, context in Split(events, contexts).batches(COUNTED_EVENTS):
                model.observe(x, context)
            model.finish()
            return model
        held = _held_out(len(events), self.validation, seed)
        budget = Budget(minutes=self.minutes, steps=STEPS if self.minutes is self.steps is None else self.steps)
        objective = MaximumLikelihood(
            model,
            Split(events[~held], None if contexts is None else contexts[~held]),
            Split(events[held], None if contexts is None else contexts[held]),
            Settings.of(model, **dict(self.settings or {})),
            seed=seed,
            world=World(0, 1, device),
        )
        listener = Lines(console_for(True), str(budget)) if self.verbose else None
        model.load_state_dict(Trainer(objective, budget, listener=listener).run())
        return model


def _models_tables(cls: type[Model]) -> bool:
    return issubclass(Table, cls.spaces)


def _is_numeric(frame: Any) -> bool:
    from pandas.api.types import is_numeric_dtype

    return all(is_numeric_dtype(kind) for kind in frame.dtypes)


def to_pandas(X: Any) -> Any:
    """A data frame of another library that gives its columns to Arrow, such as polars, as one of pandas."""
    if hasattr(X, "__arrow_c_stream__") and not is_frame(X):
        import pyarrow as pa

        return pa.table(X).to_pandas()
    return X


def without_na(X: Any) -> Any:
    """An array of objects with NaN in place of None and pandas' NA; anything else as it is.

    Raises:
        SourceError: a text that is no number; its row and column are named.
    """
    if not isinstance(X, list | np.ndarray) or not len(X):
        return X
    found = np.asarray(X, object) if isinstance(X, list) else X
    if found.dtype != object or found.ndim != 2:
        return X
    if not any(value is None or isinstance(value, str) or type(value).__name__ == "NAType" for value in found.flat):
        return X
    result = found.copy()
    for row, column in np.ndindex(*found.shape):
        value = found[row, column]
        if value is None or type(value).__name__ == "NAType":
            result[row, column] = np.nan
        elif isinstance(value, str) and not is_number(value):
            raise SourceError(
                f"X[{row}, {column}] is {value!r}, and an array is of numbers",
                "give a data frame, whose columns may be words",
            )
    return result


def is_frame(X: Any) -> bool:
    """Whether X is a data frame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _held_out(n: int, part: float, seed: int) -> np.ndarray:
    """Which of n rows are held out, bool [n]; at least one row is not."""
    if not 0 <= part < math.inf:
        raise UsageError(f"validation is {part}", "give a fraction below 1, a number of rows, or 0")
    count = min(n - 1, round(n * part) if part < 1 else int(part))
    held = np.zeros(n, bool)
    held[np.random.default_rng(seed).permutation(n)[:count]] = True
    return held


def seed_of(random_state: int | np.random.RandomState | None) -> int:
    """A seed drawn with a random state; None: with the system's entropy."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(2**31 - 1))
