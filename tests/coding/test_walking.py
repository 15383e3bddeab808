"""What is walked is what comes back, for every family, and it takes the bits that the model says."""

import math

import numpy as np
import pytest
import torch
import zoo_cases as zoo

from ptheta.coding.errors import CodingError
from ptheta.coding.tables import PRECISION, Decoder, Encoder, integer_tables
from ptheta.coding.walking import computing, reads_on, walk
from ptheta.distributions import Categorical, DiscretisedLogisticMixture

CASES = [p for p in zoo.AUTOREGRESSIVE if p.values[0].space_name != "real"]


def events(case, n=7):
    """Events in visiting order, impossible ones too, and their labels."""
    x = zoo.random_events(case.space, n, seed=3)
    return zoo.model_of(case, torch.float32).flatten(x), zoo.contexts(case, n)


def encoded(case, z, context, lengths):
    coder, model = Encoder(), zoo.model_of(case, torch.float32)
    with computing(model, 1):
        assert torch.equal(walk(model, coder, lengths, context, z), z)
    return coder


@pytest.mark.parametrize("case", CASES)
def test_every_family_gives_its_events_back(case):
    z, context = events(case)
    lengths = [z.shape[1]] * len(z)
    coder = encoded(case, z, context, lengths)
    model, decoder = zoo.model_of(case, torch.float32), Decoder(coder.payload())
    with computing(model, 1):
        assert torch.equal(walk(model, decoder, lengths, context, None), z)
    assert decoder.digest == coder.digest
    with torch.no_grad():
        log_prob = (
            model.log_prob_per_token(z, context) if reads_on(model) else [model.log_prob(model.unflatten(z), context)]
        )
    expected = -float(torch.cat(log_prob).sum()) / math.log(2)
    if case.space_name == "table":  # a real number takes the bits of its density at the spacing of float64
        size = z[:, [c.name for c in case.space.columns].index("size")]
        expected -= float(np.log2(np.spacing(size[size != 1].abs().numpy())).sum())
    assert coder.bits == pytest.approx(expected, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("case", zoo.only(CASES, "sequence"))
def test_lanes_of_different_lengths(case):
    z, context = events(case, 4)
    lengths = [4, 3, 3, 1]
    z = z * (torch.arange(4) < torch.tensor(lengths)[:, None])
    coder = encoded(case, z, context, lengths)
    with computing(zoo.model_of(case, torch.float32), 1):
        found = walk(zoo.model_of(case, torch.float32), Decoder(coder.payload()), lengths, context, None)
    assert torch.equal(found, z)


def test_no_lanes_take_no_bits():
    case = CASES[0].values[0]
    coder = Encoder()
    assert walk(zoo.model_of(case), coder, [], None, None).shape == (0, 0)
    assert coder.payload() == b""


def test_the_global_state_stays_as_it_was():
    case = CASES[0].values[0]
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = zoo.model_of(case).train()
    with computing(model, threads + 1):
        assert not model.training
        assert torch.get_num_threads() == threads + 1
    assert model.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before)
    model.eval()


# Tables


def test_tables_leave_every_symbol_possible_and_stay_below_their_total():
    p = torch.rand(50, 300, dtype=torch.float64) ** 20
    p[0], p[0, 7], p[1, :299], p[1, 299] = 0, 1, 0, 1
    p /= p.sum(-1, keepdim=True)
    tables = integer_tables(p)
    assert tables.dtype == np.int64
    assert tables.min() == 1
    assert tables.sum(-1).max() <= 2**PRECISION
    assert np.abs(tables / 2**PRECISION - p.numpy()).max() < 301 / 2**PRECISION


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.5, 0.0])
def test_what_is_no_probability_is_refused(bad):
    p = torch.full((2, 3), 1 / 3, dtype=torch.float64)
    p[1, 1] = bad
    with pytest.raises(CodingError, match="not finite or do not sum to 1"):
        integer_tables(p)


def test_too_many_levels_are_refused():
    with pytest.raises(CodingError, match="at most 1,048,576"):
        integer_tables(torch.zeros(1, 2**20 + 1))


@pytest.mark.parametrize("levels", [1, 2, 256, 5000])
def test_symbols_of_probability_zero_are_coded(levels):
    p = torch.zeros(40, levels, dtype=torch.float64)
    p[:, 0] = 1
    symbols = torch.arange(40) % levels
    coder = Encoder()
    coder.code(p, symbols)
    assert torch.equal(Decoder(coder.payload()).code(p, None), symbols)
    assert coder.bits == (0 if levels == 1 else math.inf)
    assert len(coder.payload()) <= 40 * (PRECISION + 1) / 8 + 8


def test_bits_are_those_of_the_distribution():
    g = torch.Generator().manual_seed(0)
    p = torch.randn(20_000, 60, generator=g, dtype=torch.float64).mul(2).softmax(-1)
    symbols = torch.multinomial(p, 1, generator=g)[:, 0]
    coder = Encoder()
    coder.code(p, symbols)
    entropy = -float(p.gather(1, symbols[:, None]).log2().sum())
    assert coder.bits == pytest.approx(entropy, rel=1e-12)
    assert entropy <= 8 * len(coder.payload()) <= 1.0002 * entropy + 64


def test_the_digest_tells_tables_apart():
    p = torch.full((3, 4), 0.25, dtype=torch.float64)
    one, other = Encoder(), Encoder()
    one.code(p, torch.zeros(3, dtype=torch.long))
    q = p.clone()
    q[2] = torch.tensor([0.25, 0.25, 0.25 + 1e-6, 0.25 - 1e-6])
    other.code(q, torch.zeros(3, dtype=torch.long))
    assert one.digest != other.digest


# How values are spelled


def test_the_probabilities_of_a_discretised_mixture_are_those_of_its_density():
    g = torch.Generator().manual_seed(1)
    a, b, c = (torch.randn(30, 5, generator=g) for _ in range(3))
    mixture = DiscretisedLogisticMixture(a, b, c - 3, 256)
    p, values = next(mixture.spelled(None))
    assert values is None
    torch.testing.assert_close(p, mixture.level_logits().double().softmax(-1), rtol=0, atol=1e-6)
    assert p.sum(-1).sub(1).abs().max() < 1e-12


def test_real_values_have_no_spelling():
    from ptheta.distributions import GaussianMixture
    from ptheta.errors import UsageError

    zero = torch.zeros(1, 1)
    with pytest.raises(UsageError, match="have a density"):
        GaussianMixture(zero, zero, zero).spelled(None)


def test_a_categorical_is_one_symbol():
    spelling = Categorical(torch.tensor([[0.0, 1.0]])).spelled(torch.tensor([1]))
    p, symbols = next(spelling)
    assert p.dtype == torch.float64
    with pytest.raises(StopIteration) as done:
        spelling.send(symbols)
    assert done.value.value.tolist() == [1]


def test_more_threads_than_a_machine_can_have_are_refused():
    model, before = zoo.model_of(CASES[0].values[0]), torch.get_num_threads()
    problem = "4,096 threads are more than this machine has; at most"
    with pytest.raises(CodingError, match=problem), computing(model, 4096):
        pass
    assert torch.get_num_threads() == before
