"""Learning from an unnormalised density: gradients against enumeration, estimates against sums, exact resumption."""

import math
import os
import signal

import numpy as np
import pytest
import torch

import ptheta
from ptheta.errors import RunError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.models.autoregressive.made import MADE
from ptheta.models.flows.flow import Flow
from ptheta.reporting import FitProgress
from ptheta.spaces import Image, Real
from ptheta.training import Budget, FreeEnergy, ReverseKL, Settings, Target, Trainer, World
from ptheta.training.state import load_state
from ptheta.weights import read_tensors

HERE = World(0, 1, torch.device("cpu"))
SPACE = Image(2, 3, levels=2)
SMALL = {"width": 24, "layers": 1, "dropout": 0.5}


def ising(x):
    """log f of the Ising model with free ends and a field, of pictures of black and white."""
    s = 2.0 * x[:, 0] - 1
    pairs = (s[:, 1:] * s[:, :-1]).sum((1, 2)) + (s[:, :, 1:] * s[:, :, :-1]).sum((1, 2))
    return 0.6 * pairs + 0.2 * s.sum((1, 2))


def bowl(x):
    """log f of a normal density without its constant, with mean (1, −2) and correlated coordinates."""
    z = x - x.new_tensor([1.0, -2.0])
    return -(z[:, 0] ** 2 + z[:, 0] * z[:, 1] + z[:, 1] ** 2)


BOWL_LOG_Z = math.log(2 * math.pi / math.sqrt(3))  # the matrix of the exponent, [[2, 1], [1, 2]], has determinant 3


def made(space=SPACE, **more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MADE(space, **{**SMALL, **more}).double()
        torch.nn.init.normal_(model.out.weight, std=0.3)
    return model


def objective(model, target=ising, world=HERE, **settings):
    options = {name: settings.pop(name) for name in ReverseKL.options() if name in settings}
    return ReverseKL(model, Target.of(target), Settings(**settings), seed=0, world=world, **options)


def gradient(loss, model):
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None])


def same_bits(run, other):
    """All but the time taken is equal."""
    for file in ("model.safetensors", "checkpoint/state.safetensors"):
        mine, theirs = (read_tensors(r.path / file)[0] for r in (run, other))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    keys = ("free_energy", "log_z", "ess")
    assert [run.results()[k] for k in keys] == [other.results()[k] for k in keys]


def interrupt(monkeypatch, step):
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(FitProgress, "advance", heard)


# Gradients and estimates


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_score_function_gradient_is_that_of_the_enumerated_free_energy(accumulate):
    """Dropout is 0.5 in the model, and must be off: what was drawn has the density without it."""
    model = made()
    x = enumerate_events(SPACE)
    model.eval()
    log_q = model._log_prob(x, None)
    exact = gradient((log_q.exp() * (log_q - ising(x))).sum() / 6, model)
    goal = objective(model, batch_size=64)
    fit = Trainer(objective(model, batch_size=64, accumulate=accumulate), Budget(steps=1))
    module, found, values = fit.players["model"].loss, [], []
    for step in range(150):
        rows = goal.rows(step, 1.0)
        model.train(goal.dropout)
        model.zero_grad()
        values.append(float(fit._accumulate(module, rows)))
        found.append(torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None]))
    found = torch.stack(found)
    z = (found.mean(0) - exact) / (found.std(0) / math.sqrt(150)).clamp(min=1e-12)
    z = z[found.std(0) > 1e-9]
    assert len(z) > 100
    assert z.abs().max() < 4.5
    assert z.std() < 1.4, "parameters share their noise, but not a bias"
    free_energy = (log_q.exp() * (log_q - ising(x))).sum().item() / 6
    assert abs(np.mean(values) - free_energy) < 4 * np.std(values) / math.sqrt(150)


def test_the_baseline_of_an_event_is_the_mean_of_the_others():
    model = made().eval()
    goal = objective(model, batch_size=5)
    x, log_f = goal.rows(0, 1.0)
    log_q = model._log_prob(x, None)
    r = (log_q - log_f).detach()
    surrogate = sum((r[i] - (r.sum() - r[i]) / 4) * log_q[i] for i in range(5)) / 5 / 6
    torch.testing.assert_close(
        gradient(goal.players()["model"].loss(x, log_f), model), gradient(surrogate, model), rtol=1e-9, atol=1e-12
    )
    assert goal.players()["model"].loss(x, log_f).item() == pytest.approx(r.mean().item() / 6)


