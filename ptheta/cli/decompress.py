"""`ptheta decompress`: the files of a compressed file, exactly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from ptheta.cli.arguments import call
from ptheta.cli.compress import progress
from ptheta.cli.json_output import print_json
from ptheta.cli.options import Flag, RunArgument
from ptheta.errors import UsageError

Compressed = Annotated[Path, tyro.conf.arg(metavar="FILE"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(decompress, args, "ptheta decompress")


def decompress(
    run: RunArgument,
    file: Compressed,
    *,
    out: Path | None = None,
    recover: Flag = False,
    device: str = "cpu",
    json: Flag = False,
) -> None:
    """Give back the files of a compressed file; nothing is written before all of it is verified.

    Args:
        run: run folder with which the file was compressed
        file: compressed file from `ptheta compress`
        out: folder to write to; must be new or empty
        recover: write what is intact of a damaged file, and name what is lost
        device: auto, cpu or cuda, the same as for compression
        json: print files, damaged, parts, blocks, bytes and seconds as one JSON object on the last line
    """
    from ptheta.coding import decompress as decode
    from ptheta.numbers import plural
    from ptheta.runs import Run
    from ptheta.training import choose_device

    if out is None:
        raise UsageError("--out is missing", "name a folder to write to")
    fitted = Run.load(run, choose_device(device))
    with progress("decompressing") as advance:
        found = decode(fitted, file, out, recover=recover, advance=advance)
    summary = f"{plural(len(found.files), 'file')}, {found.bytes:,} bytes, verified, in {found.seconds:.1f} s: {out}"
    if found.damaged:
        more = f" and {len(found.damaged) - 3} more" if len(found.damaged) > 3 else ""
        blocks = plural(len(found.damaged_blocks), "damaged block")
        summary += f"\n{blocks} of {found.blocks}; lost: {', '.join(found.damaged[:3])}{more}"
        summary += f"; what is intact of them: {plural(len(found.parts), 'part')}" if found.parts else ""
    print(summary, file=sys.stderr)
    if json:
        print_json(found.to_json())
