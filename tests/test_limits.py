"""Numbers that are none or far too large are refused before work, by one line."""

import json
import time

import pytest

import ptheta
from ptheta.cli.main import main
from ptheta.configs import config_digest
from ptheta.errors import PthetaError, UsageError
from ptheta.models.building import build
from ptheta.spaces import Discrete

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
        (["sample", "run", "-n", "9" * 23], "-n is 99999999999999999999999; give a number below 2^64"),
    ],
)
def test_flags_that_are_no_numbers(words, problem, capsys):
    assert main(words) == 2
    assert problem in capsys.readouterr().err


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
