"""Attention with masks, held to softmax(q kᵀ / √size) v with everything unseen at −∞; rotary turns, held to cmath."""

from __future__ import annotations

import cmath
import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from ptheta.nn import Block, Rotary
from ptheta.nn.attention import SHORT, attend, windowed_attention
from ptheta.nn.context import Encoder
from ptheta.nn.rotary import turned

SIZE = 4


def random_heads(n: int, slots: int, size: float = 2.0) -> Iterator[Tensor]:
    """Queries, keys and values of two heads."""
    generator = torch.Generator().manual_seed(0)
    return iter(size * torch.randn(3, n, 2, slots, SIZE, generator=generator, dtype=torch.float64))


def random_reach(n: int, t: int, most: int, seed: int = 1) -> Tensor:
    return torch.randint(most + 1, (n, t), generator=torch.Generator().manual_seed(seed))


def plain(query: Tensor, key: Tensor, value: Tensor, window: int | None, back: Tensor | None = None) -> Tensor:
    """One row, head and slot after the other, over a list of the slots it sees."""
    n, heads, t, size = query.shape
    out, offset = torch.zeros_like(query), key.shape[2] - t
    for i in range(n):
        for j in range(t):
            reach = min(offset + j, (window or 10**9) - 1, 10**9 if back is None else int(back[i, j]))
            seen = slice(offset + j - reach, offset + j + 1)
            for h in range(heads):
                weights = (key[i, h, seen] @ query[i, h, j] / size**0.5).exp()
                out[i, h, j] = weights / weights.sum() @ value[i, h, seen]
    return out


@pytest.mark.parametrize("reaching", [False, True])
@pytest.mark.parametrize("window", [None, 1, 2, 3, 6, 13, 30])
@pytest.mark.parametrize(("t", "slots"), [(13, 13), (5, 13), (2, 13), (12, 13)])
def test_the_last_slots_attend_to_what_they_may_see(t: int, slots: int, window: int | None, reaching: bool):
    query, key, value = random_heads(3, slots)
    query, back = query[:, :, -t:], random_reach(3, t, slots) if reaching else None
    torch.testing.assert_close(attend(query, key, value, window, back), plain(query, key, value, window, back))


@pytest.mark.parametrize("n", [2, 40])
@pytest.mark.parametrize("reaching", [False, True])
def test_one_slot_attends_to_all_keys_it_is_given(n: int, reaching: bool):
    query, key, value = random_heads(n, 9)
    query, back = query[:, :, -1:], random_reach(n, 1, 8) if reaching else None
    torch.testing.assert_close(attend(query, key, value, 9, back), plain(query, key, value, 9, back))


@pytest.mark.parametrize(("slots", "window"), [(10, 3), (9, 3), (11, 3), (7, 1), (12, 5), (4, 4), (5, 9)])
def test_blocks_of_a_window_keep_each_row_within_its_own_reach(slots: int, window: int):
    query, key, value = random_heads(3, slots)
    back = random_reach(3, slots, window + 2)
    found = windowed_attention(query, key, value, window, back)
    torch.testing.assert_close(found, plain(query, key, value, window, back))


# Products in bfloat16


@pytest.mark.parametrize("reaching", [False, True])
@pytest.mark.parametrize(
    ("t", "slots", "window"), [(40, 40, None), (40, 40, 25), (40, 40, 8), (6, 40, 20), (39, 40, 3)]
)
def test_in_bfloat16_attention_is_the_same_to_its_precision(t: int, slots: int, window: int | None, reaching: bool):
    """Values and gradients, against float64, to a few units of 2⁻⁸."""
    query, key, value = (x.float().bfloat16().double().requires_grad_() for x in random_heads(3, slots, 1.0))
    back = random_reach(3, t, slots) if reaching else None
    towards = torch.randn(3, 2, t, SIZE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    truth = attend(query[:, :, -t:], key, value, window, back)
    slopes = torch.autograd.grad((truth * towards).sum(), (query, key, value))
    given = [x.detach().float().requires_grad_() for x in (query, key, value)]
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(given[0][:, :, -t:], given[1], given[2], window, back)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), truth, rtol=0, atol=0.06)
    assert float((found.double() - truth).detach().norm() / truth.detach().norm()) < 0.01
    for mine, slope in zip(torch.autograd.grad((found.double() * towards).sum(), given), slopes):
        assert float((mine.double() - slope).norm() / slope.norm()) < 0.03


