"""Folders as sources: data sets of Hugging Face, pictures, sounds, documents."""

from __future__ import annotations

from pathlib import Path

from ptheta.data.formats import PICTURES, SOUNDS, TEXTS
from ptheta.data.sources.captions import caption, captions_of
from ptheta.data.sources.described import METADATA, described_files
from ptheta.data.sources.files import is_idx, open_file
from ptheta.data.sources.hub import open_dataset_folder, open_saved
from ptheta.data.sources.left_out import left_out
from ptheta.data.sources.signatures import head_of, not_read
from ptheta.data.sources.splits import named_splits, split_folders
from ptheta.data.sources.tables import ArrayTable, Column, Source, Table
from ptheta.errors import SourceError
from ptheta.listing import files_below, is_file
from ptheta.names import merged, printable
from ptheta.remarks import remark

DATA = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".arrow", ".zip", ".tar")
"""Suffixes of data files."""

OUTNUMBERED = 5
"""How many times as many sounds or texts as pictures there are in a folder of the former."""

FEWEST = 3
"""Pictures or sounds, one for each split, below which they are not what a folder of data files is about."""

MEDIA = {"image": "pictures", "audio": "sounds"}
"""Column → what is in it, of files that metadata may describe."""

COLUMNS = {
    "image": Column("image", "image"),
    "audio": Column("audio", "sound"),
    "text": Column("text", "document"),
}
"""The column of a folder of files."""


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
        raise SourceError(f"{printable(strange)} {what}", "remove it from the folder")
    if any(f.name in ("state.json", "dataset_dict.json") for f in files):
        return open_saved(path, files)
    name, rows = _mostly(files)
    tables = [f for f in files if f.name in METADATA] if name in MEDIA else []
    if tables and (source := described_files(path, tables, rows, COLUMNS[name])) is not None:
        left_out(files, {*rows, *tables}, f"neither {MEDIA[name]} nor their metadata")
        return source
    if any(f.stem == "metadata" for f in files) or _are_data(files, rows if name in MEDIA else []):
        _check_links(path, files)
        return open_dataset_folder(path, files)
    if rows:
        return _folder_of_files(path, files, rows, name)
    if idx := [f for f in files if is_idx(f)]:
        best = sorted(idx, key=lambda f: ("images" not in f.name, "train" not in f.name))
        return open_file(best[0])
    if len(files) == 1:
        return open_file(files[0])
    why = not_read(files[0], head_of(files[0]))
    raise SourceError(f"folder {path} holds no known files, only such as {printable(files[0].name)}", why.remedy)


def _is_readme(file: Path) -> bool:
    """Whether a file tells about the others beside it."""
    return file.stem.lower() == "readme" and file.suffix.lower() in ("", *TEXTS)


def _mostly(files: list[Path]) -> tuple[str, list[Path]]:
    """Whether a folder is one of pictures, sounds or texts, as the name of their column, and which files these are.

    Covers and figures lie beside sounds and texts, captions and notes beside pictures.
    """
    found = {
        "image": [file for file in files if file.suffix.lower() in PICTURES],
        "audio": [file for file in files if file.suffix.lower() in SOUNDS],
    }
    named = {file.with_suffix("") for media in found.values() for file in media}
    found["text"] = [
        file
        for file in files
        if file.suffix.lower() in TEXTS and not _is_readme(file) and file.with_suffix("") not in named
    ]
    most = max(map(len, found.values()))
    return next(((name, rows) for name, rows in found.items() if OUTNUMBERED * len(rows) > most), ("text", []))


def _are_data(files: list[Path], media: list[Path]) -> bool:
    """Whether data files are what a folder is about, beside so many pictures or sounds."""
    data = [file for file in files if file.suffix.lower() in DATA]
    beside = {file.with_suffix("") for file in media}
    return bool(data) and len(media) < FEWEST and not any(file.with_suffix("") in beside for file in data)


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


def _folder_of_files(path: Path, files: list[Path], rows: list[Path], name: str) -> Source:
    """One row a file. Top folders named like splits are splits; the folder a file lies in is its label.

    Args:
        path: of the folder.
        files: all in it; what is neither a row nor a text beside one is reported.
        rows: pictures, sounds or texts.
        name: of their column.
    """
    groups = split_folders(path, rows)
    captions = {} if name == "text" else captions_of(rows, files)
    what = MEDIA.get(name, "texts")
    left_out(files, {*rows, *captions.values()}, f"not {what}", documents=name == "text")
    labels = _labels(path, groups, what)
    if captions and (without := [file for file in rows if file not in captions]):
        count = f"{len(without):,} of {len(rows):,} {what}"
        remark(f"no text lies beside {count}, such as {printable(without[0])}")
    classes = sorted({label for label in labels.values() if label is not None})
    if odd := [file for file in rows if printable(file) != str(file)]:
        remark(f"file names that are not UTF-8 are shown with \\x: {len(odd):,}, such as {printable(odd[0])}")
    tables: dict[str, Table] = {}
    for split, group in groups.items():
        columns = {name: COLUMNS[name]}
        arrays: dict[str, list] = {name: [_content(file, name) for file in group]}
        if classes:
            columns["label"] = Column("label", "class", tuple(classes))
            number_of: dict[str | None, int] = {label: number for number, label in enumerate(classes)}
            arrays["label"] = [number_of.get(labels[file]) for file in group]
        if captions:
            columns["text"] = Column("text", "string")
            arrays["text"] = [caption(captions.get(file)) for file in group]
        tables[split or "all"] = ArrayTable(split or path.name, columns, arrays, [printable(file) for file in group])
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def _content(file: Path, column: str) -> dict | Path:
    return file if column == "text" else {"path": str(file), "bytes": None}


def _labels(path: Path, groups: dict[str, list[Path]], what: str) -> dict[Path, str | None]:
    """File → the name of its folder, None for all if there are not two such names, and for what lies in no folder.

    Raises:
        SourceError: a folder whose name is not UTF-8.
    """
    folders = {file: file.relative_to(path / split).parent for split, rows in groups.items() for file in rows}
    found = {folder.name for folder in folders.values() if folder.name}
    if odd := next((name for name in sorted(found) if printable(name) != name), None):
        raise SourceError(f"the folder name {printable(odd)} is not UTF-8, and names a class", "rename the folder")
    spellings = merged(found)
    if len(spellings) < 2:
        return dict.fromkeys(folders)
    for label, names in spellings.items():
        places = sorted({folder.as_posix() for folder in folders.values() if folder.name in names})
        if len(places) > 1:
            shown = ", ".join(map(repr if len(names) == 1 else ascii, places[:4])) + ", …" * (len(places) > 4)
            remark(f"folders of one name are one label, {label!r}: {shown}")
    label_of = {name: label for label, names in spellings.items() for name in names}
    labels = {file: label_of.get(folder.name) for file, folder in folders.items()}
    if stray := [file for file, label in labels.items() if label is None]:
        count = f"{len(stray):,} of {len(labels):,} {what}"
        remark(f"no label for {count}, which lie beside the folders of the others: such as {printable(stray[0])}")
    return labels
