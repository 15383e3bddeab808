"""Sounds ↔ log-mel spectrograms, seen as grey pictures, and back by Griffin and Lim's algorithm."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import as_array, compact
from ptheta.data.codecs.sounds import FEWER, SoundCodec
from ptheta.data.codecs.waves import audio_library
from ptheta.data.options import Sounds
from ptheta.errors import UsageError
from ptheta.spaces import Spectrogram

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

HOP, WINDOW = 16.0, 32.0
"""Milliseconds from a frame to the next, and of a frame, unless asked otherwise."""

BANDS = ((8_000, 32), (np.inf, 64))
"""Rate up to which there are this many bands unless asked otherwise."""

FLOOR = 1e-10
"""Least power of a band: −100 dB."""

ITERATIONS = 60
"""Of Griffin and Lim's algorithm."""


@dataclass(frozen=True)
class SpectrogramCodec(SoundCodec):
    """Sounds ↔ levels of loudness [1, frames, bands], from the first frame and the lowest band on.

    The power of a band in a frame (Hann window, mel filters of librosa), in dB, becomes level
    round((dB − low) / (high − low) · (levels − 1)), clipped. Frames after the end of a sound are level 0. Back: the
    filters are inverted by non-negative least squares, and phases found by Griffin and Lim (1984), from the same random
    ones every time.

    Args:
        rate: in Hz.
        hop: samples from a frame to the next.
        window: samples of a frame.
        bands: of the mel scale, from 0 to half the rate.
        frames: of one event.
        low, high: dB of the least and the highest level.
        levels: of loudness.
    """

    rate: int
    hop: int
    window: int
    bands: int
    frames: int
    low: float = -80.0
    high: float = 20.0
    levels: int = 256

    kind = "spectrogram"
    is_picture = True

    @classmethod
    def of(cls, rate: int, seconds: float, options: Sounds) -> SpectrogramCodec:
        """The codec of sounds of some length, as the options want it; its range of loudness is to be found.

        Args:
            rate: in Hz.
            seconds: length of an event.
            options: hop, bands and levels.

        Raises:
            UsageError: more bands than such frames tell apart.
        """
        hop = max(1, round((options.hop or HOP) * rate / 1000))
        window = max(round(WINDOW * rate / 1000), 2 * hop)
        bands = options.bands or next(bands for most, bands in BANDS if rate <= most)
        codec = cls(rate, hop, window, bands, 1 + int(seconds * rate) // hop, levels=options.levels or 256)
        if codec.empty_bands:
            raise UsageError(
                f"{bands} bands are too many for frames of {window} samples: {codec.empty_bands} would be empty",
                "give fewer --bands, or a longer --hop",
            )
        return codec

    def __post_init__(self):
        if min(self.rate, self.hop, self.bands, self.frames) < 1 or self.window < max(2, self.hop) or self.levels < 2:
            raise ValueError("sizes are positive, a window is no shorter than a hop, and there are two levels or more")
        if not self.low < self.high:
            raise ValueError("low is less than high")

    @property
    def space(self) -> Spectrogram:
        """Spectrogram(frames, bands, levels)."""
        return Spectrogram(self.frames, self.bands, self.levels)

    @property
    def dtype(self) -> np.dtype:
        """uint8 up to 256 levels."""
        return compact(self.levels)

    @property
    def samples(self) -> int:
        """Samples that begin no frame beyond the last."""
        return self.frames * self.hop

    @property
    def frames_text(self) -> str:
        """What a frame is, in words."""
        window, every = (f"{length * 1000 / self.rate:.3g} ms" for length in (self.window, self.hop))
        return f"frames of {window} every {every}, {self.bands} mel bands"

    def smaller(self) -> Iterator[tuple[str, Spectrogram]]:
        """Longer hops, which make fewer frames."""
        for k in FEWER:
            fewer = Spectrogram(max(1, self.frames // k), self.bands, self.levels)
            yield f"--hop {1000 * self.hop * k / self.rate:g}", fewer

    @cached_property
    def _filters(self) -> np.ndarray:
        librosa = audio_library("librosa", "a spectrogram")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty bands, which `empty_bands` counts
            return librosa.filters.mel(sr=self.rate, n_fft=self.window, n_mels=self.bands)  # [bands, window // 2 + 1]

    @property
    def empty_bands(self) -> int:
        """Bands that hold no frequency, because they are many and the window is short."""
        return int((self._filters.max(1) == 0).sum())

    def decibels(self, sound: np.ndarray) -> np.ndarray:
        """Power of every frame and band in dB, float32 [k, bands], of samples at the codec's rate."""
        librosa = audio_library("librosa", "a spectrogram")
        k = 1 + len(sound) // self.hop
        padded = np.pad(sound, (0, max(0, self.window - len(sound))))
        spectrum = librosa.stft(padded, n_fft=self.window, hop_length=self.hop)[:, :k]
        power = self._filters @ (np.abs(spectrum) ** 2)  # [bands, k]
        return 10 * np.log10(np.maximum(power, FLOOR)).T.astype(np.float32)

    def event(self, sound: np.ndarray) -> np.ndarray:
        """Levels [1, frames, bands]."""
        x = np.zeros(self.space.shape, self.dtype)
        loudness = (self.decibels(sound)[: self.frames] - self.low) / (self.high - self.low)
        x[0, : len(loudness)] = np.rint(np.clip(loudness, 0, 1) * (self.levels - 1))
        return x

    def sound(self, event: np.ndarray) -> np.ndarray:
        """Samples [k]; frames of level 0 at the end are left out."""
        librosa = audio_library("librosa", "a spectrogram")
        loud = np.flatnonzero(event[0].any(1))
        if not len(loud):
            return np.zeros(self.hop, np.float32)
        k = max(int(loud[-1]) + 1, 2)
        levels = np.zeros((self.bands, max(k, 1 + self.window // self.hop)), np.float32)  # as long as a window at least
        levels[:, :k] = event[0, :k].T
        decibels = self.low + levels / (self.levels - 1) * (self.high - self.low)
        power = np.where(levels > 0, 10 ** (decibels / 10), 0).astype(np.float32)
        spectrum = librosa.feature.inverse.mel_to_stft(power, sr=self.rate, n_fft=self.window)
        sound = librosa.griffinlim(spectrum, n_iter=ITERATIONS, hop_length=self.hop, n_fft=self.window, random_state=0)
        return sound[: self.hop * (k - 1)].astype(np.float32, copy=False)

    def pictures(self, x: Tensor | np.ndarray) -> list[Picture]:
        """Events as grey pictures."""
        return [self.picture(event) for event in as_array(x)]

    def upright(self, values: Tensor) -> Tensor:
        """Values [n, 1, frames, bands] as [n, 1, bands, frames], the lowest band last."""
        return values.transpose(-1, -2).flip(-2)

    def picture(self, event: Tensor | np.ndarray) -> Picture:
        """One event as a grey picture: time from left to right, low bands at the bottom."""
        from PIL import Image as pil

        levels = as_array(event)[0].T[::-1].astype(np.int64)
        return pil.fromarray((levels * 255 // (self.levels - 1)).astype(np.uint8))
