"""One writer at a time, what dead writers leave, and folders that appear whole."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from ptheta.errors import BusyError, UsageError
from ptheta.files import ABANDONED, LOCK, TEMPORARY, claim, exchange, replacing, replacing_folder, sweep, temporary_name

HOLDS = """
import sys
from pathlib import Path
from ptheta.files import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path / "run"`."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_place_has_one_writer_and_the_other_hears_who_it_is(holder, tmp_path):
    with pytest.raises(BusyError) as caught, claim(tmp_path / "run"):
        pass
    assert f"{tmp_path / 'run'} is being written by process {holder.pid} on " in str(caught.value)
    assert "seconds: -c " in str(caught.value)
    assert "wait for it, stop it, or choose another out" in str(caught.value)
    with claim(tmp_path / "other"):
        pass
    holder.stdin.close()
    holder.wait()
    with claim(tmp_path / "run"):
        pass
    assert names(tmp_path) == set(), "locks go with their holders"


def test_a_killed_writer_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert names(tmp_path) == {f"{LOCK}run"}
    with claim(tmp_path / "another"):
        assert names(tmp_path) == {f"{LOCK}another"}, "the next command cleans up"
    with claim(tmp_path / "run"):
        pass


def test_a_path_is_the_same_place_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with claim(Path("run")), pytest.raises(BusyError), claim(tmp_path / "x" / ".." / "run"):
        pass


def test_a_link_to_a_folder_is_that_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with claim(tmp_path / "real"), pytest.raises(BusyError), claim(tmp_path / "link"):
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f"{LOCK}run").symlink_to("precious")
    with pytest.raises(UsageError, match="cannot write"), claim(tmp_path / "run"):
        pass
    sweep(tmp_path)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_lock_that_a_dead_process_of_another_user_left_is_taken_over():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        lock = Path(folder, f"{LOCK}run")
        lock.write_text("{}")
        lock.chmod(0o444)
        os.chmod(folder, 0o777)
        os.seteuid(65534 if os.geteuid() == 0 else os.geteuid())
        try:
            with claim(Path(folder, "run")):
                assert lock.exists()
        finally:
            os.seteuid(os.getuid())
        assert not lock.exists()


def test_places_side_by_side_do_not_disturb_each_other(tmp_path):
    """Each process looks whether the locks of the others are held."""
    code = "import sys; from pathlib import Path; from ptheta.files import claim\n"
    code += "for _ in range(300):\n    with claim(Path(sys.argv[1])): pass"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / str(i))]) for i in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def test_of_many_threads_one_at_a_time_gets_a_place(tmp_path):
    inside, most, refused = [], [], []

    def work():
        for _ in range(200):
            try:
                with claim(tmp_path / "file"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except BusyError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) + len(refused) == 800


def test_a_lock_of_an_unknown_holder_is_reported_too(holder, tmp_path):
    (tmp_path / f"{LOCK}run").write_text("{")
    with pytest.raises(BusyError, match="is being written by another process"), claim(tmp_path / "run"):
        pass


# What the dead leave


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_temporaries_of_dead_processes_are_swept_and_those_of_the_living_are_not(tmp_path):
    mine = temporary_name(tmp_path, ".png")
    theirs = mine.with_name(mine.name.replace(f"{TEMPORARY}{os.getpid()}-", f"{TEMPORARY}{dead()}-"))
    folder = theirs.with_name(f"{theirs.name}-folder")
    mine.write_bytes(b"half")
    theirs.write_bytes(b"half")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("half")
    (tmp_path / "data.png").write_bytes(b"whole")
    sweep(tmp_path)
    assert names(tmp_path) == {mine.name, "data.png"}


@pytest.mark.parametrize(("age", "stays"), [(0.0, True), (ABANDONED + 60, False)])
@pytest.mark.parametrize("name", [f"{TEMPORARY}abc123.png", f"{TEMPORARY}1-elsewhere-00112233.png"])
def test_those_of_unknown_owners_are_swept_when_they_are_old(name, age, stays, tmp_path):
    (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    sweep(tmp_path)
    assert names(tmp_path) == ({name} if stays else set())


def test_sweeping_what_is_not_there_is_no_error(tmp_path):
    sweep(tmp_path / "no")


# Folders


def test_a_folder_appears_at_once_and_whole(tmp_path):
    with replacing_folder(tmp_path / "samples") as temporary:
        for i in range(3):
            (temporary / f"{i}.png").write_text(str(i))
        assert not (tmp_path / "samples").exists()
    assert names(tmp_path) == {"samples"}
    assert names(tmp_path / "samples") == {"0.png", "1.png", "2.png"}


@pytest.mark.parametrize("before", [None, {}, {"0.png": "old", "mine.txt": "mine"}])
def test_a_folder_whose_writing_fails_is_as_it_was(before, tmp_path):
    path = tmp_path / "samples"
    if before is not None:
        path.mkdir()
        for name, content in before.items():
            (path / name).write_text(content)

    def write():
        with replacing_folder(path) as temporary:
            (temporary / "0.png").write_text("new")
            with replacing(temporary / "1.png"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UsageError, match=f"cannot write {path}.*: No space left on device"):
        write()
    assert path.exists() == (before is not None)
    assert {p.name: p.read_text() for p in path.glob("*")} == (before or {})
    assert names(tmp_path) <= {"samples"}


def test_in_a_folder_that_holds_files_those_of_the_same_names_are_replaced(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b", "mine"):
        (tmp_path / name).write_text("old")
    with replacing_folder(tmp_path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "a").write_text("new")
        (temporary / "sub" / "b").write_text("new")
    files = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"a": "new", "sub/b": "new", "mine": "old"}


def test_a_folder_reached_by_a_link_is_written_where_it_is(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing_folder(tmp_path / "link") as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "new"


def test_an_existing_folder_stays_the_same_folder(tmp_path):
    """Somebody may work in it, and its permissions are theirs."""
    path = tmp_path / "secret"
    path.mkdir(mode=0o700)
    before = path.stat()
    with replacing_folder(path) as temporary:
        (temporary / "a").write_text("new")
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    assert names(path) == {"a"}


@pytest.mark.parametrize("system", [sys.platform, "without renameat2"])
def test_two_folders_swap_their_names(system, tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.files.sys.platform", system)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(json.dumps(name))
    exchange(tmp_path / "a", tmp_path / "b", tmp_path / "aside")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} == {"a", "a/b", "b", "b/a"}
    with pytest.raises(OSError):
        exchange(tmp_path / "a", tmp_path / "no", tmp_path / "aside")
    assert names(tmp_path) == {"a", "b"}
