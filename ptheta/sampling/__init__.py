"""Drawing events from conditionals; knows no model."""

from ptheta.sampling.ancestral import Effort, Method, ancestral, generator_for, uniforms
from ptheta.sampling.fixed_point import fixed_point
from ptheta.sampling.warps import Warp

__all__ = ["Effort", "Method", "Warp", "ancestral", "fixed_point", "generator_for", "uniforms"]
