"""Progress, pictures, tables and the model card."""

from ptheta.numbers import count, nats, plural
from ptheta.reporting.card import card_rows, write_card
from ptheta.reporting.comparison import comparison
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.reporting.progress import FitProgress, track
from ptheta.reporting.samples import read_mask, write_completions, write_events, write_overview, write_scores

__all__ = [
    "FitProgress",
    "card_rows",
    "comparison",
    "count",
    "grid",
    "nats",
    "plural",
    "read_mask",
    "save_picture",
    "surprise_grid",
    "track",
    "write_card",
    "write_completions",
    "write_events",
    "write_overview",
    "write_scores",
]
