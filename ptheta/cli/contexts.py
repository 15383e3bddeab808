"""Contexts as people have them: labels, texts, numbers, pictures and sounds, parts by name, or files of many."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.cli.notes import note
from ptheta.data.codecs import JointCodec
from ptheta.errors import ContextError, SourceError, UsageError
from ptheta.listing import entries, exists, is_file, is_folder
from ptheta.numbers import plural
from ptheta.reporting import exhibit_of
from ptheta.reporting.contexts import VIEW, context_columns, given_words
from ptheta.runs import Run
from ptheta.spaces import Label

if TYPE_CHECKING:
    from ptheta.data import ContextCodec

LISTS = (".txt", ".csv")
"""Suffixes of files of many contexts: one a line, or a table with the column of the context."""

REMARKS = 3
"""Remarks on contexts that are printed, at most."""

LISTED = 10
"""Labels that an error lists."""


@dataclass
class Given:
    """The contexts of a command line.

    Args:
        rows: [k, *context_space.shape].
        names: of files and captions, k.
    """

    rows: Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def shared(self, n: int) -> Given:
        """So that n events are shared out over them, in their order.

        Raises:
            ContextError: there are fewer events than contexts.
        """
        k = len(self)
        if n < k:
            raise ContextError(
                f"{k} contexts are given for {plural(n, 'event')}", "give as many events, or fewer contexts"
            )
        index = torch.arange(n) * k // max(n, 1)
        return Given(self.rows[index], [self.names[i] for i in index])


def contexts(run: Run, values: Iterable[str], n: int) -> Tensor | None:
    """Context rows [n] for the values of --context: n events are shared out over them; None: without a context.

    Raises:
        PthetaError: as `given_contexts`, or there are more contexts than events.
    """
    given = given_contexts(run, values)
    return None if given is None else given.shared(n).rows


def given_contexts(run: Run, values: Iterable[str], *, otherwise: str = "drawn from p(x)") -> Given | None:
    """The contexts that the values of --context name; None: without a context.

    Args:
        run: with its context's codec.
        values: labels, texts, numbers or paths; a folder or a file of many; NAME=VALUE for parts of a context.
        otherwise: what happens without a context, if the model can do without.

    Raises:
        ContextError: the model needs a context and none was given, or the other way round.
        PthetaError: no such label, file or part; the nearest names are given.
    """
    words, space = list(values), run.model.context_space
    if space is None:
        if words:
            raise ContextError(f"{run.path} has no context", "leave out --context, or fit with --context COLUMN")
        return None
    if not words:
        if run.model.context_dropout > 0:
            print(f"no context given: {otherwise}", file=sys.stderr)
            return None
        raise ContextError(f"{run.path} needs a context", _example(run))
    codec = run.context_codec
    assert codec is not None
    return _parts(run, codec, words) if isinstance(codec, JointCodec) else _values(run, codec, words)


def lacks_value(name: str, some: Sequence[str]) -> UsageError:
    """The error for the name of a column where its value belongs, too.

    >>> lacks_value("education", ["Masters", "HS-grad"]).remedy
    'give education=VALUE, such as education=Masters or education=HS-grad'
    """
    example = f", such as {shlex.quote(f'{name}={some[0]}')}" if some else ""
    more = f" or {shlex.quote(f'{name}={some[-1]}')}" if len(some) > 1 else ""
    return UsageError(f"{name} is the name of a column, and its value is missing", f"give {name}=VALUE{example}{more}")


def _example(run: Run) -> str:
    """What to give."""
    space = run.model.context_space
    if isinstance(space, Label):
        names = " ".join(map(shlex.quote, space.names[:LISTED])) + " …" * (space.levels > LISTED)
        return f"choose from --context {names}"
    return f"give{given_words(run)}"


PATH = re.compile(r"\.[A-Za-z]\w{0,7}$")
"""The end of what is rather the name of a file than a text."""


def names_file(word: str) -> bool:
    """Whether a word is rather the path of a file than a text.

    >>> [names_file(word) for word in ("a.png", "runs/a", "a red car", "It rained. He left")]
    [True, True, False, False]
    """
    return PATH.search(word) is not None or ("/" in word and " " not in word)


def has_columns(source: str, asked: Any) -> bool:
    """Whether a source has the columns of an event or a context, as they were asked for."""
    from ptheta.data.sources.faults import reading
    from ptheta.data.sources.opening import open_source
    from ptheta.data.views import parts_of

    opened = open_source(source)
    with reading(opened.origin):
        try:
            parts_of(asked, opened)
        except SourceError:
            return False
    return True


# Contexts of one column


@dataclass
class _Asked:
    """One context as it was asked for.

    Args:
        value: as a person writes it; None: the cell is empty.
        name: its caption.
        row: of the file that it stands in, from 1 on; 0 for a word.
        path: of that file.
    """

    value: str | None
    name: str
    row: int = 0
    path: str = ""


def _values(run: Run, codec: ContextCodec, words: list[str]) -> Given:
    column = context_columns(run)[0]
    exhibit = exhibit_of(codec)
    known = set(exhibit.words)
    found: list[_Asked] = []
    remarks: list[str] = []
    for word in words:
        named, _, rest = word.partition("=")
        if word == column and word not in known and not exhibit.is_text and not exists(Path(word)):
            raise lacks_value(column, exhibit.some_values(column))
        value = rest if word not in known and VIEW.sub("", named) == column and "=" in word else word
        expanded = _expanded(codec, value, column, known)
        if exhibit.is_text and value is word and [asked.value for asked in expanded] == [word] and names_file(word):
            raise SourceError(f"{word} does not exist", f"check the path, or give the text as {column}={word}")
        found += expanded
        unnamed = value is word and named != word and VIEW.sub("", named).isidentifier()
        if unnamed and exhibit.is_text and [asked.value for asked in expanded] == [word]:
            remarks.append(f"{word!r} is taken as the text itself; the context is called {column}")
    rows = [_row(run, codec, asked) for asked in found]
    remarks += [remark for asked in found if asked.value is not None and (remark := codec.remark(asked.value))]
    whole = np.concatenate(rows)
    _say(remarks)
    _doubt(codec, whole)
    return Given(_tensor(whole), [asked.name for asked in found])


def _row(run: Run, codec: ContextCodec, asked: _Asked) -> np.ndarray:
    """A context [1, …]; of an empty cell the one that says nothing."""
    from ptheta.data.reading import context_of
    from ptheta.data.sources.delimited import in_row

    if asked.value is None:
        if not run.model.context_dropout:
            raise _lacks(asked.row, asked.path, "is empty")
        return codec.space.null(1).numpy()
    if not asked.row:
        return context_of(codec, asked.value)
    with in_row(asked.row, asked.path):
        return context_of(codec, asked.value)


def _lacks(row: int, path: str, what: str) -> ContextError:
    return ContextError(f"row {row:,} of {path} {what}", "fill it in or remove that row, or fit with a context dropout")


def _expanded(codec: ContextCodec, word: str, column: str, known: set[str]) -> list[_Asked]:
    """The value, or those in the file or folder that it names.

    Raises:
        SourceError: a file that does not exist or contains none.
    """
    path = Path(word)
    if suffixes := exhibit_of(codec).suffixes:
        files = _files(path, suffixes, f"{codec.noun}s") if is_folder(path) else [path]
        if not exists(path):
            raise SourceError(f"{word} does not exist", "give a file, or a folder of files, as the context")
        return [_Asked(str(file), file.stem) for file in files]
    if word not in known and path.suffix.lower() in LISTS and not any(c.isspace() for c in word):
        if not is_file(path):
            raise SourceError(f"{word} does not exist", "check the path, or give the value itself")
        cells = enumerate(_listed(path, column, codec), 1)
        return [_Asked(cell or None, _caption(cell) if cell else "nothing given", row, word) for row, cell in cells]
    if word not in known and path.suffix and is_file(path):
        what = f"{word} is a file, and the context is {codec.space}"
        raise SourceError(what, "give the value itself, or a .txt file")
    return [_Asked(word, _caption(word))]


def _caption(value: str) -> str:
    return " ".join(value.split())


def _files(folder: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    files = [file for file in entries(folder) if file.suffix.lower() in suffixes]
    if not files:
        raise SourceError(f"{folder} contains no {what}", "give another folder")
    return files


def _listed(path: Path, column: str, codec: ContextCodec) -> list[str]:
    """The lines of a text file that are not blank, or the cells of a CSV file's column of contexts, empty ones too."""
    from ptheta.data.kinds import kind_of
    from ptheta.data.sources.delimited import read_cells, read_lines

    if path.suffix.lower() != ".csv":
        return read_lines(path)
    names, rows = read_cells(path, kind_of(codec).words(codec, column))
    if column not in names and len(names) > 1:
        raise SourceError(f"{path} has no column {column!r}", "give the column of contexts that name")
    if column not in names:
        print(f"column {names[0]!r} of {path} is taken as the contexts", file=sys.stderr)
    at = names.index(column) if column in names else 0
    return [row[at] for row in rows]


