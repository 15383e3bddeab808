"""The types in which columns come back: those of the source, of a data frame and of Arrow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type that prints as `name`.

    Raises:
        ValueError: there is none.
    """
    import pyarrow as pa

    known = {"double": pa.float64(), "float": pa.float32(), "halffloat": pa.float16()}
    if found := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", name):
        return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
    return known.get(name) or pa.type_for_alias(name)


def dtype_of(kind: str, *, text: bool) -> str | None:
    """The numpy type of an Arrow type of numbers or truth values; of text None, whose numbers have no type."""
    import pyarrow as pa

    found = arrow_type(kind)
    plain = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_boolean(found)
    return None if text or not plain else str(np.dtype(found.to_pandas_dtype()))


def in_frame(values: Any, dtype: Any, missing: bool) -> Any:
    """A column's values [n] as a data frame has them.

    Args:
        values: an array of numpy or pandas, None or NA where missing.
        dtype: of the source's frame, see `ptheta.data.sources.tables.Dtype`, or of numpy; None: that of the values,
            whole numbers and truth values in a type that has a value for missing only if one can be.
        missing: whether a cell may be missing.
    """
    import pandas as pd

    if isinstance(dtype, dict):
        return pd.Categorical(values, categories=dtype["categories"], ordered=dtype["ordered"])
    held = str(getattr(values, "dtype", "object"))
    if dtype is None:
        plain = {"Int64": "int64", "boolean": "bool"}.get(held)
        return values if missing or plain is None else values.to_numpy(plain)
    if dtype[0].isupper() or dtype in ("boolean", "string"):
        return pd.array(values, dtype=dtype)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return pd.array(values).to_numpy(kind, na_value=np.nan) if held[0].isupper() or held == "object" else values
    if missing:
        return pd.array(values, dtype="boolean" if kind.kind == "b" else dtype.replace("u", "U").replace("i", "I", 1))
    return values.to_numpy(kind) if hasattr(values, "to_numpy") else np.asarray(values).astype(kind)


def in_arrow(column: Any, kind: str, dtype: Any) -> pa.Array:
    """A column (a Series of pandas) of a decoded frame in the source's Arrow type, categories as a dictionary."""
    import pandas as pd
    import pyarrow as pa

    if not isinstance(dtype, dict):
        return pa.array(column, from_pandas=True).cast(arrow_type(kind))
    known = pd.Categorical(column, categories=dtype["categories"], ordered=dtype["ordered"])
    codes = pa.array(known.codes, mask=known.codes < 0).cast(arrow_type(dtype["index"]))
    return pa.DictionaryArray.from_arrays(codes, pa.array(dtype["categories"]), ordered=dtype["ordered"])
