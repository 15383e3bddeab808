"""Pictures become events and come back."""

import io

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as pil

import ptheta
from ptheta.data import Codec, load
from ptheta.data.codecs import ImageCodec
from ptheta.data.codecs.picture_files import eight_bit, open_picture
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError, UsageError
from ptheta.spaces import Image


@pytest.fixture
def greys():
    return np.random.default_rng(0).integers(0, 256, (20, 6, 4), dtype=np.uint8)


def save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pil.fromarray(array).save(path)


def test_digits_are_those_of_scikit_learn_in_a_fixed_division():
    from sklearn.datasets import load_digits

    data, other = load("digits", context="label"), load("digits", context="label", seed=5)
    assert [len(data.splits[s]) for s in ("train", "validation", "test")] == [1200, 237, 360]
    assert data.space == Image(8, 8, 1, 17)
    np.testing.assert_array_equal(data.test.x, other.test.x)
    mine = sorted(
        (*s.x[i].reshape(-1).tolist(), int(s.context[i])) for s in data.splits.values() for i in range(len(s))
    )
    digits = load_digits()
    assert mine == sorted((*x.astype(int).tolist(), int(y)) for x, y in zip(digits.data, digits.target))


@pytest.mark.parametrize("levels", [2, 3, 16, 200, 255, 256])
def test_every_level_survives_a_picture_file(levels, tmp_path):
    codec = ImageCodec(16, 16, 1, levels)
    x = torch.arange(256).reshape(1, 1, 16, 16) * levels // 256
    (path,) = codec.write(x, tmp_path)
    np.testing.assert_array_equal(events_of_file(codec, path), x)
    np.testing.assert_array_equal(codec.encode(codec.decode(x)), x)


def test_levels_are_equal_bins_of_grey(greys):
    data = load(greys, levels=4)
    everything = {tuple(x.reshape(-1)) for s in data.splits.values() for x in s.x}
    assert everything == {tuple(x.reshape(-1)) for x in greys.astype(int) * 4 // 256}


def test_digits_survive_a_picture_file(tmp_path):
    data = load("digits")
    x = data.test.x[:3]
    paths = data.codec.write(torch.from_numpy(x), tmp_path, context_names=["a", "b/c", "d"])
    assert [p.name for p in paths] == ["sample-0000-a.png", "sample-0001-b_c.png", "sample-0002-d.png"]
    np.testing.assert_array_equal(np.concatenate([events_of_file(data.codec, p) for p in paths]), x)


def test_grey_rgb_and_transparent_pictures_decode_as_pillow_says(tmp_path):
    rng = np.random.default_rng(1)
    for i in range(6):
        save(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), tmp_path / f"{i}.png")
    data = load(tmp_path, validation=1)
    assert data.space == Image(5, 7, 3)
    expected = {np.asarray(pil.open(p)).transpose(2, 0, 1).tobytes() for p in tmp_path.glob("*.png")}
    assert {x.tobytes() for s in data.splits.values() for x in s.x} == expected
    clear = pil.new("RGBA", (7, 5), (10, 20, 30, 0))
    assert (data.codec.encode([clear]) == 255).all()


def test_class_folders_are_labels_and_split_folders_are_splits(tmp_path):
    for split, count in (("train", 6), ("test", 2)):
        for label, grey in (("cat", 10), ("dog", 200)):
            for i in range(count):
                save(np.full((3, 3), grey + i, np.uint8), tmp_path / split / label / f"{i}.png")
    data = load(tmp_path, context="label")
    assert data.context_space is not None
    assert data.context_space.names == ("cat", "dog")
    assert {name: len(s) for name, s in data.splits.items()} == {"train": 11, "validation": 1, "test": 4}
    for split in data.splits.values():
        np.testing.assert_array_equal(split.x[:, 0, 0, 0] >= 200, split.context == 1)


def test_black_and_white_pictures_have_two_levels(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (10, 4, 4), dtype=np.uint8)
    for i, x in enumerate(bits):
        save(x * 255, tmp_path / f"{i}.png")
    assert load(tmp_path).space == load(bits).space == Image(4, 4, 1, 2)
    assert load(bits).train.x.max() == 1
    assert load(tmp_path, levels=256).space.levels == 256


