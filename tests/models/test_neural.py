"""What the neural families promise beyond the contract: windows, neighbours, ordinal outputs, units of real values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ptheta.errors import UsageError
from ptheta.models import MADE, Autoregressive, MarkovMLP, Transformer  # type: ignore[attr-defined]
from ptheta.models.autoregressive.neighbours import neighbours
from ptheta.models.levels import polynomials
from ptheta.nn import KeyValueCache, Rotary
from ptheta.nn.attention import windowed_attention
from ptheta.nn.rotary import turned
from ptheta.spaces import Discrete, Image, Label, Real, Sequence, Waveform
from ptheta.training.objectives.likelihood import LikelihoodLoss


def shaken(model: Autoregressive, size: float = 0.3) -> Autoregressive:
    """The model in float64 with noise on all parameters, so that nothing is zero or equal by initialisation."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def stepwise(model: Autoregressive, z: Tensor) -> Tensor:
    """log p(z_j | z_<j) by decoding z [n, m]."""
    decoder, previous, columns = model.decoder(len(z)), None, []
    for j in range(z.shape[1]):
        columns.append(decoder.step(previous).log_prob(z[:, j]))
        previous = z[:, j]
    return torch.stack(columns, 1)


@torch.no_grad()
@pytest.mark.parametrize("window", [1, 2, 5, 12, 40])
def test_a_ring_of_keys_and_values_scores_like_the_windowed_pass(window: int):
    model = shaken(Transformer(Sequence(12, 5), width=16, layers=3, heads=2, window=window))
    z = torch.randint(5, (4, 12), generator=torch.Generator().manual_seed(1))
    full = model.conditionals(z).log_prob(z)
    torch.testing.assert_close(stepwise(model, z), full, rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_window_of_w_in_one_layer_sees_the_last_w_values_and_no_more():
    model = shaken(Transformer(Sequence(10, 3), width=16, layers=1, heads=2, window=3, local=0))
    z = torch.zeros(1, 10, dtype=torch.long)
    reference = model.conditionals(z).logits[0, 9]
    for position in range(9):
        changed = z.clone()
        changed[0, position] = 1
        moved = not torch.equal(model.conditionals(changed).logits[0, 9], reference)
        assert moved == (position >= 6)


@pytest.mark.parametrize(("m", "window"), [(10, 3), (9, 3), (7, 6), (5, 1), (4, 4)])
def test_windowed_attention_is_attention_with_everything_else_masked(m, window):
    query, key, value = torch.randn(3, 2, 3, m, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    j = torch.arange(m)
    back = j[:, None] - j
    weights = (query @ key.mT / 4**0.5).masked_fill((back < 0) | (back >= window), -torch.inf).softmax(-1)
    torch.testing.assert_close(windowed_attention(query, key, value, window), weights @ value)


@pytest.mark.parametrize("chunks", [[1] * 40, [3, 1, 7, 2, 7, 7, 1, 5, 7], [5, 5, 5, 5, 5, 5, 5, 5]])
def test_the_cache_of_a_window_shows_the_last_slots_and_does_not_grow(chunks):
    window, slots = 4, 40
    entries = torch.arange(1.0, slots + 1).expand(2, 3, slots)[..., None]  # [n, heads, slots, 1]
    cache = KeyValueCache(2, 3, 1, slots, window, 7, torch.zeros(1))
    size, at = cache.keys.numel(), 0
    for t in chunks:
        keys, values = cache.append(entries[:, :, at : at + t], -entries[:, :, at : at + t])
        at += t
        expected = list(range(max(0, at - t - window + 1) + 1, at + 1))
        assert keys[1, 2, :, 0].tolist() == expected
        assert torch.equal(values, -keys)
        if t > 1:  # the last of them turn out wrong
            cache.rewind(t - 1)
            at -= t - 1
    assert cache.keys.numel() == cache.values.numel() == size == 2 * 3 * (4 + 7)


def test_neighbours_are_within_the_radius_and_visited_before():
    space = Image(5, 4, channels=3, levels=4)
    order = space.order()
    coordinates = space.coordinates()[order]
    index = neighbours(coordinates, 1, all_around=False)
    for j, row in enumerate(index.tolist()):
        found = {k for k in row if k >= 0}
        near = (coordinates[:, :2] - coordinates[j, :2]).abs().amax(1) <= 1
        assert found == {int(k) for k in near.nonzero() if k < j}


@torch.no_grad()
def test_neighbours_keep_causality_and_decode_alike_in_any_order():
    order = tuple(torch.randperm(18, generator=torch.Generator().manual_seed(3)).tolist())
    for visiting in (None, order):
        model = shaken(Transformer(Image(2, 3, 3, levels=4), width=16, layers=2, heads=2, local=1, order=visiting))
        z = torch.randint(4, (3, 18), generator=torch.Generator().manual_seed(1))
        full = model._conditionals(z, None)
        torch.testing.assert_close(stepwise(model, z), full.log_prob(z), rtol=0, atol=1e-12)
        later = z.clone()
        later[:, 7:] = (later[:, 7:] + 1) % 4
        torch.testing.assert_close(model._conditionals(later, None).logits[:, :8], full.logits[:, :8])


def test_rotary_products_depend_on_coordinate_differences_only():
    coordinates = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    rotary = Rotary(coordinates, 8).double()
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned_query = turned(query.expand(1, 1, 16, 8), rotary.at(slice(None)))[0, 0]
    turned_key = turned(key.expand(1, 1, 16, 8), rotary.at(slice(None)))[0, 0]
    product = turned_query @ turned_key.T
    seen: dict[tuple[int, ...], float] = {}
    for i in range(16):
        for j in range(16):
            difference = tuple((coordinates[i] - coordinates[j]).tolist())
            assert seen.setdefault(difference, float(product[i, j])) == pytest.approx(float(product[i, j]), abs=1e-6)
    assert len({round(v, 6) for v in seen.values()}) > 20  # positions do matter


def test_heads_that_do_not_fit_the_width_are_refused():
    with pytest.raises(UsageError, match="multiple of 2"):
        Transformer(Sequence(4, 3), width=10, heads=4)


@torch.no_grad()
def test_made_with_few_coefficients_keeps_causality_and_starts_at_the_marginals():
    space = Image(3, 3, levels=16)
    model = MADE(space, width=24)
    assert model.levels.rank == 8
    x = torch.randint(16, (500, 1, 3, 3), generator=torch.Generator().manual_seed(0)) // 2
    model.prepare(x)
    p = model.conditionals(x[:1]).probabilities()[0]  # [9, 16]
    counted = torch.stack([torch.bincount(column, minlength=16) for column in x.flatten(1).T]).double() + 0.5
    torch.testing.assert_close(p, counted / counted.sum(1, keepdim=True), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", [MADE, MarkovMLP])
def test_a_sound_is_seen_as_a_picture_with_as_many_greys_is(family):
    """Its levels are numbers: indicators and a logit for each would be 681,914,368 parameters of MADE."""
    picture, sound = (family(space, width=32) for space in (Image(10, 10), Waveform(100)))
    assert {k: v.shape for k, v in sound.state_dict().items()} == {k: v.shape for k, v in picture.state_dict().items()}
    assert sum(p.numel() for p in MADE(Waveform(100)).parameters()) == 833_216


def test_a_rank_that_is_no_rank_is_refused():
    with pytest.raises(UsageError, match="rank 3"):
        MADE(Discrete((4,), 3), rank=3)


def test_polynomials_are_orthogonal_over_many_levels():
    basis = polynomials(2001, 4).double()
    product = basis.T @ basis / 2001
    expected = torch.diag(1 / (2 * torch.arange(1, 5).double() + 1))
    torch.testing.assert_close(product, expected, rtol=0, atol=2e-3)


@torch.no_grad()
@pytest.mark.parametrize("mixture", ["logistic", "gaussian"])
@pytest.mark.parametrize("family", [MarkovMLP, MADE])
def test_densities_follow_the_units_of_the_data(family: type, mixture: str):
    """Change of variables: the same events in millimetres have their log-density lower by log 1000 a dimension."""
    generator = torch.Generator().manual_seed(0)
    metres = torch.randn(200, 3, generator=generator, dtype=torch.float64) * 2 + 5
    densities = []
    for x in (metres, metres * 1000):
        torch.manual_seed(0)
        model = shaken(family(Real((3,)), width=16, mixture=mixture, dropout=0.0), 0.05)
        model.prepare(x)
        densities.append(model.log_prob(x))
    expected = densities[0] - 3 * torch.log(torch.tensor(1000.0, dtype=torch.float64))
    torch.testing.assert_close(densities[1], expected, rtol=0, atol=1e-9)


@torch.no_grad()
def test_conditionals_of_real_values_integrate_to_one():
    model = shaken(MarkovMLP(Real((2,)), width=16, window=1), 0.2)
    grid = torch.linspace(-400, 400, 400_001, dtype=torch.float64)
    for first in (-1.0, 0.3):
        decoder = model.decoder(len(grid))
        decoder.step(None)
        density = decoder.step(torch.full_like(grid, first)).log_prob(grid).exp()
        assert float(torch.trapezoid(density, grid)) == pytest.approx(1.0, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("family", [MarkovMLP, MADE])
def test_large_numbers_keep_their_small_differences(family: type):
    """Unix seconds: a float32 model still scores and draws them to the second."""
    x = 1.7e9 + 30 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(0)
    model = family(Real((2,)), width=16, dropout=0.0).eval()
    model.prepare(x)
    scored = model.log_prob(x)
    assert float(-LikelihoodLoss(model)(x) * 2) == pytest.approx(float(scored.mean()), abs=1e-6)
    drawn = model.sample(500, seed=0)
    assert len(drawn[:, 0].unique()) == 500
    torch.testing.assert_close(model.double().log_prob(x), scored, rtol=0, atol=1e-3)


def test_weights_that_a_mask_holds_at_zero_are_not_counted():
    """By counting the weights that change the output."""
    model = MADE(Discrete((4,), 2), width=6, layers=2).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=torch.Generator().manual_seed(0)) + 0.5)
    z = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]])
    reference = model.conditionals(z).logits
    free = 0
    with torch.no_grad():
        for parameter in model.parameters():
            for i in range(parameter.numel()):
                kept = parameter.view(-1)[i].item()
                parameter.view(-1)[i] = kept + 1.0
                free += not torch.equal(model.conditionals(z).logits, reference)
                parameter.view(-1)[i] = kept
    assert model.free_parameters == free


