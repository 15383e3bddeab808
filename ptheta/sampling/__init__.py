"""Drawing events from conditionals; knows no model."""

from ptheta.sampling.ancestral import ancestral, generator_for, uniforms
from ptheta.sampling.warps import Warp

__all__ = ["Warp", "ancestral", "generator_for", "uniforms"]
