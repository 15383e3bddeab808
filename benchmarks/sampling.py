"""Passes and seconds of drawing images: full passes pixel by pixel, cached steps, and fixed-point passes.

    python -m benchmarks.sampling RUN [RUN …] [--n 1 64] [--rounds 3]

All three draw from the same noise. In float64 the images must be identical; the time is of float32. Full passes are
what a sampler without a cache does; they are timed on the first pixels only and scaled up, since every pass costs
the same.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.common import interleaved, machine, spread, table
from ptheta import Run
from ptheta.models import Autoregressive
from ptheta.models.autoregressive import ConditionalsDecoder
from ptheta.sampling import Effort

TIMED = 24
"""Full passes that are timed."""


def context_of(model: Autoregressive, n: int) -> torch.Tensor | None:
    """The classes in turn, if there are any."""
    return None if model.context_space is None else torch.arange(n) % model.context_space.levels


@torch.inference_mode()
def full_passes(model: Autoregressive, n: int) -> None:
    """The first conditionals of n images, each by a full pass."""
    decoder = ConditionalsDecoder(model, n, context_of(model, n))
    previous = None
    for _ in range(TIMED):
        decoder.step(previous)
        previous = torch.zeros(n, dtype=torch.long)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", type=int, default=4, help="images compared in float64")
    args = parser.parse_args()
    rows = []
    for path in args.runs:
        run = Run.load(path)
        model = run.model
        assert isinstance(model, Autoregressive)
        m = model.space.dimensions
        for n in args.n:
            efforts: list[Effort] = []

            def fixed(model=model, n=n, efforts=efforts) -> None:
                efforts.append(Effort())
                model.sample(n, context_of(model, n), seed=len(efforts), method="fixed_point", effort=efforts[-1])

            seconds = interleaved(
                {
                    "full": lambda model=model, n=n: full_passes(model, n),
                    "cached": lambda model=model, n=n: model.sample(
                        n, context_of(model, n), seed=1, method="ancestral"
                    ),
                    "fixed": fixed,
                },
                args.rounds,
            )
            full = [s * m / TIMED for s in seconds["full"]]
            passes = [e.passes / e.chunks for e in efforts]
            rows.append(
                (run.name, str(model.space), n, m, spread(passes), f"{sum(passes) / len(passes) / m:.1%}",
                 spread(full), spread(seconds["cached"]), spread(seconds["fixed"]),
                 "cached" if model.faster_method(n) == "ancestral" else "fixed point")
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
