"""Warps against plain Python on one distribution at a time."""

from __future__ import annotations

import math

import pytest
import torch

from ptheta.errors import UsageError
from ptheta.sampling import Warp


def warp_by_hand(logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float) -> list[float]:
    """Probabilities after temperature, top-k, top-p and min-p, one after the other."""

    def normalise(weights: list[float]) -> list[float]:
        return [w / sum(weights) for w in weights]

    top = max(logits)
    if temperature == 0:
        best = logits.index(top)
        return [float(k == best) for k in range(len(logits))]
    p = normalise([math.exp((v - top) / temperature) for v in logits])
    ranked = sorted(range(len(p)), key=lambda k: (-p[k], k))
    if top_k:
        p = normalise([w if k in ranked[:top_k] else 0.0 for k, w in enumerate(p)])
    kept, mass = set(), 0.0
    for k in ranked:
        if mass < top_p:
            kept.add(k)
        mass += p[k]
    if top_p < 1:
        p = normalise([w if k in kept else 0.0 for k, w in enumerate(p)])
    return normalise([w if w >= min_p * max(p) else 0.0 for w in p])


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 1, 3, 50])
@pytest.mark.parametrize("top_p", [0.2, 0.75, 1.0])
@pytest.mark.parametrize("min_p", [0.0, 0.15, 1.0])
def test_a_warp_is_what_it_is_by_hand(temperature, top_k, top_p, min_p):
    logits = torch.randn(8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    logits[0, 2] = -math.inf
    warped = Warp(temperature, top_k, top_p, min_p)(logits).softmax(-1)
    for row, p in zip(logits.tolist(), warped.tolist()):
        assert p == pytest.approx(warp_by_hand(row, temperature, top_k, top_p, min_p), abs=1e-12)


def test_top_k_keeps_exactly_k_of_equal_levels():
    kept = Warp(top_k=2)(torch.zeros(3, 5)).isfinite()
    assert kept.int().tolist() == [[1, 1, 0, 0, 0]] * 3


def test_the_most_probable_level_is_never_cut():
    logits = torch.randn(100, 7, generator=torch.Generator().manual_seed(1))
    warped = Warp(temperature=5, top_k=1, top_p=1e-9, min_p=1.0)(logits)
    assert torch.equal(warped.isfinite().sum(-1), torch.ones(100).long())
    assert torch.equal(warped.argmax(-1), logits.argmax(-1))


def test_the_default_changes_nothing():
    logits = torch.randn(3, 5)
    assert Warp().is_identity
    assert Warp()(logits) is logits
    assert not Warp(top_k=3).is_identity


def test_an_even_hotter_temperature_raises_entropy_and_a_lower_one_lowers_it():
    logits = torch.randn(1, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    entropy = [torch.distributions.Categorical(logits=Warp(t)(logits)).entropy().item() for t in (0.2, 1.0, 5.0)]
    assert entropy == sorted(entropy)
    assert entropy[2] < math.log(9)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"min_p": 2},
    ],
)
def test_impossible_warps_are_refused(options):
    with pytest.raises(UsageError):
        Warp(**options)


def test_extreme_temperatures_are_uniform_or_certain_and_never_touch_missing_levels():
    logits = torch.tensor([1.0, 3.0, -torch.inf], dtype=torch.float64)
    assert torch.allclose(Warp(temperature=1e300)(logits).softmax(-1), torch.tensor([0.5, 0.5, 0.0]).double())
    assert torch.equal(Warp(temperature=1e-320)(logits).softmax(-1), torch.tensor([0.0, 1.0, 0.0]).double())
    with pytest.raises(UsageError, match="temperature is inf"):
        Warp(temperature=math.inf)
