"""Divergences: exact sums against numpy and scipy, draws against exact sums and closed forms, infinities said."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon

import ptheta.divergences.sides as sides
from ptheta.divergences import (
    NAMES,
    chi_squared,
    divergences,
    forward_kl,
    jensen_shannon,
    reverse_kl,
    total_variation,
)
from ptheta.errors import ContextError, DensityError, SpaceError, UsageError
from ptheta.models import Density, Model, family
from ptheta.spaces import Discrete, Label, Real

COIN = Label(("heads", "tails"))


class Listed(Model):
    """Probabilities in a table, [events] or [contexts, events]."""

    def __init__(self, table, given=None):
        table = np.asarray(table, float)
        super().__init__(Discrete((1,), table.shape[-1]), given)
        self.table = torch.from_numpy(np.atleast_2d(table))

    def _rows(self, n, context):
        return self.table[context] if context is not None else self.table.expand(n, -1)

    def _log_prob(self, x, context):
        return self._rows(len(x), context).log().gather(1, x)[:, 0]

    def _sample(self, n, context, generator):
        return torch.multinomial(self._rows(n, context), 1, replacement=True, generator=generator)


class Normal(Model):
    """N(mean, scale²) over one real number."""

    def __init__(self, mean, scale=1.0):
        super().__init__(Real((1,)))
        self.law = torch.distributions.Normal(
            torch.tensor(mean, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
        )

    def _log_prob(self, x, context):
        return self.law.log_prob(x)[:, 0]

    def _sample(self, n, context, generator):
        return self.law.mean + self.law.stddev * torch.randn(n, 1, generator=generator, dtype=torch.float64)


def random_tables(seed, events=12):
    g = np.random.default_rng(seed)
    return g.dirichlet(np.full(events, 0.7)), g.dirichlet(np.full(events, 0.7))


def truth(p, q):
    with np.errstate(divide="ignore"):
        chi_squared = ((p - q) ** 2 / q).sum()
    return {
        "forward_kl": stats.entropy(p, q),
        "reverse_kl": stats.entropy(q, p),
        "jensen_shannon": jensenshannon(p, q) ** 2,
        "total_variation": np.abs(p - q).sum() / 2,
        "chi_squared": chi_squared,
    }


@pytest.mark.parametrize("seed", range(5))
def test_exact_divergences_are_scipys(seed):
    p, q = random_tables(seed)
    found = divergences(Listed(p), Listed(q))
    assert list(found) == list(NAMES)
    for name, value in truth(p, q).items():
        assert found[name].value == pytest.approx(value, rel=1e-10)
        assert (found[name].se, found[name].n, found[name].exact) == (0.0, 12, True)


def test_the_functions_are_the_rows_of_the_table():
    p, q = map(Listed, random_tables(0))
    found = divergences(p, q)
    for name, function in (("forward_kl", forward_kl), ("reverse_kl", reverse_kl), ("jensen_shannon", jensen_shannon),
                           ("total_variation", total_variation), ("chi_squared", chi_squared)):  # fmt: skip
        assert function(p, q) == found[name]
    assert reverse_kl(p, q).value == pytest.approx(forward_kl(q, p).value, rel=1e-12)


def test_a_model_is_no_distance_from_itself_and_nearly_none_from_one_that_nearly_equals_it():
    p = np.full(1000, 1e-3)
    q = p + 1e-12 * np.tile([1, -1], 500)
    assert all(found.value == 0 for found in divergences(Listed(p), Listed(p)).values())
    assert forward_kl(Listed(p), Listed(q)).value == pytest.approx(5e-19, rel=1e-3), "1e-24 / 1e-3 / 2 a thousand times"


def test_listing_in_chunks_changes_nothing(monkeypatch):
    space, made = Discrete((5,), 3), family("made")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        p, q = (made.load()(space, **made.small).double() for _ in range(2))
        for model in (p, q):
            torch.nn.init.normal_(model.out.weight, std=0.3)
    whole = divergences(p, q)
    monkeypatch.setattr(sides, "CHUNK", 7)
    for name, found in divergences(p, q).items():
        assert found.value == pytest.approx(whole[name].value, rel=1e-9)
        assert found.n == 3**5


def test_draws_cover_the_exact_value_as_their_standard_errors_say():
    """Of 100 seeds, at least 97 within 3 s.e. and 89 within 2 s.e., as a correct one has 99 times in a hundred."""
    p, q = (0.7 * table + 0.3 / 12 for table in random_tables(3))
    exact = truth(p, q)
    distances = {name: [] for name in NAMES}
    for seed in range(100):
        for name, found in divergences(Listed(p), Listed(q), n=400, seed=seed, exact=False).items():
            assert not found.exact
            distances[name].append((found.value - exact[name]) / found.se)
    for z in map(np.asarray, distances.values()):
        assert (np.abs(z) < 3).sum() >= 97
        assert (np.abs(z) < 2).sum() >= 89
        assert 0.75 < z.std() < 1.3, "neither too small nor too large"


def test_of_two_normals_the_closed_forms_are_found():
    mean, scale = 0.8, 1.2
    found = divergences(Normal(0.0), Normal(mean, scale), n=20_000)
    forward = math.log(scale) + (1 + mean**2) / (2 * scale**2) - 0.5
    reverse = -math.log(scale) + (scale**2 + mean**2) / 2 - 0.5
    x = np.linspace(-12, 12, 200_001)
    p, q = stats.norm.pdf(x), stats.norm.pdf(x, mean, scale)
    grid = truth(p, q)
    width = x[1] - x[0]
    expected = {"forward_kl": forward, "reverse_kl": reverse, "total_variation": grid["total_variation"] * width,
                "chi_squared": grid["chi_squared"] * width,
                "jensen_shannon": (stats.entropy(p, (p + q) / 2) + stats.entropy(q, (p + q) / 2)) / 2}  # fmt: skip
    for name, value in expected.items():
        assert abs(found[name].value - value) < 4 * found[name].se
        assert found[name].se < 0.05 * value
        assert found[name].reliable


def test_close_by_the_control_variate_is_far_less_noisy_and_far_apart_it_is_not_used():
    close = forward_kl(Normal(0.0), Normal(0.05))
    assert close.method == "control variate"
    assert close.se == close.se_control < close.se_plain / 10
    assert abs(close.value - 0.05**2 / 2) < 4 * close.se
    far = forward_kl(Normal(0.0), Normal(10.0))
    assert far.method == "plain"
    assert abs(far.value - 50) < 4 * far.se, "r − 1 − log r would be a whole nat too low: no draw carries r"


def test_where_q_has_mass_outside_ps_support_the_control_variate_would_be_biased_and_is_left():
    p, q = np.array([0.55, 0.45, 0.0]), np.array([0.5, 0.4, 0.1])
    exact = forward_kl(Listed(p), Listed(q))
    assert exact.value == pytest.approx(0.55 * math.log(1.1) + 0.45 * math.log(1.125), rel=1e-12)
    found = forward_kl(Listed(p), Listed(q), exact=False)
    assert found.method == "plain"
    assert found.se_control < found.se_plain, "it would have been tempting"
    assert abs(found.value - exact.value) < 4 * found.se


def test_support_that_differs_is_infinite_and_says_how_much():
    p, q = np.array([0.2, 0.3, 0.5, 0.0]), np.array([0.0, 0.4, 0.35, 0.25])
    exact = divergences(Listed(p), Listed(q))
    drawn = divergences(Listed(p), Listed(q), n=5000, exact=False)
    for name, mass in (("forward_kl", 0.2), ("reverse_kl", 0.25), ("chi_squared", 0.2)):
        assert exact[name].value == drawn[name].value == math.inf
        assert (exact[name].outside, exact[name].outside_n) == (pytest.approx(mass), 1)
        assert drawn[name].outside == pytest.approx(mass, abs=0.02)
        assert drawn[name].outside_n == round(drawn[name].outside * 5000)
        assert "∞" in str(exact[name])
    for name in ("jensen_shannon", "total_variation"):
        assert exact[name].value == pytest.approx(truth(p, q)[name], rel=1e-12)
        assert abs(drawn[name].value - exact[name].value) < 4 * drawn[name].se


def test_one_sided_support_leaves_the_other_direction_finite():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.3, 0.3, 0.4])
    found = divergences(Listed(p), Listed(q))
    assert found["forward_kl"].value == pytest.approx(math.log(0.5 / 0.3), rel=1e-12)
    assert found["chi_squared"].value == pytest.approx(2 * 0.04 / 0.3 + 0.4, rel=1e-12)
    assert found["reverse_kl"].value == math.inf
    for seed in range(3):
        drawn = divergences(Listed(p), Listed(q), seed=seed, exact=False)
        assert abs(drawn["chi_squared"].value - found["chi_squared"].value) < 4 * drawn["chi_squared"].se


def test_nothing_in_common_is_as_far_as_can_be():
    found = divergences(Listed([1.0, 0.0]), Listed([0.0, 1.0]))
    drawn = divergences(Listed([1.0, 0.0]), Listed([0.0, 1.0]), exact=False)
    for estimates in (found, drawn):
        assert estimates["total_variation"].value == pytest.approx(1)
        assert estimates["jensen_shannon"].value == pytest.approx(math.log(2))
        assert estimates["forward_kl"].value == estimates["reverse_kl"].value == math.inf
        assert not any(math.isnan(e.value) or math.isnan(e.se) for e in estimates.values())


def test_heavy_tails_of_chi_squared_are_flagged():
    light, heavy = chi_squared(Normal(0.0), Normal(0.3)), chi_squared(Normal(0.0), Normal(6.0))
    assert light.reliable
    assert light.ess > 1000
    assert abs(light.value - math.expm1(0.09)) < 4 * light.se
    assert not heavy.reliable
    assert "unreliable" in str(heavy)
    assert heavy.value < math.expm1(36) / 10, "few draws meet what carries it: too low, as the flag warns"
    beyond = chi_squared(Normal(0.0), Normal(60.0))
    assert beyond.value == math.inf
    assert "more than float64 holds" in str(beyond)


def test_averages_over_rows_of_context():
    g = np.random.default_rng(0)
    p, q = (Listed(g.dirichlet(np.ones(5), 2), COIN) for _ in range(2))
    each = [divergences(p, q, name) for name in COIN.names]
    both = divergences(p, q, ["heads", "tails"])
    drawn = divergences(p, q, ["heads", "tails"], n=20_000, exact=False)
    for name in NAMES:
        mean = (each[0][name].value + each[1][name].value) / 2
        assert both[name].value == pytest.approx(mean, rel=1e-12)
        assert abs(drawn[name].value - mean) < 4 * drawn[name].se
    with_one = forward_kl(p, Listed([0.2] * 5), ["tails"])
    assert with_one.value == pytest.approx(stats.entropy(p.table[1], np.full(5, 0.2)), rel=1e-12)


def test_rows_of_context_are_strata_whose_difference_is_no_noise():
    p = Listed([[0.5, 0.5], [0.5, 0.5]], COIN)
    q = Listed([[0.5, 0.5], [0.001, 0.999]], COIN)
    truth = (0 + stats.entropy([0.5, 0.5], [0.001, 0.999])) / 2
    z = [(e.value - truth) / e.se for s in range(200) for e in [forward_kl(p, q, [0, 1], n=400, seed=s, exact=False)]]
    assert 0.85 < np.std(z) < 1.15


@pytest.mark.parametrize("samples", [np.zeros((3, 1)), torch.zeros(3, 1), [[0.0]]])
def test_samples_have_no_density(samples):
    with pytest.raises(DensityError, match=r"q is a \w+, and samples have no density; score them"):
        divergences(Normal(0.0), samples)
    with pytest.raises(DensityError, match="p is a"):
        divergences(samples, Normal(0.0))


@pytest.mark.parametrize("density", [Density.LOWER_BOUND, Density.IMPLICIT])
def test_a_model_without_an_exact_density_is_refused(density):
    bound = Normal(0.0)
    bound.density = density
    with pytest.raises(DensityError, match=f"which has {density.phrase}, and divergences need log p"):
        divergences(Normal(0.0), bound)


def test_what_does_not_compare_is_refused():
    p, q = Listed([0.5, 0.5]), Listed([0.2, 0.3, 0.5])
    with pytest.raises(SpaceError, match=r"p is a Listed over .*levels=2.*, q a Listed over .*levels=3"):
        divergences(p, q)
    with pytest.raises(ContextError, match="neither model has a context"):
        divergences(p, p, [0])
    given = Listed([[0.5, 0.5]] * 2, COIN)
    with pytest.raises(ContextError, match=r"need a context in Label\(heads, tails\)"):
        divergences(p, given)
    with pytest.raises(ContextError, match="no label is called 'edge'"):
        divergences(given, p, ["edge"])
    with pytest.raises(ContextError, match=r"p is given .*, q"):
        divergences(given, Listed([[0.5, 0.5]] * 2, Label(("a", "b"))), [0])
    with pytest.raises(DensityError, match="uncountably many"):
        divergences(Normal(0.0), Normal(1.0), exact=True)
    with pytest.raises(UsageError, match="1 draw for 1 row of context; draw at least 2"):
        divergences(Normal(0.0), Normal(1.0), n=1)


def test_log_densities_that_are_no_numbers_are_refused():
    with pytest.raises(DensityError, match="not a finite number"):
        divergences(Listed([0.5, 0.5]), Listed([math.nan, 1.0]))


def test_a_model_that_draws_what_it_calls_impossible_is_refused():
    liar = Listed([0.5, 0.5])
    liar._sample = lambda n, context, generator: torch.zeros(n, 1, dtype=torch.long)
    liar.table = torch.tensor([[0.0, 1.0]])
    with pytest.raises(DensityError, match="drew an event to which it assigns probability 0"):
        divergences(liar, Listed([0.5, 0.5]), exact=False)


def test_the_seed_decides_and_the_random_state_of_the_user_is_untouched():
    before = torch.get_rng_state()
    first, again, other = (divergences(Normal(0.0), Normal(1.0), n=100, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first["forward_kl"] != other["forward_kl"]
    assert torch.equal(torch.get_rng_state(), before)
