"""What PixelCNN promises beyond the contract, on larger pictures: what a pixel sees, caches, channels, columns."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from ptheta.distributions import Categorical, DiscretisedLogisticMixture, Distribution
from ptheta.errors import UsageError
from ptheta.models import PixelCNN  # type: ignore[attr-defined]
from ptheta.models.autoregressive.pixelcnn import MANY_LEVELS
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.spaces import Grid, Image, Label, Sequence, Space
from ptheta.training.objectives.likelihood import LikelihoodLoss

LABELS = Label(("cat", "dog", "eel"))
LIKELIHOODS = ["categorical", "logistic"]
COLOUR = Image(5, 4, 3, levels=8)


def pixelcnn(space: Space, context_space: Label | None = None, **options: Any) -> PixelCNN:
    """A small one in float64 with noise on all parameters, so that nothing is zero or equal by initialisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelCNN(space, context_space, **{"width": 8, "layers": 3, "reach": 2, "components": 3, **options})
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=g))
    return model.double().eval()


def events(space: Any, n: int, seed: int = 0) -> Tensor:
    return torch.randint(space.levels, (n, *space.shape), generator=torch.Generator().manual_seed(seed))


def probe(conditional: Distribution) -> Tensor:
    """Log-probabilities of all levels, [*batch, K]."""
    levels = conditional.levels if isinstance(conditional, DiscretisedLogisticMixture) else conditional.logits.shape[-1]
    return torch.stack([conditional.log_prob(torch.full(conditional.batch_shape, k)) for k in range(levels)], -1)


