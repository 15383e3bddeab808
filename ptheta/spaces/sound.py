"""Sounds as events: waveforms, and spectrograms as pictures of time and frequency."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.spaces.discrete import Discrete, Image


@dataclass(frozen=True)
class Waveform(Discrete):
    """Sounds of one channel as quantised samples, [samples], whose levels are ordered.

    Args:
        samples: of one event.
        levels: values of a sample; 256 for 8-bit µ-law.

    >>> print(Waveform(8000))
    Waveform(8,000 samples, 256 levels)
    """

    kind = "waveform"
    noun = "waveforms"
    ordered = True

    def __init__(self, samples: int, levels: int = 256):
        object.__setattr__(self, "shape", (samples,))
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "sizes", None)
        self.__post_init__()

    @property
    def axes(self) -> tuple[str, ...]:
        """One axis: time, in samples."""
        return ("time",)

    def reduced(self, dimensions: int) -> Waveform:
        """A shorter sound."""
        return Waveform(min(dimensions, self.samples), self.levels)

    @property
    def samples(self) -> int:
        """Samples of one event."""
        return self.shape[0]

    def __str__(self) -> str:
        return f"Waveform({self.samples:,} samples, {self.levels} levels)"


@dataclass(frozen=True)
class Spectrogram(Image):
    """Sounds as grey pictures, [1, frames, bands]: a row is a frame, from the lowest band to the highest.

    So raster order goes through time, and what is modelled as a picture is modelled causally.

    Args:
        frames: of one event.
        bands: of frequency.
        levels: values of loudness.

    >>> Spectrogram(64, 40).dimensions
    2560
    """

    kind = "spectrogram"
    noun = "spectrograms"

    def __init__(self, frames: int, bands: int, levels: int = 256):
        super().__init__(frames, bands, 1, levels)

    @property
    def axes(self) -> tuple[str, ...]:
        """One channel, over time in frames, and bands of frequency."""
        return "channel", "time", "band"

    def reduced(self, dimensions: int) -> Spectrogram:
        """Fewer frames, and fewer bands if one frame is too much."""
        bands = min(self.bands, dimensions)
        return Spectrogram(min(self.frames, max(1, dimensions // bands)), bands, self.levels)

    @property
    def frames(self) -> int:
        """Frames of one event."""
        return self.height

    @property
    def bands(self) -> int:
        """Bands of frequency."""
        return self.width

    def __str__(self) -> str:
        return f"Spectrogram({self.frames} frames × {self.bands} bands, {self.levels} levels)"
