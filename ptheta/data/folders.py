"""Folders as sources: data sets of Hugging Face, pictures, documents."""

from __future__ import annotations

from pathlib import Path

from ptheta.data.hub import open_dataset_folder
from ptheta.data.tables import Source


def open_folder(path: Path) -> Source:
    """Open a folder by what it holds."""
    return open_dataset_folder(path)
