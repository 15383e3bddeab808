"""Progress, pictures, tables and the model card."""

from ptheta.numbers import count, nats, plural
from ptheta.reporting.card import card_rows, write_card
from ptheta.reporting.comparison import comparison
from ptheta.reporting.completions import read_mask, write_completions
from ptheta.reporting.copies import copy_check, nearest_pictures
from ptheta.reporting.documents import (
    Rates,
    byte_count,
    rates_of_blocks,
    reads_documents,
    said,
    score_documents,
    write_document_scores,
)
from ptheta.reporting.overview import file_lines, write_overview
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.reporting.progress import FitProgress, track
from ptheta.reporting.samples import is_table, surprising_columns, write_events, write_scores
from ptheta.reporting.surprise import printable, show

__all__ = [
    "FitProgress",
    "Rates",
    "byte_count",
    "card_rows",
    "comparison",
    "copy_check",
    "count",
    "file_lines",
    "grid",
    "is_table",
    "nats",
    "nearest_pictures",
    "plural",
    "printable",
    "rates_of_blocks",
    "read_mask",
    "reads_documents",
    "said",
    "save_picture",
    "score_documents",
    "show",
    "surprise_grid",
    "surprising_columns",
    "track",
    "write_card",
    "write_completions",
    "write_document_scores",
    "write_events",
    "write_overview",
    "write_scores",
]
