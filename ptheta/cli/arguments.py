"""Arguments from typed signatures (tyro), and errors as one line."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from ptheta.errors import PthetaError, UsageError, nearest


def call(function: Callable[..., Any], args: list[str], prog: str, known: Iterable[str] = (), **hidden: Any) -> Any:
    """Call a function with arguments parsed by its signature; its docstring is the help.

    Args:
        function: parameters are positionals and flags; `Args:` in the docstring are their help.
        args: from the command line.
        prog: shown in the help.
        known: further flags to propose when one is unknown.
        hidden: arguments of the function that are given here and are no flags.

    Raises:
        UsageError: unknown flag (the nearest is named), wrong type, something missing.
    """
    import tyro

    said = io.StringIO()
    bound: list[Any] = []

    def receive(*positional: Any, **named: Any) -> None:
        bound[:] = positional, named

    signature = inspect.signature(function, eval_str=True)
    shown = [parameter for name, parameter in signature.parameters.items() if name not in hidden]
    receive.__signature__ = signature.replace(parameters=shown, return_annotation=None)  # type: ignore[attr-defined]
    receive.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    receive.__doc__ = function.__doc__
    for flag in map(flag_of, receive.__annotations__):  # the parser would keep the last and say nothing
        if sum(word == flag or word.startswith(f"{flag}=") for word in args) > 1:
            raise UsageError(f"{flag} is given twice", "give it once, with all its values after it")
    try:
        with contextlib.redirect_stderr(said):
            _, unknown = tyro.cli(
                receive, args=args, prog=prog, return_unknown_args=True, config=(tyro.conf.HelptextFromCommentsOff,)
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise UsageError(_first_sentence(said.getvalue()), f"see {prog} --help") from None
    if unknown:
        flags = [*map(flag_of, receive.__annotations__), *known]
        what = "flag" if unknown[0].startswith("-") else "argument"
        hint = nearest(unknown[0].split("=")[0], flags) if what == "flag" else f"see {prog} --help"
        raise UsageError(f"unknown {what} {unknown[0]}", hint if "did you mean" in hint else f"see {prog} --help")
    positional, named = bound
    return function(*positional, **named, **hidden)


def flag_of(parameter: str) -> str:
    """The flag of a parameter.

    >>> flag_of("batch_size")
    '--batch-size'
    """
    return f"--{parameter.replace('_', '-')}"


def take(args: list[str], parameters: Mapping[str, inspect.Parameter]) -> tuple[list[str], list[str]]:
    """Take the flags of `parameters`, with their values, out of a list of arguments.

    Returns:
        the arguments taken, and the rest.
    """
    taken: list[str] = []
    rest: list[str] = []
    queue = list(args)
    while queue:
        word = queue.pop(0)
        flag, _, inline = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        parameter = parameters.get(name) or parameters.get(name.removeprefix("no_"))
        if not flag.startswith("--") or parameter is None:
            rest.append(word)
            continue
        taken.append(word)
        most = _values(parameter.annotation) if not inline else 0
        while most > 0 and queue and not re.match(r"--?[A-Za-z]", queue[0]):
            taken.append(queue.pop(0))
            most -= 1
    return taken, rest


def _values(annotation: Any) -> float:
    """How many words the value of such a parameter takes, at most."""
    kinds = [annotation, *get_args(annotation)]
    if any(get_origin(kind) is tuple for kind in kinds):
        return math.inf
    return 0 if annotation is bool else 1


def wants_json(args: list[str]) -> bool:
    """Whether --json is among the arguments."""
    return "--json" in args


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def fail(error: PthetaError, *, as_json: bool) -> int:
    """Print an error as one line; returns exit status 2. What several processes share, the first one prints."""
    if error.shared and not is_first():
        time.sleep(1)  # torchrun stops all as soon as one ends, and the first one is to speak before
        return 2
    if as_json:
        print(json.dumps({"error": error.problem, "remedy": error.remedy}, ensure_ascii=False))
    print(f"ptheta: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line; infinities become null, which JSON has."""
    print(json.dumps(plain(value), ensure_ascii=False))


def plain(value: Any) -> Any:
    """A value with what JSON lacks replaced: paths by text, infinities by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


_WORDING = [
    (r"\{None\}\|", ""),
    (r"no type matching (.*) could be instantiated from (.*)", r"it needs \1, not \2"),
    (r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((?:'None', )?(.*)\)", r"\2 is \1, not one of \3"),
    (r"Missing value for argument '(\S+)'.*", r"\1 lacks its value"),
    (r"Missing from ptheta \w+: (\w+) .*", r"\1 is missing"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 is \2, no whole number"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1 is \2, no number"),
    (r"Error parsing (\S+): it needs INT, not \[(.*)\]", r"\1 is \2, no whole number"),
    (r"Error parsing (\S+): it needs FLOAT, not \[(.*)\]", r"\1 is \2, no number"),
    (r"Error parsing (\S+): it needs \{(?:None,)?(.*)\}\|\{.*\}, not \[(.*)\]", r"\1 is \3, not one of \2 or numbers"),
]
"""What the parser says → what we say."""


def _first_sentence(box: str) -> str:
    """What the parser's box says, in one line."""
    words: list[str] = []
    for line in box.splitlines():
        if re.search(r"[─-]{3}", line):  # the box's edges and title
            continue
        line = line.strip(" │|")
        if line.startswith(("Argument helptext", "For full helptext", "Got errors")):
            break
        words += line.split()
    text = " ".join(words)
    for pattern, replacement in _WORDING:
        text = re.sub(pattern, replacement, text)
    return text.rstrip(".:") or "the arguments cannot be read"
