"""Archives and compressed files: unpacked into a temporary folder, within limits, and opened as what they hold."""

from __future__ import annotations

import contextlib
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ptheta.data.sources.files import OPENERS, is_idx, open_file
from ptheta.data.sources.folders import open_folder
from ptheta.data.sources.left_out import is_documentation
from ptheta.data.sources.splits import PUBLISHED
from ptheta.data.sources.tables import ArrayTable, Source, Table
from ptheta.errors import SourceError
from ptheta.listing import entries, files_below, is_file, is_folder, unpacked_to
from ptheta.remarks import collecting, remark

STREAMS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
"""Suffix of a compressed file → how it is compressed."""

SHORT = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}
"""Short names of compressed archives."""

ALWAYS = 2**28
"""Bytes up to which an archive is unpacked however small it is."""

RATIO = 200
"""Beyond, it may hold this many bytes for each of its own: more is a trap."""

MOST = 2**36
"""Bytes that are unpacked at most."""

MEMBERS = 2_000_000
"""Files of an archive, at most."""

PIECE = 2**20
"""Bytes copied at once."""

_unpacked: dict[tuple[str, int, int], tempfile.TemporaryDirectory] = {}
"""Path, time and size of an archive → where its content lies until the process ends."""


def is_packed(path: Path) -> bool:
    """Whether a file is an archive, or a compressed file of a kind whose reader does not unpack it itself.

    >>> [is_packed(Path(name)) for name in ("a.zip", "a.TGZ", "a.txt.zst", "a.csv.gz", "a-idx1-ubyte.gz", "a.npz")]
    [True, True, True, False, False, False]
    """
    name = _name(path).lower()
    if is_idx(path) or name.endswith((".csv.gz", ".tsv.gz")):
        return False
    return name.endswith((".zip", ".tar", *STREAMS))


def packed_alone(folder: Path) -> Path | None:
    """The archive or compressed file that is all that a folder holds, beside documentation; None if that is not so."""
    held = [one for one in entries(folder) if not one.name.startswith((".", "__MACOSX")) and not is_documentation(one)]
    return held[0] if len(held) == 1 and is_file(held[0]) and is_packed(held[0]) else None


def open_packed(path: Path) -> Source:
    """Open an archive as the folder or the file that it holds; a compressed file as what it is.

    Raises:
        SourceError: damaged, larger than the limits, or with links or names that lead out of it; or as `open_folder`.
    """
    folder = _content(path)
    with collecting() as found, _named_after(path, folder):
        inside = folder
        while len(below := entries(inside)) == 1 and is_folder(below[0]) and below[0].name.lower() not in PUBLISHED:
            inside = below[0]
        files = files_below(inside, hidden=False)
        source = open_file(files[0]) if len(files) == 1 else open_folder(inside)
    for text in found:
        remark(_renamed(text, folder, path))
    tables = {split: _shown(table, folder, path) for split, table in source.tables.items()}
    return replace(source, name=path.name.split(".")[0], origin=str(path), tables=tables)


@contextlib.contextmanager
def _named_after(path: Path, folder: Path) -> Iterator[None]:
    """Errors name the archive, and not where it was unpacked."""
    try:
        yield
    except SourceError as error:
        raise SourceError(_renamed(error.problem, folder, path), error.remedy) from error


def _renamed(text: str, folder: Path, path: Path) -> str:
    return text.replace(str(folder), str(path))


def _shown(table: Table, folder: Path, path: Path) -> Table:
    if not isinstance(table, ArrayTable) or table.places is None:
        return table
    return replace(table, places=[_renamed(place, folder, path) for place in table.places])


def _name(path: Path) -> str:
    """The name with a long suffix."""
    return path.name.removesuffix(path.suffix) + SHORT.get(path.suffix.lower(), path.suffix)


