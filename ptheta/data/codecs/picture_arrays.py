"""Pictures as arrays: of whole numbers, real ones from 0 to 1, or bools; their axes and their colours."""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs.base import Place, nowhere
from ptheta.data.codecs.picture_files import of_real
from ptheta.errors import SourceError
from ptheta.remarks import remark

STEPS = 255
"""Real numbers that are pictures of 8 bits are whole multiples of 1 / 255."""


def whole(array: np.ndarray, white: int, place: Place = nowhere) -> np.ndarray:
    """The values of pictures, whole numbers of which `white` is white, whatever type they are given in.

    Real numbers from 0 to 1 are scaled as those of picture files are, and this is remarked; True is white, as is 255
    where all others are 0; whole numbers stay.

    Args:
        array: pictures [n, …].
        white: value that stands for white.
        place: names a picture in an error.

    Raises:
        SourceError: real numbers beyond 0 to 1; numbers of more than 8 bits of which none is above 1 where white is
            more, so that nobody can tell what they mean; anything that is no number.
    """
    kind = array.dtype.kind
    if kind == "f":
        found = np.empty(array.shape, np.uint8)
        for row, one in enumerate(array):
            found[row] = of_real(one, white, lambda _, row=row: place(row))
        remark(f"arrays of real numbers from 0 to 1 are read as pictures, scaled to 0 to {white}")
        return found
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(white)
    if kind not in "iu":
        raise SourceError(f"{place(0)} holds values of type {array.dtype}", "give numbers")
    if white < 255 and array.max(initial=0) == 255 and bool(((array == 0) | (array == 255)).all()):
        return (array == 255).astype(np.uint8) * np.uint8(white)
    if array.dtype.itemsize > 1 and white > 1 and array.max(initial=0) == 1 and array.min(initial=0) == 0:
        row = int(np.argwhere(array == 1)[0][0])
        raise SourceError(
            f"{place(row)} holds only 0 and 1, and white is {white}",
            f"give bools if 1 means white, or uint8 if it means 1 of {white}",
        )
    return array


def is_of_8_bits(values: np.ndarray) -> bool:
    """Whether real numbers lie in 0 … 1 and all are whole multiples of 1 / 255, as pictures divided by 255 are."""
    if not (values.size and values.min() >= 0 and values.max() <= 1):  # NaN neither
        return False
    steps = values.astype(np.float64) * STEPS
    return bool((np.abs(steps - np.round(steps)) < 1e-3).all())


def channels_first(array: np.ndarray) -> np.ndarray:
    """Arrays [n, H, W], [n, H, W, C] or [n, C, H, W] as [n, C, H, W]; C is 1, 3, or 4 with transparency.

    Raises:
        SourceError: another number of axes.
    """
    if array.ndim not in (3, 4):
        what = f"an array of shape {list(array.shape)} is not of pictures [n, H, W], [n, H, W, C] or [n, C, H, W]"
        raise SourceError(what, "give one picture as x[None]")
    if array.ndim == 3:
        return array[:, None]
    last = array.shape[-1] in (1, 3) or (array.shape[-1] == 4 and array.shape[1] not in (1, 3))
    return array.transpose(0, 3, 1, 2) if last else array


def opaque(array: np.ndarray, white: int) -> np.ndarray:
    """[n, 4, H, W], red, green, blue and how opaque, over white: [n, 3, H, W]; other arrays as they are."""
    if array.shape[1] != 4:
        return array
    values = array.astype(np.int64)
    alpha = values[:, 3:]
    over = (values[:, :3] * alpha + white * (white - alpha) + white // 2) // white
    return np.where((values < 0).any(1, keepdims=True) | (values > white).any(1, keepdims=True), values[:, :3], over)


def recoloured(array: np.ndarray, channels: int) -> np.ndarray:
    """[n, C, H, W] with another number of channels: grey repeated, or the luma of RGB (ITU-R 601, as Pillow)."""
    if array.shape[1] == 1:
        return array.repeat(channels, 1)
    luma = np.tensordot(np.array([299, 587, 114]), array[:, :3].astype(np.int64), (0, 1)) // 1000
    return luma[:, None].astype(array.dtype)
