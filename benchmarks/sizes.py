"""The sizes that `ptheta fit` chooses for its minutes beside a grid of sizes and batches, on data of all kinds.

python -m benchmarks.sizes --minutes 0.5,2 --keep sizes.jsonl

Every fit is a command of its own, with one member, judged on test events. The grid crosses parts of the family's width
and layers with batches of the recipe's size and smaller ones; `behind` is how far the rule's nats are above the best of
the grid, itself included. The script prints every row's best, the recipe and the rule.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import ptheta
from benchmarks.common import DATA, machine, table
from benchmarks.minutes import HERE, fitted
from ptheta.fitting.defaults import default_model, default_preset
from ptheta.fitting.scale import smaller_networks
from ptheta.models import family
from ptheta.presets import preset
from ptheta.training import Settings

NAMES = (
    "mnist", "olivetti_faces", "omniglot", "binarized_mnist", "free_spoken_digits", "tiny_shakespeare", "adult",
    "uci_kin40k",
)  # fmt: skip
"""Data sets, of all kinds."""


def grid(name: str) -> list[list[str]]:
    """Flags of the sizes that are tried; the first ones are those of the recipe."""
    data = ptheta.load(DATA / name, limit=200)
    recipe = default_preset(data)
    own: dict[str, Any] = preset(recipe).hyperparameters if recipe else {}
    settings: dict[str, Any] = preset(recipe).settings if recipe else {}
    cls = family(default_model(data)).load()
    model = cls(data.space, data.context_space, **own)
    batch = Settings.of(model, **settings).batch_size
    whole = {part: model.hyperparameters()[part] for part in cls.sized_by if part in model.hyperparameters()}
    sizes = [whole, *({part: size[part] for part in whole} for _, size in smaller_networks(cls, own, ()))]
    batches = sorted({batch, max(1, batch // 4), max(1, batch // 8)}, reverse=True)
    return [
        [*itertools.chain(*((f"--{part}", str(value)) for part, value in size.items())), "--batch-size", str(events)]
        for size, events in itertools.product(sizes, batches)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", default="0.5,2,10", help="budgets, comma-separated")
    parser.add_argument("--only", default=",".join(NAMES), help="names of data sets, comma-separated")
    parser.add_argument("--keep", type=Path, help="file of the results, which are not made again")
    given = parser.parse_args()
    known: dict[str, dict[str, Any]] = {}
    if given.keep and given.keep.exists():
        known = {line["key"]: line for line in map(json.loads, given.keep.read_text().splitlines())}
    rows = []
    for name, minutes in itertools.product(given.only.split(","), map(float, given.minutes.split(","))):
        found = {}
        for flags in [[], *grid(name)]:
            key = json.dumps([name, minutes, flags])
            if key not in known:
                known[key] = {"key": key} | fitted(name, minutes, HERE, [*flags, "--members", "1"])
                if given.keep:
                    with given.keep.open("a") as file:
                        file.write(json.dumps(known[key]) + "\n")
            found[" ".join(flags)] = known[key]
        (_, rule), (_, recipe), *_ = found.items()
        best = min(found, key=lambda flags: found[flags]["nats"])
        low = found[best]["nats"]
        rows.append(
            [
                name,
                f"{minutes:g}",
                f"{recipe['nats']:.2f} ({recipe['steps']:,} steps)",
                f"{low:.2f} ({best or 'the rule'})",
                f"{rule['nats']:.2f} ± {rule['nats_se']:.2f} ({rule['steps']:,} steps)",
                f"{(rule['nats'] - low) / abs(low):.1%}",
            ]
        )
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(f"{machine()}\n\n{table(['data', 'minutes', 'recipe', 'best of the grid', 'rule', 'behind'], rows)}")


if __name__ == "__main__":
    main()
