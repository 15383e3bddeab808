"""Tensors on disk: safetensors files that carry a hash of their own content. No pickle is ever read or written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ptheta.errors import RunError
from ptheta.files import replacing
from ptheta.foreign import guarded

_REFIT = "restore the file from a copy, or fit again"


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, and over the metadata; None: of the tensors alone."""
    sha = hashlib.sha256()
    if metadata is not None:
        sha.update(f"{json.dumps(metadata, sort_keys=True)}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return sha.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors durably, with metadata and their hash."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            metadata = {name: text for name, text in (metadata or {}).items() if name != "sha256"}
            save_file(whole, temporary, metadata | {"sha256": digest(whole, metadata)})
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read and verify a file of `write_tensors`.

    Returns:
        the tensors, and the metadata.

    Raises:
        RunError: the file is missing, a link, truncated, changed, or holds values that are not finite.
    """
    if path.is_symlink() or not path.is_file():
        what = "is a link, which is never followed" if path.is_symlink() else "does not exist"
        raise RunError(f"{path} {what}", _REFIT)
    with guarded(path, _REFIT, error=RunError, problem="{origin} is damaged"), safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    covered = {name: text for name, text in metadata.items() if name != "sha256"}
    sha = metadata.get("sha256")
    if sha != digest(tensors, covered) and sha != digest(tensors):  # of older files it covers the tensors alone
        raise RunError(f"{path} was changed or damaged: its content does not match its hash", _REFIT)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise RunError(f"{path} has values in {name} that are not finite", _REFIT)
    return tensors, metadata
