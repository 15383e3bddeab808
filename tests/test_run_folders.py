"""A run takes the place of another: at every moment one of the two is there, whole, and so is all that is no run's."""

import os
import shutil
import signal

import pytest

import ptheta
from ptheta import files, run_folders
from ptheta.run_folders import install, recover, staging

RUN = ("config.json", "model.safetensors", "metrics.jsonl", "checkpoint/state.safetensors", "samples/sample-0003-b.wav")
MINE = (
    "README.md",
    "samples.ipynb",
    "samples-2024.xlsx",
    "samples/sample-0001-notes.docx",
    "samples/mine.png",
    "samples.of.mine/a.png",
    "checkpoint/mine",
    "thesis.tex",
    "notes/plan.md",
    "config.bak",
)
CALLS = ("unlink", "rmdir", "rename", "replace", "mkdir")


def make(folder, content, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if not p.is_dir()}


def install_and_die(staged, path, call):
    """A process replaces the run in `path`, and kill -9 strikes before its `call`-th change of the disk."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    count = iter(range(1000))

    def counted(function):
        def dying(*arguments, **named):
            if next(count) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return dying

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    run_folders.exchange = counted(files.exchange)
    try:
        own = staged.with_name(staged.name.replace(f"-{os.getppid()}-", f"-{os.getpid()}-", 1))
        os.rename(staged, own)  # the first call: it is the child's now
        install(own, path)
    finally:
        os._exit(0)


@pytest.mark.parametrize("system", ["linux", "without renameat2"])
def test_killed_at_any_point_one_run_is_whole_and_nothing_of_the_users_is_lost(system, tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.files.sys.platform", system)
    seen, call, code = set(), 1, -signal.SIGKILL
    while code == -signal.SIGKILL:
        folder = tmp_path / str(call)
        path = folder / "run"
        make(path, "old", RUN)
        make(path, "mine", MINE)
        staged = staging(path)
        make(staged, "new", RUN)
        code = install_and_die(staged, path, call)
        recover(path)
        found = content(path)
        if "README-1.md" in found:  # the card of the run that lost its place, which somebody had edited
            found["README.md"] = found.pop("README-1.md")
        assert {name: found.pop(name) for name in MINE} == dict.fromkeys(MINE, "mine"), call
        if found != dict.fromkeys(RUN, "old"):  # of the old run, which has lost its place, nothing is left
            assert found == dict.fromkeys(RUN, "new"), call
        seen.add(found["config.json"])
        assert [p.name for p in folder.iterdir()] == ["run"], f"call {call}: nothing is left beside it"
        call += 1
    assert call > 15
    assert seen == {"old", "new"}


def test_what_the_living_build_is_left_alone(tmp_path):
    make(tmp_path / "run", "old", RUN)
    staged = staging(tmp_path / "run")
    make(staged, "new", RUN)
    recover(tmp_path / "run")
    assert content(staged) == dict.fromkeys(RUN, "new")
    assert install(staged, tmp_path / "run") == []
    assert content(tmp_path / "run") == dict.fromkeys(RUN, "new")


def test_leftovers_of_another_run_are_left_to_it(tmp_path):
    make(tmp_path / "run", "old", RUN)
    other = staging(tmp_path / "my-run")
    other = other.with_name(other.name.replace(f"-{os.getpid()}-", "-999999999-"))
    make(other, "new", RUN)
    for name in ("run", "my-run-aside", "my", "my-run\n"):
        recover(tmp_path / name)
        assert other.exists(), name
    recover(tmp_path / "my-run")
    assert content(tmp_path / "my-run") == dict.fromkeys(RUN, "new"), "it had lost its place and is whole"


@pytest.fixture
def run(data, tmp_path):
    return ptheta.fit("made", data, steps=3, out=tmp_path / "runs" / "run", hyperparameters={"width": 16})


def test_files_beside_a_run_survive_its_replacement_and_are_reported(run, data):
    make(run.path, "mine", MINE)
    new = ptheta.fit("independent", data, out=run.path, force=True)
    assert ptheta.Run.load(run.path).name == "independent"
    kept = ["README-1.md", *MINE[1:]]
    assert {name: (run.path / name).read_text() for name in kept} == dict.fromkeys(kept, "mine")
    assert (run.path / "README.md").read_text().startswith("---"), "the card of the new run"
    assert not (run.path / "checkpoint" / "state.safetensors").exists(), "it was the old run's"
    (remark,) = new.remarks
    assert remark.startswith("kept from the folder of the run that was replaced: ")
    assert "README-1.md" in remark
    assert remark.endswith(" and 5 more")
    assert [p.name for p in run.path.parent.iterdir()] == ["run"]


def test_the_old_run_stays_until_the_new_one_has_weights(run, data, monkeypatch):
    old = content_bytes(run.path)
    logged = []
    record = ptheta.reporting.FitProgress.record

    def heard(self, values, verdict):
        record(self, values, verdict)
        logged.append(content_bytes(run.path) == old)

    monkeypatch.setattr("ptheta.reporting.FitProgress.record", heard)
    new = ptheta.fit("made", data, steps=25, out=run.path, force=True, hyperparameters={"width": 8})
    assert logged[0]
    assert [line["step"] for line in new.metrics() if "step" in line] == [1, 11, 22, 25], "no record was lost"
    assert ptheta.Run.load(run.path).metrics() == new.metrics()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_fit_that_fails_leaves_the_old_run(error, run, data, monkeypatch):
    def fails(*_):
        raise error("no")

    old = content_bytes(run.path)
    with monkeypatch.context() as patch:
        patch.setattr("ptheta.training.loop.Trainer._step", fails)
        with pytest.raises(error):
            ptheta.fit("made", data, steps=3, out=run.path, force=True, hyperparameters={"width": 8})
    assert content_bytes(run.path) == old
    assert [p.name for p in run.path.parent.iterdir()] == ["run"]


def content_bytes(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def test_a_card_that_nobody_edited_goes_with_its_run(run, data):
    ptheta.fit("independent", data, out=run.path, force=True)
    assert not list(run.path.glob("README-*"))
    card = (run.path / "README.md").read_text()
    (run.path / "README.md").write_text(card + "and my notes\n")
    ptheta.fit("made", data, steps=1, out=run.path, force=True, hyperparameters={"width": 16})
    assert (run.path / "README-1.md").read_text() == card + "and my notes\n"


def test_a_fit_that_lost_its_folder_to_a_young_run_does_not_remove_that(data, tmp_path, monkeypatch):
    """The other run has no weights yet, like one that failed."""
    other = ptheta.fit("independent", data, out=tmp_path / "other")
    (other.path / "model.safetensors").unlink()
    before = content_bytes(other.path)

    def replaced(self, values, verdict):
        shutil.rmtree(tmp_path / "run")
        shutil.copytree(other.path, tmp_path / "run")
        self.run.log(values)

    monkeypatch.setattr("ptheta.reporting.FitProgress.record", replaced)
    with pytest.raises(ptheta.errors.RunError, match="now holds another run"):
        ptheta.fit("made", data, steps=3, out=tmp_path / "run", hyperparameters={"width": 16})
    assert content_bytes(tmp_path / "run") == before


def test_a_run_of_the_longest_name_is_replaced(data, tmp_path):
    path = tmp_path / ("n" * 255)
    for name in ("independent", "markov_chain"):
        assert ptheta.fit(name, data, out=path, force=True).name == name
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_run_removed_in_the_middle_of_its_fit_is_written_again_whole(data, tmp_path, monkeypatch):
    record = ptheta.reporting.FitProgress.record

    def removing(self, values, verdict):
        if values["step"] == 11:
            shutil.rmtree(tmp_path / "run")
        record(self, values, verdict)

    monkeypatch.setattr("ptheta.reporting.FitProgress.record", removing)
    run = ptheta.fit("made", data, steps=20, out=tmp_path / "run", hyperparameters={"width": 16})
    loaded = ptheta.Run.load(run.path)
    assert [line["step"] for line in loaded.metrics() if "step" in line] == [1, 11, 20]
    assert loaded.results() == run.results()
    assert run.remarks == [f"{run.path} was removed during the fit, and has been written again"]
    assert run.checkpoint.exists()


def test_a_run_removed_while_it_is_scored_is_written_again_whole(data, tmp_path, monkeypatch):
    card = ptheta.fitting.results.write_card

    def removing(run):
        shutil.rmtree(run.path)
        card(run)

    monkeypatch.setattr("ptheta.fitting.results.write_card", removing)
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    assert ptheta.Run.load(run.path).results() == run.results()


def test_a_fit_does_not_write_into_another_run_that_took_its_place(data, tmp_path, monkeypatch):
    other = ptheta.fit("independent", data, out=tmp_path / "other")
    record = ptheta.reporting.FitProgress.record

    def replaced(self, values, verdict):
        shutil.rmtree(tmp_path / "run")
        shutil.copytree(other.path, tmp_path / "run")
        record(self, values, verdict)

    monkeypatch.setattr("ptheta.reporting.FitProgress.record", replaced)
    with pytest.raises(ptheta.errors.RunError, match="now holds another run; fit again with another out"):
        ptheta.fit("made", data, steps=3, out=tmp_path / "run", hyperparameters={"width": 16})
    assert content_bytes(tmp_path / "run") == content_bytes(other.path)
