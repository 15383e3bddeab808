"""Sounds ↔ events: what all codecs of sounds share, and µ-law waveforms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import ContextCodec, Place, as_array, compact, file_names, nowhere
from ptheta.data.codecs.waves import as_samples, cancels, read_channels, read_sound, resampled, write_wave
from ptheta.data.failures import Failures
from ptheta.numbers import joined
from ptheta.spaces import Space, Waveform

FEWER = (2, 4, 8, 16)
"""This many times smaller events are proposed where a sound is too large."""


class SoundCodec(ContextCodec):
    """Sounds ↔ events of any space, all at one rate, cut or padded to one length."""

    noun = "sound"
    rate: int

    @property
    @abstractmethod
    def samples(self) -> int:
        """Samples of an event's sound, at most."""

    @abstractmethod
    def event(self, sound: np.ndarray) -> np.ndarray:
        """The event of a sound, samples [k] at the codec's rate; what is too long is cut."""

    @abstractmethod
    def sound(self, event: np.ndarray) -> np.ndarray:
        """The sound of one event, float32 [k]."""

    @abstractmethod
    def smaller(self) -> Iterator[tuple[str, Space]]:
        """Flags that make events smaller, with the spaces that they give."""

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events of sounds: files, as paths, bytes or dicts of `datasets`, or arrays [k] at the codec's rate.

        Raises:
            SourceError: as `read_sound` and `as_samples`.
        """
        values = raw if isinstance(raw, list | tuple | np.ndarray) else raw.to_pylist()
        x, failures = np.empty((len(values), *self.space.shape), self.dtype), Failures()
        for row, value in enumerate(values):

            def where(_: int, row: int = row) -> str:
                return place(row)

            with failures.caught():
                if isinstance(value, np.ndarray):
                    x[row] = self.event(as_samples(value, where))
                else:
                    samples, rate = read_sound(value, where)
                    x[row] = self.event(resampled(samples, rate, self.rate))
        failures.end()
        return x

    def decode(self, x: Tensor | np.ndarray) -> list[np.ndarray]:
        """Sounds, float32 [k] each, at the codec's rate; without the padding at their end."""
        return [self.sound(event) for event in as_array(x)]

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One 16-bit WAV file an event."""
        names = file_names(len(x), stem, ".wav", context_names)
        return [write_wave(sound, self.rate, Path(directory) / name) for name, sound in zip(names, self.decode(x))]

    def remark(self, text: str) -> str | None:
        """That the channels of a sound are averaged, and that it is resampled, or cut."""
        samples, rate = read_channels(text, lambda _: text)
        changes = []
        if samples.shape[1] > 1:
            lost = ", which cancel each other out," * cancels(samples)
            changes.append(f"the mean of its {samples.shape[1]} channels{lost}")
        if rate != self.rate:
            changes.append(f"resampled from {rate:,} to {self.rate:,} Hz")
        if len(samples) * self.rate > self.samples * rate:
            changes.append(f"cut from {len(samples) / rate:.2f} to {self.samples / self.rate:.2f} s")
        return f"{text} is {joined(changes)}" if changes else None


@dataclass(frozen=True)
class WaveformCodec(SoundCodec):
    """Sounds ↔ µ-law samples (ITU-T G.711; as events: van den Oord et al. 2016, WaveNet).

    A sample s becomes level round((F(s) + 1) / 2 · µ), F(s) = sgn(s) ln(1 + µ|s|) / ln(1 + µ), µ = levels − 1. After
    its end a sound is 0.

    Args:
        rate: in Hz.
        length: samples of one event.
        levels: of a sample.

    >>> codec = WaveformCodec(8000, 4)
    >>> codec.encode([np.array([1.0, -1.0, 0.5])]).tolist()
    [[255, 0, 239, 128]]
    """

    rate: int
    length: int
    levels: int = 256

    kind = "waveform"
    named_unit = "sample"

    def __post_init__(self):
        if self.rate < 1 or self.length < 1 or self.levels < 2:
            raise ValueError("rate and length are positive, and there are two levels or more")

    @property
    def space(self) -> Waveform:
        """Waveform(length, levels)."""
        return Waveform(self.length, self.levels)

    @property
    def dtype(self) -> np.dtype:
        """uint8 up to 256 levels."""
        return compact(self.levels)

    @property
    def samples(self) -> int:
        """The length."""
        return self.length

    def smaller(self) -> Iterator[tuple[str, Waveform]]:
        """Shorter sounds."""
        for k in FEWER:
            shorter = Waveform(self.length // k, self.levels)
            yield f"--seconds {shorter.samples / self.rate:.2g}", shorter

    @property
    def zero(self) -> int:
        """The level of silence."""
        return int(self._levels(np.zeros(1))[0])

    def event(self, sound: np.ndarray) -> np.ndarray:
        """Levels [length]."""
        x = np.full(self.length, self.zero, self.dtype)
        x[: len(sound)] = self._levels(sound[: self.length])
        return x

    def _levels(self, samples: np.ndarray) -> np.ndarray:
        mu, s = self.levels - 1, np.clip(samples.astype(np.float64), -1, 1)
        return np.floor((np.sign(s) * np.log1p(mu * np.abs(s)) / np.log1p(mu) + 1) / 2 * mu + 0.5).astype(self.dtype)

    def sound(self, event: np.ndarray) -> np.ndarray:
        """Samples [k]; silence at the end is left out, but for one sample."""
        loud = np.flatnonzero(event != self.zero)
        mu, kept = self.levels - 1, event[: loud[-1] + 1 if len(loud) else 1]
        y = 2 * kept.astype(np.float64) / mu - 1
        return (np.sign(y) * ((1 + mu) ** np.abs(y) - 1) / mu).astype(np.float32)
