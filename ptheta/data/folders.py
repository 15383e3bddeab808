"""Folders as sources: data sets of Hugging Face, pictures, sounds, documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ptheta.data.codecs.waves import SOUNDS
from ptheta.data.files import OPENERS, PICTURES, TEXTS, is_idx, open_file
from ptheta.data.hub import open_dataset_folder, open_saved
from ptheta.data.sources import PUBLISHED, named_splits
from ptheta.data.tables import ArrayTable, Column, Source, Table, describe
from ptheta.errors import SourceError

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
    files = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p, path))
    if not files:
        raise SourceError(f"folder {path} is empty", "give a folder with pictures, sounds, texts or data files")
    if any(f.name in ("state.json", "dataset_dict.json") for f in files):
        return open_saved(path)
    pictures = [f for f in files if f.suffix.lower() in PICTURES]
    sounds = [f for f in files if f.suffix.lower() in SOUNDS]
    described = any(f.stem == "metadata" for f in files)
    if sounds and not pictures and (tables := [f for f in files if f.name in METADATA]):
        return _described_sounds(path, tables)
    if described or (not pictures and not sounds and any(f.suffix.lower() in DATA for f in files)):
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
        f"folder {path} holds nothing known, such as {files[0].name}", f"known are IDX files and {', '.join(OPENERS)}"
    )


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts)


def _folder_of_files(path: Path, files: list[Path], column: str) -> Source:
    """One row a file. Top folders named like splits are splits; the folder a file lies in is its label."""
    groups: dict[str, list[tuple[Path, str]]] = {}
    for file in files:
        parts = file.relative_to(path).parts[:-1]
        split = parts[0] if parts and parts[0].lower() in PUBLISHED else ""
        inner = parts[1:] if split else parts
        groups.setdefault(split, []).append((file, inner[-1] if inner else ""))
    if "" in groups and len(groups) > 1:
        stray = groups[""][0][0]
        raise SourceError(f"{stray} lies outside the split folders of {path}", "move it into one, or remove it")
    labels = sorted({label for rows in groups.values() for _, label in rows})
    labelled = len(labels) > 1 and "" not in labels
    tables: dict[str, Table] = {}
    for split, rows in groups.items():
        columns = {column: Column(column, KINDS[column])}
        arrays: dict[str, list] = {column: [_content(file, column) for file, _ in rows]}
        if labelled:
            columns["label"] = Column("label", "class", tuple(labels))
            arrays["label"] = [labels.index(label) for _, label in rows]
        tables[split or "all"] = ArrayTable(split or path.name, columns, arrays, [str(file) for file, _ in rows])
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def _described_sounds(path: Path, tables: list[Path]) -> Source:
    """Rows of metadata files, whose column `file_name` names sounds beside them; the folders they lie in are splits."""
    import pandas as pd
    import pyarrow as pa

    parts: dict[str, Table] = {}
    for file in tables:
        frame = pd.read_csv(file) if file.suffix == ".csv" else pd.read_json(file, lines=True)
        if "file_name" not in frame:
            raise SourceError(f"{file} has no column 'file_name'", "name a sound in each row, relative to the file")
        places = [str(file.parent / str(name)) for name in frame["file_name"]]
        columns = {"audio": Column("audio", "sound")}
        arrays: dict[str, Any] = {"audio": [{"path": place, "bytes": None} for place in places]}
        for name in frame.columns.drop("file_name"):
            arrays[str(name)] = pa.array(frame[name], from_pandas=True)
            columns |= describe(pa.schema([(str(name), arrays[str(name)].type)]))
        split = file.parent.relative_to(path).parts[:1]
        parts[split[0] if split else "all"] = ArrayTable(file.name, columns, arrays, places)
    return Source(path.resolve().name, str(path), named_splits(parts, str(path)))


def _content(file: Path, column: str) -> dict | Path:
    return file if column == "text" else {"path": str(file), "bytes": None}
