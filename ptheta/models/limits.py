"""A limit on what building a model may allocate: a config that claims a million layers is refused before they exist."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ptheta.errors import FitError


class Watching(TorchDispatchMode):
    """Sees every operation within; torch's compiler is not imported for it, which takes longer than torch itself."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether the compiler is to leave this out: nothing is compiled within."""
        return False


class Limited(Watching):
    """Within, torch makes at most so many new tensors, of so many bytes together.

    Args:
        tensors: operations, of which a layer takes a few.
        bytes: of new tensors, together.

    Raises:
        FitError: more are asked for; what is too large is not allocated.
    """

    def __init__(self, tensors: int, bytes: int):
        super().__init__()
        self._tensors, self._bytes = tensors, bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count before the operation."""
        self._tensors -= 1
        size = args[0] if args else ()
        if isinstance(size, list | tuple) and all(isinstance(side, int) for side in size):
            kind = (kwargs or {}).get("dtype") or torch.get_default_dtype()
            self._bytes -= math.prod(size) * kind.itemsize
        if self._tensors < 0 or self._bytes < 0:
            raise FitError("it claims far more layers or numbers than its weights have", "restore it from a copy")
        return func(*args, **(kwargs or {}))
