"""Named visiting orders against numpy and lists written by hand, and completion from the beginning of a spiral."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ptheta.errors import UsageError
from ptheta.models import MADE, MarkovMLP, Transformer  # type: ignore[attr-defined]
from ptheta.models.autoregressive.orders import visiting_order
from ptheta.spaces import Discrete, Grid, Image, Label, Real, Sequence, Space

SPIRALS = {
    (3, 4): [0, 1, 2, 3, 7, 11, 10, 9, 8, 4, 5, 6],
    (4, 3): [0, 1, 2, 5, 8, 11, 10, 9, 6, 3, 4, 7],
    (2, 2): [0, 1, 3, 2],
    (3, 3): [0, 1, 2, 5, 8, 7, 6, 3, 4],
    (1, 5): [0, 1, 2, 3, 4],
    (5, 1): [0, 1, 2, 3, 4],
    (1, 1): [0],
    (5, 5): [
        *(0, 1, 2, 3, 4, 9, 14, 19, 24, 23, 22, 21, 20, 15, 10, 5),
        *(6, 7, 8, 13, 18, 17, 16, 11),
        12,
    ],
}
SIDES = [(3, 4), (4, 3), (1, 5), (5, 1), (1, 1), (5, 5)]


# Orders


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("name", ["raster", "column", "spiral"])
@pytest.mark.parametrize("kind", [Image, Grid])
def test_every_order_visits_every_dimension_once(sides, name, kind):
    visit = visiting_order(kind(*sides, levels=2), name)
    assert visit.dtype == torch.long
    assert sorted(visit.tolist()) == list(range(sides[0] * sides[1]))


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("kind", [Image, Grid])
def test_columns_are_the_rows_of_the_transposed_picture(sides, kind):
    numbers = np.arange(sides[0] * sides[1]).reshape(sides)
    assert visiting_order(kind(*sides, levels=2), "column").tolist() == numbers.T.reshape(-1).tolist()


@pytest.mark.parametrize("sides", SPIRALS, ids=str)
@pytest.mark.parametrize("kind", [Image, Grid])
def test_a_spiral_goes_clockwise_inwards(sides, kind):
    assert visiting_order(kind(*sides, levels=2), "spiral").tolist() == SPIRALS[sides]


@pytest.mark.parametrize("name", ["raster", "column", "spiral"])
def test_channels_of_a_pixel_stay_together_in_their_order(name):
    height, width = 3, 4
    pixels = visiting_order(Image(height, width), name)
    r, g, b = (pixels + channel * height * width for channel in range(3))
    assert torch.equal(visiting_order(Image(height, width, 3), name), torch.stack([r, g, b], 1).reshape(-1))


@pytest.mark.parametrize(
    "space", [Image(3, 4, 3), Grid(3, 4, 5), Sequence(6, 3), Discrete((2, 3), 4), Real((4,))], ids=str
)
def test_raster_and_none_are_the_order_of_the_space(space: Space):
    for order in (None, "raster"):
        assert torch.equal(visiting_order(space, order), space.order())


def test_a_permutation_is_taken_as_it_is():
    assert visiting_order(Sequence(4, 2), (2, 0, 3, 1)).tolist() == [2, 0, 3, 1]


# What is refused


@pytest.mark.parametrize(
    ("given", "meant"), [("spirall", "spiral"), ("columns", "column"), ("rasters", "raster"), ("Spiral", "spiral")]
)
@pytest.mark.parametrize("space", [Image(3, 3), Sequence(4, 2)], ids=str)
def test_a_name_that_does_not_exist_gives_the_nearest(space, given, meant):
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        visiting_order(space, given)


def test_a_name_like_no_other_gives_all():
    with pytest.raises(UsageError, match="raster, column, spiral"):
        visiting_order(Image(3, 3), "zzz")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["column", "spiral"])
@pytest.mark.parametrize("space", [Sequence(4, 3), Discrete((2, 3), 4), Label(("a", "b")), Real((3,))], ids=str)
def test_spaces_without_rows_and_columns_have_no_such_order(space, name):
    with pytest.raises(UsageError, match="no rows and columns"):
        visiting_order(space, name)


@pytest.mark.parametrize("order", [(), (0, 1, 2), (0, 1, 2, 2), (0, 1, 2, 4), (-1, 0, 1, 2), (0, 1, 2, 3, 4)], ids=str)
def test_what_is_no_permutation_is_refused(order):
    with pytest.raises(UsageError, match="permutation"):
        visiting_order(Image(2, 2), order)


# Models in a named order


def made(space: Space, **options: Any) -> MADE:
    """Far from uniform, by noise on all parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MADE(space, width=32, **options).double().eval()
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=g, dtype=parameter.dtype))
    return model


