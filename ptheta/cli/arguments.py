"""Arguments from typed signatures (tyro), and errors as one line."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ptheta.cli.groups import Argument
from ptheta.cli.json_output import json_line
from ptheta.cli.needs import Needs
from ptheta.errors import PthetaError, UsageError, nearest
from ptheta.numerals import is_float
from ptheta.terminal import Screen, raw

Groups = Mapping[str, Mapping[str, list[Argument]]]
"""Parameter of a function → titles in the help → the flags, whose given values are the parameter."""


def call(
    function: Callable[..., Any],
    args: list[str],
    prog: str,
    known: Iterable[str] = (),
    groups: Groups | None = None,
    **hidden: Any,
) -> Any:
    """Call a function with arguments parsed by its signature; its docstring is the help.

    Args:
        function: parameters are positionals and flags; `Args:` in the docstring are their help.
        args: from the command line.
        prog: shown in the help.
        known: further flags to propose when one is unknown.
        groups: further flags, in groups; the parameter of the function gets those that were given another value than
            their default.
        hidden: arguments of the function that are given here and are not flags.

    Raises:
        UsageError: unknown flag (the nearest is named), wrong type, something missing.
    """
    import tyro

    errors = io.StringIO()
    bound: list[Any] = []

    def receive(*positional: Any, **named: Any) -> None:
        bound[:] = positional, named

    groups = groups or {}
    titled = {title: flags for titles in groups.values() for title, flags in titles.items()}
    signature = inspect.signature(function, eval_str=True)
    own = [_readable(one) for name, one in signature.parameters.items() if name not in hidden and name not in groups]
    shown = own + [_group(title, flags) for title, flags in titled.items()]
    receive.__signature__ = signature.replace(parameters=shown, return_annotation=None)  # type: ignore[attr-defined]
    receive.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    receive.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.getdoc(function) or "")  # the terminal wraps the lines
    placed = [one.name for one in own if tyro.conf.Positional in getattr(one.annotation, "__metadata__", ())]
    names = [one.name for one in own if one.name not in placed]
    names += [flag.name for flags in titled.values() for flag in flags]
    known = [*known]
    _check_placed(args, [name for name in placed if name not in names and flag_of(name) not in known], prog)
    for flag in map(flag_of, names):  # the parser would keep the last and say nothing
        if sum(word == flag or word.startswith(f"{flag}=") for word in args) > 1:
            raise UsageError(f"{flag} is given twice", "give it once, with all its values after it")
    try:
        with contextlib.redirect_stderr(errors), _help():
            _, unknown = tyro.cli(
                receive, args=args, prog=prog, return_unknown_args=True, config=(tyro.conf.HelptextFromCommentsOff,)
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise _refused(_first_sentence(errors.getvalue()), prog) from None
    if unknown:
        flags = [*map(flag_of, names), *known]
        what = "flag" if unknown[0].startswith("-") else "argument"
        hint = nearest(unknown[0].split("=")[0], flags) if what == "flag" else f"see {prog} --help"
        hint = hint if "did you mean" in hint else f"see {prog} --help"
        raise UsageError(f"unknown {what} {unknown[0]}", hint)
    positional, named = bound
    kinds = {name: one.annotation for name, one in signature.parameters.items()}
    _check_filled(args, kinds | {flag.name: flag.kind for flags in titled.values() for flag in flags})
    _check_needs(signature.parameters, named)
    for name, value in named.items():
        for one, number in vars(value).items() if name in titled else [(name, value)]:
            _check_number(one, number)
    given: dict[str, Any] = {}
    for parameter, titles in groups.items():
        values = [(flag, getattr(named[title], flag.name)) for title, flags in titles.items() for flag in flags]
        given[parameter] = {flag.name: value for flag, value in values if value != flag.default}
    return function(*positional, **{k: v for k, v in named.items() if k not in titled}, **given, **hidden)


def _refused(problem: str, prog: str) -> UsageError:
    """The error for what the parser refused: the choices of a flag in order, and the one that was nearly given."""
    found = re.search(r"(\S+ is '(.*)', not one of )('.*')$", problem)
    if found is None:
        return UsageError(problem, f"see {prog} --help")
    choices = sorted(set(re.findall(r"'([^']*)'", found[3])) - {"None"})
    hint = nearest(found[2], choices)
    listed = ", ".join(map(repr, choices))
    return UsageError(found[1] + listed, hint if hint.startswith("did") else f"see {prog} --help")


def _check_placed(args: list[str], placed: Iterable[str], prog: str) -> None:
    """Refuse flags of what has a place among the arguments, and no flag."""
    for name in placed:
        flag = flag_of(name)
        if found := next((word for word in args if word == flag or word.startswith(f"{flag}=")), None):
            are = "are" if name.endswith("s") else "is"
            raise UsageError(f"unknown flag {found}", f"the {name} {are} named without a flag, see {prog} --help")


def _check_filled(args: list[str], kinds: Mapping[str, Any]) -> None:
    """Refuse an empty word where a file, a folder or a name is wanted: as a path it would be the working folder."""
    if "" in positionals(args, kinds):
        raise UsageError("an argument is empty", "name a file, a folder or a model, or leave it out")
    for name, kind in kinds.items():
        flag = flag_of(name)
        given = f"{flag}=" in args or (flag, "") in pairwise(args)
        if given and Path in _kinds(kind):
            raise UsageError(f"{flag} is empty", "name a file or a folder, or leave it out")


def _kinds(annotation: Any) -> list[Any]:
    """The types that an annotation consists of."""
    return [annotation, *(kind for one in get_args(annotation) for kind in _kinds(one))]


def _check_needs(parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any]) -> None:
    """Refuse a flag that was given without the one it needs (`Needs`)."""
    for name, one in parameters.items():
        for need in getattr(one.annotation, "__metadata__", ()):
            if isinstance(need, Needs) and values[name] != one.default:
                other = parameters[need.flag]
                if values[need.flag] == other.default:
                    flag = flag_of(need.flag)
                    raise UsageError(f"{flag_of(name)} has no effect without {flag}", need.remedy or f"give {flag} too")


@contextlib.contextmanager
def _help() -> Iterator[None]:
    """Within, the help keeps its colours, and is laid out for `NARROWEST` columns at least: fewer take minutes."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(max(NARROWEST, shutil.get_terminal_size().columns))
    try:
        with contextlib.redirect_stdout(Screen(raw(sys.stdout), colours=True)):
            yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _check_number(name: str, value: Any) -> None:
    """No flag takes what is no number, or a whole number that computers do not hold.

    Raises:
        UsageError: it is one.
    """
    if isinstance(value, float) and math.isnan(value):
        raise UsageError(f"{flag_of(name)} is nan", "give a number")
    if name == "seed" and isinstance(value, int) and value < 0:
        raise UsageError(f"--seed is {value}", "give a whole number from 0 to 2^64 − 1")
    if isinstance(value, int) and abs(value) >= 2**64:
        raise UsageError(f"{flag_of(name)} is {value!s:.40}", "give a number below 2^64")


