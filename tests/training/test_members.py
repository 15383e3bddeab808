"""Members of a fit: learned one after the other, mixed in one run, resumed to the bit."""

import os
import shutil

import pytest
import torch

import ptheta
from ptheta.configs import read_config
from ptheta.errors import FitError, RunError, UsageError
from ptheta.evaluation.nats import evaluate
from ptheta.fitting.members import wanted_members
from ptheta.models import MADE, Histogram, Independent
from ptheta.models.ensembles.autoregressive import AutoregressiveEnsemble
from ptheta.models.ensembles.base import Ensemble
from ptheta.reporting import FitProgress
from ptheta.spaces import Discrete
from ptheta.training import Budget, MaximumLikelihood, ReverseKL
from ptheta.training.state import load_state
from ptheta.weights import read_tensors

QUICK = {"hyperparameters": {"width": 32}, "learning_rate": 0.02, "batch_size": 8}
"""A fit to few digits that soon overfits."""


@pytest.fixture(scope="module")
def few():
    return ptheta.load("digits", limit=60)


@pytest.fixture(scope="module")
def three(few, tmp_path_factory):
    """A run of three members."""
    return ptheta.fit("made", few, steps=300, members=3, out=tmp_path_factory.mktemp("three") / "run", **QUICK)


def nats(model, split):
    return evaluate(model, split).nats


def test_a_run_of_members_is_their_mixture_and_better_than_each(three, few):
    model = ptheta.Run.load(three.path).model
    assert isinstance(model, AutoregressiveEnsemble)
    assert len(model.members) == 3
    assert three.results()["members"] == 3
    x, _ = few.splits["test"].events()
    alone = torch.stack([member.log_prob(x) for member in model.members])
    torch.testing.assert_close(model.log_prob(x), alone.logsumexp(0) - torch.tensor(3.0).double().log())
    assert three.results()["nats"] == pytest.approx(-float(model.log_prob(x).mean()), abs=1e-5)
    assert three.results()["nats"] < -float(alone.mean(1).max()) - 0.1, "the best of them"
    first, second, third = (member.out.weight for member in model.members)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_the_first_member_is_the_model_of_a_fit_of_its_share_of_the_steps(three, few, tmp_path):
    alone = ptheta.fit("made", few, steps=100, out=tmp_path / "alone", **QUICK)
    first = ptheta.Run.load(three.path).model.members[0]
    for name, tensor in alone.model.state_dict().items():
        assert torch.equal(first.state_dict()[name], tensor), name


def test_the_others_take_as_many_steps_as_led_to_the_weights_of_the_first(three):
    lines = [line for line in three.metrics() if "step" in line]
    ends = [line["step"] for line in lines if "mixture" in line]
    first = max(line["step"] for line in lines if "learning_rate" in line and "member" not in line)
    annealed = next(note for line in lines for note in line.get("notes", []) if "falls to 0" in note)
    source, _, steps = (int(word) for word in annealed.replace(":", "").split() if word.isdigit())
    assert [ends[0] - first, ends[1] - ends[0]] == [source + steps] * 2
    assert three.results()["steps"] == ends[-1]
    assert [line["mixture"] for line in lines if "mixture" in line] == sorted(
        (line["mixture"] for line in lines if "mixture" in line), reverse=True
    )


@pytest.mark.parametrize("moment", ["first", "annealing", "its last step", "second", "its end", "third"])
def test_interrupted_and_resumed_equals_uninterrupted(moment, three, few, tmp_path, monkeypatch):
    lines = [line for line in three.metrics() if "learning_rate" in line]
    first = max(line["step"] for line in lines if "member" not in line)
    second = max(line["step"] for line in lines if line.get("member") == 2)
    start = next(line["step"] for line in three.metrics() if any("falls" in note for note in line.get("notes", [])))
    step = {
        "first": 15,
        "annealing": start + 3,
        "its last step": first,
        "second": first + 12,
        "its end": second,
        "third": second + 1,
    }[moment]
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.all_steps == step:
            os.kill(os.getpid(), 2)

    with monkeypatch.context() as patch:
        patch.setattr(FitProgress, "advance", heard)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", few, steps=300, members=3, out=tmp_path / "run", **QUICK)
    stopped, _ = load_state(tmp_path / "run" / "checkpoint" / "state.safetensors")
    assert stopped.all_steps in (step, step + 1)
    usable = ptheta.Run.load(tmp_path / "run")
    assert isinstance(usable.model, Ensemble) == (stopped.member >= 2)
    again = ptheta.fit(None, few, out=tmp_path / "run", resume=True)
    mine, theirs = (read_tensors(run.path / "model.safetensors")[0] for run in (again, three))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    kept = [{k: v for k, v in line.items() if k != "seconds"} for line in three.metrics() if "step" in line]
    mine = [{k: v for k, v in line.items() if k != "seconds"} for line in again.metrics() if "step" in line]
    assert mine == kept
    assert again.notes == three.notes
    assert again.remarks == []


