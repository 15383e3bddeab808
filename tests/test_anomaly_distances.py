"""Distances to training events are scikit-learn's, and the score of either is blind only where both its parts are."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import ptheta
from ptheta.anomalies import Detector, Neighbours, either, p_values, surprise
from ptheta.anomalies.scores import location_and_scale
from ptheta.data import Split
from ptheta.errors import UsageError
from ptheta.metrics import auroc


def expected(train, x, k=10):
    return NearestNeighbors(n_neighbors=k).fit(train).kneighbors(x)[0].mean(1)


def test_pictures_are_compared_by_their_levels_and_numbers_in_standard_deviations():
    digits = ptheta.load("digits")
    flat = {name: split.x.reshape(len(split), -1).astype(float) for name, split in digits.splits.items()}
    found = Neighbours(digits.train, digits.space, digits.codec)(digits.test)
    np.testing.assert_allclose(found, expected(flat["train"], flat["test"]), rtol=1e-5)
    g = np.random.default_rng(0)
    x = g.normal(size=(300, 4)) * [1e-6, 1, 1e6, 0] + [0, 5, 1e9, 3]
    data = ptheta.load({"train": x[:200], "validation": x[200:250], "test": x[250:]})
    unit = np.r_[x[:200].std(0)[:3], 1.0]
    found = Neighbours(data.train, data.space, data.codec)(data.test)
    np.testing.assert_allclose(found, expected(x[:200] / unit, x[250:] / unit), rtol=1e-3)


def test_rows_are_compared_by_numbers_categories_and_what_is_missing():
    g = np.random.default_rng(1)
    n = 400
    frame = pd.DataFrame({"a": g.normal(size=n), "b": g.normal(size=n) * 100, "c": g.choice(["x", "y", "z"], n)})
    frame.loc[g.random(n) < 0.2, "b"] = np.nan
    data = ptheta.load({"train": frame[:300], "test": frame[300:].reset_index(drop=True)})
    points = pd.DataFrame({"a": frame["a"], "b": frame["b"]})
    known = data.train.x
    names = data.space.names
    raw = {name: known[:, names.index(name)] for name in ("a", "b")}
    for name in raw:
        points[name] = (points[name] - np.nanmean(raw[name])) / np.nanstd(raw[name])
    points["missing"] = points["b"].isna() * math.sqrt(2)
    points = pd.concat([points.fillna(0), pd.get_dummies(frame["c"]).astype(float)], axis=1).to_numpy()
    train = np.isin(frame["a"], raw["a"])  # validation is drawn from train
    found = Neighbours(data.train, data.space, data.codec)(data.test)
    np.testing.assert_allclose(found, expected(points[train], points[300:]), rtol=1e-5)


def test_a_labels_events_have_neighbours_of_that_label():
    digits = ptheta.load("digits", context="label")
    found = Neighbours(digits.train, digits.space, digits.codec)(digits.test)
    flat = {name: split.x.reshape(len(split), -1).astype(float) for name, split in digits.splits.items()}
    for label in (0, 7):
        train, test = (digits.splits[name].context == label for name in ("train", "test"))
        np.testing.assert_allclose(found[test], expected(flat["train"][train], flat["test"][test]), rtol=1e-5)
    lacking = Split(digits.train.x[digits.train.context != 7], digits.train.context[digits.train.context != 7])
    anywhere = Neighbours(lacking, digits.space, digits.codec)(digits.test)
    sevens = digits.test.context == 7
    np.testing.assert_allclose(
        anywhere[sevens], expected(flat["train"][digits.train.context != 7], flat["test"][sevens])
    )


def test_extreme_and_constant_numbers_have_finite_distances():
    x = np.array([[1e300, 0.0], [2e300, 0.0], [3e300, 0.0]])
    data = ptheta.load({"train": x, "validation": x, "test": x})
    new = Split(np.array([[2e300, 0.0], [-1e308, 5.0], [1e-300, 0.0]]))
    found = Neighbours(data.train, data.space, data.codec)(new)
    assert np.isfinite(found).all()
    assert found[0] == found.min()
    with pytest.raises(UsageError, match="no training events"):
        Neighbours(Split(x[:0]), data.space, data.codec)


def test_either_is_the_larger_part_in_its_own_units():
    nats, far = np.array([1.0, 2, 3, 4, 5]), np.array([10.0, 20, 30, 40, 50])
    score, is_far = either([3.0, 9.0, -50.0, math.inf], [70.0, 30.0, 70.0, 0.0], (nats, far))
    np.testing.assert_allclose(score, [2, 3, 2, math.inf])
    assert is_far.tolist() == [True, False, True, False]
    assert location_and_scale([1.0, 1, 1, 1, 6]) == (1.0, 2.0)  # its standard deviation
    assert location_and_scale([4.0]) == (4.0, 1.0)
    with pytest.raises(UsageError, match="scale the scores"):
        location_and_scale([math.inf])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model without dependencies between columns, of two that are equal."""
    return fitted(tmp_path_factory.mktemp("run"))