NARROWEST = 40
"""Columns of the help, at least."""

_METAVARS = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH", bool: "{True,False}"}


def _readable(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter whose help shows neither None nor a default that goes without saying."""
    import tyro

    kind, marks = parameter.annotation, list(getattr(parameter.annotation, "__metadata__", ()))
    kind = get_args(kind)[0] if marks else kind
    changes: dict[str, Any] = {"help_behavior_hint": ""} if _goes_without_saying(parameter.default) else {}
    conf: Any = next((mark for mark in marks if hasattr(mark, "help_behavior_hint")), tyro.conf.arg())
    if type(None) in get_args(kind):
        changes["metavar"] = conf.metavar or _metavar(kind)
    if not changes:
        return parameter
    marks = [mark for mark in marks if mark is not conf and not isinstance(mark, Needs)] + [
        dataclasses.replace(conf, **changes)
    ]
    return parameter.replace(annotation=Annotated[(kind, *marks)])


def _goes_without_saying(default: Any) -> bool:
    return default is None or default is False or default == []


def _metavar(kind: Any) -> str | None:
    """How a type is shown; None, which nobody types, is left out."""
    shown: list[str] = []
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]:
        if get_origin(one) is Literal:
            shown.append(f"{{{','.join(map(str, get_args(one)))}}}")
        elif get_origin(one) is tuple:
            shown.append(f"{_METAVARS.get(get_args(one)[0], 'VALUE')} …")
        elif one is not type(None):
            shown.append(_METAVARS.get(one, "VALUE"))
    return "|".join(shown) or None


def _group(title: str, flags: list[Argument]) -> inspect.Parameter:
    """A parameter whose fields are the flags of a group."""
    import tyro

    made = []
    for flag in flags:
        hint = "" if _goes_without_saying(flag.default) else None  # None: the parser's own, which shows the default
        if flag.otherwise:
            hint = "(inferred if left out)" if flag.otherwise == "inferred" else f"(if left out: {flag.otherwise})"
        switch = flag.kind is bool and flag.default is False
        metavar = flag.metavar or (None if flag.kind is bool else _metavar(flag.kind))
        aliases = [f"--{flag.alias}"] if flag.alias else None
        conf = tyro.conf.arg(help=flag.help, metavar=metavar, help_behavior_hint=hint, aliases=aliases)
        kind: Any = Annotated[(flag.kind, *([tyro.conf.FlagCreatePairsOff] if switch else []), conf)]
        made.append((flag.name, kind, dataclasses.field(default=flag.default)))
    group: Any = dataclasses.make_dataclass(title, made)
    annotation: Any = Annotated[group, tyro.conf.OmitArgPrefixes, tyro.conf.arg(help="")]
    return inspect.Parameter(title, inspect.Parameter.KEYWORD_ONLY, default=group(), annotation=annotation)


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
        first = True
        while most > 0 and queue and not re.match(r"--?[A-Za-z]", queue[0]) and (first or is_float(queue[0])):
            taken.append(queue.pop(0))
            most, first = most - 1, False
    return taken, rest


def positionals(args: list[str], kinds: Mapping[str, Any]) -> list[str]:
    """The arguments that are neither flags nor values of flags; a flag that is not known has one value.

    Args:
        args: from the command line.
        kinds: parameter → type.

    >>> positionals(["a", "--missing", "na", "n:a", "--json", "b"], {"missing": list[str], "json": bool})
    ['a', 'b']
    """
    found, left = [], 0.0
    for word in args:
        if re.match(r"--?[A-Za-z]", word):
            flag, inline, _ = word.partition("=")
            left = 0 if inline else _values(kinds.get(flag.removeprefix("--").replace("-", "_"), str))
        elif left:
            left -= 1
        else:
            found.append(word)
    return found


def _values(annotation: Any) -> float:
    """How many words the value of such a parameter takes, at most."""
    annotation = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    kinds = [annotation, *get_args(annotation)]
    if any(get_origin(kind) in (tuple, list) for kind in kinds):
        return math.inf
    return 0 if annotation is bool else 1


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    rank = os.environ.get("RANK", "0")
    return rank == "0" or not rank.isdigit()


def fail(error: PthetaError, *, as_json: bool) -> int:
    """Print an error as one line; returns exit status 2. What several processes share, the first one prints."""
    if error.shared and not is_first():
        time.sleep(1)  # torchrun stops all as soon as one ends, and the first one is to report before
        return 2
    if as_json:
        print(json_line({"error": error.problem, "remedy": error.remedy}))
    line = f"ptheta: {' '.join(str(error).split())}"
    print(line, file=sys.stderr)
    tell_torchrun(line)
    return 2


def flagged(error: PthetaError, args: list[str]) -> PthetaError:
    """An error of a value that was given by a flag, which it names by its keyword, with the flag.

    >>> from ptheta.wording import on_command_line
    >>> with on_command_line():
    ...     print(flagged(UsageError("batch_size is 0", "give at least 1"), ["fit", "digits", "--batch-size=0"]))
    --batch-size is 0; give at least 1
    """
    found = re.match(r"([a-z]+(?:[_-][a-z]+)*) is (?=-?(?:\d|inf))", error.problem)
    flag = "" if found is None else flag_of(found[1])
    if found is None or not any(word == flag or word.startswith(f"{flag}=") for word in args):
        return error
    made = UsageError(flag + error.problem[found.end(1) :], error.remedy)
    made.shared = error.shared
    return made


def tell_torchrun(line: str) -> None:
    """Give torchrun, if it started this process, the line for its own report, which has no cause otherwise."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is None:
        return
    about = {"py_callstack": line, "timestamp": str(int(time.time()))}
    with contextlib.suppress(OSError):
        Path(path).write_text(json.dumps({"message": {"message": line, "extraInfo": about}}), encoding="utf-8")


_WORDING = [
    (r"\{None\}\|", ""),
    (r"no type matching (.*) could be instantiated from (.*)", r"it needs \1, not \2"),
    (r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((?:'None', )?(.*)\)", r"\2 is \1, not one of \3"),
    (r"Missing value for argument '(\S+)'.*", r"\1 needs a value"),
    (r"Missing from ptheta \w+: (\w+) .*", r"\1 is missing"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 is \2, not a whole number"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1 is \2, not a number"),
    (r"Error parsing (\S+): it needs INT, not \[(.*)\]", r"\1 is \2, not a whole number"),
    (r"Error parsing (\S+): it needs FLOAT\|\S+ \S+ \S+, not \[(.*)\]", r"\1 is \2, not a number or several"),
    (r"Error parsing (\S+): it needs FLOAT, not \[(.*)\]", r"\1 is \2, not a number"),
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
