"""Does the model compute here what it computed there? Checked before anything is decoded.

The probe hashes the integer tables of a few lanes of a fixed input. Where it differs, the environments are compared and
what differs is named.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.coding.tables import Encoder
from ptheta.coding.walking import walk
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.spaces import Column, Discrete, Table

LANES, STEPS = 3, 96
"""Of the probe, at most."""


def environment(model: Autoregressive, threads: int) -> dict[str, str]:
    """What the model's rounding can depend on."""
    from ptheta.configs import versions

    device = model.device
    known = versions() | {
        "constriction": version("constriction"),
        "device": device.type,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": str(threads),
    }
    if device.type == "cuda":
        known["gpu"] = torch.cuda.get_device_name(device)
    return known


def probe(model: Autoregressive) -> str:
    """Hash of the tables for a fixed input, hexadecimal."""
    steps = min(model.space.dimensions, STEPS)
    coder = Encoder()
    labels = None if model.context_space is None else torch.zeros(LANES, dtype=torch.long)
    walk(model, coder, [steps] * LANES, labels, _fixed(model, steps))
    return hashlib.sha256(coder.payload() + coder.digest.to_bytes(4, "little")).hexdigest()[:32]


def differences(there: dict[str, Any], here: dict[str, str]) -> str:
    """What two environments differ in, in words."""
    names = sorted(there.keys() | here.keys())
    found = [f"{n} {there.get(n, '?')} there, {here.get(n, '?')} here" for n in names if there.get(n) != here.get(n)]
    return ", ".join(found) or "nothing that is recorded differs"


def _fixed(model: Autoregressive, steps: int) -> Tensor:
    """Values [LANES, steps] in visiting order, by integer arithmetic alone."""
    space = model.space
    noise = (np.arange(LANES * steps, dtype=np.uint64) * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(2**24)
    values = torch.from_numpy(noise.astype(np.int64).reshape(LANES, steps))
    if isinstance(space, Discrete):
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)
        return values % sizes[model.visit.cpu()][:steps]
    assert isinstance(space, Table)
    columns = [space.columns[j] for j in model.visit.tolist()[:steps]]
    return torch.stack([_cells(column, values[:, t]) for t, column in enumerate(columns)], 1)


def _cells(column: Column, values: Tensor) -> Tensor:
    """Cells [n] of a column from whole numbers."""
    if column.is_category:
        return (values % column.levels).double()
    x = (values % 64).double() + (0.0 if column.low is None else column.low)
    return column.values(column.points(x)) if column.per else x
