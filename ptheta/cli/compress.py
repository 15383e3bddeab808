"""`ptheta compress`: lossless compression with a fitted model."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ptheta.cli.arguments import call
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Flag, RunArgument, Values
from ptheta.errors import UsageError

if TYPE_CHECKING:
    from ptheta.coding import Report

Files = Annotated[list[Path], tyro.conf.arg(metavar="FILE …", help_behavior_hint="(required)"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(compress, args, "ptheta compress")


def compress(
    run: RunArgument,
    files: Files,
    *,
    out: Path | None = None,
    force: Flag = False,
    context: Values = [],  # noqa: B006
    compare: Flag = False,
    lanes: int | None = None,
    stretch: int | None = None,
    threads: int = 1,
    device: str = "cpu",
    json: Flag = False,
) -> None:
    """Compress files losslessly, verified before the compressed file gets its name.

    PNG pictures come back with identical pixels, Parquet tables with identical cells, all other files with identical
    bytes. What the model cannot give back exactly is stored.

    Args:
        run: run folder
        files: pictures, tables, arrays or texts like those that were fitted, any other files, or folders of them
        out: the compressed file, such as x.ptz
        force: replace the compressed file in --out
        context: labels, if the model has a context: one for all, or one for every event and every text; taken from a
            table's own column, or from the folders' names, if left out
        compare: also report the sizes of PNG, WebP, xz and zstd on the same files, one by one and in one stream
        lanes: events, or stretches of text, coded side by side in one block
        stretch: tokens of a text in one lane, at most; fewer are faster, more are smaller
        threads: that the model computes with, here and for decompression
        device: auto, cpu or cuda; the file can only be decompressed on the same kind
        json: print bytes_in, bytes_out, model_bits, seconds and more as one JSON object on the last line
    """
    from ptheta.coding import compress as code
    from ptheta.coding.rivals import rivals
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if out is None:
        raise UsageError("--out is missing", "name the compressed file, such as --out x.ptz")
    fitted = Run.load(run, choose_device(device))
    with progress("compressing") as advance:
        report = code(
            fitted,
            files,
            out,
            context=context or None,
            lanes=lanes,
            stretch=stretch,
            threads=threads,
            force=force,
            advance=advance,
        )
    others = rivals(files) if compare else {}
    _say(report, others)
    if json:
        print_json(report.to_json() | others)


SHOWN = 3
"""Reasons why files are stored that are printed, at most."""


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that learns its total with the first step."""

    from ptheta.reporting import track

    with contextlib.ExitStack() as stack:
        bars: list[Callable[[int], None]] = []

        def advance(n: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(track(what, total)))
            bars[0](n)

        yield advance


def _without_the_model(report: Report) -> str:
    """On how many blocks zstd was smaller than the model, and the sizes of both."""
    sizes = f"{report.by_zstd:,} bytes by zstd, {report.by_model:,} by the model"
    if report.stored_blocks < report.value_blocks:
        return f"zstd was used for {report.stored_blocks:,} of {report.value_blocks:,} blocks; all of them: {sizes}"
    return (
        f"the model is of no use for these files: zstd was smaller on every block, {sizes}; fit longer, or on like data"
    )


def _say(report: Report, others: dict[str, Any]) -> None:
    from ptheta.numbers import plural

    factor = f", {report.bytes_in / report.bytes_out:.2f} times smaller" if report.bytes_out < report.bytes_in else ""
    lines = [
        f"{plural(len(report.files), 'file')}, {report.bytes_in:,} → {report.bytes_out:,} bytes{factor}, verified, in "
        f"{report.seconds:.1f} s: {report.out}"
    ]
    if report.values:
        lines.append(
            f"the model alone: {report.model_bits / 8:,.0f} bytes; the coder spent {100 * report.gap:.3f} % more; the "
            f"model itself has {report.model_bytes:,} bytes"
        )
        if not report.stored_blocks:
            rest = report.bytes_out - report.coded_bits // 8
            lines.append(f"names, sizes, check sums and what is kept beside the values: {rest:,} bytes")
    if report.stored_blocks:
        lines.append(_without_the_model(report))
    if report.stored:
        more = f" and {len(report.stored) - 3} more" if len(report.stored) > 3 else ""
        lines.append(f"stored, since the model cannot give them back exactly: {', '.join(report.stored[:3])}{more}")
        reasons = Counter(report.why)
        for why, count in reasons.most_common(SHOWN):
            which = report.stored[report.why.index(why)] if count == 1 else f"{count:,} of them"
            lines.append(f"{which} {'is' if count == 1 else 'are'} {why}")
        if not report.values:
            lines.append("the model is of no use for these files: it codes none of them")
    for grouping, sizes in others.items():
        listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items() if size is not None)
        lines.append(f"{grouping.replace('_', ' ')}: {listed} bytes")
    print("\n".join(lines), file=sys.stderr)
