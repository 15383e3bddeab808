"""Anomaly scores against closed forms, enumeration, scipy and scikit-learn."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from PIL import Image as pil
from sklearn.metrics import roc_auc_score

import ptheta
from ptheta import anomalies
from ptheta.anomalies import Detector, complexity, compressed_nats, p_values, ratio, surprise, typicality
from ptheta.data import Split
from ptheta.errors import DensityError, UsageError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.metrics import auroc

INF = math.inf


# Scores


def test_a_gaussian_is_typical_on_its_shell_and_the_mode_is_strange():
    m, g = 400, np.random.default_rng(0)
    gaussian = scipy.stats.norm()
    entropy = m * gaussian.entropy()
    drawn = g.normal(size=(2000, m))
    scores = typicality(gaussian.logpdf(drawn).sum(1), entropy)
    # −log p − H = (χ²_m − m) / 2
    expected = np.abs((drawn**2).sum(1) - m) / 2
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    assert (
        scipy.stats.kstest(2 * expected, lambda t: np.diff(scipy.stats.chi2(m).cdf([m - t, m + t]), axis=0)[0]).pvalue
        > 0.01
    )
    mode = gaussian.logpdf(np.zeros((1, m))).sum(1)
    assert surprise(mode)[0] < surprise(gaussian.logpdf(drawn).sum(1)).min()
    assert typicality(mode, entropy)[0] == pytest.approx(m / 2)
    assert typicality(mode, entropy)[0] > scores.max()


def test_the_ratio_is_the_log_odds_of_the_background():
    g = np.random.default_rng(1)
    p, q = g.dirichlet(np.ones(12), 2)
    odds = q * 0.5 / (p * 0.5 + q * 0.5)  # by Bayes' rule
    np.testing.assert_allclose(scipy.special.expit(ratio(np.log(p), np.log(q))), odds, rtol=1e-12)
    np.testing.assert_allclose(complexity(np.log(p), -np.log(q)), ratio(np.log(p), np.log(q)))


def test_an_impossible_event_is_strangest_by_every_score_and_nothing_is_nan():
    log_prob, background = np.array([-INF, -1.0, -INF, -2.0]), np.array([-3.0, -INF, -INF, -1.0])
    assert surprise(log_prob).tolist() == [INF, 1, INF, 2]
    assert typicality(log_prob, 1.5).tolist() == [INF, 0.5, INF, 0.5]
    assert ratio(log_prob, background).tolist() == [INF, -INF, INF, 1]
    assert complexity(log_prob, [5.0, 5.0, 5.0, 5.0]).tolist() == [INF, -4, INF, -3]


@pytest.mark.parametrize(
    "call",
    [
        lambda: surprise([0.0, math.nan]),
        lambda: surprise(np.zeros((2, 2))),
        lambda: ratio([0.0], [0.0, 1.0]),
        lambda: typicality([0.0], INF),
        lambda: p_values([1.0], []),
        lambda: auroc([1.0], [1.0, 2.0]),
    ],
)
def test_what_is_no_score_is_refused(call):
    with pytest.raises(UsageError) as error:
        call()
    assert "\n" not in str(error.value)


def test_complicated_pictures_take_more_nats_than_simple_ones():
    g = np.random.default_rng(0)
    noise = pil.fromarray(g.integers(0, 256, (32, 32), dtype=np.uint8))
    plain = pil.fromarray(np.full((32, 32), 7, np.uint8))
    nats = compressed_nats([noise, plain, noise.convert("RGB")])
    assert nats[0] > 32 * 32 * math.log(256)  # noise cannot be compressed
    assert nats[1] < 100 * math.log(256)
    assert nats[2] < 2.5 * nats[0]


# Ranks


def test_p_values_of_exchangeable_events_are_uniform():
    g = np.random.default_rng(2)
    scores = g.exponential(size=(20_000, 20))
    ranks = np.array([p_values(row[:1], row[1:])[0] for row in scores])
    counts = np.bincount(np.round(ranks * 20).astype(int), minlength=21)[1:]
    assert counts.sum() == len(scores)
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_p_values_of_a_large_calibration_pass_kolmogorov_and_smirnov():
    g = np.random.default_rng(3)
    known, scores = g.normal(size=50_000), g.normal(size=2_000)
    assert scipy.stats.kstest(p_values(scores, known), "uniform").pvalue > 0.01
    assert scipy.stats.kstest(p_values(scores + 0.3, known), "uniform").pvalue < 1e-6


def test_p_values_with_ties_and_infinities_are_never_too_small():
    known = [0.0, 1.0, 1.0, INF]
    assert p_values([-INF, 0.0, 1.0, 2.0, INF], known).tolist() == [1, 1, 0.8, 0.4, 0.4]
    g = np.random.default_rng(4)
    scores = g.integers(0, 3, size=(5_000, 10)).astype(float)
    ranks = np.array([p_values(row[:1], row[1:])[0] for row in scores])
    for level in (0.1, 0.2, 0.5):
        assert (ranks <= level).mean() <= level + 3 * math.sqrt(level / len(scores))


# Areas


@pytest.mark.parametrize("digits", [0, 12])
def test_the_area_is_scikit_learns_ties_and_infinities_too(digits):
    g = np.random.default_rng(5)
    low, high = np.round(g.normal(size=300), digits), np.round(g.normal(0.7, size=200), digits)
    labels = np.r_[np.zeros(300), np.ones(200)]
    assert auroc(low, high)[0] == pytest.approx(roc_auc_score(labels, np.r_[low, high]), abs=1e-12)
    assert auroc([0.0, INF, 1.0], [INF, 2.0])[0] == pytest.approx((2.5 + 2) / 6)
    assert auroc([0.0, 1.0], [-INF, INF])[0] == 0.5


def test_the_areas_standard_error_is_that_of_repetitions():
    g = np.random.default_rng(6)
    found = np.array([auroc(g.normal(size=80), g.normal(0.8, 1.5, size=50)) for _ in range(2000)])
    truth = scipy.stats.norm.cdf(0.8 / math.hypot(1, 1.5))
    assert found[:, 0].mean() == pytest.approx(truth, abs=4 * found[:, 0].std() / math.sqrt(2000))
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.05)


# Detectors of runs


def arrays(seed, n=400, levels=3):
    """Rows whose second column mostly repeats the first."""
    g = np.random.default_rng(seed)
    first = g.integers(0, levels, n)
    second = np.where(g.random(n) < 0.9, first, g.integers(0, levels, n))
    return np.stack([first, second, g.integers(0, levels, n)], 1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data = ptheta.load({"train": arrays(0), "validation": arrays(1), "test": arrays(2)})
    fits = {name: ptheta.fit(name, data, out=folder / name, verbose=False) for name in ("markov_chain", "independent")}
    other = ptheta.load({"train": arrays(0, levels=4)[:, :2], "test": arrays(2)[:, :2]})
    fits["other"] = ptheta.fit("independent", other, out=folder / "other", verbose=False)
    fits["empirical"] = ptheta.fit("empirical", data, out=folder / "empirical", verbose=False)
    return fits


def test_the_ratio_of_two_runs_is_the_log_bayes_factor_of_every_event(runs):
    chain, background = runs["markov_chain"], runs["independent"]
    events = enumerate_events(chain.model.space)
    scores = Detector(chain, against=background).score(Split(events.numpy()))
    p, q = chain.model.log_prob(events).exp(), background.model.log_prob(events).exp()
    assert float(p.sum()) == pytest.approx(1)
    np.testing.assert_allclose(scipy.special.expit(scores.anomaly), (q / (p + q)).numpy(), rtol=1e-9)
    broken = events[:, 0] != events[:, 1]
    assert scores.anomaly[broken].min() > scores.anomaly[~broken].max()
    assert scores.p_value is None


@pytest.mark.parametrize("method", ["surprise", "typicality", "ratio", "either", None])
def test_a_detector_ranks_new_events_among_held_out_ones(runs, method):
    against = runs["independent"] if method == "ratio" else None
    run = runs["markov_chain"]
    detector = Detector(run, method, against).calibrate(run.data.test)
    fresh, shuffled = arrays(7, 3000), arrays(7, 3000)
    shuffled[:, 1] = np.random.default_rng(0).permutation(shuffled[:, 1])
    ordinary, strange = detector.score(Split(fresh)), detector.score(Split(shuffled))
    for level in (0.05, 0.2):
        assert (ordinary.p_value <= level).mean() <= level + 0.06  # 400 events of calibration, 200 for typicality
    assert strange.p_value.mean() < ordinary.p_value.mean()
    assert auroc(ordinary.anomaly, strange.anomaly)[0] > 0.6
    assert (np.diff(strange.anomaly[strange.ranking]) <= 0).all()


def test_typicality_estimates_and_ranks_by_different_events(runs):
    run = runs["markov_chain"]
    detector = Detector(run, "typicality").calibrate(run.data.test)
    log_prob = run.model.log_prob(torch.from_numpy(arrays(2))).numpy()
    assert detector.entropy == pytest.approx(-log_prob[::2].mean())
    np.testing.assert_allclose(detector.known, typicality(log_prob[1::2], detector.entropy))


def test_impossible_events_rank_first_with_the_smallest_p_value(runs):
    run = runs["empirical"]
    events = torch.cat([run.data.train.events(slice(3))[0], enumerate_events(run.model.space)])
    impossible = torch.isneginf(run.model.log_prob(events)).numpy()
    assert 0 < impossible.sum() < len(events)
    detector = Detector(run, "surprise", per_dimension=True).calibrate(run.data.train)
    scores = detector.score(Split(events.numpy()))
    assert impossible[scores.ranking[: impossible.sum()]].all()
    assert not np.isnan(scores.anomaly).any()
    np.testing.assert_allclose(scores.p_value[impossible], 1 / 401)
    assert scores.p_value[~impossible].min() > 1 / 401


def test_a_class_column_and_the_pieces_keep_their_sums(runs):
    run = runs["markov_chain"]
    scores = Detector(run, per_dimension=True).calibrate(run.data.test).score(Split(arrays(9, 20)))
    np.testing.assert_allclose(scores.pieces.sum(1).numpy(), scores.log_prob, rtol=1e-12)
    pieces = run.model.log_prob_per_dimension(torch.from_numpy(arrays(2)))
    np.testing.assert_allclose(scores.usual.numpy(), -pieces.mean(0).numpy(), rtol=1e-12)


def test_without_calibration_events_there_are_no_p_values(runs):
    run, nothing = runs["markov_chain"], Split(arrays(0)[:0])
    detector = Detector(run).calibrate(nothing)
    assert detector.score(Split(arrays(1))).p_value is None
    assert len(detector.score(nothing).anomaly) == 0
    with pytest.raises(UsageError, match="hold some out"):
        Detector(run, "typicality").calibrate(nothing)
    with pytest.raises(UsageError, match="held out"):
        Detector(run, "typicality").score(Split(arrays(1)))


class Bounded(torch.nn.Module):
    density = ptheta.models.Density.LOWER_BOUND


def test_what_does_not_fit_together_is_refused(runs):
    chain, background = runs["markov_chain"], runs["independent"]
    cases = {
        "models": lambda: Detector(chain, against=runs["other"]),
        "needs a background": lambda: Detector(chain, "ratio"),
        "has no background": lambda: Detector(chain, "typicality", background),
        "is for pictures": lambda: Detector(chain, "complexity"),
        "did you mean surprise": lambda: Detector(chain, "suprise"),
    }
    for said, call in cases.items():
        with pytest.raises(UsageError, match=said):
            call()
    bounded = ptheta.Run(Path("vae"), chain.config, Bounded())
    with pytest.raises(DensityError, match="vae has no exact density"):
        Detector(bounded)


def test_a_background_may_take_other_pictures_but_not_other_values(tmp_path):
    g = np.random.default_rng(0)
    whites = {name: g.integers(0, high, (60, 4, 4), dtype=np.uint8) for name, high in (("dark", 256), ("also", 256))}
    first, second = (
        ptheta.fit("independent", ptheta.load(x, **o), out=tmp_path / n, verbose=False)
        for (n, x), o in zip(whites.items(), ({}, {"size": (4, 4)}))
    )
    assert first.codec != second.codec
    Detector(first, against=second)
    binary = ptheta.fit("independent", ptheta.load(whites["dark"], levels=2), out=tmp_path / "b", verbose=False)
    drawn = ptheta.load(whites["dark"], binarize="threshold")
    threshold = ptheta.fit("independent", drawn, out=tmp_path / "t", verbose=False)
    with pytest.raises(UsageError, match="other values of the same space"):
        Detector(binary, against=threshold)


def test_complexity_of_a_run_is_its_nats_less_those_of_the_pictures_files(tmp_path):
    data = ptheta.load("digits")
    run = ptheta.fit("independent", data, out=tmp_path / "r", verbose=False)
    part = data.test.subset(5)
    scores = Detector(run, "complexity").score(part)
    expected = -run.model.log_prob(part.events()[0]).numpy() - compressed_nats(run.codec.decode(part.x))
    np.testing.assert_allclose(scores.anomaly, expected)
    np.testing.assert_allclose(scores.reference, -compressed_nats(run.codec.decode(part.x)))
    known = ("either", "surprise", "neighbours", "typicality", "ratio", "complexity")
    assert anomalies.Method.__args__ == known


def test_a_background_given_labels_is_for_runs_given_the_same_labels(tmp_path):
    runs = {
        name: ptheta.fit("independent", ptheta.load("digits", context=context), out=tmp_path / name, verbose=False)
        for name, context in (("plain", None), ("labelled", "label"))
    }
    part = runs["labelled"].data.test.subset(20)
    with pytest.raises(UsageError, match="labelled needs a context"):
        Detector(runs["plain"], against=runs["labelled"])
    x, y = part.events()
    expected = runs["plain"].model.log_prob(x) - runs["labelled"].model.log_prob(x, y)
    scores = Detector(runs["labelled"], against=runs["plain"]).score(part)
    np.testing.assert_allclose(scores.anomaly, expected.numpy())
    same = Detector(runs["labelled"], against=runs["labelled"]).score(part)
    assert not same.anomaly.any()
