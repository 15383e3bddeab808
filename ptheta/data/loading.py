"""`load`: from a source to `Data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptheta.data.codecs import (
    ArrayCodec,
    Codec,
    ContextCodec,
    DocumentCodec,
    FrameCodec,
    ImageCodec,
    JointCodec,
    LabelCodec,
    PictureCodec,
    RowCodec,
    SoundCodec,
    TableCodec,
    TextCodec,
)
from ptheta.data.codecs.images import Fit
from ptheta.data.columns.candidates import candidates
from ptheta.data.columns.choosing import Choice, choose, has_size
from ptheta.data.columns.contexts import Conditions, find_conditions, kind_of_context, known_conditions
from ptheta.data.columns.views import parts_of
from ptheta.data.encoding import encode
from ptheta.data.finding.arrays import array_codec
from ptheta.data.finding.documents import Masks, cut_notes, document_codec
from ptheta.data.finding.mixed_columns import described
from ptheta.data.finding.palettes import palette_codec
from ptheta.data.finding.pictures import Survey, picture_codec, remarks_of, sized, two_valued
from ptheta.data.finding.sounds import sound_codec, sound_notes, survey
from ptheta.data.finding.tables import repeats, table_codec
from ptheta.data.finding.token_streams import load_text
from ptheta.data.options import Options
from ptheta.data.sources.faults import reading
from ptheta.data.sources.opening import open_source
from ptheta.data.sources.tables import Source
from ptheta.data.splits import Data, Split, divide
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.listing import exists

CODECS = {
    "picture": PictureCodec,
    "sound": SoundCodec,
    "text": TextCodec,
    "document": DocumentCodec,
    "table": FrameCodec,
    "array": ArrayCodec,
}
"""Kind of choice → its codec."""

WITHOUT_SPLITS = ("picture", "array")
"""Kinds of choice whose codec does not depend on what is train."""


def load(
    source: Any,
    event: str | list[str] | None = None,
    context: str | list[str] | None = None,
    *,
    size: str | tuple[int, int] | Callable[[Survey], tuple[int, int]] | None = None,
    fit: Fit | None = None,
    colour: str | None = None,
    levels: int | None = None,
    palette: int | None = None,
    binarize: str = "none",
    length: int | None = None,
    tokenizer: str | None = None,
    vocabulary: int | None = None,
    columns: str = "auto",
    whole: bool = False,
    sound: str = "spectrogram",
    rate: int | None = None,
    seconds: float | None = None,
    bands: int | None = None,
    hop: float | None = None,
    limit: int | None = None,
    validation: float | None = None,
    seed: int = 0,
    codec: Codec | None = None,
    context_codec: ContextCodec | None = None,
) -> Data:
    """Load samples from anywhere.

    Args:
        source: `digits`; a file (CSV, TSV, Parquet, JSON, JSONL, text, NPY, NPZ, IDX, a picture, a sound); a folder of
            pictures, sounds, text files or data files; a Hugging Face data set folder or Hub id; or arrays, tensors, a data frame,
            a `datasets.Dataset`, or a dict of splits.
        event: column(s) of x, comma-separated or a list; None: found from the kinds of columns, and said in the notes.
        context: column(s) of the context y, as `event`; None: unconditional. Labels, texts, pictures, sounds and numbers
            are taken for what they are. A view after a colon takes a column otherwise: `img:grey`, `img:8x8` and
            `img:grey:8x8` are pictures reduced, for colouring and enlarging, where the event may be the same column;
            `name:text`, `name:label` and `name:number` say what a value is.
        size: of pictures, "HxW" or (height, width) in pixels; or "native", as they are, all of one size; or a function
            that chooses it for those that need one. None: encoded pictures of mixed sizes, or of more than 64×64
            pixels, are brought to about 32×32 pixels in their median shape, which is said in the notes; others stay.
        fit: how pictures of other sizes are brought to the size: "crop", their middle is cut out (as None); "pad", black
            bars are added; "stretch", their shape is changed.
        colour: "grey" or "rgb".
        levels: of pictures: an 8-bit value v becomes v · levels // 256.
        palette: of pictures: every pixel becomes one of so many colours, found by k-means on pixels of train.
        binarize: "none"; "threshold" (v at least half of white); "once" (1 with probability v / white, drawn once with the
            seed); "epoch" (train drawn anew on every visit, validation and test once).
        length: of text: tokens in one event; None: 256, or of whole texts the longest with its end, at most 512.
        tokenizer: of text: what a token is. "bytes"; "characters", those that occur in the source; "bpe", byte pairs
            merged as learned from train. None: bytes below 4 MB of training text, bpe from there on; of whole texts
            and contexts, from 100 kB on.
        vocabulary: of bpe: how many tokens; None: 512 for a megabyte of training text to 32,768 for a gigabyte; of whole
            texts and contexts, one for every 500 bytes of training text, 512 to 8,192.
        whole: whether every text is an event of its own, with its end, instead of a part of a stream; so it is
            whenever a text has a context.
        columns: of a table: "mixed", each column as what it is: categories, numbers on a grid, real numbers, missing
            cells; "real", one vector of real numbers; "categories", unordered values; "auto", the one that fits.
        sound: what a sound becomes: "spectrogram", log-mel loudness of frames and bands; or "waveform", µ-law samples.
        rate: of sounds, in Hz; others are resampled. None: the most frequent one, at most 16,000.
        seconds: of sounds: the length of an event; None: the 99th percentile. Longer ones are cut.
        bands: of spectrograms; None: 32 up to 8,000 Hz, else 64.
        hop: of spectrograms: milliseconds from a frame to the next; None: 16.
        limit: use at most so many events of each split, drawn with the seed; of text, the first.
        validation: events of train to hold out where no validation split is published: a number, or a part below 1;
            None: a tenth, at most 10,000. Text of 100 documents or more is held out in whole documents, which are
            then what is counted; other text in order, a twentieth if it is not divided at all.
        seed: of every draw.
        codec, context_codec: of a run, to see new data as that run does; nothing is then divided at random: published
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
        "size": None if callable(size) else size,
        "fit": fit,
        "colour": colour,
        "levels": levels,
        "palette": palette,
        "binarize": binarize,
        "length": length,
        "tokenizer": tokenizer,
        "vocabulary": vocabulary,
        "columns": columns,
        "whole": whole,
        "sound": sound,
        "rate": rate,
        "seconds": seconds,
        "bands": bands,
        "hop": hop,
        "limit": limit,
        "validation": validation,
        "seed": seed,
    }
    drawn = {"limit": limit, "validation": validation, "seed": seed}
    of_kind = {"fit": fit, "tokenizer": tokenizer, "vocabulary": vocabulary, "columns": columns, "whole": whole}
    of_sound = {"sound": sound, "rate": rate, "seconds": seconds, "bands": bands, "hop": hop}
    options = Options.of(size, colour, levels, palette, binarize, length, **of_kind, **of_sound, **drawn)
    opened = open_source(source)
    with reading(opened.origin):
        opened = opened.spelled(words_of(codec, context_codec, context, opened))
    if codec is not None and event is None:
        event = columns_of(codec, opened)
    with reading(opened.origin):
        data, chosen = _load(opened, event, context, options, codec, context_codec)
    data.request = request | ({} if chosen is None else {"size": "{}x{}".format(*chosen)})
    return data


