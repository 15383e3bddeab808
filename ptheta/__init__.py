"""ptheta: learn a distribution p_θ(x) or p_θ(x | y) from samples, then sample, score, complete and compare.

    data = ptheta.load("digits")
    run = ptheta.fit("transformer", data, minutes=1)
    run.model.sample(64, seed=0)

Imports are lazy: `import ptheta` costs nothing until a name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptheta import anomalies, divergences, models
    from ptheta.classifying import classify
    from ptheta.data import Data, load
    from ptheta.errors import PthetaError
    from ptheta.fitting import fit
    from ptheta.runs import Run
    from ptheta.spaces import (
        Column,
        Discrete,
        Document,
        Grid,
        Image,
        Joint,
        Label,
        Real,
        Sequence,
        Space,
        Spectrogram,
        Table,
        Waveform,
    )

__version__ = "0.1.0"

_HOME = {
    "Column": "spaces",
    "Data": "data",
    "Discrete": "spaces",
    "Document": "spaces",
    "Grid": "spaces",
    "Image": "spaces",
    "Joint": "spaces",
    "Label": "spaces",
    "PthetaError": "errors",
    "Real": "spaces",
    "Run": "runs",
    "Sequence": "spaces",
    "Space": "spaces",
    "Spectrogram": "spaces",
    "Table": "spaces",
    "Waveform": "spaces",
    "classify": "classifying",
    "fit": "fitting",
    "load": "data",
}

__all__ = [
    "Column",
    "Data",
    "Discrete",
    "Document",
    "Grid",
    "Image",
    "Joint",
    "Label",
    "PthetaError",
    "Real",
    "Run",
    "Sequence",
    "Space",
    "Spectrogram",
    "Table",
    "Waveform",
    "anomalies",
    "classify",
    "divergences",
    "fit",
    "load",
    "models",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"ptheta.{_HOME[name]}"), name)
    if name in ("anomalies", "divergences", "models"):
        return importlib.import_module(f"ptheta.{name}")
    raise AttributeError(f"module 'ptheta' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
