"""The imputer for scikit-learn: its own checks, frames in and out, draws that keep relations and spread."""

import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from ptheta.errors import PthetaError, SourceError
from ptheta.remarks import DataWarning
from ptheta.sklearn import DensityEstimator, DensityImputer

SMALL = {"width": 8, "layers": 1, "heads": 1, "components": 2, "bins": 3}


def quick(**options) -> DensityImputer:
    options = {"steps": 2, "settings": {"batch_size": 32}, "hyperparameters": SMALL, "random_state": 0} | options
    return DensityImputer(**options)


@parametrize_with_checks([quick(settings={"batch_size": 8})])
@pytest.mark.filterwarnings("ignore::ptheta.remarks.DataWarning")
def test_scikit_learn_is_satisfied(estimator, check):
    check(estimator)


def mixed(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """A colour, a size that follows from it, and a number of rooms."""
    g = np.random.default_rng(seed)
    colour = g.choice(["red", "green"], n)
    size = np.where(colour == "red", -10.0, 10.0) + g.normal(size=n)
    return pd.DataFrame({"colour": colour, "size": size, "rooms": g.integers(0, 9, n).astype(np.int16)})


def holed(frame: pd.DataFrame, seed: int = 1, part: float = 0.2) -> pd.DataFrame:
    lost = np.random.default_rng(seed).random(frame.shape) < part
    lost[:, 2] = False  # whole numbers of numpy have no missing value
    return frame.mask(lost)


@pytest.fixture(scope="module")
def learned():
    """An imputer that has learned that red is small."""
    small = {"width": 16, "layers": 1, "heads": 1, "components": 2}
    return DensityImputer(
        steps=250, settings={"learning_rate": 0.02}, hyperparameters=small, random_state=0
    ).fit(holed(mixed()))  # fmt: skip


def test_frames_come_back_in_their_types_and_only_holes_change(learned):
    given = holed(mixed(60, 2))
    given.index = range(500, 560)
    full = learned.transform(given)
    assert full.dtypes.equals(given.dtypes)
    assert full.index.equals(given.index)
    assert not full.isna().any().any()
    kept = given.notna()
    assert all((full[name][kept[name]] == given[name][kept[name]]).all() for name in given)
    pd.testing.assert_frame_equal(learned.transform(given), full)
    rows = polars.from_pandas(given)
    assert learned.transform(rows).schema == rows.schema
    assert learned.transform(rows).null_count().sum_horizontal().item() == 0


def test_what_is_drawn_follows_from_the_rest_of_the_row_and_keeps_its_spread(learned):
    asked = pd.DataFrame({"colour": ["red", "green"] * 200, "size": np.nan, "rooms": np.int16(3)})
    size = learned.transform(asked)["size"].to_numpy()
    red, green = size[::2], size[1::2]
    assert np.median(red) < -5 < 5 < np.median(green)
    assert red.std() > 0.3
    best = DensityImputer(strategy="best", draws=15, steps=2, hyperparameters=SMALL, random_state=0)
    best.estimator_, best.n_features_in_, best.feature_names_in_ = (
        learned.estimator_, learned.n_features_in_, learned.feature_names_in_,
    )  # fmt: skip
    guessed = best.transform(asked)["size"].to_numpy()
    assert guessed[::2].std() < red.std() / 2
    assert abs(np.median(guessed[::2]) - np.median(red)) < 1


def test_multiple_imputation_gives_different_tables_that_agree_where_cells_are_given(learned):
    given = holed(mixed(40, 3))
    tables = learned.multiple(given, 3)
    assert len(tables) == 3
    there = given["size"].notna()
    assert all((table["size"][there] == given["size"][there]).all() for table in tables)
    assert len({tuple(table["size"][~there]) for table in tables}) == 3


def test_it_is_a_step_of_pipelines():
    g = np.random.default_rng(0)
    x = g.normal(size=(80, 3))
    y = x.sum(1)
    x[g.random(x.shape) < 0.1] = np.nan
    pipeline = make_pipeline(quick(), LinearRegression()).fit(x, y)
    assert np.isfinite(pipeline.predict(x)).all()
    filled = quick().fit_transform(x.astype(np.float32))
    assert filled.dtype == np.float32
    named = quick().set_output(transform="pandas").fit(x).transform(x)
    assert list(named.columns) == ["x0", "x1", "x2"]
    frame = holed(mixed(60))
    columns = ColumnTransformer([("imputed", quick(), ["colour", "size"])], remainder="passthrough")
    columns.set_output(transform="pandas")
    full = columns.fit_transform(frame)
    assert list(full.columns) == ["imputed__colour", "imputed__size", "remainder__rooms"]
    assert not full.isna().any().any()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"strategy": "mean"}, "no strategy is called 'mean'"),
        ({"draws": 0}, "draws is 0; give at least 1"),
        ({"model": "made"}, "made cannot fill in missing cells; use the model `table`"),
        ({"hyperparameters": {"widht": 3}}, "did you mean width"),
    ],
)
def test_mistakes_are_named(options, problem):
    with pytest.raises(PthetaError, match=problem):
        quick(**options).fit(mixed(30))


