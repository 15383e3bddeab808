"""Photos of any size: what is cut, padded or stretched, and which size they get when none is asked for."""

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageOps

import ptheta
from ptheta.data import Codec, load
from ptheta.data.codecs import ImageCodec
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.spaces import Grid, Image

LANCZOS = pil.Resampling.LANCZOS


def photo(height, width, seed=0):
    """A smooth colour gradient with some noise."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / 9 + k) * 60 + np.cos(y / 7 - k) * 60 + 128 + g.normal(0, 4, (height, width)) for k in range(3)]
    return pil.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8))


def folder(path, sizes):
    path.mkdir()
    for i, (height, width) in enumerate(sizes):
        photo(height, width, i).save(path / f"{i:02}.png")
    return path


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (31, 97), (33, 33)])
@pytest.mark.parametrize("wanted", [(16, 16), (12, 20), (20, 10)])
def test_pictures_are_fitted_as_pillow_fits_them(size, wanted):
    picture, (height, width) = photo(*size), wanted
    truth = {
        "crop": ImageOps.fit(picture, (width, height), LANCZOS),
        "pad": ImageOps.pad(picture, (width, height), LANCZOS),
        "stretch": picture.resize((width, height), LANCZOS),
    }
    for fit, expected in truth.items():
        codec = ImageCodec(height, width, 3, resize=True, fit=fit)
        np.testing.assert_array_equal(codec.encode([picture])[0], np.asarray(expected).transpose(2, 0, 1))


def test_transparent_pictures_are_padded_in_black_too():
    picture = pil.new("RGBA", (8, 4), (250, 250, 250, 255))
    x = ImageCodec(8, 8, 3, resize=True, fit="pad").encode([picture])[0, 0]
    np.testing.assert_array_equal(x[:, 0], [0, 0, 250, 250, 250, 250, 0, 0])


def test_photos_get_a_modest_size_in_their_median_shape_and_it_is_said(tmp_path):
    data = load(folder(tmp_path / "photos", [(100, 150)] * 20))
    assert data.space == Image(26, 40, 3)
    assert any("pictures of 100×150 pixels, resized to 26×40" in note for note in data.notes)
    assert data.request["size"] == "26x40"
    again = load(tmp_path / "photos", **{k: v for k, v in data.request.items() if k != "source"})
    assert (again.fingerprint, again.codec) == (data.fingerprint, data.codec)


def test_mixed_sizes_are_cut_to_one_and_the_largest_and_smallest_are_named(tmp_path):
    data = load(folder(tmp_path / "photos", [(30, 40), (40, 30), (48, 64)] * 5))
    assert any("30×40 to 48×64 pixels" in note and "cutting out the middle" in note for note in data.notes)
    assert data.codec.fit == "crop"  # type: ignore[attr-defined]
    assert data.space.dimensions <= 3 * 1100
    padded = load(tmp_path / "photos", fit="pad")
    assert any("with black bars" in note for note in padded.notes)
    with pytest.raises(SourceError, match=r"is 40x30 pixels, not 30x40.*size=.\d\dx\d\d"):
        load(tmp_path / "photos", size="native")


def test_curated_sets_of_one_size_stay_as_they_are(tmp_path):
    data = load(folder(tmp_path / "set", [(28, 28)] * 12))
    assert (data.space, data.request["size"]) == (Image(28, 28, 3), None)
    assert not any("brought" in note for note in data.notes)
    assert load(tmp_path / "set", palette=16).space == Grid(28, 28, 16)


def test_the_size_can_be_chosen_by_a_function(tmp_path):
    seen = []

    def chooser(found):
        seen.append((found.space(4, 6), found.needs_size))
        return found.about(100)

    data = load(folder(tmp_path / "photos", [(80, 120)] * 12), size=chooser, levels=8)
    assert seen == [(Image(4, 6, 3, 8), True)]
    assert data.space == Image(8, 12, 3, 8)


def test_a_reduced_view_shows_the_same_part_of_a_photo_as_the_photo(tmp_path):
    """A photo twice as wide as high, cut to its middle square, and its view of 4×4: black sides are in neither."""
    (tmp_path / "photos").mkdir()
    wide = np.zeros((80, 160, 3), np.uint8)
    wide[:, 40:120] = 200
    for i in range(12):
        pil.fromarray(wide).save(tmp_path / "photos" / f"{i}.png")
    data = load(tmp_path / "photos", event="image", context="image:4x4", size="16x16")
    assert data.train.context.min() > 150  # type: ignore[union-attr]
    wider = load(tmp_path / "photos", event="image", context="image:4x4", size="8x16")
    assert wider.context_codec.aspect == [8, 16]  # type: ignore[union-attr]
    assert wider.train.context[..., 0].max() < 100  # type: ignore[index]


def test_what_a_run_does_to_pictures_of_another_size_is_remarked(tmp_path):
    data = load(folder(tmp_path / "photos", [(80, 80)] * 12), size="8x8")
    other = load(folder(tmp_path / "other", [(50, 90)] * 3), codec=data.codec)
    assert any("pictures of 50×90 pixels, resized to 8×8 by cutting" in remark for remark in other.remarks)
    assert "from 50x90 to 8x8 pixels by cutting out" in (data.codec.remark(str(tmp_path / "other/00.png")) or "")  # type: ignore[attr-defined]


def test_codecs_of_before_have_no_way_of_fitting_and_stretch():
    old = ImageCodec(8, 8, 3, resize=True).to_json()
    del old["fit"], old["aspect"]
    assert Codec.from_json(old) == ImageCodec(8, 8, 3, resize=True, fit="stretch")
    del old["width"]
    with pytest.raises(RunError, match="lacks \\['width'\\]"):
        Codec.from_json(old)


def test_runs_of_before_find_their_data_again(tmp_path):
    """Their requests say nothing of a way of fitting: pictures are stretched, or as they are."""
    path = folder(tmp_path / "photos", [(70, 90)] * 12)
    for size in ("8x8", "native"):
        data = load(path, size=size, fit="stretch", colour="grey")
        data.request = {k: v for k, v in data.request.items() if k != "fit"} | {
            "size": None if size == "native" else size
        }
        run = ptheta.fit("independent", data, out=tmp_path / size)
        assert run.reload(str(path)).fingerprint == data.fingerprint
        assert ptheta.Run.load(tmp_path / size).own_data.space == data.space


def test_ways_of_fitting_are_checked(tmp_path):
    with pytest.raises(UsageError, match="no way of fitting pictures is called 'crob'; did you mean crop"):
        load(folder(tmp_path / "photos", [(8, 8)] * 3), fit="crob")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not pictures"):
        load(np.zeros((10, 3), np.float32), fit="crop")
