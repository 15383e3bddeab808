"""Single files as sources. Headers are checked against the size of the file before anything is allocated."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from ptheta.data.formats import CAPTIONS, PACKED, PICTURES, SOUNDS, TEXTS
from ptheta.data.sources.arrow_files import arrow_file
from ptheta.data.sources.captions import caption, captions_of
from ptheta.data.sources.delimited import text_table
from ptheta.data.sources.json_tables import json_table
from ptheta.data.sources.memory import arrays_table
from ptheta.data.sources.signatures import check_format, head_of, not_read
from ptheta.data.sources.tables import ArrayTable, Column, ParquetTable, Source, Table
from ptheta.errors import SourceError
from ptheta.foreign import guarded
from ptheta.listing import exists, is_file

MAX_BYTES = 2**34
"""Most bytes that a compressed file may claim to hold."""

ALWAYS, RATIO = 2**29, 100
"""Bytes that compressed arrays, which are held whole, may claim however small their file is; beyond, for each of its
own."""


def open_file(path: Path) -> Source:
    """Open a file by its suffix.

    Raises:
        SourceError: empty, damaged, or of an unknown kind.
    """
    from ptheta.data.sources.splits import named_splits

    if not is_file(path):
        raise SourceError(f"{path} is not a regular file", "give a file or a folder")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty", "give a file with data")
    name = path.name.lower()
    if is_idx(path):
        return Source(path.stem, str(path), named_splits(idx_tables(path), str(path)))
    suffix = Path(name.removesuffix(".gz")).suffix if name.endswith((".csv.gz", ".tsv.gz")) else path.suffix.lower()
    if suffix == ".ptz":
        what, remedy = PACKED[suffix]
        raise SourceError(f"{path} is {what}, not data", f"{remedy} {path}")
    head = head_of(path)
    if suffix not in OPENERS:
        raise not_read(path, head)
    if suffix == path.suffix.lower():
        check_format(path, head)
    tables = OPENERS[suffix](path)
    tables = tables if isinstance(tables, dict) else {"all": tables}
    return Source(path.name.split(".")[0], str(path), named_splits(tables, str(path)))


def _text(path: Path) -> Table:
    return ArrayTable(path.name, {"text": Column("text", "document")}, {"text": [path]}, [str(path)])


def _picture(path: Path) -> Table:
    return _captioned(path, Column("image", "image"))


def _sound(path: Path) -> Table:
    return _captioned(path, Column("audio", "sound"))


def _captioned(path: Path, column: Column) -> Table:
    """One row: the file, and the text of the same name beside it, as in a folder."""
    columns = {column.name: column}
    arrays: dict[str, list] = {column.name: [{"path": str(path), "bytes": None}]}
    beside = [path.with_suffix(suffix) for suffix in CAPTIONS]
    if text := captions_of([path], [file for file in beside if is_file(file)]).get(path):
        columns["text"] = Column("text", "string")
        arrays["text"] = [caption(text)]
    return ArrayTable(path.name, columns, arrays, [str(path)])


def read_npy(path: Path) -> np.ndarray:
    """The array of an NPY file, mapped into memory.

    Raises:
        SourceError: damaged, longer or shorter than its header says, or holding Python objects.
    """
    with guarded(path, "save it again with numpy.save", problem="{origin} is not a readable NPY file"):
        with path.open("rb") as file:
            shape, dtype = _npy_header(file, str(path))
            _claimed(shape, dtype.itemsize, path.stat().st_size - file.tell(), str(path))
        return np.load(path, mmap_mode="r", allow_pickle=False)


def _npz(path: Path) -> dict[str, Table]:
    from ptheta.data.sources.splits import PUBLISHED

    arrays: dict[str, np.ndarray] = {}
    damaged = guarded(path, "save it again with numpy.savez", problem="{origin} is not a readable NPZ file")
    with damaged, zipfile.ZipFile(path) as archive:
        _affordable(path, sum(member.file_size for member in archive.infolist()))
        for member in archive.infolist():
            where = f"{member.filename} in {path}"
            with archive.open(member) as file:
                shape, dtype = _npy_header(file, where)
                _claimed(shape, dtype.itemsize, member.file_size - file.tell(), where)
                file.seek(0)
                name = member.filename.removesuffix(".npy")
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        split, column = _split_of(name, set(PUBLISHED))
        groups.setdefault(split, {})[column] = array
    if not arrays:
        raise SourceError(f"{path} holds no arrays", "save arrays x and y with numpy.savez")
    return {split: arrays_table(columns, f"{path.name} {split}") for split, columns in groups.items()}


def _affordable(path: Path, claimed: int) -> None:
    """Check how many bytes a compressed file of arrays says that it holds.

    Raises:
        SourceError: more than arrays do, or than is read.
    """
    size = path.stat().st_size
    most = min(MAX_BYTES, max(ALWAYS, RATIO * size))
    if claimed > most:
        raise SourceError(
            f"{path} of {size:,} bytes claims {claimed:,} bytes", f"at most {most:,} are read; save it uncompressed"
        )


def _split_of(name: str, published: set[str]) -> tuple[str, str]:
    """("train", "x") for x_train or train_x; ("all", name) for other names."""
    head, _, tail = name.partition("_")
    if tail in published:
        return tail, head
    if head in published and tail:
        return head, tail
    return "all", name


def _npy_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise SourceError(f"{where} holds Python objects, which are never unpickled", "save plain numbers or strings")
    if len(shape) == 0:
        raise SourceError(f"{where} is a single number", "give one row an event")
    return shape, dtype


def _claimed(shape: tuple[int, ...], itemsize: int, held: int, where: str) -> None:
    claimed = math.prod(shape) * itemsize
    if itemsize == 0 or 0 in shape[1:]:
        raise SourceError(
            f"{where} has rows without values: shape {'×'.join(map(str, shape))}, {itemsize} bytes each",
            "save arrays of numbers or of words that are not empty",
        )
    if claimed != held or min(shape) < 0:
        sides = "×".join(map(str, shape))
        raise SourceError(
            f"{where} claims {sides} values ({claimed:,} bytes) but holds {held:,} bytes", "restore or save it again"
        )


_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether a file is named like an IDX file."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".idx", "-ubyte", ".ubyte")) or "-idx" in name or ".idx" in name


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file, plain or gzipped.

    Raises:
        SourceError: damaged, or longer or shorter than its header says.
    """
    size = path.stat().st_size
    packed = path.suffix == ".gz"
    damaged = guarded(path, "fetch it again", problem="{origin} is damaged")
    with damaged, gzip.open(path) if packed else path.open("rb") as file:
        zero, kind, sides = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind not in _IDX_TYPES or not 1 <= sides <= 8:
            raise SourceError(f"{path} does not begin like an IDX file", "give an IDX file")
        shape = struct.unpack(f">{sides}I", file.read(4 * sides))
        dtype = np.dtype(_IDX_TYPES[kind])
        claimed = math.prod(shape) * dtype.itemsize
        if packed:
            _affordable(path, claimed)
        else:
            _claimed(shape, dtype.itemsize, size - 4 - 4 * sides, str(path))
        data = file.read(claimed)
        _claimed(shape, dtype.itemsize, len(data) + len(file.read(1)), str(path))
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def idx_tables(path: Path) -> dict[str, Table]:
    """Pictures and, where they lie beside them, labels and the other split (train, t10k) of an IDX file."""
    stems = {"train": "train", "t10k": "test", "test": "test"}
    head, _, tail = path.name.partition("-")
    found = {stems[head]: path} if head in stems else {"all": path}
    for other, split in stems.items():
        beside = path.with_name(f"{other}-{tail}")
        if head in stems and split not in found and exists(beside):
            found[split] = beside
    tables: dict[str, Table] = {}
    for split, file in found.items():
        array = read_idx(file)
        columns = {"image" if array.ndim > 1 else "label": array}
        labels = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
        if labels != file and exists(labels) and array.ndim > 1:
            columns["label"] = read_idx(labels)
        tables[split] = arrays_table(columns, file.name)
    if "train" not in tables and len(tables) == 1:
        return {"all": next(iter(tables.values()))}
    return tables


OPENERS: dict[str, Callable[[Path], Table | dict[str, Table]]] = {
    ".csv": text_table,
    ".tsv": text_table,
    ".parquet": lambda path: ParquetTable.of([path], path.name),
    ".pq": lambda path: ParquetTable.of([path], path.name),
    ".json": json_table,
    ".jsonl": json_table,
    ".ndjson": json_table,
    ".npy": lambda path: arrays_table({"x": read_npy(path)}, path.name),
    ".npz": _npz,
    ".arrow": arrow_file,
    ".feather": arrow_file,
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(PICTURES, _picture),
    **dict.fromkeys(SOUNDS, _sound),
}
"""Suffix → function that opens a file."""
