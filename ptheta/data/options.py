"""The options of `load`, checked once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ptheta.data.codecs.images import BINARIZE, FITS
from ptheta.data.codecs.palette import MAX_COLOURS
from ptheta.data.codecs.text import UNITS
from ptheta.errors import UsageError, nearest

TOKENIZERS = tuple(UNITS)
"""Names of tokenizers."""

VOCABULARIES = (257, 2**20)
"""Fewest and most tokens of a vocabulary of BPE: all bytes, and at least one more."""

KINDS = ("auto", "mixed", "real", "categories")
"""What the columns of a table can be taken for."""

SOUND = ("spectrogram", "waveform")
"""What a sound can be as an event."""

SOUND_LIMITS = {"rate": (100, 192_000), "seconds": (0.01, 3600), "bands": (1, 1024), "hop": (0.1, 1000)}
"""Least and most of Hz, seconds, bands and milliseconds."""

NATIVE = "native"
"""The size of pictures that stay as they are."""

COLOURS = {"grey": 1, "rgb": 3}
"""Colour → channels."""


@dataclass(frozen=True)
class Options:
    """What the user asked of the events; None where the data decide. See `load`.

    `chooser` chooses a size for pictures that need one, from a `finding.pictures.Survey`; `native` forbids it.
    `aspect` is the column of the event and its height and width: a reduced view of it is cropped or padded alike.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    levels: int | None = None
    palette: int | None = None
    binarize: str = "none"
    length: int | None = None
    tokenizer: str | None = None
    vocabulary: int | None = None
    columns: str = "auto"
    whole: bool = False
    sound: str = "spectrogram"
    rate: int | None = None
    seconds: float | None = None
    bands: int | None = None
    hop: float | None = None
    limit: int | None = None
    validation: float | None = None
    seed: int = 0
    fit: str | None = None
    chooser: Callable[..., tuple[int, int]] | None = None
    native: bool = False
    aspect: tuple[str, int, int] | None = None

    @classmethod
    def of(
        cls, size: Any, colour: Any, levels: Any, palette: int | None, binarize: str, length: Any, **rest: Any
    ) -> Options:
        """Options from the arguments of `load`.

        Raises:
            UsageError: a value that makes no sense.
        """
        if colour is not None and colour not in COLOURS:
            raise UsageError(f"no colour is called {colour!r}", nearest(str(colour), list(COLOURS)))
        if binarize not in BINARIZE:
            raise UsageError(f"no binarisation is called {binarize!r}", nearest(str(binarize), list(BINARIZE)))
        if binarize != "none" and levels not in (None, 2):
            raise UsageError(f"binarised pictures have 2 levels, not {levels}", "leave out levels or binarize")
        if palette is not None:
            if not 2 <= palette <= MAX_COLOURS:
                raise UsageError(f"palette is {palette}", f"give 2 to {MAX_COLOURS:,} colours")
            others = {"levels": levels is not None, "binarize": binarize != "none", "colour grey": colour == "grey"}
            if clash := [name for name, given in others.items() if given]:
                raise UsageError(f"palette cannot be combined with {clash[0]}", f"leave out palette or {clash[0]}")
        if rest.get("fit") not in (None, *FITS):
            remedy = nearest(str(rest["fit"]), list(FITS))
            raise UsageError(f"no way of fitting pictures is called {rest['fit']!r}", remedy)
        chosen = None if callable(size) or size == NATIVE else _size(size)
        options = cls(chosen, COLOURS[colour] if colour else None, levels, palette, binarize, length, **rest)
        options = replace(options, chooser=size if callable(size) else None, native=size == NATIVE)
        options._check_text()
        if options.columns not in KINDS:
            raise UsageError(f"columns are {options.columns!r}", nearest(str(options.columns), list(KINDS)))
        options._check_sound()
        for name, least in (("levels", 2), ("length", 1), ("limit", 1), ("validation", 0), ("seed", 0)):
            value = getattr(options, name)
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}", f"give at least {least}")
        return options

    @property
    def of_text(self) -> list[str]:
        """Names of the options given that only text has."""
        return [name for name in ("length", "tokenizer", "vocabulary") if getattr(self, name) is not None]

    @property
    def of_pictures(self) -> list[str]:
        """Names of the options given that only pictures have."""
        size = self.size or (self.native and NATIVE)
        given = {"size": size, "fit": self.fit, "colour": self.channels, "palette": self.palette}
        return [name for name, value in given.items() if value] + ["binarize"] * (self.binarize != "none")

    @property
    def of_sound(self) -> list[str]:
        """Names of the options given that only sounds have."""
        given = [name for name in ("rate", "seconds", "bands", "hop") if getattr(self, name) is not None]
        return ["sound"] * (self.sound != "spectrogram") + given

    def _check_sound(self) -> None:
        if self.sound not in SOUND:
            raise UsageError(f"no kind of sound is called {self.sound!r}", nearest(str(self.sound), list(SOUND)))
        for name, (least, most) in SOUND_LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"{name} is {value:g}", f"give {least:g} to {most:g}")
        if self.sound == "waveform" and (self.bands or self.hop):
            raise UsageError("a waveform has no bands and no hop", "leave them out, or take a spectrogram")

    def _check_text(self) -> None:
        if self.tokenizer is not None and self.tokenizer not in TOKENIZERS:
            raise UsageError(
                f"no tokenizer is called {self.tokenizer!r}", nearest(str(self.tokenizer), list(TOKENIZERS))
            )
        if self.vocabulary is None:
            return
        if self.tokenizer not in (None, "bpe"):
            raise UsageError(f"the tokens of {self.tokenizer} are not chosen", "leave out vocabulary, or take bpe")
        least, most = VOCABULARIES
        if not least <= self.vocabulary <= most:
            raise UsageError(f"vocabulary is {self.vocabulary}", f"give {least:,} to {most:,} tokens")


def _size(size: Any) -> tuple[int, int] | None:
    """(height, width) of "28x28" or a pair."""
    if size is None:
        return None
    parts = re.fullmatch(r"(\d+)[x×](\d+)", size.strip()) if isinstance(size, str) else None
    sides = tuple(int(p) for p in parts.groups()) if parts else size
    if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
        remedy = f"give height x width in pixels, such as 28x28, or {NATIVE}"
        raise UsageError(f"{size!r} is no size of pictures", remedy)
    return sides[0], sides[1]
