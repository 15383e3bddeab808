"""Nearest training pictures, against brute force, and what the copy check says."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.data.codecs.images import ImageCodec
from ptheta.reporting import copies, copy_check, nearest_pictures
from ptheta.reporting.copies import copies_line


class Palette:
    """A codec of [h, w] tokens: colours that are no scale, in a picture with a palette."""

    is_picture = True
    colours = np.random.default_rng(5).integers(0, 256, (7, 3), dtype=np.uint8)

    def pictures(self, x):
        pictures = [Image.fromarray(np.asarray(event).astype(np.uint8)) for event in x]
        for picture in pictures:
            picture.putpalette(self.colours.tobytes())
        return pictures


def shown(codec, x):
    """8-bit colours [n, d], one by one."""
    if isinstance(codec, Palette):
        return codec.colours[x].reshape(len(x), -1).astype(int)
    return np.stack([np.asarray(codec.picture(event)).reshape(-1) for event in x]).astype(int)


KINDS = {
    "grey": (ImageCodec(5, 4, 1, 256), (1, 5, 4), 256),
    "few levels": (ImageCodec(5, 4, 1, 3), (1, 5, 4), 3),
    "RGB": (ImageCodec(5, 4, 3, 16), (3, 5, 4), 16),
    "grid": (Palette(), (5, 4), 7),
}


def draw(n, shape, levels, seed):
    return np.random.default_rng(seed).integers(0, levels, (n, *shape)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_brute_force(kind):
    codec, shape, levels = KINDS[kind]
    x, train = draw(9, shape, levels, 0), draw(50, shape, levels, 1)
    found = nearest_pictures(codec, x, train)
    squares = ((shown(codec, x)[:, None] - shown(codec, train)[None]) ** 2).mean(-1)
    assert (found.index == squares.argmin(1)).all()
    assert found.rms == pytest.approx(np.sqrt(squares.min(1)), rel=1e-14)
    assert found.identical == 0
    assert found.median == np.median(found.rms)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_lies_at_distance_zero_of_the_first_picture_equal_to_it(kind):
    codec, shape, levels = KINDS[kind]
    x, train = draw(9, shape, levels, 0), draw(50, shape, levels, 1)
    train[[31, 44]] = x[4]
    found = nearest_pictures(codec, x, train)
    assert (found.index[4], found.rms[4]) == (31, 0)
    assert found.identical == 1


@pytest.mark.parametrize("values", [1, 20, 60, 100, 1000, 2000])
def test_it_does_not_matter_how_the_training_pictures_are_cut(values, monkeypatch):
    codec, shape, levels = KINDS["grey"]
    x, train = draw(9, shape, levels, 0), draw(50, shape, levels, 1)
    train[[0, 49]] = train[19:21] = x[3]
    whole = nearest_pictures(codec, x, train)
    monkeypatch.setattr(copies, "VALUES", values)
    found = nearest_pictures(codec, torch.from_numpy(x), train)
    assert (found.index == whole.index).all()
    assert (found.rms == whole.rms).all()
    assert found.index[3] == 0


def test_only_the_given_rows_are_searched():
    codec, shape, levels = KINDS["grey"]
    x, train = draw(9, shape, levels, 0), draw(50, shape, levels, 1)
    train[7] = x[0]
    rows = np.array([3, 20, 41])
    found = nearest_pictures(codec, x, train, rows)
    assert set(found.index) <= {3, 20, 41}
    among = nearest_pictures(codec, x, train[rows])
    assert (rows[among.index] == found.index).all()
    assert (among.rms == found.rms).all()


def test_large_pictures_that_differ_by_one_grey_level_are_told_apart():
    codec = ImageCodec(128, 128, 3, 256)
    train = np.full((3, 3, 128, 128), 255, np.uint8)
    train[1, 0, 0, 0], train[2, 1, 5, 5] = 254, 253
    found = nearest_pictures(codec, train[[2, 1, 0]], train)
    assert found.index.tolist() == [2, 1, 0]
    assert found.rms.tolist() == [0, 0, 0]
    almost = nearest_pictures(codec, train[:1], train, np.array([2, 1]))
    assert (almost.index[0], almost.rms[0]) == (1, (1 / (3 * 128 * 128)) ** 0.5)


@pytest.fixture(scope="module")
def data():
    return ptheta.load("digits", limit=300)


def test_a_memoriser_is_found_out(data, tmp_path, capsys):
    run = ptheta.fit("empirical", data, out=tmp_path / "run", verbose=True)
    (record,) = [line["copies"] for line in run.metrics() if "copies" in line]
    assert (record["samples"], record["identical"], record["nearest_rms_median"]) == (64, 64, 0)
    assert (record["heldout"], record["heldout_split"], record["heldout_identical"]) == (64, "test", 0)
    assert record["heldout_rms_median"] > 20
    line = "64 of 64 samples equal a training picture, 0 of 64 test pictures; median distance to the nearest one"
    assert line in capsys.readouterr().err
    card = (run.path / "README.md").read_text()
    assert line in card
    assert "![copies](copies.png)" in card


def test_new_pictures_are_no_copies(data, tmp_path, capsys):
    run = ptheta.fit("independent", data, out=tmp_path / "run", verbose=True)
    (record,) = [line["copies"] for line in run.metrics() if "copies" in line]
    assert record["identical"] == 0
    assert record["nearest_rms_least"] > 0
    assert "training picture" not in capsys.readouterr().err
    assert "0 of 64 samples equal a training picture" in (run.path / "README.md").read_text()


def test_the_numbers_are_those_of_the_samples_in_the_folder_and_of_test(data, tmp_path):
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    (record,) = [line["copies"] for line in run.metrics() if "copies" in line]
    x = run.model.sample(64, seed=0)
    train = shown(data.codec, data.train.x)
    for name, part in (("nearest_rms_median", x), ("heldout_rms_median", data.test.subset(64).events()[0])):
        squares = ((shown(data.codec, part)[:, None] - train) ** 2).mean(-1)
        assert record[name] == pytest.approx(np.median(np.sqrt(squares.min(1))))


def test_the_sheet_shows_the_nearest_pairs_first(data):
    x = torch.from_numpy(draw(5, (1, 8, 8), 17, 0)).long()
    x[3] = torch.from_numpy(data.train.x[11].astype(int))
    record, sheet = copy_check(data.codec, data, x)
    assert record["identical"] == 1
    pixels = np.asarray(sheet)
    copy = np.asarray(data.codec.picture(x[3]).convert("RGB")).repeat(8, 0).repeat(8, 1)
    places = [
        (top, left)
        for top, left in itertools.product(range(120), range(40))
        if (pixels[top : top + 64, left : left + 64] == copy).all()
    ]
    assert len(places) == 1
    top, left = places[0]
    assert (pixels[top : top + 64, left + 66 : left + 130] == copy).all(), "its training picture is beside it"


def test_without_other_real_pictures_the_samples_stand_alone():
    pictures = draw(30, (6, 6), 256, 0)
    data = ptheta.load(pictures)
    data.splits = {"train": data.train}
    record, sheet = copy_check(data.codec, data, data.train.events(slice(0, 3))[0])
    assert record["identical"] == 3
    assert "heldout" not in record
    assert "3 of 3 samples equal a training picture; median distance" in copies_line(record)
    assert sheet.width < 600


def test_if_time_is_short_a_part_is_searched_and_that_is_said(data, monkeypatch):
    monkeypatch.setattr(copies, "PROBED", 50)
    x = data.test.events(slice(0, 4))[0]
    record, _ = copy_check(data.codec, data, x, seconds=0)
    assert (record["searched"], record["train"]) == (50, 300)
    assert copies_line(record).endswith("; 50 of 300 were searched.")
    again, _ = copy_check(data.codec, data, x, seconds=0)
    assert again == record
