"""Memory that is there to be taken."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import torch


def available(device: torch.device) -> float:
    """Bytes of memory that can be taken on a device: free and reclaimable ones, within the limits of control groups and
    of the process."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min(_free(), _group(), _own())


def _free() -> float:
    """What the system could give."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) / 2
    return math.inf


def _group() -> float:
    """What is left in the process's control groups, version 2 or 1."""
    left = math.inf
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds == "":
                root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current", "inactive_file")
            elif "memory" in kinds.split(","):
                root = Path("/sys/fs/cgroup/memory")
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            folder = root / path.strip("/")
            for place in [folder, *folder.parents]:
                if place == root.parent:
                    break
                left = min(left, _left(place, *names))
    return left


def _left(folder: Path, most: str, used: str, reclaimable: str) -> float:
    with contextlib.suppress(OSError, ValueError):
        limit = int((folder / most).read_text(encoding="utf-8"))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        cached = next((int(line.split()[1]) for line in lines if line.split()[0] == reclaimable), 0)
        return float(limit - int((folder / used).read_text(encoding="utf-8")) + cached)
    return math.inf


def _own() -> float:
    """What is left of the process's address space, where it is limited (`ulimit -v`)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
            return max(0.0, float(limit - pages * resource.getpagesize()))
    return math.inf
