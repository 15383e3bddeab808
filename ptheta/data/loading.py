"""`load`: from a source to `Data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.arrays import array_codec
from ptheta.data.codecs import ArrayCodec, Codec, FrameCodec, ImageCodec, PictureCodec, RowCodec, TableCodec, TextCodec
from ptheta.data.codecs.base import Place, compact
from ptheta.data.columns import Choice, choose
from ptheta.data.contexts import encode_labels, find_labels
from ptheta.data.hub import reading
from ptheta.data.mixed import described
from ptheta.data.options import Options
from ptheta.data.palettes import palette_codec
from ptheta.data.pictures import picture_codec, two_valued
from ptheta.data.rows import repeats, table_codec
from ptheta.data.sources import open_source
from ptheta.data.splits import Data, Split, allocate, divide
from ptheta.data.tables import Source, Table, as_numpy, named, take
from ptheta.data.texts import load_text
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.spaces import Label

CODECS = {"picture": PictureCodec, "text": TextCodec, "table": FrameCodec, "array": ArrayCodec}
"""Kind of choice → its codec."""


def load(
    source: Any,
    event: str | list[str] | None = None,
    context: str | list[str] | None = None,
    *,
    size: str | tuple[int, int] | None = None,
    colour: str | None = None,
    levels: int | None = None,
    palette: int | None = None,
    binarize: str = "none",
    length: int | None = None,
    tokenizer: str | None = None,
    vocabulary: int | None = None,
    columns: str = "auto",
    limit: int | None = None,
    validation: float | None = None,
    seed: int = 0,
    codec: Codec | None = None,
    context_space: Label | None = None,
) -> Data:
    """Load samples from anywhere.

    Args:
        source: `digits`; a file (CSV, TSV, Parquet, JSON, JSONL, text, NPY, NPZ, IDX, a picture); a folder of pictures,
            text files or data files; a Hugging Face data set folder or Hub id; or arrays, tensors, a data frame,
            a `datasets.Dataset`, or a dict of splits.
        event: column(s) of x, comma-separated or a list; None: found from the kinds of columns, and said in the notes.
        context: column of the context y; None: unconditional.
        size: of pictures, "HxW" or (height, width) in pixels; other sizes are resized (stretched) to it.
        colour: "grey" or "rgb".
        levels: of pictures: an 8-bit value v becomes v · levels // 256.
        palette: of pictures: every pixel becomes one of so many colours, found by k-means on pixels of train.
        binarize: "none"; "threshold" (v at least half of white); "once" (1 with probability v / white, drawn once with the
            seed); "epoch" (train drawn anew on every visit, validation and test once).
        length: of text: tokens in one event; 256 if None.
        tokenizer: of text: what a token is. "bytes"; "characters", those that occur in the source; "bpe", byte pairs
            merged as learned from train. None: bytes below 4 MB of training text, bpe from there on.
        vocabulary: of bpe: how many tokens; None: 512 for a megabyte of training text to 32,768 for a gigabyte.
        columns: of a table: "mixed", each column as what it is: categories, numbers on a grid, real numbers, missing
            cells; "real", one vector of real numbers; "categories", unordered values; "auto", the one that fits.
        limit: use at most so many events of each split, drawn with the seed; of text, the first.
        validation: events of train to hold out where no validation split is published: a number, or a part below 1;
            None: a tenth, at most 10,000. Text of 100 documents or more is held out in whole documents, which are
            then what is counted; other text in order, a twentieth if it is not divided at all.
        seed: of every draw.
        codec, context_space: of a run, to see new data as that run does; nothing is then divided at random: published
            splits are kept and undivided data become one split, "all".

    Returns:
        Splits of events with their space and codec; `notes` say what was taken.

    Raises:
        SourceError: a source that is missing, damaged or cannot be learned from; nothing is ever loaded in part.
        UsageError: options that make no sense.
    """  # noqa: E501
    request = {
        "source": address(source),
        "event": event,
        "context": context,
        "size": size,
        "colour": colour,
        "levels": levels,
        "palette": palette,
        "binarize": binarize,
        "length": length,
        "tokenizer": tokenizer,
        "vocabulary": vocabulary,
        "columns": columns,
        "limit": limit,
        "validation": validation,
        "seed": seed,
    }
    drawn = {"limit": limit, "validation": validation, "seed": seed}
    of_kind = {"tokenizer": tokenizer, "vocabulary": vocabulary, "columns": columns}
    options = Options.of(size, colour, levels, palette, binarize, length, **of_kind, **drawn)
    opened = open_source(source)
    if codec is not None and event is None:
        event = columns_of(codec, opened)
    with reading(opened.origin):
        data = _load(opened, event, context, options, codec, context_space)
    data.request = request
    return data


def address(source: Any) -> str | None:
    """What finds the source again from any folder; None for values in memory."""
    if not isinstance(source, str | Path):
        return None
    return str(Path(source).resolve()) if Path(source).exists() else str(source)


def _load(
    source: Source, event: Any, context: Any, options: Options, codec: Codec | None, context_space: Label | None
) -> Data:
    choice = choose(source, event, context, as_text=bool(options.of_text) or isinstance(codec, TextCodec))
    if codec is not None and not isinstance(codec, CODECS[choice.kind]):
        what = f"column {choice.event[0]!r}" if len(choice.event) == 1 else f"{len(choice.event)} columns"
        raise SourceError(
            f"{what} of {source.origin} would be {choice.kind}s, but the run is about {codec.space}",
            "name the right column with --event, or give another source",
        )
    if context_space is not None and choice.context is None:
        raise SourceError(f"the run needs a context in {context_space}", "name its column with --context")
    pictures_only = options.size or options.channels or options.levels or options.palette or options.binarize != "none"
    if pictures_only and choice.kind != "picture":
        remedy = "leave out size, colour, levels, palette and binarize"
        raise UsageError(f"the events of {source.name} are no pictures", remedy)
    if options.columns != "auto" and choice.kind != "table":
        raise UsageError(f"the events of {source.name} are no rows of a table", "leave out columns")
    if options.of_text and choice.kind != "text":
        raise UsageError(f"the events of {source.name} are no text", f"leave out {' and '.join(options.of_text)}")
    if choice.kind == "text":
        if choice.context is not None:
            raise SourceError(
                "text events are cut from a stream and have no context yet",
                "leave out --context, or name another event",
            )
        labels = None
        made, splits, notes = load_text(source, choice.event[0], options, codec)  # type: ignore[arg-type]
    else:
        labels = (context_space or find_labels(source, choice.context)) if choice.context else None
        if choice.kind == "table":  # what repeats in test is not looked at
            masks, notes = divide(source, options, everything=codec is not None)
            made, found = codec or table_codec(source, choice.event, options.columns, masks), []
        else:
            made, found = (codec, []) if codec is not None else make_codec(source, choice, options)
            masks, notes = divide(source, options, everything=codec is not None)
        splits = encode(source, choice, made, labels, masks, options.seed)
        notes = found + notes
        if isinstance(made, ImageCodec) and codec is None:
            if options.palette:
                made, splits, found = palette_codec(made, splits, options.palette, options.seed)
                notes += found
            elif options.levels is None and not made.draws:
                made = two_valued(made, splits)
        if isinstance(made, TableCodec) and "train" in splits:
            notes += repeats(made, splits["train"])
        elif isinstance(made, RowCodec):
            notes = described(made) + notes
    taken = [f"event: {', '.join(choice.event[:8])}{', …' if len(choice.event) > 8 else ''}, {made.space}"]
    if labels is not None:
        taken.append(f"context: {choice.context}, {labels.levels:,} classes")
    return Data(
        source.name, source.origin, made.space, labels, made, splits, taken + choice.notes + source.notes + notes
    )


def make_codec(source: Source, choice: Choice, options: Options) -> tuple[Codec, list[str]]:
    """The codec of a column of pictures or arrays, found from the data and the options, and what was assumed."""
    if choice.kind == "picture":
        return picture_codec(source, choice.event[0], options)
    return array_codec(source, choice.event[0]), []


def columns_of(codec: Codec, source: Source) -> list[str] | None:
    """The event columns that a run's codec wants, if it names them."""
    if not isinstance(codec, FrameCodec):
        return None
    for name in codec.names:
        if name not in source.columns:
            raise SourceError(f"{source.origin} has no column {name!r}", nearest(name, list(source.columns)))
    return codec.names


