"""Raw value ↔ event: one codec a kind of data."""

from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.base import Codec
from ptheta.data.codecs.frames import FrameCodec
from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.palette import PaletteCodec
from ptheta.data.codecs.rows import RowCodec
from ptheta.data.codecs.tables import TableCodec
from ptheta.data.codecs.text import TextCodec

__all__ = [
    "ArrayCodec",
    "Codec",
    "FrameCodec",
    "ImageCodec",
    "PaletteCodec",
    "PictureCodec",
    "RowCodec",
    "TableCodec",
    "TextCodec",
]
