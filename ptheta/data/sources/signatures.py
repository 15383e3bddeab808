"""Files of kinds that are not read are called what they are, by their first bytes or by their suffix, with a remedy."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ptheta.data.formats import ARRAYS, PICTURES, SOUNDS, TABLES, TEXTS
from ptheta.errors import SourceError
from ptheta.listing import unreadable

HEAD = 2**12
"""Bytes of a file that show what it is."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        what: it is, with its article.
        remedy: what helps; {path} is the file's.
        suffixes: that it usually has.
        starts: bytes with which it begins; several may be.
        at: where these bytes are.
        holds: of a zip archive, names in it of which one begins so.
    """

    what: str
    remedy: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...] = ()
    at: int = 0
    holds: tuple[str, ...] = ()


_SHEET = "save the sheet as CSV, or give pandas.read_excel({path!r}) to ptheta.fit in Python"
_TEXT = "save its text as .txt, or its table as CSV"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MEDIA = "name it by what it is"

FORMATS = (
    Format("an Excel workbook", _SHEET, (".xlsx", ".xlsm", ".xlsb"), holds=("xl/",)),
    Format("a Word document", _TEXT, (".docx",), holds=("word/",)),
    Format("a PowerPoint presentation", _TEXT, (".pptx",), holds=("ppt/",)),
    Format("a Numbers spreadsheet", "export it as CSV", (".numbers",), holds=("Index/", "Index.zip")),
    Format("an OpenDocument file", _SHEET, (".ods", ".odt"), holds=("content.xml",)),
    Format("a checkpoint of PyTorch", "save its arrays as .npz", (".pt", ".pth"), holds=("archive/data.pkl",)),
    Format("a zip archive", "name it .zip, or unpack it and give what it holds", (".zip", ".npz"), _ZIP),
    Format(
        "an old Excel workbook or Office document", _SHEET, (".xls", ".doc"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
    ),
    Format("a PDF document", _TEXT, (".pdf",), (b"%PDF-",)),
    Format("an RTF document", _TEXT, (".rtf",), (b"{\\rtf",)),
    Format(
        "an SQLite database",
        "save one of its tables as CSV, or give pandas.read_sql(…) to ptheta.fit in Python",
        (".sqlite", ".sqlite3", ".db"),
        (b"SQLite format 3\0",),
    ),
    Format("a Parquet file", "name it .parquet", (".parquet", ".pq"), (b"PAR1",)),
    Format("an Arrow file", "name it .arrow", (".arrow", ".feather"), (b"ARROW1", b"FEA1")),
    Format("an Avro file", "save it as CSV or Parquet", (".avro",), (b"Obj\x01",)),
    Format("an ORC file", "save it as CSV or Parquet", (".orc",), (b"ORC",)),
    Format("an HDF5 file", "save its arrays as .npz", (".h5", ".hdf5", ".hdf"), (b"\x89HDF\r\n\x1a\n",)),
    Format("a MATLAB file", "save its arrays as .npz, with scipy.io.loadmat", (".mat",), (b"MATLAB 5.0 MAT-file",)),
    Format("an NPY file", "name it .npy", (".npy",), (b"\x93NUMPY",)),
    Format("a Stata file", "give pandas.read_stata({path!r}) to ptheta.fit in Python", (".dta",), (b"<stata_dta>",)),
    Format("an SPSS file", "give pandas.read_spss({path!r}) to ptheta.fit in Python", (".sav",), (b"$FL2", b"$FL3")),
    Format("a SAS file", "give pandas.read_sas({path!r}) to ptheta.fit in Python", (".sas7bdat", ".xpt")),
    Format("a file of R", "save it as CSV with write.csv", (".rds", ".rda", ".rdata"), (b"RDX3\n", b"RDX2\n")),
    Format(
        "a pickle, which may run any program and is never read",
        "save what it holds as CSV, Parquet or .npz",
        (".pkl", ".pickle", ".joblib"),
    ),
    Format("a gzip file", "add .gz to its name, or unpack it", (".gz", ".tgz"), (b"\x1f\x8b\x08",)),
    Format("a bzip2 file", "add .bz2 to its name, or unpack it", (".bz2", ".tbz2"), (b"BZh91AY", b"BZh61AY")),
    Format("an xz file", "add .xz to its name, or unpack it", (".xz", ".txz"), (b"\xfd7zXZ\0",)),
    Format("a zstd file", "add .zst to its name, or unpack it", (".zst", ".tzst"), (b"\x28\xb5\x2f\xfd",)),
    Format("a 7z archive", "unpack it", (".7z",), (b"7z\xbc\xaf\x27\x1c",)),
    Format("a RAR archive", "unpack it", (".rar",), (b"Rar!\x1a\x07",)),
    Format("a tar archive", "name it .tar, or unpack it", (".tar",), (b"ustar",), at=257),
    Format("a picture", _MEDIA, PICTURES, (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")),
    Format("a WAV or WebP file", _MEDIA, (*SOUNDS, *PICTURES), (b"RIFF",)),
    Format("a sound", _MEDIA, SOUNDS, (b"fLaC", b"OggS", b"ID3")),
    Format(
        "a web page",
        "save the table itself as CSV, not the page that shows it; as text it can be learned as .txt",
        (".html", ".htm", *TEXTS),
    ),
    Format("an XML file", "save it as CSV; as text it can be learned as .txt", (".xml", ".svg", *TEXTS)),
)
"""Formats that are told apart, the narrower one first."""

_MARKUP = {b"<!doctype html": "a web page", b"<html": "a web page", b"<?xml": "an XML file"}
"""How a text of markup begins → what it is."""


def head_of(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise unreadable(path, error) from None


def format_of(path: Path, head: bytes) -> Format | None:
    """The format of a file by its first bytes, or else by its suffix; None if neither is known."""
    return _by_content(path, head) or next((one for one in FORMATS if path.suffix.lower() in one.suffixes), None)


def _by_content(path: Path, head: bytes) -> Format | None:
    names: list[str] = []
    if head.startswith(_ZIP):
        with suppress(Exception), zipfile.ZipFile(path) as archive:  # what it holds besides is not asked for
            names = archive.namelist()
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    markup = next((what for start, what in _MARKUP.items() if begin.startswith(start)), None)
    for one in FORMATS:
        if one.holds and any(name.startswith(one.holds) for name in names):
            return one
        if one.starts and head[one.at :].startswith(one.starts):
            return one
        if one.what == markup:
            return one
    return None


def check_format(path: Path, head: bytes) -> None:
    """Check that a file is not of another kind than its suffix says; pictures and sounds are for their readers.

    Raises:
        SourceError: it is; the kind is named.
    """
    suffix = path.suffix.lower()
    if suffix not in (*PICTURES, *SOUNDS) and (found := _by_content(path, head)) and suffix not in found.suffixes:
        raise _error(path, found)


def not_read(path: Path, head: bytes) -> SourceError:
    """The error for a file of a kind that is not read."""
    found = format_of(path, head)
    if found is not None:
        return _error(path, found)
    kinds = {"tables": TABLES, "texts": TEXTS, "pictures": PICTURES, "sounds": SOUNDS, "arrays": ARRAYS}
    known = "; ".join(f"{name} {', '.join(suffixes[:3])} …" for name, suffixes in kinds.items())
    text = "name it .txt if it is text, or .csv if it is a table; " if b"\0" not in head else ""
    return SourceError(f"{path} is of an unknown kind", f"{text}known are {known} and IDX files")


def not_text(path: str | Path, content: bytes) -> SourceError:
    """The error for bytes that are no text."""
    found = _by_content(Path(path), content[:HEAD])
    if found is not None:
        return _error(Path(path), found)
    return SourceError(f"{path} is not text: it contains zero bytes", "save it again, or name its --encoding")


def _error(path: Path, found: Format) -> SourceError:
    return SourceError(f"{path} is {found.what}", found.remedy.format(path=str(path)))
