"""How values are cut into blocks, and blocks into lanes: a function of the header alone.

Blocks are decoded independently, so a damaged one takes nothing with it but its own values. A long text is cut into
stretches that are walked side by side: each begins without a past, which costs some bits, and many lanes are many times
faster than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ptheta.coding.container import FETCH, Limits
from ptheta.coding.errors import CodingError

SIDE_BYTES = 2**22
"""Side data in one block."""

EVENT_VALUES = 2**18
"""Values of events in one block, about."""

MOST_LANES = 2**12
"""Events in one block, at most."""


@dataclass(frozen=True)
class Cut:
    """How fine values are cut.

    Args:
        events: in one block.
        lanes: stretches of text in one block.
        stretch: tokens of a text in one lane, at most.
    """

    events: int
    lanes: int = 256
    stretch: int = 1024

    @classmethod
    def of(cls, dimensions: int, lanes: int | None = None, stretch: int | None = None) -> Cut:
        """The default for events of this many dimensions; `lanes` and `stretch` override it."""
        events = lanes or max(1, min(MOST_LANES, EVENT_VALUES // dimensions))
        return cls(events, lanes or cls.lanes, stretch or cls.stretch)


@dataclass(frozen=True)
class Side:
    """Bytes start … stop of the side data."""

    start: int
    stop: int

    @property
    def count(self) -> int:
        """Bytes."""
        return self.stop - self.start


@dataclass(frozen=True)
class Events:
    """Events start … stop, a lane each."""

    start: int
    stop: int
    dimensions: int

    @property
    def count(self) -> int:
        """Values."""
        return (self.stop - self.start) * self.dimensions

    @property
    def lengths(self) -> list[int]:
        """Values of every lane."""
        return [self.dimensions] * (self.stop - self.start)


@dataclass(frozen=True)
class Stretches:
    """Tokens of texts: (text, start, stop) of each lane, from the longest to the shortest."""

    lanes: tuple[tuple[int, int, int], ...]

    @property
    def count(self) -> int:
        """Tokens."""
        return sum(self.lengths)

    @property
    def lengths(self) -> list[int]:
        """Tokens of every lane."""
        return [stop - start for _, start, stop in self.lanes]


def plan(
    side: int, events: int, dimensions: int, texts: Sequence[int], cut: Cut
) -> Iterator[Side | Events | Stretches]:
    """The blocks of this many bytes of side data, events, and tokens of each text."""
    for start in range(0, side, SIDE_BYTES):
        yield Side(start, min(start + SIDE_BYTES, side))
    for start in range(0, events, cut.events):
        yield Events(start, min(start + cut.events, events), dimensions)
    lanes = [lane for text, tokens in enumerate(texts) for lane in _stretches(text, tokens, cut.stretch)]
    lanes.sort(key=lambda lane: lane[1] - lane[2])
    for start in range(0, len(lanes), cut.lanes):
        yield Stretches(tuple(lanes[start : start + cut.lanes]))


def counted(side: int, events: int, texts: Sequence[int], cut: Cut) -> tuple[int, int]:
    """How many blocks there are in a plan, and lanes of text, without making it."""
    lanes = 0
    for tokens in texts:
        if tokens:
            length = -(-tokens // -(-tokens // cut.stretch))
            lanes += -(-tokens // length)
    return -(-side // SIDE_BYTES) + -(-events // cut.events) + -(-lanes // cut.lanes), lanes


def _stretches(text: int, tokens: int, most: int) -> Iterator[tuple[int, int, int]]:
    """A text in parts of at most this many tokens, equal but for the last."""
    if tokens:
        length = -(-tokens // -(-tokens // most))
        for start in range(0, tokens, length):
            yield text, start, min(start + length, tokens)


def checked(cut: Any, dimensions: int, limits: Limits) -> Cut:
    """The cut that a header claims.

    Raises:
        CodingError: it makes no sense, or blocks would be larger than the limit.
    """
    numbers = [cut.get(name) for name in ("events", "lanes", "stretch")] if isinstance(cut, dict) else []
    whole = [k for k in numbers if isinstance(k, int) and k >= 1]
    if len(whole) == 3:
        found = Cut(*whole)
        if max(found.events * dimensions, found.lanes * found.stretch) <= limits.block:
            return found
    raise CodingError(f"the header claims blocks of {cut}", f"at most {limits.block:,} values are read; {FETCH}")
