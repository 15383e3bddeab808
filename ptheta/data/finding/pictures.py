"""Finding the codec of a column of pictures, encoded or as arrays or bytes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.picture_arrays import channels_first
from ptheta.data.codecs.picture_files import DEPTHS, TRAITS, Look, brightest, depth_of
from ptheta.data.codecs.sizes import MODEST, modest
from ptheta.data.failures import Failures
from ptheta.data.options import NATIVE, Pictures
from ptheta.data.sources.chunk_values import as_numpy, missing, take
from ptheta.data.sources.tables import Source, Table
from ptheta.data.splits import Split
from ptheta.errors import SourceError
from ptheta.remarks import remark
from ptheta.spaces import Grid, Image, Space

LARGE = 64**2
"""Pixels of pictures of one size up to which they stay as they are."""

SURVEYED = 20_000
"""Pictures of a split whose sizes are looked at, at most."""


@dataclass(frozen=True)
class Survey:
    """The sizes of a column of encoded pictures, and what they will become besides resized.

    Attributes:
        sizes: (height, width) of the pictures looked at, [n, 2].
        channels, levels: of the events.
        palette: colours of the palette they become, or None.
        looks: how often each kind of picture occurs besides its size, with the place of the first one.
        deep: the value that stands for white in grey ones of more than 8 bits a value.
    """

    sizes: np.ndarray
    channels: int
    levels: int
    palette: int | None
    looks: dict[Look, tuple[int, str]] = field(default_factory=dict)
    deep: int = DEPTHS[-1]

    @property
    def needs_size(self) -> bool:
        """Whether they differ in size, or are larger than `LARGE`."""
        return bool((self.sizes != self.sizes[0]).any()) or int(self.sizes[0].prod()) > LARGE

    def about(self, pixels: float) -> tuple[int, int]:
        """A size of about this many pixels in the median shape of the pictures, at most as large as their median."""
        ratio = float(np.median(self.sizes[:, 1] / self.sizes[:, 0]))
        height, width = map(float, np.median(self.sizes, 0))
        return modest(min(height, width / ratio), min(width, height * ratio), pixels)

    def space(self, height: int, width: int) -> Space:
        """Space of the events at a size."""
        return Grid(height, width, self.palette) if self.palette else Image(height, width, self.channels, self.levels)

    @property
    def size_text(self) -> str:
        """Their sizes in words."""
        areas = self.sizes.prod(1)
        if (areas == areas[0]).all():
            several = [f"{h}×{w}" for h, w in np.unique(self.sizes, axis=0).tolist()]
            return f"{several[0]} pixels" if len(several) == 1 else f"{several[0]} to {several[-1]} pixels"
        least, most = (f"{h}×{w}" for h, w in (self.sizes[areas.argmin()], self.sizes[areas.argmax()]))
        return f"{least} to {most} pixels"


def survey(source: Source, name: str, options: Pictures = Pictures()) -> Survey | None:  # noqa: B008
    """The sizes of a column of encoded pictures, from their headers; None if they are arrays or bytes, or missing.

    Raises:
        UnusableFiles: some cannot be read; all of them are named.
    """
    if source.columns[name].kind != "image":
        return None
    if name not in source.seen:
        source.seen[name] = _looked_at(source, name)
    found: Survey | None = source.seen[name]
    if found is None:
        return None
    levels = 2 if options.binarize != "none" else options.levels or 256
    return replace(found, channels=options.channels or found.channels, levels=levels, palette=options.palette)


def _looked_at(source: Source, name: str) -> Survey | None:
    """Header after header; pictures of more than 8 bits a value are read for their range, and all if one is damaged."""
    sizes: list[tuple[int, int]] = []
    looks: dict[Look, tuple[int, str]] = {}
    failures, brightest_one = Failures(), 0
    for table in source.tables.values():
        seen = 0
        for chunk in table.chunks([name]):
            values = chunk[name] if isinstance(chunk[name], list) else chunk[name].to_pylist()
            for row, value in enumerate(values[: SURVEYED - seen]):
                if value is None:
                    continue

                def place(_: int, table: Table = table, row: int = seen + row) -> str:
                    return table.place(row)

                with failures.caught():
                    look = Look.of(value, place)
                    sizes.append((look.height, look.width))
                    look = replace(look, height=0, width=0)
                    count, first = looks.get(look, (0, place(0)))
                    looks[look] = count + 1, first
                    if "deep" in look.traits or failures.found:
                        brightest_one = max(brightest_one, brightest(value, place))
            seen += len(values)
            if seen >= SURVEYED:
                break
    failures.end()
    if not sizes:
        return None
    channels = max(look.channels for look in looks)
    return Survey(np.array(sizes), channels, 256, None, looks, depth_of(brightest_one))


def sized(
    source: Source, event: str | None, contexts: list[tuple[str, bool]], options: Pictures
) -> tuple[Pictures, list[str]]:
    """Options with a size and a way of fitting for pictures, and notes about pictures that change.

    One size serves the event and the contexts. Without one given, pictures of mixed sizes or larger than `LARGE`, are
    brought to a size that `options.size` finds if it is a function, or to a modest one.

    Args:
        source: with its tables.
        event: column of pictures that is the event; None: the event is not a picture.
        contexts: columns of pictures, and whether their view has a size of its own.
        options: as given.
    """
    names = list(dict.fromkeys(([] if event is None else [event]) + [name for name, _ in contexts]))
    found = {name: one for name in names if (one := survey(source, name, options)) is not None}
    if options.size != NATIVE and not options.sides:
        alone = {name for name, own in contexts if not own}
        needing = [name for name in found if (name == event or name in alone) and found[name].needs_size]
        if needing:
            own = found.get(needing[0] if event is None else event)
            if own is None:  # the events are arrays, whose size is theirs
                return options, []
            if not own.needs_size:
                size = tuple(map(int, own.sizes[0]))
            elif event is not None and callable(options.size):
                size = options.size(own)
            else:
                size = own.about(MODEST)
            options = replace(options, size="{}x{}".format(*size))
            return options, changed(found[needing[0]], _plain(options), "; --size HxW for another")
    if not options.sides:
        return options, []
    changes = [changed(one, _plain(options)) for name, one in found.items() if name == event or len(found) == 1]
    return options, [note for notes in changes for note in notes]


def _plain(options: Pictures) -> ImageCodec:
    """The codec of grey pictures of the options' size."""
    assert options.sides is not None
    return ImageCodec(*options.sides, fit=options.fit or "crop")


