"""The contract of a codec: it turns raw values into events of a space and back, and says how in JSON."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from ptheta.errors import PthetaError, RunError, UsageError, nearest
from ptheta.foreign import guarded
from ptheta.spaces import Space

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Place = Callable[[int], str]
"""Row of a chunk → where it is, for an error."""


def nowhere(row: int) -> str:
    """Place of values that came from no file."""
    return f"row {row + 1:,}"


@dataclasses.dataclass(frozen=True)
class Codec(ABC):
    """Raw value ↔ event. Its fields are its whole state, and are JSON."""

    kind: ClassVar[str]
    is_picture: ClassVar[bool] = False
    """Whether `picture` shows an event."""
    noun: ClassVar[str] = "other"
    """What a person calls an event: picture, text, sound, label or other; tasks are chosen by it."""
    named_unit: ClassVar[str] = "dim"
    """`unit`, of codecs of this kind."""
    choosy: ClassVar[tuple[str, ...]] = ()
    """Fields that say which raw values are taken, not what an event means."""
    _kinds: ClassVar[dict[str, type[Codec]]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            Codec._kinds[cls.kind] = cls

    @property
    @abstractmethod
    def space(self) -> Space:
        """Space of the events."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """Compact type in which events are kept."""

    @property
    def writings(self) -> dict[str, dict[str, str]]:
        """Columns of numbers that Python writes differently → the fields of a `ptheta.data.sources.cells.Writing`."""
        return {}

    @abstractmethod
    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, *space.shape] of raw values.

        Args:
            raw: what `decode` gives, or a chunk of rows of a source.
            place: names a row in an error.

        Raises:
            SourceError: a value that is not an event.
        """

    @abstractmethod
    def decode(self, x: Tensor | np.ndarray) -> Any:
        """Raw values of events [n, *space.shape]: the inverse of `encode`."""

    @abstractmethod
    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """Write events as files a user can open.

        Args:
            x: events [n, *space.shape].
            directory: made if missing.
            stem: beginning of the file names.
            context_names: the class of each event, for names or a column.

        Returns:
            Files written, whole or not at all.
        """

    def pictures(self, x: Tensor | np.ndarray) -> list[Picture]:
        """Events [n, *space.shape] as pictures to look at, modes L or RGB.

        Raises:
            UsageError: these events have none (`is_picture` is false).
        """
        raise UsageError(f"{self.space} has no pictures", "look at its samples instead")

    def upright(self, values: Tensor) -> Tensor:
        """Values of dimensions [n, *space.shape] as they lie in `pictures`: [n, …, height, width]."""
        return values

    @property
    def unit(self) -> str:
        """What one dimension of an event is called in scores; those in different units do not compare."""
        return self.named_unit

    @property
    def bits_label(self) -> str:
        """Bits per dimension in print: bits/dim, or of another unit."""
        return f"bits/{self.unit}"

    @property
    def bits_key(self) -> str:
        """Bits per dimension as a key of JSON: bits_per_dim, or of another unit."""
        return f"bits_per_{self.unit.replace(' ', '_')}"

    def bits(self, nats: float) -> float:
        """Nats of an event as bits per dimension."""
        return nats / (self.space.dimensions * math.log(2))

    def in_bits(self, nats: float) -> str:
        """Nats of an event as bits per dimension in print; a unit of the codec's own making names its space."""
        of = "" if self.unit == Codec.named_unit else f" of {self.space}"
        return f"{self.bits(nats):.4f} {self.bits_label}{of}"

    def means_as(self, other: Codec) -> bool:
        """Whether an event stands for the same value in another codec, whichever raw values that one takes."""
        return type(self) is type(other) and self == dataclasses.replace(
            other, **{name: getattr(self, name) for name in self.choosy}
        )

    def to_json(self) -> dict[str, Any]:
        """JSON form; `Codec.from_json` is its inverse."""
        return {"kind": self.kind} | dataclasses.asdict(self)

    @staticmethod
    def from_json(description: dict[str, Any]) -> Codec:
        """The codec that `to_json` described.

        Raises:
            RunError: unknown kind, unknown fields, missing ones that have no default, or values that make no codec.
        """
        values = dict(description)
        kind = values.pop("kind", None)
        if kind not in Codec._kinds:
            raise RunError(f"no codec is called {kind!r}", nearest(str(kind), sorted(Codec._kinds)))
        cls = Codec._kinds[kind]
        fields = dataclasses.fields(cls)
        needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
        unknown = sorted(values.keys() - {f.name for f in fields})
        missing = sorted(set(needed) - values.keys())
        if unknown or missing:
            raise RunError(
                f"the {kind} codec has unknown fields {unknown} and lacks {missing}",
                "it was edited or made by another version of ptheta",
            )
        remedy = "it was damaged, edited or made by another version of ptheta"
        with guarded(f"the {kind} codec", remedy, error=RunError, problem="{origin} cannot be read"):
            try:
                codec = cls(**values)
                _ = codec.space
                return codec
            except PthetaError as error:
                raise RunError(f"the {kind} codec cannot be read: {error}", remedy) from None


class ContextCodec(Codec):
    """A codec whose events can be contexts: it also says what to call one."""

    def names(self, x: Tensor | np.ndarray) -> list[str]:
        """A short caption for each context [n, *space.shape]."""
        return [f"context-{i:04d}" for i in range(len(x))]

    def remark(self, text: str) -> str | None:
        """What becomes of a value as a person writes it that they should know, in a sentence; None if nothing."""
        return None

    def doubt(self, x: np.ndarray) -> str | None:
        """That contexts [n, *space.shape] are beyond all that were learned from, in a sentence; None if none is."""
        return None


def compact(levels: int) -> np.dtype:
    """Smallest integer type that holds 0 … levels − 1 and that torch computes with."""
    return np.dtype(np.uint8 if levels <= 256 else np.int16 if levels <= 2**15 else np.int32)


def as_array(x: Tensor | np.ndarray) -> np.ndarray:
    """Events as a numpy array on the CPU."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def file_names(n: int, stem: str, suffix: str, context_names: Sequence[str] | None) -> list[str]:
    """sample-0000.png, or sample-0000-cat.png with a context."""
    tails = ["" if context_names is None else "-" + _safe(context_names[i]) for i in range(n)]
    return [f"{stem}-{i:04d}{tail}{suffix}" for i, tail in enumerate(tails)]


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in str(name))[:40]
