"""Metrics of classes are scikit-learn's, and the command prints them beside baselines for rows and pictures."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as reference
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import ptheta
from ptheta.classifying import combinations, marginals, training_prior
from ptheta.cli.main import main
from ptheta.errors import ContextError
from ptheta.judging.classes import calibration_error, judge_classes, most_frequent, per_label
from ptheta.judging.classifiers import logistic_regression
from ptheta.runs import Run
from ptheta.spaces import Joint, Label


def answers(levels, n=400, seed=0):
    g = np.random.default_rng(seed)
    truth = g.choice(levels, n, p=np.r_[[0.7], np.full(levels - 1, 0.3 / (levels - 1))])
    logits = g.normal(size=(n, levels)) + 1.5 * np.eye(levels)[truth]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), truth


@pytest.mark.parametrize("levels", [2, 4])
def test_metrics_of_classes_are_those_of_scikit_learn(levels):
    p, truth = answers(levels)
    judged = judge_classes(torch.from_numpy(p), torch.from_numpy(truth))
    found = {name: measure.value for name, measure in judged.items()}
    hot = np.eye(levels)[truth]
    rare = slice(1, 2) if levels == 2 else slice(None)
    expected = {
        "accuracy": reference.accuracy_score(truth, p.argmax(1)),
        "auroc": reference.roc_auc_score(hot[:, rare], p[:, rare], average="macro"),
        "average_precision": reference.average_precision_score(hot[:, rare], p[:, rare], average="macro"),
        "log_loss": reference.log_loss(truth, p),
        "brier": reference.brier_score_loss(truth, p, labels=range(levels), scale_by_half=False),
    }
    calibration = found.pop("calibration_error")
    assert found == pytest.approx(expected, rel=1e-6)
    gaps, confidence, right = 0.0, p.max(1), p.argmax(1) == truth
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        gaps += abs(right[inside].sum() - confidence[inside].sum())
    assert calibration == pytest.approx(gaps / len(p))
    each = per_label(p, truth, [f"k{i}" for i in range(levels)])
    assert [each[f"k{i}"]["n"] for i in range(levels)] == np.bincount(truth).tolist()
    for i in range(levels):
        assert each[f"k{i}"]["auroc"] == pytest.approx(reference.roc_auc_score(truth == i, p[:, i]))


def test_a_calibrated_answer_has_no_error_of_calibration_and_a_boastful_one_has():
    g = np.random.default_rng(1)
    p = g.uniform(0.5, 1, 20_000)
    right = g.random(20_000) < p
    assert calibration_error(p, right) < 0.02
    assert calibration_error(np.full_like(p, 0.999), right) == pytest.approx(0.999 - right.mean())


def test_the_most_frequent_label_ranks_nothing_and_is_right_as_often_as_it_occurs():
    truth = np.repeat([0, 1], [97, 3])
    found = judge_classes(most_frequent(np.repeat([0, 1, -1], [900, 100, 50]), 2, 100), truth)
    assert found["accuracy"].value == 0.97
    assert found["auroc"].value == 0.5
    assert found["average_precision"].value == pytest.approx(0.03)
    assert found["log_loss"].value == pytest.approx(-0.97 * np.log(0.9) - 0.03 * np.log(0.1))


def test_an_impossible_event_is_wrong_and_labels_that_do_not_occur_are_not_ranked():
    p, truth = answers(3)
    p[np.flatnonzero(truth == 0)[0]] = np.nan
    found = judge_classes(p, truth)
    assert found["accuracy"].value == pytest.approx((np.nan_to_num(p, nan=-1.0).argmax(1) == truth).mean() - 1 / len(p))
    assert found["log_loss"].value == np.inf
    wider = np.pad(p, ((0, 0), (0, 1)))
    assert judge_classes(wider, truth)["auroc"] == found["auroc"]
    assert set(judge_classes(wider[:1], truth[:1])) == {"accuracy", "log_loss", "brier", "calibration_error"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of which 8 % are rare and lie elsewhere, with two labels, a category and missing numbers; and two runs."""
    place, g = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    n = 1500
    rare = g.random(n) < 0.08
    frame = pd.DataFrame({"a": np.round(g.normal(size=n) + 2 * rare, 3), "b": np.round(g.normal(size=n), 3)})
    frame["c"] = np.where(g.random(n) < 0.7, np.where(rare, "x", "y"), "z")
    frame.loc[g.random(n) < 0.1, "b"] = np.nan
    frame["kind"] = np.where(rare, "rare", "usual")
    frame["side"] = np.where(frame["a"] > 0, "right", "left")
    frame.to_csv(place / "rows.csv", index=False)
    fits = {"one": "kind", "two": "kind,side"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, context in fits.items():
            words = ["--event", "a,b,c", "--context", context, "--width", "16", "--layers", "1", "--steps", "60"]
            assert main(["fit", "rows.csv", "table", *words, "--out", name]) == 0
    return place


@pytest.fixture
def classified(rows, monkeypatch, capsys):
    monkeypatch.chdir(rows)

    def run(*words):
        capsys.readouterr()
        code = main(["classify", *words, "--json"])
        out, err = capsys.readouterr()
        return (json.loads(out.splitlines()[-1]) if code == 0 else None), err

    return run


def test_rare_rows_are_judged_by_rank_beside_baselines_for_rows(classified):
    found, err = classified("one", "rows.csv")
    run = Run.load("one")
    x, y = run.data.test.events()
    p = ptheta.classify(run, x)
    names = run.model.context_space.names
    rare = names.index("rare")
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(y == rare, p[:, rare]))
    assert found["labels"]["rare"]["n"] == int((y == rare).sum())
    assert set(found["baselines"]) == {"most frequent label", "logistic regression", "gradient boosting"}
    constant = found["baselines"]["most frequent label"]
    assert constant["accuracy"] == pytest.approx(float((y != rare).double().mean()))
    assert (constant["auroc"], constant["rows"]) == (0.5, len(run.data.train))
    assert min(found["auroc"], *(found["baselines"][k]["auroc"] for k in list(found["baselines"])[1:])) > 0.8
    assert "AUROC and average precision of 'rare'" in err
    below = found["accuracy"] < constant["accuracy"]
    assert ("--prior train takes labels" in err) == below == bool(found["notes"])


