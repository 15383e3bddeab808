"""Raw values as people hold them, on their way to a codec: lists of texts, arrays of rows, pictures of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data import Codec
from ptheta.data.codecs import DocumentCodec, PictureCodec
from ptheta.errors import SpaceError, UsageError
from ptheta.numbers import with_article


def texts_of(values: Any) -> list[Any]:
    """Texts as a list."""
    if isinstance(values, str | bytes):
        return [values]
    if not isinstance(values, Sequence) and not hasattr(values, "__iter__"):
        raise UsageError(f"texts are a list of strings, not {with_article(type(values).__name__)}", "give a list")
    listed = list(values)
    if wrong := [i for i, value in enumerate(listed) if not isinstance(value, str | bytes)]:
        raise UsageError(f"text {wrong[0] + 1} is {with_article(type(listed[wrong[0]]).__name__)}", "give strings")
    return listed


def written(name: str, value: Any) -> str:
    """A cell as a person writes it; one that is missing as nothing.

    Raises:
        UsageError: it is no single value.
    """
    if value is None:
        return ""
    if not isinstance(value, str | int | float | np.generic) and type(value).__name__ != "NAType":
        raise UsageError(f"{name} is {with_article(type(value).__name__)}", "give one value, for all that are drawn")
    text = str(value.item() if isinstance(value, np.generic) else value)
    return "" if text in ("nan", "<NA>") else text


def as_columns(values: Any, names: list[str]) -> Any:
    """An array [n, m] as columns in the order of the run's; other tables as they are."""
    if not isinstance(values, np.ndarray | Tensor):
        return values
    if values.ndim == 1 and len(values) == len(names):
        raise SpaceError(f"one row of {len(names)} cells is given, not a table [n, {len(names)}]", "give rows: x[None]")
    if values.ndim != 2 or values.shape[1] != len(names):
        raise SpaceError(
            f"the table is an array of shape {list(values.shape)}, and the run models {len(names)} columns",
            f"give rows [n, {len(names)}]",
        )
    return dict(zip(names, (values.detach().cpu().numpy() if isinstance(values, Tensor) else values).T))


def as_codec_takes(values: Any, codec: Codec) -> Any:
    """Values as a codec takes them: texts and pictures in a list, anything else in an array."""
    if isinstance(codec, DocumentCodec):
        return texts_of(values)
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    if not isinstance(codec, PictureCodec):
        return values
    from PIL import Image

    several = [values] if isinstance(values, Image.Image) else values
    if isinstance(several, list | tuple):
        return [value.detach().cpu().numpy() if isinstance(value, Tensor) else value for value in several]
    return several
