"""`ptheta compress` and `ptheta decompress`: round trips, what is said, one line for every mistake."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pictures_and_other_files_there_and_back(here, ptheta):
    level = np.array([[0, 85], [170, 255]], np.uint8).repeat(4, 0).repeat(4, 1)
    Image.fromarray(level).save("coarse.png")
    done = ptheta("compress", "pic", "coarse.png", "pictures/3.png", "text.txt", "--out", "x.ptz", "--json")
    assert done.code == 0
    said = done.json
    assert said["files"] == 3
    assert said["stored_files"] == ["pictures/3.png", "text.txt"]
    assert said["bytes_out"] == (here / "x.ptz").stat().st_size
    assert said["bytes_in"] == sum(
        (here / name).stat().st_size for name in ("coarse.png", "pictures/3.png", "text.txt")
    )
    assert said["model_bits"] > 0
    assert said["seconds"] > 0
    assert "3 files" in done.err
    assert "stored, since the model cannot give them back exactly: pictures/3.png, text.txt" in done.err
    assert "pictures/3.png is of other colours or grey levels than the model's" in done.err
    assert "text.txt is of a kind that the model does not read" in done.err
    assert "of no use" not in done.err
    back = ptheta("decompress", "pic", "x.ptz", "--out", "deep/out", "--json")
    assert back.json["files"] == ["coarse.png", "pictures/3.png", "text.txt"]
    assert back.json["damaged"] == []
    found = contents(here / "deep" / "out")
    assert found["text.txt"] == (here / "text.txt").read_bytes()
    assert found["pictures/3.png"] == (here / "pictures" / "3.png").read_bytes()
    with Image.open(here / "deep" / "out" / "coarse.png") as picture:
        assert np.array_equal(np.asarray(picture), level)


def test_why_a_picture_is_stored_is_reported(here, ptheta):
    done = ptheta("compress", "pic", "big.png", "--out", "x.ptz", "--json")
    assert done.json["stored_why"] == ["of another size: 9×8, and the model's events are 8×8"]
    assert "big.png is of another size: 9×8" in done.err
    assert "the model is of no use for these files" in done.err


def test_a_folder_with_labels_of_a_table(here, ptheta):
    assert ptheta("compress", "lab", "table.csv", "--out", "x.ptz", "--json").json["stored_files"] == []
    assert ptheta("decompress", "lab", "x.ptz", "--out", "out").code == 0
    assert (here / "out" / "table.csv").read_bytes() == (here / "table.csv").read_bytes()


def test_other_compressors_beside_it(here, ptheta):
    options = ["--out", "x.ptz", "--compare", "--threads", "2", "--json"]
    result = ptheta("compress", "txt", "unknown.csv", *options)
    assert set(result.json["one_stream"]) == {"png", "webp", "xz", "zstd"}
    assert result.json["one_file_each"]["xz"] == result.json["one_stream"]["xz"] < 200
    assert result.json["one_stream"]["png"] is None
    assert result.json["threads"] == 2
    pictures = ptheta("compress", "pic", "pictures", "--out", "y.ptz", "--compare", "--json").json
    assert pictures["one_file_each"]["png"] > pictures["one_stream"]["webp"] > 0


def test_where_zstd_is_smaller_than_the_model_it_is_said_with_both_sizes(here, ptheta):
    """A run of text codes noise worse than it is; a text like its own better."""
    Path("noise.txt").write_bytes(np.random.default_rng(0).bytes(5_000))
    result = ptheta("compress", "txt", "noise.txt", "--out", "x.ptz", "--json")
    found = result.json
    assert (found["stored_blocks"], found["value_blocks"]) == (1, 1)
    sizes = f"{found['by_zstd']:,} bytes by zstd, {found['by_model']:,} by the model"
    assert f"zstd was smaller on every block, {sizes}" in result.err
    assert found["by_zstd"] < found["by_model"]
    assert "zstd" not in ptheta("compress", "lab", "table.csv", "--out", "y.ptz").err


def test_a_damaged_file_is_one_line_and_recovery_names_what_is_lost(here, ptheta):
    assert ptheta("compress", "txt", "text.txt", "--out", "x.ptz", "--lanes", "1", "--stretch", "420").code == 0
    whole = bytearray((here / "x.ptz").read_bytes())
    whole[-20] ^= 1
    (here / "x.ptz").write_bytes(whole)
    before = contents(here)
    result = ptheta("decompress", "txt", "x.ptz", "--out", "out")
    assert result.code == 2
    assert result.err.startswith("ptheta: x.ptz: block 1 is damaged; ")
    assert len(result.err.splitlines()) == 1
    assert contents(here) == before
    result = ptheta("decompress", "txt", "x.ptz", "--out", "out", "--recover", "--json")
    assert result.code == 0
    assert result.json["damaged"] == ["text.txt"]
    assert "1 damaged block of 2; lost: text.txt" in result.err
    assert contents(here / "out") == {
        "text.txt.intact-000000000000-000000000420": (here / "text.txt").read_bytes()[:420]
    }


BAD = {
    "no output": ("compress txt text.txt", "--out is missing", "x.ptz"),
    "output taken": ("compress txt text.txt --out table.csv", "table.csv exists", "--force"),
    "output is a folder": ("compress txt text.txt --out pictures --force", "pictures exists", "--out"),
    "no files": ("compress txt --out x.ptz", "FILE is missing", "see ptheta compress --help"),
    "a file that is missing": ("compress txt none.txt --out x.ptz", "none.txt does not exist", "regular files"),
    "real numbers": ("compress num numbers.csv --out x.ptz", "densities of real numbers", "whole numbers"),
    "a label that is not there": ("compress lab table.csv --context hut --out x.ptz", "'hut'", "did you mean hat?"),
    "a label too many": ("compress pic top.png --context hat --out x.ptz", "no context", "leave out --context"),
    "not compressed": (
        "decompress txt text.txt --out out",
        "text.txt is not a compressed file of ptheta",
        "ptheta compress",
    ),
    "nothing to decompress": ("decompress txt none.ptz --out out", "none.ptz cannot be read", "check the path"),
    "no folder to write to": ("decompress txt good.ptz", "--out is missing", "name a folder"),
    "a folder that is taken": ("decompress txt good.ptz --out pictures", "pictures exists", "choose another --out"),
    "another model": (
        "decompress pic good.ptz --out out",
        "good.ptz was compressed with another model",
        "give the run",
    ),
    "threads": ("compress txt text.txt --threads 0 --out x.ptz", "--threads is 0", "give at least 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(case, here, ptheta):
    arguments, problem, remedy = BAD[case]
    assert ptheta("compress", "txt", "text.txt", "--out", "good.ptz").code == 0
    before = contents(here)
    result = ptheta(*arguments.split(), "--json")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert problem in line
    assert remedy in line
    assert list(json.loads(result.out)) == ["error", "remedy"]
    assert contents(here) == before
