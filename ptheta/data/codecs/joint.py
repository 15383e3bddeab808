"""Several columns as one context."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs.base import Codec, ContextCodec, Place, as_array, nowhere
from ptheta.files import write_bytes
from ptheta.spaces import Joint


@dataclass(frozen=True)
class JointCodec(ContextCodec):
    """Values of several columns ↔ events of a `Joint` space.

    Args:
        parts: name → JSON form of the part's codec.

    >>> codec = JointCodec({"a": {"kind": "number", "column": "a"}, "b": {"kind": "number", "column": "b"}})
    >>> codec.joined({"b": np.array([3.0])}).tolist(), codec.names([[1, 2]])
    ([[nan, 3.0]], ['a=1 b=2'])
    """

    parts: dict[str, dict[str, Any]]

    kind = "joint"

    def __eq__(self, other: object) -> bool:
        """Whether the parts are the same, in the same order, however completely they are written down."""
        return isinstance(other, JointCodec) and list(self.codecs.items()) == list(other.codecs.items())

    @cached_property
    def codecs(self) -> dict[str, ContextCodec]:
        """Name → codec of the part."""
        made = {}
        for name, part in self.parts.items():
            codec = Codec.from_json(part)
            if not isinstance(codec, ContextCodec):
                raise ValueError(f"part {name} is a {codec.kind} codec, which makes no contexts")
            made[name] = codec
        return made

    @cached_property
    def _joint(self) -> Joint:
        return Joint({name: codec.space for name, codec in self.codecs.items()})

    @property
    def space(self) -> Joint:
        """Joint of the parts' spaces."""
        return self._joint

    @property
    def writings(self) -> dict[str, dict[str, str]]:
        """Of its parts, by their names."""
        return {name: way for name, codec in self.codecs.items() for way in codec.writings.values()}

    @property
    def dtype(self) -> np.dtype:
        """Smallest type that holds the values of all parts."""
        return np.result_type(*(codec.dtype for codec in self.codecs.values()))

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, sum of the parts' dimensions] of a mapping from every part's name to its values."""
        flat = [codec.encode(raw[name], place) for name, codec in self.codecs.items()]
        return np.concatenate([x.reshape(len(x), -1).astype(self.dtype, copy=False) for x in flat], 1)

    def split(self, x: Tensor | np.ndarray) -> dict[str, np.ndarray]:
        """Name → the part's events."""
        whole = torch.from_numpy(np.array(as_array(x)).astype(np.float64)).to(self.space.dtype)
        return {name: part.numpy() for name, part in self.space.split(whole).items()}

    def decode(self, x: Tensor | np.ndarray) -> dict[str, Any]:
        """Name → raw values of the part; every part must be known."""
        return {name: self.codecs[name].decode(part) for name, part in self.split(x).items()}

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One CSV file of captions, a column for each part; of what is not given the cell is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.parts)
        writer.writerows(zip(*self._captions(x).values()))
        return [write_bytes(Path(directory) / f"{stem}.csv", text.getvalue().encode(), flush=False)]

    # As a context

    def joined(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """A context [1, …], int64 or float64, of some parts [1, …]; the others are missing."""
        spaces = dict(self.space.parts)
        whole = {
            name: torch.from_numpy(parts[name]) if name in parts else spaces[name].null(1) for name in self.space.names
        }
        return self.space.join(whole).numpy()

    def names(self, x: Tensor | np.ndarray) -> list[str]:
        """name=caption of each part that is given."""
        columns = [
            ["" if caption is None else f"{name}={caption}" for caption in part]
            for name, part in self._captions(x).items()
        ]
        return [" ".join(filter(None, row)) or "nothing given" for row in zip(*columns)]

    def _captions(self, x: Tensor | np.ndarray) -> dict[str, list[str | None]]:
        """Name → caption of every row's part; None where it is missing."""
        captions: dict[str, list[str | None]] = {}
        for (name, part), (_, space) in zip(self.split(x).items(), self.space.parts):
            known = np.flatnonzero(~space.is_null(torch.from_numpy(part)).numpy())
            names = dict(zip(known.tolist(), self.codecs[name].names(part[known])))
            captions[name] = [names.get(row) for row in range(len(part))]
        return captions

    def doubt(self, x: np.ndarray) -> str | None:
        """The doubts of all parts."""
        doubts = [self.codecs[name].doubt(part) for name, part in self.split(x).items()]
        return "; ".join(filter(None, doubts)) or None

    def remark(self, text: str) -> str | None:
        """What the part's codec remarks."""
        name, _, value = text.partition("=")
        return self.codecs[name].remark(value) if name in self.parts else None
