"""Opening picture files: upright, of 8 bits a value, and with an account of what that changes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.data.codecs.base import Place, nowhere
from ptheta.errors import NoSourceError, SourceError
from ptheta.foreign import guarded
from ptheta.listing import regular

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

DECODED = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Pillow's names of the formats that are decoded, whatever a file is called. Of others, EPS runs another program."""

MAX_PIXELS = 2**26
"""Most pixels a picture file may claim, checked before it is decoded."""

MAX_PIXELS_OF = {"WEBP": MAX_PIXELS // 2}
"""Format → its own limit: the decoder of WebP keeps two canvases beside the picture, 16 bytes a pixel in all."""

DEPTHS = (255, 1023, 4095, 16383, 65535)
"""Whites of grey pictures of more than 8 bits a value: they may hold 8, 10, 12, 14 or 16 of them."""

TRAITS = {
    "turned": "turned upright, as their EXIF orientation says",
    "pages": "of several pages or frames, of which the first is read",
    "transparent": "with transparency, shown on white",
    "deep": "of more than 8 bits a value, scaled to 8",
    "real": "of real numbers from 0 to 1, scaled to 8 bits",
    "cut": "of 16 bits a value, of which the upper 8 are read",
    "converted": "in CMYK or another colour space, converted to RGB",
    "grey": "grey, read as RGB",
    "coloured": "in colour, made grey",
}
"""What of a picture is read differently → in words, of several."""

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_GREY = ("1", "L", "LA", "La", *_DEEP)
_PAGED = ("TIFF", "GIF", "WEBP", "PNG")  # the further pictures of a photo of a telephone (MPO) are no pages
_STRIP = 2**22  # pixels that are converted at once, so that what is in between takes little memory
_WEBP_HEAD = 30  # bytes, of which the last six are the size of the canvas
_LAZY = "PNG"  # its EXIF data may stand behind the pixels


@dataclass(frozen=True)
class Look:
    """What is seen of a picture before it is decoded.

    Attributes:
        height, width: upright, in pixels.
        channels: 1 for grey ones, else 3.
        traits: keys of `TRAITS`, as far as they do not depend on a codec.
    """

    height: int
    width: int
    channels: int
    traits: tuple[str, ...]

    @classmethod
    def of(cls, value: Any, place: Place = nowhere) -> Look:
        """A look at a picture as `open_picture` takes it; raises as that does, but for damaged pixels."""
        with _opened(value, place) as picture:
            turn = _orientation(picture)
            swapped = turn in (5, 6, 7, 8) and picture.format != "TIFF"  # whose size is upright already
            width, height = picture.size[::-1] if swapped else picture.size
            deeper = any(";16" in str(tile.args) for tile in getattr(picture, "tile", ()))
            found = {
                "turned": turn > 1,
                "pages": picture.format in _PAGED and getattr(picture, "n_frames", 1) > 1,
                "transparent": picture.has_transparency_data,
                "deep": picture.mode in _DEEP and picture.mode != "F",
                "real": picture.mode == "F",
                "cut": picture.mode not in _DEEP and deeper,
                "converted": picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"),
            }
            return cls(height, width, channels_of(picture), tuple(name for name, true in found.items() if true))


def open_picture(value: Any, place: Place = nowhere, *, upright: bool = True) -> Picture:
    """A decoded picture from a PIL image, encoded bytes, or a dict with bytes or path, as `datasets` stores it.

    Args:
        value: of a row.
        place: names it in an error.
        upright: turn it as its EXIF orientation says.

    Raises:
        SourceError: missing, damaged, truncated, or larger than `MAX_PIXELS`.
    """
    from PIL import Image as pil

    with _opened(value, place, closing=False) as picture:
        turn = _orientation(picture) if upright else 1
        picture.load()
        if turn > 1 and picture.format != "TIFF":  # which Pillow turns itself
            names = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM")
            names += ("TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
            picture = picture.transpose(pil.Transpose[names[turn - 2]])
        if picture.mode == "LAB":
            raise SourceError(f"{place(0)} is in the colour space CIELAB", "convert it to RGB")
        return picture


@contextmanager
def _opened(value: Any, place: Place, *, closing: bool = True) -> Iterator[Picture]:
    """The picture of a row, its header read; whatever goes wrong within is an error about it."""
    from PIL import Image as pil

    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
    if value is None:
        raise SourceError(f"{place(0)} has no picture", "remove that row")
    with guarded(place(0), "remove it or save it again", problem="{origin} is damaged"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if isinstance(value, pil.Image):
                yield value
                return
            value = value if isinstance(value, bytes) else regular(value, place(0))
            _check_size(*_webp_size(value), "WEBP", place)
            picture = pil.open(io.BytesIO(value) if isinstance(value, bytes) else value, formats=DECODED)
            _check_size(picture.width, picture.height, picture.format, place)
            try:
                yield picture
            finally:
                if closing:
                    picture.close()
        except FileNotFoundError:
            raise NoSourceError(f"{place(0)} does not exist", "check the path") from None
        except pil.DecompressionBombError as error:
            raise SourceError(f"{place(0)} is too large: {error}", "shrink or remove it") from None
        except pil.UnidentifiedImageError:
            raise SourceError(f"{place(0)} is not a picture", "remove it or save it again as PNG") from None


def _check_size(width: int, height: int, form: str | None, place: Place) -> None:
    most = MAX_PIXELS_OF.get(form or "", MAX_PIXELS)
    if width * height > most:
        raise SourceError(
            f"{place(0)} claims {width:,} by {height:,} pixels", f"at most {most:,} are decoded; shrink or remove it"
        )


def _webp_size(value: bytes | Path) -> tuple[int, int]:
    """Width and height of the canvas that an extended WebP file claims, which its decoder makes as soon as it is
    opened (RFC 9649, 2.7); 0, 0 of all others, which nothing is made for before their size is known."""
    if isinstance(value, bytes):
        head = value[:_WEBP_HEAD]
    else:
        with value.open("rb") as file:
            head = file.read(_WEBP_HEAD)
    if len(head) < _WEBP_HEAD or (head[:4], head[8:16]) != (b"RIFF", b"WEBPVP8X"):
        return 0, 0
    return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1


def _orientation(picture: Picture) -> int:
    """How a picture lies, 1 … 8, by EXIF; 1 is upright."""
    if picture.format == _LAZY and "exif" not in picture.info:
        return 1
    found = picture.getexif().get(0x0112, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def channels_of(picture: Picture) -> int:
    """1 for grey pictures, 3 for all others."""
    return 1 if picture.mode in _GREY else 3


def brightest(value: Any, place: Place = nowhere) -> int:
    """The largest value of a picture of whole numbers of more than 8 bits; 0 for all others."""
    picture = open_picture(value, place)
    return int(np.asarray(picture).max()) if picture.mode in _DEEP and picture.mode != "F" else 0


def depth_of(most: int) -> int:
    """The white of pictures whose largest value is this: of the fewest bits of `DEPTHS` that hold it."""
    return next((white for white in DEPTHS if 0 < most <= white), DEPTHS[-1])


def shallow(picture: Picture, white: int, place: Place = nowhere) -> Picture:
    """A picture of 8 bits a value; of real numbers 0 … 1, or of whole ones 0 … white, scaled to that.

    Raises:
        SourceError: a value outside.
    """
    from PIL import Image as pil

    if picture.mode not in _DEEP:
        return picture
    values = np.asarray(picture)
    real = picture.mode == "F"
    check_range(values, 1 if real else white, place)
    pixels = np.empty(values.shape, np.uint8)
    for rows in _strips(picture):
        part = values[rows]
        pixels[rows] = of_real(part, 255) if real else part.astype(np.int64) * 256 // (white + 1)
    return pil.fromarray(pixels)


def _strips(picture: Picture) -> Iterator[slice]:
    """Rows of a picture that are converted at once."""
    step = max(1, _STRIP // max(1, picture.width))
    return (slice(top, min(top + step, picture.height)) for top in range(0, picture.height, step))


def of_real(values: np.ndarray, white: int, place: Place = nowhere) -> np.ndarray:
    """Real numbers 0 … 1 as whole ones 0 … white, uint8 of the same shape; k / white becomes k.

    Raises:
        SourceError: a value outside.
    """
    check_range(values, 1, place)
    return np.minimum(values.astype(np.float64) * (white + 1), white).astype(np.uint8)


def check_range(values: np.ndarray, white: int, place: Place = nowhere) -> None:
    """Check that all values of a picture lie between black, 0, and white.

    Raises:
        SourceError: one does not; their range is named.
    """
    if not (values.min(initial=0) >= 0 and values.max(initial=0) <= white):  # NaN neither
        found = (
            f"{'real' if values.dtype.kind == 'f' else 'whole'} numbers from {values.min():.6g} to {values.max():.6g}"
        )
        raise SourceError(f"{place(0)} holds {found}, and white is {white:,}", f"scale it to 0 to {white:,}")


def eight_bit(picture: Picture, channels: int, background: str = "white") -> np.ndarray:
    """8-bit values [C, H, W]; what is transparent shows the background."""
    from PIL import Image as pil

    if picture.mode == ("L" if channels == 1 else "RGB") and not picture.has_transparency_data:
        return np.asarray(picture).reshape(picture.height, picture.width, -1).transpose(2, 0, 1)
    picture = shallow(picture, DEPTHS[-1])
    pixels = np.empty((picture.height, picture.width, 1 if channels == 1 else 3), np.uint8)
    for rows in _strips(picture):
        strip = picture.crop((0, rows.start, picture.width, rows.stop))
        if picture.has_transparency_data:
            strip = strip.convert("RGBA")
            strip = pil.alpha_composite(pil.new("RGBA", strip.size, background), strip)
        values = np.asarray(strip.convert("L" if channels == 1 else "RGB"))
        pixels[rows] = values.reshape(pixels[rows].shape)
    return pixels.transpose(2, 0, 1)
