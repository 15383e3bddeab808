"""Charts as SVG inside the page, whose colours follow the page's theme.

Matplotlib draws with colours that stand for the page's variables; they are exchanged in its SVG. No state of pyplot is
touched: figures are made and saved by their own classes, and the few parameters that only a context sets are restored.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.reporting.markup import Html, safe, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, LINE = "#010101", "#020202", "#030303"
S1, S2, S3, S4 = "#010002", "#010003", "#010004", "#010005"

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    S1: "var(--s1)",
    S2: "var(--s2)",
    S3: "var(--s3)",
    S4: "var(--s4)",
}

_PARAMETERS: Any = {
    "svg.fonttype": "none",  # text stays text: it is found, selected and read aloud
    "svg.hashsalt": "ptheta",
    "text.parse_math": False,
    "text.color": INK,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.titlesize": 10.5,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}

_tags = re.compile(r"<[^>]*>")
_ids = re.compile(r'(\bid="|url\(#|href="#)')
_colours = re.compile("|".join(_VARIABLES))


class Charts:
    """Draws charts for one page; each has names of its own within it."""

    def __init__(self):
        self._numbers = itertools.count(1)

    def draw(self, alt: str, paint: Callable[[Axes], None], size: tuple[float, float] = (4.4, 3.0)) -> Html:
        """A chart.

        Args:
            alt: what it shows, for those who do not see it.
            paint: draws on the axes.
            size: inches of 100 pixels; it shrinks where there is less room.
        """
        import matplotlib
        from matplotlib.figure import Figure

        with matplotlib.rc_context(_PARAMETERS), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # the browser has the letters that the measuring font lacks
            drawing = Figure(figsize=size, layout="constrained")
            paint(drawing.add_subplot())
            buffer = io.StringIO()
            drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        text = buffer.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.S)
        number = next(self._numbers)
        text = _tags.sub(lambda found: _within_page(found[0], number), text)
        view = re.search(r'viewBox="[^"]*"', text)
        assert view
        start = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {view[0]} role="img" aria-label="{safe(alt)}">'
        svg = Html(start + text[text.index(">") + 1 :].strip())
        return tag("div", svg, style=f"width: {size[0] * 100:.0f}px; max-width: 100%")


def _within_page(markup: str, number: int) -> str:
    """A tag of an SVG with names of its own and the page's colours."""
    return _colours.sub(lambda found: _VARIABLES[found[0]], _ids.sub(rf"\1c{number}-", markup))


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        x, y: its points.
        label: in the legend.
        colour: one of the series.
        style: of the stroke.
        marker: at its points.
    """

    x: Sequence[float]
    y: Sequence[float]
    label: str
    colour: str = S1
    style: str = "-"
    marker: str | None = None


def curves(
    lines: Sequence[Line],
    xlabel: str,
    ylabel: str,
    *,
    marks: Mapping[float, str] | None = None,
    band: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Callable[[Axes], None]:
    """Curves over one another.

    Args:
        lines: to draw.
        xlabel, ylabel: of the axes.
        marks: places on the x axis, each with what is there.
        band: x, low and high of a shaded band.
    """

    def paint(axes: Axes) -> None:
        if band is not None:
            axes.fill_between(*band, color=MUTED, alpha=0.25, linewidth=0)
        for line in lines:
            axes.plot(line.x, line.y, line.style, color=line.colour, label=line.label, marker=line.marker, markersize=4)
        for place, label in (marks or {}).items():
            axes.axvline(place, color=MUTED, linewidth=1, linestyle=":", label=label)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
        axes.legend()

    return paint


def densities(
    edges: np.ndarray, shares: Mapping[str, np.ndarray], xlabel: str, ylabel: str, *, log: bool = False
) -> Callable[[Axes], None]:
    """Histograms over one another: the first filled, the others outlined.

    Args:
        edges: of the bins [b + 1].
        shares: label → heights [b].
        xlabel, ylabel: of the axes.
        log: heights on a logarithmic axis.
    """

    def paint(axes: Axes) -> None:
        for number, (label, heights) in enumerate(shares.items()):
            if number == 0:
                axes.stairs(heights, edges, fill=True, color=S1, alpha=0.45, label=label)
            else:
                axes.stairs(heights, edges, color=(S2, S3, S4)[(number - 1) % 3], linewidth=1.8, label=label)
        if log:
            axes.set_yscale("log")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.locator_params(axis="x", nbins=6)
        _legend_above(axes)

    return paint


def bars(names: Sequence[str], shares: Mapping[str, np.ndarray], xlabel: str) -> Callable[[Axes], None]:
    """Bars side by side, one group below the other.

    Args:
        names: of the groups, from above.
        shares: label → lengths of the bars.
        xlabel: of the lengths.
    """

    def paint(axes: Axes) -> None:
        places = np.arange(len(names))
        height = 0.8 / len(shares)
        for number, (label, lengths) in enumerate(shares.items()):
            where = places + (number - (len(shares) - 1) / 2) * height
            axes.barh(where, lengths, height, color=(S1, S2, S3)[number], label=label)
        axes.set_yticks(places, [name if len(name) <= 20 else name[:19] + "…" for name in names])
        axes.invert_yaxis()
        axes.set_xlabel(xlabel)
        _legend_above(axes)

    return paint


def _legend_above(axes: Axes) -> None:
    """The legend in one line, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, columnspacing=1.2)


def heatmap(
    values: np.ndarray, names: Sequence[str], title: str, *, low: float, high: float, colours: str
) -> Callable[[Axes], None]:
    """A square of colours; values that are NaN stay empty.

    Args:
        values: [k, k].
        names: of rows and columns.
        title: above it.
        low, high: ends of the scale.
        colours: name of a colour map.
    """

    def paint(axes: Axes) -> None:
        image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, interpolation="none")
        short = [name if len(name) <= 14 else name[:13] + "…" for name in names]
        size = 8 if len(names) <= 16 else 6.5
        axes.set_xticks(range(len(names)), short, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), short, fontsize=size)
        axes.set_title(title)
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure = axes.figure
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
        bar.outline.set_visible(False)  # type: ignore[operator]

    return paint


def bins(values: Sequence[np.ndarray], most: int = 40) -> np.ndarray:
    """Edges of equally wide bins that suit all finite values together."""
    together = np.concatenate([v[np.isfinite(v)] for v in values])
    if not len(together):
        return np.array([0.0, 1.0])
    low, high = np.quantile(together, [0.0, 1.0])
    if not high > low:
        return np.array([low - 0.5, low + 0.5])
    count = min(most, max(8, math.ceil(2 * len(together) ** (1 / 3))))
    return np.linspace(low, high, count + 1)
