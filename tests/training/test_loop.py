"""The fit loop: what it learns, what it keeps, what it leaves alone."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

import ptheta
from ptheta.data import Split
from ptheta.errors import FitError, UsageError
from ptheta.evaluation.nats import evaluate
from ptheta.models import Model, Transformer, family
from ptheta.spaces import Discrete, Document, Image, Real
from ptheta.training import Budget, MaximumLikelihood, Player, Settings, Trainer, World

HERE = World(0, 1, torch.device("cpu"))


def trainer(model: Model, x: np.ndarray, budget: Budget, settings: Settings, **more) -> Trainer:
    split = Split(x)
    return Trainer(MaximumLikelihood(model, split, split, settings, seed=0, world=HERE), budget, **more)


class Pair(Model):
    """Two numbers; everything has probability 1."""

    def __init__(self, space, context_space=None):
        super().__init__(space, context_space)
        self.left = nn.ParameterDict({"place": nn.Parameter(torch.tensor(3.0))})
        self.right = nn.ParameterDict({"place": nn.Parameter(torch.tensor(-3.0))})

    def _log_prob(self, x, context):
        return torch.zeros(len(x), dtype=torch.float64)

    def _sample(self, n, context, generator):
        return torch.zeros(n, *self.space.shape, dtype=torch.long)


class Goal(nn.Module):
    """The loss of a player: a function of the events and of what it knows of the model."""

    def __init__(self, owned, loss):
        super().__init__()
        self.owned, self.loss = owned, loss

    def forward(self, x, context):
        return self.loss(x)


class Duel(MaximumLikelihood):
    """Two players, each of which wants its own number to be at a place that depends on the other's."""

    def __init__(self, *given, every=1, **more):
        super().__init__(*given, **more)
        self.every = every
        self.turns: list[str] = []
        self.places: list[tuple[float, float]] = []
        self.seen: list[torch.Tensor] = []

    def players(self):
        model = self.model
        left, right = model.left["place"], model.right["place"]

        def play(name, value):
            self.turns.append(name)
            self.places.append((left.item(), right.item()))
            return value

        return {
            "left": Player(Goal(model.left, lambda x: play("left", (left - 1) ** 2 + 0 * right))),
            "right": Player(Goal(model.right, lambda x: play("right", (right - left) ** 2)), every=self.every),
        }


class Watching(Duel):
    """One player, who keeps the events."""

    def players(self):
        place = self.model.left["place"]
        return {"left": Player(Goal(self.model.left, lambda x: self.seen.append(x) or place**2))}


class Exploding(Duel):
    """Its loss is a number for some steps only."""

    def players(self):
        def loss(x):
            self.turns.append("model")
            value = (self.model.left["place"] + self.model.right["place"]) ** 2
            return value if len(self.turns) <= 3 else value * math.nan

        return {"model": Player(Goal(self.model, loss))}


def contest(kind, x, budget, settings, *, levels=2, every=1, **more):
    split = x if isinstance(x, Split) else Split(x)
    model = Pair(Discrete((split.x.shape[1],), levels))
    return Trainer(kind(model, split, split, settings, seed=0, world=HERE, every=every), budget, **more)


def test_two_players_are_trained_in_turn_and_move_only_themselves():
    fit = contest(Duel, np.zeros((8, 2), np.uint8), Budget(steps=400), Settings(learning_rate=0.1, patience=0))
    fit.run()
    goal, model = fit.objective, fit.model
    assert goal.turns == ["left", "right"] * 400
    (left, right), (left_after, right_before) = goal.places[2], goal.places[3]
    assert left_after != left, "the first player moved"
    assert right_before == right, "the second one did not, in the first one's turn"
    assert model.left["place"].item() == pytest.approx(1, abs=0.05)
    assert model.right["place"].item() == pytest.approx(1, abs=0.05)


def test_a_player_takes_its_turns_only():
    fit = contest(Duel, np.zeros((8, 2), np.uint8), Budget(steps=6), Settings(), every=3)
    fit.run()
    assert fit.objective.turns == ["left", "right", "left", "left", "left", "right", "left", "left"]


