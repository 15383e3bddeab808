"""Passes and seconds of drawing images: full passes pixel by pixel, cached steps, and fixed-point passes.

    python -m benchmarks.sampling RUN [RUN …] [--n 1 64] [--rounds 3] [--device cpu]

Cached steps and fixed-point passes draw from the same noise, another in every round. In float64 their images must be
identical; the time is of float32. Full passes are what a sampler without a cache makes; they are timed on the first
pixels only and scaled up, since every pass costs the same.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.common import interleaved, machine, spread, table
from ptheta import Run
from ptheta.models import Autoregressive
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.sampling import Effort, Method

TIMED = 24
"""Full passes that are timed."""


def context_of(model: Autoregressive, n: int) -> torch.Tensor | None:
    """The classes in turn, if there are any."""
    return None if model.context_space is None else torch.arange(n) % model.context_space.levels


@torch.inference_mode()
def full_passes(model: Autoregressive, n: int) -> None:
    """The first conditionals of n images, each by a full pass."""
    context = context_of(model, n)
    decoder = ConditionalsDecoder(model, n, None if context is None else context.to(model.device))
    previous = None
    for _ in range(TIMED):
        probability = decoder.step(previous).log_prob(torch.zeros(n, dtype=torch.long, device=model.device))
        previous = torch.zeros(n, dtype=torch.long, device=model.device)
    probability.cpu()  # a GPU has finished


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", type=int, default=4, help="images compared in float64")
    args = parser.parse_args()
    rows = []
    for path in args.runs:
        run = Run.load(path, args.device)
        model = run.model
        assert isinstance(model, Autoregressive)
        m = model.space.dimensions
        for n in args.n:
            efforts: dict[str, list[Effort]] = {"ancestral": [], "fixed_point": []}

            def draw(method: Method, model=model, n=n, efforts=efforts) -> None:
                efforts[method].append(Effort())
                seed, effort = len(efforts[method]), efforts[method][-1]
                model.sample(n, context_of(model, n), seed=seed, method=method, effort=effort).cpu()

            seconds = interleaved(
                {
                    "full": lambda model=model, n=n: full_passes(model, n),
                    "cached": lambda draw=draw: draw("ancestral"),
                    "fixed": lambda draw=draw: draw("fixed_point"),
                },
                args.rounds,
            )
            full = [s * m / TIMED for s in seconds["full"]]
            passes = [e.passes / e.chunks for e in efforts["fixed_point"]]
            rows.append(
                (run.name, str(model.space), n, m, spread(passes), f"{sum(passes) / len(passes) / m:.1%}",
                 spread(full), spread(seconds["cached"]), spread(seconds["fixed"]),
                 "cached" if model.faster_method == "ancestral" else "fixed point")
            )  # fmt: skip
        double, context = model.double(), context_of(model, args.check)
        draws = [double.sample(args.check, context, seed=5, method=how) for how in ("ancestral", "fixed_point")]
        print(f"{path}: identical in float64: {torch.equal(*draws)}", flush=True)
    print(f"\n{args.rounds} rounds in turn, median (least to most); {machine()}\n")
    head = ["model", "space", "images", "m", "fixed-point passes", "of m", "full passes, s", "cached, s",
            "fixed point, s", "default"]  # fmt: skip
    print(table(head, rows))


if __name__ == "__main__":
    main()
