"""The page around the sections: head, style, list of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptheta.reporting.markup import Html, joined, paragraph, tag
from ptheta.reporting.surprise import SHADES

SERIES = {
    "--s1": ("#1f6fb4", "#5aa9e6"),
    "--s2": ("#b4560f", "#f0964b"),
    "--s3": ("#3d7d33", "#7cc36f"),
    "--s4": ("#8a4fa3", "#c793dd"),
}
"""Colours of series on light and on dark paper; each differs from its paper by 4.5 to 1 or more."""

PAPER = {
    "--paper": ("#ffffff", "#14171c"),
    "--raised": ("#f5f6f8", "#1d2128"),
    "--ink": ("#1b1f24", "#e8eaed"),
    "--muted": ("#555d68", "#a3abb6"),
    "--line": ("#d3d8de", "#3a414b"),
}

_STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
h4 { font-size: .92rem; margin: 1rem 0 .2rem; }
li { max-width: 56rem; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .4rem 0 .8rem; overflow-wrap: anywhere; }
a { color: var(--s1); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 1rem 0 0; list-style: none; }
.how, figcaption, caption, footer, nav { color: var(--muted); font-size: .92rem; }
.warning { border-left: 4px solid var(--s2); padding-left: .8rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.tile { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; }
.tile b { display: block; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .85rem; }
dl { margin: .6rem 0; }
dl div { display: grid; grid-template-columns: 10rem 1fr; gap: .8rem; padding: .25rem 0; }
dl div + div { border-top: 1px solid var(--line); }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; min-width: min(34rem, 100%); font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .2rem 0; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td { max-width: 36rem; overflow-wrap: break-word; }
th { font-weight: 600; }
.n { text-align: right; white-space: nowrap; }
.panels { display: flex; flex-wrap: wrap; gap: 0 1.4rem; align-items: flex-start; }
.panels > figure { flex: 1 1 22rem; max-width: 29rem; }
figure { margin: .6rem 0; max-width: 100%; min-width: 0; }
figure img { max-width: 100%; height: auto; display: block; image-rendering: pixelated; border-radius: .25rem; }
figure audio { width: 100%; display: block; }
figure svg { width: 100%; height: auto; display: block; }
figure svg text { font-family: inherit !important; }
figcaption { max-width: 46rem; margin-top: .2rem; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.5 ui-monospace, monospace; margin: .5rem 0; }
.excerpts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 1rem; }
.legend span { padding: .1rem .5rem; white-space: nowrap; display: inline-block; }
.text { font: 15px/1.7 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.text span:hover { outline: 1px solid; }
.line::before { content: "⏎"; opacity: .5; }
.end::before { content: "∎"; }
footer { margin-top: 3rem; padding-bottom: 2rem; }
@media (max-width: 34rem) { dl div { grid-template-columns: 1fr; gap: 0; } }
@page { margin: 14mm; }
@media print {
  body { font-size: 10.5pt; }
  nav { display: none; }
  main, header, footer { max-width: none; }
  figure, tr, .tile { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 7pt; width: 100%; }
  th, td { padding-right: .4rem; overflow-wrap: anywhere; }
  th.n { white-space: normal; }
  .panels > figure { flex-basis: 18rem; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: heading.
        body: below it.
        numbers: its main numbers by name, JSON values.
    """

    title: str
    body: Html
    numbers: Mapping[str, Any] = field(default_factory=dict)


def page(title: str, lead: Html, sections: Sequence[Section], foot: Html) -> str:
    """A page of HTML that needs nothing else: light, dark, on paper, on a phone.

    Args:
        title: heading.
        lead: below it.
        sections: in order.
        foot: last line.
    """
    anchors = [section.title.lower().replace(" ", "-") for section in sections]
    contents = (tag("li", tag("a", s.title, href=f"#{anchor}")) for s, anchor in zip(sections, anchors))
    parts = (
        tag("section", tag("h2", section.title), section.body, id=anchor) for section, anchor in zip(sections, anchors)
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(_colours() + _STYLE + SHADES)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), lead, tag("nav", tag("ul", *contents), aria_label="contents")),
        tag("main", joined(parts, "\n")),
        tag("footer", paragraph(foot)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _colours() -> str:
    """The variables of both themes; print is always light."""
    light, dark = ("; ".join(f"{k}: {v[i]}" for k, v in (PAPER | SERIES).items()) for i in (0, 1))
    return (
        f"\n:root {{ color-scheme: light dark; {light}; }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}\n"
        "@media print { :root { color-scheme: light; } }\n"
    )