def test_a_cell_that_fit_did_not_know_is_named_by_row_and_column(learned):
    strange = pd.DataFrame({"colour": ["red", "blue"], "size": [1.0, 2.0], "rooms": [1, 2]})
    with pytest.raises(SourceError, match="'colour' is 'blue' at row 2"):
        learned.set_params(unknown="error").transform(strange)
    learned.set_params(unknown="missing")
    with pytest.raises(ValueError, match="feature names"):
        learned.transform(mixed(3).rename(columns={"size": "length"}))
    with pytest.raises(PthetaError, match="n is 0"):
        learned.multiple(mixed(3), 0)


# What the estimator and the imputer share


def test_progress_is_printed_if_it_is_asked_for(capsys):
    x = np.random.default_rng(0).normal(size=(60, 2))
    quick(verbose=True).fit(x)
    shown = capsys.readouterr()
    assert "step 1: train average" in shown.err
    assert shown.out == ""
    quick().fit(x)
    assert capsys.readouterr().err == ""


def test_what_the_command_line_reports_is_a_warning():
    frame = mixed(80)
    frame.index.name = "number"
    with pytest.warns(DataWarning, match=r"index number was left out"):
        DensityEstimator("table", steps=1, hyperparameters=SMALL).fit(frame)


def test_a_context_says_how_strange_a_row_is_for_it():
    frame = mixed(300)[["colour", "size"]]
    small = {"width": 8, "layers": 1, "components": 1}
    options = {"steps": 150, "hyperparameters": small, "settings": {"learning_rate": 0.03}, "random_state": 0}
    estimator = DensityEstimator("made", context="colour", **options).fit(frame)
    usual = pd.DataFrame({"colour": ["red", "green"], "size": [-10.0, 10.0]})
    swapped = usual.assign(colour=["green", "red"])
    assert (estimator.score_samples(usual) > estimator.score_samples(swapped) + 1).all()
    drawn = estimator.sample(60, random_state=1)
    assert list(drawn.columns) == ["colour", "size"]
    assert drawn.groupby("colour")["size"].median()["red"] < drawn.groupby("colour")["size"].median()["green"]
    with pytest.raises(PthetaError, match="X has no column 'color'; did you mean colour"):
        DensityEstimator("made", context="color", **options).fit(frame)
    with pytest.raises(PthetaError, match="context names columns, and X is an array"):
        DensityEstimator("made", context="colour", **options).fit(np.zeros((9, 2)))


def test_objects_without_a_value_are_missing(learned):
    x = np.random.default_rng(0).normal(size=(30, 2))
    holes = x.copy()
    holes[3, 1] = holes[5, 0] = np.nan
    objects = holes.astype(object)
    objects[3, 1], objects[5, 0] = pd.NA, None
    imputer = quick().fit(objects)
    np.testing.assert_array_equal(imputer.transform(objects), quick().fit(holes).transform(holes))
    with pytest.raises(ValueError, match="NaN"):
        DensityEstimator("made", steps=1).fit(objects)
    objects[3, 1] = "red"
    with pytest.raises(SourceError, match=r"X\[3, 1\] is 'red', and an array is of numbers; give a data frame"):
        imputer.transform(objects)


def test_a_category_that_only_a_test_fold_has_stops_no_pipeline():
    from sklearn.model_selection import cross_val_score
    from sklearn.preprocessing import OneHotEncoder

    frame = mixed(40).drop(columns="rooms")
    frame["colour"] = ["blue"] * 3 + ["red", "green"] * 18 + ["red"]
    pipeline = make_pipeline(
        quick(), ColumnTransformer([("colour", OneHotEncoder(handle_unknown="ignore"), ["colour"])]), LinearRegression()
    )
    with pytest.warns(DataWarning, match=r"column colour: taken as missing, .*: 3 cells, such as 'blue' \(3\)"):
        scores = cross_val_score(pipeline, frame, frame["size"], cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    model = DensityEstimator("table", steps=2, hyperparameters=SMALL, random_state=0).fit(frame[3:])
    with pytest.warns(DataWarning, match="3 cells, such as"):
        assert np.isfinite(model.score_samples(frame)).all()
    np.testing.assert_allclose(
        model.score_samples(frame[3:]), model.set_params(unknown="error").score_samples(frame[3:])
    )
    with pytest.raises(SourceError, match="'blue' at row"):
        model.score_samples(frame)
