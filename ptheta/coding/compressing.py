"""From files to one compressed file, verified block by block before it gets its name."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ptheta.coding import names, parts
from ptheta.coding.blocks import Encoded, Values, decode, encode, stored
from ptheta.coding.container import BLOCK_OVERHEAD, CODED, Block, Limits, pack_end, pack_header, read_block
from ptheta.coding.errors import CodingError
from ptheta.coding.parts import Part
from ptheta.coding.plan import Cut, Events, Side, Stretches, checked, plan
from ptheta.coding.probe import environment, probe
from ptheta.coding.report import Report
from ptheta.coding.walking import computing, reads_on
from ptheta.data.codecs.text import TextCodec
from ptheta.errors import ContextError, DensityError, UsageError
from ptheta.files import claim, replacing
from ptheta.models import Density
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.runs import Run
from ptheta.spaces import Label, Real
from ptheta.weights import digest


def compress(
    run: Run | str | Path,
    files: Iterable[str | Path],
    out: str | Path,
    *,
    context: Sequence[str] | None = None,
    lanes: int | None = None,
    stretch: int | None = None,
    threads: int = 1,
    force: bool = False,
    advance: Callable[[int, int], None] | None = None,
) -> Report:
    """Compress files with a run's model, losslessly.

    Args:
        run: fitted on such data; a file the model cannot give back exactly is stored.
        files: files and folders.
        out: the compressed file.
        context: labels, for a model that has a context: one for all, or one for every event and every text. If left
            out, they come from the context column of a table, or from the names of the folders that hold the files.
        lanes: events or stretches of text that are walked side by side in one block.
        stretch: tokens of a text in one lane, at most.
        threads: the model computes with, here and when it is decompressed.
        force: replace `out`.
        advance: is called with how many more values were coded, and how many there are.

    Raises:
        SourceError: a file that is missing, or a link.
        UsageError: the output exists or cannot be written, or the model's events are real numbers.
        ContextError: labels are missing.
    """
    clock = time.perf_counter()
    run = run if isinstance(run, Run) else Run.load(run)
    model, out = codable(run), Path(out)
    for name, k in (("lanes", lanes), ("stretch", stretch), ("threads", threads)):
        if k is not None and k < 1:
            raise UsageError(f"{name} is {k}", "give at least 1")
    with claim(out):
        if out.exists() and (not force or not out.is_file()):
            raise UsageError(f"{out} exists", "choose another --out, or replace it with --force")
        cut = Cut.of(model.space.dimensions, lanes, stretch)
        report = _compress(run, model, files, out, cut, context, threads, advance)
    report.seconds = time.perf_counter() - clock
    return report


def _compress(
    run: Run,
    model: Autoregressive,
    files: Iterable[str | Path],
    out: Path,
    cut: Cut,
    context: Sequence[str] | None,
    threads: int,
    advance: Callable[[int, int], None] | None,
) -> Report:
    """Write the compressed file."""
    column = run.config["data"]["request"].get("context")
    values = Values(model)
    with run.reading():
        found = [parts.read(path, name, run.codec, values, column) for path, name in names.collect(files)]
    names.check([part.name for part in found], "the command")
    events, texts = _coded(found)
    labels = _labels(found, events + texts, model.context_space, context)
    if labels is not None:
        values.side.append(labels.numpy().astype("<u4").tobytes())
        values.event_labels, values.text_labels = labels[: len(values.events)], labels[len(values.events) :]
    if not reads_on(model):
        cut = Cut(cut.events, cut.lanes, min(cut.stretch, model.space.dimensions))
    checked(vars(cut), model.space.dimensions, Limits())
    m = model.space.dimensions
    report = Report(
        out,
        bytes_in=sum(part.size for part in found),
        files=[part.name for part in found],
        stored=[part.name for part in found if part.kind == parts.STORED],
        why=[part.why for part in found if part.kind == parts.STORED],
        model_bytes=sum((run.path / name).stat().st_size for name in ("config.json", "model.safetensors")),
        threads=threads,
    )
    with replacing(out) as temporary, computing(model, threads):
        header = {
            "model": {"family": run.name, "sha256": identity(run)},
            "environment": environment(model, threads),
            "probe": probe(model),
            "cut": vars(cut),
            "files": _directory(found),
            "labels": 0 if labels is None else len(labels),
            "sha256": chained(part.digest for part in found),
        }
        blocks = list(plan(len(values.side), len(values.events), m, values.texts, cut))
        total = sum(block.count for block in blocks)
        with temporary.open("w+b") as file:
            file.write(pack_header(header | {"blocks": len(blocks)}))
            for number, block in enumerate(blocks):
                _write(file, number, block, values, model, report)
                if advance is not None:
                    advance(block.count, total)
            file.write(pack_end(len(blocks)))
            report.bytes_out = file.tell()
    report.blocks = len(blocks)
    return report


def _write(
    file: BinaryIO,
    number: int,
    cut: Side | Events | Stretches,
    values: Values,
    model: Autoregressive,
    report: Report,
) -> None:
    """Write a block and decode it from the bytes written; where that fails, write it without the model."""
    encoded = encode(number, cut, values, model)
    block = encoded.block
    start = file.tell()
    file.write(block.pack())
    if not _comes_back(file, start, number, cut, values, model):
        file.seek(start)
        file.truncate()
        block = stored(number, cut, values, model)
        file.write(block.pack())
        if not _comes_back(file, start, number, cut, values, model):
            raise UsageError(f"what was written to {report.out} cannot be read back", "choose another disk")
    _count(report, block, cut, encoded)


def _comes_back(
    file: BinaryIO, start: int, number: int, cut: Side | Events | Stretches, values: Values, model: Autoregressive
) -> bool:
    file.seek(start)
    written = file.read()
    try:
        found = decode(read_block(written, 0, number)[0], cut, values, model)
    except CodingError:
        return False
    if isinstance(cut, Side):
        return found == values.bytes(cut)
    return np.array_equal(found.numpy(), values.of(cut).numpy(), equal_nan=found.is_floating_point())


def _count(report: Report, block: Block, cut: Side | Events | Stretches, encoded: Encoded) -> None:
    if isinstance(cut, Side):
        report.side_bytes += len(block.payload) + BLOCK_OVERHEAD
        return
    report.values += cut.count
    report.value_blocks += 1
    report.by_model += encoded.by_model
    report.by_zstd += encoded.by_zstd
    report.model_bits += encoded.bits
    if block.method == CODED:
        report.coded_bits += 8 * len(block.payload)
        report.coded_model_bits += encoded.bits
    else:
        report.stored_blocks += 1


def codable(run: Run) -> Autoregressive:
    """The run's model, if it has a probability for every event.

    Raises:
        DensityError, UsageError: it has not.
    """
    model = run.model
    if model.density is not Density.EXACT:
        raise DensityError(
            f"{run.name} has {model.density.phrase}, and a code needs probabilities",
            "compress with an autoregressive model, see `ptheta zoo`",
        )
    if not isinstance(model, Autoregressive) and model.space.countable:
        raise UsageError(
            f"{run.name} is not autoregressive: it gives no conditionals, one value after the other, to code with",
            "compress with an autoregressive model, see `ptheta zoo`",
        )
    if not isinstance(model, Autoregressive) or isinstance(model.space, Real):
        raise UsageError(
            f"{run.name} on {model.space} has densities of real numbers, which no finite number of bits codes",
            "compress with a model of pictures, texts, categories or whole numbers",
        )
    if isinstance(run.codec, TextCodec) and not bool((model.visit.cpu() == torch.arange(len(model.visit))).all()):
        raise UsageError(f"{run.path} does not model texts in reading order", "fit without --order")
    return model


def identity(run: Run) -> str:
    """SHA-256 of the weights and of what gives them their meaning: family, spaces and codecs."""
    described = {key: run.config[key] for key in ("model", "space", "context_space", "codec")}
    if run.config["context_codec"] is not None:  # what was compressed without a context keeps its identity
        described["context_codec"] = run.config["context_codec"]
    weights = digest(run.model.state_dict())
    return hashlib.sha256((json.dumps(described, sort_keys=True) + weights).encode()).hexdigest()


def chained(digests: Iterable[str]) -> str:
    """One SHA-256 over those of all files, in their order."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _coded(found: list[Part]) -> tuple[list[Part], list[Part]]:
    """Files of events, and texts."""
    events = [part for part in found if part.kind in (parts.PICTURE, parts.ARRAY, parts.TABLE)]
    return events, [part for part in found if part.kind == parts.TEXT]


