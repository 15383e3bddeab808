"""Numbers that are none or far too large are refused before work, by one line."""

import json
import time

import pytest

import ptheta
from ptheta.cli.main import main
from ptheta.configs import config_digest
from ptheta.errors import PthetaError, SourceError, UsageError
from ptheta.models.building import build
from ptheta.spaces import Discrete, Image, Real

SPACE = Discrete((4,), 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    small, out = {"width": 16, "layers": 1, "heads": 2}, tmp_path_factory.mktemp("limits") / "run"
    return ptheta.fit("transformer", data, hyperparameters=small, steps=1, out=out)


@pytest.mark.parametrize(
    ("place", "value"), [("layers", 10**6), ("width", 2**22), ("layers", -1), ("width", 10**23), ("dropout", "x")]
)
def test_a_config_that_claims_far_more_than_its_weights_is_refused_at_once(place, value, run):
    file = run.path / "config.json"
    before = file.read_text()
    config = json.loads(before)
    config["model"]["hyperparameters"][place] = value
    config["sha256"] = config_digest(config)
    file.write_text(json.dumps(config))
    clock = time.perf_counter()
    try:
        with pytest.raises(PthetaError):
            ptheta.Run.load(run.path)
    finally:
        file.write_text(before)
    assert time.perf_counter() - clock < 10
    ptheta.Run.load(run.path)


def test_levels_beyond_memory_are_refused(run):
    file = run.path / "config.json"
    before = file.read_text()
    config = json.loads(before)
    config["space"]["levels"] = 2**24
    config["sha256"] = config_digest(config)
    file.write_text(json.dumps(config))
    try:
        with pytest.raises(PthetaError):
            ptheta.Run.load(run.path)
    finally:
        file.write_text(before)


@pytest.mark.parametrize("value", [-1.0, 2.0, float("nan"), float("inf")])
def test_a_dropout_that_is_no_probability_is_refused(value):
    with pytest.raises(UsageError, match="dropout"):
        build("transformer", SPACE, hyperparameters={"dropout": value}, seed=0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["fit", "digits", "made", "--dropout", "nan"], "--dropout is nan; give a number"),
        (["fit", "digits", "made", "--minutes", "nan"], "--minutes is nan; give a number"),
        (["fit", "digits", "made", "--learning-rate", "nan"], "--learning-rate is nan; give a number"),
        (["fit", "digits", "--seed", "9" * 23], "seed is 99999999999999999999999; give"),
        (["fit", "digits", "--seed", "-1"], "--seed is -1; give"),
        (["divergence", "run", "run", "--seed", "-1"], "--seed is -1; give a whole number from 0 to 2^64 − 1"),
        (["fit", "digits", "--validation", "inf"], "--validation is inf; give at least 0"),
        (["fit", "digits", "made", "--batch-size", "0"], "--batch-size is 0; give at least 1"),
        (["fit", "digits", "made", "--memory", "-1"], "--memory is -1.0; give a number of GiB above 0"),
        (["sample", "run", "-n", "9" * 23], "-n is 99999999999999999999999; give a number below 2^64"),
    ],
)
def test_flags_that_are_no_numbers(words, problem, capsys):
    assert main(words) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sizes", "problem"),
    [
        ("transformer", {"layers": 10**6}, "layers is 1,000,000, with which Transformer would take too many layers"),
        (
            "transformer",
            {"width": 8 * 10**8, "layers": 8},
            "width is 800,000,000, with .* more memory than this machine",
        ),
        ("markov_mlp", {"window": 10**9}, "window is 1,000,000,000, with"),
        ("flow", {"transforms": 10**6}, "transforms is 1,000,000, with"),
        ("table", {"bins": 10**12}, "bins is 1,000,000,000,000, with which .*; give a smaller number, such as 24"),
        ("table", {"components": 10**12}, "components is 1,000"),
        ("made", {"layers": 0}, "layers is 0; give at least 1"),
        ("made", {"rank": -1}, "rank is -1; give at least 0"),
        ("transformer", {"heads": -4}, "heads is -4; give at least 1"),
        ("transformer", {"width": 90}, "such as 88"),
        ("pixelcnn", {"components": 0}, "components is 0; give at least 1"),
    ],
)
def test_sizes_that_no_machine_holds_are_refused_by_name(name, sizes, problem):
    spaces = {"flow": Real((3,)), "table": Real((3,)), "pixelcnn": Image(4, 4, 1, 4)}
    with pytest.raises(UsageError, match=problem):
        build(name, spaces.get(name, SPACE), hyperparameters=sizes, seed=0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["fit", ""], "an argument is empty; name a file, a folder or a model, or leave it out"),
        (["sample", ""], "an argument is empty"),
        (["score", "run", ""], "an argument is empty"),
        (["fit", "digits", "--out", ""], "--out is empty; name a file or a folder, or leave it out"),
        (["fit", "digits", "--out="], "--out is empty"),
        (["info", ""], "an argument is empty"),
        (["info", "\0"], "no path contains a null character"),
        (["fit", "-"], "standard input is not read; save it to a file"),
        (["fit", "https://a.b/c.csv"], "https://a.b/c.csv is an address"),
        (["fit", "a" * 5000], "no file or folder is called " + "a" * 200 + "…; check the path"),
    ],
)
def test_words_that_are_no_paths_are_refused_as_what_they_are(words, problem, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SourceError, match="the source is empty"):
        ptheta.load("")


def test_a_wrong_kind_of_file_is_called_what_it_is(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(run.path.parent)
    (tmp_path / "x.ptz").write_bytes(b"ptheta")
    wrong = {
        ("info", str(tmp_path / "x.ptz")): "x.ptz is a compressed file, not a run folder",
        ("info", __file__): "is a file, not a run folder",
        ("info", "."): ". is a folder of runs; name one of them, such as run",
        ("fit", str(tmp_path / "x.ptz")): "is a compressed file, not data; unpack it with ptheta decompress RUN",
        ("fit", "run"): "run is a run folder, not data",
        ("fit", "."): ". is a folder of runs, such as run, not data",
    }
    for words, problem in wrong.items():
        assert main([*words]) == 2
        assert problem in capsys.readouterr().err
