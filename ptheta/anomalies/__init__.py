"""How strange events are: scores that rank them, and what a rank means.

A density alone ranks badly where simple events are likely by their simplicity: a model of clothes finds digits
likelier than clothes. The scores here compare log p(x) with something: its expectation, another model, the size of a
compressed file, the distance to training events. Higher is stranger. An event of probability 0 is strangest of all, and
its score is +∞, never NaN.

The functions take arrays of nats; `Detector` measures them for a run and turns scores into p-values.
"""

from ptheta.anomalies.detector import Detector, Method, Scores, mean_surprise
from ptheta.anomalies.neighbours import Neighbours
from ptheta.anomalies.scores import (
    complexity,
    compressed_nats,
    either,
    p_values,
    ratio,
    surprise,
    typicality,
)

__all__ = [
    "Detector",
    "Method",
    "Neighbours",
    "Scores",
    "complexity",
    "compressed_nats",
    "either",
    "mean_surprise",
    "p_values",
    "ratio",
    "surprise",
    "typicality",
]
