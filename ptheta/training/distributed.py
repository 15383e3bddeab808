"""Data-parallel learning: one process, or several started by torchrun."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.errors import FitError


@dataclass(frozen=True)
class World:
    """The processes that learn together.

    Attributes:
        rank: number of this process; 0 writes and speaks.
        size: number of processes.
        device: of this process.
    """

    rank: int
    size: int
    device: torch.device

    def share(self, rows: Tensor) -> Tensor:
        """This process's rows of a global batch."""
        return rows[self.rank :: self.size]

    def agree(self, value: float) -> float:
        """Rank 0's value, in all processes."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(box, 0)
        return float(box)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over processes."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def check(self, batch_size: int) -> None:
        """Every process must get equally many events, or the mean gradient would be another one.

        Raises:
            FitError: the batch cannot be shared out evenly.
        """
        if batch_size % self.size:
            raise FitError(
                f"a batch of {batch_size} events cannot be shared evenly by {self.size} processes",
                "choose a --batch-size that is a multiple of their number",
            )


@contextlib.contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    Args:
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    chosen = choose_device(device)
    if size == 1:
        yield World(0, 1, chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(chosen)
    joined = not torch.distributed.is_initialized()
    if joined:
        torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(rank, size, chosen)
    finally:
        if joined:
            torch.distributed.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """The device called `name`.

    Raises:
        FitError: there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError as error:
        raise FitError(f"no device is called {name!r}", "use auto, cpu or cuda") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise FitError("no GPU is usable here", "use --device cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise FitError(f"device {name!r} lacks float64, which exact likelihoods need", "use cpu or cuda")
    return chosen
