"""Words in pictures, in any script: in an installed font that has their letters, or else spelled in Latin ones."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from ptheta.remarks import remark

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SIZE = 12
"""Of letters, in pixels."""

_LETTER = re.compile(r"(?:LETTER|SYLLABLE|VOWEL SIGN|DIGIT) (?:SMALL |CAPITAL )?([A-Z ]+)$")
_UNSUITED = re.compile(r"emoji|lastresort|symbol|braille", re.IGNORECASE)


def text_width(text: str) -> int:
    """Pixels that a text is wide."""
    return math.ceil(sum(_opened(font).getlength(part) for part, font in _parts(text)))


def write(
    pen: ImageDraw, x: float, y: float, text: str, colour: tuple[int, int, int], *, centred: bool = False
) -> None:
    """Write a text on a line.

    Args:
        pen: of the picture.
        x, y: its left end, or its middle if it is centred; y is the middle of the line.
        text: in any script.
        colour: of the letters.
        centred: about x.

    Letters that no installed font has are remarked.
    """
    for kind in sorted({_kind(letter) for letter in text if _font_of(letter) is None}):
        remark(f"no installed font has {kind}: in pictures they are spelled in Latin letters")
    if centred:
        x -= sum(_opened(font).getlength(part) for part, font in _parts(text)) / 2
    for part, font in _parts(text):
        opened = _opened(font)
        pen.text((x, y), part, fill=colour, font=opened, anchor="lm")
        x += opened.getlength(part)


def spelled(letter: str) -> str:
    """A letter in Latin ones, or a symbol in words, as Unicode calls it; one that has no such name by its number.

    >>> spelled("か"), spelled("각"), spelled("中"), spelled("🙂")
    ('ka', 'gag', 'U+4E2D', 'slightly smiling face')
    """
    if unicodedata.category(letter) == "So":
        return unicodedata.name(letter, f"U+{ord(letter):04X}").lower()
    found = _LETTER.search(unicodedata.name(letter, ""))
    return found[1].lower() if found else f"U+{ord(letter):04X}"


@functools.lru_cache(4096)
def _parts(text: str) -> list[tuple[str, Path]]:
    """A text in stretches that one font has the letters of."""
    parts: list[tuple[str, Path]] = []
    for letter in unicodedata.normalize("NFC", text):
        font = _font_of(letter)
        if font is None:
            letter, font = spelled(letter), _usual()
        if parts and parts[-1][1] == font:
            letter = parts.pop()[0] + letter
        parts.append((letter, font))
    return parts


def _kind(letter: str) -> str:
    """Letters of a script, as Unicode calls it, such as Hiragana; or symbols."""
    if unicodedata.category(letter)[0] not in "LMN":
        return "some symbols"
    word = unicodedata.name(letter, "unnamed").split()[0].split("-")[0]
    return f"{word if word == 'CJK' else word.capitalize()} letters"


@functools.lru_cache(2**16)
def _font_of(letter: str) -> Path | None:
    """The font that has a letter: the usual one, or the first installed one; None if none has."""
    if letter.isspace() or not letter.isprintable() or ord(letter) in _letters(_usual()):
        return _usual()
    return next((font for font in _installed() if ord(letter) in _letters(font)), None)


@functools.cache
def _usual() -> Path:
    """A font that comes with matplotlib and has letters for most alphabets."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@functools.cache
def _installed() -> list[Path]:
    """Fonts of the system, upright ones of usual weight first."""
    from matplotlib import font_manager

    found = [Path(file) for file in font_manager.findSystemFonts() if not _UNSUITED.search(Path(file).name)]
    return sorted(found, key=lambda file: ("Sans" not in file.name, "Regular" not in file.name, str(file)))


@functools.cache
def _letters(font: Path) -> frozenset[int]:
    """The characters of a font; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        _opened(font)
        return frozenset(FT2Font(str(font)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _opened(font: Path) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(font), SIZE)
