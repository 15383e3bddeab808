"""Divergences estimated from draws against their exact values: are the standard errors true?

    python -m benchmarks.divergences [--seeds 100] [--n 1000]

Pairs of MADE over 4×4 binary pictures, q being p with its weights disturbed a little, more, and a lot. All 65,536
events are summed for the exact value, and for every seed n events are drawn from each side. A true standard error
leaves about 95 of 100 estimates within 2 of it, and 99.7 within 3.
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter

import torch

from benchmarks.common import machine, table
from ptheta.divergences import NAMES, divergences
from ptheta.models.autoregressive.made import MADE
from ptheta.spaces import Image

APART = {"near": 0.05, "apart": 0.25, "far": 1.0}
"""Standard deviation of what is added to the weights."""


def pair(noise: float) -> tuple[MADE, MADE]:
    """p, and q with disturbed weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        p, q = (MADE(Image(4, 4, levels=2), width=64, layers=1, dropout=0.0).double() for _ in range(2))
        for last in (p.out, p.direct):
            torch.nn.init.normal_(last.weight, std=0.3)
        q.load_state_dict(p.state_dict())
        for last in (q.out, q.direct):
            last.weight.data.add_(torch.randn_like(last.weight) * 0.3 * noise)
    return p, q


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--n", type=int, default=1000)
    args = parser.parse_args()
    rows = []
    clock = perf_counter()
    for name, noise in APART.items():
        p, q = pair(noise)
        exact = divergences(p, q)
        drawn = [divergences(p, q, n=args.n, seed=seed, exact=False) for seed in range(args.seeds)]
        for key, words in NAMES.items():
            found = [estimates[key] for estimates in drawn]
            z = [(e.value - exact[key].value) / e.se for e in found]
            within = [sum(abs(value) < limit for value in z) for limit in (2, 3)]
            gain = ""
            if found[0].se_plain is not None:
                gain = f"{statistics.median(e.se_plain / e.se_control for e in found):.2g}"
            methods = ", ".join(sorted({e.method for e in found}))
            reliable = sum(e.reliable for e in found)
            rows.append(
                (name, words, f"{exact[key].value:.4g}", f"{statistics.mean(e.value for e in found):.4g}",
                 f"{statistics.median(e.se for e in found):.2g}", within[0], within[1], f"{statistics.stdev(z):.2f}",
                 methods, gain, reliable)
            )  # fmt: skip
    print(f"{args.seeds} seeds, {args.n:,} draws from each side, {perf_counter() - clock:.0f} s; {machine()}\n")
    head = ["q is", "divergence", "exact", "mean estimate", "median s.e.", "within 2 s.e.", "within 3", "s.d. of z",
            "estimator", "s.e. plain / control", "called reliable"]  # fmt: skip
    print(table(head, rows))


if __name__ == "__main__":
    main()
