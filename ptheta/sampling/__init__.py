"""Drawing events from conditionals; knows no model."""

from ptheta.sampling.ancestral import Effort, Method, ancestral, generator_for, uniforms
from ptheta.sampling.fixed_point import fixed_point
from ptheta.sampling.generation import Draft, Generation, Listener, generate
from ptheta.sampling.warps import Warp

__all__ = [
    "Draft",
    "Effort",
    "Generation",
    "Listener",
    "Method",
    "Warp",
    "ancestral",
    "fixed_point",
    "generate",
    "generator_for",
    "uniforms",
]