def changed(found: Survey, codec: PictureCodec, other: str = "") -> list[str]:
    """A sentence on pictures that a codec brings to its size, if any are not of it."""
    size = codec.height, codec.width
    if (found.sizes == np.array(size)).all():
        return []
    how = codec.reshaping(map(tuple, np.unique(found.sizes, axis=0).tolist()))
    return [f"pictures of {found.size_text}, resized to {size[0]}×{size[1]}{how}{other}"]


def remarks_of(source: Source, name: str, codec: PictureCodec) -> list[str]:
    """What a run's codec does to new pictures, in sentences."""
    found = survey(source, name)
    if found is None:
        return []
    return converted(found, name, codec) + (changed(found, codec) if getattr(codec, "resize", False) else [])


def converted(found: Survey, name: str, codec: PictureCodec, *, asked: bool = False) -> list[str]:
    """What of the pictures of a column is read differently than it is stored, in sentences.

    Args:
        found: of the column.
        name: of the column.
        codec: that reads them.
        asked: whether their colour was asked for, which is then no news.
    """
    counts: dict[str, tuple[int, str]] = {}
    for look, (count, first) in found.looks.items():
        for trait in codec.conversions(look):
            if asked and trait in ("grey", "coloured"):
                continue
            before, place = counts.get(trait, (0, first))
            counts[trait] = before + count, place
    total = len(found.sizes)
    notes = []
    for trait, text in TRAITS.items():
        if trait in counts:
            count, place = counts[trait]
            range_of = f" from 0 to {codec.deep:,}" if trait == "deep" else ""
            notes.append(f"{name}: {count:,} of {total:,} pictures are {text}{range_of}, such as {place}")
    return notes