def encode(
    source: Source,
    choice: Choice,
    codec: Codec,
    labels: Label | None,
    masks: dict[str, dict[str, np.ndarray]],
    seed: int,
) -> dict[str, Split]:
    """Encode the rows of every split, a chunk at a time.

    Args:
        masks: table → split → bool [rows], true for the rows of the split.
        seed: of binarisations.
    """
    splits: dict[str, Split] = {}
    for name, table in source.tables.items():
        for split, mask in masks[name].items():
            n = int(mask.sum())
            x = allocate((n, *codec.space.shape), codec.dtype)
            splits[split] = Split(x, None if labels is None else np.empty(n, compact(labels.levels)))
            splits[split].files = table.files_of(np.flatnonzero(mask))
        _fill(table, choice, codec, labels, masks[name], splits)
    if isinstance(codec, ImageCodec) and codec.draws:
        for i, (name, split) in enumerate(splits.items()):
            greys = split.x
            split.x = codec.draw(greys, np.random.default_rng([seed, i]))
            if codec.binarize == "epoch" and name == "train":
                split.greys, split.white = greys, codec.white
    return {name: splits[name] for name in ("all", "train", "validation", "test") if name in splits}


def _fill(
    table: Table,
    choice: Choice,
    codec: Codec,
    labels: Label | None,
    masks: dict[str, np.ndarray],
    splits: dict[str, Split],
) -> None:
    names = choice.event + ([choice.context] if choice.context else [])
    wanted = np.logical_or.reduce(list(masks.values()))
    filled = dict.fromkeys(masks, 0)
    start = 0
    for chunk in table.chunks(names):
        n = len(chunk[names[0]])
        rows = np.flatnonzero(wanted[start : start + n])
        if len(rows) < n:
            chunk = {name: take(values, rows) for name, values in chunk.items()}

        def place(row: int, rows: np.ndarray = rows, start: int = start) -> str:
            return table.place(start + int(rows[row]))

        if len(rows):
            x = _events(chunk, choice, codec, table, place)
            y = None
            if labels is not None and choice.context:
                y = encode_labels(chunk[choice.context], table.columns[choice.context], labels, place)
            for split, mask in masks.items():
                mine = mask[start : start + n][rows]
                count = int(mine.sum())
                to = slice(filled[split], filled[split] + count)
                splits[split].x[to] = x if count == len(x) else x[mine]
                if y is not None:
                    splits[split].context[to] = y[mine]  # type: ignore[index]
                filled[split] += count
        start += n


def _events(chunk: dict[str, Any], choice: Choice, codec: Codec, table: Table, place: Place) -> np.ndarray:
    """Events of a chunk; greys, if events are to be drawn from them."""
    if choice.kind == "table":
        missing = isinstance(codec, RowCodec)
        return codec.encode({n: named(chunk[n], table.columns[n], place, missing=missing) for n in choice.event}, place)
    raw = chunk[choice.event[0]]
    if table.columns[choice.event[0]].kind == "array":
        raw = as_numpy(raw)
    return codec.greys(raw, place) if isinstance(codec, ImageCodec) and codec.draws else codec.encode(raw, place)
