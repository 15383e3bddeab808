"""A file under a name is whole: the old one or the new one, whatever happens in between."""

import errno
import os
import resource
import shutil
import stat

import pytest

from ptheta import files
from ptheta.errors import UsageError
from ptheta.files import TEMPORARY, replacing, write_bytes, write_text


class Crash(BaseException):
    """The process dies; nothing after it runs, except that the test goes on."""


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.name.startswith(TEMPORARY)]


@pytest.mark.parametrize("point", ["write", "fsync file", "rename"])
def test_a_crash_before_the_rename_leaves_the_old_file(point, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "unlink", lambda *_, **__: None)  # a dead process cleans nothing up

        def crash(*_):
            raise Crash

        if point == "fsync file":
            patch.setattr(os, "fsync", crash)
        if point == "rename":
            patch.setattr(os, "replace", crash)
        write = crash if point == "write" else files.Path.write_bytes
        patch.setattr(files.Path, "write_bytes", write)
        with pytest.raises(Crash):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert len(leftovers(tmp_path)) == 1, "what a crash leaves has a name that readers ignore"


def test_a_crash_after_the_rename_leaves_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_text(path, "old")
    calls = []

    def fsync(handle):
        calls.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        if len(calls) == 2:
            raise Crash

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Crash):
        write_text(path, "new")
    assert path.read_text() == "new"
    assert calls == [False, True], "first the file is flushed, then its folder"


def test_the_file_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda handle: order.append("fsync"))
    rename = os.replace
    monkeypatch.setattr(os, "replace", lambda *a: (order.append("rename"), rename(*a)))
    write_text(tmp_path / "file", "x")
    assert order == ["fsync", "rename", "fsync"]


def test_no_space_left_is_an_error_that_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UsageError) as caught, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    said = f"cannot write {path}: No space left on device; choose another place with out, or free disk space"
    assert str(caught.value) == said
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_limit_of_the_system_on_file_size_is_such_an_error(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(UsageError, match="File too large"):
            write_bytes(path, b"n" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("door", [replacing, files.replacing_folder, files.claim])
def test_folders_that_were_made_for_what_is_not_written_go_with_it(door, tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyboardInterrupt), door(tmp_path / "old" / "new" / "deep" / "file"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [tmp_path / "old"]
    assert list((tmp_path / "old").iterdir()) == []


def test_a_folder_that_vanishes_under_the_writer_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*file: No such file"), replacing(tmp_path / "new" / "file"):
        shutil.rmtree(tmp_path / "new")


def test_an_exception_of_the_writer_leaves_no_temporary(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / "file", "x")
    (tmp_path / "a").write_text("a file, no folder")
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / "a" / "b", "x")
    assert leftovers(tmp_path) == []


def test_folders_are_made_text_is_utf8_and_permissions_are_the_users(tmp_path):
    path = tmp_path / "new" / "deep" / "file"
    before = os.umask(0o027)
    try:
        write_text(path, "p_θ")
    finally:
        os.umask(before)
    assert path.read_bytes() == "p_θ".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
