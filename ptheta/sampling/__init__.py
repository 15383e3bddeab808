"""Drawing events from conditionals; knows no model."""

from ptheta.distributions.warps import Warp
from ptheta.sampling.ancestral import Method, ancestral
from ptheta.sampling.beam import beam_search
from ptheta.sampling.consensus import likeness, most_agreed
from ptheta.sampling.decoding import Effort, PatienceError, generator_for, uniforms
from ptheta.sampling.fixed_point import fixed_point
from ptheta.sampling.generation import Draft, Generation, Listener, generate
from ptheta.sampling.guidance import GuidedDecoder, guided_pass

__all__ = [
    "Draft",
    "Effort",
    "Generation",
    "GuidedDecoder",
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
    "likeness",
    "most_agreed",
    "uniforms",
]
