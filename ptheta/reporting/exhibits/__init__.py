"""How each kind of data is shown: one file for a kind, found by the codec of its events."""

from __future__ import annotations

from importlib import import_module

from ptheta.data.codecs import Codec
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given

EXHIBITS = {
    "image": "pictures:Pictures",
    "palette": "pictures:Pictures",
    "text": "texts:Texts",
    "document": "texts:Documents",
    "waveform": "sounds:Sounds",
    "spectrogram": "sounds:Sounds",
    "table": "tables:Tables",
    "rows": "tables:Tables",
    "array": "arrays:Arrays",
    "label": "values:Labels",
    "number": "values:Numbers",
}
"""Kind of codec → module of this package (or elsewhere, by its full name with dots) and class of its exhibit."""


def exhibit_of(codec: Codec) -> Exhibit:
    """The exhibit of a codec's events; a kind that has none of its own is shown as numbers.

    >>> from ptheta.data.codecs import LabelCodec
    >>> exhibit_of(LabelCodec(["cat", "dog"])).words
    ['cat', 'dog']
    """
    if codec.kind not in EXHIBITS:
        return Exhibit(codec)
    module, _, name = EXHIBITS[codec.kind].partition(":")
    return getattr(import_module(module if "." in module else f"{__name__}.{module}"), name).of(codec)


__all__ = ["EXHIBITS", "Exhibit", "Given", "exhibit_of"]
