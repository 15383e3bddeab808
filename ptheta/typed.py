"""Arguments of public functions checked by their annotations, so that a wrong one is named where it is given."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np

from ptheta.errors import ArgumentError, UsageError, nearest
from ptheta.numbers import joined, with_article

P = ParamSpec("P")
T = TypeVar("T")

SEEDS = 2**64
"""Seeds are whole numbers below it, those that torch takes."""

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a string",
    Path: "a path",
    dict: "a dict",
}
LONGEST = 60
"""Characters of a wrong value that are shown."""

_WRONG = object()


def typed(function: Callable[P, T]) -> Callable[P, T]:
    """Check the arguments of a function by its annotations; numpy's scalars become Python's own.

    What the annotations say of numbers, strings, bools, paths, dicts and None is checked; of anything else nothing is.
    An argument called `seed` is at least 0 and below 2^64.

    Raises:
        ArgumentError: on a call with an argument that the function lacks, of which the nearest is named, or with one of
            another type.

    >>> @typed
    ... def draw(n: int, *, seed: int | None = None): ...
    >>> draw(2, sed=1)
    Traceback (most recent call last):
    ...
    ptheta.errors.ArgumentError: draw has no argument 'sed'; did you mean seed?
    >>> draw(2.5)
    Traceback (most recent call last):
    ...
    ptheta.errors.ArgumentError: n is 2.5, not a whole number; give a whole number
    """

    @functools.cache
    def parameters() -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(function, eval_str=True).parameters)

    @functools.wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        known = parameters()
        positional = [one for one in known.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        takes_all = any(one.kind is one.VAR_KEYWORD for one in known.values())
        names = [one for one in known if one not in ("self", "cls")]
        for name in kwargs:
            if name not in known and not takes_all:
                raise ArgumentError(f"{function.__name__} has no argument {name!r}", nearest(name, names))
        if twice := [one.name for one, _ in zip(positional, args) if one.name in kwargs]:
            order = ", ".join(one.name for one in positional if one.name in names)
            raise ArgumentError(f"{twice[0]} is given twice", f"the order of arguments is {function.__name__}({order})")
        given = [_argument(one, value) for one, value in zip(positional, args)] + list(args[len(positional) :])
        named = {name: _argument(known[name], value) if name in known else value for name, value in kwargs.items()}
        return function(*given, **named)  # type: ignore[call-arg]

    return checking


def _argument(parameter: inspect.Parameter, value: Any) -> Any:
    if value is parameter.default or parameter.annotation is parameter.empty:
        return value
    found = checked(parameter.name, value, parameter.annotation)
    return checked_seed(found) if parameter.name == "seed" and found is not None else found


def checked_seed(value: Any) -> int:
    """A seed.

    Raises:
        UsageError: it is no whole number, or out of bounds.
    """
    seed = checked("seed", value, int)
    if not 0 <= seed < SEEDS:
        raise UsageError(f"seed is {seed}", "give a whole number from 0 to 2^64 − 1")
    return seed


def checked(name: str, value: Any, kind: Any) -> Any:
    """A value that is of the kind an annotation says, numpy's scalars as Python's own.

    Raises:
        ArgumentError: it is not.

    >>> checked("width", np.int64(3), int | None)
    3
    """
    kinds = _kinds(kind)
    for one in kinds:
        found = _as(value, one)
        if found is not _WRONG:
            return found
    wanted = joined([*dict.fromkeys(_word(one) for one in kinds if one is not type(None))], "or")
    remedy = f"give {wanted}"
    if int in kinds and isinstance(value, float) and value.is_integer():
        remedy = f"give {int(value)}"
    raise ArgumentError(f"{name} is {_shown(value)}, not {wanted}", remedy)


def _kinds(kind: Any) -> list[Any]:
    """What a union consists of."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _kinds(part)]
    return [kind]


def _as(value: Any, kind: Any) -> Any:
    """The value if it is of that kind, or if the kind says nothing that is checked; else `_WRONG`."""
    if kind in (None, type(None)):
        return None if value is None else _WRONG
    if kind is bool:
        return bool(value) if isinstance(value, bool | np.bool_) else _WRONG
    if kind in (int, float):
        return _number(value, kind)
    if kind in (str, Path):
        return value if isinstance(value, kind) else _WRONG
    if kind is dict or get_origin(kind) in (dict, Mapping):
        return value if isinstance(value, Mapping) else _WRONG
    if get_origin(kind) in (tuple, list):
        return value if isinstance(value, tuple | list) else _WRONG
    if get_origin(kind) is Literal:  # a wrong word is named, with the nearest, by whoever knows the words
        return value if any(isinstance(value, type(one)) for one in get_args(kind)) else _WRONG
    return value


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, bool | np.bool_):
        return _WRONG
    try:
        return operator.index(value)
    except TypeError:
        pass
    if kind is float and isinstance(value, float | np.floating) and not math.isnan(value):
        return float(value)
    return _WRONG


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    origin = get_origin(kind)
    if origin in (tuple, list):
        return "a tuple"
    return WORDS.get(dict if origin in (dict, Mapping) else kind, "something else")


def _shown(value: Any) -> str:
    """A value in an error: as Python writes it, if that is short."""
    text = repr(value)
    if len(text) > LONGEST or "\n" in text or " object at 0x" in text:
        return with_article(type(value).__name__)
    return text
