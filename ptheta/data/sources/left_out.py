"""Files of a folder that are not read are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from ptheta.names import printable
from ptheta.numbers import plural
from ptheta.remarks import remark


def left_out(files: Sequence[Path], taken: Collection[Path], why: str) -> None:
    """Report the files of a folder that are not read, by their suffixes."""
    rest = [file for file in files if file not in taken]
    if not rest:
        return
    kinds = Counter(file.suffix.lower() or "no suffix" for file in rest).most_common()
    listed = ", ".join(f"{count:,} of {kind}" for kind, count in kinds[:5]) + ", …" * (len(kinds) > 5)
    what = plural(len(rest), "file") + (f" ({listed})" if len(kinds) > 1 else "")
    remark(f"left out, {why}: {what}, such as {printable(rest[0])}")
