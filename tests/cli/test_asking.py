"""What can be asked of commands in few words: a text to score, columns to leave out, help that suits a run."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import ptheta
from ptheta.cli.main import main
from ptheta.errors import SourceError

SMALL = {"width": 8, "layers": 1, "heads": 1}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A run of text."""
    source = {"text": ["to be or not to be, that is the question. " * 4] * 40}
    out = tmp_path_factory.mktemp("runs") / "texts"
    return ptheta.fit("transformer", source, steps=2, out=out, hyperparameters=SMALL)


def frame(n: int = 60) -> pd.DataFrame:
    g = np.random.default_rng(0)
    label, a, b = g.choice(["x", "y"], n), g.normal(size=n), g.normal(size=n)
    return pd.DataFrame({"id": np.arange(n) * 7, "label": label, "a": a, "b": b})


@pytest.mark.parametrize("text", ["to be", "hello", "Привет, мир", "either/or not"])
def test_a_text_is_scored_as_it_is_given(text, texts, tmp_path, capsys):
    assert main(["score", str(texts.path), text, "--json", "--out", str(tmp_path / "scores.parquet")]) == 0
    shown = capsys.readouterr()
    assert f"no file is called {text!r}, so it is scored as a text" in shown.err
    found = json.loads(shown.out.splitlines()[-1])
    assert found["nats"] == pytest.approx(-texts.log_prob([text])[0], abs=1e-3)
    assert found["bytes"] == len(text.encode())


def test_what_is_rather_a_file_stays_a_missing_file(texts, capsys):
    for name in ("nothere.txt", "a/b/nothere", "my notes.txt"):
        assert main(["score", str(texts.path), name]) == 2
        assert f"no file or folder is called {name}" in capsys.readouterr().err


def test_columns_can_be_excluded(tmp_path, capsys):
    path = tmp_path / "t.csv"
    frame().to_csv(path, index=False)
    for flag in ("--except", "--except-columns"):
        run = tmp_path / flag
        assert (
            main(["fit", str(path), "made", flag, "id,label", "--steps", "1", "--width", "4", "--out", str(run)]) == 0
        )
        assert "excluded: id, label" in capsys.readouterr().err
        loaded = ptheta.Run.load(run)
        assert loaded.codec.names == ["a", "b"]  # type: ignore[attr-defined]
        assert loaded.data.fingerprint == loaded.config["data"]["fingerprint"]  # read again as it was
    given = ptheta.load(frame(), context="label", except_columns=["id"])
    assert given.codec.names == ["a", "b"]
    assert given.context_space is not None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"except_columns": "lable"}, "no column 'lable'; did you mean label?"),
        ({"except_columns": "a", "event": "a,b"}, "column 'a' is both requested and excluded"),
        ({"except_columns": "label", "context": "label"}, "column 'label' is both requested and excluded"),
        ({"except_columns": "id,label,a,b"}, "is left to be the event; leave one of id, label, a, b out"),
    ],
)
def test_exclusions_that_make_no_sense_are_named(options, problem):
    with pytest.raises(SourceError) as caught:
        ptheta.load(frame(), **options)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("run", "command", "shown", "hidden"),
    [
        ("pictures", "sample", ["-n", "--seed"], ["--prompt", "--beams", "--stop", "--context", "--each"]),
        ("texts", "sample", ["--prompt", "--stop"], ["--beams", "--each", "--context"]),
        ("pictures", "complete", ["--keep", "--mask"], ["--tokens", "--point", "--context"]),
        ("labelled", "sample", ["--context", "--each"], ["--prompt", "--beams"]),
    ],
)
def test_help_shows_what_suits_a_run(run, command, shown, hidden, texts, pictures, labelled, capsys):
    path = {"texts": texts, "pictures": pictures, "labelled": labelled}[run].path
    with pytest.raises(SystemExit):
        main([command, str(path), "--help"])
    found = (re.match(r"\W*?(--?\w[\w-]*)", line) for line in capsys.readouterr().out.splitlines())
    flags = {match[1] for match in found if match}
    assert set(shown) <= flags
    assert not set(hidden) & flags
    with pytest.raises(SystemExit):
        main([command, "--help"])
    every = capsys.readouterr().out
    assert all(flag in every for flag in [*shown, *hidden])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    x = np.random.default_rng(0).integers(0, 2, (40, 4, 4)).astype(np.uint8)
    return ptheta.fit("independent", x, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run given one of 30 labels, of which every event has one."""
    names = np.array([f"kind {k}" for k in range(29)] + ["Master of Arts"])
    data = ptheta.load({"x": np.arange(120).reshape(60, 2) % 3, "kind": np.tile(names, 2)}, "x", "kind")
    small = {"width": 4, "layers": 1, "context_dropout": 0.0}
    return ptheta.fit("made", data, steps=1, out=tmp_path_factory.mktemp("runs") / "run", hyperparameters=small)


def test_many_labels_are_not_all_listed(labelled, capsys):
    for name, problem in (
        ("Master", "choose one of 30, such as Master of Arts, kind 0"),
        ("Master of Art", "did you mean Master of Arts?"),
        ("xyz", "choose one of 30, such as"),
    ):
        assert main(["sample", str(labelled.path), "--context", name]) == 2
        line = capsys.readouterr().err
        assert problem in line
        assert len(line) < 300
    assert main(["sample", str(labelled.path), "-n", "2"]) == 2
    assert "needs a context; choose from --context" in capsys.readouterr().err


def test_torchrun_is_given_the_line_for_its_report(tmp_path, monkeypatch, capsys):
    path = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))
    assert main(["fit", "nothere.csv"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("ptheta: no file or folder is called nothere.csv; ")
    told = json.loads(path.read_text())["message"]
    assert told["message"] == told["extraInfo"]["py_callstack"] == line
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "missing" / "error.json"))
    assert main(["fit", "nothere.csv"]) == 2


def test_a_context_that_is_lacking_and_words_in_the_wrong_order_have_their_remedies(labelled, tmp_path, capsys):
    np.save(tmp_path / "new.npy", np.zeros((3, 2), int))
    score = ["score", str(labelled.path), str(tmp_path / "new.npy"), "--out", str(tmp_path / "s.parquet")]
    assert main(score) == 2
    assert "needs a context, and the source has no column kind; give it with --given" in capsys.readouterr().err
    assert main([*score, "--given", "kind 3"]) == 0
    capsys.readouterr()
    for words, swapped in ((["made", "digits"], "ptheta fit digits made"), (["made"], "ptheta fit SOURCE made")):
        assert main(["fit", *words]) == 2
        assert f"made is a model, and the data come first; give it after them: {swapped}" in capsys.readouterr().err
