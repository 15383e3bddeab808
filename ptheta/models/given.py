"""Checks of the contexts that a model is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ptheta.errors import ContextError, SpaceError
from ptheta.spaces import Joint, Space


def checked_context(
    space: Space | None, context: Any, n: int, *, optional: bool, device: torch.device
) -> Tensor | None:
    """Contexts of n events, on a device: [n, *space.shape]; None without a space.

    Args:
        space: of contexts; None: there are none.
        context: n rows, one for all, or None.
        n: events.
        optional: whether the model also knows p(x), so that contexts may be left out.
        device: of the model.

    Raises:
        ContextError: a context is missing, unwanted, not of the space, or of another number of rows.
    """
    if space is None:
        if context is not None:
            raise ContextError("this model has no context", "leave the context out, or fit with one")
        return None
    if context is None and not optional:
        raise ContextError(f"this model needs a context in {space}", "give n rows, or one for all")
    rows = space.null(1) if context is None else context_rows(space, context, optional=optional)
    if len(rows) not in (1, n):
        raise ContextError(f"the context has {len(rows)} rows for {n} events", "give n rows, or one for all")
    rows = rows.to(device)  # before it is broadcast, which then stays one row in memory
    return rows.expand(n, *rows.shape[1:]) if len(rows) == 1 and n != 1 else rows


def context_rows(space: Space, context: Any, *, optional: bool) -> Tensor:
    """A context checked, as rows; rows that say nothing (`Space.null`) only where it is optional.

    Raises:
        ContextError: it is not of the space, or lacks a part.
    """
    try:
        if optional and isinstance(context, Tensor) and context.ndim and tuple(context.shape[1:]) == space.shape:
            given = context[~space.is_null(context)]
            if len(given) < len(context):
                space.validate(given)
                return context
        rows = space.validate(context)
    except SpaceError as error:
        raise ContextError(f"the context does not match: {error.problem}", error.remedy) from error
    if isinstance(space, Joint) and not optional and bool((absent := space.absent(rows)).any()):
        part = space.names[int(absent.any(0).int().argmax())]
        raise ContextError(f"the context lacks {part}", "give all parts, or fit with a context dropout")
    return rows.double() if rows.is_floating_point() else rows
