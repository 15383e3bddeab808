"""Contexts in print and in pictures."""

from __future__ import annotations

import functools
import re
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import ContextCodec, JointCodec
from ptheta.models import Model
from ptheta.reporting.exhibits import Exhibit, Given, exhibit_of
from ptheta.runs import Run
from ptheta.spaces import Label

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LABELS, CELLS = 12, 64
"""Labels in the overview of a run, and events, about."""

VIEW = re.compile(r"(:(grey|rgb|\d+[x×]\d+|text|label|number))+$")
"""The view at the end of a column's name."""


def given_of(run: Run, context: Tensor | None, names: list[str] | None = None) -> Given | None:
    """The contexts of events [n, …] as they are shown; None if they have none.

    Args:
        run: whose events they are.
        context: of each event, or None.
        names: captions of the contexts; None: those of the context's codec.
    """
    if context is None or run.model.context_space is None:
        return None
    captions, pictures = functools.partial(_captions, run), functools.partial(pictures_of, run)
    writings = {} if run.context_codec is None else run.context_codec.writings
    return Given(context, captions, pictures, functools.partial(context_cells, run), names, writings)


def context_columns(run: Run) -> list[str]:
    """By which names a person gives the context, or its parts, of a run; none if it has no context."""
    codec = run.context_codec
    if codec is None:
        return []
    if isinstance(codec, JointCodec):
        return list(codec.parts)
    asked = run.config["data"]["request"].get("context") or ["context"]
    name = asked if isinstance(asked, str) else str(asked[0])
    return [VIEW.sub("", name)]


def context_parts(run: Run, context: Tensor | None) -> dict[str, tuple[ContextCodec, np.ndarray]]:
    """Name → codec and contexts [n, …] of every column of some contexts; none if there are none."""
    codec = run.context_codec
    if codec is None or context is None:
        return {}
    if isinstance(codec, JointCodec):
        return {name: (codec.codecs[name], x) for name, x in codec.split(context).items()}
    return {context_columns(run)[0]: (codec, np.asarray(context))}


def context_cells(run: Run, context: Tensor | None) -> dict[str, list[Any]] | None:
    """Contexts of events [n, …] as columns of a table; None if they are or hold other things than cells.

    They can be read again as contexts. What is not given is None, an empty cell, which only contexts of several parts
    may have.
    """
    parts = context_parts(run, context)
    if not parts or not all(exhibit_of(codec).is_cell for codec, _ in parts.values()):
        return None
    cells: dict[str, list[Any]] = {}
    for name, (codec, rows) in parts.items():
        absent = codec.space.is_null(torch.from_numpy(rows)).tolist()
        given = iter(codec.decode(rows[~np.array(absent, bool)]))
        cells[name] = [None if missing else next(given) for missing in absent]
    return cells


def names_of(run: Run, context: Tensor | None) -> list[str] | None:
    """Captions of the contexts of events [n, …]; None if they have none."""
    return None if context is None or run.model.context_space is None else _captions(run, context)


def _captions(run: Run, context: Tensor) -> list[str]:
    space = run.model.context_space
    assert space is not None
    if isinstance(space, Label):
        return ["nothing given" if int(row) < 0 else space.names[int(row)] for row in context]
    if run.context_codec is None:
        return [f"context-{i:04d}" for i in range(len(context))]
    absent = space.is_null(context)
    given = iter(run.context_codec.names(context[~absent]))
    return ["nothing given" if missing else next(given) for missing in absent.tolist()]


def pictures_of(run: Run, context: Tensor | None) -> list[Picture] | None:
    """The pictures that contexts [n, …] are or contain; None if they are not pictures, or not all are given."""
    for codec, x in context_parts(run, context).values():
        if codec.is_picture and not (x.reshape(len(x), -1) < 0).all(1).any():
            return codec.pictures(x)
    return None


def shown_contexts(run: Run) -> Tensor | None:
    """Contexts for the samples of an overview, one for each: the first labels, or some of the run's unseen data."""
    space = run.model.context_space
    if space is None or not run.has_data:
        return None
    if isinstance(space, Label):
        rows = min(space.levels, LABELS)
        return torch.arange(rows).repeat_interleave(max(1, CELLS // rows))
    splits = run.data.splits
    split = splits[next(name for name in ("test", "validation", "train") if name in splits)]
    exhibit = exhibit_of(run.codec)
    rows = np.unique(np.linspace(0, len(split) - 1, exhibit.contexts).astype(np.int64))
    context = split.events(rows)[1]
    assert context is not None
    return context.repeat_interleave(exhibit.repeats, 0)


def run_words(run: Run) -> str:
    """The run as a command names it: its path, and the modules that it needs, where families are a person's own."""
    own = {type(m).__module__ for m in run.model.modules() if isinstance(m, Model)}
    own = sorted(name for name in own if name.partition(".")[0] != "ptheta")
    return " ".join([shlex.quote(str(run.path)), *(f"--allow-module {name}" for name in own)])


def given_words(run: Run) -> str:
    """--context with some value, for a command that a person can try."""
    space = run.model.context_space
    if space is None:
        return ""
    codec = run.context_codec
    if isinstance(codec, JointCodec):
        return f" --context {' '.join(f'{name}=…' for name in codec.parts)}"
    if isinstance(space, Label):
        return f" --context {shlex.quote(space.names[0])}"
    return f" --context {exhibit_of(codec).example if codec else Exhibit.example}"
