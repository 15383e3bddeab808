"""Rows as they come from a source: columns with kinds, read in chunks, never all at once.

Sources differ in how they store rows; after this file they do not. A chunk is a dict from column name to a pyarrow
array, a numpy array or a list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.errors import SourceError, closest, nearest
from ptheta.foreign import guarded
from ptheta.numbers import listed

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

CHUNK = 65_536
"""Rows of a chunk of a table; pictures and documents are read `CHUNK_LARGE` at a time."""

CHUNK_LARGE = 1_000

Dtype = str | dict[str, Any] | None
"""The type that a column has in a data frame: one of pandas' own that has a value for missing, such as "Int64"; or a
category, with its `categories` in order, whether it is `ordered`, and the Arrow type of its `index`; None: that of its
Arrow type."""

LARGE = ("image", "sound", "string", "document", "bytes", "array")
"""Kinds of columns whose values can be large."""


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Args:
        name: the column's name.
        kind: image, sound, string, class, bool, int, float, bytes, array, document or other.
        names: the names of the classes, for a column of kind class.
        dtype: of a data frame.
        why: what a column of kind other holds.
    """

    name: str
    kind: str
    names: tuple[str, ...] | None = None
    dtype: Dtype = field(default=None, compare=False)
    why: str = ""


SHOWN = 8
"""Columns that an error names."""


def lacking(where: object, missing: Sequence[str], wanted: Sequence[str], columns: Sequence[str]) -> SourceError:
    """The error for columns that a source lacks: a slip of the pen, or a source of other things.

    Args:
        where: they are missing.
        missing: of those wanted; not empty.
        wanted: all columns that are.
        columns: that are there.
    """
    slip = next((name for name in missing if closest(name, columns)), None)
    if slip is None and len(missing) > 1:
        all_of = "none of the" if len(missing) == len(wanted) else "no"
        problem = f"{where} has {all_of} columns {listed(missing, SHOWN)}"
        return SourceError(problem, f"give a source that has them; its columns are {listed(columns, SHOWN)}")
    name = slip or missing[0]
    return SourceError(f"{where} has no column {name!r}", nearest(name, columns))


@dataclass
class Table(ABC):
    """The rows of one published split.

    Args:
        title: what to call it in errors, such as a file name.
        columns: name → column.
    """

    title: str
    columns: dict[str, Column]

    @property
    def is_text(self) -> bool:
        """Whether cells are spelled in a text, so that numbers have no type of their own."""
        return False

    @property
    def writing(self) -> dict[str, Any]:
        """How a text table is written, where not as usual: see `ptheta.data.codecs.frames.FrameCodec`."""
        return {}

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    def chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """The named columns, a chunk of rows at a time, in order.

        Raises:
            SourceError: a chunk cannot be read, or is not what its file says it is.
        """
        with guarded(self.title):
            yield from self._chunks(names)

    @abstractmethod
    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """As `chunks`; whatever it raises becomes one line."""

    def place(self, row: int) -> str:
        """Where a row is, for an error; rows count from 1."""
        return f"row {row + 1:,} of {self.title}"

    def files_of(self, rows: np.ndarray) -> list[str] | None:
        """The file that each of some rows came from, if rows are files."""
        return None

    def spelled(self, words: Mapping[str, Sequence[str]]) -> Table:
        """The same rows, with columns as they are spelled where a reader of text took them for something else.

        Args:
            words: columns that hold words → values of them that are known.
        """
        return self

    def chunk_rows(self, names: list[str]) -> int:
        """How many rows to read at a time."""
        large = any(self.columns[name].kind in LARGE for name in names)
        return CHUNK_LARGE if large and len(names) <= 2 else CHUNK


