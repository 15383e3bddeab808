"""A table model prepares on any column, learns what is known of the data, and is resumed to the bit."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from test_table import MIXED, NAN, SMALL, rows

import ptheta
from ptheta.models.autoregressive.table import TableTransformer
from ptheta.reporting import FitProgress
from ptheta.spaces import Column, Table
from ptheta.training.objectives.likelihood import LikelihoodLoss

# Preparing and learning


@pytest.mark.parametrize("n", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e12, NAN])
def test_constant_empty_and_single_rows_prepare_finite_models(n, value):
    space = Table(
        (
            Column("a", 2, missing=True),
            Column("b", per=1, missing=True, atoms=(7.0,)),
            Column("c", missing=True),
            Column("d", 1),
        )
    )
    model = TableTransformer(space, **SMALL)
    x = torch.full((n, 4), value, dtype=torch.float64)
    x[:, 0] = NAN if math.isnan(value) else 1.0
    x[:, 3] = 0.0
    model.prepare(space.validate(x))
    for name, tensor in model.state_dict().items():
        assert bool(tensor.isfinite().all()), name
    loss = LikelihoodLoss(model.train())(x)
    loss.backward()
    assert math.isfinite(loss.item())
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), name
    space.validate(model.sample(20, seed=0))
    if not math.isnan(value):  # what always was is likely
        assert float(model.log_prob(x)[0]) > -math.log(100) * 4


@pytest.mark.parametrize("extreme", [1e12, 1e150, -1e300])
def test_one_extreme_value_leaves_scores_and_gradients_finite(extreme):
    space = Table((Column("a"), Column("b", per=1)))
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round(decimals=3)
    x[:, 1] = x[:, 1].round()
    x[5, 0], x[6, 1] = extreme, math.copysign(1e12, extreme)
    model = TableTransformer(space, **SMALL)
    model.prepare(x)
    LikelihoodLoss(model)(x).backward()
    assert bool(model.log_prob(x).isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    assert float(model.scale.width[0]) == pytest.approx(1, abs=0.4)


def test_before_learning_a_column_has_the_frequencies_of_its_codes():
    x = rows(MIXED, 400)
    model = TableTransformer(MIXED, **SMALL)
    model.prepare(x)
    row = model.conditionals(x[:1])
    for j, column in enumerate(MIXED.columns):
        p = row.cells[j].probabilities()[0]
        missing = float(x[:, j].isnan().double().mean())
        if column.missing:
            assert float(p[column.masses - 1]) == pytest.approx(missing, abs=0.01)
        for k, atom in enumerate(column.atoms):
            assert float(p[k]) == pytest.approx(float((x[:, j] == atom).double().mean()), abs=0.01)


def test_wide_tables_and_categories_of_very_many_levels_are_learned_in_bounded_memory():
    wide = Table(tuple(Column(f"c{j}", per=j % 2, missing=j % 3 == 0) for j in range(60)))
    model = TableTransformer(wide, width=16, layers=1, heads=2, components=2, bins=4)
    x = rows(wide, 32)
    model.prepare(x)
    LikelihoodLoss(model)(x).backward()
    assert bool(model.log_prob(x).isfinite().all())
    filled = model.impute(torch.full((4, 60), NAN).double(), seed=0)
    assert not bool(filled.isnan().any())
    many = Table((Column("id", 20_000), Column("b", 2)))
    model = TableTransformer(many)
    assert model.recipe["batch_size"] * model.starts[-1] <= 2**22
    assert sum(p.numel() for p in model.parameters()) < 20_002 * 64 * 2 + 20_002 + 200_000


def learn(frame, steps, tmp_path, **options):
    data = ptheta.load(frame, columns="mixed", seed=0)
    hyperparameters = {"width": 32, "layers": 2, "heads": 2, "components": 3, "bins": 8, "dropout": 0.0} | options
    return ptheta.fit(
        "table", data, steps=steps, out=tmp_path / "run", seed=0, batch_size=128, hyperparameters=hyperparameters
    )


def dependent(n, seed):
    """z decides the mean of w; y = 2 x + noise; spend is 0 or log-normal, rounded to tenths."""
    g = np.random.default_rng(seed)
    z, x = g.integers(0, 2, n), g.normal(size=n)
    return pd.DataFrame(
        {
            "z": np.where(z == 1, "high", "low"),
            "w": 10 * z + g.normal(size=n),
            "x": x,
            "y": 2 * x + 0.5 * g.normal(size=n),
            "spend": np.where(g.random(n) < 0.6, 0.0, np.round(np.exp(g.normal(size=n)), 1)),
        }
    )


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A model of such rows."""
    return learn(dependent(3_000, 0), 200, tmp_path_factory.mktemp("learned"))


