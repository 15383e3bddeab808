"""Every command does what its help says, in files and in JSON."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ptheta.models import ZOO
from ptheta.reporting import FitProgress

FIT_KEYS = [
    "run",
    "model",
    "density",
    "parameters",
    "free_parameters",
    "nats",
    "nats_se",
    "bits_per_dim",
    "split",
    "n",
    "of",
    "seconds",
]


def test_fit_leaves_a_run_and_prints_its_score(ptheta, here):
    result = ptheta("fit", "pictures", "independent", "--levels", "2", "--out", "new", "--json")
    assert result.code == 0
    assert list(result.json) == FIT_KEYS
    assert result.json["run"] == "new"
    assert result.json["model"] == "independent"
    assert result.json["parameters"] == 64
    assert result.json["bits_per_dim"] == pytest.approx(result.json["nats"] / 64 / np.log(2))
    assert {p.name for p in (here / "new").iterdir()} == {
        "config.json",
        "model.safetensors",
        "metrics.jsonl",
        "samples.png",
        "copies.png",
        "surprise.png",
        "README.md",
    }
    assert "Image(8×8 grey, 2 levels)" in result.err
    assert len(result.out.splitlines()) == 1


def test_fit_prints_nothing_on_standard_output_without_json(ptheta):
    result = ptheta("fit", "numbers.csv", "--steps", "3", "--out", "new")
    assert result.out == ""
    assert "made over Real(shape=[2])" in result.err, "the model that was chosen is told"
    assert "the run is new" in result.err


def test_fit_of_text_also_says_bits_per_byte(ptheta):
    found = ptheta("fit", "text.txt", "markov_chain", "--length", "16", "--out", "new", "--json").json
    assert found["bits_per_byte"] == pytest.approx(found["nats"] / 16 / np.log(2))
    assert found["nats_per_token"] == pytest.approx(found["nats"] / 16)


def test_hyperparameters_settings_and_limits_are_flags(ptheta, here):
    result = ptheta(
        *("fit", "pictures", "made", "--steps", "2", "--levels", "4", "--limit", "10", "--width", "20", "--layers=3"),
        *("--batch-size", "5", "--average", "0.5", "--checkpoint-seconds", "0", "--seed", "7", "--out", "new"),
    )
    assert result.code == 0
    config = ptheta("info", "new", "--json").json
    assert config["model"]["hyperparameters"]["width"] == 20
    assert config["model"]["hyperparameters"]["layers"] == 3
    settings = config["fit"]["settings"]
    assert (settings["batch_size"], settings["average"], settings["checkpoint_seconds"]) == (5, 0.5, 0)
    assert config["fit"]["budget"]["steps"] == 2
    assert config["seed"] == 7
    assert config["data"]["splits"]["train"] == 10


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others(ptheta, here):
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        result = ptheta("sample", "pic", "-n", "5", "--seed", seed, "--out", out, "--json")
        assert list(result.json)[:4] == ["files", "n", "seconds", "passes"]
    files = result.json["files"]
    assert [os.path.basename(f) for f in files] == [f"sample-000{i}.png" for i in range(5)] + ["samples.png"]
    first, again, other = ((here / out / "samples.png").read_bytes() for out in "abc")
    assert first == again != other
    assert Image.open(here / "a" / "sample-0000.png").size == (8, 8)


def test_a_seed_that_was_drawn_is_told_and_gives_the_samples_again(ptheta, here):
    seed = ptheta("sample", "num", "-n", "4", "--out", "a", "--json").json["seed"]
    ptheta("sample", "num", "-n", "4", "--out", "b", "--seed", str(seed))
    assert (here / "a" / "sample.csv").read_text() == (here / "b" / "sample.csv").read_text()


def test_warps_reach_the_sampler(ptheta, here):
    cold = ("sample", "pic", "-n", "3", "--temperature", "0")
    ptheta(*cold, "--seed", "1", "--out", "a")
    ptheta(*cold, "--seed", "2", "--out", "b")
    ptheta("sample", "pic", "-n", "3", "--top-k", "1", "--seed", "3", "--out", "c")
    most_probable = [np.asarray(Image.open(here / out / "sample-0000.png")) for out in "abc"]
    assert (most_probable[0] == most_probable[1]).all()
    assert (most_probable[0] == most_probable[2]).all()
    result = ptheta("sample", "pic", "--top-p", "0.5", "--min-p", "0.1", "-n", "2", "--seed", "1", "--out", "d")
    assert result.code == 0


def test_both_methods_draw_the_same_pictures_and_say_how(ptheta, here):
    drawn = {}
    for method in ("ancestral", "fixed_point"):
        result = ptheta("sample", "pic", "-n", "4", "--seed", "3", "--method", method, "--out", method, "--json")
        assert result.json["method"] == method
        drawn[method] = (here / method / "samples.png").read_bytes(), result.json["passes"]
    assert drawn["ancestral"][0] == drawn["fixed_point"][0]
    assert drawn["ancestral"][1] == 64
    assert 1 <= drawn["fixed_point"][1] <= 64
    assert "fixed-point passes" in result.err


def test_a_preset_is_fitted_by_name(ptheta):
    result = ptheta("fit", "pictures", "--preset", "faces", "--width", "8", "--steps", "1", "--out", "new", "--json")
    assert result.json["model"] == "pixelcnn"
    hyperparameters = ptheta("info", "new", "--json").json["model"]["hyperparameters"]
    assert (hyperparameters["width"], hyperparameters["layers"]) == (8, 6)


def test_an_arbitrary_mask_is_completed_by_a_model_of_any_order(ptheta, here):
    ptheta(
        "fit", "pictures", "transformer", "--any-order", "--width", "8", "--steps", "1", "--levels", "2", "--out", "any"
    )
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 3:] = 255
    Image.fromarray(mask).save(here / "mask.png")
    picture = next((here / "pictures").rglob("*.png"))
    result = ptheta("complete", "any", str(picture), "--mask", "mask.png", "-n", "3", "--out", "done", "--json")
    assert result.code == 0
    original = np.asarray(Image.open(picture).convert("L")) >= 128
    for file in result.json["files"][:3]:
        assert (((np.asarray(Image.open(file)) >= 128) == original) | (mask == 0)).all()


def test_samples_are_shared_out_over_the_contexts_in_order(ptheta, here):
    ptheta("sample", "lab", "-n", "5", "--context", "shoe", "hat", "--out", "a")
    assert pd.read_csv(here / "a" / "sample.csv")["kind"].tolist() == ["shoe"] * 3 + ["hat"] * 2


def test_samples_go_beside_the_run_and_never_over_others(ptheta, here):
    first, second = (ptheta("sample", "num", "-n", "2", "--json").json["files"] for _ in range(2))
    assert (first, second) == (["num-samples/sample.csv"], ["num-samples-2/sample.csv"])


@pytest.mark.parametrize("run", [".", "../pic", "./"])
def test_a_run_can_be_named_from_within(run, ptheta, here, monkeypatch):
    monkeypatch.chdir(here / "pic")
    assert ptheta("sample", run, "-n", "1").code == 0
    assert (here / "pic-samples").is_dir()


@pytest.mark.parametrize(("run", "file"), [("num", "x.csv"), ("pic", "x.png"), ("txt", "x.txt")])
def test_samples_can_be_one_file(run, file, ptheta, here):
    assert ptheta("sample", run, "-n", "1", "--out", file, "--json").json["files"] == [file]
    assert (here / file).is_file()
    result = ptheta("sample", run, "-n", "2", "--out", "x.doc")
    assert result.code == 2
    assert "these samples cannot be written as a .doc file; name a folder" in result.err


def test_scores_are_log_probabilities_of_every_event(ptheta, here):
    result = ptheta("score", "pic", "pictures", "--out", "scores.parquet", "--json")
    assert list(result.json)[:4] == ["nats", "nats_se", "bits_per_dim", "n"]
    assert result.json["out"] == "scores.parquet"
    table = pd.read_parquet(here / "scores.parquet")
    assert list(table) == ["row", "file", "log_prob", "anomaly", "p_value"]
    assert -table["log_prob"].mean() == pytest.approx(result.json["nats"])
    assert len(table) == result.json["n"] == 3


def test_scoring_the_data_of_the_fit_scores_its_test_split(ptheta):
    fitted = ptheta("info", "pic", "--json").json
    scored = ptheta("score", "pic", "pictures", "--json").json
    assert scored["nats"] == fitted["results"]["nats"]
    whole = ptheta("score", "pic", "pictures", "--split", "train", "--json").json
    assert whole["n"] == 24


def test_scores_per_dimension_sum_to_the_score_and_are_drawn(ptheta, here):
    files = ptheta("score", "pic", "pictures", "--per-dimension", "--out", "s.parquet", "--json").json["files"]
    assert files == ["s.parquet", "s.png"]
    table = pd.read_parquet(here / "s.parquet")
    pieces = np.stack(table["log_prob_per_dimension"])
    assert pieces.shape == (3, 64)
    np.testing.assert_allclose(pieces.sum(1), table["log_prob"], rtol=1e-12)
    assert Image.open(here / "s.png").height > Image.open(here / "pictures" / "0.png").height


def test_scores_say_under_which_context(ptheta, here):
    ptheta("score", "lab", "table.csv", "--split", "train", "--out", "s.parquet")
    table = pd.read_parquet(here / "s.parquet")
    assert set(table["context"]) == {"hat", "shoe"}


def test_half_a_picture_completes_to_the_same_half(ptheta, here):
    result = ptheta("complete", "pic", "pictures/0.png", "--keep", "0.5", "-n", "3", "--out", "c", "--json")
    assert list(result.json) == ["files", "kept", "seconds", "passes", "method", "seed"]
    assert result.json["kept"] == 32
    assert [os.path.basename(f) for f in result.json["files"]] == [
        "completion-0000.png",
        "completion-0001.png",
        "completion-0002.png",
        "completions.png",
    ]
    levels = np.asarray(Image.open(here / "pictures" / "0.png")) // 64
    drawn = [np.asarray(Image.open(f)) // 64 for f in result.json["files"][:3]]
    for picture in drawn:
        assert (picture[:4] == levels[:4]).all()
    assert any((picture[4:] != levels[4:]).any() for picture in drawn)


def test_a_mask_of_the_top_is_the_same_as_keeping_it(ptheta, here):
    ptheta("complete", "pic", "pictures/0.png", "--mask", "top.png", "--seed", "5", "--out", "a")
    ptheta("complete", "pic", "pictures/0.png", "--keep", "0.5", "--seed", "5", "--out", "b")
    assert (here / "a" / "completions.png").read_bytes() == (here / "b" / "completions.png").read_bytes()


def test_rows_and_texts_are_completed_too(ptheta, here):
    files = ptheta("complete", "lab", "table.csv", "--context", "hat", "-n", "2", "--out", "a", "--json").json["files"]
    table, original = pd.read_csv(files[0]), pd.read_csv("table.csv")
    assert table["colour"].tolist() == original["colour"].repeat(2).tolist()
    (here / "start.txt").write_text("the lazy dog sle")
    files = ptheta("complete", "txt", "start.txt", "-n", "2", "--out", "b", "--json").json["files"]
    assert [Path(f).read_bytes()[:8] for f in files] == [b"the lazy"] * 2


def test_compare_ranks_models_on_the_same_events(ptheta, here):
    result = ptheta("compare", "table.csv", "--models", "independent,empirical,made", "--steps", "3", "--json")
    models = result.json["models"]
    assert {row["model"] for row in models} == {"independent", "empirical", "made"}
    assert {row["n"] for row in models} == {6}
    nats = [np.inf if row["nats"] is None else row["nats"] for row in models]
    assert nats == sorted(nats), "the best stands first"
    assert result.json["events"] == {"split": "test", "n": 6, "of": 6}
    assert [row["baseline"] for row in result.json["baselines"]] == ["Chow–Liu tree"]
    assert all((here / row["run"] / "config.json").is_file() for row in models)
    for row in models:
        assert list(row)[: len(FIT_KEYS)] == FIT_KEYS


def test_compare_without_json_prints_a_table_of_models_that_suit_the_data(ptheta):
    result = ptheta("compare", "numbers.csv", "--steps", "2")
    assert result.code == 0
    assert "markov_mlp" in result.out
    assert "made" in result.out
    assert "independent  " not in result.out, "it cannot model real numbers"
    assert all(name in result.out for name in ("independent columns", "Chow–Liu tree", "Gaussian mixture"))
    assert "`ptheta fit` would choose made" in result.err


def test_compare_shows_what_fit_would_choose_and_one_sheet(ptheta, here, monkeypatch):
    monkeypatch.setattr("ptheta.cli.compare.DEFAULT_MODELS", "independent,flow")
    result = ptheta("compare", "pictures", "--size", "4x4", "--steps", "1", "--out", "several", "--json")
    assert [row["model"] for row in result.json["models"] if row["model"] == "pixelcnn"], result.err
    with Image.open(here / "several" / "samples.png") as picture:
        assert picture.height > 3 * 64, "real events, and two models"


def test_the_zoo_lists_every_family(ptheta):
    assert [row["name"] for row in ptheta("zoo", "--json").json["models"]] == list(ZOO)
    table = ptheta("zoo").out
    assert all(name in table for name in ZOO)


def test_info_is_the_card(ptheta):
    card = ptheta("info", "pic", "--json").json
    assert {"run", "model", "space", "data", "fit", "seed", "versions", "parameters", "results"} <= card.keys()
    assert card["model"]["family"] == card["results"]["model"] == "made"
    assert "bits/dim" in ptheta("info", "pic").out


def test_ctrl_c_says_how_to_resume_and_that_command_works(ptheta, monkeypatch):
    whole = ptheta("fit", "pictures", "made", "--width", "16", "--steps", "8", "--out", "whole", "--json").json
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(FitProgress, "advance", heard)
        result = ptheta("fit", "pictures", "made", "--width", "16", "--steps", "8", "--out", "my run")
    assert result.code == 130
    assert "the weights so far are in my run" in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("resume with: ptheta ")]
    resumed = ptheta(*shlex.split(line.removeprefix("resume with: ptheta ")), "--json").json
    assert {k: resumed[k] for k in resumed if k not in ("run", "seconds")} == {
        k: whole[k] for k in whole if k not in ("run", "seconds")
    }


@pytest.mark.parametrize("arguments", ["--help", "--version", ""])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from ptheta.cli.main import main
assert main({arguments.split()!r}) == 0
heavy = sorted({{"torch", "numpy", "datasets", "pandas", "pyarrow", "matplotlib", "tyro"}} & sys.modules.keys())
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ptheta" in done.stdout


@pytest.mark.parametrize("command", ["fit", "sample", "score", "complete", "compare", "zoo", "info"])
def test_every_command_explains_all_of_its_flags(command, ptheta, capsys):
    with pytest.raises(SystemExit) as stopped:
        ptheta(command, "--help")
    assert stopped.value.code in (0, None)
    said = capsys.readouterr().out
    assert "--json" in said
    assert "usage: " in said.lower()


def test_the_help_of_a_model_lists_its_hyperparameters(ptheta, capsys):
    with pytest.raises(SystemExit):
        ptheta("fit", "digits", "transformer", "--help")
    said = capsys.readouterr().out
    assert all(flag in said for flag in ("--width", "--heads", "--window"))
