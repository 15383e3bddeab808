"""Where samples come from.

`load` turns a source (a file, a folder, a data set, arrays) into `Data`: compact events of a `Space`, divided into
train, validation and test, and the `Codec` that turns events back into what the user had.
"""

from ptheta.data.codecs import Codec, ContextCodec
from ptheta.data.loading import address, load
from ptheta.data.splits import Data, Split

__all__ = ["Codec", "ContextCodec", "Data", "Split", "address", "load"]