@pytest.mark.parametrize("kind", ["maf", "nsf"])
def test_the_pathwise_gradient_is_that_of_the_integrated_free_energy(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = Flow(Real((1,)), kind=kind, transforms=1, width=8, layers=1, bins=4).double()
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=0.3)

    def double_well(x):
        return -((x[:, 0] ** 2 - 1) ** 2)

    grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)[:, None]
    log_q = flow._log_prob(grid, None)
    exact = gradient(((log_q - double_well(grid)) * log_q.exp()).sum() * (grid[1] - grid[0]).item(), flow)
    goal = objective(flow, double_well, batch_size=128)
    module = goal.players()["model"].loss
    found = torch.stack([gradient(module(*goal.rows(step, 1.0)), flow) for step in range(100)])
    assert ((found.mean(0) - exact).abs() < 5 * found.std(0) / math.sqrt(100) + 1e-6).all()
    assert (exact.abs() > 0.01).any()


def test_free_energy_and_log_z_are_those_of_the_sums():
    model = made().eval()
    x = enumerate_events(SPACE)
    with torch.no_grad():
        log_q = model.log_prob(x)
    log_z = float(ising(x).logsumexp(0))
    free_energy = float((log_q.exp() * (log_q - ising(x))).sum())
    assert free_energy > -log_z
    errors = []
    for seed in range(100):
        drawn = model.sample(500, seed=seed)
        found = FreeEnergy.of(model.log_prob(drawn).detach(), Target.of(ising)(drawn))
        errors.append(
            ((found.free_energy - free_energy) / found.free_energy_se, (found.log_z - log_z) / found.log_z_se)
        )
        assert 1 <= found.ess <= found.n == 500
    for z in np.array(errors).T:
        assert 0.8 < z.std() < 1.25
        assert (np.abs(z) < 3).sum() >= 97


def test_the_true_distribution_has_no_error_at_all():
    log_q = torch.tensor([0.1, 0.2, 0.7]).double().log()
    found = FreeEnergy.of(log_q, log_q + 4.0)
    assert (found.free_energy, found.log_z) == (pytest.approx(-4), pytest.approx(4))
    assert (found.free_energy_se, found.log_z_se) == (pytest.approx(0), pytest.approx(0))
    assert found.ess == pytest.approx(3)


def test_an_impossible_draw_makes_the_free_energy_infinite_but_not_log_z():
    log_q = torch.tensor([0.5, 0.25, 0.25]).double().log()
    found = FreeEnergy.of(log_q, torch.tensor([0.0, -math.inf, 0.0]).double())
    assert (found.free_energy, found.free_energy_se, found.impossible) == (math.inf, math.inf, 1)
    assert found.log_z == pytest.approx(math.log((2 + 4) / 3))
    assert math.isfinite(found.penalised)


def test_the_power_of_the_target_rises_to_one():
    goal = objective(made(), anneal=0.2, anneal_until=0.5)
    assert [goal.power(p) for p in (0.0, 0.25, 0.5, 0.9)] == pytest.approx([0.2, 0.6, 1.0, 1.0])
    x, log_f = goal.rows(3, 0.25)
    torch.testing.assert_close(log_f, 0.6 * ising(x).double())


def test_processes_draw_events_of_their_own():
    first, second = (objective(made(), world=World(rank, 2, HERE.device)).rows(0, 1.0)[0] for rank in (0, 1))
    assert first.shape == second.shape == (32, 1, 2, 3)
    assert not torch.equal(first, second)


# Fits


def test_a_discrete_target_is_learned_and_its_constant_found(tmp_path):
    log_z = float(ising(enumerate_events(SPACE)).double().logsumexp(0))
    run = ptheta.fit("made", SPACE, objective="reverse_kl", target=ising, steps=300, batch_size=64, anneal=0.3,
                     learning_rate=0.01, out=tmp_path / "run", hyperparameters=SMALL)  # fmt: skip
    found = run.results()
    first = next(line for line in run.metrics() if "free_energy" in line)
    assert -log_z - 4 * found["free_energy_se"] < found["free_energy"] < -log_z + 0.02
    assert first["free_energy"] > -log_z + 0.3, "it was learned"
    assert abs(found["log_z"] - log_z) < 4 * found["log_z_se"]
    assert found["ess"] > 0.95 * found["n"] == 0.95 * 10_000
    assert (found["objective"], found["target"]) == ("reverse_kl", "ising")
    x = enumerate_events(SPACE)
    exact = (ising(x).double() - log_z).exp()
    assert (run.model.log_prob(x).exp() - exact).abs().max() < 0.01