def test_a_process_that_dies_after_a_member_joined_leaves_a_run_that_goes_on(three, few, tmp_path, monkeypatch):
    """The run is the mixture already, and the checkpoint is still that of the member's end."""
    become = ptheta.Run.become

    def dying(self, model):
        become(self, model)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(ptheta.Run, "become", dying)
        with pytest.raises(SystemExit):
            ptheta.fit("made", few, steps=300, members=3, out=tmp_path / "run", **QUICK)
    assert len(ptheta.Run.load(tmp_path / "run").model.members) == 2
    again = ptheta.fit(None, few, out=tmp_path / "run", resume=True)
    mine, theirs = (read_tensors(run.path / "model.safetensors")[0] for run in (again, three))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_fit_whose_checkpoint_was_lost_begins_anew(three, few, tmp_path):
    shutil.copytree(three.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text("".join(line for line in metrics.open() if '"results"' not in line))
    again = ptheta.fit(None, few, out=tmp_path / "run", resume=True)
    mine, theirs = (read_tensors(run.path / "model.safetensors")[0] for run in (again, three))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_files_beside_those_of_the_run_stay_as_members_join(few, tmp_path, monkeypatch):
    join = ptheta.Run.become

    def beside(self, model):
        (self.path / "mine.txt").write_text("a note")
        before = read_config(self.path)
        join(self, model)
        assert read_config(self.path)["sha256"] != before["sha256"]
        assert (self.path / "mine.txt").read_text() == "a note"
        assert self.checkpoint.exists()

    monkeypatch.setattr(ptheta.Run, "become", beside)
    run = ptheta.fit("made", few, steps=60, members=2, out=tmp_path / "run", **QUICK)
    assert run.remarks == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run"]


def test_members_join_in_the_working_folder(few, tmp_path, monkeypatch, three):
    monkeypatch.chdir(tmp_path)
    run = ptheta.fit("made", few, steps=300, members=3, out=".", **QUICK)
    assert not run.remarks
    mine = ptheta.Run.load(tmp_path).model.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in three.model.state_dict().items())


def test_auto_learns_members_once_the_first_one_no_longer_improves(few, tmp_path):
    run = ptheta.fit("made", few, steps=2000, members="auto", out=tmp_path / "run", **QUICK)
    joined = [line["mixture"] for line in run.metrics() if "mixture" in line]
    kept = len(run.model.members)
    assert kept >= 3
    assert joined[: kept - 1] == sorted(joined[: kept - 1], reverse=True)
    if kept < 8:
        assert len(joined) == kept, "the last one made it no better"
        assert joined[-1] >= joined[-2]
        assert "it is left out" in run.notes[-1]
    assert ptheta.Run.load(run.path).config["model"]["members"] == [{}] * kept
    loaded = ptheta.Run.load(run.path).evaluate("test")
    assert loaded.nats == pytest.approx(run.results()["nats"], abs=1e-6)


def test_auto_learns_one_where_the_budget_ends_before(few, tmp_path):
    run = ptheta.fit("made", few, steps=20, members="auto", out=tmp_path / "run", **QUICK)
    assert isinstance(run.model, MADE)
    assert "members" not in run.results()


def test_members_that_make_it_no_better_are_left_out(few, tmp_path, monkeypatch):
    def judged(self, model, n, judge=MaximumLikelihood.judge):
        verdict = judge(self, model, n)
        if isinstance(model, Ensemble):
            return type(verdict)(1e6, "", {}, 1e6)
        return verdict

    alone = ptheta.fit("made", few, steps=300, out=tmp_path / "alone", **QUICK)
    monkeypatch.setattr(MaximumLikelihood, "judge", judged)
    run = ptheta.fit("made", few, steps=300, members="auto", out=tmp_path / "run", **QUICK)
    assert isinstance(ptheta.Run.load(run.path).model, MADE)
    same = ptheta.Run.load(run.path).model.state_dict()
    assert all(torch.equal(same[name], tensor) for name, tensor in alone.model.state_dict().items())
    assert "it is left out" in run.notes[-1]
    asked = ptheta.fit("made", few, steps=300, members=2, out=tmp_path / "two", **QUICK)
    assert len(asked.model.members) == 2, "those that were asked for are kept"


def test_a_finished_fit_says_so_and_more_members_are_learned_if_asked_for(few, tmp_path, capsys):
    out = tmp_path / "run"
    ptheta.fit("made", few, steps=300, members=1, out=out, **QUICK)
    ptheta.fit(None, few, out=out, resume=True, verbose=True)
    said = capsys.readouterr().err
    assert "since validation no longer improved; --members 2 goes on with another one" in said.replace("\n", " ")
    run = ptheta.fit(None, few, out=out, resume=True, members=2)
    assert len(run.model.members) == 2
    ptheta.fit(None, few, out=out, resume=True, verbose=True)
    assert "with 2 members; --members 3 goes on" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(RunError, match="has 2 members already; give members=2 or more"):
        ptheta.fit(None, few, out=out, resume=True, members=1)


