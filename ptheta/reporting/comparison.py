"""The table of `ptheta compare`."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from ptheta.data import Data
from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.models import family
from ptheta.numbers import count, nats
from ptheta.spaces import Discrete, Image, Space

LECTURE = Image(28, 28, levels=2)
"""The space on which the lecture counts parameters."""


def comparison(results: list[dict[str, Any]], data: Data, file: TextIO) -> None:
    """Print results, worst first, and, of discrete events, what counting models would need on 28×28 binary pictures.

    Args:
        results: as `fit --json` prints them.
        data: all were fitted to.
        file: to print to.
    """
    console = Console(file=file, highlight=False)
    title = f"{data.name}: mean −log p(x) of {results[0]['split']} events, lower is better"
    table = Table(title=title, title_justify="left", box=None)
    of_text = isinstance(data.codec, TextCodec | DocumentCodec)  # whose tokens may be longer than bytes
    bits = "bits/byte" if of_text else data.codec.bits_label
    for column in ("model", "nats ± s.e.", bits, "events", "free parameters", "seconds"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in results:
        table.add_row(
            row["model"],
            nats(row["nats"], row["nats_se"]),
            f"{row['bits_per_byte'] if of_text else data.codec.bits(row['nats']):.4f}",
            f"{row['n']:,}",
            count(row["parameters"]),
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    if not isinstance(data.space, Discrete):  # nothing to count
        return
    console.print(f"full joint table over {data.space}: {_joint(data.space)} free parameters", soft_wrap=True)
    counts = [f"{name} {expression}" for name, expression in lecture_counts().items()]
    console.print(f"28×28 binary pictures: {', '.join(counts)}", soft_wrap=True)


def lecture_counts() -> dict[str, str]:
    """Free parameters of the counting models on 28×28 binary pictures, computed by the models themselves."""
    histogram, independent, chain = (
        family(name).load()(LECTURE).free_parameters for name in ("histogram", "independent", "markov_chain")
    )
    power = LECTURE.levels**LECTURE.dimensions
    assert histogram == power - 1
    return {
        "full joint": f"2^784 − 1 ≈ {count(histogram)}",
        "independent": f"{independent:,}",
        "first-order chain": f"{chain:,}",
    }


def _joint(space: Space) -> str:
    assert isinstance(space, Discrete)
    if space.sizes:
        return count(space.event_count - 1)
    return f"{space.levels}^{space.dimensions} − 1 ≈ {count(space.event_count - 1)}"
