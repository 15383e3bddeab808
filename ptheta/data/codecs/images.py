"""Pictures ↔ events of an `Image` space."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import ContextCodec, Place, as_array, file_names, nowhere
from ptheta.data.codecs.picture_arrays import channels_first, opaque, recoloured, whole
from ptheta.data.codecs.picture_files import DEPTHS, TRAITS, Look, channels_of, eight_bit, open_picture, shallow
from ptheta.data.codecs.sizes import modest
from ptheta.data.failures import Failures
from ptheta.data.formats import BEGINNINGS
from ptheta.data.options import Binarize
from ptheta.errors import SourceError, UsageError
from ptheta.files import write_bytes
from ptheta.spaces import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BINARIZE = get_args(Binarize)

FITS: dict[str, str] = {
    "crop": "by cutting out the middle",
    "pad": "with black bars",
    "stretch": "by changing the shape",
}
"""Way of fitting → what is done to pictures, in words."""


class PictureCodec(ContextCodec):
    """Pictures ↔ events of any space: they are read from and written to picture files one at a time."""

    is_picture = True
    noun = "picture"
    height: int
    width: int
    channels: int
    fit: str
    deep: int

    @abstractmethod
    def picture(self, event: Tensor | np.ndarray) -> Picture:
        """One event as a picture."""

    def decode(self, x: Tensor | np.ndarray) -> list[Picture]:
        """Pictures, modes L or RGB."""
        return [self.picture(event) for event in as_array(x)]

    def pictures(self, x: Tensor | np.ndarray) -> list[Picture]:
        """The pictures themselves."""
        return self.decode(x)

    def remark(self, text: str) -> str | None:
        """That a picture is turned, resized or converted."""
        look = Look.of(text, lambda _: text)
        changes = [TRAITS[trait].replace("their", "its") for trait in self.conversions(look)]
        if (look.height, look.width) != (self.height, self.width):
            sizes = f"from {look.height}x{look.width} to {self.height}x{self.width} pixels"
            changes.insert(0, f"resized {sizes}{self.reshaping([(look.height, look.width)])}")
        return f"{text} is {', '.join(changes)}" if changes else None

    def conversions(self, look: Look) -> list[str]:
        """Keys of `TRAITS` of what is read differently in a picture."""
        other = {(1, 3): ["grey"], (3, 1): ["coloured"]}.get((look.channels, self.channels), [])
        return [*look.traits, *other]

    def reshaping(self, sizes: Iterable[tuple[int, int]]) -> str:
        """How pictures of some sizes (height, width) are brought to the shape of the events, if any has another one."""
        height, width = getattr(self, "aspect", None) or (self.height, self.width)
        same = all(abs(w * height - h * width) <= max(h, w, height, width) // 2 for h, w in sizes)
        return "" if same else f" {FITS[self.fit]}"

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One PNG file an event."""
        paths = []
        for name, picture in zip(file_names(len(x), stem, ".png", context_names), self.decode(x)):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            paths.append(write_bytes(Path(directory) / name, buffer.getvalue(), flush=False))
        return paths


