"""Suffixes and words by which files are recognised."""

from __future__ import annotations

import re

PICTURES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Suffixes of picture files."""


TEXTS = (".txt", ".text", ".md")
"""Suffixes of text files."""


MISSING = (
    *("", "?", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "None"),
    *("null", "NULL", "Null", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What stands for a missing value in a CSV file: the words of pandas, and a question mark."""

MISSING_NUMBERS = ("-", "--", "–", "—", ".", "..", "na", "none", "n.a.", "missing", "unknown", "#div/0!", "#value!")
"""What, in any case of letters, stands for a missing value where all else in the column is a number."""


SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64")
"""Suffixes of sound files: what libsndfile reads."""


CAPTIONS = (".txt", ".caption")
"""Suffixes of the text that belongs to the picture or sound of the same name beside it."""


TABLES = (".csv", ".tsv", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".arrow", ".feather", ".xlsx", ".xls")
"""Suffixes of table files."""


ARRAYS = (".npy", ".npz")
"""Suffixes of array files."""


FORMS = {"picture": PICTURES, "sound": SOUNDS, "text": TEXTS, "table": TABLES, "array": ARRAYS}
"""Form of a file → its suffixes."""

PACKED = {
    ".ptz": ("a compressed file", "unpack it with ptheta decompress RUN"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tzst"), ("an archive", "unpack it")),
    **dict.fromkeys((".gz", ".bz2", ".zst", ".xz"), ("a compressed file", "unpack it")),
}
"""Suffixes of files that hold others → what they are, and what helps where one file is wanted."""


BEGINNINGS = {
    "image": re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xc0-\xfe]|GIF8[79]a|II\*\0|MM\0\*|RIFF.{4}WEBP", re.DOTALL),
    "sound": re.compile(rb"RIFF.{4}WAVE|fLaC|OggS|ID3|FORM.{4}AIF[FC]", re.DOTALL),
}
"""Kind of column → how the files of it begin."""
