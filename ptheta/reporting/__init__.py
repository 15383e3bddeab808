"""Progress, pictures, tables and the model card."""

from ptheta.numbers import count, nats, plural
from ptheta.reporting.card import card_rows, write_card
from ptheta.reporting.comparison import comparison
from ptheta.reporting.copies import copy_check, nearest_pictures
from ptheta.reporting.documents import (
    Rates,
    byte_count,
    lines_of,
    rates_text,
    reads_documents,
    score_documents,
    write_document_scores,
)
from ptheta.reporting.exhibits import Exhibit, exhibit_of
from ptheta.reporting.overview import file_lines, write_overview
from ptheta.reporting.pictures import grid, save_picture, surprise_grid
from ptheta.reporting.progress import FitProgress, track
from ptheta.reporting.samples import gives_reasons, reasons, write_events, write_scores
from ptheta.reporting.surprise import show

__all__ = [
    "Exhibit",
    "FitProgress",
    "Rates",
    "byte_count",
    "card_rows",
    "comparison",
    "copy_check",
    "count",
    "exhibit_of",
    "file_lines",
    "gives_reasons",
    "grid",
    "lines_of",
    "nats",
    "nearest_pictures",
    "plural",
    "rates_text",
    "reads_documents",
    "reasons",
    "save_picture",
    "score_documents",
    "show",
    "surprise_grid",
    "track",
    "write_card",
    "write_document_scores",
    "write_events",
    "write_overview",
    "write_scores",
]