def test_a_flow_learns_a_real_target_by_gradients_through_its_draws(tmp_path):
    run = ptheta.fit("flow", Real((2,)), target=bowl, steps=250, batch_size=64, learning_rate=0.02,
                     out=tmp_path / "run",
                     hyperparameters={"kind": "maf", "transforms": 1, "width": 8, "layers": 1})  # fmt: skip
    found = run.results()
    assert found["free_energy"] == pytest.approx(-BOWL_LOG_Z, abs=0.01)
    assert found["log_z"] == pytest.approx(BOWL_LOG_Z, abs=0.01)
    x = run.model.sample(20_000, seed=1)
    assert x.mean(0).tolist() == pytest.approx([1, -2], abs=0.05)
    assert np.cov(x.T.numpy()).ravel().tolist() == pytest.approx([2 / 3, -1 / 3, -1 / 3, 2 / 3], abs=0.05)


def test_a_real_target_is_also_learned_without_gradients_by_x(tmp_path):
    run = ptheta.fit("made", Real((2,)), target=lambda x: bowl(x).detach(), steps=200, batch_size=128,
                     learning_rate=0.01, out=tmp_path / "run",
                     hyperparameters={"width": 16, "dropout": 0.0, "mixture": "gaussian", "components": 2})  # fmt: skip
    assert run.results()["log_z"] == pytest.approx(BOWL_LOG_Z, abs=0.1)
    assert run.results()["target"] == "lambda"


def test_impossible_events_are_avoided_and_said(tmp_path):
    def even(x):
        return torch.where(x.flatten(1).sum(1) % 2 == 0, 0.0, -math.inf)

    run = ptheta.fit("made", SPACE, target=even, steps=150, batch_size=64, learning_rate=0.01, out=tmp_path / "run",
                     hyperparameters=SMALL)  # fmt: skip
    found = run.results()
    assert 0 < found["impossible"] < 0.15 * found["n"], "half of the events are impossible"
    assert found["free_energy"] == math.inf
    assert found["log_z"] == pytest.approx(math.log(32), abs=5 * found["log_z_se"])
    assert "∞ nats" in (run.path / "README.md").read_text()


@pytest.mark.parametrize(("way", "step"), [("score function", 1), ("score function", 13), ("pathwise", 13)])
def test_interrupted_and_resumed_equals_uninterrupted(way, step, tmp_path, monkeypatch):
    model, space, target, how = {
        "score function": ("made", SPACE, ising, {"anneal": 0.2, "average": 0.9}),
        "pathwise": ("flow", Real((2,)), bowl, {}),
    }[way]
    how = {"target": target, "steps": 25, "batch_size": 16, **how}
    hyperparameters = {"width": 8, "layers": 1}
    whole = ptheta.fit(model, space, out=tmp_path / "whole", hyperparameters=hyperparameters, **how)
    with monkeypatch.context() as patch:
        interrupt(patch, step)
        with pytest.raises(KeyboardInterrupt):
            ptheta.fit(model, space, out=tmp_path / "part", hyperparameters=hyperparameters, **how)
    state, _ = load_state(tmp_path / "part" / "checkpoint" / "state.safetensors")
    assert state.step in (step, step + 1)
    with pytest.raises(RunError, match="a function that is not stored in the folder; give it again in Python"):
        ptheta.fit(None, out=tmp_path / "part", resume=True)
    with pytest.raises(RunError, match="was made with different data"):
        ptheta.fit(None, out=tmp_path / "part", resume=True, target=lambda x: 2.0 * target(x))
    same_bits(ptheta.fit(None, out=tmp_path / "part", resume=True, target=target), whole)


def test_the_random_state_of_the_user_is_untouched_and_the_seed_decides(tmp_path):
    before = torch.get_rng_state()
    runs = [
        ptheta.fit("made", SPACE, target=ising, steps=5, seed=seed, out=tmp_path / f"{i}", hyperparameters=SMALL)
        for i, seed in enumerate((1, 1, 2))
    ]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (run.results()["free_energy"] for run in runs)
    assert first == again != other
