"""Whatever another library raises while something of a user's is read ends in one of our errors; interrupts pass."""

import errno
import os

import pytest

from ptheta.cli.main import main
from ptheta.errors import RunError, SourceError
from ptheta.foreign import guarded


class Panic(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        (KeyError("columns"), "KeyError: 'columns'"),
        (AssertionError(), "AssertionError"),
        (RecursionError("maximum"), "it is nested too deeply"),
        (ValueError("bad\nmagic"), "bad magic"),
        (OSError(errno.EIO, "Input/output error", "x"), "Input/output error"),
        (Panic("index out of bounds"), "Panic: index out of bounds"),
        (type("NewInTheNextVersion", (Exception,), {})("odd"), "NewInTheNextVersion: odd"),
    ],
)
def test_any_exception_names_the_file_and_the_cause(raised, shown):
    with pytest.raises(SourceError) as error, guarded("data.bin"):
        raise raised
    assert str(error.value) == f"cannot read data.bin: {shown}; repair or replace it"
    assert error.value.__cause__ is raised


@pytest.mark.parametrize("passing", [RunError("a", "b"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_our_errors_and_interrupts_pass(passing):
    with pytest.raises(type(passing)) as error, guarded("data.bin"):
        raise passing
    assert error.value is passing


def test_memory_and_permission_have_remedies_of_their_own():
    with pytest.raises(SourceError, match=r"data\.bin does not fit into memory; give a limit"), guarded("data.bin"):
        raise MemoryError
    with pytest.raises(SourceError, match=r"b\.csv cannot be read: Permission denied"), guarded("folder"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "b.csv")


FAULTS = [
    (ZeroDivisionError("division by zero"), 1, "internal error, ZeroDivisionError: division by zero; please report it"),
    (Panic("out of bounds"), 1, "internal error, Panic: out of bounds; please report it"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.png"), 2, "a.png: No space left on device; free disk space"),
    (OSError(errno.EROFS, os.strerror(errno.EROFS), "a.png"), 2, "a.png: Read-only file system; choose a writable"),
    (RuntimeError("CUDA out of memory"), 2, "out of memory; choose a smaller model"),
]


@pytest.mark.parametrize(("raised", "code", "line"), FAULTS)
def test_what_nobody_expected_is_one_line_with_the_command_that_shows_more(raised, code, line, monkeypatch, capsys):
    def fail(args):
        raise raised

    monkeypatch.setattr("ptheta.cli.main._dispatch", fail)
    assert main(["zoo", "a b"]) == code
    shown = capsys.readouterr().err
    assert shown.startswith(f"ptheta: {line}")
    assert shown.count("\n") == 1
    assert ("PTHETA_TRACEBACK=1 ptheta zoo 'a b'" in shown) == (code == 1)
    monkeypatch.setenv("PTHETA_TRACEBACK", "1")
    assert main(["zoo", "a b"]) == code
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_cause_of_an_error_of_ours_can_be_seen(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PTHETA_TRACEBACK", "1")
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    assert main(["fit", str(path), "made", "--steps", "1"]) == 2
    shown = capsys.readouterr().err
    assert "The above exception was the direct cause" in shown
    assert shown.splitlines()[-1].startswith(f"ptheta: {path} is not a readable NPY file")
