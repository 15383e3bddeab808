"""Progress, pictures, tables and the model card."""

from ptheta.reporting.card import write_card
from ptheta.reporting.numbers import count, count_words, nats, plural
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.reporting.progress import FitProgress, track
from ptheta.reporting.samples import write_samples

__all__ = [
    "FitProgress",
    "count",
    "count_words",
    "grid",
    "nats",
    "plural",
    "save_picture",
    "surprise_grid",
    "track",
    "write_card",
    "write_samples",
]