def test_packed_bits_unpack_highest_first():
    bits = np.random.default_rng(0).integers(0, 2, (30, 8, 8), dtype=np.uint8)
    packed = [row.tobytes() for row in np.packbits(bits.reshape(30, 64), axis=1)]
    for options in ({}, {"levels": 2}):
        name = "pixels" if options else "bits"
        data = load(pd.DataFrame({name: packed}), **options)
        assert data.space == Image(8, 8, 1, 2)
        assert {x.tobytes() for s in data.splits.values() for x in s.x} == {x.tobytes() for x in bits}
    assert load(pd.DataFrame({"pixels": [b"abcdefghi"] * 5}), validation=1).space == Image(3, 3)


def test_binarised_epochs_differ_but_average_to_the_grey():
    data = load("digits", binarize="epoch")
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([data.train.events(slice(0, 50), generator)[0] for _ in range(400)])
    assert set(draws.unique().tolist()) == {0, 1}
    grey = load("digits").train.x[:50] / 16
    np.testing.assert_allclose(draws.double().mean(0), grey, atol=0.13)
    np.testing.assert_array_equal(data.train.events()[0], data.train.events()[0])
    assert data.test.greys is None


def test_binarising_once_depends_on_the_seed_alone():
    first, again, other = (load("digits", binarize="once", seed=s).train.x for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_threshold_splits_the_greys_in_the_middle():
    np.testing.assert_array_equal(load("digits", binarize="threshold").test.x, load("digits").test.x >= 8)
    assert ImageCodec(1, 2, levels=2, binarize="threshold").encode(np.uint8([[[127, 128]]])).tolist() == [[[[0, 1]]]]


def test_sizes_and_colours_change_only_when_asked(tmp_path, greys):
    for i, x in enumerate(greys):
        save(x, tmp_path / f"{i:02}.png")
    save(np.zeros((9, 9), np.uint8), tmp_path / "99.png")
    with pytest.raises(SourceError, match=r"99\.png is 9x9 pixels, not 6x4.*size=.6x4."):
        load(tmp_path, size="native")
    assert load(tmp_path, size="3x2", colour="rgb").space == Image(3, 2, 3)
    save(np.zeros((6, 4, 3), np.uint8), tmp_path / "99.png")
    mixed = load(tmp_path)
    assert mixed.space == Image(6, 4, 3)
    assert mixed.remarks == [f"image: 20 of 21 pictures are grey, read as RGB, such as {tmp_path}/00.png"]
    assert load(tmp_path, colour="grey").space == Image(6, 4)
    with pytest.raises(SourceError, match=r"99\.png is rgb, not grey"):
        load(tmp_path, codec=ImageCodec(6, 4))


@pytest.mark.parametrize("cut", [5, 60, -40])
def test_damaged_pictures_are_named(tmp_path, greys, cut):
    for i, x in enumerate(greys):
        save(x.repeat(9, 0), tmp_path / f"{i:02}.png")
    (tmp_path / "07.png").write_bytes((tmp_path / "07.png").read_bytes()[:cut])
    with pytest.raises(SourceError, match=r"07\.png is (damaged|not a picture)"):
        load(tmp_path)


def test_a_bomb_is_refused_from_its_header(tmp_path, greys, monkeypatch):
    monkeypatch.setattr("ptheta.data.codecs.picture_files.MAX_PIXELS", 100)
    save(np.zeros((11, 10), np.uint8), tmp_path / "a.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(SourceError, match=r"a\.png claims 10 by 11 pixels"):
        load(tmp_path)


def test_a_canvas_of_webp_is_refused_before_a_decoder_makes_it(tmp_path, monkeypatch):
    frames = [pil.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    content = (tmp_path / "a.webp").read_bytes()
    assert open_picture(content).size == (4, 4)
    claimed = content[:24] + (2**13 - 1).to_bytes(3, "little") * 2 + content[30:]  # of 2^26 pixels, as a PNG may have
    (tmp_path / "a.webp").write_bytes(claimed)
    monkeypatch.setattr("PIL._webp.WebPAnimDecoder", lambda _: pytest.fail("a decoder was made"))
    for value in (claimed, {"path": str(tmp_path / "a.webp"), "bytes": None}):
        with pytest.raises(SourceError, match=r"claims 8,192 by 8,192 pixels; at most 33,554,432 are decoded"):
            open_picture(value)


NOISE = np.random.default_rng(0).integers(0, 256, (13, 7, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("picture", "truth"),
    [
        (pil.fromarray(NOISE[..., 0]), NOISE[None, ..., 0]),
        (pil.fromarray(NOISE[..., :3]), NOISE[..., :3].transpose(2, 0, 1)),
        (pil.fromarray(NOISE[..., 0].astype(np.uint16) * 257), NOISE[None, ..., 0]),
        (pil.fromarray(NOISE[..., 0].astype(np.float32) / 255), NOISE[None, ..., 0]),
        *((pil.fromarray(NOISE).convert(mode), None) for mode in ("1", "LA", "P", "RGBA", "CMYK")),
    ],
    ids=lambda one: one.mode if isinstance(one, pil.Image) else "",
)
def test_pictures_are_converted_alike_whole_and_in_strips(picture, truth, monkeypatch):
    for channels in (1, 3):
        whole = eight_bit(picture, channels)
        if truth is not None and len(truth) == channels:
            np.testing.assert_array_equal(whole, truth)
        with monkeypatch.context() as patched:
            patched.setattr("ptheta.data.codecs.picture_files._STRIP", 15)
            np.testing.assert_array_equal(eight_bit(picture, channels), whole)


def test_a_run_sees_new_pictures_through_its_own_codec(tmp_path, greys):
    codec = Codec.from_json(load(greys, levels=8).codec.to_json())
    save(greys[0], tmp_path / "one.png")
    data = load(tmp_path / "one.png", codec=codec)
    np.testing.assert_array_equal(data.splits["all"].x[0, 0], greys[0] // 32)
    save(np.zeros((9, 9), np.uint8), tmp_path / "two.png")
    with pytest.raises(SourceError, match="9x9 pixels, not 6x4"):
        load(tmp_path / "two.png", codec=codec)
    with pytest.raises(SourceError, match="the run models Image"):
        load(np.zeros((5, 2)), codec=codec)


def test_options_that_make_no_sense_are_usage_errors(greys):
    for options in ({"size": "big"}, {"colour": "gray"}, {"binarize": "twice"}, {"levels": 1}, {"limit": 0}):
        with pytest.raises(UsageError):
            load(greys, **options)


def test_pictures_in_a_data_frame_of_encoded_bytes(greys):
    def png(x):
        buffer = io.BytesIO()
        pil.fromarray(x).save(buffer, "PNG")
        return {"bytes": buffer.getvalue(), "path": None}

    data = load(pd.DataFrame({"image": [png(x) for x in greys], "y": ["a", "b"] * 10}), context="y")
    assert data.space == Image(6, 4)
    assert data.context_space.names == ("a", "b")


def test_arrays_divided_by_255_are_the_pictures_they_were():
    from ptheta.remarks import collecting

    x = np.random.default_rng(0).integers(0, 256, (30, 3, 4, 5), np.uint8)
    own = ptheta.load(x)
    for given in (x / 255.0, (x / 255.0).astype(np.float32), torch.from_numpy(x).float() / 255):
        found = ptheta.load(given)
        assert (found.space, found.codec) == (own.space, own.codec)
        assert any(
            "real numbers from 0 to 1 are read as pictures, scaled to 0 to 255" in text for text in found.remarks
        )
        np.testing.assert_array_equal(found.train.x, own.train.x)
    rows = datasets.Dataset.from_dict({"image": (x / 255.0).tolist()}).with_format("numpy")
    features = datasets.Features({"image": datasets.Array3D((3, 4, 5), "float32")})
    np.testing.assert_array_equal(ptheta.load(rows.cast(features)).train.x, own.train.x)
    ink = x > 127
    with collecting():
        np.testing.assert_array_equal(ptheta.load(ink.astype(np.float64)).train.x, ptheta.load(ink).train.x)
    assert not isinstance(ptheta.load(x / 256.0).space, type(own.space))  # of another scale: real numbers
