"""Does torch.compile pay? Seconds of a training step as it is and compiled, and what compiling costs.

python benchmarks/compiling.py [--rounds 20]
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import torch

from benchmarks.common import interleaved, machine, spread, table
from ptheta import Image
from ptheta.models import family

CASES = [
    ("transformer", Image(8, 8, levels=17), 32),
    ("made", Image(28, 28, levels=2), 100),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    rows = []
    for name, space, batch in CASES:
        torch.manual_seed(0)
        model = family(name).load()(space)
        x = torch.randint(space.levels, (batch, *space.shape))
        compiled = torch.compile(model.loss, dynamic=False)

        def step(loss) -> None:
            model.zero_grad()  # noqa: B023
            loss(x).backward()  # noqa: B023

        start = perf_counter()
        step(compiled)
        cost = perf_counter() - start
        step(model.loss)
        seconds = interleaved({"eager": lambda: step(model.loss), "compiled": lambda: step(compiled)}, args.rounds)  # noqa: B023
        gain = median(seconds["eager"]) - median(seconds["compiled"])
        pays = f"{cost / gain:,.0f} steps" if gain > 0 else "never"
        rows.append(
            (name, str(space), batch, spread(seconds["eager"]), spread(seconds["compiled"]), f"{cost:.0f}", pays)
        )
    print(f"\n{args.rounds} rounds, median (least to most); {machine()}\n")
    head = ["model", "events", "batch", "eager, s", "compiled, s", "compiling, s", "pays after"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
