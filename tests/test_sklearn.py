"""The scikit-learn estimator: scikit-learn's own checks, and what they leave out."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ptheta.errors import DensityError, PthetaError, UsageError
from ptheta.remarks import DataWarning
from ptheta.sklearn import DensityEstimator
from ptheta.values import shortest

pytestmark = pytest.mark.filterwarnings("ignore::ptheta.remarks.DataWarning")

QUICK = {"steps": 2, "settings": {"batch_size": 32}}
SMALL = {
    "made": {"width": 8, "layers": 1, "components": 2},
    "markov_mlp": {"width": 8, "layers": 1, "window": 2},
    "flow": {"width": 8, "layers": 1, "transforms": 1, "bins": 3},
    "transformer": {"width": 8, "layers": 1, "heads": 1},
    "histogram": {},
    "independent": {},
    "markov_chain": {},
    "table": {"width": 8, "layers": 1, "heads": 1, "components": 2, "bins": 3},
}


def quick(model: str, **options) -> DensityEstimator:
    return DensityEstimator(model, hyperparameters=SMALL[model], random_state=0, **{**QUICK, **options})


@parametrize_with_checks([quick(model) for model in SMALL])
def test_scikit_learn_is_satisfied(estimator, check):
    check(estimator)


def two_clusters(n: int = 400, seed: int = 0) -> np.ndarray:
    g = np.random.default_rng(seed)
    side = g.integers(0, 2, n) * 2 - 1
    return np.stack([3 * side + g.normal(size=n), side * g.normal(size=n) + 5], 1)


# What scikit-learn does not check


@pytest.mark.parametrize("model", SMALL)
def test_the_score_is_the_mean_log_density(model):
    x = two_clusters()
    estimator = quick(model).fit(x)
    log_p = estimator.score_samples(x)
    assert log_p.shape == (400,)
    assert log_p.dtype == np.float64
    assert estimator.score(x) == pytest.approx(log_p.mean(), abs=1e-12)
    assert estimator.score(x, np.zeros(400)) == estimator.score(x)


@pytest.mark.parametrize("model", SMALL)
def test_the_density_of_real_columns_integrates_to_one_and_is_what_is_drawn(model):
    x = two_clusters()[:, :1]
    estimator = quick(model, steps=20).fit(x)
    edges = np.linspace(-60, 60, 60_001)
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.exp(estimator.score_samples(middle[:, None]))
    cdf = np.concatenate([[0], np.cumsum(density * np.diff(edges))])
    assert cdf[-1] == pytest.approx(1, abs=2e-3)
    drawn = estimator.sample(2000, random_state=1)
    assert drawn.shape == (2000, 1)
    assert stats.kstest(np.interp(drawn[:, 0], edges, cdf), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("model", ["histogram", "independent", "markov_chain", "made", "transformer"])
def test_probabilities_of_integers_sum_to_one_over_those_seen(model):
    g = np.random.default_rng(0)
    x = np.stack([g.choice([-3, 0, 7], 200), g.choice([1, 1000], 200)], 1)
    estimator = quick(model).fit(x)
    every = np.array([[a, b] for a in (-3, 0, 7) for b in (1, 1000)])
    p = np.exp(estimator.score_samples(every))
    assert p.sum() == pytest.approx(1, abs=1e-9)
    drawn = estimator.sample(4000, random_state=2)
    assert drawn.dtype.kind == "i"
    counts = np.array([(drawn == row).all(1).sum() for row in every])
    assert counts.sum() == 4000
    assert stats.chisquare(counts, 4000 * p).pvalue > 1e-3
    with pytest.raises(PthetaError, match="5"):
        estimator.score_samples(np.array([[5, 1]]))


def test_a_binned_histogram_is_numpys():
    x = np.random.default_rng(3).normal(size=(500, 1)) * 1000
    estimator = DensityEstimator("histogram", bins=12, hyperparameters={"concentration": 0.0}).fit(x)
    density, edges = np.histogram(x[:, 0], 12, density=True)
    at = np.concatenate([x[:, 0], [x.min(), x.max()]])
    expected = density[np.clip(np.searchsorted(edges, at, "right") - 1, 0, 11)]
    assert np.exp(estimator.score_samples(at[:, None])) == pytest.approx(expected, rel=1e-9)


def test_beyond_the_last_bins_the_density_is_zero_and_between_it_is_the_priors():
    x = np.arange(11.0)[:, None]
    estimator = DensityEstimator("histogram", bins=10, hyperparameters={"concentration": 12.0}).fit(x)
    # 12 cells share a prior of 12 events; 11 were seen; outer cells are 10 wide
    expected = [1 / 23 / 10, -0.0, -0.0, 1 / 23 / 10]
    found = np.exp(estimator.score_samples(np.array([[-9.9], [-10.1], [20.1], [19.9]])))
    assert found == pytest.approx(expected, abs=1e-12)
    assert estimator.score_samples(np.array([[-11.0]]))[0] == -np.inf


def test_values_says_what_an_array_holds():
    whole = np.random.default_rng(0).integers(0, 4, (60, 2))
    assert str(quick("made").fit(whole).model_.space) == "Discrete(shape=[2], levels=4)"
    assert str(quick("made").fit(whole.astype(float)).model_.space) == "Real(shape=[2])"
    assert str(quick("made", values="real").fit(whole).model_.space) == "Real(shape=[2])"
    assert (
        str(quick("made", values="discrete").fit(whole.astype(float)).model_.space) == "Discrete(shape=[2], levels=4)"
    )
    assert str(quick("made", values="binned", bins=5).fit(whole).model_.space) == "Discrete(shape=[2], levels=7)"
    assert str(quick("flow").fit(whole).model_.space) == "Real(shape=[2])"
    assert str(quick("histogram", bins=5).fit(whole.astype(float)).model_.space) == "Discrete(shape=[2], levels=7)"
    with pytest.raises(UsageError, match=r"X\[0, 1\] is 0.5, not a whole number"):
        quick("made", values="discrete").fit(np.array([[1.0, 0.5]]))


@pytest.mark.parametrize(("model", "small"), [("made", {"dropout": 0.0}), ("flow", {"width": 16, "transforms": 2})])
def test_it_learns(model, small):
    x, new = two_clusters(2000), two_clusters(2000, seed=1)
    fast = {"learning_rate": 0.02, "batch_size": 128}
    estimator = DensityEstimator(model, steps=60, hyperparameters=small, settings=fast, random_state=0)
    normal = stats.multivariate_normal(x.mean(0), np.cov(x.T)).logpdf(new).mean()
    truth = np.logaddexp(*(stats.norm(3 * s).logpdf(new[:, 0]) for s in (-1, 1))) + np.log(0.5)
    truth = (truth + stats.norm(5).logpdf(new[:, 1])).mean()
    score = estimator.fit(x).score(new)
    assert normal + 0.25 < score < truth + 0.05


# Pipelines, searches, copies


@pytest.mark.parametrize("model", ["made", "flow", "histogram"])
def test_a_pipeline_scores_in_the_units_of_its_last_step(model):
    x = two_clusters() * 1000
    pipeline = make_pipeline(StandardScaler(), quick(model)).fit(x)
    scaled = StandardScaler().fit_transform(x)
    assert pipeline.score_samples(x) == pytest.approx(quick(model).fit(scaled).score_samples(scaled), abs=1e-9)
    assert pipeline.score(x) == pytest.approx(pipeline.score_samples(x).mean())


def test_a_grid_search_finds_the_better_hyperparameters():
    x = two_clusters(300)
    grid = {"bins": [1, 8], "hyperparameters": [{"concentration": c} for c in (1.0, 1e6)]}
    search = GridSearchCV(DensityEstimator("histogram", random_state=0), grid, cv=3).fit(x)
    assert search.best_params_ == {"bins": 8, "hyperparameters": {"concentration": 1.0}}
    widths = GridSearchCV(quick("flow"), {"hyperparameters": [{"width": 4, "transforms": 1}, {"width": 6}]}, cv=2)
    assert np.isfinite(widths.fit(x).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("model", SMALL)
def test_copies_agree_and_a_clone_is_unfitted(model):
    x = two_clusters(80)
    estimator = quick(model).fit(x)
    twin = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(twin.score_samples(x), estimator.score_samples(x))
    assert np.array_equal(twin.sample(5), estimator.sample(5))
    again = clone(estimator)
    assert not hasattr(again, "model_")
    assert np.array_equal(again.fit(x).score_samples(x), estimator.score_samples(x))


def test_random_state_fixes_fit_and_samples():
    x = two_clusters(100)
    first, same, other = (quick("made").set_params(random_state=s).fit(x) for s in (1, 1, 2))
    assert np.array_equal(first.score_samples(x), same.score_samples(x))
    assert not np.array_equal(first.score_samples(x), other.score_samples(x))
    assert np.array_equal(first.sample(9), same.sample(9))
    assert np.array_equal(first.sample(9, random_state=5), same.sample(9, random_state=np.random.RandomState(5)))
    assert not np.array_equal(first.sample(9), first.sample(9, random_state=5))
    free = quick("made").set_params(random_state=None).fit(x)
    assert not np.array_equal(free.sample(9), free.sample(9))


@pytest.mark.parametrize("model", ["made", "flow", "histogram"])
def test_nothing_is_left_on_disk_and_the_global_random_state_is_untouched(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
    quick(model).set_params(random_state=None).fit(two_clusters(50)).sample(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert repr(np.random.get_state()) == before[1]  # noqa: NPY002
    assert os.listdir(tmp_path) == []
    assert not Path("runs").exists()


# Data frames


def test_a_frame_of_numbers_is_an_array_with_names():
    frame = pd.DataFrame(two_clusters(100), columns=["left", "right"])
    estimator = quick("made").fit(frame)
    assert list(estimator.feature_names_in_) == ["left", "right"]
    assert estimator.n_features_in_ == 2
    plain = quick("made").fit(frame.to_numpy())
    assert np.array_equal(estimator.score_samples(frame), plain.score_samples(frame.to_numpy()))
    drawn = estimator.sample(4)
    assert list(drawn.columns) == ["left", "right"]
    assert np.array_equal(drawn.to_numpy(), plain.sample(4))
    with pytest.raises(ValueError, match="feature names"):
        estimator.score_samples(frame.rename(columns={"left": "up"}))


@pytest.mark.parametrize("model", ["histogram", "independent", "made", "transformer"])
def test_a_frame_of_categories_is_learned_as_it_is(model):
    g = np.random.default_rng(0)
    frame = pd.DataFrame({"colour": g.choice(["red", "green"], 120), "size": g.choice(["S", "M", "L"], 120)})
    estimator = quick(model).fit(frame)
    every = pd.DataFrame([(c, s) for c in ("red", "green") for s in ("S", "M", "L")], columns=frame.columns)
    assert np.exp(estimator.score_samples(every)).sum() == pytest.approx(1, abs=1e-9)
    drawn = estimator.sample(10)
    assert list(drawn.columns) == ["colour", "size"]
    assert set(drawn["colour"]) <= {"red", "green"}
    assert estimator.n_features_in_ == 2
    with pytest.raises(UsageError, match="give a data frame"):
        estimator.score_samples(frame.to_numpy())
    with pytest.raises(PthetaError, match="blue"):
        estimator.score_samples(pd.DataFrame({"colour": ["blue"], "size": ["S"]}))


def mixed_frame(n: int = 200) -> pd.DataFrame:
    g = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"colour": g.choice(["red", "green"], n), "size": g.normal(size=n), "rooms": g.integers(0, 9, n)}
    )
    frame.loc[::7, "size"] = np.nan
    return frame


def test_a_frame_of_mixed_columns_is_learned_by_a_table_model():
    frame = mixed_frame()
    estimator = quick("table").fit(frame)
    assert estimator.n_features_in_ == 3
    log_p = estimator.score_samples(frame)
    assert np.isfinite(log_p).all()
    assert np.array_equal(pickle.loads(pickle.dumps(estimator)).score_samples(frame), log_p)
    drawn = estimator.sample(300)
    assert list(drawn.columns) == ["colour", "size", "rooms"]
    assert set(drawn["colour"]) == {"red", "green"}
    assert drawn["size"].isna().any()
    # p(colour, size missing, rooms) is a probability: it sums over what is drawn to that of a missing size
    every = pd.DataFrame([(c, np.nan, r) for c in ("red", "green") for r in range(9)], columns=drawn.columns)
    missing = float(np.exp(estimator.score_samples(every)).sum())
    assert stats.binomtest(int(drawn["size"].isna().sum()), 300, missing).pvalue > 1e-3
    with pytest.raises(PthetaError, match="MADE cannot model rows of mixed columns, Table"):
        quick("made").fit(frame)


def test_integers_of_a_table_model_carry_mass_also_where_none_was_seen():
    x = np.random.default_rng(0).integers(0, 50, (80, 1)) * 2
    estimator = quick("table").fit(x)
    p = np.exp(estimator.score_samples(np.arange(40_000)[:, None]))
    assert p.sum() == pytest.approx(1, abs=1e-2)
    assert p[1] > 0, "no odd number was seen"
    assert estimator.sample(5).dtype == x.dtype
    assert str(quick("table").fit(x.astype(float)).model_.space) == "Real(shape=[1])"
    spiked = np.where(x > 50, 0.0, np.random.default_rng(1).normal(size=x.shape))
    assert "Table" in str(quick("table", values="mixed").fit(spiked).model_.space)


@pytest.mark.parametrize("fitted", ["float32", "float64", "as printed"])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("made", {"values": "real"}),
        ("histogram", {"values": "binned", "bins": 5}),
        ("table", {"values": "mixed"}),
        ("table", {"frame": True}),
    ],
)
def test_a_row_has_one_density_whatever_type_its_numbers_have(model, options, fitted):
    g = np.random.default_rng(0)
    x = np.where(g.random((300, 2)) < 0.4, np.float32(0.1), g.normal(size=(300, 2)).astype(np.float32))
    ways = {"float32": x, "float64": x.astype(np.float64), "as printed": shortest(x)}
    if options.get("frame"):
        ways = {name: pd.DataFrame(way, columns=["a", "b"]) for name, way in ways.items()}
    estimator = quick(model, **{k: v for k, v in options.items() if k != "frame"}).fit(ways[fitted])
    expected = estimator.score_samples(ways[fitted])
    for way in ways.values():
        np.testing.assert_array_equal(estimator.score_samples(way), expected)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model": "mad"}, "did you mean made"),
        ({"hyperparameters": {"widht": 3}}, "did you mean width"),
        ({"values": "reel"}, "did you mean real"),
        ({"model": "histogram", "values": "binned", "bins": 0}, "bins is 0"),
        ({"validation": -1}, "validation is -1"),
        ({"validation": float("nan")}, "validation is nan"),
        ({"validation": float("inf")}, "validation is inf"),
        ({"steps": 1, "minutes": 1.0}, "minutes and steps are given together"),
        ({"model": "flow", "values": "discrete"}, "Flow cannot model discrete values"),
        ({"model": "pixelcnn"}, "PixelCNN cannot model"),
    ],
    ids=lambda value: str(value),
)
def test_mistakes_are_named(options, problem):
    with pytest.raises(PthetaError, match=problem):
        DensityEstimator(**options).fit(np.arange(12).reshape(6, 2))


@pytest.mark.parametrize("X", [np.array([[1e19], [3.0]]), np.array([[2**63 + 5], [1]], np.uint64)])
def test_whole_numbers_beyond_64_bits_are_refused_and_not_wrapped(X):
    with pytest.raises(UsageError, match=r"X\[0, 0\] is .*, beyond 64 bits"):
        DensityEstimator("independent", values="discrete").fit(X)


@pytest.mark.parametrize("column", [[1e17, 1e17], [-1e308, 1e308]])
def test_what_float64_cannot_cut_into_bins_is_refused(column):
    with pytest.raises(UsageError, match="column 1 goes from"):
        DensityEstimator("histogram").fit(np.column_stack([[0.0, 1.0], column]))


def test_frames_of_polars_are_read_like_those_of_pandas():
    frame = pd.DataFrame({"a": np.float32([0.1, 0.2, 0.3] * 20), "b": ["x", "y", "z"] * 20})
    one, other = (
        DensityEstimator(
            "table", steps=2, minutes=None, random_state=0, hyperparameters={"width": 16, "layers": 1}
        ).fit(X)
        for X in (frame, polars.from_pandas(frame))
    )
    assert one.score_samples(polars.from_pandas(frame)).tolist() == one.score_samples(frame).tolist()
    assert other.score_samples(frame).tolist() == one.score_samples(frame).tolist()


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", ["toy_vae", "toy_gan"])
def test_what_has_no_exact_density_is_refused_before_it_is_fitted(name):
    with pytest.raises(DensityError, match="score_samples returns log p itself; fit it with"):
        DensityEstimator(name).fit(np.zeros((20, 2)))


def test_frames_of_numbers_and_words_are_categories_to_families_that_know_levels_only():
    g = np.random.default_rng(0)
    frame = pd.DataFrame({"a": g.integers(0, 30, 200).astype("uint8"), "b": g.choice(["x", "y"], 200)})
    drawn = DensityEstimator("independent", random_state=0).fit(frame).sample(50)
    assert drawn.dtypes.equals(frame.dtypes)
    assert set(drawn["a"]) <= set(frame["a"])
    with pytest.raises(PthetaError, match="it models discrete values"):
        DensityEstimator("independent").fit(frame.assign(c=g.normal(size=200)))


def test_numbers_too_close_together_are_refused_by_column():
    x = np.random.default_rng(0).normal(size=(60, 2)) * [1, 1e-310]
    with pytest.raises(PthetaError, match="the values of column 1 differ by less than 1e-304"):
        DensityEstimator("flow", steps=1).fit(x)


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        (
            "flow",
            [[float(i % 7), i * 1.37 % 5] for i in range(100)],
            "column a: most values repeat",
        ),
        (
            "independent",
            [[float(i % 7), i * 1.37 % 5] for i in range(100)],
            "column a: whole numbers, cut into 16",
        ),
    ],
)
def test_what_is_doubtful_is_a_warning_that_points_to_the_line_of_the_fit(model, x, said):
    estimator = DensityEstimator(model, steps=1, random_state=0)
    with pytest.warns(DataWarning, match=said) as caught:
        estimator.fit(pd.DataFrame(x, columns=pd.Index(["a", "b"])))
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(DataWarning, match=said.replace("column a", "column 0")):
        estimator.fit(np.array(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(two_clusters(60))
    with pytest.warns(DataWarning, match="column one has one value only"):
        quick("table").fit(pd.DataFrame({"a": list("xyz") * 20, "one": 1.5}))
