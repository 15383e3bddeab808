"""Finding the palette of training pictures by k-means."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ptheta.data.codecs.images import ImageCodec
from ptheta.data.codecs.palette import PIXELS, PaletteCodec, nearest, packed, rgb, unpacked
from ptheta.data.splits import Split, allocate
from ptheta.errors import SourceError
from ptheta.numbers import plural

SAMPLED = 500_000
"""Training pixels that k-means looks at."""

BATCH = 2**14
"""Pixels of one step of k-means."""

SPREAD = 4096
"""Colours up to which k-means begins with k-means++; beyond, where that takes hours, with random pixels."""


def palette_codec(
    codec: ImageCodec, splits: dict[str, Split], colours: int, seed: int
) -> tuple[PaletteCodec, dict[str, Split], list[str]]:
    """The codec of a palette fitted to the training pictures, all splits as its tokens, and a note on what was lost.

    Args:
        codec: of the pictures, without loss; `splits` are its events.
        splits: only train is looked at for the palette.
        colours: K, the size of the palette.
        seed: of the sample of pixels and of k-means.

    Raises:
        SourceError: the training pictures have fewer colours.
    """
    train = splits["train"].x
    palette, how = find_palette(codec, train, colours, seed)
    size, colour = (codec.height, codec.width), palette.tolist()
    made = PaletteCodec(*size, colour, codec.channels, codec.white, codec.resize, codec.fit, codec.deep)
    tokens = {name: replace(split, x=_tokens(made, split.x)) for name, split in splits.items()}
    error = _error(codec, train, palette, tokens["train"].x)
    lost = f"mean squared error {error:.2f} per 8-bit sub-pixel of train, PSNR {_psnr(error):.1f} dB"
    return made, tokens, [f"palette: {how}; {lost if error else 'nothing is lost on train'}"]


def find_palette(codec: ImageCodec, x: np.ndarray, colours: int, seed: int) -> tuple[np.ndarray, str]:
    """A palette [colours, 3], by luminance, and how it was fitted.

    The centres of k-means on a sample of pixels, rounded. Where rounding makes two centres one, the colour of the
    pictures that is farthest from the palette takes the free place; if the pictures have just as many colours as asked
    for, the palette is these.

    Args:
        codec: of the pictures.
        x: its events [n, channels, height, width].
        colours: how many.
        seed: of the sample and of k-means.

    Raises:
        SourceError: the pictures have fewer colours.
    """
    present = unpacked(np.flatnonzero(_present(codec, x)))  # [number of distinct colours, 3]
    if len(present) < colours:
        have = plural(len(present), "distinct colour")
        raise SourceError(
            f"the training pictures have {have}, fewer than the {colours:,} asked for",
            f"give --palette {len(present)} or less" if len(present) > 1 else "give other pictures",
        )
    if len(present) == colours:
        return by_luminance(present), f"the {colours:,} colours of the training pictures"
    pixels = _sample(codec, x, seed)
    found = np.unique(_centres(pixels, colours, seed), axis=0)
    if lacking := colours - len(found):
        distance = ((present.astype(np.int32) - found[nearest(found, present)]) ** 2).sum(1)
        found = np.concatenate([found, present[np.argsort(-distance, kind="stable")[:lacking]]])
    total = math.prod(x.shape) // x.shape[1]
    drawn = f"{len(pixels):,} pixels drawn from the " if len(pixels) < total else "the "
    return by_luminance(found), f"{colours:,} colours by k-means on {drawn}{total:,} training pixels"


def by_luminance(colours: np.ndarray) -> np.ndarray:
    """RGB colours [K, 3], dark to bright (luma of ITU-R 601); equally bright ones by their own numbers."""
    luma = colours.astype(np.int64) @ np.array([299, 587, 114])
    return colours[np.lexsort((packed(colours), luma))]


def _present(codec: ImageCodec, x: np.ndarray) -> np.ndarray:
    """Which packed colours occur, bool [2²⁴]."""
    present = np.zeros(2**24, bool)
    for rows in _rows(x):
        present[packed(rgb(codec, x[rows]))] = True
    return present


def _sample(codec: ImageCodec, x: np.ndarray, seed: int) -> np.ndarray:
    """RGB pixels [N, 3]: all, or beyond `SAMPLED` that many drawn with the seed."""
    n, channels, height, width = x.shape
    total = n * height * width
    if total > SAMPLED:
        index = np.sort(np.random.default_rng(seed).integers(total, size=SAMPLED))
    else:
        index = np.arange(total)
    event, pixel = np.divmod(index, height * width)
    drawn = x.reshape(n, channels, height * width)[event, :, pixel]  # [N, channels]
    return rgb(codec, drawn[:, :, None, None])[:, 0, 0]


def _centres(pixels: np.ndarray, colours: int, seed: int) -> np.ndarray:
    """Centres of k-means [colours, 3], rounded to uint8. One thread, so that it is the same on any number of cores."""
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    start = "k-means++" if colours <= SPREAD else "random"
    means = MiniBatchKMeans(
        colours,
        init=start,
        batch_size=BATCH,
        n_init=1,  # type: ignore[arg-type]
        random_state=seed % 2**32,
    )
    with threadpool_limits(1):
        means.fit(pixels.astype(np.float32))
    return np.clip(np.rint(means.cluster_centers_), 0, 255).astype(np.uint8)


def _tokens(codec: PaletteCodec, x: np.ndarray) -> np.ndarray:
    """Tokens [n, height, width] of events [n, channels, height, width]; on disk if they are many."""
    tokens = allocate((len(x), *codec.space.shape), codec.dtype)
    for rows in _rows(x):
        tokens[rows] = codec.tokens(x[rows])
    return tokens


def _error(codec: ImageCodec, x: np.ndarray, palette: np.ndarray, tokens: np.ndarray) -> float:
    """Mean squared error of a sub-pixel, in 8-bit values."""
    total = 0
    for rows in _rows(x):
        total += int(((rgb(codec, x[rows]).astype(np.int32) - palette[tokens[rows]]) ** 2).sum())
    return total / (3 * tokens.size)


def _psnr(error: float) -> float:
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _rows(x: np.ndarray):
    """Slices of events of about `PIXELS` pixels."""
    size = max(1, PIXELS // math.prod(x.shape[2:]))
    return (slice(start, start + size) for start in range(0, len(x), size))