def test_a_loss_that_is_no_number_stops_the_fit_and_the_best_weights_are_handed_over():
    kept = []
    fit = contest(Exploding, np.zeros((8, 2), np.uint8), Budget(steps=50), Settings(), keep=kept.append)
    with pytest.raises(FitError, match="not finite at step 3; lower learning_rate"):
        fit.run()
    (weights,) = kept
    assert all(torch.isfinite(w).all() for w in weights.values())


def test_after_a_diverged_fit_the_run_holds_the_best_weights(data, tmp_path, monkeypatch):
    made = family("made").load()
    healthy, calls = made.fitted, iter(range(50))
    monkeypatch.setattr(made, "fitted", lambda *given: healthy(*given) * (1.0 if next(calls) < 9 else math.nan))
    with pytest.raises(FitError, match="not finite"):
        ptheta.fit("made", data, steps=50, out=tmp_path / "run")
    run = ptheta.Run.load(tmp_path / "run")
    logged = [line["validation_nats"] for line in run.metrics()]
    assert evaluate(run.model, data.validation).nats == min(logged)


def test_a_fit_that_fails_before_it_has_weights_leaves_no_folder(data, tmp_path):
    with pytest.raises(FitError, match="no device is called 'tpv'"):
        ptheta.fit("made", data, steps=5, device="tpv", out=tmp_path / "run")
    with pytest.raises(FitError, match="validation loss is not a number at step 1"):
        ptheta.fit("made", data, steps=5, learning_rate=1e30, warmup=0.0, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["made", "transformer", "markov_mlp"])
