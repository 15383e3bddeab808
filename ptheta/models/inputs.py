"""How events enter a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.distributions import MixtureHead
from ptheta.spaces import Discrete, Space

DWARFED = 30.0
"""Standard deviations this many times larger than the spread of the middle half are those of a few distant values."""

FARTHEST = 1e12
"""Standardised values reach this far at most: gradients at more distant ones overflow."""

ORDERED = 2**20
"""Values of a chunk of which quantiles are taken, about."""

SEEN = 1e3
"""Standardised values beyond ± this look alike to networks."""


class Mapped(Iterable[Tensor]):
    """Chunks of events, each changed as it is read.

    Args:
        change: of a chunk.
        chunks: may be gone through again.
    """

    def __init__(self, change: Callable[[Tensor], Tensor], chunks: Iterable[Tensor]):
        self.change, self.chunks = change, chunks

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.change, self.chunks)


Moments = tuple[int, Tensor, Tensor, Tensor, Tensor]
"""Number, mean, standard deviation, minimum and maximum."""


class ScalarInputs(nn.Module):
    """Values [...] as features [..., channels].

    Levels that are numbers, and binary values, are one number in [−1, 1]; other levels are indicators, since they have
    no order; real values are standardised by the head that models them.

    Args:
        space: of the events.
        head: of the model, which knows the standardisation of real dimensions.
    """

    def __init__(self, space: Space, head: nn.Module):
        super().__init__()
        self.levels = space.levels if isinstance(space, Discrete) else 0
        self.channels = 1 if space.ordered or self.levels <= 2 else self.levels
        self.standardise = head.inputs if isinstance(head, MixtureHead) else None

    def forward(self, z: Tensor, dtype: torch.dtype, step: int | None = None) -> Tensor:
        """[n, m] → [n, m, channels] in visiting order; with `step`, [n] of that dimension → [n, channels]."""
        if self.standardise is not None:
            return self.standardise(z, step).clamp(-SEEN, SEEN).to(dtype)[..., None]
        if self.channels > 1:
            return F.one_hot(z, self.channels).to(dtype)
        return as_signal(z, self.levels, dtype)[..., None]


def as_signal(values: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
    """Levels as numbers from −1 to 1."""
    return values.to(dtype) * (2.0 / max(levels - 1, 1)) - 1.0


def marginal_logits(chunks: Iterable[Tensor], levels: int) -> Tensor:
    """log of smoothed frequencies of every level of every dimension, centred, [m, levels], of chunks z [k, m]."""
    counts: Tensor | float = 0.5
    for z in chunks:
        counts = counts + torch.stack([torch.bincount(column.long(), minlength=levels) for column in z.T]).double()
    assert isinstance(counts, Tensor), "there are events"
    logits = (counts / counts.sum(1, keepdim=True)).log()
    return logits - logits.mean(1, keepdim=True)


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Location and unit of every dimension, [m] float64, of chunks of real z [k, m].

    They are mean and standard deviation (1 where it is 0); of a dimension whose most distant values would make all
    others look alike, the median and the spread of the middle half.
    """
    found: Moments | None = None
    some = []
    for z in map(Tensor.double, chunks):
        part = _moments(z)
        found = part if found is None else _pooled(found, part)
        some.append(z[:: max(1, -(-len(z) * z.shape[1] // ORDERED))])
    assert found is not None, "there are events"
    _, mean, deviation, low, high = found
    unit = torch.where((deviation > 0) & (low < high), deviation, 1.0)
    ordered = torch.cat(some).sort(0).values
    lower, median, upper = (ordered[len(ordered) * quarter // 4] for quarter in (1, 2, 3))
    middle = upper / 1.349 - lower / 1.349
    dwarfed = (middle > 0) & (unit > DWARFED * middle)
    reach = torch.maximum(high - median, median - low)
    return torch.where(dwarfed, median, mean), torch.where(dwarfed, torch.maximum(middle, reach / FARTHEST), unit)


def _moments(z: Tensor) -> Moments:
    low, high = z.aminmax(dim=0)
    size = _power(torch.maximum(low.abs(), high.abs()))  # squares of numbers as they are may overflow, or vanish
    z = z / size
    mean = z.mean(0)
    spread = _power((z - mean).abs().amax(0))
    return len(z), mean * size, ((z - mean) / spread).std(0, unbiased=False) * spread * size, low, high


def _pooled(one: Moments, other: Moments) -> Moments:
    """The same of two parts together (Chan et al. 1983)."""
    (n, mean, deviation, low, high), (k, other_mean, other_deviation, other_low, other_high) = one, other
    shift, total = other_mean - mean, n + k
    size = _power(torch.stack([deviation, other_deviation, shift.abs()]).amax(0))
    parts = (deviation / size) ** 2 * n + (other_deviation / size) ** 2 * k + (shift / size) ** 2 * (n * k / total)
    spread = size * (parts / total).sqrt()
    return total, mean + shift * (k / total), spread, low.minimum(other_low), high.maximum(other_high)


def _power(x: Tensor) -> Tensor:
    """The power of two at or below positive numbers, by which division is exact; 1 of 0."""
    exponent = torch.frexp(x).exponent.double() - 1
    return torch.where(x > 0, 2.0**exponent, 1.0)
