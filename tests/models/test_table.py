"""The transformer over columns: enumeration of small tables, any part given, known distributions learned."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.errors import ContextError, SpaceError, UsageError
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.models.autoregressive.table import OWN_ORDER, TableTransformer
from ptheta.sampling import Warp
from ptheta.spaces import Column, Label, Real, Table

NAN = math.nan
SMALL = {"width": 16, "layers": 2, "heads": 2, "components": 3, "bins": 4}
CATEGORIES = Table((Column("a", 3, missing=True), Column("b", 2), Column("c", 2, missing=True), Column("d", 3)))
MIXED = Table(
    (
        Column("kind", 3, missing=True),
        Column("count", per=1, low=0.0, atoms=(0.0, 4.0)),
        Column("size", atoms=(0.5,), missing=True),
        Column("price", per=10, offset=0.03, missing=True),
        Column("length", low=0.0),
    )
)
LABELS = Label(("cat", "dog"))


def rows(space, n, seed=0):
    """Rows of a table, some cells missing."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, len(space.columns), generator=g, dtype=torch.float64)
    for j, column in enumerate(space.columns):
        if column.is_category:
            x[:, j] = torch.randint(column.levels, (n,), generator=g)
        elif column.per:
            x[:, j] = column.values(column.points(x[:, j].abs() * 3 + 1))
        elif column.low is not None:
            x[:, j] = x[:, j].exp()
        if column.atoms:
            x[torch.rand(n, generator=g) < 0.3, j] = column.atoms[0]
        if column.missing:
            x[torch.rand(n, generator=g) < 0.2, j] = NAN
    return space.validate(x)