def entropy_of_spend():
    """−Σ p log p of the rounded, spiked column, by its definition."""
    k = np.arange(0, 3_000)
    p = 0.4 * (stats.lognorm.cdf((k + 0.5) / 10, 1) - stats.lognorm.cdf((k - 0.5) / 10, 1))
    p[0] += 0.6
    return -np.sum(p[p > 0] * np.log(p[p > 0]))


def test_nats_approach_the_known_entropy(learned):
    normal = 0.5 * math.log(2 * math.pi * math.e)
    known = math.log(2) + normal + normal + (normal + math.log(0.5)) + entropy_of_spend()
    fresh = dependent(4_000, 1)
    fresh = fresh[~learned.model.space.columns[4].wrong(torch.tensor(fresh["spend"])).numpy()]
    nats = -learned.model.log_prob(learned.codec.encode(fresh)).detach()
    se = float(nats.std()) / math.sqrt(len(nats))
    assert -3 * se < float(nats.mean()) - known < 0.15 + 3 * se


def test_imputed_cells_follow_the_truth(learned):
    codec, names = learned.codec, learned.codec.names
    x = np.linspace(-1.5, 1.5, 40)
    given = pd.DataFrame({"z": ["high", "low"] * 20, "w": np.nan, "x": x, "y": np.nan, "spend": 0.0})
    drawn = learned.model.impute(codec.partial(given), 60, seed=0)
    y, w = drawn[:, :, names.index("y")], drawn[:, :, names.index("w")]
    assert float((y.median(1).values - 2 * torch.from_numpy(x)).abs().mean()) < 0.5  # of a spread of 2
    assert float(w[::2].median()) == pytest.approx(10, abs=0.5)
    assert float(w[1::2].median()) == pytest.approx(0, abs=0.5)
    given = given.assign(z=None, w=[10.0, 0.0] * 20)
    z = learned.model.impute(codec.partial(given), 20, seed=0)[:, :, 0]
    truth = torch.tensor([codec.columns[0]["values"].index(v) for v in ["high", "low"] * 20])[:, None]
    assert float((z == truth).double().mean()) > 0.8


def test_spikes_and_rounding_are_learned_as_mass(learned):
    column = learned.model.space.columns[4]
    assert column.per == 10
    assert 0.0 in column.atoms
    spend = learned.model.sample(2_000, seed=0)[:, 4]
    assert float((spend == 0).double().mean()) == pytest.approx(
        float((dependent(3_000, 0)["spend"] == 0).mean()), abs=0.06
    )
    assert not bool(column.wrong(spend).any())


def test_a_saved_run_is_the_same_to_the_bit(learned):
    again = ptheta.Run.load(learned.path)
    assert again.codec == learned.codec
    x = learned.data.test.x[:50]
    assert torch.equal(again.model.log_prob(x), learned.model.log_prob(x))
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.5, np.nan, x)
    assert torch.equal(again.model.impute(holes, 2, seed=0), learned.model.impute(holes, 2, seed=0))


def test_a_repeated_column_adds_mass_and_no_density(tmp_path):
    """However often a column repeats itself: its cells have probabilities, so −log p is never negative."""
    g, n = np.random.default_rng(0), 600
    repeated = {"a": np.full(n, 0.123), "b": g.choice([1.25, 2.5], n), "c": g.choice(np.round(g.normal(size=40), 6), n)}
    frame = pd.DataFrame({"x": g.normal(size=n), **repeated})
    run = learn(frame, 25, tmp_path)
    x = torch.from_numpy(run.data.train.x)
    per_column = run.model.log_prob_per_dimension(x)
    assert bool((per_column[:, 1:] <= 1e-9).all())
    assert float(per_column[:, 1].min()) > -0.5
    assert run.model.space.columns[1].levels == 1


def test_stopped_and_resumed_is_the_fit_uninterrupted(tmp_path, monkeypatch):
    g, n = np.random.default_rng(1), 300
    frame = pd.DataFrame(
        {
            "k": g.choice(list("abc"), n),
            "v": np.round(g.normal(size=n), 1),
            "w": np.where(g.random(n) < 0.2, np.nan, g.normal(size=n)),
        }
    )
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.step == 7:
            raise KeyboardInterrupt

    whole = ptheta.fit("table", str(path), steps=12, out=tmp_path / "whole", hyperparameters=SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(FitProgress, "advance", heard)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit("table", str(path), steps=12, out=tmp_path / "part", hyperparameters=SMALL)
    resumed = ptheta.fit(None, out=tmp_path / "part", resume=True)
    for (name, a), b in zip(whole.model.state_dict().items(), resumed.model.state_dict().values()):
        assert torch.equal(a, b), name
