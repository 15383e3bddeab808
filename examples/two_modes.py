"""Forward against reverse KL: a distribution with two modes, learned by a model that has only one.

    python examples/two_modes.py --out two_modes.png

p is a mixture of two normal densities in the plane, beside each other. q is a flow of one affine transform: q(x_1) is
normal and q(x_2 | x_1) is, so it can bend but has one mode. Maximum likelihood on events of p minimises KL(p‖q), which
is large if q misses what p can produce: q covers both modes and the gap between them. Reverse KL to the density of p
minimises KL(q‖p), which is large if q produces what p does not: q seeks one mode and forgets the other. The figure
shows both, and `ptheta.divergences` says what each costs.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import ptheta
from ptheta.divergences import NAMES, Estimate, divergences
from ptheta.models import Model

SPACE = ptheta.Real((2,))
MEANS = torch.tensor([[2.3, 0.7], [-2.3, -0.7]], dtype=torch.float64)
ROOTS = torch.tensor([[[0.55, 0.0], [0.5, 0.8]], [[0.55, 0.0], [-0.5, 0.8]]], dtype=torch.float64)
"""Means and Cholesky factors of the covariances of the two modes."""

BUDGET = {"steps": 600, "batch_size": 256, "learning_rate": 0.01}
FLOW = {"kind": "maf", "transforms": 1, "width": 32, "layers": 1}


class TwoModes(Model):
    """½ N(mean_1, covariance_1) + ½ N(mean_2, covariance_2)."""

    spaces = (ptheta.Real,)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        normal = torch.distributions.MultivariateNormal(MEANS, scale_tril=ROOTS)
        return normal.log_prob(x[:, None].double()).logsumexp(1) - math.log(2)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        mode = torch.randint(2, (n,), generator=generator)
        noise = torch.randn(n, 2, 1, generator=generator, dtype=torch.float64)
        return MEANS[mode] + (ROOTS[mode] @ noise)[..., 0]


def learned(folder: str, seed: int = 0) -> tuple[TwoModes, dict[str, Model]]:
    """p, and q learned in both ways."""
    p = TwoModes(SPACE)
    data = ptheta.load(p.sample(20_000, seed=seed).numpy())
    budget = {**BUDGET, "seed": seed, "hyperparameters": FLOW}
    forward = ptheta.fit("flow", data, out=f"{folder}/forward", **budget)

    def two_modes(x: Tensor) -> Tensor:
        """log p(x) and a constant, as if nobody knew how p is normalised."""
        return p._log_prob(x, None) + 3.0

    reverse = ptheta.fit("flow", SPACE, objective="reverse_kl", target=two_modes, out=f"{folder}/reverse", **budget)
    return p, {"forward": forward.model, "reverse": reverse.model}


def figure(p: Model, models: dict[str, Model], found: dict[str, dict[str, Estimate]]) -> plt.Figure:
    """Densities side by side."""
    axis = np.linspace(-5, 5, 301)
    grid = torch.tensor(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    with torch.no_grad():
        density = {name: model.log_prob(grid).exp().reshape(301, 301) for name, model in {"p": p, **models}.items()}
    looks = {
        "p": ("the distribution p", "Greys", "two modes"),
        "forward": ("forward KL, by maximum likelihood", "Blues", "covers both modes, and the gap"),
        "reverse": ("reverse KL, to the density of p", "Oranges", "seeks one mode, forgets the other"),
    }
    drawn, axes = plt.subplots(1, 3, figsize=(10.2, 4.1), sharex=True, sharey=True, layout="constrained")
    for ax, (name, (title, colours, said)) in zip(axes, looks.items()):
        heights = density[name].numpy()
        shades = plt.get_cmap(colours)(np.linspace(0.08, 0.85, 12))
        ax.contourf(
            axis, axis, heights, levels=np.linspace(0.02, 1, 13) * heights.max(), colors=shades, extend="neither"
        )
        if name != "p":
            ax.contour(axis, axis, density["p"], levels=[0.01, 0.04], colors="black", linewidths=0.7, alpha=0.55)
            costs = [f"{NAMES[kl]} = {found[name][kl].value:.2f}" for kl in KINDS]
            said += "\n" + ",  ".join(costs)
        ax.set_title(title, fontsize=11)
        ax.set_xlabel(said, fontsize=9.5)
        ax.set(xlim=(-4.6, 4.6), ylim=(-4.6, 4.6), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_color("0.8")
    return drawn


KINDS = ("forward_kl", "reverse_kl")


def main() -> None:
    """Fit both, print their divergences, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("two_modes.png"), help="figure")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        p, models = learned(folder, args.seed)
    found = {name: divergences(p, model, n=20_000) for name, model in models.items()}
    for name, estimates in found.items():
        print(f"q learned by {name} KL")
        for key, estimate in estimates.items():
            print(f"  {NAMES[key]:<16} {estimate}")
    figure(p, models, found).savefig(args.out, dpi=110)
    print(f"figure: {args.out}")


if __name__ == "__main__":
    main()