def test_beyond_short_sequences_the_fused_kernel_gives_the_same():
    query, key, value = (x.float() for x in random_heads(1, SHORT + 1, 1.0))
    truth = plain(query.double(), key.double(), value.double(), None)
    with torch.autocast("cpu", torch.bfloat16):
        longer = attend(query, key, value, None)
        shorter = attend(query[:, :, :SHORT], key[:, :, :SHORT], value[:, :, :SHORT], None)
    torch.testing.assert_close(longer.double(), truth, rtol=0, atol=0.06)
    torch.testing.assert_close(shorter.double(), truth[:, :, :SHORT], rtol=0, atol=0.06)


# Rotary


def by_hand(x: Tensor, place: int, longest: float) -> list[float]:
    """x [size] turned to a place: entry i of each half is one complex number."""
    pairs = len(x) // 2
    numbers = [complex(float(x[i]), float(x[i + pairs])) for i in range(pairs)]
    numbers = [z * cmath.exp(1j * place * longest ** (-i / pairs)) for i, z in enumerate(numbers)]
    return [z.real for z in numbers] + [z.imag for z in numbers]


@pytest.mark.parametrize(("m", "longest"), [(20, 4.0 * 19), (5000, 10_000.0)])
@pytest.mark.parametrize("place", [0, 1, 19, 20, 700, 1_234_567])
def test_a_turn_is_a_rotation_of_pairs_at_any_place(m: int, longest: float, place: int):
    """Among the coordinates, and far beyond the last of them; in float32 too."""
    rotary, x = Rotary(torch.arange(m)[:, None], 8).double(), torch.linspace(-1, 2, 8, dtype=torch.float64)
    expected = torch.tensor(by_hand(x, place, longest), dtype=torch.float64)
    torch.testing.assert_close(turned(x[None], rotary.turn(torch.tensor([[place]])))[0], expected, rtol=0, atol=1e-9)
    if place < m:
        torch.testing.assert_close(turned(x[None], rotary.at(slice(place, place + 1)))[0], expected, rtol=0, atol=1e-9)
    rounded = turned(x[None].float(), rotary.float().turn(torch.tensor([[place]])))[0]
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("moves", [["float"], ["half"], ["bfloat16", "double"], ["half", "float", "double"]])
def test_frequencies_keep_their_digits_whatever_type_a_model_takes(moves: list[str]):
    model = nn.ModuleList([Rotary(torch.arange(50)[:, None], 16)])
    exact = (4.0 * 49) ** (-torch.arange(8, dtype=torch.float64) / 8)
    for move in moves:
        getattr(model, move)()
    assert torch.equal(model[0].frequencies[0], exact)
    cos, sin = model[0].turn(torch.tensor([[100_003]]))
    assert cos.dtype == sin.dtype == getattr(torch, moves[-1])
    precision = {"float": 1e-6, "half": 1e-3, "double": 1e-12}[moves[-1]]
    torch.testing.assert_close(cos[0, :8].double(), (100_003 * exact).cos(), rtol=0, atol=precision)


# Blocks


def shaken_block(dropout: float = 0.0) -> Block:
    torch.manual_seed(0)
    block = Block(8, 2, None, dropout).double()
    for parameter in block.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return block


@torch.no_grad()
def test_a_block_is_causal_or_sees_what_a_mask_says():
    block, x = shaken_block(), torch.randn(2, 5, 8, dtype=torch.float64)
    turn = Rotary(torch.arange(5)[:, None], 4).double().at(slice(0, 5))
    causal = block(x, (turn, turn))
    triangle = torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(block(x, (turn, turn), seen=triangle), causal, rtol=0, atol=1e-12)
    everything = block(x, (turn, turn), seen=torch.ones_like(triangle))
    torch.testing.assert_close(everything[:, -1], causal[:, -1], rtol=0, atol=1e-12)
    assert not torch.allclose(everything[:, 0], causal[:, 0])


def test_an_encoder_keeps_its_weights_under_the_names_of_earlier_run_folders():
    encoder = Encoder(torch.arange(3)[:, None], 8, 2, 2, 0.0)
    layers = ["query_key_value", "out", "up", "down"]
    names = [*(f"blocks.{i}.{layer}.weight" for i in range(2) for layer in layers), "pool.weight", "pool.bias"]
    state = encoder.state_dict()
    assert list(state) == names
    other = copy.deepcopy(encoder)
    other.load_state_dict({name: value + 1 for name, value in state.items()})
    assert all(torch.equal(value, state[name] + 1) for name, value in other.state_dict().items())
    assert list(nn.ModuleDict({"a": encoder}).state_dict()) == [f"a.{name}" for name in names]
