"""A fit that was interrupted or killed, and goes on, ends with the very bits of the one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

import ptheta
from ptheta.configs import config_digest
from ptheta.errors import RunError, UsageError
from ptheta.reporting import FitProgress
from ptheta.training.state import Position, load_state, save_state
from ptheta.weights import digest, read_tensors, write_tensors

SMALL = {"width": 16, "layers": 1}
WAYS = {
    "adamw with averaged weights": ("transformer", SMALL, {"optimizer": "adamw", "average": 0.9}),
    "muon": ("transformer", SMALL, {"optimizer": "muon"}),
    "dropout": ("made", {"width": 32, "dropout": 0.4}, {"learning_rate": 0.02}),
    "bound": ("toy_vae", {"width": 16}, {"average": 0.9}),
    "two players": ("toy_gan", {"width": 16}, {"average": 0.9, "accumulate": 2, "r1": 0.2}),
    "accumulation": ("markov_mlp", {"width": 16, "dropout": 0.2}, {"accumulate": 3, "batch_size": 17}),
}


def interrupt(monkeypatch, step: int) -> None:
    """Ctrl-C is pressed when the listener hears of that step."""
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(FitProgress, "advance", heard)


def same_bits(run: ptheta.Run, other: ptheta.Run) -> None:
    """Saved weights, and the whole state of the two fits but the time they took, are equal."""
    for file in ("model.safetensors", "checkpoint/state.safetensors"):
        mine, theirs = (read_tensors(r.path / file)[0] for r in (run, other))
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            assert torch.equal(tensor, theirs[name]), f"{name} of {file}"
    mine, theirs = (load_state(r.checkpoint)[0] for r in (run, other))
    for position in (mine, theirs):
        position.seconds = 0.0
    assert mine == theirs


@pytest.mark.parametrize("step", [1, 14, 29])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("toys")
def test_interrupted_and_resumed_equals_uninterrupted(way, step, data, tmp_path, monkeypatch):
    name, hyperparameters, settings = WAYS[way]
    whole = ptheta.fit(name, data, steps=30, out=tmp_path / "whole", hyperparameters=hyperparameters, **settings)
    with monkeypatch.context() as patch:
        interrupt(patch, step)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit(name, data, steps=30, out=tmp_path / "part", hyperparameters=hyperparameters, **settings)
    state, _ = load_state(tmp_path / "part" / "checkpoint" / "state.safetensors")
    assert step <= state.step <= step + 1
    assert not state.finished
    ptheta.Run.load(tmp_path / "part")  # the best so far can already be used
    same_bits(ptheta.fit(None, data, out=tmp_path / "part", resume=True), whole)


def test_binarisation_drawn_anew_every_epoch_is_resumed_too(tmp_path, monkeypatch):
    data = ptheta.load("digits", binarize="epoch", limit=40)
    how = {"epochs": 6, "batch_size": 16, "hyperparameters": {"width": 32}}
    whole = ptheta.fit("made", data, out=tmp_path / "whole", **how)
    with monkeypatch.context() as patch:
        interrupt(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", data, out=tmp_path / "part", **how)
    resumed = ptheta.fit(None, out=tmp_path / "part", resume=True)  # the data are found again, too
    same_bits(resumed, whole)


DIES = """
import os, runpy, signal, sys
calls, fsync = [], os.fsync
def dying(handle):
    calls.append(handle)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)