def test_a_run_with_members_replaces_another_one_whole(few, tmp_path):
    ptheta.fit("made", few, steps=5, out=tmp_path / "run", **QUICK)
    run = ptheta.fit("made", few, steps=60, members=2, out=tmp_path / "run", force=True, **QUICK)
    assert len(ptheta.Run.load(run.path).model.members) == 2
    assert next(line["step"] for line in run.metrics() if "step" in line) == 1


@pytest.mark.usefixtures("toys")
def test_members_with_a_bound_are_a_mixture_of_bounds(few, tmp_path):
    run = ptheta.fit("toy_vae", few, steps=40, members=2, out=tmp_path / "run", width=8)
    assert run.results()["density"] == "lower bound"
    assert run.results()["members"] == 2


def test_how_many_members_are_learned_by_default():
    def wanted(asked=None, model=None, objective=MaximumLikelihood, budget=None, named=True, validated=True):
        model = model or MADE(Discrete((2,), 2), width=4, layers=1)
        return wanted_members(asked, model, objective, budget or Budget(minutes=1), named=named, validated=validated)

    assert wanted() == "auto"
    assert wanted(budget=Budget(steps=5)) == wanted(budget=Budget(epochs=5)) == 1
    assert wanted("auto", budget=Budget(steps=5)) == "auto"
    assert wanted(3) == 3
    assert wanted(named=False) == wanted(objective=ReverseKL) == wanted(validated=False) == 1
    assert wanted(model=Independent(Discrete((2,), 2))) == wanted(model=Histogram(Discrete((2,), 2))) == 1


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"members": 0}, UsageError, "members is 0; give a whole number from 1, or auto"),
        ({"members": -2}, UsageError, "members is -2; give a whole number from 1, or auto"),
        ({"members": "many"}, UsageError, "members is 'many'"),
        ({"members": 2, "model": "independent"}, UsageError, "Independent learns by counting, which every member"),
        ({"members": 2, "model": "toy_gan", "width": 8}, UsageError, "ToyGAN has no density that could be mixed"),
    ],
)
@pytest.mark.usefixtures("toys")
def test_members_that_cannot_be_learned_are_refused(given, error, said, few, tmp_path):
    given = {"model": "made"} | given
    with pytest.raises(error, match=said):
        ptheta.fit(given.pop("model"), few, steps=5, out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_an_instance_has_one_member(few, tmp_path):
    model = MADE(few.space, width=8, layers=1)
    with pytest.raises(UsageError, match="weights of its own, which every member would begin with; name its family"):
        ptheta.fit(model, few, steps=5, members=2, out=tmp_path / "run")
    run = ptheta.fit(model, few, minutes=0.02, out=tmp_path / "run")
    assert run.model is model
    assert run.plan()["members"] == 1


def test_an_ensemble_given_as_a_model_is_learned_as_one(few, tmp_path):
    from ptheta.models.ensembles.kinds import ensemble_of

    model = ensemble_of([MADE(few.space, width=8, layers=1) for _ in range(2)])
    run = ptheta.fit(model, few, steps=10, out=tmp_path / "run")
    assert run.model is model
    again = ptheta.fit(None, few, steps=20, out=tmp_path / "run", resume=True)
    whole = ptheta.fit(ensemble_of([MADE(few.space, width=8, layers=1) for _ in range(2)]), few, steps=20)
    assert len(again.model.members) == len(whole.model.members) == 2


def test_a_member_that_fails_is_left_out(few, tmp_path, monkeypatch):
    from ptheta.training.loop import Trainer

    whole = Trainer._step

    def failing(self, losses, progress):
        if self.position.member == 2 and self.position.step == 3:
            raise FitError("the loss is not finite", "lower the rate")
        whole(self, losses, progress)

    monkeypatch.setattr(Trainer, "_step", failing)
    run = ptheta.fit("made", few, steps=300, members="auto", out=tmp_path / "run", **QUICK)
    assert len(ptheta.Run.load(run.path).model.members) == 2
    assert run.notes[-1] == "member 3: the loss is not finite; it is left out"
    assert run.results()["members"] == 2


def test_fewer_members_than_were_begun_are_refused(few, tmp_path, monkeypatch):
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.member == 1 and position.step == 3:
            os.kill(os.getpid(), 2)

    with monkeypatch.context() as patch:
        patch.setattr(FitProgress, "advance", heard)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", few, steps=300, members=2, out=tmp_path / "run", **QUICK)
    with pytest.raises(RunError, match="has begun member 2 already; give members=2 or more"):
        ptheta.fit(None, few, out=tmp_path / "run", resume=True, members=1)
    run = ptheta.fit(None, few, out=tmp_path / "run", resume=True)
    assert len(run.model.members) == run.plan()["members"] == 2
