"""Fits to a target through `ptheta.fit`: the folder they leave, the commands that take it, what is refused."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

import ptheta
from ptheta.errors import FitError, RunError, UsageError
from ptheta.models import Density
from ptheta.models.autoregressive.made import MADE
from ptheta.spaces import Discrete, Image, Label, Real
from ptheta.training import ReverseKL, Settings, Target, World

SPACE = Image(2, 3, levels=2)
SMALL = {"width": 24, "layers": 1}


def ising(x):
    """log f of the Ising model with free ends."""
    s = 2.0 * x[:, 0] - 1
    return 0.6 * ((s[:, 1:] * s[:, :-1]).sum((1, 2)) + (s[:, :, 1:] * s[:, :, :-1]).sum((1, 2)))


def bowl(x):
    """log f of a standard normal density without its constant."""
    return -(x**2).sum(1) / 2


def objective(model, **settings):
    options = {name: settings.pop(name) for name in ReverseKL.options() if name in settings}
    here = World(0, 1, torch.device("cpu"))
    return ReverseKL(model, Target.of(ising), Settings(**settings), seed=0, world=here, **options)


# What a run keeps of it


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("target") / "run"
    return ptheta.fit("made", SPACE, target=ising, steps=5, out=folder, hyperparameters=SMALL)


def test_the_folder_is_a_run_like_any_other(fitted):
    run = ptheta.Run.load(fitted.path)
    assert torch.equal(run.model.sample(5, seed=0), fitted.model.sample(5, seed=0))
    assert run.config["data"]["source"] == "target: ising, in memory"
    assert run.config["fit"]["objective"] == "reverse_kl"
    card = (run.path / "README.md").read_text()
    assert "free energy" in card
    assert "| data | target: ising, in memory |" in card
    assert (run.path / "samples.png").exists()
    assert not (run.path / "copies.png").exists()


def test_what_needs_data_says_that_there_are_none(fitted):
    for run in (fitted, ptheta.Run.load(fitted.path)):
        with pytest.raises(RunError, match="fitted to a target density, so it has no data"):
            run.evaluate()
    with pytest.raises(RunError, match="fitted to a target density, so it has no data"):
        _ = ptheta.Run.load(fitted.path).data


def test_the_commands_take_it(fitted, tmp_path, monkeypatch, capsys):
    from PIL import Image as Picture

    from ptheta.cli.main import main

    monkeypatch.chdir(tmp_path)
    run = str(fitted.path)

    def ptheta_says(*arguments):
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    drawn = ptheta_says("sample", run, "-n", "3", "--seed", "0", "--out", "drawn")
    pictures = sorted(path for path in map(str, drawn["files"]) if "000" in path)
    assert len(pictures) == 3
    assert np.unique(Picture.open(pictures[0])).tolist() in ([0, 255], [0], [255])
    score = ptheta_says("score", run, pictures[0], "--out", "scores.parquet")
    x = fitted.events(pictures[0])
    assert score["nats"] == pytest.approx(-fitted.model.log_prob(x).item(), rel=1e-5)
    assert len(ptheta_says("complete", run, pictures[0], "-n", "2", "--out", "done")["files"]) >= 1
    info = ptheta_says("info", run)
    assert info["results"]["free_energy"] == fitted.results()["free_energy"]
    assert ptheta_says("divergence", run, run)["forward_kl"]["value"] == 0
    assert main(["fit", "--resume", "--out", run]) == 2
    assert "a function that is not stored in the folder" in capsys.readouterr().err


# What is wrong


def wrong(answer):
    def target(x):
        return answer(x)

    return target


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (wrong(lambda x: ising(x)[:, None]), r"returned shape \[64, 1\] for 64 events; return a tensor"),
        (wrong(lambda x: ising(x).sum()), r"returned shape \[\] for 64 events"),
        (wrong(lambda x: 0.0), "returned a float for 64 events"),
        (wrong(lambda x: ising(x) * math.nan), r"is NaN for 64 of 64 events, the first \["),
        (wrong(lambda x: ising(x) + math.inf), r"is \+∞ for 64 of 64 events"),
        (wrong(lambda x: ising(x) - math.inf), "assigns probability 0 to all 64 events"),
        ("ising", "the target is a str, not a function"),
    ],
)
def test_targets_that_are_no_log_densities_are_refused_and_leave_nothing(target, said, tmp_path):
    with pytest.raises(FitError, match=said):
        ptheta.fit("made", SPACE, target=target, steps=3, batch_size=64, out=tmp_path / "run", hyperparameters=SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (lambda x: bowl(x.detach()), "has no gradient with respect to x; compute it from x by torch"),
        (lambda x: torch.where(x[:, 0] > 0, bowl(x), -math.inf), "is −∞ for some events, where it has no gradient"),
    ],
)
def test_a_flow_needs_the_gradient(target, said, tmp_path):
    with pytest.raises(FitError, match=said):
        ptheta.fit("flow", Real((2,)), target=target, steps=3, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


GIVEN = {
    "typo": ({"objective": "reverse_lk", "target": ising}, "called 'reverse_lk'; did you mean reverse_kl?"),
    "no target": ({"objective": "reverse_kl"}, "reverse KL needs a target; give target=f"),
    "wrong objective": ({"objective": "maximum_likelihood", "target": ising}, "learns from data, not from a target"),
    "epochs": ({"target": ising, "epochs": 3}, "a target has no epochs"),
    "preset": ({"target": ising, "preset": "tiny"}, "presets are for data"),
    "anneal data": ({"anneal": 0.5}, "anneal applies to fits to a target only"),
    "setting": ({"target": ising, "aneal": 0.5}, "fit has no setting 'aneal'; did you mean anneal?"),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN)
def test_what_does_not_belong_together_is_refused(case, tmp_path):
    given, said = GIVEN[case]
    with pytest.raises(UsageError) as caught:
        ptheta.fit("made", SPACE, out=tmp_path / "run", **given)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_data_and_target_there_is_nothing_to_fit():
    with pytest.raises(UsageError, match="there is nothing to fit"):
        ptheta.fit("made")
    with pytest.raises(UsageError, match="the space of x is unknown"):
        ptheta.fit("made", target=ising)
    with pytest.raises(UsageError, match="a str is not a space"):
        ptheta.fit("made", "digits", target=ising)
    with pytest.raises(UsageError, match=r"the model is over Image.*, the target over Real"):
        ptheta.fit(MADE(SPACE, **SMALL), Real((2,)), target=ising)


def test_models_that_cannot_learn_in_this_way_are_refused(tmp_path):
    with pytest.raises(FitError, match="Independent learns by counting events"):
        ptheta.fit("independent", SPACE, target=ising, steps=3, out=tmp_path / "run")
    implicit = MADE(SPACE, **SMALL)
    implicit.density = Density.IMPLICIT
    with pytest.raises(FitError, match="MADE has no density, and reverse KL needs log q"):
        ptheta.fit(implicit, target=ising, steps=3, out=tmp_path / "run")
    with pytest.raises(FitError, match="a target has no context"):
        objective(MADE(SPACE, Label(("a", "b")), **SMALL))
    with pytest.raises(FitError, match="a part of 1 events has no leave-one-out baseline; raise batch_size"):
        objective(MADE(SPACE, **SMALL), batch_size=4, accumulate=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("anneal", -0.1), ("anneal", 1.5), ("anneal_until", 0.0)])
def test_annealing_has_its_limits(name, value):
    with pytest.raises(FitError, match=f"{name} is {value}; give a number from 0 to 1"):
        objective(MADE(SPACE, **SMALL), **{name: value})


def test_a_run_on_data_takes_no_target(data, tmp_path):
    ptheta.fit("made", data, steps=2, out=tmp_path / "run", hyperparameters=SMALL)
    with pytest.raises(RunError, match="was fitted to data, not to a target"):
        ptheta.fit(None, data, out=tmp_path / "run", resume=True, target=ising)


@pytest.mark.parametrize("space", [Discrete((3,), 4, (2, 4, 3)), Real((2, 2)), Image(2, 2, 3, 256)])
def test_samples_are_written_in_every_space(space, tmp_path):
    width = {"width": 8, "layers": 1}
    ptheta.fit(None, space, target=lambda x: 0.0 * x.flatten(1).double().sum(1), steps=2, out=tmp_path / "run",
               batch_size=8, hyperparameters=width)  # fmt: skip
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names & {"samples.npy", "samples.png"}


def test_every_event_has_its_place_in_the_fingerprint():
    space = Discrete((3,), 4, (2, 4, 3))
    seen = []
    Target.of(lambda x: seen.append(x) or x.sum(1).float()).fingerprint(space)
    assert {tuple(row) for row in seen[0].tolist()} <= set(itertools.product(range(2), range(4), range(3)))
    assert len({Target.of(lambda x, k=k: k * x.sum(1).float()).fingerprint(space) for k in (1, 2)}) == 2