def test_logistic_regression_on_rows_is_scikit_learns_on_the_same_columns(rows):
    run = Run.load(rows / "one")
    train, test = run.data.train, run.data.test
    trained = logistic_regression(train, run.model.space, run.codec)
    number, category = ["a", "b"], ["c"]
    prepared = make_column_transformer(
        (StandardScaler(), ["a"]),
        (make_pipeline(StandardScaler(), SimpleImputer(add_indicator=True)), ["b"]),
        (OneHotEncoder(handle_unknown="ignore"), category),
    )
    frames = [run.codec.decode(split.x)[number + category] for split in (train, test)]
    theirs = make_pipeline(prepared, LogisticRegression(max_iter=200)).fit(frames[0], train.context)
    np.testing.assert_allclose(trained.probabilities(test.x), theirs.predict_proba(frames[1]), atol=1e-3)


def test_of_several_labels_each_is_classified_by_the_sum_over_the_others(classified, tmp_path):
    found, err = classified("two", "rows.csv", "--prior", "train", "--out", str(tmp_path / "p.csv"))
    run = Run.load("two")
    x, y = run.data.test.events()
    space = run.model.context_space
    kinds, sides = (part for _, part in space.parts)
    prior, joint = training_prior(run), torch.zeros(len(x), kinds.levels, sides.levels, dtype=torch.float64)
    known = run.data.train.context
    for i in range(kinds.levels):
        for j in range(sides.levels):
            share = ((known[:, 0] == i) & (known[:, 1] == j)).mean()
            assert prior[i * sides.levels + j] == pytest.approx(share)
            joint[:, i, j] = run.model.log_prob(x, torch.tensor([[i, j]])).detach().exp() * share
    joint /= joint.sum((1, 2), keepdim=True)
    frame = pd.read_csv(tmp_path / "p.csv")
    for k, name in enumerate(sides.names):
        np.testing.assert_allclose(frame[f"p(side={name})"], joint.sum(1)[:, k], rtol=1e-5, atol=1e-9)
    right = (joint.sum(2).argmax(1) == y[:, 0]).double().mean()
    assert found["parts"]["kind"]["accuracy"] == pytest.approx(float(right))
    assert found["parts"]["side"]["baselines"]["gradient boosting"]["accuracy"] > 0.95
    assert "side of " in err


def test_combinations_are_all_contexts_and_too_many_are_refused():
    space = Joint({"a": Label(("x", "y")), "b": Label(("p", "q", "r"))})
    assert combinations(space).tolist() == [[i, j] for i in range(2) for j in range(3)]
    p = torch.rand(5, 6, dtype=torch.float64)
    assert {name: tuple(part.shape) for name, part in marginals(p, space).items()} == {"a": (5, 2), "b": (5, 3)}
    torch.testing.assert_close(marginals(p, space)["b"][:, 2], p[:, 2] + p[:, 5])
    many = Label(tuple(map(str, range(100))))
    with pytest.raises(ContextError, match="2 labels have 10,000 combinations"):
        combinations(Joint({"a": many, "b": many}))