def test_cutting_a_batch_into_parts_gives_the_same_steps(name, data):
    weights = []
    for parts in (1, 3, 64):
        torch.manual_seed(0)
        row = family(name)
        model = row.load()(data.space, **{**row.small, "dropout": 0.0}).double()
        settings = Settings.of(model, batch_size=20, accumulate=parts, warmup=0.0, optimizer="adamw")
        weights.append(trainer(model, data.train.x, Budget(steps=4), settings).run())
        assert any(w.std() > 0 for w in weights[-1].values())
    for other in weights[1:]:
        for key, value in weights[0].items():
            torch.testing.assert_close(other[key], value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_is_saved_is_what_scored_best_on_validation(average, tmp_path):
    g = np.random.default_rng(0)  # pure noise: learning longer only overfits
    data = ptheta.load({name: g.integers(0, 3, (n, 4)).astype(np.uint8) for name, n in (("train", 30), ("test", 30))},
                       validation=10)  # fmt: skip
    run = ptheta.fit("made", data, steps=80, learning_rate=0.05, average=average, patience=0, out=tmp_path / "run",
                     hyperparameters={"width": 32, "dropout": 0.0})  # fmt: skip
    logged = [line["validation_nats"] for line in run.metrics() if "validation_nats" in line]
    assert min(logged) < logged[-1] - 0.01, "the last weights are not the best"
    saved = ptheta.Run.load(run.path)
    assert evaluate(saved.model, data.validation).nats == min(logged)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(saved.model.state_dict()[name], tensor)


def test_learning_finds_a_dependence_that_is_there(data, tmp_path):
    alone = ptheta.fit("independent", data, out=tmp_path / "a").results()["nats"]
    together = ptheta.fit("transformer", data, steps=120, out=tmp_path / "b",
                          hyperparameters={"width": 16, "layers": 1}).results()["nats"]  # fmt: skip
    assert together < alone - 0.2


def test_the_random_state_of_the_user_is_untouched(data, tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    for name in ("made", "transformer", "independent"):
        ptheta.fit(name, data, steps=3, out=tmp_path / name)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_seed_decides_the_weights(data, tmp_path):
    def weights(out, seed):
        return ptheta.fit("made", data, steps=4, seed=seed, out=tmp_path / out).model.state_dict()["out.weight"]

    torch.manual_seed(1)
    first = weights("a", 3)
    torch.manual_seed(2)
    assert torch.equal(weights("b", 3), first)
    assert not torch.equal(weights("c", 4), first)


def test_a_batch_larger_than_the_data_is_all_of_the_data(data, tmp_path):
    big = ptheta.fit("made", data, epochs=3, batch_size=10_000, out=tmp_path / "big", hyperparameters={"dropout": 0.0})
    whole = ptheta.fit("made", data, steps=3, batch_size=60, out=tmp_path / "whole", hyperparameters={"dropout": 0.0})
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(big.model.state_dict()[name], tensor)


def test_every_event_is_seen_once_an_epoch(data):
    x = np.arange(60)[:, None].repeat(2, 1)
    fit = contest(Watching, x, Budget(epochs=2), Settings(batch_size=20), levels=60)
    fit.run()
    seen = fit.objective.seen
    assert len(seen) == 6
    for epoch in (torch.cat(seen[:3]), torch.cat(seen[3:])):
        assert sorted(epoch[:, 0].tolist()) == list(range(60))
    assert not torch.equal(seen[0], seen[3])


def test_no_training_events_are_an_error():
    with pytest.raises(FitError, match="no training events; give more data"):
        contest(Duel, np.zeros((0, 2), np.uint8), Budget(steps=1), Settings())


def test_greys_are_drawn_anew_in_every_epoch():
    greys = np.full((1, 64), 128, np.uint8)
    split = Split(np.zeros((1, 64), np.uint8), greys=greys)
    fit = contest(Watching, split, Budget(epochs=20), Settings())
    fit.run()
    seen = fit.objective.seen
    draws = torch.cat(seen)
    assert len(draws.unique(dim=0)) == 20
    assert 0.4 < draws.double().mean() < 0.6


def test_a_fit_of_one_step_learns_something(data, tmp_path):
    """Neither end of the learning rate's plan is 0."""
    run = ptheta.fit("made", data, steps=1, out=tmp_path / "run")
    assert run.model.out.weight.abs().sum() > 0


def test_a_fit_on_the_cpu_seeds_no_other_device(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs' random state was touched"))
    ptheta.fit("made", data, steps=2, out=tmp_path / "run")
    ptheta.Run.load(tmp_path / "run").model.sample(2, seed=0)


def smoothing(model: Model, x: torch.Tensor, amount: float) -> MaximumLikelihood:
    split = Split(x.numpy())
    return MaximumLikelihood(model, split, split, Settings(), seed=0, world=HERE, label_smoothing=amount)


def test_smoothed_labels_are_learned_as_torch_does_and_judged_by_nats():
    g = np.random.default_rng(0)
    pictures, texts = Image(2, 2, levels=3), Document(5, 4)
    rows = [g.integers(0, 3, g.integers(0, 6)) for _ in range(20)]
    for space, x in ((pictures, torch.from_numpy(g.integers(0, 3, (20, 1, 2, 2)))), (texts, texts.pad(rows))):
        torch.manual_seed(0)
        model = Transformer(space, width=16, layers=1, heads=2, dropout=0.0).double()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        z = model.flatten(x)
        targets = z.clone()
        if space is texts:
            targets[(z == texts.end).cumsum(1) > 1] = -100  # certain, so that nothing is smoothed
        goal = smoothing(model, x, 0.2)
        loss = goal.players()["model"].loss(x) * space.dimensions
        conditionals = model.train().conditionals(x)
        logits = conditionals.logits.masked_fill(targets.eq(-100)[..., None], 0.0)
        expected = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), label_smoothing=0.2, ignore_index=-100, reduction="sum"
        )
        assert loss.item() == pytest.approx(expected.item() / 20, abs=1e-10)
        slopes = [torch.autograd.grad(value, model.out.weight)[0] for value in (loss, expected / 20)]
        torch.testing.assert_close(*slopes, rtol=0, atol=1e-10)
        assert goal.running == "train_smoothed_nats"
        verdict = goal.judge(model, 20)
        assert verdict is not None
        assert verdict.value == pytest.approx(-model.log_prob(x).mean().item())


def test_labels_are_smoothed_where_there_are_some():
    x, real = torch.zeros(4, 1, 2, 2, dtype=torch.long), torch.zeros(4, 2, dtype=torch.float64)
    small = {"width": 16, "layers": 1, "heads": 2}
    with pytest.raises(FitError, match=r"label_smoothing is 1\.0; give a number from 0 to below 1"):
        smoothing(Transformer(Image(2, 2), **small), x, 1.0)
    with pytest.raises(FitError, match="no conditionals in one order, whose labels would be smoothed; leave out"):
        smoothing(Transformer(Image(2, 2), any_order=True, **small), x, 0.1)
    with pytest.raises(UsageError, match="label smoothing is for logits of levels"):
        smoothing(family("made").load()(Real((2,)), width=8), real, 0.1)
