"""Decoding with caches against decoding by full passes, on 28×28 binary images (784 dimensions).

    python benchmarks/decoding.py [--n 1 16] [--rounds 3] [--models transformer]

Both draw from the same noise. In float64 the images must be identical; the time is of float32.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.common import interleaved, machine, spread, table
from ptheta import Image
from ptheta.models import Autoregressive, family
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.sampling import ancestral, generator_for, uniforms

MODELS = {"markov_mlp": {}, "made": {"width": 1024}, "transformer": {"width": 64, "layers": 4, "heads": 2}}


def perturbed(name: str, hyperparameters: dict) -> Autoregressive:
    """A model whose conditionals are not trivial."""
    torch.manual_seed(0)
    model = family(name).load()(Image(28, 28, levels=2), **hyperparameters)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@torch.inference_mode()
def draw(model: Autoregressive, n: int, cached: bool) -> torch.Tensor:
    """n events from fixed noise, [n, m]."""
    noise = uniforms(n, model.space.dimensions, model.noise_size, generator=generator_for(0, None))
    return ancestral(model.decoder(n) if cached else ConditionalsDecoder(model, n, None), noise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=",".join(MODELS))
    args = parser.parse_args()
    rows = []
    for name in args.models.split(","):
        hyperparameters = MODELS[name]
        model = perturbed(name, hyperparameters)
        for n in args.n:
            seconds = interleaved(
                {"cached": lambda: draw(model, n, True), "full passes": lambda: draw(model, n, False)},  # noqa: B023
                args.rounds,
            )
            ratios = [b / a for a, b in zip(seconds["cached"], seconds["full passes"])]
            rows.append((name, n, spread(seconds["cached"]), spread(seconds["full passes"]), spread(ratios)))
        double = model.double()
        same = torch.equal(draw(double, 2, True), draw(double, 2, False))
        rows = [(*row, same) if row[0] == name else row for row in rows]
    print(f"\n784 dimensions, {args.rounds} rounds, median (least to most); {machine()}\n")
    print(table(["model", "images", "cached, s", "full passes, s", "ratio", "identical in float64"], rows))


if __name__ == "__main__":
    main()
