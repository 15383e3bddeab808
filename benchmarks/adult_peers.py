"""SDV's synthesizers, fitted for a time, in whatever Python has SDV: `benchmarks.adult` runs it with --peer-python.

    python benchmarks/adult_peers.py ctgan train.csv rows.csv given.csv --given income ">50K"

Needs sdv only, not ptheta. Its last line is JSON: seconds and epochs of the fit, seconds
of drawing; all of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

SYNTHESIZERS = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
}


class Epochs:
    """Stands in for the progress bar from which a fit takes its epochs, and gives out no more after the time is up."""

    def __init__(self, minutes: float):
        self.deadline, self.count = time.process_time() + 60 * minutes, 0

    def __call__(self, epochs: Iterable[int], **_: object) -> Iterator[int]:
        """Epochs until the time is up."""
        for epoch in epochs:
            if time.process_time() > self.deadline:
                return
            yield epoch
            self.count += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SYNTHESIZERS)
    parser.add_argument("train", type=Path, help="CSV file of real rows")
    parser.add_argument("rows", type=Path, help="CSV file of synthetic rows, to be written")
    parser.add_argument("conditioned", type=Path, help="the same of rows given a cell")
    parser.add_argument("--given", nargs=2, required=True, metavar=("COLUMN", "VALUE"))
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--conditioned-n", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")

    import ctgan.synthesizers.ctgan
    import ctgan.synthesizers.tvae
    import numpy as np
    import pandas as pd
    import sdv
    import torch
    from sdv import single_table
    from sdv.metadata import Metadata
    from sdv.sampling import Condition

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002
    train = pd.read_csv(args.train, keep_default_na=False)
    kinds = {c: "numerical" if pd.api.types.is_numeric_dtype(train[c]) else "categorical" for c in train}
    metadata = Metadata.load_from_dict({"tables": {"rows": {"columns": {c: {"sdtype": k} for c, k in kinds.items()}}}})
    settings = {} if args.name == "gaussian_copula" else {"epochs": 10**6}
    clock, epochs = time.process_time(), Epochs(args.minutes)
    ctgan.synthesizers.ctgan.tqdm = ctgan.synthesizers.tvae.tqdm = epochs
    synthesizer = getattr(single_table, SYNTHESIZERS[args.name])(metadata, **settings)
    synthesizer.fit({"rows": train})
    fitted = time.process_time() - clock
    clock = time.process_time()
    synthesizer.sample(args.n)["rows"].to_csv(args.rows, index=False)
    drawn = time.process_time() - clock
    clock = time.process_time()
    column, value = args.given
    given = synthesizer.sample_from_conditions([Condition({column: value}, num_rows=args.conditioned_n)])
    conditioned = time.process_time() - clock
    given["rows"].to_csv(args.conditioned, index=False)
    found = {"version": f"SDV {sdv.__version__}", "seconds": fitted, "epochs": epochs.count}
    print(json.dumps(found | {"drawn": drawn, "conditioned": conditioned}))


if __name__ == "__main__":
    main()
