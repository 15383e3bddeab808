"""Randomness of a fit: a function of its seed and the step, so that no generator's state need be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little") >> 1


def generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU, seeded with several numbers."""
    return torch.Generator().manual_seed(mix(*numbers))


def seed_device(seed: int, device: torch.device) -> None:
    """Seed the generators that a fit on `device` uses, and no other device's."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Random state of our own within; the user's is untouched."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
