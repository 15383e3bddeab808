"""Grids and maps, checked pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from ptheta.reporting import grid, save_picture, surprise_grid
from ptheta.reporting.lettering import text_width
from ptheta.reporting.pictures import CELL

GAP = (96, 96, 96)


def flat(colour, size=(64, 64)):
    return Image.new("RGB", size, colour)


def test_cells_lie_row_after_row_with_gaps_all_around():
    colours = [(i, 2 * i, 3 * i) for i in range(1, 6)]
    sheet = grid([flat(c) for c in colours], columns=3, gap=2)
    assert sheet.size == (3 * 66 + 2, 2 * 66 + 2)
    pixels = np.asarray(sheet)
    expected = np.full((134, 200, 3), GAP, np.uint8)
    for number, colour in enumerate(colours):
        top, left = 2 + 66 * (number // 3), 2 + 66 * (number % 3)
        expected[top : top + 64, left : left + 64] = colour
    assert (pixels == expected).all()


def test_small_pictures_are_enlarged_by_a_whole_factor_without_smoothing():
    levels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    sheet = np.asarray(grid([Image.fromarray(levels)], gap=3))
    assert sheet.shape == (8 * 8 + 6, 8 * 8 + 6, 3)
    inside = sheet[3:-3, 3:-3, 0]
    assert (inside == levels.repeat(8, 0).repeat(8, 1)).all()


@pytest.mark.parametrize(("size", "factor"), [((28, 28), 2), ((100, 20), 1), ((4, 16), 4), ((300, 300), 1)])
def test_the_longer_side_comes_near_the_cell(size, factor):
    assert grid([flat((0, 0, 0), size)], gap=0).size == (size[0] * factor, size[1] * factor)
    assert factor == max(1, round(CELL / max(size)))


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (4, 2), (5, 3), (64, 8)])
def test_a_grid_is_about_square_if_not_told(n, columns):
    sheet = grid([flat((0, 0, 0))] * n, gap=2)
    assert (sheet.width - 2) // 66 == columns
    assert (sheet.height - 2) // 66 == -(-n // columns)


def test_titles_stand_left_of_their_row():
    sheet = np.asarray(grid([flat((9, 9, 9))] * 4, columns=2, titles=["cat", "a long dog"]))
    margin = sheet.shape[1] - (2 * 66 + 2)
    assert margin >= text_width("a long dog") + 4
    for row in range(2):
        band = sheet[2 + 66 * row : 66 + 66 * row]
        assert (band[:, :margin] < 128).any(), "something is written"
        assert (band[:, margin + 2 : margin + 66] == 9).all(), "and not over the picture"


def test_bright_is_surprising_on_one_scale_for_all():
    g = torch.Generator().manual_seed(0)
    log_prob = -torch.rand(2, 1, 4, 4, generator=g).double() * torch.tensor([1.0, 5.0]).reshape(2, 1, 1, 1)
    pictures = [Image.new("L", (4, 4))] * 2
    sheet = np.asarray(surprise_grid(pictures, log_prob)).astype(float)
    cell = 64
    brightness = []
    for number in range(2):
        left, top = 2 + number * (cell + 2) + 8, 2 + (cell + 2) + 8
        brightness.append(sheet[top : top + cell : 16, left : left + cell : 16].sum(-1)[:4, :4])
    order = np.argsort(-log_prob.numpy().reshape(-1))
    assert (np.diff(np.stack(brightness).reshape(-1)[order]) >= 0).all()
    assert np.stack(brightness).reshape(-1)[order[-1]] > 3 * np.stack(brightness).reshape(-1)[order[0]]


def test_impossible_values_are_the_brightest_and_channels_add_up():
    log_prob = torch.full((1, 3, 2, 2), -0.5, dtype=torch.float64)
    log_prob[0, 1, 0, 1] = -torch.inf
    log_prob[0, 0, 1, 0] = 0.0
    sheet = np.asarray(surprise_grid([Image.new("RGB", (2, 2))], log_prob)).astype(int)
    cells = sheet[2 + 66 :, 2:][16:64:32, 16:64:32].sum(-1)
    assert cells[0, 1] == cells.max()
    assert cells[1, 0] == cells.min()
    assert cells[0, 0] == cells[1, 1] > cells[1, 0]


def test_a_saved_picture_is_that_picture(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    path = save_picture(picture, tmp_path / "a" / "b.png")
    assert (np.asarray(Image.open(path)) == np.asarray(picture)).all()
