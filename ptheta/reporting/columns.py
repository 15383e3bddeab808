"""Columns of scores as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ptheta.files import replacing


def write_columns(columns: dict[str, Any], path: Path) -> None:
    """Columns of one length as a table: CSV if the path ends so, else Parquet.

    Args:
        columns: name → arrays, of numpy or Arrow, or lists.
        path: of the file; it is replaced at once.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pa.table(columns)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".csv":
            whole.to_pandas().to_csv(temporary, index=False)
        else:
            pq.write_table(whole, temporary)
