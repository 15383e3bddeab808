"""Samples beside real events, in the form of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, SoundCodec, TextCodec
from ptheta.reporting.contexts import names_of, pictures_of
from ptheta.reporting.overview import copies_line
from ptheta.reporting.pictures import enlarged
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.markup import Html, figure, joined, panels, paragraph, picture, table, tag
from ptheta.reporting.report.page import Section
from ptheta.reporting.samples import sheet
from ptheta.reporting.surprise import END
from ptheta.runs import Run

PICTURES = 64
"""Pictures of each kind, at most."""

TEXTS, CHARACTERS = 3, 700
"""Texts of each kind, and characters of one, at most."""

LOOKED_AT = 48
"""Pixels across of a picture that was given, about."""

ROWS, COLUMNS = 8, 20
"""Rows of each kind, and columns of a table, at most."""


def samples(evidence: Evidence) -> Section:
    """Samples and real events."""
    codec, model = evidence.run.codec, evidence.run.model
    real, context = evidence.real.events()
    drawn = evidence.samples
    kinds = {"Samples": drawn, f"Real: {evidence.heldout_said}": real}
    given = " given the contexts of the real events" if context is not None else ""
    how = f"Drawn by the model{given}, not chosen; seed {evidence.seed}. Beside them real events, drawn likewise."
    rows = np.random.default_rng([evidence.seed, 3]).permutation(len(real))
    if codec.is_picture:
        picked = _by_context(torch.from_numpy(rows[:PICTURES].copy()), context)
        body = panels(_pictures(evidence, title, x[picked], _at(context, picked)) for title, x in kinds.items())
        record = next((line["copies"] for line in reversed(evidence.run.metrics()) if "copies" in line), None)
        if record:
            how += f" When it was fitted, samples were compared with the training pictures: {copies_line(record)}"
    elif isinstance(codec, TextCodec):
        columns = (
            tag("div", tag("h3", title), *(tag("pre", _text(codec, x[row])) for row in rows[:TEXTS]))
            for title, x in kinds.items()
        )
        body = tag("div", *columns, cls="excerpts")
        how += f" The first {CHARACTERS} characters of blocks of {model.space.dimensions} tokens."
    elif isinstance(codec, DocumentCodec):
        body = joined(
            _documents(evidence, title, x[rows[:ROWS]], _at(context, rows[:ROWS])) for title, x in kinds.items()
        )
    else:
        body = joined(_rows(evidence, title, x[rows[:ROWS]], _at(context, rows[:ROWS])) for title, x in kinds.items())
    return Section("Samples", joined([paragraph(how, cls="how"), body]))


def _at(context: Tensor | None, rows: Any) -> Tensor | None:
    return None if context is None else context[rows]


def _by_context(rows: Tensor, context: Tensor | None) -> Tensor:
    """Rows in the order of their contexts, if these are labels."""
    return rows if context is None or context.ndim > 1 else rows[context[rows].argsort(stable=True)]


def _pictures(evidence: Evidence, title: str, x: Tensor, context: Tensor | None) -> Html:
    alt = f"{len(x)} pictures, {title.lower()}"
    return figure(picture(sheet(evidence.run, x, context), alt), title)


def _text(codec: TextCodec, row: Tensor) -> str:
    parts = [END.encode() if token == codec.end else codec.piece(token) for token in row.tolist()]
    text = b"".join(parts).decode("utf-8", "replace")
    return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"


def _documents(evidence: Evidence, title: str, x: Tensor, context: Tensor | None) -> Html:
    """Whole texts, after their contexts if there are any."""
    given = givens(evidence.run, context)
    cells = [(text[:CHARACTERS],) for text in evidence.run.codec.decode(x)]
    if given is None:
        return table(title, ("text",), cells, text=[0], named=False)
    return table(title, ("given", "text"), [(name, *row) for name, row in zip(given, cells)], text=[0, 1], named=False)


def givens(run: Run, context: Tensor | None) -> list[Html | str] | None:
    """Contexts of events [n, …] as a page shows them: pictures, or captions; None if they have none."""
    names, pictures = names_of(run, context), pictures_of(run, context)
    if names is None or pictures is None:
        return None if names is None else [*names]
    return [picture(enlarged(one, LOOKED_AT), name) for one, name in zip(pictures, names)]


def _rows(evidence: Evidence, title: str, x: Tensor, context: Tensor | None) -> Html:
    labels = names_of(evidence.run, context)
    frame = evidence.frame(x)
    if frame is None:
        codec = evidence.run.codec
        values = np.asarray(x if isinstance(codec, SoundCodec) else codec.decode(x)).reshape(len(x), -1)
        lines = ["  ".join(said(v) for v in row[:FLAT_SHOWN]) + " …" * (len(row) > FLAT_SHOWN) for row in values]
        return joined([tag("h3", title), tag("pre", "\n".join(lines))])
    names = [str(name) for name in frame.columns[:COLUMNS]]
    cells = [[said(frame.iat[i, j]) for j in range(len(names))] for i in range(len(frame))]
    if labels is not None:
        names, cells = ["context", *names], [[label, *row] for label, row in zip(labels, cells)]
    more = f" (the first {COLUMNS} of {frame.shape[1]} columns)" * (frame.shape[1] > COLUMNS)
    text = [j for j in range(len(names)) if any(not _number(row[j]) for row in cells)]
    return table(title + more, names, cells, text=text, named=False)


FLAT_SHOWN = 24
"""Numbers of a long event that are shown."""


def said(value: Any) -> str:
    """A cell of a table in print; missing ones are empty.

    >>> said(1234.5678), said(3), said(float("nan")), said("Bär")
    ('1,235', '3', '', 'Bär')
    """
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return ""
    if isinstance(value, float | np.floating):
        whole = float(value).is_integer() and abs(value) < 1e15
        return f"{int(value):,}" if whole else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _number(cell: str) -> bool:
    return (
        not cell or cell.replace(",", "").replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit()
    )
