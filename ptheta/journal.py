"""metrics.jsonl of a run folder: one JSON object a line, each with a hash of itself."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta.errors import RunError
from ptheta.files import write_bytes

_HASHED = re.compile(rb'(\{.*?)(?:, )?"sha256": "([0-9a-f]{16})"\}', re.DOTALL)


class Journal:
    """Records of a fit, in memory and in a file.

    Args:
        path: of the file.
        hashed: whether every line has a hash, as those of older runs have not.
        held: keep records in memory until `release`, and leave the file alone.
    """

    def __init__(self, path: Path, *, hashed: bool = True, held: bool = False):
        self.path, self.hashed = path, hashed
        self._held = held
        self._lines: list[bytes] | None = [] if held else None  # those of the file, once something was added

    def records(self) -> tuple[list[dict[str, Any]], int]:
        """All whole records, and how many damaged lines there are beside them."""
        lines = self._lines if self._held and self._lines is not None else self._on_disk()
        found = [_record(line, self.hashed) for line in lines]
        return [record for record in found if record is not None], found.count(None)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record; a file that was removed in the meantime is written again.

        Raises:
            RunError: the file cannot be written.
        """
        line = _line(record)
        if self._held:
            assert self._lines is not None
            self._lines.append(line)
            return
        if self._lines is None:
            self._lines = self._on_disk()
        self._lines.append(line)
        if not self.path.exists():
            self.restore(self.path.parent)
            return
        try:
            with self.path.open("ab+") as file:
                file.seek(max(0, file.tell() - 1))
                torn = file.read(1) not in (b"", b"\n")
                file.write(b"\n" * torn + line + b"\n")
        except OSError as error:
            raise RunError(
                f"cannot write {self.path}: {error.strerror}", "free disk space, then use --resume"
            ) from error

    def rewind(self, step: int) -> None:
        """Forget what a fit that resumes from a step had recorded of later steps, and what is damaged."""
        kept = []
        for line in self._on_disk():
            record = _record(line, self.hashed)
            if record is not None and record.get("step", 0) <= step:
                kept.append(line)
        self._lines = kept
        if self.path.exists():
            self.restore(self.path.parent)

    def restore(self, folder: Path) -> None:
        """Write all records to the file of the same name in a folder."""
        lines = self._on_disk() if self._lines is None else self._lines
        write_bytes(folder / self.path.name, b"".join(line + b"\n" for line in lines))

    def release(self) -> None:
        """From now on the file is where `restore` has put the records."""
        self._held = False

    def _on_disk(self) -> list[bytes]:
        if not self.path.is_file() or self.path.is_symlink():
            return []
        return [line for line in self.path.read_bytes().split(b"\n") if line.strip()]


def _line(record: Mapping[str, Any]) -> bytes:
    """A record as JSON, with the first 16 digits of the SHA-256 of what it is without them.

    >>> _line({"step": 1})
    b'{"step": 1, "sha256": "66acd07fcea20439"}'
    """
    body = json.dumps(_finite(record)).encode()
    comma = b", " if record else b""
    return body[:-1] + comma + b'"sha256": "' + _digest(body) + b'"}'


def _record(line: bytes, hashed: bool) -> dict[str, Any] | None:
    """The record of a line; None if it is damaged."""
    match = _HASHED.fullmatch(line)
    if match is not None and _digest(match[1] + b"}") != match[2]:
        return None
    if match is None and hashed:
        return None
    try:
        record = json.loads(line if match is None else match[1] + b"}")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def _finite(record: Any) -> Any:
    """A record with None for what JSON lacks: infinities."""
    if isinstance(record, Mapping):
        return {k: _finite(v) for k, v in record.items()}
    return None if isinstance(record, float) and not math.isfinite(record) else record