@dataclass
class ArrowTable(Table):
    """A `datasets.Dataset`."""

    dataset: datasets.Dataset
    spells: bool = False
    """Whether it comes from a text, such as JSON."""
    parts: Sequence[tuple[str, int]] = ()
    """Files and how many rows each has, in order, if it comes from several."""

    @property
    def is_text(self) -> bool:
        """CSV and JSON are."""
        return self.spells

    @classmethod
    def of(cls, dataset: datasets.Dataset, title: str) -> ArrowTable:
        """A table over a data set."""
        return cls(title, describe(dataset.features.arrow_schema, dataset.features), dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def place(self, row: int) -> str:
        """Row and file."""
        for title, rows in self.parts:
            if row < rows:
                return f"row {row + 1:,} of {title}"
            row -= rows
        return super().place(row)

    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """Chunks of Arrow arrays."""
        formatted = self.dataset.select_columns(names).with_format("arrow")
        for rows in formatted.iter(self.chunk_rows(names)):
            rows.validate(full=True)  # type: ignore[union-attr]  # an offset that a flipped bit made ends the process
            yield {name: rows.column(name).combine_chunks() for name in names}  # type: ignore[union-attr]


@dataclass
class ParquetTable(Table):
    """Parquet files, read in batches; strings arrive as dictionaries of their distinct values."""

    files: list[Path]
    rows: int

    @classmethod
    def of(cls, files: list[Path], title: str, features: Any = None) -> ParquetTable:
        """A table over files of one schema."""
        import pyarrow.parquet as pq

        handles = [pq.ParquetFile(file) for file in files]
        schema = handles[0].schema_arrow
        for file, handle in zip(files, handles):
            _check_claims(file, handle)
            if handle.schema_arrow.names != schema.names:
                raise SourceError(f"{file} has other columns than {files[0]}", "give files of one kind")
        columns = describe(schema, features)
        columns |= {name: replace(columns[name], dtype=dtype) for name, dtype in _categories_of(handles[0]).items()}
        return cls(title, columns, files, sum(h.metadata.num_rows for h in handles))

    def __len__(self) -> int:
        return self.rows

    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """Chunks of Arrow arrays."""
        import pyarrow.parquet as pq

        strings = [name for name in names if self.columns[name].kind == "string"]
        for file in self.files:
            with pq.ParquetFile(
                file, read_dictionary=strings, pre_buffer=False, page_checksum_verification=True
            ) as handle:
                for batch in handle.iter_batches(self.chunk_rows(names), columns=names):
                    batch.validate(full=True)
                    yield {name: batch.column(name) for name in names}


def _categories_of(handle: Any) -> dict[str, Dtype]:
    """The columns of a Parquet file that are declared categories, as pandas writes them."""
    import pyarrow as pa

    declared = [field.name for field in handle.schema_arrow if pa.types.is_dictionary(field.type)]
    batch = next(handle.iter_batches(1, columns=declared), None) if declared else None
    if batch is None:
        return {}
    batch.validate(full=True)
    arrays = {name: batch.column(name) for name in declared}
    return {
        name: {
            "categories": array.dictionary.to_pylist(),
            "ordered": array.type.ordered,
            "index": str(array.type.index_type),
        }
        for name, array in arrays.items()
    }


def _check_claims(file: Path, handle: Any) -> None:
    """What a Parquet file says that it unpacks to, against its size; raises as `check_claimed`."""
    about = handle.metadata
    packed = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    claimed = max(packed, 8 * about.num_rows * about.num_columns)
    check_claimed(file, claimed, f"{about.num_rows:,} rows, ")


def check_claimed(file: Path, claimed: int, what: str = "") -> None:
    """Check how many bytes a file says that it unpacks to.

    Args:
        file: of a compressed form.
        claimed: bytes.
        what: else it claims, for the error.

    Raises:
        SourceError: far more than tables do.
    """
    size = file.stat().st_size
    most = max(PACKED_LEAST, PACKED_MOST * size)
    if claimed > most:
        raise SourceError(
            f"{file} of {size:,} bytes claims {what}{claimed:,} bytes or more",
            f"at most {most:,} are read, {PACKED_MOST} times its size; save it as several files, or as CSV",
        )


PACKED_MOST, PACKED_LEAST = 500, 2**29
"""A file of Parquet or Arrow may hold this many bytes for each of its own, eight a cell of Parquet at least; the second
number always."""


@dataclass
class ArrayTable(Table):
    """Numpy arrays or lists with one row an event."""

    arrays: dict[str, Any]
    places: list[str] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """Chunks of the arrays."""
        step = self.chunk_rows(names)
        for start in range(0, len(self), step):
            yield {name: self.arrays[name][start : start + step] for name in names}

    def place(self, row: int) -> str:
        """The file a row came from, if rows are files."""
        return self.places[row] if self.places else super().place(row)

    def files_of(self, rows: np.ndarray) -> list[str] | None:
        """Their places."""
        return [self.places[row] for row in rows] if self.places else None


@dataclass
class Source:
    """An opened source.

    Args:
        name: short, for titles and folder names.
        origin: where it came from.
        tables: published split (train, validation, test; or "all" if undivided) → rows.
        white: the value that stands for white in arrays of pictures; None: not known.
        fixed: published split "all" → how many rows go to train, validation and test by a permutation of seed 0.
        seen: column → what was seen of its values, so that they are looked at once.
    """

    name: str
    origin: str
    tables: dict[str, Table]
    white: int | None = None
    fixed: tuple[int, int, int] | None = None
    notes: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def columns(self) -> dict[str, Column]:
        """Columns of the first table; all tables have the same."""
        return next(iter(self.tables.values())).columns

    def spelled(self, words: Mapping[str, Sequence[str]]) -> Source:
        """The same source, its tables spelled."""
        return replace(self, tables={split: table.spelled(words) for split, table in self.tables.items()})


def describe(schema: pa.Schema, features: Any = None) -> dict[str, Column]:
    """Columns of an Arrow schema, with what the features of `datasets` say beyond it."""
    if features is None and b"huggingface" in (schema.metadata or {}):
        import datasets

        features = datasets.Features.from_arrow_schema(schema)
    return {f.name: _column(f, (features or {}).get(f.name)) for f in schema}


_BY_FEATURE = {"Image": "image", "Audio": "sound", "Video": "other"}


def _column(field: pa.Field, feature: Any) -> Column:
    import pyarrow.types as t

    if (kind := _BY_FEATURE.get(type(feature).__name__)) is not None:
        return Column(field.name, kind)
    if type(feature).__name__ == "ClassLabel":
        return Column(field.name, "class", tuple(feature.names))
    kind = field.type
    if t.is_dictionary(kind):
        kind = kind.value_type
    if t.is_struct(kind) and {kind.field(i).name for i in range(kind.num_fields)} == {"bytes", "path"}:
        return Column(field.name, "image")
    tests = {
        "bool": t.is_boolean(kind),
        "int": t.is_integer(kind),
        "float": t.is_floating(kind) or t.is_decimal(kind),
        "string": t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind),
        "bytes": t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind),
        "array": _is_list_of_numbers(kind),
    }
    found = next((name for name, yes in tests.items() if yes), "other")
    return Column(field.name, found, why=str(kind) if found == "other" else "")


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    import pyarrow as pa
    import pyarrow.types as t

    if isinstance(kind, pa.ExtensionType):
        kind = kind.storage_type
    depth = 0
    while t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth > 0 and (t.is_integer(kind) or t.is_floating(kind))