def address(source: Any) -> str | None:
    """What finds the source again from any folder; None for values in memory."""
    if not isinstance(source, str | Path):
        return None
    return str(Path(source).resolve()) if exists(Path(source)) else str(source)


def _load(
    source: Source,
    event: Any,
    context: Any,
    options: Options,
    codec: Codec | None,
    context_codec: ContextCodec | None,
) -> tuple[Data, tuple[int, int] | None]:
    """The data, and the size that was chosen for pictures, if one was."""
    as_text = options.whole or bool(options.of_text) or isinstance(codec, TextCodec | DocumentCodec)
    whole = options.whole or isinstance(codec, DocumentCodec)
    choice = choose(source, event, context, as_text=as_text, whole=whole)
    if codec is not None and not isinstance(codec, CODECS[choice.kind]):
        what = f"column {choice.event[0]!r}" if len(choice.event) == 1 else f"{len(choice.event)} columns"
        raise SourceError(
            f"{what} of {source.origin} would be {choice.kind}s, but the run is about {codec.space}",
            "name the right column with --event, or give another source",
        )
    if context_codec is not None and not choice.context:
        raise SourceError(f"the run needs a context in {context_codec.space}", "name its column with --context")
    _check_suits(source, choice, options)
    given: Conditions | None = None
    remarks: list[str] = []
    given_size = options.size
    pictures = [(part.column, has_size(part)) for part in choice.context if kind_of_context(source, part) == "picture"]
    changes: list[str] = []
    if codec is None:
        event_column = choice.event[0] if choice.kind == "picture" else None
        options, changes = sized(source, event_column, pictures, options)
    elif isinstance(codec, PictureCodec):
        remarks = remarks_of(source, choice.event[0], codec)
    if choice.kind == "text":
        made, splits, notes = load_text(source, choice.event[0], options, codec)  # type: ignore[arg-type]
    else:
        made, found = codec, []
        if made is None and choice.kind in WITHOUT_SPLITS:  # damaged ones are said before there being too few
            made, found = make_codec(source, choice, options, {})
        masks, drawn = divide(source, options, everything=codec is not None)
        if made is None:
            made, found = make_codec(source, choice, options, masks)
        if codec is not None and isinstance(codec, SoundCodec):
            remarks = remarks + sound_notes(codec, choice.event[0], survey(source, choice.event[0], masks))
        if choice.context and context_codec is not None:
            given = known_conditions(source, choice.context, context_codec, masks)
            remarks = remarks + given.notes
        elif choice.context:
            own = replace(options, length=None) if choice.kind == "document" else options
            if isinstance(made, ImageCodec):
                own = replace(own, aspect=(choice.event[0], made.height, made.width))
            given = find_conditions(source, choice.context, own, masks)
        splits = encode(source, choice, made, given, masks, options.seed)
        notes = found + drawn
        if codec is None:
            made, splits, lost = _finished(made, splits, options)
            notes += lost
        if isinstance(made, TableCodec) and "train" in splits:
            notes += repeats(made, splits["train"])
        elif isinstance(made, RowCodec):
            notes = described(made) + notes
        elif isinstance(made, DocumentCodec):
            remarks = remarks + cut_notes(made, choice.event[0], {name: split.x for name, split in splits.items()})
    taken = [f"event: {', '.join(choice.event[:8])}{', …' if len(choice.event) > 8 else ''}, {made.space}"]
    if given is None:
        choice.notes.append(candidates(source, choice))
    else:
        taken += given.notes if context_codec is None else []
        remarks = remarks + given.cut({name: s.context for name, s in splits.items() if s.context is not None})
    data = Data(
        source.name,
        source.origin,
        made.space,
        None if given is None else given.codec.space,
        made,
        splits,
        taken + changes + choice.notes + source.notes + notes + remarks,
        context_codec=None if given is None else given.codec,
        remarks=remarks,
    )
    return data, options.size if options.size != given_size else None


