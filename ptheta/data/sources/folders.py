"""Folders as sources: data sets of Hugging Face, pictures, sounds, documents."""

from __future__ import annotations

from pathlib import Path

from ptheta.data.formats import PICTURES, SOUNDS, TEXTS
from ptheta.data.sources.files import OPENERS, is_idx, open_file
from ptheta.data.sources.hub import open_dataset_folder, open_saved
from ptheta.data.sources.sound_metadata import described_sounds
from ptheta.data.sources.splits import PUBLISHED, named_splits
from ptheta.data.sources.tables import ArrayTable, Column, Source, Table
from ptheta.errors import SourceError
from ptheta.listing import files_below, is_file

DATA = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".arrow", ".zip", ".tar")
"""Suffixes of data files, in the order in which they decide what a folder is."""

METADATA = ("metadata.csv", "metadata.jsonl")
"""Files that describe the sounds beside them."""

KINDS = {"image": "image", "audio": "sound", "text": "document"}
"""Name of the column of a folder of files → its kind."""


def open_folder(path: Path) -> Source:
    """Open a folder by what it holds.

    Raises:
        SourceError: empty, or nothing in it is known.
    """
    files = files_below(path, hidden=False, follow=True)
    if not files:
        raise SourceError(f"folder {path} is empty", "give a folder with pictures, sounds, texts or data files")
    if strange := next((file for file in files if not is_file(file)), None):
        what = "is a link to nothing" if strange.is_symlink() else "is not a regular file"
        raise SourceError(f"{strange} {what}", "remove it from the folder")
    if any(f.name in ("state.json", "dataset_dict.json") for f in files):
        return open_saved(path)
    pictures = [f for f in files if f.suffix.lower() in PICTURES]
    sounds = [f for f in files if f.suffix.lower() in SOUNDS]
    described = any(f.stem == "metadata" for f in files)
    if sounds and not pictures and (tables := [f for f in files if f.name in METADATA]):
        return described_sounds(path, _by_split(path, tables), sounds)
    if described or (not pictures and not sounds and any(f.suffix.lower() in DATA for f in files)):
        _check_links(path, files)
        return open_dataset_folder(path)
    if pictures:
        return _folder_of_files(path, pictures, "image")
    if sounds:
        return _folder_of_files(path, sounds, "audio")
    if texts := [f for f in files if f.suffix.lower() in TEXTS and f.name.lower() not in ("readme.md", "readme.txt")]:
        return _folder_of_files(path, texts, "text")
    if idx := [f for f in files if is_idx(f)]:
        best = sorted(idx, key=lambda f: ("images" not in f.name, "train" not in f.name))
        return open_file(best[0])
    if len(files) == 1:
        return open_file(files[0])
    raise SourceError(
        f"folder {path} holds no known files, only such as {files[0].name}",
        f"known are IDX files and {', '.join(OPENERS)}",
    )


def _check_links(path: Path, files: list[Path]) -> None:
    """Links to folders, which `datasets` would pass over in silence.

    Raises:
        SourceError: there is one.
    """
    folders = {folder for file in files for folder in file.relative_to(path).parents}
    if link := next(
        (path / folder for folder in sorted(folders) if folder.parts and (path / folder).is_symlink()), None
    ):
        raise SourceError(f"{link} is a link to a folder, which is not followed for data files", "put the folder there")


def _by_split(path: Path, files: list[Path]) -> dict[str, list[Path]]:
    """The files below each top folder that is named like a split; "" → all, if there is no such folder.

    Raises:
        SourceError: some lie in such folders and some do not.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        top = file.relative_to(path).parts[:-1][:1]
        groups.setdefault(top[0] if top and top[0].lower() in PUBLISHED else "", []).append(file)
    if "" in groups and len(groups) > 1:
        raise SourceError(f"{groups[''][0]} lies outside the split folders of {path}", "move it into one, or remove it")
    return groups


def _folder_of_files(path: Path, files: list[Path], column: str) -> Source:
    """One row a file. Top folders named like splits are splits; the folder a file lies in is its label."""
    groups = _by_split(path, files)
    label_of = {
        file: ("", *file.relative_to(path / split).parts[:-1])[-1] for split, rows in groups.items() for file in rows
    }
    labels = sorted(set(label_of.values()))
    labelled = len(labels) > 1 and "" not in labels
    tables: dict[str, Table] = {}
    for split, rows in groups.items():
        columns = {column: Column(column, KINDS[column])}
        arrays: dict[str, list] = {column: [_content(file, column) for file in rows]}
        if labelled:
            columns["label"] = Column("label", "class", tuple(labels))
            arrays["label"] = [labels.index(label_of[file]) for file in rows]
        tables[split or "all"] = ArrayTable(split or path.name, columns, arrays, [str(file) for file in rows])
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def _content(file: Path, column: str) -> dict | Path:
    return file if column == "text" else {"path": str(file), "bytes": None}
