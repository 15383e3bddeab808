"""Sounds: WAV files, and pictures of spectrograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import SoundCodec
from ptheta.data.codecs.waves import wave_bytes
from ptheta.data.formats import SOUNDS
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.pictures import Pictures
from ptheta.reporting.markup import Html, figure, joined, panels, paragraph, player
from ptheta.reporting.pictures import enlarged, headed, save_picture

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SoundT = TypeVar("SoundT", bound=SoundCodec)

LISTENED = 8
"""Sounds in the overview of a run."""

ACROSS = 192
"""Pixels across of a picture of a sound, about."""

PLAYERS = 4
"""Sounds of each set that a report plays."""

PLAYED = 2**21
"""Bytes of all sounds of a report, at most, before they are written as text; what is longer is cut."""

AXES = "time to the right, pitch upwards, loud is bright"
"""What a picture of a sound shows."""


class Sounds(Exhibit[SoundT]):
    """Sounds: listened to, not looked at."""

    overview = LISTENED
    each = 1
    suffixes = SOUNDS
    example = "sound.wav"

    @classmethod
    def of(cls, codec: SoundT) -> Exhibit[SoundT]:
        """Spectrograms are looked at too."""
        return Spectrograms(codec) if codec.is_picture else cls(codec)

    def remark(self, file: str | Path) -> str | None:
        """That a sound is resampled, or cut."""
        return self.codec.remark(str(file))

    def samples(self, several: Mapping[str, Tensor], rows: np.ndarray, given: Given | None) -> Html:
        """Some sounds of each set to listen to."""
        chosen = torch.from_numpy(rows[:PLAYERS].copy())
        names = [None] * len(chosen) if given is None else given[chosen].names
        rate = self.codec.rate
        most = PLAYED // (2 * max(1, len(several) * len(chosen)))  # samples of two bytes
        figures = []
        for title, x in several.items():
            for number, (sound, name) in enumerate(zip(self.codec.decode(x[chosen]), names), 1):
                cut = f", the first {most / rate:.1f} of {len(sound) / rate:.1f} s" if len(sound) > most else ""
                caption = f"{title}, {number}" + (f": {name}" if name else "") + cut
                figures.append(figure(player(wave_bytes(sound[:most], rate), caption), caption))
        return panels(figures)

    def write_overview(self, x: Tensor, folder: Path, given: Given | None) -> list[Path]:
        """Some sounds, and all events as one sheet if they are looked at too."""
        sheet = self.sheet(x, given)
        files = [] if sheet is None else [save_picture(sheet, folder / "samples.png")]
        rows = np.unique(np.linspace(0, len(x) - 1, LISTENED).astype(np.int64))
        names = None if given is None else given[rows].names
        return [*files, *self.codec.write(x[rows], folder / "samples", context_names=names)]


class Spectrograms(Sounds[SoundT], Pictures[SoundT]):
    """Sounds whose spectrograms are looked at."""

    overview = Exhibit.overview

    def drawn(self, x: Tensor) -> list[Picture]:
        """Spectrograms large enough to look at."""
        return [enlarged(picture, ACROSS) for picture in self.codec.pictures(x)]

    def sheet(self, x: Tensor, given: Given | None = None, *, most: int | None = None) -> Picture:
        """A grid that says how to read it."""
        return headed(super().sheet(x, given, most=most), [AXES])

    def samples(self, several: Mapping[str, Tensor], rows: np.ndarray, given: Given | None) -> Html:
        """Spectrograms, and some of them to listen to."""
        heard = super().samples(several, rows, given)
        words = "To listen to; the phase of these sounds is estimated, since spectrograms have none."
        return joined([Pictures.samples(self, several, rows, given), paragraph(words, cls="how"), heard])

    def laid(self, pixels: Tensor) -> Tensor:
        """Pictures show time from left to right and low bands at the bottom; events have a row for each frame."""
        return super().laid(pixels.flip(0).T)