@dataclass(frozen=True)
class ImageCodec(PictureCodec):
    """8-bit pictures, arrays of greys or packed bits ↔ levels.

    A value v of 0 … white becomes level v · levels // (white + 1); a level is shown as the value of its bin nearest to
    an even spread. Where levels = white + 1 nothing is lost.

    Args:
        height, width, channels, levels: the `Image` space; channels 1 (grey) or 3 (RGB).
        white: the value that stands for white in arrays (255, or 16 for the digits of scikit-learn, or 1).
        resize: whether pictures of other sizes are resized; otherwise they are an error.
        convert: whether RGB pictures are made grey; otherwise they are an error. Grey ones become RGB without loss.
        binarize: none; threshold (1 where v ≥ white / 2); once or epoch (1 with probability v / white).
        fit: how pictures of other sizes are resized: `crop`, `pad` or `stretch`.
        aspect: [height, width] of whose shape they are cropped or padded before they are resized, if it is not that of
            the events: so a reduced view shows the same part of a photo as the photo itself.
        deep: the value that stands for white in files of grey pictures of more than 8 bits a value.
    """

    height: int
    width: int
    channels: int = 1
    levels: int = 256
    white: int = 255
    resize: bool = False
    convert: bool = False
    binarize: str = "none"
    fit: str = "stretch"
    aspect: list[int] | None = None
    deep: int = DEPTHS[-1]

    kind = "image"
    choosy = ("resize", "convert", "fit", "aspect")

    def __post_init__(self):
        if self.channels not in (1, 3):
            raise SourceError(f"pictures of {self.channels} channels are not supported", "grey has 1, RGB has 3")
        if not (1 <= self.white <= 255 and 2 <= self.levels <= self.white + 1):
            raise UsageError(f"{self.levels} levels of pictures are not usable", f"give 2 to {self.white + 1} levels")
        if self.binarize not in BINARIZE or (self.binarize != "none" and self.levels != 2):
            raise UsageError(f"no binarisation is called {self.binarize!r}", f"choose one of {', '.join(BINARIZE)}")
        if self.deep not in DEPTHS:
            raise UsageError(f"no picture has {self.deep} for white", f"choose one of {', '.join(map(str, DEPTHS))}")
        if self.fit not in FITS:
            raise UsageError(f"no way of fitting pictures is called {self.fit!r}", f"choose one of {', '.join(FITS)}")
        if self.aspect is not None and (len(self.aspect) != 2 or min(self.aspect) < 1):
            raise UsageError(f"{self.aspect} is not a shape of pictures", "give [height, width]")

    @property
    def space(self) -> Image:
        """Image(height, width, channels, levels)."""
        return Image(self.height, self.width, self.channels, self.levels)

    @property
    def dtype(self) -> np.dtype:
        """uint8."""
        return np.dtype(np.uint8)

    @property
    def draws(self) -> bool:
        """Whether events are drawn from greys."""
        return self.binarize in ("once", "epoch")

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events of pictures, encoded pictures, arrays or bytes; a random binarisation is drawn with seed 0."""
        greys = self.greys(raw, place)
        return self.draw(greys, np.random.default_rng(0)) if self.draws else self.quantise(greys)

    def quantise(self, greys: np.ndarray) -> np.ndarray:
        """Levels of values 0 … white, same shape."""
        if self.binarize == "threshold":
            return (greys >= (self.white + 1) // 2).astype(np.uint8)
        if self.levels == self.white + 1:
            return greys
        table = (np.arange(self.white + 1) * self.levels // (self.white + 1)).astype(np.uint8)
        return table[greys]

    def draw(self, greys: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Binary events, 1 with probability grey / white, same shape."""
        x = np.empty_like(greys)
        for start in range(0, len(greys), 4096):
            rows = greys[start : start + 4096]
            x[start : start + 4096] = generator.random(rows.shape, np.float32) * self.white < rows
        return x

    def greys(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Values 0 … white, [n, channels, height, width], of pictures, encoded pictures, arrays or bytes."""
        if isinstance(raw, np.ndarray) and raw.dtype != object:
            return self._from_array(raw, place)
        if not isinstance(raw, list | tuple):
            raw = raw.tolist() if isinstance(raw, np.ndarray) else raw.to_pylist()
        greys, failures = np.empty((len(raw), *self.space.shape), np.uint8), Failures()
        for row, value in enumerate(raw):
            with failures.caught():
                greys[row] = self._one(value, lambda _, row=row: place(row))
        failures.end()
        return greys

    def _one(self, value: Any, place: Place) -> np.ndarray:
        m = self.space.dimensions
        if isinstance(value, np.ndarray):
            return self._from_array(value[None], place)[0]
        fits = isinstance(value, bytes) and (len(value) == m or (len(value) == -(-m // 8) and self.levels == 2))
        if fits and not BEGINNINGS["image"].match(value):  # a file may be as long as its pixels are many
            return self._from_bytes(value)
        picture = shallow(open_picture(value, place), self.deep, place)
        if picture.size != (self.width, self.height):
            if not self.resize:
                raise _wrong_size(picture.height, picture.width, self, place(0))
            picture = self._resized(picture)
        if channels_of(picture) > self.channels and not self.convert:
            raise _wrong_channels(3, self, place(0))
        return self._from_8_bit(eight_bit(picture, self.channels))

    def _from_8_bit(self, pixels: np.ndarray) -> np.ndarray:
        if self.white == 255:
            return pixels
        return ((pixels.astype(np.int32) * self.white * 2 + 255) // 510).astype(np.uint8)

    def _from_bytes(self, value: bytes) -> np.ndarray:
        """One byte a value, or eight packed bits a byte, highest first."""
        pixels, m = np.frombuffer(value, np.uint8), self.space.dimensions
        if len(pixels) != m:
            pixels = np.unpackbits(pixels)[:m] * np.uint8(self.white)
        return pixels.reshape(self.space.shape)

    def _from_array(self, array: np.ndarray, place: Place) -> np.ndarray:
        """Arrays [n, H, W], [n, H, W, C] or [n, C, H, W] of numbers as `whole` takes them; what is transparent shows
        white."""
        array = opaque(channels_first(whole(array, self.white, place)), self.white)
        _, channels, height, width = array.shape
        if channels != self.channels:
            if channels != 1 and not self.convert:
                raise _wrong_channels(channels, self, place(0))
            array = recoloured(array, self.channels)
        wrong = (array < 0) | (array > self.white)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise SourceError(
                f"{place(row)} holds {array[row][wrong[row]][0]}", f"values of these pictures are 0 to {self.white}"
            )
        if (height, width) == (self.height, self.width):
            return np.ascontiguousarray(array, np.uint8)
        if not self.resize:
            raise _wrong_size(height, width, self, place(0))
        from PIL import Image as pil

        greys = np.empty((len(array), *self.space.shape), np.uint8)
        for row, planes in enumerate(array.astype(np.uint8)):
            for c, plane in enumerate(planes):
                greys[row, c] = np.asarray(self._resized(pil.fromarray(plane)))
        return greys

    def _resized(self, picture: Picture) -> Picture:
        return resized(picture, self.height, self.width, self.fit, self.aspect)

    def picture(self, event: Tensor | np.ndarray) -> Picture:
        """One event [channels, height, width] as a picture."""
        from PIL import Image as pil

        pixels = self.shades()[as_array(event)]  # [C, H, W]
        return pil.fromarray(pixels[0] if self.channels == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))

    def shades(self) -> np.ndarray:
        """Level → 8-bit value: an even spread over 0 … white, kept within each level's bin."""
        k, bins = np.arange(self.levels), self.white + 1
        low = -(-k * bins // self.levels)
        high = -(-(k + 1) * bins // self.levels) - 1
        values = np.clip((2 * k * self.white + self.levels - 1) // (2 * (self.levels - 1)), low, high)
        return ((2 * values * 255 + self.white) // (2 * self.white)).astype(np.uint8)


def resized(
    picture: Picture, height: int, width: int, fit: str = "stretch", shape: Sequence[int] | None = None
) -> Picture:
    """A picture brought to a size: cut (`crop`) or framed (`pad`) about its middle to the size's shape, then resized.

    Args:
        picture: of any size.
        height, width: of the result.
        fit: `crop`, `pad` or `stretch`; as `PIL.ImageOps.fit`, `PIL.ImageOps.pad` and `resize`.
        shape: (height, width) of whose shape it is cut or framed; None: that of the result.
    """
    from PIL import Image as pil

    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("L" if picture.mode == "1" else "RGBA")
    rows, columns = shape or (height, width)
    ratio = (picture.width / picture.height) / (columns / rows)  # above 1: wider than it should be
    if fit == "crop" and ratio != 1:
        wide, high = picture.width / max(ratio, 1), picture.height * min(ratio, 1)
        left, top = (picture.width - wide) / 2, (picture.height - high) / 2
        return picture.resize((width, height), pil.Resampling.LANCZOS, box=(left, top, left + wide, top + high))
    if fit == "pad" and ratio != 1:
        inner = max(1, round(width * min(ratio, 1))), max(1, round(height / max(ratio, 1)))
        picture = picture if picture.mode in _BARS else picture.convert("RGB")
        whole = pil.new(picture.mode, (width, height), _BARS[picture.mode])
        at = round((width - inner[0]) / 2), round((height - inner[1]) / 2)
        whole.paste(picture.resize(inner, pil.Resampling.LANCZOS), at)
        return whole
    return picture.resize((width, height), pil.Resampling.LANCZOS)


_BARS: dict[str, Any] = {"L": 0, "RGB": 0, "I": 0, "I;16": 0, "LA": (0, 255), "RGBA": (0, 0, 0, 255)}
"""Mode → black."""


def _wrong_size(height: int, width: int, codec: ImageCodec, place: str) -> SourceError:
    wanted = f"{codec.height}x{codec.width}"
    least = "x".join(map(str, modest(codec.height, codec.width)))
    return SourceError(
        f"{place} is {height}x{width} pixels, not {wanted}",
        f"resize to {wanted} (height x width), or fit with --size {least}",
    )


def _wrong_channels(channels: int, codec: ImageCodec, place: str) -> SourceError:
    names = {1: "grey", 3: "rgb"}
    return SourceError(
        f"{place} is {names.get(channels, f'{channels}-channel')}, not {names[codec.channels]}",
        f"convert it, or fit with --colour {names[codec.channels]}",
    )
