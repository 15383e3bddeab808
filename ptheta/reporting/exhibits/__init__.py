"""How each kind of data is shown: one file for a kind, named by the row of the kind in `ptheta.data.kinds`."""

from __future__ import annotations

from importlib import import_module

from ptheta.data.codecs import Codec
from ptheta.data.kinds import kind_of
from ptheta.reporting.exhibits.base import Exhibit
from ptheta.reporting.exhibits.given import Given


def exhibit_of(codec: Codec) -> Exhibit:
    """The exhibit of a codec's events; a kind that has none of its own is shown as numbers.

    >>> from ptheta.data.codecs import LabelCodec
    >>> exhibit_of(LabelCodec(["cat", "dog"])).words
    ['cat', 'dog']
    """
    try:
        module, _, name = kind_of(codec).exhibit.partition(":")
    except LookupError:  # several kinds side by side
        module = ""
    if not module:
        return Exhibit(codec)
    return getattr(import_module(module if "." in module else f"{__name__}.{module}"), name).of(codec)


__all__ = ["Exhibit", "Given", "exhibit_of"]
