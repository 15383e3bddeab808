"""Wrong arguments from Python: one line that names the argument and the right remedy, before anything is done."""

import doctest

import numpy as np
import pytest
import torch

import ptheta
import ptheta.typed
from ptheta.errors import PthetaError

SEEDS = [
    ("a", "seed is 'a', not a whole number"),
    (1.5, "seed is 1.5, not a whole number"),
    (True, "seed is True, not a whole number"),
    (-1, "seed is -1; give"),
    (10**22, "seed is 10000000000000000000000; give"),
    (2**64, "seed is 18446744073709551616; give"),
]


def test_the_examples_of_typed_hold():
    assert doctest.testmod(ptheta.typed).failed == 0


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return ptheta.fit("independent", data, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def given_labels(tmp_path_factory):
    """A run that needs a context."""
    events = ptheta.load(
        {"x": np.arange(60).reshape(30, 2) % 3, "kind": np.array(["cat", "dog", "bird"] * 10)}, "x", "kind"
    )
    small = {"width": 4, "layers": 1, "context_dropout": 0.0}
    return ptheta.fit("made", events, steps=1, out=tmp_path_factory.mktemp("runs") / "run", hyperparameters=small)


@pytest.mark.parametrize(("seed", "problem"), SEEDS, ids=str)
def test_a_wrong_seed_is_refused_wherever_one_is_taken(seed, problem, run, data, tmp_path):
    x = data.splits["test"].x[:2]
    for use in (
        lambda: run.model.sample(2, seed=seed),
        lambda: run.model.complete(x, 0.5, seed=seed),
        lambda: ptheta.load("digits", seed=seed),
        lambda: ptheta.fit("independent", data, seed=seed, out=tmp_path / "run"),
    ):
        with pytest.raises(PthetaError) as caught:
            use()
        assert str(caught.value).startswith(problem)
    assert list(tmp_path.iterdir()) == []


def test_numpys_numbers_are_pythons(run, data, tmp_path):
    assert torch.equal(run.model.sample(np.int32(2), seed=np.int64(3)), run.model.sample(2, seed=3))
    fitted = ptheta.fit(
        "made", data, steps=np.int64(1), seed=np.uint8(3), batch_size=np.int16(4), learning_rate=np.float32(0.5),
        out=tmp_path / "run", hyperparameters={"width": np.int64(4), "layers": 1}, device=torch.device("cpu"),
    )  # fmt: skip
    kept = fitted.config["fit"]["settings"]
    assert (kept["batch_size"], kept["learning_rate"], fitted.config["seed"]) == (4, 0.5, 3)
    assert fitted.config["model"]["hyperparameters"]["width"] == 4


@pytest.mark.parametrize(
    ("arguments", "settings", "problem"),
    [
        (
            ("digits", "made"),
            {},
            "fit takes the model first and the data second; swap them: ptheta.fit('made', 'digits')",
        ),
        ((np.zeros((9, 2)), "made"), {}, "swap them: ptheta.fit('made', data)"),
        (("digits",), {"model": "made"}, "model is given twice; the order of arguments is fit(model, data)"),
        (("digits",), {}, "'digits' is not a model; to have one chosen, give None: ptheta.fit(None, 'digits')"),
        ((np.zeros((9, 2)),), {}, "a ndarray is not a model; to have one chosen, give None: ptheta.fit(None, data)"),
        ((3, "digits"), {}, "an int is not a model"),
        (("made",), {}, "there is nothing to fit"),
        (("made", "digits"), {"widht": 3}, "no setting 'widht'; did you mean width?"),
        (("made", "digits"), {"batchsize": 3}, "did you mean batch_size?"),
        (("made", "digits"), {"minuts": 3}, "did you mean minutes?"),
        (("made", "digits"), {"context": "label"}, "give fit ptheta.load(source, context='label')"),
        (("made", "digits"), {"hyperparameters": [1]}, "hyperparameters is [1], not a dict"),
        (("made", "digits"), {"steps": "a"}, "steps is 'a', not a whole number"),
        (("made", "digits"), {"steps": 1e3}, "steps is 1000.0, not a whole number; give 1000"),
        (("made", "digits"), {"minutes": True}, "minutes is True, not a number"),
        (("made", "digits"), {"batch_size": 2.5}, "batch_size is 2.5, not a whole number"),
        (("made", "digits"), {"learning_rate": "a"}, "learning_rate is 'a', not a number"),
        (("made", "digits"), {"memory": "a"}, "memory is 'a', not a number"),
        (("made", "digits"), {"out": 3}, "out is 3, not a string or a path"),
        (("made", "digits"), {"device": "foo"}, "no device is called 'foo'; use auto, cpu or cuda"),
    ],
    ids=str,
)
def test_wrong_arguments_of_fit_are_named_with_the_right_remedy(arguments, settings, problem):
    with pytest.raises(PthetaError) as caught:
        ptheta.fit(*arguments, **settings)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [("a", "width of MADE is 'a', not a whole number"), (2.5, "width of MADE is 2.5"), (True, "width of MADE is True")],
)
def test_a_hyperparameter_has_its_type(value, problem, data, tmp_path):
    with pytest.raises(PthetaError, match=problem):
        ptheta.fit("made", data, steps=1, hyperparameters={"width": value}, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda run: run.model.sample(2.5), "n is 2.5, not a whole number"),
        (lambda run: run.model.sample("3"), "n is '3', not a whole number"),
        (lambda run: run.model.sample(-1), "-1 samples asked for"),
        (lambda run: run.model.sample(2, temprature=1), "did you mean temperature?"),
        (lambda run: run.model.sample(2, temperature="a"), "temperature is 'a', not a number"),
        (lambda run: run.model.sample(2, sed=1), "has no sampling option 'sed'"),
        (lambda run: run.model.sample(2, "cat"), "this model has no context; leave the context out"),
        (lambda run: run.model.complete([[0, 1, 2, 1]], keep="a"), "keep is 'a'; give a fraction"),
        (lambda run: run.model.log_prob(np.array([["a"]])), "x holds <U1 values, not numbers"),
        (lambda run: run.model.log_prob(np.zeros((2, 4))), "events of Discrete(shape=[4], levels=3) are integers"),
        (lambda run: run.evaluate("tset"), "the data have no split 'tset'; did you mean test?"),
        (lambda run: run.evaluate(limit=0), "limit is 0; give at least 1"),
        (lambda run: run.evaluate(splt="test"), "evaluate has no argument 'splt'; did you mean split?"),
        (lambda run: ptheta.Run.load(run), "path is a Run, not a string or a path"),
        (lambda run: ptheta.Run.load(run.path, device="foo"), "no device is called 'foo'"),
        (lambda run: ptheta.load(run), "a Run is not a source"),
        (lambda run: ptheta.load(run.path), "is a run folder, not data; load it with ptheta.Run.load"),
        (lambda run: ptheta.load("digits", limit="a"), "limit is 'a', not a whole number"),
        (lambda run: ptheta.load("digits", event=3), "event is 3, not a string"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_of_a_run_are_named(use, problem, run):
    with pytest.raises(PthetaError) as caught:
        use(run)
    assert problem in str(caught.value)


def test_no_events_are_no_events(run):
    assert run.model.sample(0, seed=1).shape == (0, 4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(run, data):
    for use in (lambda: ptheta.fit("made", data, device="cuda"), lambda: ptheta.Run.load(run.path, device="cuda:1")):
        with pytest.raises(PthetaError, match="no GPU is usable here; use the device cpu"):
            use()


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        (None, "this model needs a context"),
        (["cow"], "no label is called 'cow'"),
        ([7], "7, outside the levels 0 to 2"),
        (["cat", "dog", "cat"], "the context has 3 rows for 2 events"),
    ],
)
def test_wrong_contexts_are_named(context, problem, given_labels):
    with pytest.raises(PthetaError) as caught:
        given_labels.model.sample(2, context)
    assert problem in str(caught.value)
