"""Drawing events from conditionals; knows no model."""

from ptheta.sampling.ancestral import Effort, Method, PatienceError, ancestral, generator_for, uniforms
from ptheta.sampling.beam import beam_search
from ptheta.sampling.fixed_point import fixed_point
from ptheta.sampling.generation import Draft, Generation, Listener, generate
from ptheta.sampling.guidance import GuidedStepper, guided_pass
from ptheta.sampling.warps import Warp

__all__ = [
    "Draft",
    "Effort",
    "Generation",
    "GuidedStepper",
    "Listener",
    "Method",
    "PatienceError",
    "Warp",
    "ancestral",
    "beam_search",
    "fixed_point",
    "generate",
    "generator_for",
    "guided_pass",
    "uniforms",
]
