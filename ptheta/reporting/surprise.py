"""Text coloured by how unexpected it was: a page for a browser, lines for a terminal.

A token may be a part of a character. Tokens are therefore merged until they make whole characters, and such a span
shows the sum of their bits, so that the bits of a text's spans add up to the bits of the text.
"""

from __future__ import annotations

import codecs
import html
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.text import Text
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.terminal import printable

STEPS = (0.5, 1, 2, 3, 4, 6, 8, 12)
"""Bits at which the next shade begins; fixed, so that pages of different runs compare."""

END = "∎"
"""Shown for the end of a document."""

_LABELS = [f"below {STEPS[0]:g}", *(f"{a:g}–{b:g}" for a, b in itertools.pairwise(STEPS)), f"{STEPS[-1]:g} and more"]

_HEAT = (230, 228, 221, 214, 208, 202, 196, 199)
"""Of the 256 colours of a terminal, pale yellow to red: black on them reads on dark and on light terminals."""

LINES = 22
"""Lines of text on a terminal, at most."""


@dataclass(frozen=True)
class Span:
    """Tokens that make whole characters.

    Attributes:
        text: the characters; invalid bytes show as �. None for the end of a document.
        bits: −log₂ p of the tokens, summed.
        tokens: how many.
    """

    text: str | None
    bits: float
    tokens: int

    @property
    def shade(self) -> int:
        """Number of the shade, from 0."""
        return int(np.searchsorted(STEPS, self.bits, "right"))

    @property
    def tooltip(self) -> str:
        """Bits and probability in words.

        >>> Span("ü", 3.0, 2).tooltip
        '3.00 bits in 2 tokens, p = 0.125'
        """
        several = f" in {self.tokens} tokens" if self.tokens > 1 else ""
        what = "end of the document: " if self.text is None else ""
        if math.isinf(self.bits):
            return f"{what}probability 0{several}"
        return f"{what}{self.bits:.2f} bits{several}, p = {2**-self.bits:.3g}"


def spans(codec: TextCodec | DocumentCodec, tokens: Iterable[int], log_prob: Tensor) -> list[Span]:
    """Spans of a text.

    Args:
        codec: of the tokens.
        tokens: integers [k].
        log_prob: nats of each [k].
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[Span] = []
    text, bits, count = "", 0.0, 0
    for token, value in zip(map(int, tokens), (-log_prob / math.log(2)).tolist()):
        if token == codec.end:
            if count:
                found.append(Span(text + decoder.decode(b"", final=True), bits, count))
            found.append(Span(None, value, 1))
            decoder.reset()
            text, bits, count = "", 0.0, 0
            continue
        text, bits, count = text + decoder.decode(codec.piece(token)), bits + value, count + 1
        if not decoder.getstate()[0]:
            found.append(Span(text, bits, count))
            text, bits, count = "", 0.0, 0
    if count:
        found.append(Span(text + decoder.decode(b"", final=True), bits, count))
    return found


# A page

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif; }
h1 { font-size: 1.3rem; }
h2 { font-size: .9rem; font-weight: normal; opacity: .75; margin: 2rem 0 .3rem; }
.notes, .legend { font-size: .9rem; }
.legend span { padding: .1rem .5rem; }
.text { font: 15px/1.7 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.text span:hover { outline: 1px solid; }
.line::before { content: "⏎"; opacity: .5; }
.end::before { content: "∎"; }
"""


SHADES = "".join(
    f".s{shade} {{ background: rgb(226 74 20 / {0.85 * shade / len(STEPS):.2f}); }}\n"
    for shade in range(len(STEPS) + 1)
)
"""Style of the shades: the same orange over light and over dark paper."""


def page(title: str, notes: Sequence[str], documents: Sequence[tuple[str, list[Span]]]) -> str:
    """A page of HTML that needs nothing else; pointing at a span shows its bits and probability.

    The text of an element of class `text`, without its tags, is exactly the document's, but for control characters,
    which HTML cannot hold and which are shown as pictures.

    Args:
        title: heading.
        notes: lines below it.
        documents: heading and spans of each.
    """
    body = "".join(f"<h2>{html.escape(heading)}</h2>\n{marked(several)}\n" for heading, several in documents)
    lines = "<br>\n".join(map(html.escape, notes))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>{_STYLE}{SHADES}</style>
<h1>{html.escape(title)}</h1>
<p class="notes">{lines}</p>
{legend()}
{body}</html>
"""


def marked(several: Sequence[Span]) -> str:
    """Spans as markup: an element of class `text`."""
    return f'<div class="text">{"".join(map(_span, several))}</div>'


def legend() -> str:
    """The scale of the shades, as markup."""
    shades = "".join(f'<span class="s{shade}">{label}</span>' for shade, label in enumerate(_LABELS))
    return (
        f'<p class="legend">bits: {shades}<br>\n'
        "Colour is −log₂ p of a token after those before it; tokens that only together make a character are added "
        "up.</p>"
    )


def _span(span: Span) -> str:
    kinds = [f"s{span.shade}", *["end"] * (span.text is None), *["line"] * ("\n" in (span.text or ""))]
    text = html.escape(printable(span.text or "")).replace("\r", "&#13;")
    return f'<span class="{" ".join(kinds)}" title="{span.tooltip}">{text}</span>'


# A terminal


def show(console: Console, heading: str, several: Sequence[Span]) -> None:
    """Print the beginning of a text, coloured, and the scale.

    Args:
        console: on a terminal.
        heading: line above it.
        several: spans of the text.
    """
    text = Text()
    for span in several[: LINES * console.width]:
        text.append(END if span.text is None else printable(span.text).replace("\r", ""), _style(span.shade))
    legend = Text("bits: ")
    for shade, label in enumerate(_LABELS):
        legend.append(f" {label} ", _style(shade))
    console.print(Text(heading))
    lines = text.wrap(console, console.width)
    for line in lines[:LINES]:
        console.print(line)
    if len(lines) > LINES:
        console.print("…")
    console.print(legend)


def _style(shade: int) -> str:
    """Black on a colour of its own for each shade; nothing for the expected."""
    return f"black on color({_HEAT[shade - 1]})" if shade else ""
