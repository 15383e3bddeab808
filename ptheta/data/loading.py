"""`load`: from a source to `Data`."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

from ptheta.data.codecs import Codec, ContextCodec, JointCodec
from ptheta.data.columns.candidates import candidates
from ptheta.data.columns.choosing import Choice, choose
from ptheta.data.columns.contexts import Conditions, find_conditions, known_conditions, possible_kinds
from ptheta.data.encoding import encode
from ptheta.data.kinds import KINDS, OF_ANY, Kind, kind_of, option_groups
from ptheta.data.option_groups import OptionGroup, Options, types_of
from ptheta.data.options import Loading, Texts, TextTables
from ptheta.data.sources.asked import asking
from ptheta.data.sources.faults import reading
from ptheta.data.sources.opening import open_source
from ptheta.data.sources.splits import divisible
from ptheta.data.sources.tables import Source, lacking
from ptheta.data.splits import Data, divide
from ptheta.data.views import Part, parts_of
from ptheta.errors import SourceError, UsageError
from ptheta.listing import exists, is_folder, staying_in
from ptheta.numbers import joined, listed
from ptheta.remarks import collecting, remark


def load(
    source: Any,
    event: str | list[str] | None = None,
    context: str | list[str] | None = None,
    *,
    codec: Codec | None = None,
    context_codec: ContextCodec | None = None,
    **options: Any,
) -> Data:
    """Load samples from anywhere.

    Args:
        source: `digits`; a file (CSV, TSV, Parquet, Arrow, JSON, JSONL, text, NPY, NPZ, IDX, a picture, a sound); a
            folder of pictures, sounds, text files or data files; an archive of one, or a compressed file; a Hugging Face data set folder or Hub id; or arrays, tensors, a data frame,
            a `datasets.Dataset`, or a dict of splits.
        event, context: columns of x, and of the context y where there is one; comma-separated or a list, see below.
        codec, context_codec: of a run, to see new data as that run does; nothing is then divided at random: published
            splits are kept and undivided data become one split, "all".
        options: of the kinds of data, see below; None, where an option has it, lets the data decide, and the notes say
            what was taken.

    Returns:
        Splits of events with their space and codec; `notes` say what was taken.

    Raises:
        SourceError: a source that is missing, damaged or unusable for training; nothing is ever loaded in part.
        UsageError: an unknown option, of which the nearest is named, or options that make no sense.
    """  # noqa: E501
    asked = Options.of(option_groups(), {"event": event, "context": context, **options})
    text = asked[TextTables]
    names = _names_expected(event, context, codec, context_codec)
    bounded = staying_in(*([] if asked[Loading].follow_paths else _folders(source)))
    with collecting() as found, bounded, asking(text, names, words_of(codec, context_codec, context, None)) as reader:
        opened = open_source(source) if codec is not None else divisible(open_source(source))
        if text.given and not reader.used:
            raise UsageError(f"{opened.origin} is not a text table", f"leave out {joined(text.given)}")
        with reading(opened.origin):
            opened = opened.spelled(words_of(codec, context_codec, context, opened))
        if codec is not None and event is None:
            event = columns_of(codec, opened)
            _report_others(opened, event, context)
        with reading(opened.origin):
            data, planned = _load(opened, event, context, asked, codec, context_codec)
    data.remarks[:0] = found
    data.notes += found
    values = {name: None if callable(value) else value for name, value in planned.values().items()}
    data.request = {"source": address(source)} | values
    return data


def _folders(source: Any) -> list[Path]:
    """Where the files that the data name must lie; none of values in memory, which may name any."""
    if not isinstance(source, str | Path) or not exists(path := Path(source)):
        return []
    return [path] if is_folder(path) else [path.absolute().parent, path.resolve().parent]


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
) -> tuple[Data, Options]:
    """The data, and the options that give them again."""
    about_text = codec is not None and kind_of(codec).options is Texts
    whole = options[Texts].whole or (codec is not None and kind_of(codec) is KINDS["document"])
    choice = choose(
        source,
        event,
        context,
        excluded=options[Loading].except_columns,
        as_text=about_text or bool(options[Texts].given),
        whole=whole,
    )
    kind, column = choice.kind, choice.event[0]
    _check_codecs(source, choice, codec, context_codec)
    _check_suits(source, choice, options)
    changes: list[str] = []
    if codec is None:
        options, changes = _planned(source, choice, options)
    given: Conditions | None = None
    remarks: list[str] = []
    if kind.load is not None:
        made, splits, notes = kind.load(source, column, options, codec)
    else:
        parts = [Part(name) for name in choice.event]
        made, found = codec, []
        if made is None and kind.early:
            made, found = kind.find(source, parts, options, {})
        masks, drawn = divide(source, options[Loading], everything=codec is not None)
        if made is None:
            made, found = kind.find(source, parts, options, masks)
        if codec is not None:
            remarks = kind.review(source, column, codec, masks, True)
        if choice.context and context_codec is not None:
            given = known_conditions(source, choice.context, context_codec, masks)
            remarks = remarks + given.notes
        elif choice.context:
            given = find_conditions(source, choice.context, options.of_contexts(kind.options, made, column), masks)
        splits = encode(source, choice, made, given, masks, options[Loading].seed)
        made, splits, finished = kind.finish(made, splits, options, codec is not None)
        notes = kind.describe(made) + found + drawn + finished
        remarks = remarks + kind.cut(made, column, {name: split.x for name, split in splits.items()})
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
    return data, options


def _check_codecs(source: Source, choice: Choice, codec: Codec | None, context_codec: ContextCodec | None) -> None:
    """The codecs of a run are those of the kinds of data that were chosen."""
    if codec is not None and not isinstance(codec, choice.kind.codecs):
        what = f"column {choice.event[0]!r}" if len(choice.event) == 1 else f"{len(choice.event)} columns"
        raise SourceError(
            f"{what} of {source.origin} would be {choice.kind.name}s, but the run models {codec.space}",
            "name the right column with --event, or give another source",
        )
    if context_codec is not None and not choice.context:
        raise SourceError(f"the run needs a context in {context_codec.space}", "name its column with --context")


def _check_suits(source: Source, choice: Choice, options: Options) -> None:
    """Options of a kind of data that is neither the event nor a context are an error."""
    of_kinds = [group for group in option_groups() if group not in OF_ANY]
    if not any(options[group].given for group in of_kinds):
        return
    kinds = possible_kinds(source, choice.context)
    suited = _names(choice.kind.options) | {name for kind in kinds for name in _names(kind.options, of_contexts=True)}
    for group in of_kinds:
        if wrong := [name for name in options[group].given if name not in suited]:
            what = next(kind.what for kind in KINDS.values() if kind.options is group)
            raise UsageError(f"the events of {source.name} are not {what}", f"leave out {joined(wrong)}")


def _names(group: type[OptionGroup] | None, *, of_contexts: bool = False) -> set[str]:
    """The options of a group, or those that contexts have a use for."""
    options = [] if group is None else group.options()
    return {one.name for one in options if not (of_contexts and one.metadata["of_events"])}


def _planned(source: Source, choice: Choice, options: Options) -> tuple[Options, list[str]]:
    """Options that suit all columns together, and what was changed for them, in sentences."""
    changes: list[str] = []
    for kind in KINDS.values():
        if kind.plan is not None:
            contexts = [part for part in choice.context if _may_be(kind, source, part)]
            event = choice.event[0] if choice.kind is kind else None
            options, more = kind.plan(source, event, contexts, options)
            changes += more
    return options, changes


def _may_be(kind: Kind, source: Source, part: Part) -> bool:
    return source.columns[part.column].kind in kind.reads


def _names_expected(event: Any, context: Any, codec: Codec | None, context_codec: ContextCodec | None) -> list[str]:
    """Names that the columns of a table should have."""
    names = [] if codec is None else list(kind_of(codec).names(codec))
    for asked in (event, context):
        names += asked.split(",") if isinstance(asked, str) else list(asked or ())
    if isinstance(context_codec, JointCodec):
        names += list(context_codec.parts)
    return [str(name).strip() for name in names]


def columns_of(codec: Codec, source: Source) -> list[str] | None:
    """The event columns that a run's codec wants, if it names them."""
    wanted = list(kind_of(codec).names(codec))
    if missing := [name for name in wanted if name not in source.columns]:
        raise lacking(source.origin, missing, wanted, list(source.columns))
    return wanted or None


