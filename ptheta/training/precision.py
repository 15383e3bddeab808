"""In which type a loss is computed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from ptheta.training.settings import Precision


def autocast(precision: Precision, kind: str, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    """Makes the context in which losses are computed.

    Args:
        precision: see `Settings`; a model in float64 stays in it unless bfloat16 is asked for.
        kind: of device, `cpu` or `cuda`.
        dtype: of the model.
    """
    if dtype == torch.float64 and precision != "bfloat16":
        return nullcontext
    native = computes_in_bfloat16(kind) if precision == "native" else False
    if precision == "bfloat16" or (precision == "native" and native) or (precision == "auto" and kind == "cuda"):
        return lambda: torch.autocast(kind, torch.bfloat16)
    return nullcontext


def computes_in_bfloat16(kind: str) -> bool:
    """Whether the processor or GPU has instructions for bfloat16; elsewhere it is emulated, slower than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))
