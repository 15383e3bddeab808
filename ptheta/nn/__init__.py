"""Networks; no probability inside."""

from ptheta.nn.attention import Attention, Block, Conditioning, KeyValueCache, norm
from ptheta.nn.gated import CausalConvolution, GatedBlock, channel_norm
from ptheta.nn.layers import Layers
from ptheta.nn.masked import MaskedLinear, masked_layers
from ptheta.nn.rotary import Rotary, Turn

__all__ = [
    "Attention",
    "Block",
    "CausalConvolution",
    "Conditioning",
    "GatedBlock",
    "KeyValueCache",
    "Layers",
    "MaskedLinear",
    "Rotary",
    "Turn",
    "channel_norm",
    "masked_layers",
    "norm",
]
