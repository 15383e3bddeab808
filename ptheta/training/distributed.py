"""Data-parallel learning: one process, or several started by torchrun.

Several processes learn one model only if they learn alike. So before the first step they meet twice: once to compare
what each is about to learn from, once when everything is ready. A process that fails before then says so at the next
meeting, and none is left waiting.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.errors import FitError, PthetaError

START = "start several processes with torchrun, or unset RANK, LOCAL_RANK and WORLD_SIZE"
"""What to do about an environment that names processes wrongly."""

SHOWN = 60
"""Characters of a value that an error shows."""


@dataclass(frozen=True)
class World:
    """The processes that learn together.

    Attributes:
        rank: number of this process; 0 writes and reports.
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

    def share_buffers(self, modules: list[nn.Module]) -> None:
        """Give all processes rank 0's buffers, which forward passes change."""
        if self.size > 1:
            for module in modules:
                for buffer in module.buffers():
                    torch.distributed.broadcast(buffer, 0)

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

    def compare(self, record: dict[str, Any], *, last: bool = False) -> None:
        """Meet the other processes, which must have the same record: name → JSON value.

        Args:
            record: what must not differ.
            last: from here on processes wait for each other in every step, so none announces its failure any more.

        Raises:
            FitError: a process differs, and in what; or it failed, and why. All processes raise, and stop.
        """
        if self.size == 1:
            return
        assert _party is not None
        _party.meet(record)
        _party.learning = last

    def first(self, value: dict[str, Any]) -> dict[str, Any]:
        """Meet the other processes; returns the JSON value of rank 0.

        Raises:
            FitError: a process has failed, and why. All processes raise, and stop.
        """
        if self.size == 1:
            return value
        assert _party is not None
        return _party.meet(value, compare=False)


@dataclass
class _Party:
    """The processes between their start and their first step.

    Attributes:
        rank, size: as in `World`.
        learning: the last meeting is over.
    """

    rank: int
    size: int
    learning: bool = False

    def meet(self, record: dict[str, Any], *, compare: bool = True) -> dict[str, Any]:
        """Exchange records, and compare them unless only the first one counts; returns that one."""
        there = self._exchange({"record": record})
        failed = {rank: answer["failed"] for rank, answer in enumerate(there) if "failed" in answer}
        if failed:
            rank, (problem, remedy) = next(iter(failed.items()))
            raise _shared(FitError(f"the process of rank {rank} (of {self.size}) cannot continue: {problem}", remedy))
        for rank, answer in enumerate(there) if compare else ():
            if differing := _differences(there[0]["record"], answer["record"]):
                what = f"the process of rank {rank} (of {self.size}) differs from rank 0 in {', '.join(differing)}"
                raise _shared(FitError(what, "start all with the same data, settings and versions"))
        return there[0]["record"]

    def announce(self, error: Exception) -> None:
        """Tell the others at their next meeting that this process cannot continue."""
        line = (error.problem, error.remedy) if isinstance(error, PthetaError) else (_named(error), "see its message")
        with contextlib.suppress(RuntimeError):  # the others are gone already
            there = self._exchange({"failed": line})
            alike = all(answer.get("failed") == list(line) for answer in there)
            if isinstance(error, PthetaError) and (alike or self.rank):
                _shared(error)

    def _exchange(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """The answers of all processes, as JSON in tensors: nothing is unpickled.

        While the others are waited for, SIGTERM ends this process at once: no Python runs that could handle it.
        """
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, signal.SIG_DFL) if main else None
        try:
            return self._gathered(answer)
        finally:
            if main:
                signal.signal(signal.SIGTERM, before)

    def _gathered(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        text = torch.frombuffer(bytearray(json.dumps(answer).encode()), dtype=torch.uint8)
        device = torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
        sizes = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(self.size)]
        torch.distributed.all_gather(sizes, torch.tensor([len(text)], device=device))
        longest = int(torch.cat(sizes).max())
        mine = torch.zeros(longest, dtype=torch.uint8, device=device)
        mine[: len(text)] = text
        rows = [torch.zeros_like(mine) for _ in range(self.size)]
        torch.distributed.all_gather(rows, mine)
        return [json.loads(bytes(row[: int(n)].tolist())) for row, n in zip(rows, sizes)]


