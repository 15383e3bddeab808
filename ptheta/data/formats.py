"""Suffixes and words by which files are recognised."""

from __future__ import annotations

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""Suffixes of picture files."""


TEXTS = (".txt", ".text", ".md")
"""Suffixes of text files."""


MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]
"""What stands for a missing value in a CSV file."""


SOUNDS = (".wav", ".flac", ".ogg")
"""Suffixes of sound files."""
