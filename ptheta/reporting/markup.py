"""HTML that is well-formed by construction: everything that is not markup already is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ptheta.terminal import printable

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

VOID = {"meta", "img", "br"}
"""Elements that have no content and no end."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def safe(value: Any) -> Html:
    """Markup as it is; anything else as escaped text, with control characters, which HTML lacks, made visible.

    >>> safe("a < b"), safe(Html("<br>"))
    ('a &lt; b', '<br>')
    """
    if isinstance(value, Html):
        return value
    text = printable(str(value).encode("utf-8", "replace").decode())
    return Html(html.escape(text).replace("\r", "&#13;"))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element.

    Args:
        name: of the element.
        children: markup or text; None is left out.
        attributes: their values; None is left out, True is an attribute without a value, `_` stands for `-`, and
            `cls` for `class`.

    >>> tag("a", "R&D", href="#x", cls="n", hidden=None)
    '<a href="#x" class="n">R&amp;D</a>'
    """
    names = {key: "class" if key == "cls" else key.replace("_", "-") for key in attributes}
    given = [
        f" {names[key]}" if value is True else f' {names[key]}="{safe(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    ]
    start = f"<{name}{''.join(given)}>"
    return Html(start if name in VOID else f"{start}{joined(children)}</{name}>")


def joined(children: Iterable[Any], between: str = "") -> Html:
    """Markup and text one after the other; None is left out."""
    return Html(between.join(safe(child) for child in children if child is not None))


def paragraph(*children: Any, **attributes: Any) -> Html:
    """A paragraph."""
    return tag("p", *children, **attributes)


def table(
    caption: str, headers: Sequence[Any], rows: Iterable[Sequence[Any]], *, text: Iterable[int] = (), named: bool = True
) -> Html:
    """A table that scrolls sideways where it is too wide.

    Args:
        caption: what it holds.
        headers: of the columns.
        rows: of cells.
        text: columns that hold text; the others, but for the first, hold numbers and are aligned to the right.
        named: whether the first cell of a row names it.
    """
    left = {0, *text} if named else set(text)

    def cell(number: int, value: Any) -> Html:
        cls = None if number in left else "n"
        return tag("th", value, scope="row", cls=cls) if named and number == 0 else tag("td", value, cls=cls)

    head = tag("tr", *(tag("th", h, scope="col", cls=None if i in left else "n") for i, h in enumerate(headers)))
    body = joined((tag("tr", *(cell(i, value) for i, value in enumerate(row))) for row in rows), "\n")
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag("div", whole, cls="scroll", tabindex="0", role="region", aria_label=caption)


def facts(rows: Iterable[tuple[Any, Any]]) -> Html:
    """Names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows))


def figure(content: Html, caption: Any = None, **attributes: Any) -> Html:
    """A picture or chart with its caption."""
    return tag("figure", content, None if caption is None else tag("figcaption", caption), **attributes)


def panels(several: Iterable[Html]) -> Html:
    """Figures side by side, as many as fit."""
    return tag("div", *several, cls="panels")


def picture(image: Picture, alt: str) -> Html:
    """A picture inside the page, as PNG.

    Args:
        image: to show.
        alt: what it shows, for those who do not see it.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt=alt, width=image.width, height=image.height)


def player(wave: bytes, what: str) -> Html:
    """A sound inside the page, a WAV file, with what plays it.

    Args:
        wave: the file.
        what: is heard, for those who do not see the player.
    """
    data = base64.b64encode(wave).decode()
    return tag("audio", controls=True, preload="metadata", src=f"data:audio/wav;base64,{data}", aria_label=what)


def command(line: str) -> Html:
    """A command to type."""
    return tag("pre", tag("code", line), cls="command")