def assert_same(said: Distribution, expected: Distribution, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(probe(said), probe(expected), rtol=0, atol=tolerance)


MODELS: dict[str, tuple[Space, Label | None, dict[str, Any]]] = {
    "binary": (Image(6, 5, levels=2), None, {}),
    "binary-wide": (Image(2, 9, levels=2), None, {}),
    "binary-tall": (Image(9, 1, levels=2), None, {}),
    "binary-labelled": (Image(6, 5, levels=2), LABELS, {}),
    "grey-logistic": (Image(4, 5, levels=256), None, {}),
    "colour": (COLOUR, None, {"likelihood": "categorical"}),
    "colour-labelled": (COLOUR, LABELS, {"likelihood": "categorical"}),
    "colour-logistic": (COLOUR, LABELS, {"likelihood": "logistic"}),
    "colour-uncoupled": (COLOUR, None, {"coupling": False}),
    "colour-column": (COLOUR, None, {"likelihood": "logistic", "order": "column"}),
    "grid": (Grid(5, 6, levels=7), None, {}),
    "grid-column": (Grid(5, 6, levels=7), LABELS, {"order": "column"}),
    "reach-over-all": (Image(4, 3, levels=3), None, {"reach": 6, "layers": 1}),
    "smallest": (Image(4, 5, levels=3), None, {"reach": 1, "layers": 1}),
}
every_model = pytest.mark.parametrize("name", MODELS)


# Decoding


@torch.no_grad()
@every_model
def test_cached_rows_give_the_conditionals_of_the_whole_picture(name: str):
    space, labels, options = MODELS[name]
    model, x, n = pixelcnn(space, labels, **options), events(space, 3), 3
    context = None if labels is None else torch.tensor([2, 0, 1])
    z = model.flatten(x)
    expected = model.conditionals(x, context)
    decoder = model.decoder(n, context)
    for j in range(space.dimensions):
        step = decoder.step(None if j == 0 else z[:, j - 1])
        assert step.batch_shape == (n,)
        assert_same(step, expected[:, j])


@torch.no_grad()
@pytest.mark.parametrize("name", ["binary", "colour", "colour-column", "grid-column"])
def test_cached_rows_give_what_is_drawn_without_them(name: str, monkeypatch):
    space, labels, options = MODELS[name]
    model = pixelcnn(space, labels, **options)
    context = None if labels is None else torch.tensor([2, 0, 1])
    drawn = model.sample(3, context, seed=0, method="ancestral")
    assert torch.equal(model.sample(3, context, seed=0, method="fixed_point"), drawn)
    monkeypatch.setattr(model, "_decoder", lambda n, context: ConditionalsDecoder(model, n, context))
    assert torch.equal(model.sample(3, context, seed=0, method="ancestral"), drawn)


@torch.no_grad()
@pytest.mark.parametrize(
    ("space", "options"),
    [
        (Image(14, 4, levels=3), {}),
        (Image(14, 2, 3, levels=4), {"likelihood": "categorical"}),
        (Image(14, 2, 3, levels=4), {"likelihood": "logistic"}),
        (Image(14, 2, 3, levels=4), {"coupling": False}),
        (Image(2, 14, 3, levels=4), {"order": "column"}),
        (Grid(14, 4, levels=7), {}),
    ],
    ids=str,
)
def test_rows_that_are_cut_off_were_not_seen(space: Space, options: dict[str, Any], monkeypatch):
    """A later dimension sees 2 rows up by reach and 1 by each of 2 layers; whatever is above is not computed."""
    model, widths = pixelcnn(space, LABELS, layers=2, **options), []
    z, context = model.flatten(events(space, 2)), torch.tensor([0, 2])
    expected = model._conditionals(z, context)
    features = model._features
    monkeypatch.setattr(model, "_features", lambda z, *told: widths.append(z.shape[1]) or features(z, *told))
    row = space.dimensions // 14
    for first in range(space.dimensions):
        assert_same(model._conditionals_from(z, model._conditions(context), first), expected[:, first:], 1e-12)
        assert widths[-1] == space.dimensions - max(0, first // row - 4) * row


# What a pixel sees


def seen_in(height: int, width: int, target: tuple[int, int], radius: int) -> Tensor:
    """Pixels visited before the target in raster order and within a square around it, [height, width]."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    before = row * width + column < target[0] * width + target[1]
    near = torch.maximum((row - target[0]).abs(), (column - target[1]).abs()) <= radius
    return before & near


def gradient_map(model: PixelCNN, target: int) -> Tensor:
    """|d log p(x_target) / d x|, [rows, columns] in visiting order, at float inputs."""
    space: Any = model.space
    z = model.flatten(events(space, 1)).double().requires_grad_()
    log_p = model._conditionals(z, None)[:, target].log_prob(torch.zeros(1).long())
    (gradient,) = torch.autograd.grad(log_p.sum(), z)
    return gradient.abs().reshape(-1, model.columns)


@pytest.mark.parametrize(("reach", "layers"), [(1, 1), (2, 1), (1, 2), (3, 2), (2, 4)])
def test_a_pixel_sees_every_earlier_one_within_reach_and_none_other(reach: int, layers: int):
    """No blind spot: the upper right is seen as far as the upper left."""
    height, width = 7, 8
    model = pixelcnn(Image(height, width, levels=4), reach=reach, layers=layers)
    for target in [(0, 0), (0, 5), (3, 0), (4, 3), (5, 7), (6, 1), (6, 7)]:
        gradient = gradient_map(model, target[0] * width + target[1])
        assert torch.equal(gradient > 0, seen_in(height, width, target, reach + layers))


@pytest.mark.parametrize("target", [25, 27, 29])
def test_with_layers_enough_the_last_row_sees_every_earlier_pixel(target: int):
    gradient = gradient_map(pixelcnn(Image(6, 5, levels=2)), target).reshape(-1)
    assert torch.equal(gradient > 0, torch.arange(30) < target)


def test_in_column_order_earlier_means_columns_to_the_left():
    gradient = gradient_map(pixelcnn(Image(6, 8, levels=4), order="column", reach=1, layers=1), 3 * 6 + 2)
    assert torch.equal(gradient > 0, seen_in(8, 6, (3, 2), 2))  # the transposed picture, whose rows are the columns


@torch.no_grad()
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_earlier_channel_matters_and_no_later_one(likelihood: str):
    """Within the square around a pixel all channels of its predecessors; and its own, one after the other."""
    height, width = 4, 4
    space = Image(height, width, 3, levels=8)
    model = pixelcnn(space, reach=1, layers=1, likelihood=likelihood)
    z = model.flatten(events(space, 1))
    changed = z.repeat(48, 1)
    changed[torch.arange(48), torch.arange(48)] = (z[0] + 3) % 8
    moved = (probe(model._conditionals(changed, None)) - probe(model._conditionals(z, None))).abs().amax(-1) > 0
    for target, channel in itertools.product([(0, 0), (2, 0), (2, 1), (3, 3)], range(3)):
        expected = seen_in(height, width, target, 2)[..., None].repeat(1, 1, 3)
        expected[target][:channel] = True
        assert torch.equal(moved[:, (target[0] * width + target[1]) * 3 + channel], expected.reshape(-1))


@torch.no_grad()
def test_every_earlier_token_of_a_grid_matters():
    space = Grid(5, 6, levels=7)
    model = pixelcnn(space)
    z = model.flatten(events(space, 1))
    changed = z.repeat(30, 1)
    changed[torch.arange(30), torch.arange(30)] = (z[0] + 1) % 7
    moved = (probe(model._conditionals(changed, None)) - probe(model._conditionals(z, None))).abs().amax(-1) > 0
    assert torch.equal(moved, torch.ones(30, 30).triu(1).bool())


@torch.no_grad()
def test_the_border_is_no_picture():
    """In a picture of one level, middle grey included, each pixel sees its own distances to the border."""
    model: Any = pixelcnn(Image(5, 5, levels=3), reach=3, layers=1)
    model.head.levels.bias.zero_()  # which would tell pixels apart by their number
    for level in range(3):
        said = probe(model.conditionals(torch.full((1, 1, 5, 5), level)))[0]
        assert (torch.cdist(said, said) + torch.eye(25)).min() > 1e-6


# Channels of a pixel


@torch.no_grad()
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("coupling", [True, False])
def test_green_depends_on_red_of_its_pixel_and_blue_on_both_only_if_coupled(likelihood: str, coupling: bool):
    model = pixelcnn(COLOUR, likelihood=likelihood, coupling=coupling)
    x = events(COLOUR, 4)
    said = probe(model.conditionals(x)).reshape(4, 20, 3, 8)
    for channel, reaches in [(0, [1, 2]), (1, [2]), (2, [])]:
        changed = x.clone()
        changed[:, channel, 2, 1] = (x[:, channel, 2, 1] + 3) % 8
        pixel = 2 * 4 + 1
        moved = (probe(model.conditionals(changed)).reshape(4, 20, 3, 8) - said).abs().amax((0, 3)) > 0  # [pixels, C]
        assert moved[pixel].tolist() == [coupling and c in reaches for c in range(3)]
        assert moved[pixel + 1].all()
        assert not moved[:pixel].any()


@torch.no_grad()
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_pixel_is_a_distribution_over_its_colours(likelihood: str):
    space = Image(3, 3, 3, levels=5)
    model = pixelcnn(space, likelihood=likelihood)
    every = torch.cartesian_prod(*[torch.arange(5)] * 3)  # [125, 3]
    x = events(space, 1).repeat(125, 1, 1, 1)
    x[:, :, 1, 2] = every
    log_p = model.log_prob_per_dimension(x)[:, :, 1, 2].sum(1)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-12)


# Transposition


@torch.no_grad()
@pytest.mark.parametrize(("space", "turned"), [(COLOUR, Image(4, 5, 3, levels=8)), (Grid(5, 6, 7), Grid(6, 5, 7))])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_columns_of_a_picture_are_rows_of_the_transposed_one(space, turned, likelihood):
    if likelihood == "logistic" and isinstance(space, Grid):
        likelihood = "auto"
    columns = pixelcnn(space, LABELS, order="column", likelihood=likelihood)
    rows = pixelcnn(turned, LABELS, order="raster", likelihood=likelihood)
    rows.load_state_dict(columns.state_dict())
    x, context = events(space, 4), [0, 1, 2, 0]
    by_row = rows.log_prob_per_dimension(x.mT, context)
    torch.testing.assert_close(columns.log_prob_per_dimension(x, context), by_row.mT, rtol=0, atol=1e-12)
    assert torch.equal(columns.sample(4, context, seed=0), rows.sample(4, context, seed=0).mT)


# Numbers


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_loss_in_bfloat16_is_that_of_float32_to_its_digits(likelihood: str):
    space = Image(8, 8, 3, levels=256)
    model, x = pixelcnn(space, LABELS, likelihood=likelihood, width=16).float(), events(space, 8)
    context = torch.arange(8) % 3
    exact = LikelihoodLoss(model)(x, context).item()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = LikelihoodLoss(model)(x, context)
    rounded.backward()
    assert rounded.item() == pytest.approx(exact, rel=2.0**-6)
    assert rounded.item() != exact  # it did run in bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_conditionals_keep_the_digits_of_float32_under_autocast(likelihood: str):
    """256 levels cannot be told apart in bfloat16, so features may be rounded, but nothing after them."""
    space = Image(2, 3, 3, levels=256)
    model = pixelcnn(space, likelihood=likelihood).float()
    z = model.flatten(events(space, 4)).reshape(4, 6, 3)
    h = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = model.head(h.float(), z).log_prob(z.flatten(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.head(h, z).log_prob(z.flatten(1)), expected)


def test_nothing_is_dropped_when_scoring_or_drawing():
    space = Image(5, 4, levels=4)
    model = pixelcnn(space, dropout=0.5)
    x = events(space, 6)
    scored, drawn = model.log_prob(x), model.sample(6, seed=0)
    model.train()
    assert torch.equal(model.log_prob(x), scored)
    assert torch.equal(model.sample(6, seed=0), drawn)
    assert torch.equal(model.sample(6, seed=0, method="fixed_point"), drawn)
    assert len({LikelihoodLoss(model)(x).item() for _ in range(4)}) == 4  # but it is in training
    assert model.training


def test_a_new_model_starts_at_the_marginals():
    """Before learning, each channel's distribution is the (smoothed) frequency of its levels, whatever came before."""
    space = Image(4, 3, 3, levels=4)
    model, x = PixelCNN(space, width=8, layers=2, reach=1, rank=0), events(space, 200) // 2
    model.prepare(x)
    counted = torch.stack([torch.bincount(column, minlength=4) for column in model.flatten(x).T]) + 0.5
    said = model.conditionals(x[:2]).probabilities().detach()  # type: ignore[attr-defined]
    expected = (counted / counted.sum(1, keepdim=True)).double().expand(2, -1, -1)
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-6)


# Choices


@pytest.mark.parametrize(
    ("space", "likelihood", "expected"),
    [
        (Image(2, 2, levels=2), "auto", Categorical),
        (Image(2, 2, levels=MANY_LEVELS - 1), "auto", Categorical),
        (Image(2, 2, levels=MANY_LEVELS), "auto", DiscretisedLogisticMixture),
        (Image(2, 2, 3, levels=256), "auto", DiscretisedLogisticMixture),
        (Image(2, 2, levels=256), "categorical", Categorical),
        (Image(2, 2, levels=2), "logistic", DiscretisedLogisticMixture),
        (Grid(2, 2, levels=512), "auto", Categorical),
        (Grid(2, 2, levels=512), "categorical", Categorical),
    ],
    ids=str,
)
def test_images_of_many_levels_have_logistic_conditionals(space: Space, likelihood, expected):
    model = PixelCNN(space, width=4, layers=1, likelihood=likelihood)
    assert type(model.conditionals(events(space, 1))) is expected
    assert model.hyperparameters()["likelihood"] == likelihood


@pytest.mark.parametrize(
    ("space", "options", "complaint"),
    [
        (Image(3, 3), {"order": "spiral"}, "raster or column"),
        (Image(3, 3), {"order": tuple(range(9))}, "raster or column"),
        (Image(3, 3), {"order": "colum"}, "did you mean column"),
        (Grid(3, 3, 5), {"likelihood": "logistic"}, "no order"),
        (Image(3, 3), {"width": 0}, "at least 1"),
        (Image(3, 3), {"layers": 0}, "at least 1"),
        (Image(3, 3), {"reach": 0}, "at least 1"),
        (Image(3, 3), {"components": 0}, "at least 1"),
        (Image(3, 3), {"width": -4}, "at least 1"),
        (Image(3, 3, levels=4), {"rank": 4}, "rank 4"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(space: Space, options: dict[str, Any], complaint: str):
    with pytest.raises(UsageError, match=complaint):
        PixelCNN(space, **options)


def test_a_sequence_is_no_picture():
    with pytest.raises(ValueError, match="it models pictures or grids"):
        PixelCNN(Sequence(4, 3))
