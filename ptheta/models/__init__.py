"""Models of p_θ(x | y): the contract, the autoregressive base, one file a family, and the zoo's registry.

model = ptheta.models.Histogram(space)
"""

from __future__ import annotations

from typing import Any

from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.base import Model
from ptheta.models.counting.base import Counting
from ptheta.models.density import Density
from ptheta.models.ensembles.kinds import ensemble_of
from ptheta.models.zoo import ZOO, Family, family, name_of
from ptheta.sampling.decoding import Decoder

__all__ = [
    "ZOO",
    "Autoregressive",
    "Counting",
    "Decoder",
    "Density",
    "Family",
    "Model",
    "ensemble_of",
    "family",
    "name_of",
]


def __getattr__(name: str) -> Any:
    for row in ZOO.values():
        if row.path.endswith(f":{name}"):
            return row.load()
    raise AttributeError(f"module 'ptheta.models' has no attribute {name!r}")
