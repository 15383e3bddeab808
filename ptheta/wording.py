"""Options as whoever reads a message gives them: flags on a command line, keywords in Python.

Messages are written with flags, `--batch-size 32`. Within `on_command_line` they stay so; elsewhere a flag becomes the
keyword of the same meaning, `batch_size=32`. Whole commands, which begin with `ptheta`, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("ptheta_on_command_line", default=False)

SWITCHES = {
    *("any_order", "across_documents", "compile", "elbo", "follow_paths", "force", "lexicon", "recover", "resume"),
    *("resume_inexact", "track", "whole"),
}
"""Flags without a value."""

WORDS = {
    *("adamw", "bpe", "bytes", "categorical", "categories", "characters", "cpu", "grey", "mixed", "muon", "native"),
    *("no", "ratio", "real", "rgb", "surprise", "yes"),
}
"""Words that are values where they follow a flag."""

KEYWORDS = {"except": "except_columns"}
"""Flags whose keywords have other names, since Python has them itself."""

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)(?:[ =]([^\s;)]*[^\s;:.)]))?")
_COMMAND = re.compile(r"`ptheta [^`]*`|\bptheta [a-z]+ .*")


@contextmanager
def on_command_line() -> Iterator[None]:
    """Within, messages name flags."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


def worded(text: str) -> str:
    """A message as whoever reads it gives options.

    >>> worded("give --size HxW, and --levels 2; --batch-size 32 takes 1 GB")
    'give size=HxW, and levels=2; batch_size=32 takes 1 GB'
    >>> worded("choose another --out, replace it with --force, or take --columns mixed")
    'choose another out, replace it with force=True, or take columns="mixed"'
    >>> worded("fit it without --no-any-order, or run: ptheta fit --resume --out x")
    'fit it without any_order=False, or run: ptheta fit --resume --out x'
    """
    if _ON_COMMAND_LINE.get() or "--" not in text:
        return text
    command = _COMMAND.search(text)
    if command is None:
        return _FLAG.sub(_keyword, text)
    return _FLAG.sub(_keyword, text[: command.start()]) + command[0] + worded(text[command.end() :])


def _keyword(found: re.Match[str]) -> str:
    """A flag, and what follows it, as a keyword."""
    name, word = found[1].replace("-", "_"), found[2]
    name = KEYWORDS.get(name, name)
    rest = found[0][2 + len(found[1]) :]
    if name.removeprefix("no_") in SWITCHES:
        return f"{name.removeprefix('no_')}={not name.startswith('no_')}{rest}"
    bare = (word or "").rstrip(",") or (word or "")
    more = (word or "")[len(bare) :]
    if bare in WORDS or re.fullmatch(r"\d+x\d+", bare):
        return f'{name}="{bare}"{more}'
    is_value = re.fullmatch(r"[\d.]*\d|[A-Z]+|HxW", bare) or (
        name in ("context", "event", "except_columns") and _names_columns(bare)
    )
    return f"{name}={bare}{more}" if is_value else f"{name}{rest}"


def _names_columns(word: str) -> bool:
    """Whether a word after --event or --context is rather columns than a word of the sentence."""
    return bool(word) and word not in ("alone", "and", "column", "does", "for", "in", "or", "so", "that", "to", "where")
