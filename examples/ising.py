"""The Ising model on a torus, learned from its energy alone, with no samples of it.

    python examples/ising.py --size 8 --beta 0.44 --minutes 3 --json

A spin configuration s has the probability e^{−β E(s)} / Z with E(s) = −Σ s_i s_j over the 2N bonds of a square lattice
of N = size² sites with periodic boundaries. Z is a sum over 2^N configurations, but the energy is easily computed, so a
PixelCNN q learns by reverse KL, ptheta.fit(…, target=−βE), with β raised slowly (Wu, Wang & Zhang 2019,
arXiv:1809.10606).

Turning all spins changes no energy, so q is made to give both signs the same probability, (q(s) + q(−s)) / 2: still an
exact density, never worse than q, and one that cannot forget half of the configurations.

Free energies are told per site in units of the coupling, F = −log Z / (β N):

    free_energy           (E_q[log q + β E]) / (β N), an upper bound on F, with its standard error
    importance_weighted   −log E_q[e^{−β E} / q] / (β N), with a standard error by the delta method
    exact                 Kaufman's formula for finite lattices
    one_sign              free_energy of the model as it was learned, without the other sign
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

import ptheta
from ptheta.models import Model
from ptheta.training import FreeEnergy


def energy(spins: Tensor) -> Tensor:
    """E [n] of configurations [n, rows, columns] of ±1, each site bound to its right and its lower neighbour.

    On a lattice with two rows, neighbours are bound twice, around the torus, as in Kaufman's formula.
    """
    return -(spins * (spins.roll(1, -1) + spins.roll(1, -2))).sum((-2, -1))


def kaufman(rows: int, columns: int, beta: float) -> float:
    """log Z of a periodic lattice, exact (Kaufman 1949, Phys. Rev. 76, 1232).

    Z = ½ (2 sinh 2β)^{rows·columns/2} Σ_i P_i, where P_1 … P_4 are the products over r = 0 … columns − 1 of
    2 cosh(rows γ_{2r+1} / 2), 2 sinh(rows γ_{2r+1} / 2), 2 cosh(rows γ_{2r} / 2) and 2 sinh(rows γ_{2r} / 2), with
    cosh γ_l = cosh² 2β / sinh 2β − cos(π l / columns), and γ_0 = 2β + log tanh β, which changes sign at the critical β.
    """

    def gamma(wave: int) -> float:
        if wave == 0:
            return 2 * beta + math.log(math.tanh(beta))
        return math.acosh(math.cosh(2 * beta) ** 2 / math.sinh(2 * beta) - math.cos(math.pi * wave / columns))

    products = []  # (sign, log |P_i|)
    for first in (1, 0):
        angles = [rows * gamma(2 * r + first) / 2 for r in range(columns)]
        products.append((1.0, sum(abs(a) + math.log1p(math.exp(-2 * abs(a))) for a in angles)))
        if all(angles):
            sign = math.prod(math.copysign(1.0, a) for a in angles)
            products.append((sign, sum(abs(a) + math.log1p(-math.exp(-2 * abs(a))) for a in angles)))
    most = max(log for _, log in products)
    total = sum(sign * math.exp(log - most) for sign, log in products)
    return rows * columns / 2 * math.log(2 * math.sinh(2 * beta)) + most + math.log(total) - math.log(2)


def log_boltzmann(beta: float) -> Callable[[Tensor], Tensor]:
    """−βE of pictures [n, 1, rows, columns] of levels 0 and 1, as a target."""

    def ising(x: Tensor) -> Tensor:
        return -beta * energy(2.0 * x[:, 0].double() - 1.0)

    return ising


def fit(size: int, beta: float, minutes: float, *, seed: int = 0, out: str | None = None) -> ptheta.Run:
    """A run that learned the lattice within a budget.

    Args:
        size: rows, and columns.
        beta: inverse temperature, in units of the coupling.
        minutes: budget.
        seed: of the fit.
        out: run folder, replaced if there is one.
    """
    return ptheta.fit(
        "pixelcnn",
        ptheta.Image(size, size, levels=2),
        objective="reverse_kl",
        target=log_boltzmann(beta),
        minutes=minutes,
        seed=seed,
        out=out,
        force=out is not None,
        hyperparameters={"width": 16, "layers": 3, "reach": max(1, size - 1), "dropout": 0.0},
        **SETTINGS,
    )


SETTINGS = {
    "batch_size": 100,
    "optimizer": "adamw",
    "learning_rate": 5e-3,
    "average": 0.0,
    "weight_decay": 0.0,
    "anneal": 0.3,
    "anneal_until": 0.5,
}
"""Of learning. (The network's first layer sees all the lattice behind it, since the torus closes there.)"""


def both_signs(model: Model, beta: float, n: int, seed: int) -> FreeEnergy:
    """Estimates by the density (q(s) + q(−s)) / 2.

    Args:
        model: q.
        beta: inverse temperature.
        n: events drawn.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    with torch.no_grad():
        for start in range(0, n, 500):
            x = model.sample(min(500, n - start), generator=generator)
            turned = torch.rand(len(x), generator=generator) < 0.5
            x = torch.where(turned[:, None, None, None], 1 - x, x)
            log_q = torch.logaddexp(model.log_prob(x), model.log_prob(1 - x)) - math.log(2)
            parts.append(torch.stack([log_q, log_boltzmann(beta)(x)]))
    return FreeEnergy.of(*torch.cat(parts, 1))


def main() -> None:
    """Fit, and print free energies per site."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8, help="rows, and columns")
    parser.add_argument("--beta", type=float, default=0.44, help="inverse temperature; critical at 0.4407")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="run folder, replaced if there is one")
    parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    args = parser.parse_args()
    clock = time.perf_counter()
    run = fit(args.size, args.beta, args.minutes, seed=args.seed, out=args.out)
    learned, scale = run.results(), args.beta * args.size**2
    found = both_signs(run.model, args.beta, learned["n"], args.seed + 1)
    exact = -kaufman(args.size, args.size, args.beta) / scale
    told = {
        "free_energy": found.free_energy / scale,
        "free_energy_se": found.free_energy_se / scale,
        "importance_weighted": -found.log_z / scale,
        "importance_weighted_se": found.log_z_se / scale,
        "exact": exact,
        "one_sign": learned["free_energy"] / scale,
        "one_sign_se": learned["free_energy_se"] / scale,
        "size": args.size,
        "beta": args.beta,
        "seconds": round(time.perf_counter() - clock, 1),
        "parameters": learned["parameters"],
        "ess": found.ess,
        "n": found.n,
        "seed": args.seed,
        "run": learned["run"],
    }
    for name in ("free_energy", "importance_weighted", "one_sign"):
        value, se = told[name], told[f"{name}_se"]
        off, error = 100 * (value - exact) / abs(exact), 100 * se / abs(exact)
        print(f"{name:<20} {value:.6f} ± {se:.6f} per site, {off:+.4f} ± {error:.4f} % from the exact value")
    print(f"{'exact':<20} {exact:.6f}; {told['ess']:,.0f} of {told['n']:,} draws carry the weights")
    if args.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
