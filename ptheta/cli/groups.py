"""Flags in groups: options of data, settings of learning and hyperparameters, each from where it is written once."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ptheta.numbers import joined

if TYPE_CHECKING:
    from ptheta.data.option_groups import OptionGroup


@dataclass(frozen=True)
class Argument:
    """A flag of a group.

    Args:
        name: of the keyword.
        kind: its type.
        default: None: decided elsewhere.
        help: in the words of its field.
        otherwise: what is taken where it is left out, if that is not the default.
        metavar: its value in the help; empty: by its type.
        alias: another name of the flag.
    """

    name: str
    kind: Any
    default: Any
    help: str
    otherwise: str = ""
    metavar: str = ""
    alias: str = ""


def of_data() -> dict[str, list[Argument]]:
    """Title → the options of `ptheta.load`; the seed is a matter of the whole command."""
    from ptheta.data.kinds import option_groups

    groups: dict[str, list[Argument]] = {}
    known = {"seed"}
    for group in option_groups():
        own = {one.name: _option(group, one) for one in group.options() if one.name not in known}
        groups[group.title] = list(own.values())
        known |= own.keys()
    return groups


def _option(group: type[OptionGroup], one: Field) -> Argument:
    from ptheta.data.option_groups import types_of

    about = one.metadata
    kind = types_of(group)[one.name] if about["flag"] is None else about["flag"] | None
    otherwise = about["otherwise"] if one.default is None else ""
    return Argument(one.name, kind, one.default, about["help"], otherwise, about["metavar"] or "", about["alias"])


def of_text_tables() -> dict[str, dict[str, list[Argument]]]:
    """How text tables are read, as the groups of a command whose function is `read_as_asked`."""
    from ptheta.data.options import TextTables

    return {"text_tables": {TextTables.title: of_data()[TextTables.title]}}


def read_as_asked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command within which text tables are read as its flags say."""

    @functools.wraps(function)
    def wrapped(*args: Any, text_tables: dict[str, Any], **kwargs: Any) -> Any:
        from ptheta.data.options import TextTables
        from ptheta.data.sources.asked import asking
        from ptheta.remarks import remark

        with asking(TextTables(**text_tables)) as asked:
            result = function(*args, **kwargs)
        if text_tables and not asked.used:
            remark(f"no CSV file was read, so {joined(list(text_tables))} had no effect")
        return result

    return wrapped


def of_learning(objectives: Collection[str] | None = None) -> dict[str, list[Argument]]:
    """The settings of a gradient fit, and the options of objectives, of these or of all."""
    from ptheta.training import Settings

    about, kinds = described(Settings), get_type_hints(Settings)
    found = []
    for one in fields(Settings):
        assert one.default is not MISSING
        help, decided = apart(about[one.name])
        usual = decided if one.default is None else f"that of the recipe, else {one.default}"
        found.append(Argument(one.name, kinds[one.name] | None, None, help, usual))
    own = of_objectives()
    return {"learning": found, **{name: own[name] for name in own if objectives is None or name in objectives}}


def objectives_of(name: str | None) -> set[str]:
    """The objectives that a family of the zoo learns by; of all families if none is named."""
    from ptheta.models import ZOO, family

    return {row.load().objective for row in ([family(name)] if name else ZOO.values())}


def of_objectives() -> dict[str, list[Argument]]:
    """The options of objectives that learn from data, of each in a group of its own."""
    from ptheta.training import OBJECTIVES, ReverseKL

    groups = {}
    for name, objective in OBJECTIVES.items():
        about = described(objective)
        own = [
            Argument(option, _optional(one.annotation), None, about.get(option, ""), str(one.default or ""))
            for option, one in objective.options().items()
        ]
        if own and objective is not ReverseKL:  # whose target is a function
            groups[name] = own
    return groups


def _optional(kind: Any) -> Any:
    return kind if type(None) in get_args(kind) else kind | None


def apart(text: str) -> tuple[str, str]:
    """What a sentence says of a value, and of None."""
    help, _, otherwise = text.partition("; None: ")
    return help, otherwise


def described(documented: Any) -> Mapping[str, str]:
    """Name → what a docstring says of it under Args or Attributes.

    >>> described(Argument)["kind"]
    'its type'
    """
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in (inspect.getdoc(documented) or "").splitlines():
        if line and not line.startswith(" "):
            inside = line in ("Args:", "Attributes:")
        elif inside and (match := re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)):
            names = match[1].split(", ")
            found.update(dict.fromkeys(names, match[2]))
        elif inside and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return {name: text.rstrip(".") for name, text in found.items()}