def _labels(found: list[Part], coded: list[Part], space: Any, context: Sequence[str] | None) -> Tensor | None:
    """Labels of all events, then of all texts."""
    if space is None:
        if context:
            raise ContextError("this model has no context", "leave out --context")
        return None
    if not isinstance(space, Label):
        raise ContextError(f"contexts in {space} are not labels", "compress with a model of labels, or of no context")
    units = [1 if part.kind == parts.TEXT else part.count for part in coded]
    if context:
        rows = torch.tensor([space.index(name) for name in context])
        if len(rows) not in (1, sum(units)):
            raise ContextError(f"{len(rows)} labels for {sum(units)} events", "give one label, or one for each event")
        return rows.expand(sum(units)).clone()
    given: list[int] = []
    for part, n in zip(coded, units):
        folder = Path(part.name).parent.name
        if part.labels is not None:
            given += [space.index(name) for name in part.labels]
        elif (number := space.find(folder)) is not None:
            given += [number] * n
        else:
            raise ContextError(
                f"the label of {part.name} is unknown",
                "give --context LABEL, or put files into folders named after their labels",
            )
    return torch.tensor(given, dtype=torch.long)


def _directory(found: list[Part]) -> dict[str, list[Any]]:
    """The files, as columns: alike things side by side pack well."""
    return {
        "name": [part.name for part in found],
        "kind": [part.kind for part in found],
        "count": [part.count for part in found],
        "side": [part.side for part in found],
        "how": [part.how or 0 for part in found],
        # pixels are under the CRC-32 of their block and under the hash of all files: 32 bytes each would be a third
        "sha256": [0 if part.kind == parts.PICTURE else part.digest for part in found],
    }
