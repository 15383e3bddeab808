"""The options of `load`, each written once: a dataclass a kind of data, with types, defaults, help and bounds.

`load`, the flags of `ptheta fit` and `ptheta compare`, and the help of all three are made of these fields.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ptheta.data.option_groups import OptionGroup, option
from ptheta.errors import UsageError, nearest
from ptheta.typed import SEEDS

Fit = Literal["crop", "pad", "stretch"]
"""How a picture of another shape is brought to a size: its middle is cut out, it gets bars, or it is squashed."""

Colour = Literal["grey", "rgb"]
Binarize = Literal["none", "threshold", "once", "epoch"]
Tokenizer = Literal["bytes", "characters", "bpe"]
SoundForm = Literal["spectrogram", "waveform"]
Columns = Literal["auto", "mixed", "real", "categories"]

Header = Literal["yes", "no"]
Decimal = Literal[".", ","]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " ", "\\t": "\t"}
"""What separators are called where they are awkward to write."""

AS_THEY_STAND = "none"
"""The word of `missing` by which no word stands for a missing cell."""

COLOURS = {"grey": 1, "rgb": 3}
"""Colour → channels."""

NATIVE = "native"
"""The size of pictures that stay as they are."""

MAX_COLOURS = 2**16
"""Most colours of a palette."""


@dataclass(frozen=True)
class Loading(OptionGroup):
    """What is taken of any data, and how it is divided."""

    title = "data"

    event: str | list[str] | None = option(
        None,
        "column(s) of x, comma-separated",
        otherwise="inferred from the kinds of columns",
        flag=str,
        metavar="COLUMN[,…]",
    )
    context: str | list[str] | None = option(
        None,
        "column(s) of the context y, comma-separated: labels, texts, pictures, sounds, numbers. A view after a colon"
        " reads a column differently: IMG:grey, IMG:8x8 and IMG:grey:8x8 are pictures reduced, of which IMG can be the"
        " event too; NAME:text, NAME:label, NAME:number",
        otherwise="unconditional",
        flag=str,
        metavar="COLUMN[:VIEW][,…]",
    )
    except_columns: str | list[str] | None = option(
        None,
        "column(s) that are neither x nor y, comma-separated, where x is inferred",
        otherwise="none",
        flag=str,
        alias="except",
        metavar="COLUMN[,…]",
    )
    limit: int | None = option(
        None, "use at most this many events of each split, chosen by the seed; of text, the first", otherwise="all",
        least=1,
    )  # fmt: skip
    validation: float | None = option(
        None,
        "events held out from train where the data have no validation split: a number, or a fraction below 1. Text of"
        " 100 documents or more is held out in whole documents, and the number counts these",
        otherwise="a tenth, at most 10,000; of undivided text in order, a twentieth",
        least=0,
    )
    follow_paths: bool = option(
        False,
        "open files that data name, by paths or symbolic links, wherever they are; else those beside the data only",
    )
    seed: int = option(0, "seed of every draw", least=0, most=SEEDS - 1)


@dataclass(frozen=True)
class TextTables(OptionGroup):
    """How tables that are text, CSV and its relatives, are read."""

    title = "csv"

    encoding: str | None = option(None, "of CSV and TSV files: cp1252, latin-1, utf-16 or another", metavar="NAME")
    separator: str | None = option(
        None, f"between cells of a CSV file: a character, or {', '.join(list(SEPARATORS)[:5])}", metavar="CHARACTER"
    )
    decimal: Decimal | None = option(
        None, "decimal mark of numbers in a CSV file, . or a comma; the other one separates thousands", metavar="MARK"
    )
    header: Header | None = option(None, "whether the first row of a CSV file contains the names of its columns")
    missing: str | list[str] | None = option(
        None,
        f"more words that stand for a missing cell of a CSV file; {AS_THEY_STAND}: only an empty cell does, and those"
        " that follow",
        otherwise="?, NA, n/a, None, null and their like; where all else is a number also - and its like",
        flag=list[str],
        metavar="WORD …",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.encoding is not None:
            _check_encoding(self.encoding)
        if self.separator is not None:
            mark = SEPARATORS.get(self.separator, self.separator)
            if len(mark) != 1 or mark.isalnum() or mark in "\"'\r\n.-+#":
                named = ", ".join(list(SEPARATORS)[:5])
                raise UsageError(f"{self.separator!r} cannot separate cells", f"give one character, or {named}")
            if mark == self.decimal:
                raise UsageError(f"{mark!r} cannot be both separator and decimal", "give another of them")

    @property
    def mark(self) -> str | None:
        """The separator as a character."""
        return None if self.separator is None else SEPARATORS.get(self.separator, self.separator)

    @property
    def words(self) -> list[str]:
        """Words that stand for a missing cell, as given."""
        return [self.missing] if isinstance(self.missing, str) else list(self.missing or ())


@dataclass(frozen=True)
class Quantised(OptionGroup):
    """What kinds of data share whose values are put on levels."""

    levels: int | None = option(
        None,
        "number of values of a pixel: an 8-bit value v becomes v · levels // 256; of sounds, number of values of the"
        " loudness or of a sample",
        otherwise="those of the pictures, of sounds 256",
        least=2,
    )


@dataclass(frozen=True)
class Pictures(Quantised):
    """Options of pictures.

    From Python, `size` may be a pair (height, width), or a function that chooses one for pictures that need it, from
    a `finding.pictures.Survey`. `aspect` is not an option: the column of the event and its height and width, so that
    a reduced view of it is cropped or padded alike.
    """

    title = "picture"

    size: str | tuple[int, int] | Callable[..., tuple[int, int]] | None = option(
        None,
        f"height and width in pixels, or {NATIVE}: as they are, all of one size",
        otherwise="pictures of one size up to 64x64 stay as they are; others are resized to about 32x32, in `ptheta"
        " fit` to a size at which enough steps fit into the budget, 16x16 or more",
        flag=str,
        metavar="HxW",
    )
    fit: Fit | None = option(
        None,
        "how pictures of another shape are fitted to the size. crop: the middle is cut out; pad: black bars are added;"
        " stretch: the proportions change",
        otherwise="crop",
        called="way of fitting pictures",
    )
    colour: Colour | None = option(None, "grey or rgb", otherwise="that of the pictures")
    palette: int | None = option(
        None,
        "every pixel becomes the nearest of this many colours, chosen by k-means on training pixels",
        otherwise="none",
        least=2,
        most=MAX_COLOURS,
        units="colours",
        of_events=True,
    )
    binarize: Binarize = option(
        "none",
        "black and white. threshold: v at least half of white; once: 1 with probability v / white, drawn once; epoch:"
        " train redrawn in every epoch, validation and test drawn once",
        called="binarisation",
        of_events=True,
    )
    aspect: tuple[str, int, int] | None = None

    def __post_init__(self):
        super().__post_init__()
        _ = self.sides
        if self.binarize != "none" and self.levels not in (None, 2):
            raise UsageError(f"binarised pictures have 2 levels, not {self.levels}", "leave out levels or binarize")
        if self.palette is not None:
            binarized, grey = self.binarize != "none", self.colour == "grey"
            others = {"levels": self.levels is not None, "binarize": binarized, "colour grey": grey}
            if clash := [name for name, given in others.items() if given]:
                raise UsageError(f"palette cannot be combined with {clash[0]}", f"leave out palette or {clash[0]}")

    @property
    def sides(self) -> tuple[int, int] | None:
        """(height, width) in pixels, if they are given."""
        return None if callable(self.size) or self.size == NATIVE else _sides(self.size)

    @property
    def channels(self) -> int | None:
        """Those of the colour, if it is given."""
        return None if self.colour is None else COLOURS[self.colour]

    def of_contexts(self, codec: Any, column: str) -> Pictures:
        """Size, fit and colour, since contexts keep their levels; a reduced view of the events has their shape."""
        aspect = None if codec is None else (column, codec.height, codec.width)
        return Pictures(size=self.size, fit=self.fit, colour=self.colour, aspect=aspect)


@dataclass(frozen=True)
class Texts(OptionGroup):
    """Options of text."""

    title = "text"

    length: int | None = option(
        None,
        "tokens in one event",
        otherwise="256; of whole texts the longest with its end, at most 512",
        least=1,
    )
    tokenizer: Tokenizer | None = option(
        None,
        "what a token is: a byte; one of the characters that occur in the source; bpe, byte pairs merged as learned on"
        " train",
        otherwise="bytes below 4 MB of training text, 100 kB of whole texts and contexts, and bpe from there on",
    )
    vocabulary: int | None = option(
        None,
        "tokens of bpe",
        otherwise="512 for a megabyte of training text to 32,768 for a gigabyte; of whole texts and contexts one for"
        " every 500 bytes, 512 to 8,192",
        least=257,  # all bytes, and one more
        most=2**20,
        units="tokens",
    )
    whole: bool = option(
        False,
        "every text is one event, with its end, instead of a part of a stream; always so where texts have a context",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.vocabulary is not None and self.tokenizer not in (None, "bpe"):
            raise UsageError(f"the vocabulary of {self.tokenizer} is fixed", "leave out vocabulary, or use bpe")

    def of_contexts(self, codec: Any, column: str) -> Texts:
        """All of them; the length is that of the events, if they are texts."""
        return self if codec is None else replace(self, length=None)


@dataclass(frozen=True)
class Sounds(Quantised):
    """Options of sounds."""

    title = "sound"

    sound: SoundForm = option(
        "spectrogram",
        "how a sound is represented: spectrogram, log-mel loudness in frames and bands; waveform, µ-law samples",
        called="kind of sound",
    )
    rate: int | None = option(
        None,
        "sampling rate in Hz, to which all sounds are resampled",
        otherwise="the most frequent one, at most 16,000",
        least=100,
        most=192_000,
    )
    seconds: float | None = option(
        None,
        "length of an event in seconds; longer sounds are cut",
        otherwise="the 99th percentile",
        least=0.01,
        most=3600.0,
    )
    bands: int | None = option(
        None, "mel bands of a spectrogram", otherwise="32 up to 8,000 Hz, else 64", least=1, most=1024
    )
    hop: float | None = option(
        None,
        "milliseconds between frames of a spectrogram",
        otherwise="16",
        least=0.1,
        most=1000.0,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.sound == "waveform" and (self.bands or self.hop):
            raise UsageError("a waveform has no bands and no hop", "leave them out, or use a spectrogram")


@dataclass(frozen=True)
class Tables(OptionGroup):
    """Options of rows of a table."""

    title = "table"

    columns: Columns = option(
        "auto",
        "mixed: each column by its own type, with missing cells: categories, numbers on a grid, real numbers; real:"
        " one vector of real numbers; categories: unordered values; auto: the one that fits",
        called="kind of columns",
        of_events=True,
    )


def _sides(size: Any) -> tuple[int, int] | None:
    """(height, width) of "28x28" or a pair."""
    if size is None:
        return None
    parts = re.fullmatch(r"(\d+)[x×](\d+)", size.strip()) if isinstance(size, str) else None
    sides = tuple(int(p) for p in parts.groups()) if parts else size
    if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
        remedy = f"give height x width in pixels, such as 28x28, or {NATIVE}"
        raise UsageError(f"{size!r} is not a size of pictures", remedy)
    return sides[0], sides[1]


def _check_encoding(name: str) -> None:
    """Refuse what does not encode text.

    Raises:
        UsageError: there is no such encoding.
    """
    try:
        codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError):
        common = ["utf-8", "utf-16", "latin-1", "cp1252", "cp1251", "shift_jis", "gbk", "big5"]
        raise UsageError(f"no encoding is called {name!r}", nearest(name, common)) from None
