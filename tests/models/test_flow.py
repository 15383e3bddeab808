"""Flows: the change of variables held to closed forms, to integrals, and to zuko used by hand."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ptheta.errors import SpaceError, UsageError
from ptheta.models.flows.flow import BOUND, CONTEXT_WIDTH, SLOPE, Flow, import_zuko
from ptheta.spaces import Discrete, Label, Real
from ptheta.training.objectives.likelihood import LikelihoodLoss

LABELS = Label(("cat", "dog", "eel"))
SMALL = {"transforms": 3, "width": 12, "layers": 2, "bins": 5}
KINDS = pytest.mark.parametrize("kind", ["nsf", "maf"])


def flow(shape: tuple[int, ...] = (3,), labels: Label | None = None, size: float = 0.5, **hyperparameters: Any) -> Flow:
    """A flow in float64 far from the identity, over values around 5 with a standard deviation of 3."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Flow(Real(shape), labels, **{**SMALL, **hyperparameters})
    g = torch.Generator().manual_seed(1)
    model.prepare(torch.randn(500, *shape, generator=g, dtype=torch.float64) * 3 + 5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=g) * size)
    return model.double().eval()


def grid(model: Flow, points: int, width: float = 60.0) -> tuple[Tensor, Tensor, float]:
    """Points of a square grid [points^m, m], standard units wide, in the units of the data, and a cell's volume."""
    z = torch.linspace(-width, width, points, dtype=torch.float64)
    m = model.space.dimensions
    mesh = torch.stack(torch.meshgrid(*[z] * m, indexing="ij"), -1).reshape(-1, m)
    unit = model.units.log_unit.exp()
    return model.units.shift + unit * mesh, mesh, float((z[1] - z[0]) ** m * unit.prod())


# torch's argument validation

SCRIPT = """
import os, sys, pickle, torch
from torch.distributions import Distribution, Normal
import ptheta.cli.main, ptheta.models.flows.flow
from ptheta import Label, Real

def check(before, first):
    Distribution.set_default_validate_args(before)
    assert "zuko" not in sys.modules
    first()
    assert "zuko" in sys.modules
    model = ptheta.models.Flow(Real((2,)), Label(("a", "b")), transforms=1, width=4)
    x = model.sample(5, ["a"], seed=0)
    assert model.log_prob(x, ["b"]).isfinite().all()
    assert Distribution._validate_args is before
    try:
        Normal(torch.zeros(2), -torch.ones(2))
        raised = False
    except ValueError:
        raised = True
    assert raised is before

def unpickled():
    pickle.loads(STATE)

for before, first in ((True, unpickled), (False, unpickled), (True, ptheta.models.flows.flow.import_zuko)):
    if os.fork() == 0:
        check(before, first)
        sys.exit()
    assert os.wait()[1] == 0, (before, first)
"""


def test_torch_validates_arguments_afterwards_as_before():
    """Whether a flow is unpickled or zuko is imported first; each in a process that has not imported it."""
    script = SCRIPT.replace("STATE", repr(pickle.dumps(flow((2,), LABELS))))
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The density