def all_binary(sides: tuple[int, int]) -> Tensor:
    return torch.tensor(list(itertools.product([0, 1], repeat=sides[0] * sides[1]))).reshape(-1, 1, *sides)


def mask_of(*rows: str) -> Tensor:
    """Kept where there is a #, [1, height, width]."""
    return torch.tensor([[character == "#" for character in row] for row in rows])[None]


BEGINNINGS = {
    "border of 3×3": mask_of("###", "#.#", "###"),
    "border of 3×4": mask_of("####", "#..#", "####"),
    "top row": mask_of("###", "...", "..."),
    "top and right": mask_of("###", "..#", "..#"),
    "nothing": mask_of("...", "...", "..."),
    "all": mask_of("###", "###", "###"),
}


@pytest.mark.parametrize("mask", BEGINNINGS.values(), ids=BEGINNINGS.keys())
@pytest.mark.parametrize("method", ["ancestral", "fixed_point"])
def test_what_a_beginning_of_the_spiral_encloses_is_completed_exactly(mask: Tensor, method):
    sides = tuple(mask.shape[1:])
    model, events, n = made(Image(*sides, levels=2), order="spiral"), all_binary(sides), 4000
    x = model.sample(1, seed=1)
    done = model.complete(x, mask, n=n, seed=3, method=method)[0]
    assert torch.equal(done[:, mask], x[:, mask].expand(n, -1))
    p = model.log_prob(events).exp().detach()
    assert float(p.sum()) == pytest.approx(1, abs=1e-10)
    p[(events[:, mask] != x[:, mask]).any(1)] = 0
    place = 2 ** torch.arange(mask.numel() - 1, -1, -1)
    counts = torch.bincount((done.reshape(n, -1) * place).sum(1), minlength=len(events)).double()
    assert counts[p == 0].sum() == 0
    expected = p / p.sum() * n
    rare = expected < 5
    observed = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    keep = expected > 0
    if keep.sum() > 1:
        assert stats.chisquare(observed[keep], expected[keep]).pvalue > 1e-4


@pytest.mark.parametrize(
    "mask", [mask_of("###", "###", "..."), mask_of("...", ".#.", "..."), mask_of("##.", "..#", "..#")], ids=str
)
def test_a_mask_that_does_not_begin_the_spiral_is_refused(mask: Tensor):
    model = made(Image(3, 3, levels=2), order="spiral")
    with pytest.raises(UsageError, match="beginning"):
        model.complete(model.sample(1, seed=1), mask, seed=0)


def test_the_top_half_begins_the_raster_and_the_left_half_the_columns():
    space = Image(4, 4, levels=2)
    top, left = mask_of("####", "####", "....", "...."), mask_of("##..", "##..", "##..", "##..")
    for order, fits, fails in [("raster", top, left), ("column", left, top)]:
        model = made(space, order=order)
        assert torch.equal(model.kept(fits), fits)
        assert torch.equal(model.kept(0.5), fits)
        with pytest.raises(UsageError, match="beginning"):
            model.kept(fails)


@torch.no_grad()
@pytest.mark.parametrize("family", [MADE, MarkovMLP, Transformer])
@pytest.mark.parametrize("name", ["column", "spiral"])
def test_a_named_order_is_its_permutation(family, name):
    space = Image(3, 4, 3, levels=4)
    x = torch.randint(4, (5, 3, 3, 4), generator=torch.Generator().manual_seed(0))
    said = []
    for order in (name, tuple(visiting_order(space, name).tolist())):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = family(space, width=16, order=order).eval()
        assert model.hyperparameters()["order"] == order
        said.append(model.log_prob_per_dimension(x))
    assert torch.equal(*said)