# Contexts of parts


def _parts(run: Run, codec: JointCodec, words: list[str]) -> Given:
    """One context of the parts that words name, or the rows of CSV files.

    Raises:
        ContextError: an empty cell, and the model knows only whole contexts.
    """
    from ptheta.data.reading import context_of_parts, events_of_file

    tables = [word for word in words if word.lower().endswith(".csv") and "=" not in word]
    if tables and len(tables) < len(words):
        raise UsageError("a context is given by its parts or as a table", "give NAME=VALUE words or a CSV file")
    if tables:
        found = [_tensor(events_of_file(codec, path)) for path in tables]
        for path, rows in zip(tables, found):
            absent = codec.space.absent(rows)
            if not run.model.context_dropout and bool(absent.any()):
                row, part = absent.nonzero()[0].tolist()
                raise _lacks(row + 1, path, f"lacks {codec.space.names[part]}")
        rows = torch.cat(found)
        _doubt(codec, rows.numpy())
        return Given(rows, codec.names(rows))
    words = [word if word.partition("=")[0] in codec.parts else _unviewed(word) for word in words]
    if (name := next((word for word in words if word in codec.parts), None)) is not None:
        raise lacks_value(name, exhibit_of(codec.codecs[name]).some_values(name))
    row = context_of_parts(codec, words)
    _doubt(codec, row)
    _say([remark for word in words if (remark := codec.remark(word))])
    absent = [name for name in codec.parts if not any(word.startswith(f"{name}=") for word in words)]
    if absent:
        print(f"not conditioned on {', '.join(absent)}", file=sys.stderr)
    return Given(_tensor(row), [" ".join(_short(codec, word) for word in words)])


def _short(codec: JointCodec, word: str) -> str:
    """NAME=VALUE with the stem of a path."""
    name, _, value = word.partition("=")
    return f"{name}={Path(value).stem if exhibit_of(codec.codecs[name]).suffixes else value}"


def _tensor(rows: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(rows))
    return x.double() if x.is_floating_point() else x.long()


def _say(remarks: list[str]) -> None:
    note(remarks[:REMARKS])
    if len(remarks) > REMARKS:
        note([f"… and {len(remarks) - REMARKS} more such contexts"])


def _doubt(codec: ContextCodec, rows: np.ndarray) -> None:
    """Note contexts beyond all that were learned from."""
    if doubt := codec.doubt(rows):
        note([doubt])


def _unviewed(word: str) -> str:
    """NAME:VIEW=VALUE as NAME=VALUE."""
    name, sign, value = word.partition("=")
    return VIEW.sub("", name) + sign + value
