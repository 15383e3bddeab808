"""Muon in float32: the closed form of its iteration, and torch's own optimiser."""

import pytest
import torch

from ptheta.training.muon import Muon, orthogonalised

COEFFICIENTS = (3.4445, -4.775, 2.0315)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (1, 4)])
def test_singular_vectors_stay_and_singular_values_go_through_the_polynomial(shape):
    g = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=g, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / matrix.norm()
    for _ in range(5):
        s = sum(c * s**power for c, power in zip(COEFFICIENTS, (1, 3, 5)))
    torch.testing.assert_close(orthogonalised(matrix, COEFFICIENTS, 5, 1e-7), u @ torch.diag(s) @ v)


def trained(optimiser, monkeypatch, native, steps=12):
    """Weights after some steps of a regression."""
    monkeypatch.setattr("ptheta.training.muon.computes_in_bfloat16", lambda kind: native)
    torch.manual_seed(0)
    layer, x, y = torch.nn.Linear(12, 8, bias=False), torch.randn(64, 12), torch.randn(64, 8)
    learner = optimiser(layer.parameters(), lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(steps):
        learner.zero_grad()
        (layer(x) - y).square().mean().backward()
        learner.step()
    return layer.weight.detach(), learner.state_dict()["state"]


def test_it_takes_the_steps_of_torchs_up_to_the_rounding_of_bfloat16(monkeypatch):
    start, _ = trained(Muon, monkeypatch, native=False, steps=0)
    theirs, their_state = trained(torch.optim.Muon, monkeypatch, native=False)
    mine, my_state = trained(Muon, monkeypatch, native=False)
    moved = (theirs - start).norm()
    assert 0 < (mine - theirs).norm() < 0.02 * moved
    assert my_state.keys() == their_state.keys()
    assert my_state[0].keys() == their_state[0].keys(), "a checkpoint suits both"


def test_where_the_processor_has_bfloat16_it_is_torchs(monkeypatch):
    theirs, _ = trained(torch.optim.Muon, monkeypatch, native=True)
    mine, _ = trained(Muon, monkeypatch, native=True)
    assert torch.equal(mine, theirs)
