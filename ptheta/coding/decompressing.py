"""From one compressed file back to files; nothing is written before all of it is verified."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptheta.coding import names, parts
from ptheta.coding.blocks import Values, decode
from ptheta.coding.compressing import chained, codable, identity
from ptheta.coding.container import (
    FETCH,
    RECOVER,
    FileBytes,
    Limits,
    check_end,
    next_block,
    read_block,
    read_header,
)
from ptheta.coding.errors import CodingError
from ptheta.coding.plan import Cut, Events, Side, Stretches, checked, counted, plan
from ptheta.coding.probe import differences, environment, probe
from ptheta.coding.report import Restored
from ptheta.coding.walking import computing
from ptheta.data.codecs import Codec, TextCodec
from ptheta.errors import UsageError
from ptheta.files import claim, replacing_folder
from ptheta.foreign import guarded
from ptheta.listing import entries, unreadable
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.runs import Run

KINDS = (parts.STORED, parts.TEXT, parts.PICTURE, parts.ARRAY, parts.TABLE)


def decompress(
    run: Run | str | Path,
    file: str | Path,
    directory: str | Path,
    *,
    recover: bool = False,
    limits: Limits = Limits(),  # noqa: B008
    advance: Callable[[int, int], None] | None = None,
) -> Restored:
    """Give back the files of a compressed file, exactly.

    Args:
        run: with which it was made.
        file: from `compress`.
        directory: to write to; must be new or empty.
        recover: of a damaged file, write what is intact and name what is not.
        limits: on what the file may claim.
        advance: is called with how many more values were decoded, and how many there are.

    Raises:
        CodingError: the file is damaged, of another model, or the model computes otherwise here; nothing is written.
        UsageError: the directory is taken or cannot be written.
    """
    clock = time.perf_counter()
    run = run if isinstance(run, Run) else Run.load(run)
    model, file, directory = codable(run), Path(file), Path(directory)
    _free(directory)
    try:
        data = FileBytes(file)
    except OSError as error:
        raise unreadable(file, error) from None
    with data, guarded(file, FETCH, error=CodingError, problem="{origin} cannot be decompressed"):
        header, offset = read_header(data, str(file), limits)
        _check_model(header, file.name, run)
        archive = Archive(header, file.name, model, limits)
        restored = Restored(directory, blocks=len(archive.blocks))
        with computing(model, archive.threads):
            archive.check_probe()
            try:
                found = archive.read(data, offset, recover, advance)
            except CodingError as error:
                raise CodingError(f"{file}: {error.problem}{archive.elsewhere(error)}", error.remedy) from None
            except MemoryError:
                raise CodingError(
                    f"{file} claims more than memory holds", f"decompress it on a larger machine, or {FETCH}"
                ) from None
        restored.damaged_blocks = sorted(archive.lost)
        with claim(directory):
            _free(directory)
            with replacing_folder(directory) as temporary:
                digests = archive.write(found, run, temporary, restored, recover)
                if not restored.damaged and chained(digests) != header.get("sha256"):
                    raise CodingError(
                        f"the files of {file} are not those that were compressed", "use the ptheta version that made it"
                    )
    restored.seconds = time.perf_counter() - clock
    return restored


def _check_model(header: Any, name: str, run: Run) -> None:
    """The run must be the one the file was made with; checked first, since all else depends on it.

    Raises:
        CodingError: it is another one.
    """
    family, made = str(header["model"]["family"]), str(header["model"]["sha256"])
    if made != (here := identity(run)):
        raise CodingError(
            f"{name} was compressed with another model: {family} with hash {made[:12]}…, and "
            f"this {run.name} has {here[:12]}…",
            "give the run it was made with",
        )


class Archive:
    """A header that makes sense, and the blocks it plans.

    Args:
        header: as it was read.
        name: of the file, for errors.
        model: of the run.
        limits: on what the header may claim.

    Raises:
        CodingError: it claims more than the limits, or contradicts itself.
    """

    def __init__(self, header: Any, name: str, model: Autoregressive, limits: Limits):
        self.header, self.name, self.model = header, name, model
        self.lost: dict[int, Side | Events | Stretches] = {}
        with guarded(f"the header of {name}", FETCH, error=CodingError, problem="{origin} is invalid"):
            self._read(limits)

    def _read(self, limits: Limits) -> None:
        header, m = self.header, self.model.space.dimensions
        directory = header["files"]
        columns = [directory[key] for key in ("name", "kind", "count", "side", "how", "sha256")]
        if any(not isinstance(column, list) or len(column) != len(columns[0]) for column in columns):
            raise ValueError("columns of different lengths")
        listed, self.kinds, self.counts, self.sides, self.how, self.digests = columns
        numbers = [*self.counts, *self.sides, header["labels"], header["blocks"]]
        if any(type(k) is not int or k < 0 for k in numbers) or any(kind not in KINDS for kind in self.kinds):
            raise ValueError("a number is negative, or a kind unknown")
        self.events = sum(n for kind, n in zip(self.kinds, self.counts) if kind not in (parts.TEXT, parts.STORED))
        texts = [n for kind, n in zip(self.kinds, self.counts) if kind == parts.TEXT]
        side, values = sum(self.sides) + 4 * header["labels"], self.events * m + sum(texts)
        if len(listed) > limits.files or max(side, values) > limits.bytes:
            raise CodingError(
                f"{self.name} claims {len(listed):,} files, {side:,} bytes and {values:,} values",
                f"at most {limits.files:,} files and {limits.bytes:,} of the others are read, see Limits",
            )
        self.names = names.check(listed, self.name)
        self.cut: Cut = checked(header["cut"], m, limits)
        self.side, self.texts = side, texts
        units = self.events + len(texts) if self.model.context_space is not None else 0
        blocks, lanes = counted(side, self.events, texts, self.cut)
        if header["labels"] != units or header["blocks"] != blocks:
            raise ValueError("the numbers of labels or of blocks do not fit the files")
        if max(blocks, lanes) > limits.blocks:
            raise CodingError(
                f"{self.name} claims {blocks:,} blocks and {lanes:,} lanes",
                f"at most {limits.blocks:,} are read, see Limits",
            )
        self.blocks = list(plan(side, self.events, m, texts, self.cut))
        self.there = {str(key): str(value) for key, value in header["environment"].items()}
        self.threads = int(self.there["threads"])
        if not 1 <= self.threads <= 4096:
            raise ValueError("a number of threads")

    def check_probe(self) -> None:
        """The model must compute here what it computed there."""
        if probe(self.model) != self.header.get("probe"):
            raise CodingError(
                f"the model computes different probabilities here than where {self.name} was made: "
                f"{differences(self.there, environment(self.model, self.threads))}",
                "decompress it in the environment it was made in",
            )

    def elsewhere(self, error: CodingError) -> str:
        """What differs between the environments, if that can be the reason."""
        if "computes" not in error.problem:
            return ""
        return f": {differences(self.there, environment(self.model, self.threads))}"

    def read(self, data: FileBytes, offset: int, recover: bool, advance: Callable[[int, int], None] | None) -> Values:
        """The values of all blocks; those of lost ones are 0.

        Raises:
            CodingError: a block is damaged or decodes otherwise, and recovery was not asked for.
        """
        values = Values(self.model, self.texts)
        if recover:
            places = dict(_whole_blocks(data, offset, len(self.blocks)))
        else:
            places = {}
            for number in range(len(self.blocks)):
                places[number] = offset
                _, offset = read_block(data, offset, number)
            check_end(data, offset, len(self.blocks))
        labels = self.header["labels"]
        unlabelled = self.side - 4 * labels
        total = sum(cut.count for cut in self.blocks)
        for number, cut in enumerate(self.blocks):
            if labels and not isinstance(cut, Side) and values.event_labels is None:
                if any(isinstance(lost, Side) and lost.stop > unlabelled for lost in self.lost.values()):
                    raise CodingError("the labels are damaged, without which nothing can be decoded", FETCH)
                rows = np.frombuffer(values.side.read(unlabelled, self.side).tobytes(), "<u4").astype(np.int64)
                rows = torch.from_numpy(rows)
                values.event_labels, values.text_labels = rows[: self.events], rows[self.events :]
            try:
                if number not in places:
                    raise CodingError(f"block {number} is damaged", RECOVER)
                values.put(cut, decode(read_block(data, places[number], number)[0], cut, values, self.model))
            except CodingError:
                if not recover:
                    raise
                self.lost[number] = cut
            if advance is not None:
                advance(cut.count, total)
        return values

    def write(self, values: Values, run: Run, folder: Path, restored: Restored, recover: bool) -> list[str]:
        """Write all files, each verified, and note in `restored` what was written; returns their digests.

        Raises:
            CodingError: a file is damaged, and recovery was not asked for.
        """
        digests = []
        for i, name in enumerate(self.names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                digest, size = _write(path, self._content(i, values, run), flush=len(self.names) < 100)
                if digest != self.digests[i] and self.kinds[i] != parts.PICTURE:
                    raise CodingError(
                        f"{name} is not the file that was compressed", "use the ptheta version that made it"
                    )
            except CodingError:
                path.unlink(missing_ok=True)
                if not recover:
                    raise
                restored.damaged.append(name)
                for part, content in self.intact(i, values, run):
                    restored.bytes += _write(folder / part, iter([(content, None)]), flush=False)[1]
                    restored.parts.append(part)
                continue
            digests.append(digest)
            restored.files.append(name)
            restored.bytes += size
        for path in sorted(folder.rglob("*"), reverse=True):  # of damaged files nothing may be left
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        return digests

    def _content(self, i: int, values: Values, run: Run) -> Iterator[tuple[bytes, str | None]]:
        """File number i in pieces, each with the digest of what comes back where that is not its bytes.

        Raises:
            CodingError: a block of it is lost, or its values make no such file.
        """
        side, rows, text = self._places(i)
        if any(_touches(lost, side, rows, text) for lost in self.lost.values()):
            raise CodingError(f"{self.names[i]} is damaged", RECOVER)
        if self.kinds[i] == parts.STORED:
            for start in range(side.start, side.stop, parts.PIECE):
                yield values.side.read(start, min(start + parts.PIECE, side.stop)).tobytes(), None
        elif self.kinds[i] == parts.TEXT:
            for start in range(0, self.counts[i], parts.PIECE):
                tokens = values.text(text, start, min(start + parts.PIECE, self.counts[i]))
                yield _text(run.codec, tokens), None
        else:
            z = torch.from_numpy(values.events.read(rows.start, rows.stop)).to(self.model.event_dtype)
            x = self.model.unflatten(z.to(self.model.device)).cpu().numpy().astype(run.codec.dtype)
            beside = values.side.read(side.start, side.stop).tobytes()
            yield parts.restore(self.kinds[i], run.codec, x, beside, self.how[i] or {})

    def intact(self, i: int, values: Values, run: Run) -> Iterator[tuple[str, bytes]]:
        """What is left of a damaged text or stored file: its verified stretches, named by where they begin."""
        side, _, text = self._places(i)
        if self.kinds[i] == parts.TEXT:
            total = self.counts[i]
            holes = [
                (start, stop)
                for lost in self.lost.values()
                if isinstance(lost, Stretches)
                for of, start, stop in lost.lanes
                if of == text
            ]
        elif self.kinds[i] == parts.STORED:
            total = side.stop - side.start
            lost = [lost for lost in self.lost.values() if isinstance(lost, Side)]
            holes = [(max(hole.start - side.start, 0), hole.stop - side.start) for hole in lost]
        else:
            return
        at = 0
        for start, stop in [*sorted(hole for hole in holes if hole[1] > 0), (total, total)]:
            if at < min(start, total):
                whole = slice(at, min(start, total))
                if self.kinds[i] == parts.TEXT:
                    content = _text(run.codec, values.text(text, whole.start, whole.stop))
                else:
                    content = values.side.read(side.start + whole.start, side.start + whole.stop).tobytes()
                yield f"{self.names[i]}.intact-{whole.start:012}-{whole.stop:012}", content
            at = max(at, stop)

    def _places(self, i: int) -> tuple[range, range, int]:
        """Where file i has its side data, its events, and which text it is."""
        if not hasattr(self, "_starts"):
            side = np.concatenate([[0], np.cumsum(self.sides)]).astype(int)
            of_events = [n if kind not in (parts.TEXT, parts.STORED) else 0 for kind, n in zip(self.kinds, self.counts)]
            rows = np.concatenate([[0], np.cumsum(of_events)]).astype(int)
            texts = np.concatenate([[0], np.cumsum([kind == parts.TEXT for kind in self.kinds])]).astype(int)
            self._starts = side, rows, texts
        side, rows, texts = self._starts
        text = int(texts[i]) if self.kinds[i] == parts.TEXT else -1
        return range(side[i], side[i + 1]), range(rows[i], rows[i + 1]), text


def _text(codec: Codec, tokens: np.ndarray) -> bytes:
    assert isinstance(codec, TextCodec)
    return codec.to_bytes(tokens[None])[0]


def _touches(lost: Side | Events | Stretches, side: range, rows: range, text: int) -> bool:
    """Whether a lost block held a part of a file."""
    if isinstance(lost, Side):
        return lost.start < side.stop and side.start < lost.stop
    if isinstance(lost, Events):
        return lost.start < rows.stop and rows.start < lost.stop
    return any(of == text for of, _, _ in lost.lanes)


def _whole_blocks(data: FileBytes, offset: int, blocks: int) -> Iterator[tuple[int, int]]:
    """Number and place of every block that is intact, wherever it lies."""
    number = 0
    while number < blocks:
        found = next_block(data, offset, number)
        if found is None:
            return
        number, offset = found
        with contextlib.suppress(CodingError):
            read_block(data, offset, number)
            yield number, offset
        number, offset = number + 1, offset + 1


def _free(directory: Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        UsageError: it is not.
    """
    if directory.exists() and (not directory.is_dir() or entries(directory)):
        raise UsageError(f"{directory} exists", "choose another --out")


def _write(path: Path, pieces: Iterator[tuple[bytes, str | None]], *, flush: bool) -> tuple[str, int]:
    """Write a file in pieces; returns its digest, that of its bytes unless a piece brings another, and its size."""
    sha, size, other = hashlib.sha256(), 0, None
    with path.open("xb") as file:
        for content, digest in pieces:
            other = digest
            file.write(content)
            sha.update(content)
            size += len(content)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    return other or sha.hexdigest(), size