def _report_others(source: Source, event: list[str] | None, context: Any) -> None:
    """Report columns that a run has no use for, where it names the columns that it wants."""
    if event is not None:
        used = [*event, *(part.column for part in parts_of(context, source))]
        if others := [name for name in source.columns if name not in used]:
            remark(f"left out, unknown to the run: {listed(others)}")


def words_of(
    codec: Codec | None, context_codec: ContextCodec | None, context: Any, source: Source | None
) -> dict[str, list[str]]:
    """Columns that hold texts to a run's codecs, whatever a reader takes them for, and values that those know.

    Args:
        codec, context_codec: of the run.
        context: columns of the context, as they were asked for.
        source: that has them; None: not opened yet.
    """
    words = {} if codec is None else kind_of(codec).words(codec, "")
    if context_codec is None or context is None:
        return words
    codecs = list(context_codec.codecs.values()) if isinstance(context_codec, JointCodec) else [context_codec]
    if source is not None:
        columns = [part.column for part in parts_of(context, source)]
    else:
        asked = context.split(",") if isinstance(context, str) else context
        columns = [str(name).strip().partition(":")[0] for name in asked]
    found = [kind_of(one).words(one, column) for one, column in zip(codecs, columns)]
    if len(columns) == len(codecs) and all(found):
        words = words | {name: known for one in found for name, known in one.items()}
    return words


def _documented(function: Any) -> None:
    """Give `load` the signature and the help of the options of all kinds of data."""
    signature = inspect.signature(function)
    own = list(signature.parameters.values())[:-1]  # without **options
    parameters, lines = {one.name: one for one in own}, ["", "Options:"]
    for group in option_groups():
        lines += ["", f"    {group.title}:"]
        for one in group.options():
            if f"        {one.name}:" in "\n".join(lines):
                continue
            parameter = inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default)
            parameters.setdefault(one.name, parameter.replace(annotation=types_of(group)[one.name]))
            otherwise = f" None: {one.metadata['otherwise']}." if one.default is None else ""
            text = f"{one.name}: {one.metadata['help']}.{otherwise}"
            lines += textwrap.wrap(text, 112, initial_indent=" " * 8, subsequent_indent=" " * 12)
    function.__signature__ = signature.replace(parameters=list(parameters.values()))
    function.__doc__ = (function.__doc__ or "").rstrip() + "\n" + textwrap.indent("\n".join(lines), "    ") + "\n"


_documented(load)
