"""What the methods of every model share: modes, counts, signatures."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

import torch
from torch import Tensor, nn

from ptheta.errors import FitError, SpaceError, UsageError, nearest
from ptheta.numbers import joined
from ptheta.spaces import Discrete, Real, Space, Table
from ptheta.typed import checked

COLUMNS: dict[type[Space], str] = {Discrete: "categories", Real: "real", Table: "mixed"}
"""What rows of a table are loaded as, for each of their spaces."""


class evaluating:
    """Context manager: evaluation mode within, the former mode after.

    Convolutions on a GPU use full float32 within, not TF32, so that full passes and cached steps round alike.
    """

    def __init__(self, module: nn.Module):
        self.module = module

    def __enter__(self):
        self.before = self.module.training, torch.backends.cudnn.allow_tf32
        self.module.eval()
        torch.backends.cudnn.allow_tf32 = False

    def __exit__(self, *_):
        training, torch.backends.cudnn.allow_tf32 = self.before
        self.module.train(training)


class scoring(evaluating):
    """Context manager: `evaluating`, and gradients within only where somebody may want them.

    They are kept while the module is in training mode, and where one of its inputs asks for its own.

    Args:
        module: that scores.
        inputs: events and contexts, validated.
    """

    def __init__(self, module: nn.Module, *inputs: Tensor | None):
        super().__init__(module)
        self.differentiable = module.training or any(x is not None and x.requires_grad for x in inputs)

    def __enter__(self):
        super().__enter__()
        self.outer = torch.is_grad_enabled()
        torch.set_grad_enabled(self.outer and self.differentiable)

    def __exit__(self, *_):
        torch.set_grad_enabled(self.outer)
        super().__exit__()


def returned(model: nn.Module, method: str, value: Any, shape: tuple[int, ...], floats: bool | None = None) -> Tensor:
    """What a family's own method returned, if it is what was agreed on.

    Args:
        model: whose method it is.
        method: its name.
        value: what it returned.
        shape: that it has to have, with n, the number of events, in front.
        floats: whether it has to hold floating-point numbers, or whole ones; None: either.

    Raises:
        FitError: it is another thing.
    """
    cls = type(model)
    name = f"{cls.__module__}:{cls.__qualname__}.{method}"
    agreed = f"[{', '.join(['n', *map(str, shape[1:])])}]"
    remedy = f"return a tensor {agreed}, a row for each of n events"
    if not isinstance(value, Tensor):
        raise FitError(f"{name} returned a {type(value).__name__}, not a tensor", remedy)
    if tuple(value.shape) != shape:
        raise FitError(f"{name} returned shape {list(value.shape)}, not {agreed} for n = {shape[0]}", remedy)
    if floats is not None and (value.is_floating_point() != floats or value.dtype == torch.bool):
        kind = "floating-point" if floats else "whole"
        raise FitError(f"{name} returned {value.dtype}, not {kind} numbers", f"return {kind} numbers")
    return value


def check_sizes(least: int = 1, **sizes: int | None) -> None:
    """Check that hyperparameters are large enough; None, for what is chosen elsewhere, is.

    Raises:
        UsageError: one is below `least`.

    >>> check_sizes(width=64, layers=0)
    Traceback (most recent call last):
    ...
    ptheta.errors.UsageError: layers is 0; give at least 1
    """
    for name, size in sizes.items():
        if size is not None and size < least:
            raise UsageError(f"{name} is {size}", f"give at least {least}")


def check_heads(width: int, heads: int) -> None:
    """Check that a width can be divided among heads, each of an even width.

    Raises:
        UsageError: it cannot; the nearest width that can is given.

    >>> check_heads(90, 4)
    Traceback (most recent call last):
    ...
    ptheta.errors.UsageError: width 90 cannot be divided among 4 heads; give a multiple of 2 · heads, such as 88
    """
    if width % (2 * heads):
        nearest = 2 * heads * max(round(width / (2 * heads)), 1)
        what = f"width {width} cannot be divided among {heads} heads"
        raise UsageError(what, f"give a multiple of 2 · heads, such as {nearest}")


def checked_count(n: int) -> int:
    """A number of events.

    Raises:
        UsageError: it is negative, or no whole number.
    """
    n = checked("n", n, int)
    if n < 0:
        raise UsageError(f"{n} samples asked for", "give a number of at least 0")
    return n


def checked_options(name: str, known: Mapping[str, inspect.Parameter], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `sample`, each of its type.

    Args:
        name: of the family.
        known: name → parameter (type, default) of every option.
        options: that are given.

    Raises:
        UsageError: there is no such option, or it is of another type.
    """
    for option in options:
        if option not in known:
            raise UsageError(f"{name} has no sampling option {option!r}", nearest(option, [*known, "context", "seed"]))
    return {option: checked(option, value, known[option].annotation) for option, value in options.items()}


