"""Progress, pictures, tables and the model card."""

from ptheta.numbers import count, nats, plural
from ptheta.reporting.card import card_rows, write_card
from ptheta.reporting.comparison import comparison
from ptheta.reporting.completions import read_mask, write_completions
from ptheta.reporting.copies import copy_check, nearest_pictures
from ptheta.reporting.overview import picture_lines, write_overview
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.reporting.progress import FitProgress, track
from ptheta.reporting.samples import write_events, write_scores

__all__ = [
    "FitProgress",
    "card_rows",
    "comparison",
    "copy_check",
    "count",
    "grid",
    "nats",
    "nearest_pictures",
    "picture_lines",
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