def _content(path: Path) -> Path:
    """The folder with what a file holds; unpacked once in a process."""
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size)
    if key not in _unpacked:
        made = tempfile.TemporaryDirectory(prefix="ptheta-unpacked-")
        unpacked_to(Path(made.name))
        try:
            _unpack(path, Path(made.name))
        except OSError as error:
            made.cleanup()
            if path.exists() and error.errno is not None:  # of the temporary folder, such as a full disk
                remedy = "unpack it yourself, and give the folder"
                raise SourceError(f"{path} cannot be unpacked: {error.strerror}", remedy) from error
            raise
        except BaseException:
            made.cleanup()
            raise
        _unpacked[key] = made
    return Path(_unpacked[key].name)


class _Room:
    """Counts what is unpacked of an archive, and stops before there is too much.

    Args:
        path: of the archive.
        folder: to unpack into.
    """

    def __init__(self, path: Path, folder: Path):
        self.path, self.folder = path, folder
        free = shutil.disk_usage(folder).free // 10 * 9
        self.most = min(max(ALWAYS, RATIO * path.stat().st_size), MOST, free)
        self.bytes = self.files = 0

    def target(self, name: str) -> Path:
        """Where a member goes.

        Raises:
            SourceError: its name leads out of the folder, or it is one too many.
        """
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise self._refused(f"holds the file name {name!r}, which leads out of it")
        self.files += 1
        if self.files > MEMBERS:
            raise self._refused(f"holds more than {MEMBERS:,} files")
        target = self.folder.joinpath(*parts)
        if target.exists():
            raise self._refused(f"holds {name!r} twice")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def copy(self, source: IO[bytes], target: Path) -> None:
        """Write a member piece by piece.

        Raises:
            SourceError: all of them are more than the archive may hold.
        """
        with target.open("wb") as file:
            while piece := source.read(PIECE):
                self.claim(len(piece))
                file.write(piece)

    def claim(self, size: int) -> None:
        """Take room for some bytes."""
        self.bytes += size
        if self.bytes > self.most:
            raise self._refused(f"holds more than {self.most:,} bytes")

    def link(self, name: str) -> SourceError:
        """The error about a member that is no file."""
        return self._refused(f"holds {name!r}, which is a link or a device")

    def _refused(self, what: str) -> SourceError:
        return SourceError(f"{self.path} {what}", "unpack what you need, and give the folder")


def _unpack(path: Path, folder: Path) -> None:
    name, room = _name(path), _Room(path, folder)
    if name.lower().endswith(".zip"):
        _unpack_zip(path, room)
    elif Path(name).suffix.lower() == ".tar":
        with path.open("rb") as file:  # one cut between two members would pass for a shorter one
            file.seek(-min(2 * tarfile.BLOCKSIZE, path.stat().st_size), 2)
            if file.read().count(0) < 2 * tarfile.BLOCKSIZE:
                raise SourceError(f"{path} has no end", "fetch it again")
        with tarfile.open(path, "r|") as archive:
            _unpack_tar(archive, room)
    elif name.lower().endswith(tuple(f".tar{suffix}" for suffix in STREAMS)):
        with _stream(path, name) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            _unpack_tar(archive, room)
    else:
        inner = name.removesuffix(Path(name).suffix)
        if Path(inner).suffix.lower() not in OPENERS:
            raise SourceError(f"{path} is of an unknown kind", f"known are {', '.join(OPENERS)}, and these compressed")
        with _stream(path, name) as stream:
            room.copy(stream, room.target(inner))


def _stream(path: Path, name: str) -> Any:
    """A compressed file's content, to be read."""
    import pyarrow as pa

    how = STREAMS[Path(name).suffix.lower()]
    return lzma.open(path) if how == "xz" else pa.CompressedInputStream(pa.OSFile(str(path)), how)


def _unpack_zip(path: Path, room: _Room) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        claimed = _Room(room.path, room.folder)
        for member in members:
            claimed.claim(member.file_size)
        for member in members:
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise room.link(member.filename)
            with archive.open(member) as source:
                room.copy(source, room.target(member.filename))


def _unpack_tar(archive: tarfile.TarFile, room: _Room) -> None:
    for member in archive:
        if member.isdir():
            continue
        source = archive.extractfile(member) if member.isreg() else None
        if source is None:
            raise room.link(member.name)
        room.copy(source, room.target(member.name.removeprefix("./")))
