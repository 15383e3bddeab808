"""Flags that come from a family's own signatures: hyperparameters, and options of sampling."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from ptheta.cli.arguments import Groups, call, flag_of, positionals, take
from ptheta.cli.groups import Argument, apart, described
from ptheta.cli.suiting import unsuited
from ptheta.errors import PthetaError, RunError, UsageError, nearest
from ptheta.listing import exists

if TYPE_CHECKING:
    from ptheta.models import Model

Signature = Mapping[str, inspect.Parameter]


def is_flag(annotation: Any) -> bool:
    """Whether values of a type are given on a command line."""
    if get_origin(annotation) in (Union, UnionType):
        return all(is_flag(kind) for kind in get_args(annotation))
    if get_origin(annotation) is tuple:
        return is_flag(get_args(annotation)[0])
    return get_origin(annotation) is Literal or annotation in (int, float, str, bool, type(None))


def hyperparameters_of(model: type[Model]) -> dict[str, inspect.Parameter]:
    """The hyperparameters of a family that are flags."""
    return {name: one for name, one in model.hyperparameter_signature().items() if is_flag(one.annotation)}


def sampling(model: type[Model]) -> dict[str, inspect.Parameter]:
    """The options of a family's `sample` that are flags."""
    return {name: one for name, one in model.sampling_signature().items() if is_flag(one.annotation)}


def of_all(signature: Callable[[type[Model]], Signature], own: Iterable[str] = ()) -> dict[str, inspect.Parameter]:
    """Name → parameter of every family, those of one's `own` first; of several with one name the first."""
    from ptheta.models import ZOO, family

    found: dict[str, inspect.Parameter] = {}
    for row in [*map(family, own), *ZOO.values()]:
        for name, parameter in signature(row.load()).items():
            found.setdefault(name, parameter)
    return found


def of_family(name: str) -> dict[str, list[Argument]]:
    """The hyperparameters of a family in the help."""
    from ptheta.models import family

    cls = family(name).load()
    about = described(cls)
    return {
        "hyperparameters": [
            Argument(name, parameter.annotation, parameter.default, *apart(about.get(name, "")))
            for name, parameter in hyperparameters_of(cls).items()
        ]
    }


def own_model(args: list[str], kinds: Mapping[str, Any]) -> list[str]:
    """The family of one's own, `module:Class`, that is the second positional argument; its module is imported.

    Args:
        args: from the command line; all that stand elsewhere, sources and values of flags, are never imported.
        kinds: parameter → type of the command's flags; those of the families of the zoo are known.

    Raises:
        UsageError: the module cannot be imported, or has no such family; or the word is a path.
    """
    from ptheta.models.zoo import OWN

    words = positionals(take(args, of_all(hyperparameters_of))[1], kinds)
    return [named(word) for word in words[1:2] if OWN.fullmatch(word)]


def named(word: str) -> str:
    """The name of a family as it was typed; one's own are imported, from the working folder too.

    Raises:
        UsageError: there is none; the nearest name is given. Or it is a file or folder.
    """
    from ptheta.models import family
    from ptheta.models.zoo import admit

    if ":" in word:
        if exists(Path(word)):
            raise UsageError(f"{word} is a path, not a model", "choose a model, see `ptheta zoo`")
        see_working_folder()
    admit(word)
    return family(word).name


def see_working_folder() -> None:
    """Let Python find modules in the working folder too, after all others."""
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def of_sampling(run: str | None) -> dict[str, list[Argument]]:
    """The options of sampling in the help: those of a run's family, or of all families."""
    from ptheta.models import ZOO, family

    found: dict[str, Argument] = {}
    for name in list(ZOO) if run is None else [family_of_run(run)]:
        cls = family(name).load()
        about = described(cls._sample)
        for option, parameter in sampling(cls).items():
            kind, default = parameter.annotation, parameter.default
            found.setdefault(option, Argument(option, kind, default, about.get(option, "")))
    return {"sampling": list(found.values())} if found else {}


def call_with_options(function: Callable[..., None], args: list[str], prog: str, groups: Groups | None = None) -> None:
    """Call a command whose parameter `words` gets the options of sampling; its help lists those of the run's family,
    and no flags that are for other data than the run's.

    Args:
        function: the command.
        args: from the command line.
        prog: shown in the help.
        groups: further flags, see `call`.

    Raises:
        RunError: the run's family is of a module that has not been imported.
    """
    groups = groups or {}
    run = next((word for word in args if not word.startswith("-") and stored_family(word) is not None), None)
    wants_help = bool({"-h", "--help"} & set(args))
    try:
        own = [] if run is None else [family_of_run(run)]
    except RunError:
        if not wants_help:
            raise
        run, own = None, []
    every = of_all(sampling, own)
    words, rest = take(args, every)
    if wants_help:
        others = set() if run is None else unsuited(run) & inspect.signature(function).parameters.keys()
        hidden: dict[str, Any] = dict.fromkeys(others)
        call(function, rest, prog, groups={"words": of_sampling(run), **groups}, **hidden)
    call(function, rest, prog, map(flag_of, every), groups, words=words)


def stored_family(run: str) -> str | None:
    """The family that the config of a run folder names; None if it is not one."""
    from ptheta.configs import read_config

    try:
        return read_config(Path(run))["model"]["family"]
    except PthetaError:
        return None


def family_of_run(run: str) -> str:
    """The family of a run folder.

    Raises:
        RunError: it is of a module that has not been imported.
    """
    from ptheta.models import family

    return family(stored_family(run) or "").name


def given(words: list[str], signature: Signature, documented: Any, who: str, what: str, prog: str) -> dict[str, Any]:
    """The values of a family's own flags among words.

    Args:
        words: flags and their values.
        signature: of the family.
        documented: whose docstring is the help.
        who: the family.
        what: a hyperparameter, or a sampling option.
        prog: shown in the help.

    Raises:
        UsageError: the family has no such flag, or a value is of another type.
    """
    if not words:
        return {}

    def collect(**values: Any) -> dict[str, Any]:
        flags = {_name_of_flag(word) for word in words if word.startswith("--")}
        return {name: value for name, value in values.items() if name in flags or f"no_{name}" in flags}

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.values()]
    setattr(collect, "__signature__", inspect.Signature(parameters))  # noqa: B010
    collect.__doc__ = inspect.getdoc(documented)
    for word in words:
        flag = word.split("=")[0].replace("--no-", "--").replace("_", "-")
        if flag.startswith("--") and flag not in map(flag_of, [*signature, "help"]):
            remedy = nearest(flag, list(map(flag_of, signature))) if signature else "leave it out"
            raise UsageError(f"{who} has no {what} {word.split('=')[0]}", remedy)
    return call(collect, words, prog)


def hyperparameters(name: str, words: list[str]) -> dict[str, Any]:
    """Hyperparameters of a family that are given as flags."""
    from ptheta.models import family

    cls = family(name).load()
    return given(words, hyperparameters_of(cls), cls, name, "hyperparameter", f"ptheta fit SOURCE {name}")


def sampling_options(name: str, words: list[str], command: str) -> dict[str, Any]:
    """Options of sampling of a family that are given as flags, and differ from their defaults."""
    from ptheta.models import family

    cls = family(name).load()
    signature = sampling(cls)
    values = given(words, signature, cls._sample, name, "sampling option", f"ptheta {command} RUN")
    return {option: value for option, value in values.items() if value != signature[option].default}


def _name_of_flag(word: str) -> str:
    return word.split("=")[0].removeprefix("--").replace("-", "_")
