"""`ptheta complete`: several files, masks, methods."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


def test_several_pictures_are_completed_on_one_sheet(ptheta, here):
    result = ptheta("complete", "pic", "pictures/0.png", "pictures/1.png", "-n", "3", "--out", "c", "--json")
    assert result.code == 0
    names = [os.path.basename(f) for f in result.json["files"]]
    assert names == [*(f"completion-000{i}.png" for i in range(6)), "completions.png"]
    for i, file in enumerate(result.json["files"][:6]):
        original = np.asarray(Image.open(here / "pictures" / f"{i // 3}.png")) // 64
        assert (np.asarray(Image.open(file))[:4] // 64 == original[:4]).all(), "the upper half, if nothing is said"
    sheet = Image.open(result.json["files"][-1])
    assert sheet.height == 2 * 66 + 18
    assert "3 completions of each of 2 events" in result.err


def test_both_methods_give_the_same_completions(ptheta, here):
    for method in ("ancestral", "fixed_point", "auto"):
        found = ptheta("complete", "pic", "pictures/0.png", "--method", method, "--out", method, "--seed", "3")
        assert found.code == 0
    sheets = [(here / m / "completions.png").read_bytes() for m in ("ancestral", "fixed_point", "auto")]
    assert sheets[0] == sheets[1] == sheets[2]


def test_events_are_shared_out_over_the_labels(ptheta, here):
    result = ptheta("complete", "lab", "table.csv", "table.csv", "--context", "hat", "shoe", "--out", "c", "--json")
    original = pd.read_csv("table.csv")["colour"].tolist()
    completed = pd.read_csv(result.json["files"][0])["colour"].tolist()
    assert completed == [colour for colour in original * 2 for _ in range(4)]


def test_keeping_nothing_draws_samples(ptheta, here):
    Image.new("L", (8, 8), 0).save("black.png")
    ptheta("complete", "pic", "pictures/0.png", "--keep", "0", "--out", "a", "-n", "5", "--seed", "1")
    ptheta("complete", "pic", "pictures/0.png", "--mask", "black.png", "--out", "b", "-n", "5", "--seed", "1")
    ptheta("sample", "pic", "-n", "5", "--seed", "1", "--out", "s")
    for i in range(5):
        drawn = (here / "s" / f"sample-000{i}.png").read_bytes()
        assert (here / "a" / f"completion-000{i}.png").read_bytes() == drawn
        assert (here / "b" / f"completion-000{i}.png").read_bytes() == drawn


@pytest.mark.parametrize("how", [("--keep", "1"), ("--mask", "white.png")])
def test_if_everything_is_kept_nothing_is_missing(how, ptheta, here):
    Image.new("L", (8, 8), 255).save("white.png")
    result = ptheta("complete", "pic", "pictures/0.png", *how, "--out", "c")
    assert result.code == 2
    assert "keeps everything, so nothing is left to draw; keep less" in result.err
    assert not Path("c").exists()


def test_an_unknown_method_is_told_with_those_there_are(ptheta):
    result = ptheta("complete", "pic", "pictures/0.png", "--method", "guess")
    assert result.code == 2
    assert "--method" in result.err
    assert "fixed_point" in result.err


WRONG = {
    "a picture": ("txt", "pictures/0.png", "pictures/0.png is a picture, not a text; give a text file, such as x.txt"),
    "lines of JSON": ("txt", "rows.jsonl", "rows.jsonl is a table, not a text"),
    "an array": ("txt", "x.npy", "x.npy is an array, not a text"),
    "a table": ("pic", "table.csv", "table.csv is a table, not a picture; give a picture file, such as x.png"),
    "a sound": ("pic", "x.wav", "x.wav is a sound, not a picture"),
    "a text": ("num", "text.txt", "text.txt is a text, not a table"),
    "a compressed file": (
        "txt",
        "x.ptz",
        "x.ptz is a compressed file, not a text; unpack it with ptheta decompress RUN",
    ),
    "an archive": ("pic", "x.zip", "x.zip is an archive, not a picture; unpack it, and give a file in it"),
    "a compressed text": ("txt", "x.txt.gz", "x.txt.gz is a compressed file, not a text; unpack it"),
    "zeros": ("txt", "zeros.bin", "zeros.bin holds zero bytes, as no text does; give a text file, such as x.txt"),
    "a folder": ("pic", "pictures", "pictures is a folder; name the files in it"),
    "a folder of texts": ("txt", "pictures", "pictures is a folder; name the files in it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_of_another_form_is_refused_by_its_name(case, ptheta, here):
    run, file, message = WRONG[case]
    for name in ("rows.jsonl", "x.npy", "x.wav"):
        Path(name).write_text('{"text": "the lazy dog"}')
    for name in ("x.ptz", "x.zip", "x.txt.gz", "zeros.bin"):
        Path(name).write_bytes(b"\0\1")
    result = ptheta("complete", run, file, "--out", "c")
    assert result.code == 2
    assert message in result.err
    assert not Path("c").exists()