@torch.no_grad()
def test_no_part_of_a_model_stays_behind_when_it_moves():
    """On the meta device every operation with a tensor left on the CPU fails."""
    for family, space in [
        (Transformer, Image(3, 3, 3, levels=4)),
        (MADE, Image(3, 3, levels=4)),
        (MarkovMLP, Discrete((4,), 5, (5, 2, 3, 4))),
        (MADE, Real((3,))),
    ]:
        model = family(space, Label(("a", "b")), width=16).eval().to("meta")
        context = torch.zeros(2, dtype=torch.long, device="meta")
        z = torch.zeros(2, space.dimensions, dtype=model.event_dtype, device="meta")
        noise = torch.zeros(2, model.noise_size, device="meta", dtype=torch.float64)
        assert model._conditionals(z, context).log_prob(z).device.type == "meta"
        decoder = model._decoder(2, context)
        drawn = decoder.step(decoder.step(None).sample(noise)).sample(noise)
        assert drawn.device.type == "meta"


@torch.no_grad()
def test_a_sequence_in_another_order_decodes_what_it_scores_and_is_not_read_on():
    order = (3, 1, 2, 0, 7, 6, 5, 4)
    for local in (0, 2):
        model = shaken(Transformer(Sequence(8, 3), width=16, layers=2, heads=2, order=order, local=local)).double()
        z = torch.randint(3, (2, 8), generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(stepwise(model, z), model._conditionals(z, None).log_prob(z), rtol=0, atol=1e-12)
    with pytest.raises(UsageError, match="not read token by token"):
        model.log_prob_per_token([[0] * 8])
    with pytest.raises(UsageError, match="not generated token by token"):
        model.generate(1, 4)
