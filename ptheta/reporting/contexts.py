"""Contexts in print and in pictures."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import DocumentCodec, JointCodec, LabelCodec, NumberCodec
from ptheta.runs import Run
from ptheta.spaces import Document, Label

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LABELS, CELLS = 12, 64
"""Labels in the overview of a run, and events, about."""

CONTEXTS, TEXTS = 8, 16
"""Contexts in the overview of a run: of pictures and sounds, and of texts, which have one event each."""


VIEW = re.compile(r"(:(grey|rgb|\d+[x×]\d+|text|label|number))+$")
"""The view at the end of a column's name."""


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


def context_cells(run: Run, context: Tensor | None) -> dict[str, list[Any]] | None:
    """Contexts of events [n, …] as columns of a table; None if they are or hold other things than cells.

    They can be read again as contexts. What is not given is None, an empty cell, which only contexts of several parts
    may have.
    """
    codec = run.context_codec
    if codec is None or context is None:
        return None
    x = np.asarray(context)
    parts = codec.split(x) if isinstance(codec, JointCodec) else {context_columns(run)[0]: x}
    codecs = codec.codecs if isinstance(codec, JointCodec) else dict.fromkeys(parts, codec)
    if not all(isinstance(one, LabelCodec | NumberCodec | DocumentCodec) for one in codecs.values()):
        return None
    cells: dict[str, list[Any]] = {}
    for name, rows in parts.items():
        absent = codecs[name].space.is_null(torch.from_numpy(rows)).tolist()
        said = iter(codecs[name].decode(rows[~np.array(absent, bool)]))
        cells[name] = [None if missing else next(said) for missing in absent]
    return cells


def names_of(run: Run, context: Tensor | None) -> list[str] | None:
    """Captions of the contexts of events [n, …]; None if they have none."""
    if context is None or run.model.context_space is None:
        return None
    labels = run.model.context_space
    if isinstance(labels, Label):
        return ["nothing given" if int(row) < 0 else labels.names[int(row)] for row in context]
    if run.context_codec is None:
        return [f"context-{i:04d}" for i in range(len(context))]
    said = labels.is_null(context)
    found = iter(run.context_codec.names(context[~said]))
    return ["nothing given" if absent else next(found) for absent in said.tolist()]


def pictures_of(run: Run, context: Tensor | None) -> list[Picture] | None:
    """The pictures that contexts [n, …] are or hold; None if they are none, or not all are given."""
    codec = run.context_codec
    if codec is None or context is None:
        return None
    parts = {"": np.asarray(context)} if not isinstance(codec, JointCodec) else codec.split(context)
    codecs = {"": codec} if not isinstance(codec, JointCodec) else codec.codecs
    for name, x in parts.items():
        if codecs[name].is_picture and not (x.reshape(len(x), -1) < 0).all(1).any():
            return codecs[name].pictures(x)
    return None


def gathered(context: Tensor) -> Tensor:
    """The order [n] in which equal contexts follow each other, in the order of their first.

    >>> gathered(torch.tensor([3, 1, 3, 2, 1])).tolist()
    [0, 2, 1, 4, 3]
    """
    firsts: dict[bytes, int] = {}
    keys = [firsts.setdefault(row.numpy().tobytes(), len(firsts)) for row in context]
    return torch.tensor(keys, dtype=torch.long).argsort(stable=True)


def groups_of(context: Tensor) -> list[int]:
    """Lengths of the runs of equal contexts that follow each other.

    >>> groups_of(torch.tensor([3, 3, 1, 3]))
    [2, 1, 1]
    >>> groups_of(torch.tensor([[torch.nan, 3.0], [torch.nan, 3.0], [torch.nan, 4.0]]))
    [2, 1]
    """
    flat = context.reshape(len(context), -1)
    missing = torch.isnan(flat)
    differs = (flat[1:] != flat[:-1]) & ~(missing[1:] & missing[:-1])  # NaN, which says nothing, differs from itself
    starts = [0, *(differs.any(1).nonzero().flatten() + 1).tolist(), len(context)]
    return [b - a for a, b in itertools.pairwise(starts)]


def lines_of(texts: Sequence[str], names: Sequence[str] | None) -> str:
    """Texts on a line each, after their contexts and a tab if they have any."""
    lines = [" ".join(text.split()) for text in texts]
    return "".join(f"{line}\n" if names is None else f"{names[i]}\t{line}\n" for i, line in enumerate(lines))


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
    few = TEXTS if isinstance(run.model.space, Document) else CONTEXTS
    rows = np.unique(np.linspace(0, len(split) - 1, few).astype(np.int64))
    context = split.events(rows)[1]
    assert context is not None
    return context.repeat_interleave(CELLS // few if run.codec.is_picture else 1, 0)


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
    example = {"document": '"some text"', "image": "photo.png", "spectrogram": "sound.wav", "waveform": "sound.wav"}
    return f" --context {example.get(codec.kind if codec else '', 'VALUE')}"
