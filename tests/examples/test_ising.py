"""Kaufman's formula against sums over all configurations, and the example's last line."""

import importlib.util
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ptheta

EXAMPLE = Path(__file__).parents[2] / "examples" / "ising.py"


@pytest.fixture(scope="module")
def ising():
    spec = importlib.util.spec_from_file_location("ising_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def brute_force(rows: int, columns: int, beta: float) -> float:
    """log Z, bond by bond: every site (r, c) is bound to (r + 1, c) and (r, c + 1) around the torus."""
    spins = np.array(list(itertools.product([-1, 1], repeat=rows * columns)), np.int8).reshape(-1, rows, columns)
    total = np.zeros(len(spins))
    for r in range(rows):
        for c in range(columns):
            total += spins[:, r, c] * (spins[:, (r + 1) % rows, c] + spins[:, r, (c + 1) % columns])
    return float(np.log(np.exp(beta * total).sum()))


@pytest.mark.parametrize("beta", [0.1, 0.44, math.log(1 + math.sqrt(2)) / 2, 0.7])
@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 3), (3, 4), (4, 3), (2, 5), (4, 4)])
def test_kaufmans_formula_is_the_sum_over_all_configurations(ising, rows, columns, beta):
    assert ising.kaufman(rows, columns, beta) == pytest.approx(brute_force(rows, columns, beta), rel=1e-12)


def test_of_large_lattices_it_is_onsagers_value(ising):
    """log Z / N = log 2 / 2 + 1/2π ∫_0^π log(cosh² 2β + √(1 + k² − 2k cos 2θ) / k) dθ, k = 1 / sinh² 2β (Onsager)."""
    beta = 0.3
    theta = (np.arange(200_000) + 0.5) / 200_000 * math.pi
    k = 1 / math.sinh(2 * beta) ** 2
    inside = math.cosh(2 * beta) ** 2 + np.sqrt(1 + k**2 - 2 * k * np.cos(2 * theta)) / k
    onsager = math.log(2) / 2 + np.log(inside).mean() / 2
    assert ising.kaufman(64, 64, beta) / 64**2 == pytest.approx(onsager, rel=1e-9)


def test_the_energy_of_aligned_and_alternating_spins(ising):
    up = torch.ones(1, 4, 4)
    chess = torch.tensor([[(-1.0) ** (r + c) for c in range(4)] for r in range(4)])[None]
    assert ising.energy(up).item() == -32
    assert ising.energy(chess).item() == 32
    one = up.clone()
    one[0, 2, 1] = -1
    assert ising.energy(one).item() == -32 + 8


def test_the_last_line_tells_the_free_energies_per_site(ising, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ising.py", "--size", "4", "--out", str(tmp_path / "run"), "--json"])
    monkeypatch.setattr(ptheta, "fit", lambda *given, minutes, fit=ptheta.fit, **more: fit(*given, steps=200, **more))
    ising.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["exact"] == pytest.approx(-brute_force(4, 4, 0.44) / (0.44 * 16), rel=1e-12)
    assert told["exact"] - 4 * told["free_energy_se"] < told["free_energy"] < told["exact"] + 0.1
    assert abs(told["importance_weighted"] - told["exact"]) < 5 * told["importance_weighted_se"] + 1e-3
    assert (told["size"], told["beta"]) == (4, 0.44)
    assert 200 <= told["n"] <= 10_000
    assert 0 < told["ess"] <= told["n"]
    assert told["parameters"] > 0
    assert told["seconds"] > 0