os.fsync = dying
sys.argv = ["ptheta", *{arguments}]
runpy.run_module("ptheta", run_name="__main__")
"""


@pytest.mark.parametrize("call", [90, 93])
def test_killed_in_the_middle_of_a_save_and_resumed_equals_uninterrupted(call, array_file, tmp_path):
    """kill -9 strikes after (90) or before (93) the rename of a checkpoint, which is saved at every step."""
    out, steps = tmp_path / "part", 40
    arguments = f"fit {array_file} transformer --width 16 --layers 1 --steps {steps} --checkpoint-seconds 0 --out {out}"
    code = DIES.format(call=call, arguments=arguments.split())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    checkpoint = out / "checkpoint" / "state.safetensors"
    assert 5 <= load_state(checkpoint)[0].step < steps
    assert list(out.rglob(".ptheta-partial-*")) or call % 2 == 0, "the dead clean nothing up"
    resumed = ptheta.fit(None, out=out, resume=True)
    whole = ptheta.fit("transformer", str(array_file), steps=steps, out=tmp_path / "whole", hyperparameters=SMALL)
    same_bits(resumed, whole)


@pytest.mark.parametrize("event", ["interrupted at once", "killed after later validations"])
def test_the_records_of_a_resumed_fit_are_those_of_the_uninterrupted_one(event, data, tmp_path, monkeypatch):
    """The running mean goes on, and what was recorded after the checkpoint is recorded once."""
    how = {"steps": 60, "hyperparameters": {"width": 16}}
    whole = ptheta.fit("made", data, out=tmp_path / "whole", **how)
    with monkeypatch.context() as patch:
        interrupt(patch, 15)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", data, out=tmp_path / "part", **how)
    stopped = tmp_path / "stopped"
    shutil.copytree(tmp_path / "part" / "checkpoint", stopped)
    if event != "interrupted at once":  # it went on, and was killed before its next checkpoint
        with monkeypatch.context() as patch:
            interrupt(patch, 44)
            with pytest.raises(KeyboardInterrupt):
                ptheta.fit(None, data, out=tmp_path / "part", resume=True)
        shutil.copytree(stopped, tmp_path / "part" / "checkpoint", dirs_exist_ok=True)
    run = ptheta.fit(None, data, out=tmp_path / "part", resume=True)
    mine, theirs = ([line for line in r.metrics() if "step" in line] for r in (run, whole))
    for line in mine + theirs:
        del line["seconds"]
    assert mine == theirs
    assert len(mine) > 4


def test_a_run_folder_of_the_format_before_loads_and_is_resumed(interrupted, data, tmp_path):
    """Format 3: the hashes cover tensors alone, lines of metrics have none, and a checkpoint has no running mean."""
    whole = ptheta.fit("made", data, steps=12, out=tmp_path / "whole", hyperparameters={"width": 16})
    lines = [{k: v for k, v in line.items() if k != "sha256"} for line in ptheta.Run.load(interrupted).metrics()]
    (interrupted / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = json.loads((interrupted / "config.json").read_text()) | {"format": 3}
    config["sha256"] = config_digest(config)
    (interrupted / "config.json").write_text(json.dumps(config))
    tensors, _ = read_tensors(interrupted / "model.safetensors")
    written = {"config": config["sha256"], "sha256": digest(tensors)}
    save_file(tensors, interrupted / "model.safetensors", written)
    tensors, metadata = read_tensors(interrupted / "checkpoint" / "state.safetensors")
    position = json.loads(metadata["position"])
    del position["mean"]
    written = {"position": json.dumps(position), "sha256": digest(tensors)}
    save_file(tensors, interrupted / "checkpoint" / "state.safetensors", written)
    loaded = ptheta.Run.load(interrupted)
    assert loaded.metrics() == lines
    assert loaded.remarks == []
    run = ptheta.fit(None, data, out=interrupted, resume=True)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, run.model.state_dict()[name]), name


@pytest.fixture
def interrupted(data, tmp_path, monkeypatch):
    """Folder of a fit that was stopped at step 5 of 12."""
    with monkeypatch.context() as patch:
        interrupt(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", data, steps=12, out=tmp_path / "run", hyperparameters={"width": 16})
    return tmp_path / "run"


def test_a_checkpoint_without_position_is_refused_but_a_flag_goes_on_from_its_weights(interrupted, data, monkeypatch):
    path = interrupted / "checkpoint" / "state.safetensors"
    tensors, _ = read_tensors(path)
    write_tensors(path, tensors)
    with pytest.raises(RunError, match=r"lacks the position of the fit .*resume_inexact=True"):
        ptheta.fit(None, data, out=interrupted, resume=True)
    monkeypatch.setattr(type(ptheta.Run.load(interrupted).model), "prepare", None)  # would overwrite what was learned
    run = ptheta.fit(None, data, out=interrupted, resume_inexact=True)
    assert [line["step"] for line in run.metrics() if "step" in line][-1] == 12


def test_a_checkpoint_that_lacks_one_number_of_the_position_names_it(interrupted, data):
    path = interrupted / "checkpoint" / "state.safetensors"
    tensors, metadata = read_tensors(path)
    position = json.loads(metadata["position"])
    del position["next_validation"]
    write_tensors(path, tensors, {"position": json.dumps(position)})
    with pytest.raises(RunError, match=r"lacks the position of the fit \(next_validation\)"):
        ptheta.fit(None, data, out=interrupted, resume=True)


def test_a_fit_that_stopped_before_its_first_checkpoint_resumes_from_the_start(interrupted, data, tmp_path):
    """Its config is all there is, and determines the whole fit."""
    whole = ptheta.fit("made", data, steps=12, out=tmp_path / "whole", hyperparameters={"width": 16})
    shutil.rmtree(interrupted / "checkpoint")
    (interrupted / "model.safetensors").unlink()
    run = ptheta.fit(None, data, out=interrupted, resume=True)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, run.model.state_dict()[name]), name


def test_a_checkpoint_of_another_architecture_is_refused(interrupted, data, tmp_path):
    other = ptheta.fit("made", data, steps=1, out=tmp_path / "other", hyperparameters={"width": 8})
    (interrupted / "checkpoint" / "state.safetensors").write_bytes(other.checkpoint.read_bytes())
    with pytest.raises(RunError, match="does not fit the model and its optimiser"):
        ptheta.fit(None, data, out=interrupted, resume=True)


def test_the_optimiser_cannot_change_on_the_way(interrupted, data):
    with pytest.raises(RunError, match="the fit began with adamw, and muon cannot resume its state"):
        ptheta.fit(None, data, out=interrupted, resume=True, optimizer="muon")


def test_other_data_are_refused_but_a_flag_accepts_them(interrupted, walks):
    other = ptheta.load({name: walks(20, seed) for seed, name in enumerate(("train", "validation", "test"), 7)})
    problem = "made with different data, or these are read differently now; use the same, or .* resume_inexact=True"
    with pytest.raises(RunError, match=problem):
        ptheta.fit(None, other, out=interrupted, resume=True)
    run = ptheta.fit(None, other, out=interrupted, resume_inexact=True)
    assert run.results()["n"] == 20


def test_another_model_is_refused(interrupted, data):
    with pytest.raises(RunError, match="is a run of another model: it is a made"):
        ptheta.fit("transformer", data, out=interrupted, resume=True)
    with pytest.raises(RunError, match="is a run of another model: width differs"):
        ptheta.fit("made", data, out=interrupted, resume=True, hyperparameters={"width": 17})


def test_resuming_needs_the_folder(data):
    with pytest.raises(UsageError, match="name it with out"):
        ptheta.fit("made", data, resume=True)


def test_data_in_memory_must_be_given_again(interrupted):
    with pytest.raises(RunError, match="fitted on data in memory; give the data again"):
        ptheta.fit(None, out=interrupted, resume=True)


def test_a_finished_fit_can_be_given_a_larger_budget(data, tmp_path):
    ptheta.fit("made", data, steps=10, out=tmp_path / "run", hyperparameters={"width": 16})
    run = ptheta.fit(None, data, steps=20, out=tmp_path / "run", resume=True)
    steps = [line["step"] for line in run.metrics() if "step" in line]
    assert steps == [1, 10, 11, 20]  # ten steps lie between validations, and each budget ends with one


def test_the_state_of_a_fit_survives_its_file(tmp_path):
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    position = Position(3, "abc", 7, 0.1 + 0.2, 1 / 3, float("inf"), -1, mean=2 / 3)
    save_state(tmp_path / "state", position, {"weights": layer}, [optimiser])
    found, groups = load_state(tmp_path / "state")
    assert found == position
    assert torch.equal(groups["weights"]["bias"], layer.bias)
    assert torch.equal(groups["optimiser.0"]["0/exp_avg_sq"], optimiser.state[layer.weight]["exp_avg_sq"])


def test_text_that_is_cut_anew_at_every_visit_is_resumed_too(tmp_path, monkeypatch):
    path = tmp_path / "fox.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    data = ptheta.load(path, length=16)
    how = {"steps": 30, "hyperparameters": SMALL, "batch_size": 4}
    whole = ptheta.fit("transformer", data, out=tmp_path / "whole", **how)
    with monkeypatch.context() as patch:
        interrupt(patch, 14)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("transformer", data, out=tmp_path / "part", **how)
    same_bits(ptheta.fit(None, data, out=tmp_path / "part", resume=True), whole)


def test_a_fit_stopped_before_its_second_validation_keeps_what_it_learned(data, tmp_path, monkeypatch):
    how = {"steps": 300, "hyperparameters": {"width": 32}}  # validated after steps 1 and 12
    with monkeypatch.context() as patch:
        interrupt(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("made", data, out=tmp_path / "part", **how)
    state, groups = load_state(tmp_path / "part" / "checkpoint" / "state.safetensors")
    assert state.best_step <= 1 < state.step
    kept = ptheta.Run.load(tmp_path / "part").model.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in groups["weights"].items() if name in kept)
    assert any(not torch.equal(kept[name], tensor) for name, tensor in groups["best"].items())
