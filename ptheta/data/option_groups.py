"""What options are: fields of dataclasses that carry their help and bounds, and check their values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from ptheta.errors import ArgumentError, UsageError, nearest
from ptheta.typed import checked


def option(
    default: Any,
    help: str,
    *,
    otherwise: str = "inferred",
    least: float | None = None,
    most: float | None = None,
    units: str = "",
    called: str = "",
    flag: type | None = None,
    alias: str = "",
    metavar: str | None = None,
    of_events: bool = False,
) -> Any:
    """A field of an option group.

    Args:
        default: None: the data decide.
        help: one line.
        otherwise: what is taken where the default is None, in a word or two.
        least, most: bounds of a number; one that has a most has a least.
        units: what is counted, for the remedy of a number out of bounds.
        called: what a choice is called where a value is not one of them.
        flag: the type on the command line, if it is not that of the field.
        alias: a shorter name of the flag.
        metavar: its value in the help, if it is more than its type.
        of_events: whether contexts have no use for it.
    """
    about = {"help": help, "otherwise": otherwise, "least": least, "most": most, "units": units, "called": called}
    return field(
        default=default, metadata=about | {"flag": flag, "alias": alias, "metavar": metavar, "of_events": of_events}
    )


@dataclass(frozen=True)
class OptionGroup:
    """Options that belong together; fields without a help are not options. A subclass has a `title`, as in the help.

    Raises:
        UsageError: a value that is out of bounds or none of the choices.
    """

    title: ClassVar[str]

    def __post_init__(self):
        for one in self.options():
            value = getattr(self, one.name)
            if value is not None or one.default is not None:
                if not (words := choices(type(self), one.name)):
                    value = checked(one.name, value, types_of(type(self))[one.name])
                    object.__setattr__(self, one.name, value)
                _check(one, value, words)

    @classmethod
    def options(cls) -> list[Field]:
        """Its options, in order."""
        return [one for one in fields(cls) if "help" in one.metadata]

    @property
    def given(self) -> list[str]:
        """Names of the options that have another value than by default; a function that chooses one does not count."""
        values = {one.name: (getattr(self, one.name), one.default) for one in self.options()}
        return [name for name, (value, default) in values.items() if value != default and not callable(value)]

    def of_contexts(self, codec: Any, column: str) -> OptionGroup:
        """What of the options is about contexts.

        Args:
            codec: of the events, if they are of this kind, too; else None.
            column: of the events.
        """
        return self


@cache
def types_of(group: type[OptionGroup]) -> dict[str, Any]:
    """Option → its type."""
    hints = get_type_hints(group)
    return {one.name: hints[one.name] for one in group.options()}


def choices(group: type[OptionGroup], name: str) -> tuple[str, ...]:
    """The values of an option that has only a few."""
    kind = types_of(group)[name]
    return next((get_args(one) for one in (kind, *get_args(kind)) if get_origin(one) is Literal), ())


def _check(one: Field, value: Any, allowed: tuple[str, ...]) -> None:
    about = one.metadata
    least, most = about["least"], about["most"]
    if allowed and value not in allowed:
        raise UsageError(f"no {about['called'] or one.name} is called {value!r}", nearest(str(value), list(allowed)))
    if value is None or least is None:
        return
    if value < least or value == math.inf or (most is not None and value > most):
        bounds = f"at least {_number(least)}" if most is None else f"{_number(least)} to {_number(most)}"
        shown = f"{value:g}" if isinstance(value, float) else f"{value}"
        raise UsageError(f"{one.name} is {shown}", f"give {bounds} {about['units']}".rstrip())


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


Group = TypeVar("Group", bound=OptionGroup)


@dataclass(frozen=True)
class Options:
    """Everything that was asked of the data.

    Args:
        groups: class → the group of options, as given.
    """

    groups: Mapping[type[OptionGroup], OptionGroup]

    @classmethod
    def of(cls, groups: Iterable[type[OptionGroup]], values: Mapping[str, Any]) -> Options:
        """Options by their names.

        Args:
            groups: that have them.
            values: option → value, which goes to all groups that have it.

        Raises:
            UsageError: an unknown option, of which the nearest is named, or a value that makes no sense.
        """
        groups = list(groups)
        known = dict.fromkeys(one.name for group in groups for one in group.options())
        if unknown := [name for name in values if name not in known]:
            raise ArgumentError(f"`load` has no option {unknown[0]!r}", nearest(unknown[0], list(known)))
        own = {group: {one.name for one in group.options()} & values.keys() for group in groups}
        return cls({group: group(**{name: values[name] for name in names}) for group, names in own.items()})

    def __getitem__(self, group: type[Group]) -> Group:
        found = self.groups[group]
        assert isinstance(found, group)
        return found

    def changed(self, group: OptionGroup) -> Options:
        """The same options with another group of its class."""
        return Options({**self.groups, type(group): group})

    def of_contexts(self, events: type[OptionGroup] | None, codec: Any, column: str) -> Options:
        """What of the options is about contexts.

        Args:
            events: the options of the events' kind.
            codec: of the events.
            column: of the events, or the first of them.
        """
        return Options(
            {group: one.of_contexts(codec if group is events else None, column) for group, one in self.groups.items()}
        )

    def values(self) -> dict[str, Any]:
        """Option → value, of all groups."""
        return {one.name: getattr(group, one.name) for group in self.groups.values() for one in group.options()}
