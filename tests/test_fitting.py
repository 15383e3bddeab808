"""`ptheta.fit`: where the run goes, and what is refused before anything is learned or lost."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile
from torch import nn

import ptheta
from ptheta.data import Data
from ptheta.errors import BusyError, FitError, RunError, SpaceError, UsageError
from ptheta.fitting import default_model, default_preset
from ptheta.models import ZOO
from ptheta.models.counting.tables import Independent
from ptheta.presets import preset as find_preset
from ptheta.spaces import Discrete, Document, Grid, Image, Label, Spectrogram, Waveform


@pytest.fixture
def run(data, tmp_path):
    return ptheta.fit("independent", data, out=tmp_path / "run")


def test_an_existing_run_is_not_replaced_unless_forced(run, data):
    before = (run.path / "config.json").read_bytes()
    with pytest.raises(UsageError) as caught:
        ptheta.fit("markov_chain", data, out=run.path)
    said = f"{run.path} exists; choose another out, replace it with force=True, or resume it with resume=True"
    assert str(caught.value) == said
    assert (run.path / "config.json").read_bytes() == before
    assert ptheta.fit("markov_chain", data, out=run.path, force=True).name == "markov_chain"
    assert ptheta.Run.load(run.path).name == "markov_chain"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_run_is_never_replaced(data, tmp_path, force):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("more work")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    for name in ("thesis", "file", "link"):
        with pytest.raises(UsageError, match=f"{name} exists and is not a run folder"):
            ptheta.fit("independent", data, out=tmp_path / name, force=force)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "config",
    [
        '{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}',
        '{"format": 4}',
        "no JSON",
        "edited",
    ],
    ids=["a Hugging Face model", "a format alone", "no JSON", "an edited config"],
)
def test_a_config_that_is_no_runs_makes_no_run_folder(config, run, data):
    file = run.path / "config.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1') if config == "edited" else config)
    (run.path / "thesis.tex").write_text("years of work")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"exists and is not a run folder: .*config\.json.*; choose another out"):
        ptheta.fit("markov_chain", data, out=run.path, force=True)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_the_working_folder_is_never_replaced(run, data, monkeypatch):
    (run.path / "deeper").mkdir()
    for folder, out in ((run.path, "."), (run.path / "deeper", run.path)):
        monkeypatch.chdir(folder)
        with pytest.raises(UsageError, match="is the working folder or holds it; replace it from another folder"):
            ptheta.fit("markov_chain", data, out=out, force=True)
    assert ptheta.Run.load(run.path).name == "independent"


def test_a_run_that_holds_a_closed_folder_is_not_replaced(data):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o777)
        run = ptheta.fit("independent", data, out=Path(folder, "run"))
        closed = run.path / "mine" / "closed"
        closed.mkdir(parents=True)
        for path in (run.path, *run.path.rglob("*")):
            path.chmod(0o777)
        closed.chmod(0)
        os.seteuid(65534 if os.geteuid() == 0 else os.geteuid())
        try:
            with pytest.raises(UsageError, match=r"no write access to .*mine/closed; grant it, or choose another"):
                ptheta.fit("independent", data, out=run.path, force=True)
        finally:
            os.seteuid(os.getuid())
        closed.chmod(0o777)
        assert ptheta.Run.load(run.path).results() == run.results()


@pytest.mark.parametrize("how", [{"force": True}, {"resume": True}, {"resume_inexact": True}])
def test_a_run_has_one_writer(how, data, tmp_path, monkeypatch):
    """A second fit with the same folder starts in the middle of the first one."""
    refused = []
    record = ptheta.reporting.FitProgress.record

    def second(self, values, verdict):
        record(self, values, verdict)
        with monkeypatch.context() as patch:
            patch.setattr("ptheta.reporting.FitProgress.record", record)
            with pytest.raises(BusyError) as caught:
                ptheta.fit("independent" if "force" in how else None, data, out=tmp_path / "run", **how)
        refused.append(str(caught.value))

    monkeypatch.setattr("ptheta.reporting.FitProgress.record", second)
    ptheta.fit("made", data, steps=3, out=tmp_path / "run", hyperparameters={"width": 16})
    assert len(refused) == 2
    assert f"run is being written by process {os.getpid()} on " in refused[0]
    assert ptheta.Run.load(tmp_path / "run").name == "made"


def test_an_empty_folder_is_free(data, tmp_path):
    (tmp_path / "run").mkdir()
    assert ptheta.fit("independent", data, out=tmp_path / "run").results()["n"] == 30


def test_without_out_every_fit_gets_a_fresh_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [str(ptheta.fit("independent", data).path) for _ in range(3)]
    assert paths == [f"runs/{data.name}-independent{tail}" for tail in ("", "-2", "-3")]


def test_a_model_instance_over_another_space_is_refused(data, tmp_path):
    for model in (Independent(Discrete((4,), 5)), Independent(data.space, Label(("cat", "dog")))):
        with pytest.raises(FitError, match=r"build it as Family\(data\.space, data\.context_space\)"):
            ptheta.fit(model, data, out=tmp_path / "run")
    with pytest.raises(UsageError, match="hyperparameters were given with a model instance"):
        ptheta.fit(Independent(data.space), data, hyperparameters={"pseudo_count": 1.0})
    assert not (tmp_path / "run").exists()


def test_a_model_instance_is_fitted_in_place(data, tmp_path):
    model = Independent(data.space, pseudo_count=2.0)
    run = ptheta.fit(model, data, out=tmp_path / "run")
    assert run.model is model
    assert ptheta.Run.load(run.path).model.hyperparameters() == {"pseudo_count": 2.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": "made", "batchsize": 3}, "fit has no setting 'batchsize'; did you mean batch_size?"),
        ({"model": "mad"}, "no model is called 'mad'; did you mean made?"),
        (
            {"model": "made", "hyperparameters": {"widht": 3}},
            "MADE has no hyperparameter 'widht'; did you mean width?",
        ),
        (
            {"model": "empirical", "hyperparameters": {"width": 3}},
            "Empirical has no hyperparameter 'width'; it has none",
        ),
    ],
)
def test_an_unknown_name_is_an_error_that_gives_the_nearest(arguments, said, data, tmp_path):
    with pytest.raises(UsageError) as caught:
        ptheta.fit(data=data, out=tmp_path / "run", **arguments)
    assert str(caught.value) == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("budget", [{"minutes": 1, "steps": 2}, {"steps": 0}, {"minutes": -1}])
def test_a_bad_budget_leaves_nothing(budget, data, tmp_path):
    with pytest.raises(FitError):
        ptheta.fit("made", data, out=tmp_path / "run", **budget)
    assert list(tmp_path.iterdir()) == []


def test_a_family_that_cannot_model_the_space_says_so(tmp_path):
    import numpy as np

    data = ptheta.load(np.random.default_rng(0).normal(size=(30, 2)))
    with pytest.raises(SpaceError, match="Independent cannot model real numbers"):
        ptheta.fit("independent", data, out=tmp_path / "run")
    assert default_model(data) == "made"


def test_the_default_model_is_in_the_zoo_and_fits(data):
    assert isinstance(data.space, ZOO[default_model(data)].load().spaces)
    assert isinstance(ZOO[default_model(data)].load()(data.space), nn.Module)


@pytest.mark.parametrize(
    ("space", "model", "preset"),
    [
        (Spectrogram(54, 32), "pixelcnn", None),
        (Waveform(7000), "transformer", "waveform"),
        (Image(28, 28, 1, 2), "transformer", "pictures"),
        (Grid(16, 16, 512), "transformer", "pictures"),
        (Image(8, 8, 1, 17), "transformer", None),
        (Image(28, 28, 1, 256), "pixelcnn", None),
        (Document(20, 257), "transformer", None),
    ],
)
def test_kinds_of_events_have_defaults(space, model, preset):
    data = Data("some", "some", space, None, None, {})
    assert (default_model(data), default_preset(data)) == (model, preset)
    assert preset is None or find_preset(preset).model == model


def test_waveforms_are_fitted_by_default_one_at_a_time(tmp_path):
    for i in range(12):
        tone = np.sin(np.arange(40) * (0.2 + 0.05 * i))
        wavfile.write(tmp_path / f"{i}.wav", 8000, (9000 * tone).astype(np.int16))
    run = ptheta.fit(None, ptheta.load(tmp_path, sound="waveform"), steps=1, out=tmp_path / "run")
    assert run.name == "transformer"
    assert run.plan()["settings"]["batch_size"] == 1


@pytest.mark.parametrize("lacking", [0, 39])
def test_missing_parts_of_contexts_need_a_model_that_is_trained_without(lacking, tmp_path):
    table = pd.DataFrame({"x": ["a", "b"] * 20, "y": ["c", "d", "e", "f"] * 10, "z": np.arange(40.0)})
    whole = ptheta.load(table, event="x", context="y,z")
    table.loc[lacking, "y"] = None
    data = ptheta.load(table, event="x", context="y,z")
    sure = {"hyperparameters": {"width": 8, "context_dropout": 0.0}, "steps": 1}
    with pytest.raises(FitError, match=r"contexts of \w+ lack y; fill in .* context dropout above 0"):
        ptheta.fit("made", data, out=tmp_path / "run", **sure)
    assert list(tmp_path.iterdir()) == []
    ptheta.fit("made", whole, out=tmp_path / "whole", **sure)
    run = ptheta.fit("made", data, steps=1, out=tmp_path / "run", hyperparameters={"width": 8})
    assert run.evaluate().nats > 0


def test_there_must_be_data():
    with pytest.raises(UsageError, match="there is nothing to fit; name a data source"):
        ptheta.fit("made")


def test_a_fit_by_counting_learns_the_frequencies(data, tmp_path):
    run = ptheta.fit("independent", data, out=tmp_path / "run", hyperparameters={"pseudo_count": 0.0})
    import numpy as np
    import torch

    truth = sum(
        np.log(np.bincount(data.train.x[:, j], minlength=3)[data.test.x[:, j]] / len(data.train)) for j in range(4)
    )
    np.testing.assert_allclose(run.model.log_prob(torch.from_numpy(data.test.x)), truth, rtol=1e-12)
    assert run.results()["nats"] == pytest.approx(-truth.mean(), rel=1e-12)
    assert run.results()["nats_se"] == pytest.approx(truth.std(ddof=1) / np.sqrt(len(truth)), rel=1e-12)


def test_a_fit_is_not_resumed_with_contexts_made_otherwise(tmp_path):
    g = np.random.default_rng(0)
    left = np.array(["in", "out"])[g.integers(0, 2, 40)]
    columns = {"n": g.integers(0, 3, 40).astype(str), "left": left, "right": left[::-1].copy()}
    own, other = (ptheta.load(columns, "n", side, columns="categories") for side in ("left", "right"))
    assert (own.space, own.context_space, own.codec) == (other.space, other.context_space, other.codec)
    ptheta.fit("made", own, steps=2, out=tmp_path / "run", hyperparameters={"width": 16})
    with pytest.raises(RunError, match="encoded differently from these; resume with its own data"):
        ptheta.fit(None, other, steps=4, out=tmp_path / "run", resume=True)
    assert ptheta.fit(None, own, steps=4, out=tmp_path / "run", resume=True).results()["n"] == len(own.test)


def test_settings_without_effect_on_a_model_that_counts_are_reported(data, tmp_path, capsys):
    ptheta.fit("independent", data, out=tmp_path / "run", verbose=True, batch_size=7)
    assert "without effect on a model that learns by counting: batch_size\n" in capsys.readouterr().err
    ptheta.fit("independent", data, out=tmp_path / "plain", verbose=True)
    assert "without effect" not in capsys.readouterr().err
