"""Lossless coding: files become as many bits as the model finds them surprising, and come back exactly.

    compress(run, files, out)          verified before the file gets its name
    decompress(run, file, directory)   verified before anything is written

`walking` is the one function that turns a model's conditionals into tables, for encoder and decoder alike; `tables`
turns those into bits; `plan` cuts values into blocks; `container` is the file, byte for byte; `parts` says what becomes
of each kind of file; `probe` checks whether the model computes here what it computed there.
"""

from ptheta.coding.compressing import compress
from ptheta.coding.container import Limits
from ptheta.coding.decompressing import decompress
from ptheta.coding.errors import CodingError
from ptheta.coding.report import Report, Restored

__all__ = ["CodingError", "Limits", "Report", "Restored", "compress", "decompress"]
