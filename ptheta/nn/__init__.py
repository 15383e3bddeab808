"""Networks; no probability inside."""

from ptheta.nn.attention import Attention, Block, KeyValueCache, rms_norm
from ptheta.nn.masked import MaskedLinear, masked_layers
from ptheta.nn.rotary import Rotary

__all__ = ["Attention", "Block", "KeyValueCache", "MaskedLinear", "Rotary", "masked_layers", "rms_norm"]