_party: _Party | None = None
"""The processes this one has joined; like the default group of torch.distributed, there is one at a time."""


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    What fails in here before the last `World.compare` stops all of them. May be nested: the outermost joins.

    Raises:
        FitError: the environment names processes wrongly, or another process ended without a word.
    """
    global _party
    rank, size, _ = numbers()
    if size == 1 or _party is not None:
        yield
        return
    joined = not torch.distributed.is_initialized()
    if joined:
        fast = torch.cuda.is_available() and torch.distributed.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if fast else "gloo"
        try:
            torch.distributed.init_process_group(backend)
        except (RuntimeError, ValueError) as error:
            what = f"the process of rank {rank} (of {size}) cannot reach the others: {_named(error)}"
            raise FitError(what, START) from error
    _party = _Party(rank, size)
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        if not isinstance(error, Exception):
            raise
        if _is_lost(error):
            raise _lost(rank, size) from error
        if not _party.learning and not getattr(error, "shared", False):
            _party.announce(error)
        raise
    finally:
        _party = None
        if joined:
            _leave()


def _leave() -> None:
    """Leave the processes, after everything that averages gradients over them has gone.

    A data-parallel module that outlives the group, in the frames of an exception or in a circle, is the last to hold it
    and joins the group's threads while it holds the interpreter's lock, for which one of them may wait: a deadlock.
    """
    gc.collect()
    torch.distributed.destroy_process_group()


@contextlib.contextmanager
def world(device: str | torch.device = "auto") -> Iterator[World]:
    """The processes that torchrun started, or this one alone.

    Args:
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.
    """
    with together():
        rank, size, _ = numbers()
        if _party is not None:
            _party.learning = False
        chosen = local_device(device)
        if size > 1 and chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        yield World(rank, size, chosen)


def numbers() -> tuple[int, int, int]:
    """This process's rank, the number of processes, and its rank on this machine, as the environment has them.

    Raises:
        FitError: they are not whole numbers, or do not fit together.
    """
    values = {}
    for name, alone in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")):
        text = os.environ.get(name, alone)
        if not (text.isascii() and text.isdigit()):
            raise FitError(f"{name} is {text!r} in the environment, not a whole number", START)
        values[name] = int(text)
    rank, size, local = values.values()
    if rank >= size:
        raise FitError(f"RANK is {rank} and WORLD_SIZE {size} in the environment", START)
    return rank, size, local


def processes_here() -> int:
    """How many of the processes are on this machine, as torchrun says; where it does not, all."""
    text = os.environ.get("LOCAL_WORLD_SIZE", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else numbers()[1]


def local_device(name: str | torch.device) -> torch.device:
    """The device called `name`, of several processes on one machine each its own GPU."""
    chosen, (_, size, local) = choose_device(name), numbers()
    return torch.device("cuda", local) if size > 1 and chosen.type == "cuda" else chosen


def _shared(error: PthetaError) -> PthetaError:
    """Mark an error as one that all processes have, so that one of them prints it."""
    error.shared = True
    return error


def _is_lost(error: BaseException) -> bool:
    """Whether it is gloo's or NCCL's way of saying that another process is gone."""
    words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _lost(rank: int, size: int) -> FitError:
    return FitError(
        f"the process of rank {rank} (of {size}) stopped because another one ended",
        "see the message of that one, and fit again",
    )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _differences(first: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Each name whose values differ, with both."""
    names = [name for name in first | other if json.dumps(first.get(name)) != json.dumps(other.get(name))]  # NaN too
    return [f"{name} ({_short(other.get(name))}, not {_short(first.get(name))})" for name in names]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def choose_device(name: str | torch.device) -> torch.device:
    """The device called `name`, or the device itself if it is usable.

    Raises:
        FitError: there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise FitError(f"no device is called {name!r}", "use auto, cpu or cuda") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise FitError("no GPU is usable here", "use the device cpu")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise FitError(f"there is no device {name}", f"the last one is cuda:{torch.cuda.device_count() - 1}")
    if chosen.type not in ("cpu", "cuda"):
        raise FitError(f"device {name!r} lacks float64, which exact likelihoods need", "use cpu or cuda")
    return chosen
