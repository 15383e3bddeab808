"""`ptheta divergence`: what it prints of two runs is what the models say."""

import pytest
import torch

import ptheta as package
from ptheta.divergences import NAMES, divergences
from ptheta.runs import Run


def test_two_runs_are_compared_as_their_models_are(here, ptheta):
    assert ptheta("fit", "pictures", "independent", "--levels", "4", "--out", "other").code == 0
    p, q = Run.load("pic").model, Run.load("other").model
    expected = divergences(p, q, n=50, seed=3)
    result = ptheta("divergence", "pic", "other", "-n", "50", "--seed", "3", "--json")
    assert result.code == 0
    for name, estimate in expected.items():
        assert result.json[name]["value"] == pytest.approx(estimate.value, rel=1e-9)
        assert result.json[name]["se"] == pytest.approx(estimate.se, rel=1e-9)
        assert not result.json[name]["infinite"]
    printed = ptheta("divergence", "pic", "other", "-n", "50", "--seed", "3").out
    for name, words in NAMES.items():
        (line,) = [line for line in printed.splitlines() if line.strip().startswith(words)]
        assert line.removeprefix("  ").removeprefix(words).strip() == str(expected[name])


def test_conditional_runs_are_compared_at_all_labels_or_at_some(here, ptheta):
    assert ptheta("fit", "table.csv", "made", "--context", "kind", "--steps", "3", "--out", "more").code == 0
    p, q = Run.load("lab").model, Run.load("more").model
    assert p.context_space is not None
    every = divergences(p, q, torch.arange(p.context_space.levels))
    found = ptheta("divergence", "lab", "more", "--json").json
    assert found["total_variation"]["value"] == pytest.approx(every["total_variation"].value, rel=1e-6)
    name = p.context_space.names[1]
    one = ptheta("divergence", "lab", "more", "--context", name, "--json").json
    assert one["forward_kl"]["value"] == pytest.approx(divergences(p, q, [name])["forward_kl"].value, rel=1e-6)


def test_events_made_differently_of_the_data_do_not_compare(here, ptheta):
    assert ptheta("fit", "pictures", "independent", "--levels", "2", "--out", "a").code == 0
    assert ptheta("fit", "pictures", "independent", "--binarize", "threshold", "--out", "b").code == 0
    assert Run.load("a").model.space == Run.load("b").model.space
    result = ptheta("divergence", "a", "b")
    assert result.code == 2
    assert "a and b encode their events differently; load the data of both with the same" in result.err


@pytest.fixture
def worded(here, ptheta):
    """Fits a run of labels given texts: name, options → the run."""
    rows = [
        f"{kind},{'a dress' if kind == 'silk' else 'some shoes'} {i % 7}"
        for i, kind in enumerate(["silk", "suede"] * 20)
    ]
    (here / "worded.csv").write_text("\n".join(["kind,text", *rows]) + "\n")

    def fit(name, *options):
        words = ["--event", "kind", "--columns", "categories", "--context", "text", "--width", "16", "--steps", "3"]
        assert ptheta("fit", "worded.csv", "made", *words, *options, "--out", name).code == 0
        return Run.load(name)

    return fit


def test_without_a_context_models_that_learned_p_of_x_are_compared(worded, ptheta):
    p, q = worded("p"), worded("q", "--seed", "1")
    result = ptheta("divergence", "p", "q", "--json")
    x = torch.arange(2)[:, None]
    log_p, log_q = (run.model.log_prob(x).double().detach() for run in (p, q))
    assert result.code == 0
    assert "compared without one" in result.err
    expected = float((log_p.exp() * (log_p - log_q)).sum())
    assert result.json["forward_kl"]["value"] == pytest.approx(expected, rel=1e-5, abs=1e-9)
    worded("never", "--context-dropout", "0")
    for pair in (("p", "never"), ("never", "p")):
        refused = ptheta("divergence", *pair)
        assert refused.code == 2
        assert "never needs a context" in refused.err
        assert "compared without one" not in refused.err


def test_contexts_made_differently_of_the_data_do_not_compare(here, ptheta):
    rows = [f"{i % 3},{('in', 'out')[i % 2]},{('out', 'in')[i % 2]}" for i in range(60)]
    (here / "doors.csv").write_text("\n".join(["n,left,right", *rows]) + "\n")
    words = ["doors.csv", "independent", "--event", "n", "--columns", "categories"]
    for column in ("left", "right"):
        assert ptheta("fit", *words, "--context", column, "--out", column).code == 0
    p, q = Run.load("left"), Run.load("right")
    assert p.codec == q.codec
    assert p.model.context_space == q.model.context_space
    result = ptheta("divergence", "left", "right")
    assert result.code == 2
    assert "left and right encode their contexts differently" in result.err


def test_the_module_is_a_name_of_the_package():
    assert package.divergences.forward_kl is not None
