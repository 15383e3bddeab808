"""Errors are what Python's own are where it has them, and name options as whoever asked gives them."""

import pickle

import pytest

import ptheta
from ptheta.cli.main import main
from ptheta.errors import ArgumentError, FitError, NoRunError, NoSourceError, PthetaError, SourceError, UsageError
from ptheta.files import replacing
from ptheta.listing import unreadable
from ptheta.wording import on_command_line, worded

AS_BUILT_IN = [
    (lambda: ptheta.load("nowhere.csv"), FileNotFoundError),
    (lambda: ptheta.load("nowhere.csv"), ValueError),
    (lambda: ptheta.Run.load("nowhere"), FileNotFoundError),
    (lambda: ptheta.load("digits", limt=3), TypeError),
    (lambda: ptheta.load("digits", limit=0), ValueError),
    (lambda: ptheta.load({"x": [1.0, float("inf")] * 9}), ValueError),
    (lambda: ptheta.fit("made", "digits", minutes="x"), TypeError),
    (lambda: ptheta.fit("made", "digits", minutes=-1), ValueError),
    (lambda: ptheta.fit("maid", "digits"), ValueError),
]


@pytest.mark.parametrize(("call", "kind"), AS_BUILT_IN)
def test_errors_are_caught_as_those_of_python(call, kind):
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, PthetaError)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [UsageError, ArgumentError, SourceError, NoSourceError, NoRunError, FitError])
def test_errors_survive_pickling_and_places(kind):
    error = kind("the problem", "the remedy")
    assert str(error) == "the problem; the remedy"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))
    assert str(error.within("a.csv")) == "a.csv: the problem; the remedy"


def test_options_are_keywords_in_python_and_flags_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n" + "1,x\n2,y\n" * 30)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UsageError, match=r"choose another out$"):
        ptheta.fit("independent", "x.csv", out="taken")
    assert main(["fit", "x.csv", "independent", "--out", "taken"]) == 2
    assert "choose another --out\n" in capsys.readouterr().err
    with pytest.raises(PthetaError, match=r'of a table take columns="real"'):
        ptheta.fit("flow", ptheta.load("x.csv"))
    assert main(["fit", "x.csv", "flow"]) == 2
    assert "of a table take --columns real" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "keywords"),
    [
        ("--width 953 takes 0.06 GB", "width=953 takes 0.06 GB"),
        ("--size 24x32 takes 1 GB", 'size="24x32" takes 1 GB'),
        ("allow more with --memory GIB", "allow more with memory=GIB"),
        ("leave out --order", "leave out order"),
        ("out of --context and --except, or another", "out of context and except_columns, or another"),
        ("choose one with --event", "choose one with event"),
        ("such as --event a,b", "such as event=a,b"),
        ("leave them out with --except a,b", "leave them out with except_columns=a,b"),
        ("raise --batch-size, or lower --accumulate", "raise batch_size, or lower accumulate"),
        ("leave out --no-across-documents", "leave out across_documents=False"),
        ("continue it with: ptheta fit --resume --out run", "continue it with: ptheta fit --resume --out run"),
        ("`ptheta sample RUN --help` lists them; --limit", "`ptheta sample RUN --help` lists them; limit"),
        ("a -- b, 3--4, word--flag", "a -- b, 3--4, word--flag"),
    ],
)
def test_flags_in_words(flags, keywords):
    assert worded(flags) == keywords
    with on_command_line():
        assert worded(flags) == flags


def test_a_file_that_is_not_there_is_said_once_wherever_it_is_read(tmp_path):
    with pytest.raises(NoSourceError, match=r"^no file or folder is called"), replacing(tmp_path / "written"):
        ptheta.load(tmp_path / "nowhere.csv")
    first = NoSourceError("a.csv cannot be read: No such file or directory", "check the path")
    assert unreadable("a.csv", first) is first


def test_a_file_where_a_folder_is_wanted_is_named(tmp_path):
    (tmp_path / "t.csv").touch()
    with (
        pytest.raises(UsageError, match=r"cannot write .*: .*t\.csv is a file, not a folder"),
        replacing(tmp_path / "t.csv" / "x"),
    ):
        pass