@KINDS
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2)], ids=str)
def test_an_untrained_flow_is_the_normal_distribution_with_the_moments_of_the_data(kind, shape):
    model = Flow(Real(shape), kind=kind, **SMALL)
    data = torch.randn(400, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 40 - 7
    model.prepare(data)
    x = data[:50]
    expected = stats.norm(data.mean(0), data.std(0, correction=0)).logpdf(x).reshape(50, -1).sum(1)
    assert torch.allclose(model.log_prob(x).detach(), torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_affine_transforms_of_one_dimension_are_a_normal_distribution():
    model = flow((1,), kind="maf")
    # f(z) = e^a z + b three times over: a normal distribution, found from two points
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    (u0, u1), _ = model._f(None).call_and_ladj(model.units.standardised(x))
    slope, intercept = float((u1 - u0).detach()), float(u0.detach())
    assert abs(slope) > 0.01
    points = torch.linspace(-20, 30, 40, dtype=torch.float64)[:, None]
    expected = stats.norm(-intercept / slope, 1 / slope).logpdf(points[:, 0])
    assert torch.allclose(model.log_prob(points).detach(), torch.from_numpy(expected), rtol=0, atol=1e-9)


@KINDS
def test_a_density_in_one_dimension_integrates_to_one_and_is_what_is_drawn(kind):
    model = flow((1,), kind=kind)
    x, _, cell = grid(model, 200_001)
    p = model.log_prob(x).detach().exp()
    assert abs(float(p.sum() * cell) - 1) < 1e-4
    cdf = torch.cumulative_trapezoid(p, dx=cell)
    drawn = model.sample(3000, seed=0)[:, 0]
    assert stats.kstest(np.interp(drawn, x[1:, 0], cdf), "uniform").pvalue > 1e-3


@KINDS
@pytest.mark.parametrize("passes", [None, 2])
def test_a_density_in_two_dimensions_integrates_to_one_for_every_class_and_classes_differ(kind, passes):
    model = flow((2,), LABELS, size=0.2, kind=kind, passes=passes, width=8, transforms=2)
    x, mesh, cell = grid(model, 161, width=8.0)
    densities = [model.log_prob(x, [name]).detach().exp() for name in LABELS.names]
    for label, p in enumerate(densities):
        assert abs(float(p.sum() * cell) - 1) < 2e-3
        assert float((p - densities[label - 1]).abs().sum() * cell) > 0.05
        drawn = model.sample(4000, [label], seed=label)
        inside = (mesh[:, 0] < 0.05) & (mesh[:, 1] < 0.55)  # between points of the grid
        share = float(p[inside].sum() * cell)
        z = model.units.standardised(drawn)
        hits = int(((z[:, 0] < 0.05) & (z[:, 1] < 0.55)).sum())
        assert stats.binomtest(hits, 4000, share).pvalue > 1e-3


@KINDS
@pytest.mark.parametrize("factor", [1000.0, 1e-9])
def test_units_shift_the_log_density_by_their_logarithm(kind, factor):
    model, other = flow(kind=kind), flow(kind=kind)
    other.units.set(model.units.shift * factor, model.units.log_unit.exp() * factor)
    x = model.sample(50, seed=0)
    shifted = other.log_prob(x * factor) + 3 * math.log(factor)
    assert torch.allclose(shifted, model.log_prob(x), rtol=0, atol=1e-8)


def test_prepare_takes_the_units_from_the_data():
    fitted = [Flow(Real((2,)), **SMALL) for _ in range(2)]
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    fitted[0].prepare(x)
    fitted[1].prepare(1000 * x)
    gap = fitted[0].log_prob(x) - fitted[1].log_prob(1000 * x)
    assert torch.allclose(gap, torch.tensor(2 * math.log(1000), dtype=torch.float64), rtol=0, atol=1e-9)


# Against zuko used by hand


@KINDS
@pytest.mark.parametrize("labels", [None, LABELS])
def test_the_density_is_that_of_zuko_used_by_hand(kind, labels):
    model, zuko = flow((4,), labels, size=0.2, kind=kind), import_zuko()
    width = 0 if labels is None else CONTEXT_WIDTH
    univariate, shapes = {
        "nsf": (partial(zuko.transforms.MonotonicRQSTransform, bound=BOUND, slope=SLOPE), [(5,), (5,), (4,)]),
        "maf": (partial(zuko.transforms.MonotonicAffineTransform, slope=SLOPE), [(), ()]),
    }[kind]
    networks = {"hidden_features": [12, 12], "univariate": univariate, "shapes": shapes}
    theirs = zuko.flows.MAF(4, width, transforms=3, **networks).double()
    for transform, ours in zip(theirs.transform.transforms, model.chain):
        weights = {name: value for name, value in ours.hyper.net.state_dict().items() if not name.endswith("mask")}
        transform.hyper.load_state_dict(weights, strict=False)
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 6 + 5
    rows = None if labels is None else torch.arange(60) % 3
    vector = None
    if rows is not None:
        told = model.condition.out[0]
        vector = model.condition.encoder.parts[0].encoder.table[0, rows] @ told.weight.T + told.bias
    z = (x - model.units.shift) / model.units.log_unit.exp()
    expected = theirs(vector).log_prob(z) - model.units.log_unit.sum()
    assert torch.allclose(model.log_prob(x, rows), expected, rtol=0, atol=1e-10)


@KINDS
def test_the_slope_is_the_determinant_of_the_jacobian(kind):
    model = flow((3,), kind=kind)
    x = model.sample(4, seed=2)
    for row in x:
        f = lambda v: model._f(None).call_and_ladj(model.units.standardised(v[None]))[0][0]  # noqa: E731
        jacobian = torch.autograd.functional.jacobian(f, row)
        expected = stats.norm.logpdf(f(row).detach()).sum() + torch.linalg.slogdet(jacobian).logabsdet
        assert float(model.log_prob(row[None]).detach()) == pytest.approx(float(expected), abs=1e-9)


@KINDS
@pytest.mark.parametrize("hyperparameters", [{}, {"passes": 2}, {"permutation": "random"}, {"passes": 3}], ids=str)
def test_the_inverse_is_the_inverse(kind, hyperparameters):
    model = flow((5,), LABELS, size=0.2, kind=kind, **hyperparameters)
    context = torch.arange(40) % 3
    noise = torch.randn(40, 5, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    z = model._f(context).inv(noise)
    again, _ = model._f(context).call_and_ladj(z)
    assert torch.allclose(again, noise, rtol=0, atol=1e-8)
    assert not torch.allclose(z, noise, atol=0.1)


# Types, extremes and repeated values


def test_a_float32_model_keeps_its_units_in_float64():
    model = Flow(Real((2,)), **SMALL).double().float()
    x = 1.7e9 + torch.arange(100, dtype=torch.float64)[:, None] * torch.tensor([1.0, 60.0]).double()
    model.prepare(x)
    assert model.units.shift.dtype == torch.float64
    expected = stats.norm(x.mean(0), x.std(0, correction=0)).logpdf(x).sum(1)
    assert torch.allclose(model.log_prob(x).detach(), torch.from_numpy(expected), rtol=0, atol=1e-6)
    assert model.sample(10, seed=0).dtype == torch.float64


@KINDS
def test_a_float32_model_makes_its_density_in_float64(kind):
    model = Flow(Real((40,)), kind=kind, **SMALL)
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():  # biases alone: what the networks say is the same number in both types
        for transform in model.chain:
            transform.hyper.net[-1].bias.copy_(torch.randn(transform.hyper.net[-1].bias.shape, generator=g))
    x = torch.randn(20, 40, generator=g, dtype=torch.float64)
    single, double = model.log_prob(x), copy.deepcopy(model).double().log_prob(x)
    assert torch.allclose(single, double, rtol=0, atol=1e-10)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_far_away_have_a_very_low_density_and_never_none(kind, dtype):
    model = flow((3,), kind=kind).to(dtype)
    near = model.log_prob(torch.full((1, 3), 5.0)).detach()
    for far in (1e3, 1e6, 1e12, 1e38, 1e60, 1e100):
        x = torch.tensor([[far, 5, 5], [5, 5, -far], [far, far, far]], dtype=torch.float64)
        log_p = model.log_prob(x).detach()
        assert log_p.isfinite().all()
        assert (log_p < near - 10).all()
    assert (model.log_prob(torch.full((1, 3), 1e300, dtype=torch.float64)) == -torch.inf).all()


@KINDS
def test_learning_on_repeated_values_stays_finite(kind):
    g = torch.Generator().manual_seed(0)
    x = torch.stack(
        [torch.zeros(256), torch.randint(2, (256,), generator=g), torch.randn(256, generator=g)], 1
    ).double()
    model = flow((3,), kind=kind, size=0.0).float()
    model.prepare(x)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        loss = LikelihoodLoss(model)(x)
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
    assert model.log_prob(x).isfinite().all()
    assert model.sample(100, seed=0).isfinite().all()
    steepest = {"nsf": 2 / SLOPE**2, "maf": 1 / SLOPE}[kind]  # of one of three transforms, in one of three dimensions
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e6)
    _, log_slope = model._f(None).call_and_ladj(model.units.standardised(x))
    assert float(log_slope.detach().max()) <= 9 * math.log(steepest)


# Drawing


def test_samples_do_not_depend_on_how_many_are_drawn_together(monkeypatch):
    model = flow((3,), LABELS)
    context = torch.arange(30) % 3
    expected = model.sample(30, context, seed=4)
    monkeypatch.setattr("ptheta.models.flows.flow.DRAWN", 3 * 3 * 5 * 7)
    assert torch.allclose(model.sample(30, context, seed=4), expected, rtol=0, atol=1e-9)


@KINDS
def test_pathwise_draws_are_samples_with_their_log_density(kind):
    model = flow((3,), LABELS, kind=kind)
    x, log_p = model.rsample_and_log_prob(20, ["dog"], generator=torch.Generator().manual_seed(3))
    assert x.shape == (20, 3)
    assert log_p.shape == (20,)
    assert x.dtype == log_p.dtype == torch.float64
    assert torch.allclose(x, model.sample(20, ["dog"], seed=3), rtol=0, atol=1e-9)
    assert torch.allclose(log_p, model.log_prob(x.detach(), ["dog"]), rtol=0, atol=1e-7)


@KINDS
def test_pathwise_gradients_are_those_of_finite_differences(kind):
    model = flow((2,), kind=kind, size=0.3)

    def reverse_kl() -> Tensor:
        x, log_p = model.rsample_and_log_prob(16, generator=torch.Generator().manual_seed(5))
        return (log_p + 0.1 * (x - 2).square().sum(-1)).mean()

    reverse_kl().backward()
    tried = 0
    for parameter in model.parameters():
        index = parameter.grad.abs().argmax()  # type: ignore[union-attr]
        with torch.no_grad():
            values = []
            for step in (1e-6, -1e-6):
                parameter.view(-1)[index] += step
                values.append(float(reverse_kl()))
                parameter.view(-1)[index] -= step
        expected = (values[0] - values[1]) / 2e-6
        assert float(parameter.grad.view(-1)[index]) == pytest.approx(expected, abs=1e-5, rel=1e-4)  # type: ignore[union-attr]
        tried += 1
    assert tried > 10


def test_a_flow_learns_a_curved_distribution_by_label():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(3, (2000,), generator=g)
    first = torch.randn(2000, generator=g, dtype=torch.float64)
    second = first**2 + 3 * y + 0.3 * torch.randn(2000, generator=g, dtype=torch.float64)
    x = torch.stack([first, second], 1)
    truth = stats.norm.logpdf(first) + stats.norm.logpdf(second, first**2 + 3 * y, 0.3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Flow(Real((2,)), LABELS, width=32)
    model.prepare(x)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(150):
        rows = torch.randint(2000, (256,), generator=g)
        optimiser.zero_grad()
        LikelihoodLoss(model)(x[rows], y[rows]).backward()
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * (1 - step / 150)
        optimiser.step()
    assert float(truth.mean()) - float(model.log_prob(x, y).detach().mean()) < 0.25


# Copies and mistakes


@KINDS
def test_copies_are_the_same_model(kind):
    model = flow((3,), LABELS, kind=kind)
    x = model.sample(10, ["cat"], seed=0)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.log_prob(x, ["dog"]), model.log_prob(x, ["dog"]))
        assert {p.data_ptr() for p in twin.parameters()}.isdisjoint(p.data_ptr() for p in model.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "nfs"},
        {"permutation": "odd"},
        {"transforms": 0},
        {"width": 0},
        {"layers": 0},
        {"bins": 1},
        {"passes": 1},
    ],
    ids=str,
)
def test_hyperparameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Flow(Real((3,)), **wrong)


def test_discrete_events_are_refused():
    with pytest.raises(SpaceError, match="Flow cannot model"):
        Flow(Discrete((3,), 2))


def test_masked_weights_are_not_counted_as_free():
    # one affine transform of two dimensions, one hidden unit for each: b and a of x_1 are biases, those of x_2 an MLP
    model = Flow(Real((2,)), kind="maf", transforms=1, width=2, layers=1)
    free = sum(int(p.numel()) for p in model.parameters()) - model.free_parameters
    masks = [b for name, b in model.named_buffers() if name.endswith("mask")]
    assert free == sum(int((~mask).sum()) for mask in masks) > 0
