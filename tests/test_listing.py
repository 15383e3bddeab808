"""What lies in a folder is read, or the command stops and names it."""

import os
import shutil
import tempfile
import wave
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ptheta
from ptheta import files
from ptheta.cli.main import main
from ptheta.coding import compress
from ptheta.errors import SourceError
from ptheta.listing import RESERVED, entries, files_below

NOBODY = 65534
PICTURES = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(6)]


def write_sources(folder: Path) -> None:
    """Sources of every kind that is read from files."""
    g = np.random.default_rng(0)
    for name in PICTURES:
        for place in ("pics", "described"):
            path = folder / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(g.integers(0, 256, (4, 4), dtype=np.uint8)).save(path)
    rows = [f"{name},{name[:3]}" for name in PICTURES]
    (folder / "described/metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    for place in ("texts", "texts/deep"):
        (folder / place).mkdir()
        for i in range(3):
            (folder / place / f"{i}.txt").write_text("the lazy dog sleeps. " * 40)
    (folder / "tables/deep").mkdir(parents=True)
    for place in ("t.csv", "tables/train.csv", "tables/deep/test.csv"):
        (folder / place).write_text("a,b\n" + "1,2\n3,4\n" * 10)
    (folder / "t.jsonl").write_text('{"a": 1}\n{"a": 2}\n' * 10)
    pd.DataFrame({"a": [1, 2, 3] * 9}).to_parquet(folder / "t.parquet")
    np.save(folder / "a.npy", g.integers(0, 3, (20, 4)).astype(np.uint8))
    np.savez(folder / "a.npz", x=g.integers(0, 3, (20, 4)).astype(np.uint8))
    (folder / "a-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 9, *range(9)]))
    (folder / "sounds").mkdir()
    for i in range(3):
        with wave.open(str(folder / f"sounds/{i}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            file.writeframes(g.integers(-9000, 9000, 400).astype("<i2").tobytes())


@pytest.fixture
def user(monkeypatch):
    """A folder with sources, and this process as a user whom permissions bind: root is nobody for a while."""
    folder = Path(tempfile.mkdtemp())
    write_sources(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    for source in ("described", "tables"):  # what they import is imported by whom it belongs to
        ptheta.load(source)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    assert main(["fit", "pics", "made", "--levels", "4", "--width", "8", "--steps", "1", "--out", "run"]) == 0
    privileged = os.geteuid() == 0
    if privileged:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if privileged:
        os.seteuid(0)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)
    shutil.rmtree(folder)


CLOSED = {  # what is closed, and the command that needs it
    "a class of pictures, compressed": ("pics/cat", "compress run pics --out x.ptz"),
    "a class of pictures, learned": ("pics/cat", "fit pics made --steps 1"),
    "a class of pictures, scored": ("pics/dog", "score run pics"),
    "all pictures": ("pics", "fit pics made --steps 1"),
    "all pictures, compressed": ("pics", "compress run pics --out x.ptz"),
    "a picture": ("pics/cat/3.png", "fit pics made --steps 1"),
    "a picture, compressed": ("pics/cat/3.png", "compress run pics --out x.ptz"),
    "a picture to complete": ("pics/cat/3.png", "complete run pics/cat/3.png"),
    "a described picture": ("described/dog/2.png", "fit described made --event image --steps 1"),
    "a description": ("described/metadata.csv", "fit described made --event image --steps 1"),
    "a folder of texts": ("texts/deep", "fit texts --steps 1"),
    "a text": ("texts/deep/1.txt", "fit texts --steps 1"),
    "a folder of tables": ("tables/deep", "fit tables"),
    "a table in a folder": ("tables/train.csv", "fit tables"),
    "a table": ("t.csv", "fit t.csv"),
    "lines of JSON": ("t.jsonl", "fit t.jsonl"),
    "a Parquet file": ("t.parquet", "fit t.parquet"),
    "an array": ("a.npy", "fit a.npy"),
    "arrays": ("a.npz", "fit a.npz"),
    "an IDX file": ("a-idx1-ubyte", "fit a-idx1-ubyte"),
    "a sound": ("sounds/1.wav", "fit sounds made --steps 1"),
    "a run": ("run", "info run"),
    "a config": ("run/config.json", "info run"),
    "the checkpoint of a run": ("run/checkpoint", "info run"),
}


@pytest.mark.parametrize("case", CLOSED)
def test_what_is_closed_stops_the_command_by_name(case, user, capfd):
    closed, command = CLOSED[case]
    capfd.readouterr()
    (user / closed).chmod(0)
    assert main(command.split()) == 2
    said = capfd.readouterr()
    assert said.out == ""
    line = said.err.splitlines()[-1]
    name = line.removeprefix("ptheta: ").removesuffix(
        " cannot be read: Permission denied; change its permissions, or leave it out"
    )
    assert Path(name) in (Path(closed), user.resolve() / closed), line
    assert not (user / "x.ptz").exists()
    assert not (user / "runs").exists()


@pytest.mark.parametrize("command", ["fit pics/cat/1.png made", "compress run pics/cat/1.png --out x.ptz", "info pics"])
def test_what_lies_in_a_folder_that_may_not_be_searched_is_not_called_missing(command, user, capfd):
    capfd.readouterr()
    for folder in ("pics/cat", "pics"):
        (user / folder).chmod(0o600)
    assert main(command.split()) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert "pics" in line
    assert "cannot be read: Permission denied" in line


# Leftovers


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_sources(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_names_that_are_ignored_are_those_of_temporary_files():
    assert files.TEMPORARY.startswith(RESERVED)


def test_leftovers_of_interrupted_commands_are_neither_archived_nor_learned(here):
    picture = (here / "pics/cat/0.png").read_bytes()
    for name in ("pics/.ptheta-partial-x1.png", "pics/dog/.ptheta-lock-a", "pics/dog/.ptheta-replaced-b/0.png"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(picture)
    (here / "pics/.hidden").write_text("mine")
    assert main(["fit", "pics", "made", "--levels", "4", "--width", "8", "--steps", "1", "--out", "run"]) == 0
    assert sum(map(len, ptheta.Run.load("run").data.splits.values())) == len(PICTURES)
    report = compress("run", ["pics"], "x.ptz")
    assert report.files == ["pics/.hidden", *(f"pics/{name}" for name in PICTURES)]


# Links


def test_a_class_behind_a_link_is_learned_as_well(here):
    shutil.move(here / "pics/cat", here / "elsewhere")
    (here / "pics/cat").symlink_to(here / "elsewhere")
    data = ptheta.load("pics", context="label", follow_paths=True)
    assert data.context_space.names == ("cat", "dog")
    assert sum(map(len, data.splits.values())) == len(PICTURES)


def test_tables_behind_a_link_are_not_passed_over(here):
    shutil.move(here / "tables/deep", here / "elsewhere")
    (here / "tables/deep").symlink_to(here / "elsewhere")
    with pytest.raises(
        SourceError, match="tables/deep is a link to a folder, which is not followed for data files; put"
    ):
        ptheta.load("tables", follow_paths=True)


def test_links_that_lead_nowhere_or_upwards_stop_the_command(here):
    (here / "texts/lost.txt").symlink_to(here / "nothing.txt")
    with pytest.raises(SourceError, match=r"texts/lost.txt is a link to nothing; remove it"):
        ptheta.load("texts")
    (here / "pics/cat/again").symlink_to(here / "pics")
    with pytest.raises(SourceError, match="pics/cat/again is a link to a folder above it; remove it"):
        ptheta.load("pics")


def test_what_is_no_regular_file_is_not_passed_over(here):
    os.mkfifo(here / "texts/pipe.txt")
    with pytest.raises(SourceError, match=r"texts/pipe.txt is not a regular file"):
        ptheta.load("texts")


# Listing itself


def test_all_files_are_listed_as_rglob_lists_them(here):
    (here / "pics/.git").mkdir()
    (here / "pics/.git/config").write_text("")
    (here / "__MACOSX").mkdir()
    (here / "__MACOSX/a.txt").write_text("")
    every = sorted(path for path in here.rglob("*") if path.is_file())
    assert files_below(here) == every
    seen = [path for path in every if not {".git", "__MACOSX"} & set(path.parts)]
    assert files_below(here, hidden=False) == seen
    assert entries(here) == sorted(here.iterdir())


def test_a_folder_that_vanishes_while_it_is_listed_is_named(tmp_path):
    with pytest.raises(SourceError, match="gone cannot be read: No such file or directory; check the path"):
        entries(tmp_path / "gone")
