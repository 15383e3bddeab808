"""Pictures of completions, and masks."""

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.data.codecs import ImageCodec, PaletteCodec, TextCodec, WaveformCodec
from ptheta.errors import SourceError, UsageError
from ptheta.reporting import exhibit_of
from ptheta.reporting.exhibits.pictures import COMPLETED as ROWS
from ptheta.reporting.exhibits.pictures import VEIL
from ptheta.reporting.pictures import LINE


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = ptheta.load("digits", limit=40)
    return ptheta.fit("made", data, steps=3, out=tmp_path_factory.mktemp("c") / "run", hyperparameters={"width": 16})


def cells(file, rows, columns, margin=0):
    """The enlarged cells [rows, columns, 64, 64, 3] of a sheet with headers."""
    sheet = np.asarray(Image.open(file))
    assert sheet.shape == (2 + LINE + rows * 66, 2 + margin + columns * 66, 3)
    sheet = sheet[2 + LINE :, 2 + margin :].reshape(rows, 66, columns, 66, 3)
    return sheet.transpose(0, 2, 1, 3, 4)[:, :, :64, :64]


def test_a_sheet_shows_the_original_what_was_kept_and_what_was_drawn(run, tmp_path):
    x = run.data.test.events(torch.arange(2))[0]
    drawn = run.model.complete(x, 0.5, 3, seed=0)
    files = exhibit_of(run.codec).write_completions(x, run.model.kept(0.5), drawn, tmp_path)
    assert [f.name for f in files] == [*(f"completion-000{i}.png" for i in range(6)), "completions.png"]
    shown = cells(files[-1], 2, 5)
    for row in range(2):
        original, kept, *completed = shown[row]
        expected = np.asarray(run.codec.decode(x[row : row + 1])[0].convert("RGB"))
        assert (original == expected.repeat(8, 0).repeat(8, 1)).all()
        assert (kept[:32] == original[:32]).all()
        assert (kept[32:] == VEIL).all()
        assert all((one[:32] == original[:32]).all() for one in completed)
        for one, event in zip(completed, drawn[row]):
            expected = np.asarray(run.codec.decode(event[None])[0].convert("RGB"))
            assert (one == expected.repeat(8, 0).repeat(8, 1)).all()


def test_every_column_has_a_header_and_every_row_a_name_if_there_are_several(run, tmp_path):
    x = run.data.test.events(torch.arange(2))[0]
    kept = run.model.kept(0.25)
    one = exhibit_of(run.codec).write_completions(x[:1], kept, x[:1, None], tmp_path / "one", ["first"])[-1]
    two = exhibit_of(run.codec).write_completions(x, kept, x[:, None], tmp_path / "two", ["first", "second"])[-1]
    sheet = np.asarray(Image.open(one).convert("L"))
    for column in range(3):
        assert (sheet[:LINE, 2 + 66 * column : 66 * (column + 1)] < 128).any()
    assert Image.open(two).width > Image.open(one).width
    assert (np.asarray(Image.open(two).convert("L"))[LINE + 2 :, :20] < 128).any()


def test_a_pixel_is_shown_as_kept_only_if_all_of_its_channels_were(tmp_path):
    data = ptheta.load(np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8), levels=4)
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    x = data.test.events(torch.arange(1))[0]
    kept = run.model.kept(10 / 48)
    assert kept.sum() == 10
    files = exhibit_of(run.codec).write_completions(
        x, kept, run.model.complete(x, 10 / 48, 1, seed=0), tmp_path / "out"
    )
    original, veiled, _ = cells(files[-1], 1, 3)[0]
    small = (veiled != VEIL).any(-1)[::16, ::16]
    assert small.reshape(-1).tolist() == [True] * 3 + [False] * 13
    assert (veiled[:16, :48] == original[:16, :48]).all()


def test_a_sheet_of_many_events_ends_and_their_files_do_not(run, tmp_path):
    x = torch.zeros(ROWS + 3, 1, 8, 8, dtype=torch.long)
    files = exhibit_of(run.codec).write_completions(x, run.model.kept(0.5), x[:, None], tmp_path)
    assert len(files) == ROWS + 4
    cells(files[-1], ROWS, 3)


def test_grids_without_a_channel_axis_are_veiled_too(tmp_path):
    codec = PaletteCodec(8, 8, [[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    kept = torch.zeros(8, 8, dtype=torch.bool)
    kept[:, :3] = True
    x = torch.arange(64).reshape(1, 8, 8) % 3
    *_, file = exhibit_of(codec).write_completions(x, kept, x[:, None], tmp_path)
    original, veiled, drawn = cells(file, 1, 3)[0]
    assert (veiled[:, :24] == original[:, :24]).all()
    assert (veiled[:, 24:] == VEIL).all()
    assert (drawn == original).all()


PALETTE = [[k, k, k] for k in range(16)]


@pytest.mark.parametrize("codec", [ImageCodec(3, 4, 3), ImageCodec(3, 4, 1), PaletteCodec(3, 4, PALETTE)])
def test_a_mask_is_true_where_the_picture_is_white(codec, tmp_path):
    white = np.random.default_rng(0).integers(0, 256, (3, 4), dtype=np.uint8)
    Image.fromarray(white).save(tmp_path / "mask.png")
    mask = exhibit_of(codec).read_mask(tmp_path / "mask.png")
    assert mask.shape == codec.space.shape
    assert (mask.numpy() == (white >= 128)).all()


def test_a_mask_must_be_a_picture_of_the_size_of_the_events_that_are_pictures(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "mask.png")
    (tmp_path / "text.png").write_text("white")
    with pytest.raises(SourceError, match=r"is 3×4 pixels, the run's pictures are 4×3; give a mask of that size"):
        exhibit_of(ImageCodec(4, 3, 1)).read_mask(tmp_path / "mask.png")
    with pytest.raises(SourceError, match=r"is 3×4 pixels, the run's pictures are 4×3"):
        exhibit_of(PaletteCodec(4, 3, PALETTE)).read_mask(tmp_path / "mask.png")
    with pytest.raises(SourceError, match=r"the mask .*text.png is not a picture"):
        exhibit_of(ImageCodec(4, 3, 1)).read_mask(tmp_path / "text.png")
    with pytest.raises(SourceError, match=r"is a mask for pictures, and the run models Waveform.*; use keep"):
        exhibit_of(WaveformCodec(8000, 12)).read_mask(tmp_path / "mask.png")
    with pytest.raises(UsageError, match="a text has no mask; use keep"):
        exhibit_of(TextCodec(12)).read_mask(tmp_path / "mask.png")
