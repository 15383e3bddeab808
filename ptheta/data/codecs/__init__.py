"""Raw value ↔ event: one codec a kind of data."""

from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.base import Codec, ContextCodec
from ptheta.data.codecs.documents import DocumentCodec
from ptheta.data.codecs.frames import FrameCodec
from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.joint import JointCodec
from ptheta.data.codecs.labels import LabelCodec, NumberCodec
from ptheta.data.codecs.mixed_rows import RowCodec
from ptheta.data.codecs.palette import PaletteCodec
from ptheta.data.codecs.plain_rows import TableCodec
from ptheta.data.codecs.sounds import SoundCodec, WaveformCodec
from ptheta.data.codecs.spectrograms import SpectrogramCodec
from ptheta.data.codecs.text import TextCodec

__all__ = [
    "ArrayCodec",
    "Codec",
    "ContextCodec",
    "DocumentCodec",
    "FrameCodec",
    "ImageCodec",
    "JointCodec",
    "LabelCodec",
    "NumberCodec",
    "PaletteCodec",
    "PictureCodec",
    "RowCodec",
    "SoundCodec",
    "SpectrogramCodec",
    "TableCodec",
    "TextCodec",
    "WaveformCodec",
]