def _check_suits(source: Source, choice: Choice, options: Options) -> None:
    """Options of a kind of data that is neither the event nor a context are an error."""
    kinds = {choice.kind} | {kind_of_context(source, part) for part in choice.context}
    if (options.of_pictures or (options.levels and "sound" not in kinds)) and "picture" not in kinds:
        remedy = "leave out size, fit, colour, levels, palette and binarize"
        raise UsageError(f"the events of {source.name} are no pictures", remedy)
    if (options.palette or options.binarize != "none") and choice.kind != "picture":
        raise UsageError(f"the events of {source.name} are no pictures", "leave out palette and binarize")
    if options.columns != "auto" and choice.kind != "table":
        raise UsageError(f"the events of {source.name} are no rows of a table", "leave out columns")
    if options.of_text and kinds.isdisjoint({"text", "document"}):
        raise UsageError(f"the events of {source.name} are no text", f"leave out {' and '.join(options.of_text)}")
    if options.of_sound and "sound" not in kinds:
        raise UsageError(f"the events of {source.name} are no sounds", f"leave out {' and '.join(options.of_sound)}")


def make_codec(source: Source, choice: Choice, options: Options, masks: Masks) -> tuple[Codec, list[str]]:
    """The codec of the event's columns, found from the data and the options, and what was assumed."""
    name = choice.event[0]
    if choice.kind == "picture":
        return picture_codec(source, name, options)
    if choice.kind == "sound":
        return sound_codec(source, name, options, masks)
    if choice.kind == "document":
        return document_codec(source, name, options, masks)
    if choice.kind == "table":  # what repeats in test is not looked at
        return table_codec(source, choice.event, options.columns, masks), []
    return array_codec(source, name), []


def _finished(codec: Codec, splits: dict[str, Split], options: Options) -> tuple[Codec, dict[str, Split], list[str]]:
    """Pictures as tokens of a palette if asked for, or as two levels if they have no more; all else as it is."""
    if isinstance(codec, ImageCodec) and options.palette:
        return palette_codec(codec, splits, options.palette, options.seed)
    if isinstance(codec, ImageCodec) and options.levels is None and not codec.draws:
        return two_valued(codec, splits), splits, []
    return codec, splits, []


def columns_of(codec: Codec, source: Source) -> list[str] | None:
    """The event columns that a run's codec wants, if it names them."""
    if not isinstance(codec, FrameCodec):
        return None
    for name in codec.names:
        if name not in source.columns:
            raise SourceError(f"{source.origin} has no column {name!r}", nearest(name, list(source.columns)))
    return codec.names


def words_of(codec: Codec | None, context_codec: ContextCodec | None, context: Any, source: Source) -> list[str]:
    """Columns that hold texts to a run's codecs, whatever a reader takes them for."""
    words = list(codec.words) if isinstance(codec, FrameCodec) else []
    if context_codec is None or context is None:
        return words
    codecs = context_codec.codecs if isinstance(context_codec, JointCodec) else {"": context_codec}
    parts = parts_of(context, source)
    if len(parts) == len(codecs) and all(isinstance(one, LabelCodec | DocumentCodec) for one in codecs.values()):
        words += [part.column for part in parts]
    return words