def fitted(place, seed=0):
    parts = {
        name: rows(seed + i, n) for i, (name, n) in enumerate([("train", 500), ("validation", 100), ("test", 400)])
    }
    return ptheta.fit("independent", ptheta.load(parts), out=place / "run", verbose=False)


def rows(seed, n):
    first = np.random.default_rng(seed).integers(0, 6, n)
    return np.stack([first, first, np.random.default_rng(seed + 50).integers(0, 3, n)], 1).astype(np.uint8)


def test_the_default_detects_what_one_part_is_blind_to_and_ranks_by_other_events_than_it_scales_by(run):
    detector = Detector(run)
    assert detector.method == "surprise"  # until it knows what is usual
    detector.calibrate(run.data.test)
    assert detector.method == "either"
    assert len(detector.known) == 300
    near, odd = Split(rows(9, 300)), rows(9, 300)
    odd[:, 1] = (odd[:, 1] + 3) % 6  # each column as usual: only distances know
    scores = [detector.score(split) for split in (near, Split(odd))]
    assert auroc(*(found.anomaly for found in scores))[0] > 0.95
    assert scores[1].is_far.mean() > 0.9
    assert auroc(*(surprise(found.log_prob) for found in scores))[0] < 0.75
    again = Detector(run).calibrate(run.data.test).score(near)
    np.testing.assert_array_equal(again.anomaly, scores[0].anomaly)
    reference = surprise(run.model.log_prob(run.data.test.events()[0]).numpy()), detector.neighbours(run.data.test)
    whole, _ = either(*reference, tuple(part[::4] for part in reference))
    held_out = np.delete(whole, np.s_[::4])
    np.testing.assert_allclose(scores[0].p_value, p_values(scores[0].anomaly, held_out))
    assert (scores[0].p_value <= 0.1).mean() <= 0.1 + 3 * math.sqrt(0.1 / 300)


def test_p_values_of_either_are_uniform_over_calibration_sets(tmp_path):
    run = fitted(tmp_path)
    g, pool, least = np.random.default_rng(0), Split(rows(77, 4000)), []
    for _ in range(150):
        picked = g.choice(4000, 41, replace=False)
        detector = Detector(run, "either").calibrate(Split(pool.x[picked[:40]]))
        least.append(float(detector.score(Split(pool.x[picked[40:]])).p_value[0]))
    for level in (0.1, 0.25, 0.5):
        assert np.mean(np.array(least) <= level) <= level + 3 * math.sqrt(level * (1 - level) / len(least))


def test_without_training_events_or_distances_surprise_ranks(run, tmp_path):
    data = ptheta.load({"train": rows(0, 60), "test": rows(1, 60)})
    gone = ptheta.fit("independent", data, out=tmp_path / "gone", verbose=False)
    gone = ptheta.Run.load(gone.path)
    assert Detector(gone).calibrate(Split(rows(2, 40))).method == "surprise"
    few = Detector(run).calibrate(Split(rows(2, 5)))
    assert few.method == "surprise"
    with pytest.raises(UsageError, match="held out"):
        Detector(run, "either").score(Split(rows(2, 5)))
    (tmp_path / "text.txt").write_text("a sentence of some words\n" * 40)
    text = ptheta.fit(
        "independent", ptheta.load(str(tmp_path / "text.txt"), length=8), out=tmp_path / "t", verbose=False
    )
    with pytest.raises(UsageError, match="have no distance"):
        Detector(text, "neighbours")
    assert Detector(text).calibrate(text.data.test).method == "surprise"


def test_neighbours_alone_need_no_calibration(run):
    found = Detector(run, "neighbours").score(Split(rows(3, 20)))
    np.testing.assert_array_equal(found.anomaly, found.distance)
    torch.testing.assert_close(torch.from_numpy(found.log_prob), run.model.log_prob(rows(3, 20).astype(np.int64)))