@functools.cache
def constructor(cls: type) -> Mapping[str, inspect.Parameter]:
    """Parameters of a family's constructor beside its spaces."""
    parameters = inspect.signature(cls.__init__, eval_str=True).parameters
    names = (name for name in parameters if name not in ("self", "space", "context_space"))
    return types.MappingProxyType({name: annotated(parameters[name]) for name in names})


def kept(model: nn.Module, names: Iterable[str]) -> dict[str, Any]:
    """Name → value of the hyperparameters that a model keeps as attributes.

    Raises:
        FitError: one is not kept.
    """
    names = list(names)
    if lost := [name for name in names if not hasattr(model, name)]:
        remedy = f"set self.{lost[0]} in its constructor"
        raise FitError(f"{type(model).__name__} does not keep its hyperparameter {lost[0]!r}", remedy)
    return {name: getattr(model, name) for name in names}


def annotated(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter with a type: that of its default if it has no annotation."""
    if parameter.annotation is not parameter.empty:
        return parameter
    default = parameter.default
    return parameter.replace(annotation=str if default is None or default is parameter.empty else type(default))


def holds(parameter: inspect.Parameter, kind: type) -> bool:
    """Whether a parameter is annotated with a kind of object, perhaps an optional one, or with a tuple of them."""
    annotation = parameter.annotation
    several = isinstance(annotation, types.UnionType) or get_origin(annotation) is tuple
    kinds = get_args(annotation) if several else (annotation,)
    return any(isinstance(one, type) and issubclass(one, kind) for one in kinds)


def unsuited(name: str, space: Space, spaces: tuple[type[Space], ...]) -> SpaceError:
    """The error for a space that is none of those that a family models.

    >>> unsuited("flow", Discrete((2,), 3), (Real,)).problem
    'flow cannot model discrete values, Discrete(shape=[2], levels=3)'
    >>> unsuited("flow", Discrete((2,), 3), (Real,)).remedy
    'it models real numbers: of a table take columns="real"; see `ptheta zoo`'
    """
    fits = joined([s.noun for s in spaces], "or")
    columns = [columns for kind, columns in COLUMNS.items() if kind in spaces and not isinstance(space, kind)]
    columns = [name for name in columns if name != "categories" or not isinstance(space, Real)]
    rows = type(space) in COLUMNS and len(space.shape) == 1 and columns
    cells = ", or fit the model table" if isinstance(space, Table) else ""
    of_tables = f": of a table take {' or '.join(f'--columns {name}' for name in columns)}{cells}" if rows else ""
    return SpaceError(f"{name} cannot model {space.noun}, {space}", f"it models {fits}{of_tables}; see `ptheta zoo`")


def check_spaces(
    name: str,
    space: Space,
    spaces: tuple[type[Space], ...],
    context_space: Space | None,
    context_spaces: tuple[type[Space], ...],
) -> None:
    """Check that a family models a space, and conditions on another.

    Args:
        name: of the family.
        space, spaces: of events, and the kinds that it models.
        context_space, context_spaces: of contexts, and the kinds that it conditions on.

    Raises:
        SpaceError: it does not.
    """
    if not isinstance(space, spaces):
        raise unsuited(name, space, spaces)
    if context_space is not None and not isinstance(context_space, context_spaces):
        fits = joined([s.noun for s in context_spaces], "or") or "no context at all"
        what = f"{name} cannot be conditioned on {context_space.noun}, {context_space}"
        raise SpaceError(what, f"it takes {fits}")
