"""Raw value ↔ event: one codec a kind of data."""

from ptheta.data.codecs.base import Codec
from ptheta.data.codecs.images import ImageCodec

__all__ = ["Codec", "ImageCodec"]
