"""A limit on what building a model may allocate: what claims a million layers is given up before they exist."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
from collections.abc import Mapping
from contextvars import ContextVar, Token
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ptheta.foreign import Signal

OPERATIONS = 20_000
"""Most operations of torch that building a model may take; a layer takes ten to fifty."""

COPIES = 8
"""Copies of its weights that a model must leave room for: a fit holds them, their gradients, moments and more."""

SMALL = 2**14
"""Bytes below which what is made value by value is counted at its most, which is quicker than to find its type."""

_WITHIN: ContextVar[bool] = ContextVar("ptheta_limited", default=False)
"""Whether a limit on bytes is in force already."""


class Exceeded(Signal):
    """A model or a pass takes more than it may.

    Args:
        by: the limit that it exceeds.
    """

    def __init__(self, by: Limited | None = None):
        super().__init__()
        self.by = by


class Watching(TorchDispatchMode):
    """Sees every operation within; torch's compiler is not imported for it, which takes longer than torch itself."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether the compiler is to leave this out: nothing is compiled within."""
        return False


class Limited(Watching):
    """Within, torch makes no tensors beyond so many bytes together, in so many operations.

    What is too large is not allocated. Of limits within each other the outermost one is that on bytes.

    Args:
        bytes: of all tensors made.
        operations: of which a layer takes a few.

    Raises:
        Exceeded: at the first operation that is too much.
    """

    def __init__(self, bytes: float, operations: float = math.inf):
        super().__init__()
        self.bytes, self.operations = bytes, operations
        self._token: Token | None = None

    def __enter__(self):
        if _WITHIN.get():
            self.bytes = math.inf
        self._token = _WITHIN.set(True)
        return super().__enter__()

    def __exit__(self, *raised: Any):
        if self._token is not None:
            _WITHIN.reset(self._token)
        return super().__exit__(*raised)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.operations -= 1
        if self.bytes < math.inf and not (func.is_view or func._schema.is_mutable):
            self.bytes -= _bytes_of(func, args, kwargs)
        if self.bytes < 0 or self.operations < 0:
            raise Exceeded(self)
        return func(*args, **kwargs)


def whole_memory() -> float:
    """Bytes of memory that this machine has; without end where the system does not say."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf


def _bytes_of(func: Any, args: Any, kwargs: dict[str, Any]) -> float:
    """Bytes of what an operation makes, computed without making it; 0 where its sizes depend on values."""
    if (most := _at_most(func, args, kwargs)) <= SMALL:
        return most
    args, kwargs = tree_map_only(Tensor, lambda t: t.to("meta"), (args, kwargs))
    if any(argument.name == "device" for argument in func._schema.arguments):
        kwargs = kwargs | {"device": torch.device("meta"), "pin_memory": None}
        known = {argument.name for argument in func._schema.arguments}
        kwargs = {name: value for name, value in kwargs.items() if name in known and name != "generator"}
    try:
        made = func(*args, **kwargs)
    except Exception as error:  # no meta kernel, or sizes that depend on values: at most those of what is given
        return math.inf if "overflow" in str(error) else 0.0
    return float(sum(t.nbytes for t in tree_leaves(made) if isinstance(t, Tensor)))


def _at_most(func: Any, args: Any, kwargs: dict[str, Any]) -> float:
    """Bytes that an operation makes at most, of numbers of 16 bytes; ∞ where only its meta kernel knows.

    The meta kernels of the operations named here are in Python, and import sympy.
    """
    aten, kind = torch.ops.aten, func.overloadpacket
    if torch.Tag.pointwise in func.tags or kind in (aten.floor_divide, aten.sort):
        shapes = [one.shape[::-1] for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        return 16.0 * (2 if kind is aten.sort else 1) * math.prod(map(max, zip_longest(*shapes, [1], fillvalue=1)))
    if kind is aten.arange:
        start, end, step = (0, *args, 1) if len(args) == 1 else (*args, 1)[:3]
        return 16.0 * abs((end - start) / step) if step else math.inf
    return math.inf


def largest(signature: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> str | None:
    """The name of the whole number that is furthest above its default, or above 1 where there is none.

    Args:
        signature: of a family's hyperparameters.
        given: their values.

    >>> def family(width: int = 64, layers: int = 4, dropout: float = 0.0): ...
    >>> largest(inspect.signature(family).parameters, {"width": 128, "layers": 10**6, "dropout": 0.5})
    'layers'
    """

    def times(name: str) -> float:
        default = signature[name].default
        return given[name] / max(default, 1) if isinstance(default, int) else given[name]

    sizes = [name for name, value in given.items() if name in signature and type(value) is int and value > 1]
    sizes = [name for name in sizes if times(name) > 1]
    return max(sizes, key=times, default=None)
