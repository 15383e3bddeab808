"""Picture files of every depth, orientation and colour space are read as people see them, or refused."""

import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image as pil
from PIL import ImageOps

import ptheta
from ptheta.coding import compress, decompress
from ptheta.data import load
from ptheta.data.codecs import ImageCodec, SoundCodec
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError
from ptheta.spaces import Image

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def events(data):
    """Events by the name of their file."""
    return {file.rsplit("/", 1)[-1]: x for split in data.splits.values() for file, x in zip(split.files or [], split.x)}


def twelve(folder, make, suffix):
    """Twelve pictures, made of their number."""
    for i in range(12):
        make(i).save(folder / f"{i:02}.{suffix}")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_as_pillow_turns_it(tmp_path, suffix, orientation):
    exif = pil.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    for i in range(12):
        pil.fromarray(np.roll(GREY, i).repeat(4, 0).repeat(4, 1)).convert("RGB").save(
            tmp_path / f"{i:02}.{suffix}", exif=exif, **options
        )
    data = load(tmp_path)
    for i in range(12):
        with pil.open(tmp_path / f"{i:02}.{suffix}") as file:
            expected = np.asarray(ImageOps.exif_transpose(file))
        np.testing.assert_array_equal(events(data)[f"{i:02}.{suffix}"], expected.transpose(2, 0, 1))
    turned = f"image: 12 of 12 pictures are turned upright, as their EXIF orientation says, such as {tmp_path}/00."
    assert [remark.startswith(turned) for remark in data.remarks] == [True] * (orientation > 1)
    assert (data.codec.remark(str(tmp_path / f"03.{suffix}")) is None) == (orientation == 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_greys_are_scaled_by_the_bits_that_they_use(tmp_path, bits):
    white = 2**bits - 1
    values = np.linspace(0, white, 16).round().astype(np.uint16).reshape(4, 4)
    twelve(tmp_path, lambda i: pil.fromarray(np.roll(values, i)), "tif")
    data = load(tmp_path)
    np.testing.assert_array_equal(events(data)["00.tif"][0], values.astype(int) * 256 // 2**bits)
    (remark,) = data.remarks
    assert f"of more than 8 bits a value, scaled to 8 from 0 to {white:,}" in remark
    assert data.codec.deep == white  # type: ignore[attr-defined]
    if bits < 16:
        pil.fromarray(np.full((4, 4), white + 1, np.uint16)).save(tmp_path / "new.png")
        with pytest.raises(SourceError, match=rf"new\.png holds whole numbers from .*, and white is {white:,}"):
            events_of_file(data.codec, tmp_path / "new.png")


def test_real_numbers_from_0_to_1_are_greys_and_others_are_refused(tmp_path):
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    twelve(tmp_path, lambda i: pil.fromarray(np.roll(values, i)), "tif")
    data = load(tmp_path)
    assert data.space == Image(4, 4, 1)
    np.testing.assert_array_equal(events(data)["00.tif"][0], np.minimum(values.astype(float) * 256, 255).astype(int))
    for wrong in (2.0, -0.1, np.nan):
        pil.fromarray(np.where(values > 0.9, np.float32(wrong), values)).save(tmp_path / "07.tif")
        with pytest.raises(SourceError, match=r"07\.tif holds real numbers .*, and white is 1; scale it to 0 to 1"):
            load(tmp_path)


def test_colours_of_16_bits_are_reported(tmp_path):
    # Pillow writes no such file
    pixels = np.random.default_rng(0).integers(0, 2**16, (4, 4, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        png += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    data = load(pd.DataFrame({"picture": [{"bytes": png, "path": None}] * 12}))
    np.testing.assert_array_equal(data.train.x[0], (pixels >> 8).transpose(2, 0, 1))
    assert ["of 16 bits a value, of which the upper 8 are read" in remark for remark in data.remarks] == [True]


def test_pages_alpha_and_colour_spaces_are_reported(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    for i, values in enumerate(rgb):
        pil.fromarray(values).save(tmp_path / f"{i:02}.tif")
    page = pil.fromarray(rgb[0])
    page.save(tmp_path / "00.tif", save_all=True, append_images=[pil.fromarray(rgb[1])])
    pil.fromarray(rgb[2]).convert("RGBA").save(tmp_path / "02.tif")
    pil.fromarray(rgb[3]).convert("CMYK").save(tmp_path / "03.tif")
    data = load(tmp_path)
    np.testing.assert_array_equal(events(data)["00.tif"], rgb[0].transpose(2, 0, 1))
    for number, words in (("00", "several pages"), ("02", "with transparency, shown on white"), ("03", "in CMYK")):
        assert any(words in text and "1 of 12 pictures are" in text and number in text for text in data.remarks)
    assert len(data.remarks) == 3
    assert load(tmp_path, codec=data.codec).remarks == data.remarks, "and by score"


def test_all_damaged_pictures_are_named_together(tmp_path):
    twelve(tmp_path, lambda i: pil.fromarray(np.roll(GREY, i).repeat(9, 0)), "png")
    (tmp_path / "03.png").write_bytes(b"no picture")
    whole = (tmp_path / "07.png").read_bytes()
    (tmp_path / "07.png").write_bytes(whole[:60])
    with pytest.raises(
        SourceError, match=r"2 files cannot be used in \S+: 03\.png is not a picture, 07\.png is damaged"
    ):
        load(tmp_path)
    (tmp_path / "03.png").write_bytes(whole)
    (tmp_path / "09.png").write_bytes(whole[:70])
    with pytest.raises(SourceError, match=r"2 files cannot be used in \S+: 07\.png, 09\.png: each is damaged"):
        load(tmp_path)
    for i in range(12):
        (tmp_path / f"{i:02}.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="12 files cannot be used") as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"12 files cannot be used in {tmp_path}: 00.png, 01.png, 02.png, 03.png, 04.png and 7 more: each is not a"
        " picture; remove it or save it again as PNG"
    )


def test_transparent_arrays_are_shown_on_white_as_pillow_does():
    rgba = np.random.default_rng(0).integers(0, 256, (20, 5, 6, 4), dtype=np.uint8)
    expected = []
    for x in rgba:
        picture = pil.alpha_composite(pil.new("RGBA", (6, 5), "white"), pil.fromarray(x))
        expected.append(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
    codec = ImageCodec(5, 6, 3)
    for array in (rgba, rgba.transpose(0, 3, 1, 2)):
        assert abs(codec.encode(array).astype(int) - np.array(expected)).max() <= 1
        data = load(array)
        assert data.space == Image(5, 6, 3)
        assert [text.split(": ")[1] for text in data.remarks] == [
            "arrays of four channels are red, green, blue and opacity, shown on white"
        ]


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16])
def test_whole_numbers_of_any_type_are_pictures_if_they_fill_a_byte(kind):
    greys = np.random.default_rng(0).integers(0, 256, (20, 6, 4))
    data = load(greys.astype(kind))
    same = load(greys.astype(np.uint8))
    assert data.space == same.space == Image(6, 4)
    assert data.fingerprint == same.fingerprint
    assert not isinstance(load((greys % 5).astype(kind)).space, Image), "levels of a grid stay what they are"


def test_pictures_come_back_whichever_way_is_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    square = np.random.default_rng(0).integers(0, 256, (12, 6, 6), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    twelve(tmp_path / "pictures", lambda i: pil.fromarray(square[i]), "png")
    run = ptheta.fit("independent", load("pictures"), out=tmp_path / "run", verbose=False)
    exif = pil.Exif()
    exif[0x0112] = 6
    (tmp_path / "new").mkdir()
    pil.fromarray(square[0]).save("new/turned.png", exif=exif)
    pil.fromarray(square[1].astype(np.uint16) * 16).save("new/deep.png")
    pil.fromarray(square[2]).convert("LA").save("new/alpha.png")
    before = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    report = compress(run, ["new"], "new.ptz")
    assert sorted(report.stored) == ["new/alpha.png", "new/deep.png"]
    decompress(run, "new.ptz", "back")
    for name, content in before.items():
        back = (tmp_path / "back" / "new" / name).read_bytes()
        ours, theirs = pil.open(io.BytesIO(back)), pil.open(io.BytesIO(content))
        assert ours.getexif() == theirs.getexif()
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("stored", ["parquet", "frame"])
def test_files_in_a_column_of_bytes_are_what_they_are_in_a_folder(tmp_path, kind, stored):
    rows = []
    for i in range(12):
        path = tmp_path / "folder" / f"{i:02d}.{kind.lower()}"
        path.parent.mkdir(exist_ok=True)
        pil.fromarray(np.random.default_rng(i).integers(0, 256, (6, 6), dtype=np.uint8)).save(path, kind)
        rows.append(path.read_bytes())
    frame = pd.DataFrame({"scan": rows, "label": list("abc") * 4})
    frame.to_parquet(tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet" if stored == "parquet" else frame, context="label")
    same = load(tmp_path / "folder")
    assert data.space == same.space
    np.testing.assert_array_equal(data.train.x, same.train.x)
    frame["scan"] = [bytes(36)] * 12
    assert str(load(frame, event="scan", size="6x6").space) == "Image(6×6 grey, 256 levels)"


def test_sounds_in_a_column_of_bytes_are_sounds():
    rows = []
    for i in range(12):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.sin(np.arange(2000) * (0.1 + i / 20)), 8000, format="WAV")
        rows.append(buffer.getvalue())
    assert isinstance(load(pd.DataFrame({"clip": rows})).codec, SoundCodec)


def test_pictures_of_one_area_and_two_shapes_are_both_named(tmp_path):
    for i in range(12):
        pil.new("L", (4, 6) if i % 2 else (6, 4), i).save(tmp_path / f"{i}.png")
    assert any(note.startswith("pictures of 4×6 to 6×4 pixels, resized to ") for note in load(tmp_path).notes)


def test_only_known_formats_are_decoded_whatever_a_file_is_called(tmp_path):
    """Pillow would hand an EPS file to another program."""
    (tmp_path / "set").mkdir()
    for number in range(4):
        pil.new("L", (6, 6), 40 * number).save(tmp_path / "set" / f"{number}.png")
    pil.new("L", (6, 6)).save(tmp_path / "set" / "4.png", format="EPS")
    with pytest.raises(SourceError, match=r"4\.png is not a picture"):
        load(tmp_path / "set")