def build(space, context_space=None, size=0.5, **hyperparameters):
    """A model far from uniform, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TableTransformer(space, context_space, **{**SMALL, **hyperparameters})
    if isinstance(space, Table):
        model.prepare(rows(space, 200))
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=g) * size)
    return model.double().eval()


def everything(space):
    """All rows of a table of categories."""
    values = [[*range(c.levels), *([NAN] if c.missing else [])] for c in space.columns]
    return torch.tensor(list(itertools.product(*values)), dtype=torch.float64)


def same(a, b):
    """Rows equal, NaN to NaN: bool [n]."""
    return ((a == b) | (a.isnan() & b.isnan())).all(-1)


def agreement(drawn, events, p):
    """p-value of a χ² test of drawn rows against probabilities of events."""
    counts = torch.stack([same(drawn, event).sum() for event in events]).double()
    assert int(counts.sum()) == len(drawn)
    assert not bool(counts[p < 1e-12].any())
    expected = p * len(drawn)
    few = expected < 6
    observed = [*counts[~few].tolist(), float(counts[few].sum())]
    wanted = [*expected[~few].tolist(), float(expected[few].sum())]
    keep = [i for i, w in enumerate(wanted) if w > 0]
    wanted = np.array([wanted[i] for i in keep])
    return stats.chisquare([observed[i] for i in keep], wanted * len(drawn) / wanted.sum()).pvalue


# One distribution


@pytest.mark.parametrize("order", [None, (2, 0, 3, 1)])
def test_probabilities_of_all_rows_sum_to_one_in_every_order(order):
    events = everything(CATEGORIES)
    assert len(events) == CATEGORIES.event_count == 4 * 2 * 3 * 3
    for labels in (None, LABELS):
        model = build(CATEGORIES, labels, order=order)
        for y in [None] if labels is None else (["cat"], ["dog"]):
            for view in (model, model.reordered((3, 1, 0, 2))):
                assert float(view.log_prob(events, y).detach().exp().sum()) == pytest.approx(1, abs=1e-10)
    different = [build(CATEGORIES, LABELS).log_prob(events[:1], [y]) for y in LABELS.names]
    assert abs(float(different[0] - different[1])) > 1e-3


@pytest.mark.parametrize("order", [None, (3, 0, 4, 2, 1)])
def test_a_cell_depends_on_nothing_that_is_visited_later(order):
    model, x = build(MIXED, order=order), rows(MIXED, 40)
    others = rows(MIXED, 40, seed=9)
    before = model.log_prob_per_dimension(x)
    visit = model.visit.tolist()
    for t in range(5):
        changed = x.clone()
        changed[:, visit[t:]] = others[:, visit[t:]]
        after = model.log_prob_per_dimension(changed)
        assert torch.allclose(after[:, visit[:t]], before[:, visit[:t]], rtol=0, atol=1e-12)
        if t + 1 < 5:  # and on what is visited before
            changed = x.clone()
            changed[:, visit[t]] = others[:, visit[t]]
            moved = (
                (model.log_prob_per_dimension(changed)[:, visit[t + 1 :]] - before[:, visit[t + 1 :]])
                .abs()
                .max(0)
                .values
            )
            assert bool((moved > 1e-6).all())


@pytest.mark.parametrize("space", [CATEGORIES, MIXED, Real((4,))], ids=["categories", "mixed", "real"])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_the_decoder_says_what_the_parallel_pass_says(space, labels):
    model = build(space, labels)
    x = (
        rows(space, 30)
        if isinstance(space, Table)
        else torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double()
    )
    y = None if labels is None else torch.arange(30) % 2
    for view in (model, model.reordered(torch.arange(space.dimensions - 1, -1, -1))):
        parallel = view.flatten(view.log_prob_per_dimension(x, y))
        z = view.flatten(x)
        for decoder in (view.decoder(30, y), ConditionalsDecoder(view, 30, y)):
            previous = None
            for t in range(space.dimensions):
                with torch.no_grad():
                    found = decoder.step(previous).log_prob(z[:, t])
                assert torch.allclose(found, parallel[:, t], rtol=0, atol=1e-9)
                previous = z[:, t]
        assert torch.allclose(parallel.sum(1), view.log_prob(x, y), rtol=0, atol=1e-9)


def test_scoring_in_orders_of_their_own_is_scoring_by_views():
    model, x = build(MIXED, order=(1, 0, 3, 2, 4)), rows(MIXED, 12)
    orders = torch.stack([torch.randperm(5, generator=torch.Generator().manual_seed(i)) for i in range(12)])
    found = model._log_prob_in(x, orders, None)
    for i, order in enumerate(orders):
        assert float(found[i]) == pytest.approx(
            float(model.reordered(model.visit[order]).log_prob(x[i : i + 1])), abs=1e-9
        )


def test_orders_that_are_taught_visit_a_part_first_and_each_part_in_the_models_order():
    model = build(MIXED, order=(4, 2, 0, 1, 3))
    orders = model.random_orders(4_000, torch.Generator().manual_seed(0))
    assert torch.equal(orders.sort(1).values, torch.arange(5).expand(4_000, 5))
    falls = (orders.diff(dim=1) < 0).sum(1)
    assert int(falls.max()) == 1
    own = float((falls == 0).double().mean())
    # the part meant to be, and of the others those whose part is a beginning: Σ_k ∫ u^k (1 − u)^(5−k) du, k = 0 … 5
    expected = OWN_ORDER + (1 - OWN_ORDER) * sum(
        math.gamma(k + 1) * math.gamma(6 - k) / math.gamma(7) for k in range(6)
    )
    assert own == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4_000))


def test_scores_do_not_change_with_the_batch_and_samples_not_with_the_chunk(monkeypatch):
    model, x = build(MIXED), rows(MIXED, 50)
    alone = torch.cat([model.log_prob(row[None]) for row in x])
    assert torch.allclose(alone, model.log_prob(x), rtol=0, atol=1e-9)
    whole = model.sample(40, seed=1)
    monkeypatch.setattr("ptheta.models.autoregressive.base.CHUNK_DIMENSIONS", 35)
    assert torch.allclose(model.sample(40, seed=1), whole, rtol=1e-9, atol=1e-9, equal_nan=True)
    MIXED.validate(whole)
    assert not torch.equal(model.sample(40, seed=2).nan_to_num(), whole.nan_to_num())


def test_float32_says_what_float64_says():
    model, x = build(MIXED), rows(MIXED, 60)
    double = model.log_prob(x)
    single = model.float().log_prob(x)
    assert single.dtype == torch.float64
    assert torch.allclose(single, double, rtol=1e-4, atol=1e-3)
    assert model.scale.centre.dtype == torch.float64


# Some cells given

MASKS = list(itertools.product([False, True], repeat=4))[:-1]


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: "".join("k" if k else "-" for k in m))
def test_every_subset_of_cells_can_be_given(mask):
    """complete draws the other cells from the view that visits the given ones first, missing cells being given too."""
    model, n, mask = build(CATEGORIES, size=0.3), 1_500, torch.tensor(mask)
    given = torch.tensor([[NAN, 1.0, 0.0, 2.0]], dtype=torch.float64)
    view = model.reordered([j for j in range(4) if mask[j]] + [j for j in range(4) if not mask[j]])
    events = everything(CATEGORIES)
    events = events[same(events[:, mask], given[:, mask])]
    p = view.log_prob(events).exp()
    drawn = model.complete(given, mask, n, seed=4)[0]
    assert bool(same(drawn[:, mask], given[:, mask]).all())
    assert agreement(drawn, events, p / p.sum()) > 1e-4


@pytest.mark.parametrize("missing", [[0], [0, 2], [1, 3], [0, 1, 2, 3], [2, 3]])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_imputed_cells_follow_the_view_without_missing(missing, labels):
    model, n = build(CATEGORIES, labels, size=0.3), 1_500
    y = None if labels is None else ["dog"]
    x = torch.tensor([[1.0, 1.0, 0.0, 2.0]], dtype=torch.float64)
    x[:, missing] = NAN
    kept = [j for j in range(4) if j not in missing]
    view = model.reordered(kept + missing)
    events = everything(CATEGORIES)
    events = events[~events.isnan().any(1) & same(events[:, kept], x[:, kept])]
    # cell after cell, each known to be present
    p = torch.ones(len(events), dtype=torch.float64)
    row = view.conditionals(events, y)
    for t, j in enumerate([*kept, *missing]):
        if j in missing:
            p *= row.cells[t].present().log_prob(events[:, j]).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-9)
    drawn = model.impute(x, n, y, seed=5)[0]
    assert agreement(drawn, events, p) > 1e-4


def test_imputed_mixed_cells_are_those_of_complete_where_nothing_can_be_missing():
    space = Table(
        (Column("a", 3), Column("b", per=1, low=0.0, atoms=(0.0,)), Column("c", atoms=(0.5,)), Column("d", low=0.0))
    )
    model, x = build(space, order=(2, 0, 3, 1)), rows(space, 20)
    keep = torch.tensor([False, True, True, False])
    holes = torch.where(keep, x, NAN)
    completed = model.complete(x, keep, 3, seed=6)
    imputed = model.impute(holes, 3, seed=6)
    # complete's noise is in visiting order, impute's in that of the columns: compare distributions
    for j in (0, 3):
        a, b = model.impute(holes[:1], 3_000, seed=1)[0, :, j], model.complete(x[:1], keep, 3_000, seed=2)[0, :, j]
        assert stats.ks_2samp(a.numpy(), b.numpy()).pvalue > 1e-3
    assert torch.equal(completed[:, :, keep], imputed[:, :, keep])
    assert torch.equal(completed[:, :, keep], x[:, None, keep].expand(-1, 3, -1))


def test_rows_with_holes_of_their_own_are_imputed_as_if_alone():
    model, x = build(MIXED, LABELS), rows(MIXED, 64)
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    holes[0], holes[1] = True, False
    x[1] = x[1].nan_to_num(1.03)
    x[holes] = NAN
    holes = x.isnan()
    y = torch.arange(64) % 2
    noise = torch.rand(64, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = model._filled(x, y, noise)
    for i in range(64):
        alone = model._filled(x[i : i + 1], y[i : i + 1], noise[i : i + 1])
        assert torch.allclose(alone[0], together[i], rtol=1e-9, atol=1e-9)
    assert not bool(together.isnan().any())
    assert torch.equal(together[~holes], x[~holes])
    MIXED.validate(together)


def test_imputing_keeps_bits_counts_draws_and_follows_seeds(monkeypatch):
    model, x = build(MIXED), rows(MIXED, 30)
    x[0, 4], x[1, 4], x[2, 4] = 1e300, 5e-324, 0.1
    holes = x.isnan()
    drawn = model.impute(x, 4, seed=0)
    assert drawn.shape == (30, 4, 5)
    assert drawn.dtype == torch.float64
    present = ~holes[:, None].expand(-1, 4, -1)
    assert torch.equal(drawn[present].view(torch.int64), x[:, None].expand(-1, 4, -1)[present].view(torch.int64))
    assert torch.equal(model.impute(x, 4, seed=0), drawn)
    assert not torch.equal(model.impute(x, 4, seed=1), drawn)
    monkeypatch.setattr("ptheta.models.autoregressive.imputing.IMPUTED", 7)
    assert torch.allclose(model.impute(x, 4, seed=0), drawn, rtol=1e-9, atol=1e-9)
    assert len(torch.unique(drawn[holes.any(1)][0], dim=0)) > 1
    assert x.isnan().equal(holes)  # what was given stays
    assert model.impute(x[:0], 2).shape == (0, 2, 5)
    assert model.impute(x, 0).shape == (30, 0, 5)
    before = torch.get_rng_state()
    model.impute(x, 1, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_contexts_belong_to_rows():
    model = build(CATEGORIES, LABELS, size=0.4)
    x = torch.full((2, 4), NAN, dtype=torch.float64)
    drawn = model.impute(x, 1_500, ["cat", "dog"], seed=0)
    for k, y in enumerate(LABELS.names):
        only = model.impute(x[:1], 1_500, [y], seed=9)[0]
        counts = np.array([[int((part[:, 3] == v).sum()) for v in range(3)] for part in (drawn[k], only)])
        assert stats.chi2_contingency(counts + 1).pvalue > 1e-3
    counts = [np.array([[int((drawn[k][:, j] == v).sum()) for v in range(2)] for k in (0, 1)]) for j in range(4)]
    assert min(stats.chi2_contingency(count + 1).pvalue for count in counts) < 1e-6
    with pytest.raises(ContextError):
        model.impute(x, 1, ["cat", "dog", "cat"])


def test_a_vector_of_real_numbers_is_imputed_too():
    model = build(Real((3,)))
    model.prepare(torch.randn(100, 3, generator=torch.Generator().manual_seed(0)).double())
    x = torch.tensor([[0.5, NAN, NAN], [NAN, 0.25, 1.0]], dtype=torch.float64)
    drawn = model.impute(x, 2, seed=0)
    assert bool(drawn.isfinite().all())
    assert torch.equal(drawn[:, :, 0][0], torch.full((2,), 0.5).double())


@pytest.mark.parametrize("space", [Real(()), Real((2, 3))])
def test_real_numbers_of_any_shape_are_learned_and_imputed(space):
    model = build(space)
    x = torch.randn(50, *space.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model.prepare([x])
    assert torch.allclose(model.scale.centre, x.reshape(50, -1).quantile(0.5, 0))
    assert model.log_prob(x).isfinite().all()
    assert model.sample(3, seed=0).shape == (3, *space.shape)
    holes = x.reshape(50, -1)[:, :1] * NAN
    assert model.impute(torch.cat([holes, x.reshape(50, -1)[:, 1:]], 1).reshape(x.shape), 2, seed=0).isfinite().all()


def test_imputing_in_parts_is_imputing_at_once_and_holds_a_part_at_a_time(monkeypatch):
    model, x = build(MIXED), rows(MIXED, 40)
    x[::2] = NAN
    whole = model.impute(x, 3, seed=0)
    monkeypatch.setattr("ptheta.models.autoregressive.imputing.IMPUTED", 12)
    parts = list(model.imputed(x, 3, None, torch.Generator().manual_seed(0)))
    assert [len(part) for part in parts] == [4] * 10
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-9, atol=1e-9)


def test_warped_cells_are_warped_in_their_codes_and_colder_in_their_numbers():
    model = build(MIXED, size=0.3)
    row = model.conditionals(torch.nan_to_num(rows(MIXED, 2), nan=0.5))
    warp = Warp(temperature=0.5, top_k=2)
    for cell in row.cells:
        warped = cell.warped(warp)
        assert torch.equal(warped.probabilities(), warp(cell.logits.double()).softmax(-1))
        assert torch.equal(cell.warped(Warp()).logits, cell.logits)
    length = row.cells[4]
    assert length.mixture is not None
    colder = length.warped(Warp(temperature=0.25)).mixture
    assert colder is not None
    torch.testing.assert_close(
        colder.weight, length.mixture.weight**4 / (length.mixture.weight**4).sum(-1, keepdim=True)
    )
    torch.testing.assert_close(colder.log_scale, length.mixture.log_scale.double() - math.log(2))


def test_a_temperature_of_zero_draws_one_row_and_a_low_one_fewer_values():
    model = build(MIXED, size=0.3)
    drawn = model.sample(20, seed=0, temperature=0)
    torch.testing.assert_close(drawn, drawn[:1].expand_as(drawn), rtol=1e-12, atol=0)
    model.space.validate(drawn)
    spread = [float(model.sample(2_000, seed=0, temperature=t)[:, 4].log().std()) for t in (0.1, 1, 2)]
    assert spread == sorted(spread)
    holes = rows(MIXED, 1) * NAN
    torch.testing.assert_close(*model.impute(holes, 2, seed=1, warp=Warp(temperature=0))[0], rtol=1e-12, atol=0)


def test_what_cannot_be_imputed_is_refused():
    model = build(MIXED)
    wrong = rows(MIXED, 3)
    wrong[2, 1] = 0.5
    with pytest.raises(SpaceError, match=r"x\[2, 1\] is 0.5, but column 'count' is a whole number"):
        model.impute(wrong)
    fixed = build(MIXED, any_order=False)
    with pytest.raises(UsageError, match="trained for one order"):
        fixed.impute(rows(MIXED, 2))
    with pytest.raises(UsageError, match="trained for one order"):
        fixed.reordered((4, 3, 2, 1, 0))
    with pytest.raises(UsageError, match="-1 samples"):
        model.impute(rows(MIXED, 2), -1)
    for wrong in ({"width": 15}, {"layers": 0}, {"dropout": 1.0}, {"bins": 0}, {"components": 0}):
        with pytest.raises(UsageError):
            TableTransformer(MIXED, **{**SMALL, **wrong})
