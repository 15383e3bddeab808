"""Pictures become tokens of a palette that was found in the training pictures."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image as pil

from ptheta.data import Codec, load
from ptheta.data.codecs import ImageCodec, PaletteCodec
from ptheta.data.codecs.palette import packed, unpacked
from ptheta.data.finding import palettes
from ptheta.data.finding.palettes import by_luminance, find_palette
from ptheta.data.reading import events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.spaces import Grid

CORNERS = np.uint8([[r, g, b] for r in (0, 240) for g in (0, 240) for b in (0, 240)])


@pytest.fixture
def colourful():
    """RGB pictures [40, 6, 5, 3] of many colours."""
    return np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


def around(centres, n, seed, spread=4):
    """Pictures [n, 8, 8, 3] whose pixels lie within `spread` of the centres."""
    g = np.random.default_rng(seed)
    pixels = centres[g.integers(len(centres), size=(n, 8, 8))].astype(int) + g.integers(
        -spread, spread + 1, (n, 8, 8, 3)
    )
    return np.clip(pixels, 0, 255).astype(np.uint8)


def brute(pixels, colours):
    """The nearest colour, with every distance in whole numbers."""
    return ((pixels[..., None, :].astype(np.int64) - np.int64(colours)) ** 2).sum(-1).argmin(-1)


def notes_of(data):
    (note,) = [note for note in data.notes if note.startswith("palette")]
    return note


@pytest.mark.parametrize("colours", [2, 300, 5000])
def test_a_token_is_the_nearest_colour(colours, colourful):
    g = np.random.default_rng(1)
    palette = unpacked(g.choice(2**24, colours, replace=False))
    codec = PaletteCodec(6, 5, palette.tolist())
    tokens = codec.encode(colourful)
    assert tokens.dtype == codec.dtype == (np.uint8 if colours == 2 else np.int16)
    np.testing.assert_array_equal(tokens, brute(colourful, palette))
    np.testing.assert_array_equal(codec.encode(list(map(pil.fromarray, colourful))), tokens)


def test_of_colours_equally_near_the_first_is_taken_however_the_pictures_are_cut(monkeypatch, colourful):
    codec = PaletteCodec(1, 1, [[2, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 1]])
    assert codec.encode(np.uint8([[[[1, 0, 0]]]])).item() == 0
    whole = PaletteCodec(6, 5, CORNERS.tolist()).encode(colourful)
    for name in ("CELLS", "PIXELS"):
        monkeypatch.setattr(f"ptheta.data.codecs.palette.{name}", 64)
    np.testing.assert_array_equal(PaletteCodec(6, 5, CORNERS.tolist()).encode(colourful), whole)


def test_palette_colours_survive_and_files_are_rgb(tmp_path):
    palette = unpacked(np.random.default_rng(0).choice(2**24, 512, replace=False))
    codec = PaletteCodec(16, 32, palette.tolist())
    x = torch.randperm(512, generator=torch.Generator().manual_seed(0)).reshape(1, 16, 32)
    assert codec.space == Grid(16, 32, 512)
    np.testing.assert_array_equal(codec.encode(codec.decode(x)), x)
    (path,) = codec.write(x, tmp_path)
    with pil.open(path) as picture:
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), palette[x[0]])
    np.testing.assert_array_equal(events_of_file(codec, path), x)


def test_the_codec_survives_json_and_names_its_unit():
    codec = PaletteCodec(6, 5, CORNERS.tolist(), 1, 16, True)
    again = Codec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert again.is_picture
    assert (again.bits_key, again.bits_label) == ("bits_per_palette_token", "bits/palette token")
    assert again.in_bits(30 * np.log(2)) == "1.0000 bits/palette token of Grid(6×5, 8 levels)"
    image = ImageCodec(6, 5)
    assert (image.bits_key, image.bits_label, image.in_bits(30 * np.log(2))) == (
        "bits_per_dim",
        "bits/dim",
        "1.0000 bits/dim",
    )


@pytest.mark.parametrize(
    "colours",
    [[], [[0, 0, 0]], [[0, 0], [1, 1]], [[0, 0, 0], [0, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 256], [0, 0, 0]],
     [[0, 0, -1], [0, 0, 0]], [[0.5, 0, 0], [0, 0, 0]], "red", None],
)  # fmt: skip
def test_damaged_palettes_are_refused(colours):
    description = PaletteCodec(6, 5, CORNERS.tolist()).to_json() | {"colours": colours}
    with pytest.raises(RunError, match="palette codec cannot be read"):
        Codec.from_json(description)


def test_colours_go_from_dark_to_bright():
    ordered = by_luminance(np.uint8([[255, 255, 255], [0, 0, 255], [0, 255, 0], [255, 0, 0], [0, 0, 0]]))
    assert ordered.tolist() == [[0, 0, 0], [0, 0, 255], [255, 0, 0], [0, 255, 0], [255, 255, 255]]


def test_k_means_finds_colours_that_lie_apart():
    data = load(around(CORNERS, 200, 0), palette=8)
    assert isinstance(data.codec, PaletteCodec)
    clipped = np.where(CORNERS == 0, 1, CORNERS)  # negative values were cut to 0, which moves their mean to 10 / 9
    assert np.abs(np.int64(data.codec.colours) - by_luminance(clipped)).max() <= 1


def test_as_many_colours_as_there_are_lose_nothing():
    pictures = around(CORNERS, 40, 0, spread=0)
    data = load({"train": pictures, "validation": pictures[:9], "test": pictures[:5]}, palette=8)
    assert data.codec.colours == by_luminance(CORNERS).tolist()
    assert notes_of(data) == "palette: the 8 colours of the training pictures; nothing is lost on train"
    for event, picture in zip(data.test.x, pictures):
        np.testing.assert_array_equal(data.codec.picture(event), picture)


def test_the_loss_that_is_told_is_that_of_the_training_pictures():
    pictures = around(CORNERS, 40, 0)
    data = load({"train": pictures, "validation": pictures[:9] // 2, "test": pictures[:5] // 2}, palette=8)
    shown = np.stack([np.asarray(picture) for picture in data.codec.decode(data.train.x)])
    error = ((shown.astype(float) - pictures) ** 2).mean()
    assert f"mean squared error {error:.2f} per 8-bit sub-pixel of train" in notes_of(data)
    assert f"PSNR {10 * np.log10(255**2 / error):.1f} dB" in notes_of(data)
    assert "8 colours by k-means on the 2,560 training pixels" in notes_of(data)


def test_only_training_pixels_make_the_palette(monkeypatch):
    train, other = around(CORNERS[:4], 60, 0), around(CORNERS[4:], 20, 1)
    colours = [load({"train": train, "validation": v, "test": v}, palette=4).codec.colours for v in (other, train[:20])]
    assert colours[0] == colours[1]
    assert max(r for r, _, _ in colours[0]) < 10, "the other splits are red"
    undivided = load(np.concatenate([train, other]), palette=4, seed=3)
    shown = load(np.concatenate([train, other]), size=(8, 8), colour="rgb", seed=3)
    monkeypatch.setattr(palettes, "_sample", lambda codec, x, seed: x.transpose(0, 2, 3, 1).reshape(-1, 3))
    assert undivided.codec.colours == find_palette(shown.codec, shown.train.x, 4, 3)[0].tolist()


def test_the_same_seed_gives_the_same_palette(colourful, monkeypatch):
    monkeypatch.setattr(palettes, "SAMPLED", 300)
    first, again, other = (load(colourful, palette=16, seed=seed) for seed in (0, 0, 1))
    assert first.codec == again.codec
    assert first.fingerprint == again.fingerprint
    assert first.codec != other.codec
    assert "k-means on 300 pixels drawn from the" in notes_of(first)
    assert load(colourful, **{k: v for k, v in first.request.items() if k != "source"}).fingerprint == first.fingerprint


def test_centres_that_become_one_by_rounding_are_replaced_by_colours_of_the_pictures(monkeypatch):
    pictures = around(CORNERS, 40, 0)
    same = np.zeros((8, 3), np.uint8)
    monkeypatch.setattr(palettes, "_centres", lambda pixels, colours, seed: same)
    palette, _ = find_palette(ImageCodec(8, 8, 3), pictures.transpose(0, 3, 1, 2), 8, 0)
    assert len(np.unique(packed(palette))) == 8
    assert set(packed(palette[1:])) <= set(packed(pictures).reshape(-1))


def test_grey_pictures_have_grey_palettes_and_other_codings_are_read_too(tmp_path):
    greys = np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8)
    data = load(greys, palette=5)
    assert data.space == Grid(4, 4, 5)
    assert all(r == g == b for r, g, b in data.codec.colours)
    whole, tokens = load("digits"), load("digits", palette=17)
    np.testing.assert_array_equal(whole.train.x[:, 0], tokens.train.x)
    for event, grey in zip(tokens.test.x[:3], whole.codec.decode(whole.test.x[:3])):
        np.testing.assert_array_equal(tokens.codec.picture(event), grey.convert("RGB"))
    for i, grey in enumerate(greys):  # a folder of grey and coloured pictures
        pil.fromarray(np.stack([grey, grey, grey * (i % 2)], -1) if i else grey).save(tmp_path / f"{i:02d}.png")
    assert any(r != b for r, _, b in load(tmp_path, palette=5).codec.colours)


def test_encoded_bytes_and_packed_bits_become_tokens():
    g = np.random.default_rng(0)
    values = [g.integers(0, 4, 16, dtype=np.uint8) * 80 for _ in range(40)]
    import pandas as pd

    data = load(pd.DataFrame({"pixels": [v.tobytes() for v in values]}), palette=4)
    assert data.codec.colours == [[v] * 3 for v in (0, 80, 160, 240)]
    bits = load(pd.DataFrame({"bits": [np.packbits(v > 100).tobytes() for v in values]}), palette=2)
    assert bits.codec.colours == [[0] * 3, [255] * 3]
    buffer = io.BytesIO()
    pil.fromarray(values[0].reshape(4, 4)).save(buffer, "PNG")
    np.testing.assert_array_equal(data.codec.encode([buffer.getvalue()])[0].reshape(-1) * 80, values[0])


def test_other_data_are_seen_with_the_colours_of_the_run(colourful):
    data = load(colourful, palette=16)
    seen = load(colourful[:7] // 2, codec=data.codec)
    assert seen.codec is data.codec
    np.testing.assert_array_equal(seen.splits["all"].x, brute(colourful[:7] // 2, data.codec.colours))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"palette": 1}, UsageError, "palette is 1; give 2 to 65,536 colours"),
        ({"palette": 2**16 + 1}, UsageError, "palette is 65537; give 2 to 65,536 colours"),
        ({"palette": 8, "levels": 4}, UsageError, "palette cannot be combined with levels; leave out palette or"),
        ({"palette": 8, "binarize": "once"}, UsageError, "palette cannot be combined with binarize"),
        ({"palette": 8, "colour": "grey"}, UsageError, "palette cannot be combined with colour grey"),
        ({"palette": 512}, SourceError, "the training pictures have 8 distinct colours, fewer than the 512 asked for; "
                                        "give palette=8 or less"),
    ],
)  # fmt: skip
def test_palettes_that_cannot_be_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        load(around(CORNERS, 40, 0, spread=0), **options)


def test_pictures_of_one_colour_and_events_that_are_none_have_no_palette():
    with pytest.raises(SourceError, match="have 1 distinct colour, fewer than the 2 asked for; give other pictures"):
        load(np.full((20, 4, 4, 3), 7, np.uint8), palette=2)
    with pytest.raises(UsageError, match="not pictures; leave out palette"):
        load({"a": ["x", "y"] * 20}, palette=2)


def test_a_picture_of_another_size_is_refused_as_ever(tmp_path):
    pil.new("RGB", (9, 8)).save(tmp_path / "big.png")
    said = []
    for codec in (PaletteCodec(8, 8, CORNERS.tolist()), ImageCodec(8, 8, 3)):
        with pytest.raises(SourceError, match=r"big\.png is 8x9 pixels, not 8x8") as caught:
            events_of_file(codec, tmp_path / "big.png")
        said.append(str(caught.value))
    assert said[0] == said[1]