def picture_codec(source: Source, name: str, options: Pictures) -> tuple[ImageCodec, list[str]]:
    """Codec for the pictures in a column, as large and as coloured as the first unless the options say otherwise."""
    table = next(iter(source.tables.values()))
    first = next(table.chunks([name]))[name]
    kind = source.columns[name].kind
    if kind != "array" and not (absent := missing(first)).all():
        first = take(first, np.flatnonzero(~absent))
    notes: list[str] = []
    white, deep, found = source.white or 255, DEPTHS[-1], survey(source, name)
    if kind == "bytes":
        height, width, channels, bits, note = _bytes_shape(first, name, options)
        notes.append(note)
        white = 1 if bits else white
    elif kind == "array":
        _, channels, height, width = channels_first(as_numpy(first, name)[:1]).shape
        if channels == 4:
            remark(f"{name}: arrays of four channels are red, green, blue and opacity, shown on white")
            channels = 3
        if source.white is None and _is_two_toned(source, name):
            white = 1
    else:
        if found is None:
            raise SourceError(f"column {name!r} has no pictures", "choose another column")
        (height, width), channels, deep = found.sizes[0].tolist(), found.channels, found.deep
    own = height, width
    if options.sides:
        height, width = options.sides
    levels = 2 if options.binarize != "none" else options.levels or white + 1
    if levels > white + 1:
        raise SourceError(f"these pictures have {white + 1} levels, not {levels}", f"give at most {white + 1} levels")
    resize = options.sides is not None and kind != "bytes"
    fit = (options.fit or "crop") if resize else "stretch"
    aspect = None
    if options.aspect and resize and fit != "stretch" and options.aspect[0] == name:
        rows, columns = options.aspect[1:]
        aspect = None if rows * width == columns * height else [rows, columns]
    convert = options.channels is not None
    if options.palette and kind != "bytes":
        channels = 3  # grey pictures among them are read as RGB
    channels = options.channels or channels
    codec = ImageCodec(height, width, channels, levels, white, resize, convert, options.binarize, fit, aspect, deep)
    if found is not None:
        for text in converted(found, name, codec, asked=options.channels is not None):
            remark(text)
    if kind == "array":
        notes += changed(Survey(np.array([own]), channels, levels, None), codec)
    return codec, notes


def _is_two_toned(source: Source, name: str) -> bool:
    """Whether all numbers of a column of arrays are 0 or 1."""
    chunks = (as_numpy(chunk[name], name) for table in source.tables.values() for chunk in table.chunks([name]))
    return all(bool(((values == 0) | (values == 1)).all()) for values in chunks)


def _bytes_shape(first: Any, name: str, options: Pictures) -> tuple[int, int, int, bool, str]:
    """Height, width, channels of a column of bytes, and whether they are packed bits.

    They are bits if two levels are asked for, or if the column is called `bits` and nothing else is; otherwise one byte
    is one value.
    """
    length = len(first[0].as_py())
    bits = options.levels == 2 or (options.levels is None and options.binarize == "none" and name == "bits")
    channels = options.channels or 1
    values = 8 * length if bits else length
    if options.sides:
        height, width = options.sides
    else:
        height = width = math.isqrt(values // channels)
    m = height * width * channels
    if (-(-m // 8) if bits else m) != length:
        raise SourceError(
            f"{length} bytes of column {name!r} are not {'packed bits' if bits else 'bytes'} of a picture of"
            f" {height}x{width}", "give --size HxW, and --levels 2 if they are packed bits"
        )  # fmt: skip
    what = f"packed bits, highest first, of {height}×{width} pixels" if bits else f"one byte a value, {height}×{width}"
    return height, width, channels, bits, f"column {name}: {length} bytes read as {what}"


def two_valued(codec: ImageCodec, splits: dict[str, Split]) -> ImageCodec:
    """Where all 8-bit values are 0 or 255, the codec of two levels; the splits are recoded in place."""
    if codec.levels != 256 or not all(_is_two_valued(split.x) for split in splits.values()):
        return codec
    for split in splits.values():
        split.x //= 255
    return dataclasses.replace(codec, levels=2)


def _is_two_valued(x: np.ndarray) -> bool:
    head = x[:16]
    if ((head != 0) & (head != 255)).any():
        return False
    counts = np.zeros(256, np.int64)
    for start in range(0, len(x), 4096):
        counts += np.bincount(x[start : start + 4096].reshape(-1), minlength=256)
    return counts[0] + counts[255] == x.size and counts[255] > 0
