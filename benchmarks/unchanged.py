"""What the package computes, as hashes in one file: recorded before a refactoring, checked after it.

    OMP_NUM_THREADS=1 python -m benchmarks.unchanged --write      record into benchmarks/unchanged.json
    OMP_NUM_THREADS=1 python -m benchmarks.unchanged --check      compare; a line for each difference, exit status 1
    … --only 'zoo/made/*'                                         only entries that match (shell pattern)
    … --runs FOLDER --write|--check                               run folders that must load, score and resume alike

Entries, one a line: `zoo/` every family and variant on every kind of space and context, three steps in float64;
`run/` from files to run folder and through the commands; `other/` divergences, anomalies, classes, targets, settings.
Hashes cover float64 bytes, so they hold for one machine and one set of versions only. Hashes of weights cover the
values in their order and not the names. Times, paths, versions and hashes of configs are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fnmatch
import hashlib
import io
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image as Picture
from safetensors import safe_open
from scipy.io import wavfile
from torch import Tensor

import ptheta
from ptheta import Column, Discrete, Document, Grid, Image, Joint, Label, Real, Sequence, Spectrogram, Table, Waveform

# Internals: the only names that are not of `ptheta` itself. Adapt them here when modules move.
from ptheta.anomalies import Detector
from ptheta.cli.main import main as command
from ptheta.coding.blocks import Values, encode
from ptheta.coding.plan import Cut, plan
from ptheta.coding.tables import Encoder
from ptheta.coding.walking import computing, reads_on, walk
from ptheta.data import Split
from ptheta.models import ZOO, Autoregressive, Counting
from ptheta.reporting import FitProgress
from ptheta.sampling import Effort
from ptheta.sklearn import DensityEstimator
from ptheta.training import Budget, MaximumLikelihood, Settings, Trainer, world

FILE = Path(__file__).with_suffix(".json")

SPACES: dict[str, Any] = {
    "discrete": Discrete((3,), 3),
    "bits": Discrete((6,), 2),
    "sizes": Discrete((2, 2), 4, (2, 3, 4, 1)),
    "image": Image(3, 4, levels=2),
    "grey": Image(4, 3, levels=9),
    "rgb": Image(3, 2, 3, levels=5),
    "bytes": Image(2, 2, 3),
    "grid": Grid(3, 3, levels=5),
    "sequence": Sequence(6, 4, end=3),
    "endless": Sequence(5, 6),
    "document": Document(6, 4, end=2),
    "label": Label(("ant", "bee", "cow")),
    "wave": Waveform(9, levels=16),
    "spectrogram": Spectrogram(4, 3, levels=6),
    "real": Real((3,)),
    "number": Real(()),
    "table": Table((Column("kind", 2), Column("count", per=1, low=0, atoms=(0.0,)), Column("size", atoms=(1.0,)))),
    "missing": Table((Column("a", 3, missing=True), Column("b", per=100, missing=True), Column("c", missing=True))),
    "categories": Table((Column("a", 3), Column("b", 2))),
}
CONTEXTS: dict[str, Any] = {
    "": None,
    "labelled": Label(("cat", "dog")),
    "told": Document(4, 3),
    "read": Sequence(4, 3),
    "shown": Image(2, 3, 3, levels=4),
    "gridded": Grid(2, 2, levels=5),
    "heard": Spectrogram(5, 2, levels=4),
    "waved": Waveform(40, levels=8),
    "measured": Real((3,)),
    "weighed": Real(()),
    "joint": Joint({"kind": Label(("a", "b", "c")), "size": Real(()), "look": Image(2, 2, levels=2)}),
    "pair": Joint({"kind": Label(("a", "b", "c")), "said": Document(3, 4)}),
}
EVERY_CONTEXT = ("image", "real", "document", "table")
"""Spaces on which all kinds of context are tried; on the others none, labels and numbers beside pictures."""

LABELLED = (*EVERY_CONTEXT, "rgb", "sequence", "sizes")
"""Spaces on which variants are given labels."""

MORE: dict[str, dict[str, dict[str, Any]]] = {
    "histogram": {"sparse": {"concentration": 0.0}},
    "independent": {"raw": {"pseudo_count": 0.0}},
    "markov_chain": {"second": {"order": 2}, "shared": {"order": 2, "shared": True, "pseudo_count": 0.1}},
    "markov_mlp": {"alike": {"positions": False}, "normal": {"mixture": "gaussian"}, "dropped": {"dropout": 0.3}},
    "made": {"spiral": {"order": "spiral"}, "column": {"order": "column"}, "rank": {"rank": 2}, "sure": {
        "context_dropout": 0.0, "dropout": 0.0}},
    "pixelcnn": {"rank": {"rank": 2}, "categorical": {"likelihood": "categorical"}},
    "transformer": {"column": {"order": "column"}, "local": {"local": 2}, "any-spiral": {
        "any_order": True, "order": "spiral"}, "dropped": {"dropout": 0.3}},
    "flow": {"maf-coupling": {"kind": "maf", "passes": 2}},
    "table": {"dropped": {"dropout": 0.2}},
}  # fmt: skip
"""Hyperparameters beyond the variants of the zoo."""

TRAIN, HELD_OUT, BATCH, RATE = 20, 6, 8, 0.02


# Hashes


def sha(*values: Any) -> str:
    """Five hexadecimal digits of values: tensors, arrays, bytes, texts, JSON."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, Tensor):
            value = value.detach().cpu().contiguous().numpy()
        if isinstance(value, np.ndarray | np.generic):
            array = np.ascontiguousarray(value)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        elif isinstance(value, bytes | bytearray):
            digest.update(value)
        elif isinstance(value, str):
            digest.update(value.encode())
        elif isinstance(value, list | tuple) and any(isinstance(v, Tensor | np.ndarray) for v in value):
            digest.update(sha(*value).encode())
        else:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:5]


def scored(score: Any) -> str:
    """A score as it used to be written."""
    names = ("nats", "nats_se", "dimensions", "n", "zero")
    return f"Score({', '.join(f'{name}={getattr(score, name)!r}' for name in names)})"


def weights(model: Any) -> str:
    """Of the values of a state, in their order; names may change."""
    return sha(*model.state_dict().values())


def state(run: Any) -> str:
    """Of the tensors of a checkpoint, last weights and optimisers, whatever their names; "none" without one."""
    if not run.checkpoint.exists():
        return "none"
    with safe_open(run.checkpoint, "pt") as file:
        return sha(sorted(sha(file.get_tensor(name)) for name in file.keys()))  # noqa: SIM118


def refusal(error: Exception) -> str:
    """The type of an error, and of one with a remedy also a hash of what it says."""
    told = isinstance(error, ptheta.PthetaError)
    return f"{type(error).__name__}{':' * told}{sha(str(error).replace(os.getcwd(), '.'))[:4] * told}"


def tried(make: Callable[[], Any]) -> str:
    """A hash of what is made, or the refusal."""
    try:
        return sha(make())
    except Exception as error:
        return refusal(error)


class Entry(dict):
    """Hashes of one entry; what is refused is recorded as the refusal."""

    def note(self, name: str, make: Callable[[], Any]) -> None:
        """Record what `make` gives: a string or number as it is, else its hash; or its typed error."""
        try:
            value = make()
        except Exception as error:
            self[name] = refusal(error)
            return
        if isinstance(value, str | int | float | dict):
            self[name] = value
        else:
            self[name] = sha(*value) if isinstance(value, list | tuple) else sha(value)


# The zoo


class Case(NamedTuple):
    """A family on a space, given a context."""

    family: str
    space: str
    context: str
    variant: str
    hyperparameters: dict[str, Any]

    @property
    def key(self) -> str:
        """Name of the entry."""
        return "/".join(["zoo", f"{self.family}{'-' * bool(self.variant)}{self.variant}", self.space, self.context])


def events(space: Any, n: int, seed: int) -> Tensor:
    """Random events with some structure."""
    g = torch.Generator().manual_seed(seed)
    if isinstance(space, Label):
        return torch.randint(space.levels, (n,), generator=g)
    if isinstance(space, Joint):
        return space.join({name: events(part, n, seed + 1 + i) for i, (name, part) in enumerate(space.parts)})
    if isinstance(space, Discrete):
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)
        x = (torch.rand(n, space.dimensions, generator=g) ** 1.5 * sizes).long().reshape(n, *space.shape)
        if isinstance(space, Document):
            x = space.pad([row[: row.tolist().index(space.end)] if space.end in row else row for row in x])
        return x
    x = torch.randn(n, *space.shape, generator=g, dtype=torch.float64) * 2 + 1
    if not isinstance(space, Table):
        return x
    columns = []
    for j, column in enumerate(space.columns):
        y = x[:, j]
        if column.is_category:
            y = y.abs().floor() % column.levels
        elif column.per:
            y = (y.abs() * column.per).round() / column.per
        if column.atoms:
            y = torch.where(torch.rand(n, generator=g) < 0.4, column.atoms[0], y)
        if column.missing:
            y = torch.where(torch.rand(n, generator=g) < 0.25, torch.nan, y)
        columns.append(y)
    return torch.stack(columns, 1)


def cases() -> Iterator[Case]:
    """Every family and variant × every space × contexts."""
    for family, row in ZOO.items():
        cls = row.load()
        variants = {"": {}, **row.variants, **MORE.get(family, {})}
        for name, space in SPACES.items():
            if not isinstance(space, cls.spaces):
                continue
            for variant, hyperparameters in variants.items():
                for context, of in CONTEXTS.items():
                    some = ("", "labelled", "joint") if not variant else ("", "labelled" * (variant in row.variants))
                    if context not in some and (variant or name not in EVERY_CONTEXT):
                        continue
                    if variant and context and name not in LABELLED:
                        continue
                    if of is None or isinstance(of, cls.context_spaces):
                        yield Case(family, name, context, variant, {**row.small, **hyperparameters})


def learned(case: Case, entry: Entry) -> Any:
    """The case's model after three steps, or after counting."""
    space, of = SPACES[case.space], CONTEXTS[case.context]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ZOO[case.family].load()(space, of, **case.hyperparameters).to(torch.float64)
    x, y = events(space, TRAIN, 1), None if of is None else events(of, TRAIN, 2)
    entry.note("n", lambda: str(model.free_parameters))
    entry.note("config", lambda: [json.dumps([model.hyperparameters(), space.to_json(), of and of.to_json()])])
    if isinstance(model, Counting):
        model.observe(x, y)
        model.finish()
    else:
        array = None if y is None else y.numpy()
        train, held_out = (Split(x.numpy()[part], None if array is None else array[part]) for part in (
            slice(4, None), slice(4)))  # fmt: skip
        settings = Settings.of(model, batch_size=BATCH, learning_rate=RATE)
        with world("cpu") as alone:
            objective = MaximumLikelihood(model, train, held_out, settings, seed=0, world=alone)
            trainer = Trainer(objective, Budget(steps=3))
            best = trainer.run()  # the model keeps the last weights, which the best need not be
        entry["fit"] = sha(struct.pack("<dd", trainer.position.mean, trainer.position.best), *best.values())
    return model.eval()


def zoo_entry(case: Case) -> Entry:
    """What a case computes."""
    entry = Entry()
    space, of = SPACES[case.space], CONTEXTS[case.context]
    try:
        model = learned(case, entry)
    except Exception as error:
        entry["refused"] = refusal(error)
        return entry
    n = HELD_OUT
    x, y = events(space, n, 3), None if of is None else events(of, n, 4)
    entry["weights"] = weights(model)
    entry.note("nats", lambda: f"{-float(model.log_prob(x, y).detach().mean()):.5g}")
    entry.note("log_prob", lambda: model.log_prob(x, y))
    entry.note("sample", lambda: model.sample(n, y, seed=5))
    if of is not None and model.context_dropout:
        entry.note("alone", lambda: [model.log_prob(x), model.sample(3, seed=6)])
    if of is not None:
        entry.note("each", lambda: model.sample_each(2, y[:2], seed=6))
    if isinstance(model, Autoregressive):
        autoregressive(model, x, y, entry)
    if hasattr(model, "table") and hasattr(model, "concentration") and (space.event_count or 0) < 5_000:
        entry.note("table", lambda: model.table())
    if hasattr(model, "nearest"):
        entry.note("nearest", lambda: [*model.nearest(x), *model.nearest(x, "euclidean"), model.is_copy(x)])
    if hasattr(model, "normalised"):
        entry.note("normalised", lambda: model.normalised(x, y))
        source = torch.Generator().manual_seed(7)
        entry.note("rsample", lambda: model.rsample_and_log_prob(n, y, generator=source))
    if hasattr(model, "impute"):
        holes = torch.where(torch.arange(x.numel()).reshape(n, -1) % 3 == 1, torch.nan, x.reshape(n, -1))
        entry.note("impute", lambda: model.impute(holes, 2, y, seed=8))
    if hasattr(model, "generate"):
        language(model, y, entry)
    single = model.to(torch.float32)
    entry.note("float32", lambda: [single.log_prob(x, y), single.sample(n, y, seed=5)])
    return entry


def autoregressive(model: Any, x: Tensor, y: Any, entry: Entry) -> None:
    """What the autoregressive base gives."""
    n, space = len(x), model.space
    effort = Effort()
    entry.note("surprise", lambda: model.log_prob_per_dimension(x, y))
    entry.note("fixed", lambda: model.sample(n, y, seed=5, method="fixed_point", effort=effort))
    if entry["fixed"] == entry["sample"]:
        entry["fixed"] = "same"
    entry.note("passes", lambda: f"{model.faster_method} {effort.passes}")
    warps = [{"temperature": 0.7}, {"temperature": 0.0}, {"top_k": 2}, {"top_p": 0.8}, {"min_p": 0.3}]
    warps.append({"temperature": 1.3, "top_k": 3, "top_p": 0.9, "method": "fixed_point"})
    some = None if y is None else y[:3]
    entry.note("warped", lambda: [tried(lambda warp=warp: model.sample(3, some, seed=5, **warp)) for warp in warps])
    if y is not None and model.context_dropout:
        ways = [{"method": way, "guidance": strength} for way in ("ancestral", "fixed_point") for strength in (2, 0)]
        entry.note("guided", lambda: [tried(lambda way=way: model.sample(n, y, seed=5, **way)) for way in ways])
    entry.note("complete", lambda: [model.complete(x, part, 2, y, seed=9) for part in (0.5, 0.0, 1.0)])
    mask = torch.arange(space.dimensions).reshape(space.shape) % 3 != 1 if model.any_order else model.kept(0.4)
    entry.note("masked", lambda: model.complete(x, mask, 2, y, seed=9, method="fixed_point"))
    if model.any_order:
        entry.note("orders", lambda: [model.log_prob_in_random_orders(x, y, seed=seed) for seed in range(4)])
        back = torch.arange(space.dimensions).flip(0)
        entry.note("back", lambda: [model.reordered(back).log_prob(x, y), model.reordered(back).sample(n, y, seed=5)])
    if y is None or isinstance(model.context_space, Label):
        entry.note("coded", lambda: coded(model, x, y))


def coded(model: Any, x: Tensor, y: Any) -> list[bytes]:
    """The bytes of compressed blocks, and of the model's own code where a block is smaller without it."""
    m = model.space.dimensions
    z = x.reshape(len(x), m)[:, model.visit].to(model.event_dtype)
    texts = []
    if isinstance(model.space, Sequence) and type(model.space) is Sequence:
        texts = [x[:3].flatten().numpy(), x[4].numpy()]
    cut = Cut.of(m, 4, 7 if reads_on(model) else m)
    values = Values(model)
    values.side.append(b"side")
    values.events.append(z.numpy())
    for text in texts:
        values.add_text([text])
    values.event_labels, values.text_labels = y, None if y is None else y[:2]
    with computing(model, 1):
        found = []
        for number, block in enumerate(plan(4, len(z), m, [len(text) for text in texts], cut)):
            found.append(encode(number, block, values, model).block.pack())
            if number:  # the first is the side data, which no model codes
                encoder = Encoder()
                walk(model, encoder, block.lengths, values.labels(block), values.of(block))
                found += [encoder.payload(), f"{encoder.digest} {encoder.bits}".encode()]
    return found


def language(model: Any, y: Any, entry: Entry) -> None:
    """What models of sequences give."""
    space = model.space
    if not isinstance(space, Sequence):
        return
    long = events(Sequence(3 * space.length, space.levels), 3, 11)
    rows = [long[0], long[1][:4], long[2][:1]]
    given = None if y is None else y[:3]
    entry.note("tokens", lambda: model.log_prob_per_token(rows, given))
    how: list[dict[str, Any]] = [{"draft": draft} for draft in ("none", "ngram", "fixed_point")]
    how += [{"temperature": 0.8, "top_k": 2}, {"top_p": 0.7}]

    def written(**options: Any) -> list[Tensor]:
        found = model.generate(rows, 12, given, seed=13, **options)
        return [*found.tokens, *found.log_prob, *found.log_prob_warped]

    entry.note("written", lambda: [sha(*written(**options)) for options in how])
    if isinstance(space, Document):
        entry.note("beams", lambda: [*model.beam_search(given, n=3, beams=3, length_penalty=0.8)])


# From files to run folders


SMALL: dict[str, dict[str, Any]] = {
    "made": {"width": 16, "layers": 1},
    "markov_mlp": {"window": 3, "width": 16, "layers": 1},
    "pixelcnn": {"width": 8, "layers": 2, "reach": 2, "components": 2},
    "transformer": {"width": 16, "layers": 1, "heads": 2},
    "flow": {"transforms": 2, "width": 16, "layers": 1, "bins": 4},
    "table": {"width": 16, "layers": 1, "heads": 2, "components": 2, "bins": 4},
}


class Fit(NamedTuple):
    """A fit to files, and what the commands are given afterwards."""

    model: str | None
    source: str
    load: dict[str, Any] = {}  # noqa: RUF012
    hyperparameters: dict[str, Any] = {}  # noqa: RUF012
    settings: dict[str, Any] = {}  # noqa: RUF012
    files: tuple[str, ...] = ()
    """That are completed and compressed."""
    told: tuple[str, ...] = ()
    """Contexts on the command line."""
    sample: tuple[str, ...] = ()
    """More options of `ptheta sample`."""


SPECTRA = {"seconds": 0.08, "bands": 6, "levels": 8, "hop": 16.0}
LONGER = {"steps": 40, "learning_rate": 0.03}
BLACK = tuple(f"black/{i:02}.png" for i in range(8))
PICTURES = ("grey/even/00.png", "grey/odd/01.png")
FITS: dict[str, Fit] = {
    "array-histogram": Fit("histogram", "walks.npy", files=("few.npy",)),
    "array-empirical": Fit("empirical", "walks.npy", files=("few.npy",)),
    "array-transformer": Fit("transformer", "walks.npy", files=("few.npy",)),
    "array-default": Fit(None, "walks.npy"),
    "reals-flow": Fit("flow", "floats.npy", files=("floats.npy",)),
    "reals-made": Fit("made", "numbers.csv", {"columns": "real"}, files=("numbers.csv",)),
    "reals-table": Fit("table", "numbers.csv", files=("numbers.csv",)),
    "categories-independent": Fit("independent", "table.csv", {"context": "kind"}, files=("table.csv",), told=("hat",)),
    "categories-chain": Fit("markov_chain", "table.csv", {}, {"order": 2}, files=("table.csv",)),
    "categories-table": Fit("table", "table.csv", {"columns": "mixed"}, files=("table.csv",)),
    "mixed-table": Fit("table", "mixed.parquet", files=("mixed.parquet",), sample=("--context", "flag=true")),
    "mixed-told": Fit("table", "mixed.csv", {"context": "job"}, files=("mixed.csv",), told=("clerk",)),
    "grey-pixelcnn": Fit("pixelcnn", "grey", {"context": "label"}, files=PICTURES, told=("odd",)),
    "grey-independent": Fit("independent", "grey", {"levels": 4, "context": "label"}, files=PICTURES, told=("odd",)),
    "black-made": Fit("made", "black", files=BLACK),
    "black-pixelcnn": Fit("pixelcnn", "black", {}, {"order": "column"}, {"steps": 20}, files=BLACK),
    "black-any": Fit("transformer", "black", {}, {"any_order": True}, {"steps": 20}, files=BLACK),
    "grey-levels": Fit("pixelcnn", "grey", {"levels": 4}, {"likelihood": "categorical"}, files=PICTURES),
    "grey-bits": Fit("made", "grey", {"binarize": "once"}, files=PICTURES),
    "grey-any": Fit("transformer", "grey", {"levels": 4}, {"any_order": True}, files=PICTURES),
    "grey-epoch": Fit("made", "digits", {"binarize": "epoch", "limit": 30}),
    "rgb-pixelcnn": Fit("pixelcnn", "rgb", files=("rgb/00.png",)),
    "rgb-palette": Fit("transformer", "rgb", {"palette": 8}, files=("rgb/00.png",)),
    "rgb-size": Fit("markov_mlp", "rgb", {"size": "4x5", "colour": "grey", "fit": "pad"}, files=("rgb/00.png",)),
    "text-bytes": Fit("transformer", "text.txt", {"tokenizer": "bytes", "length": 16}, {"window": 8}, LONGER, files=(
        "text.txt",), sample=("--prompt", "the ", "--tokens", "20")),
    "text-characters": Fit("transformer", "corpus", {"tokenizer": "characters", "length": 16}, {}, LONGER, files=(
        "corpus/00.txt", "corpus/01.txt", "corpus/02.txt"), sample=(
        "--prompt", "", "--tokens", "20", "--draft", "ngram")),
    "text-bpe": Fit("transformer", "corpus", {"tokenizer": "bpe", "vocabulary": 270, "length": 12}, files=(
        "corpus/00.txt",), sample=("--prompt", "a dog", "--tokens", "9", "--temperature", "0.8")),
    "text-chain": Fit("markov_chain", "text.txt", {"tokenizer": "characters", "length": 16}, {"shared": True}, files=(
        "text.txt",)),
    "text-tiny": Fit(None, "text.txt", {"length": 16}, settings={"preset": "tiny"}, files=("text.txt",)),
    "whole-transformer": Fit("transformer", "pairs.parquet", {"event": "text", "whole": True}, files=("start.txt",)),
    "whole-told": Fit("transformer", "pairs.parquet", {"event": "text", "context": "kind"}, files=("start.txt",), told=(
        "red",), sample=("--temperature", "0.7")),
    "whole-shown": Fit("transformer", "pairs.parquet", {"event": "text", "context": "img"}, files=("start.txt",), told=(
        "square.png",)),
    "sound-spectrogram": Fit("made", "sounds", SPECTRA, files=("sounds/low/00.wav",)),
    "sound-told": Fit("pixelcnn", "sounds", {**SPECTRA, "context": "label"}, files=("sounds/low/00.wav",), told=(
        "low",)),
    "sound-waveform": Fit("transformer", "sounds", {"sound": "waveform", "rate": 1000, "seconds": 0.06}, {"window": 8},
        files=("sounds/low/00.wav",)),
    "drawn-text": Fit("transformer", "pairs.parquet", {"event": "img", "context": "text", "levels": 4}, files=(
        "square.png",), told=("a red car",), sample=("--guidance", "2", "--top-k", "3")),
    "drawn-joint": Fit("made", "pairs.parquet", {"event": "img", "context": "kind,size,text", "levels": 4}, files=(
        "square.png",), told=("kind=red", "size=1.5", "text=a red car")),
    "drawn-view": Fit("pixelcnn", "pairs.parquet", {"event": "img", "context": "img:grey:2x2", "levels": 4}, files=(
        "square.png",), told=("square.png",), sample=("--method", "fixed_point")),
    "numbers-told": Fit("flow", "mixed.csv", {"event": "age,score", "context": "job,price", "columns": "real"}, told=(
        "job=clerk", "price=12.5")),
    "set-muon": Fit("transformer", "walks.npy", settings={"optimizer": "muon", "average": 0.9, "accumulate": 3}),
    "set-bfloat16": Fit("made", "walks.npy", settings={"precision": "bfloat16", "clip": 0.1, "weight_decay": 0.3}),
}  # fmt: skip


def write_sources(folder: Path) -> None:
    """Small data of every kind."""
    g = np.random.default_rng(0)
    walks = g.integers(0, 3, (70, 4)).cumsum(1) % 3
    np.save(folder / "walks.npy", walks.astype(np.uint8))
    np.save(folder / "few.npy", walks[:9].astype(np.uint8))
    np.save(folder / "floats.npy", g.normal(size=(60, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 2.0]]))
    pd.DataFrame({"a": g.normal(size=60), "b": g.gamma(2, 3, 60)}).to_csv(folder / "numbers.csv", index=False)
    pd.DataFrame({
        "colour": g.choice(["red", "green", "blue"], 60), "size": g.choice(["S", "M"], 60),
        "kind": ["hat", "shoe"] * 30,
    }).to_csv(folder / "table.csv", index=False)  # fmt: skip
    n = 120
    gap = pd.Series(pd.array(g.integers(0, 40, n), "Int64")).mask(g.random(n) < 0.2)
    mixed = pd.DataFrame({
        "age": g.integers(17, 90, n), "gain": np.where(g.random(n) < 0.7, 0.0, g.gamma(2, 900, n)),
        "price": np.round(g.gamma(3, 40, n), 2), "score": g.normal(size=n), "gap": gap,
        "job": g.choice(["clerk", "Bäcker", 'a "b"', "x,y"], n), "flag": g.random(n) < 0.3,
    })  # fmt: skip
    mixed.to_parquet(folder / "mixed.parquet")
    mixed.to_csv(folder / "mixed.csv", index=False)
    slope = np.arange(6)[:, None] * 20 + np.arange(6)
    for i in range(30):
        for name, of in (("grey/even" if i % 2 == 0 else "grey/odd", slope), ("rgb", slope[..., None])):
            noise = g.integers(0, 40, of.shape[:2] + (3,) * (of.ndim - 2))
            (folder / name).mkdir(parents=True, exist_ok=True)
            Picture.fromarray((of + noise).astype(np.uint8)).save(folder / name / f"{i:02}.png")
    (folder / "black").mkdir()
    for i in range(30):
        black = (slope + g.integers(0, 40, (6, 6)) > 70) * 255
        Picture.fromarray(black.astype(np.uint8)).save(folder / f"black/{i:02}.png")
    words = np.array(["the dog", "a café", "Bär & <b>", "sleeps", "eats", "naïve"])
    (folder / "corpus").mkdir()
    for i in range(30):
        (folder / "corpus" / f"{i:02}.txt").write_text(" ".join(words[g.integers(6, size=8)]) + ".\n", encoding="utf-8")
    (folder / "text.txt").write_text("".join(g.choice(list("the quick fox\n"), 900)))
    (folder / "start.txt").write_text("a red")
    Picture.fromarray(g.integers(0, 255, (4, 4, 3), dtype=np.uint8)).save(folder / "square.png")
    colours = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    pictures = []
    for name in [*colours] * 14:
        buffer = io.BytesIO()
        pixels = np.array(colours[name]) + g.integers(-20, 20, (4, 4, 3))
        Picture.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
        pictures.append({"bytes": buffer.getvalue(), "path": None})
    pd.DataFrame({
        "img": pictures, "text": [f"a {name} car" for name in [*colours] * 14], "kind": [*colours] * 14,
        "size": np.arange(42) / 8,
    }).to_parquet(folder / "pairs.parquet")  # fmt: skip
    for i in range(24):
        name, hertz = ("low", 220) if i % 2 else ("high", 900)
        (folder / "sounds" / name).mkdir(parents=True, exist_ok=True)
        t = np.arange(240 + 10 * i) / 4000
        sound = 9000 * np.sin(2 * np.pi * hertz * t) * np.exp(-8 * t) + g.normal(size=len(t)) * 50
        wavfile.write(folder / "sounds" / name / f"{i // 2:02}.wav", 4000, sound.astype(np.int16))


LEFT_OUT = (
    "free_parameters",
    "options",
    "seconds",
    "versions",
    "sha256",
    "platform",
    "model_bytes",
    "bytes_out",
    "bytes_out_with_model",
)


def without(value: Any) -> Any:
    """JSON without times, versions and hashes of configs, and with paths as from the folder."""
    if isinstance(value, dict):
        if "checkpoint_seconds" in value:  # settings, which held these options of one objective
            value = {"anneal": 1.0, "anneal_until": 0.5} | value
        return {k: without(v) for k, v in value.items() if k not in LEFT_OUT}
    if isinstance(value, list | tuple):
        return [without(v) for v in value]
    return value.replace(os.getcwd(), ".") if isinstance(value, str) else value


def said(*arguments: Any, last: bool = False) -> Any:
    """What a command prints: its JSON, scrubbed, or its text; beside the exit status if that is not 0."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code or 0
    if code:
        return f"status{code}:{sha(err.getvalue().replace(os.getcwd(), '.'))[:4]}"
    lines = out.getvalue().splitlines()
    return without(json.loads(lines[-1])) if last else out.getvalue().replace(os.getcwd(), ".")


def shown(told: Any) -> str:
    """A hash of what a command told; a refusal, and how many blocks were coded, can be read."""
    if str(told).startswith("status"):
        return told
    blocks = f":{told['blocks'] - told['stored_blocks']}/{told['blocks']}" if "stored_blocks" in told else ""
    return sha(told) + blocks


def files_of(place: Path) -> str:
    """Names and contents of what was written to a file or folder; what names the folder is the same elsewhere."""
    found = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    contents = []
    for path in found:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = pd.read_parquet(path).to_json(double_precision=15, orient="split").encode()
        contents += [path.name, content.replace(os.getcwd().encode(), b".")]
    return sha(*contents) if contents else "none"


def body(file: Path) -> bytes:
    """A compressed file behind its header, which holds versions, and names of weights in a hash."""
    content = file.read_bytes()
    _, _, packed, _, _ = struct.unpack_from("<8sHIII", content)
    return content[struct.calcsize("<8sHIII") + packed :]


def fitted(name: str, out: Path, **more: Any) -> Any:
    """The run of a row of `FITS`."""
    spec = FITS[name]
    data = ptheta.load(spec.source, **spec.load)
    counts = spec.model in ("histogram", "empirical", "independent", "markov_chain")
    budget = {} if counts else {"steps": 3}
    hyperparameters = {**SMALL.get(spec.model or "", {}), **spec.hyperparameters}
    options = {"seed": 0, "device": "cpu", "verbose": False, **budget, **spec.settings, **more}
    return ptheta.fit(spec.model, data, out=out, hyperparameters=hyperparameters, **options)


def first(split: Any, n: int) -> tuple[Tensor, Any]:
    """The first events of a split and their contexts."""
    return split.events(np.arange(min(n, len(split))))


def split_hashes(run: Any, data: Any) -> list[str]:
    """Of log p of every split."""
    found = []
    for name in sorted(data.splits):
        x, y = first(data.splits[name], 40)
        with torch.no_grad():
            found.append(f"{name}:{sha(run.model.log_prob(x, y))}")
    return found


def run_entry(name: str) -> Entry:
    """A fit, and what everything afterwards makes of it."""
    entry, spec = Entry(), FITS[name]
    run_folder, out = Path("runs") / name, Path("out") / name
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run = fitted(name, run_folder)
    except Exception as error:
        entry["refused"] = refusal(error)
        return entry
    data = run.data
    for part, split in data.splits.items():
        entry[f"x.{part}"] = sha(*(a for a in split.arrays if a is not None))
    entry["n"] = str(run.model.free_parameters)
    entry["notes"] = sha(without(data.notes))
    entry["codec"] = sha([data.codec.to_json(), data.context_codec and data.context_codec.to_json()])
    entry["weights"] = weights(run.model)
    entry["state"] = state(run)
    entry["metrics"] = sha(without(run.metrics()))
    entry["files"] = sha(sorted(str(path.relative_to(run_folder)) for path in run_folder.rglob("*")))
    entry["shown"] = sha(*(files_of(path) for path in sorted(run_folder.glob("samples*"))))
    run = ptheta.Run.load(run_folder)
    entry.note("log_prob", lambda: split_hashes(run, data))
    x, y = first(data.test if "test" in data.splits else data.train, 4)
    entry.note("sample", lambda: run.model.sample(len(x), y, seed=1))
    entry.note("decoded", lambda: files_of_events(run, run.model.sample(len(x), y, seed=1), out / "decoded"))
    if isinstance(run.model, Autoregressive):
        entry.note("complete", lambda: run.model.complete(x, 0.5, 2, y, seed=2))
    entry.note("evaluate", lambda: sha(scored(run.evaluate(limit=20))))
    card = without(json.loads(json.dumps(said("info", run_folder, "--json", last=True))))
    for part in ("model", "space", "context_space", "data", "fit", "results", "remarks"):
        entry[f"info.{part}"] = sha(card.get(part))
    told = ["--context", *spec.told] if spec.told else []
    seeded = ["--seed", 3, "--json"]
    more = list(spec.sample)
    many = [] if "--prompt" in more else ["-n", 3]
    entry.note("cli.sample", lambda: told_and_files("sample", run_folder, *many, *told, *more, *seeded, out / "sample"))
    entry.note("cli.score", lambda: told_and_files(
        "score", run_folder, spec.source, "--per-dimension", "--json", out / "score.parquet"))  # fmt: skip
    if spec.files:
        entry.note("cli.complete", lambda: told_and_files(
            "complete", run_folder, *spec.files, *told, *seeded, out / "complete"))  # fmt: skip
        packed = out / "packed.ptz"
        entry.note("cli.compress", lambda: shown(said(
            "compress", run_folder, *spec.files, *told, "--json", "--out", packed, last=True)))  # fmt: skip
        if packed.exists():
            entry.note("packed", lambda: body(packed))
            entry.note("unpacked", lambda: told_and_files("decompress", run_folder, packed, "--json", out / "unpacked"))
    if run.model.context_space is not None:
        entry.note("cli.evaluate", lambda: shown(said("evaluate", run_folder, "--json", "--seed", 4, last=True)))
        if isinstance(run.model.context_space, Label):
            entry.note("cli.classify", lambda: shown(said("classify", run_folder, spec.source, "--json", last=True)))
            entry.note("classify", lambda: ptheta.classify(run, x, prior="train"))
    return entry


def files_of_events(run: Any, x: Tensor, place: Path) -> str:
    """Events written as files."""
    run.codec.write(x, place)
    return files_of(place)


def told_and_files(*arguments: Any) -> str:
    """What a command tells as JSON, and the files it writes to its last argument."""
    *rest, place = arguments
    told = said(*rest, "--out", place, last="--json" in rest)
    return sha(told, files_of(Path(place))) if not str(told).startswith("status") else str(told)


# What is neither


def log_ring(x: Tensor) -> Tensor:
    """An unnormalised log-density of pairs of real numbers."""
    return -4 * (x.pow(2).sum(1).sqrt() - 2).pow(2)


def log_alike(x: Tensor) -> Tensor:
    """An unnormalised log-density of rows of bits that agree with their neighbours."""
    return 1.5 * (x[:, 1:] == x[:, :-1]).double().sum(1)


def targets() -> Entry:
    """Reverse KL, pathwise and by the log-derivative trick."""
    entry = Entry()
    for name, model, space, log_f in (
        ("flow", "flow", Real((2,)), log_ring),
        ("made", "made", Discrete((5,), 2), log_alike),
    ):
        how: dict[str, Any] = {"steps": 3, "batch_size": 16, "anneal": 0.5, "seed": 0, "device": "cpu"}
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            run = ptheta.fit(
                model, space, objective="reverse_kl", target=log_f, out=f"runs/target-{name}",
                hyperparameters=SMALL[model], verbose=False, **how,
            )  # fmt: skip
        entry[f"{name}.weights"] = weights(run.model)
        entry[f"{name}.results"] = sha(without(run.results()))
        entry[f"{name}.metrics"] = sha(without(run.metrics()))
    return entry


def between() -> Entry:
    """Divergences and anomalies of runs on the same events."""
    entry = Entry()
    made, chain = (learned(Case(f, "image", "", "", dict(ZOO[f].small)), Entry()) for f in ("made", "markov_chain"))
    for how in ({"exact": True}, {"n": 500, "seed": 3, "exact": False}):
        found = ptheta.divergences.divergences(made, chain, **how)
        entry[f"divergences.{how['exact']}"] = sha({name: str(value) for name, value in found.items()})
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        run = fitted("grey-levels", Path("runs/anomalies"))
        other = ptheta.fit("independent", run.data, out="runs/background", verbose=False)
    for method, against in (("surprise", None), ("typicality", None), ("complexity", None), ("ratio", other)):
        detector = Detector(run, method, against, per_dimension=True).calibrate(run.data.validation)
        scores = detector.score(run.data.test)
        entry[method] = sha(*(a for a in dataclasses.astuple(scores)[:6] if a is not None))
    both = ("runs/anomalies", "runs/background")
    entry.note("cli.divergence", lambda: shown(said("divergence", *both, "--json", last=True)))
    entry.note("cli.zoo", lambda: shown(said("zoo")))
    return entry


def estimators() -> Entry:
    """The scikit-learn estimator."""
    entry = Entry()
    g = np.random.default_rng(0)
    real, whole = g.normal(size=(60, 3)), g.integers(0, 4, (60, 3))
    table = pd.DataFrame(real, columns=["a", "b", "c"]).assign(k=whole[:, 0])
    for name, x, options in (
        ("real", real, {"model": "flow", "steps": 3}),
        ("binned", real, {"model": "histogram", "bins": 4}),
        ("discrete", whole, {"model": "made", "steps": 3, "hyperparameters": SMALL["made"]}),
        ("mixed", table, {"model": "table", "steps": 3, "hyperparameters": SMALL["table"]}),
    ):  # fmt: skip
        estimator = DensityEstimator(random_state=0, **options).fit(x)
        drawn = np.asarray(estimator.sample(4), dtype=np.float64)
        entry[name] = sha(weights(estimator.model_), np.asarray(estimator.score_samples(x)), drawn)
    return entry


def resumed() -> Entry:
    """A fit with more steps after the first three, and one that was stopped."""
    entry = Entry()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        for name in ("array-transformer", "set-muon", "grey-epoch"):
            out = Path("runs") / f"resumed-{name}"
            stopped(name, out, 4, steps=8)
            entry[f"{name}.stopped"] = weights(ptheta.Run.load(out).model)
            run = ptheta.fit(None, out=out, resume=True, verbose=False)
            entry[f"{name}.resumed"] = sha(weights(run.model), state(run), without(run.metrics()))
            run = ptheta.fit(None, out=out, resume=True, steps=12, verbose=False)
            entry[f"{name}.longer"] = sha(weights(run.model), state(run), without(run.metrics()))
    return entry


def stopped(name: str, out: Path, step: int, **more: Any) -> None:
    """A fit in which Ctrl-C is pressed when a step is done."""
    advance = FitProgress.advance

    def heard(self: Any, progress: float, position: Any) -> None:
        advance(self, progress, position)
        if position.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    FitProgress.advance = heard  # type: ignore[method-assign]
    try:
        fitted(name, out, **more)
    except KeyboardInterrupt:
        return
    finally:
        FitProgress.advance = advance  # type: ignore[method-assign]
    raise AssertionError(f"{name} was not stopped")


OTHER = {"targets": targets, "between": between, "estimators": estimators, "resumed": resumed}


# Run folders of another time

KEPT = (
    "array-histogram", "array-empirical", "array-transformer", "categories-independent", "text-chain", "reals-flow",
    "mixed-table", "mixed-told", "grey-pixelcnn", "grey-any", "rgb-palette", "reals-made", "text-bytes", "text-bpe",
    "whole-told", "black-any", "black-pixelcnn", "grey-independent", "sound-spectrogram", "drawn-text",
    "rgb-size", "drawn-joint",
)  # fmt: skip
"""Rows of `FITS` whose run folders are kept; beside them one that was stopped, and one that is to go on."""

STOPPED = {"stopped-transformer": "array-transformer", "stopped-muon": "set-muon", "stopped-pixelcnn": "grey-pixelcnn"}


def quiet() -> contextlib.ExitStack:
    """Nothing is printed within."""
    stack = contextlib.ExitStack()
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
    return stack


def write_runs(folder: Path) -> None:
    """Data, run folders, their events as arrays, and compressed files."""
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty")
    (folder / "data").mkdir(parents=True)
    (folder / "events").mkdir()
    os.chdir(folder / "data")
    write_sources(Path())
    for name in KEPT:
        with quiet():
            run = fitted(name, folder / "runs" / name)
        arrays = {}
        for part, split in run.data.splits.items():
            x, y = first(split, 12)
            arrays[f"{part}-x"] = x.numpy()
            if y is not None:
                arrays[f"{part}-y"] = y.numpy()
        np.savez_compressed(folder / "events" / f"{name}.npz", **arrays)
        if FITS[name].files and isinstance(run.model, Autoregressive):
            packed = folder / "packed" / f"{name}.ptz"
            packed.parent.mkdir(exist_ok=True)
            told = ["--context", *FITS[name].told] if FITS[name].told else []
            said("compress", folder / "runs" / name, *FITS[name].files, *told, "--out", packed)
    for name, of in STOPPED.items():
        with quiet():
            stopped(of, folder / "runs" / name, 4, steps=8)


def runs_found(folder: Path) -> dict[str, str]:
    """What the run folders give: loaded, scored, drawn from, unpacked, gone on with (in a copy)."""
    found: dict[str, str] = {}
    for path in sorted((folder / "runs").iterdir()):
        with tempfile.TemporaryDirectory() as place, quiet():
            os.chdir(place)
            shutil.copytree(path, "run")
            entry = run_found(folder, path.name)
        os.chdir(folder)
        found[path.name] = line(entry)
    return found


def run_found(folder: Path, name: str) -> Entry:
    """What a copy of a run folder, in the working folder, gives."""
    entry = Entry()
    entry.note("loads", lambda: weights(ptheta.Run.load("run").model))
    entry.note("info", lambda: sha(card_of("run")))
    entry.note("remarks", lambda: sha(ptheta.Run.load("run").remarks))
    spec = FITS[STOPPED.get(name, name)]
    source = str(folder / "data" / spec.source) if (folder / "data" / spec.source).exists() else spec.source
    if name in STOPPED:
        entry.note("resumed", lambda: gone_on("run", source))
        return entry
    entry.note("scores", lambda: scores_of("run", folder / "events" / f"{name}.npz"))
    entry.note("reads", lambda: split_hashes_of("run", source))
    packed = folder / "packed" / f"{name}.ptz"
    if packed.exists():
        entry.note("unpacked", lambda: told_and_files("decompress", "run", packed, "unpacked"))
    return entry


def card_of(run: str) -> Any:
    """What `ptheta info` says, without what depends on where the folder lies."""
    card = said("info", run, "--json", last=True)
    return {k: v for k, v in card.items() if k in ("model", "space", "context_space", "codec", "fit", "parameters")}


def scores_of(run: str, file: Path) -> list[Any]:
    """Of the events kept beside a run folder; draws too."""
    model, arrays = ptheta.Run.load(run).model, np.load(file)
    found: list[Any] = []
    for name in sorted(part for part in arrays if part.endswith("-x")):
        x, key = torch.from_numpy(arrays[name]), name[:-1] + "y"
        y = torch.from_numpy(arrays[key]) if key in arrays else None
        with torch.no_grad():
            found += [model.log_prob(x, y), model.sample(len(x), y, seed=1)]
    return found


def split_hashes_of(run: str, source: str) -> list[str]:
    """Of the data of the fit, read again."""
    loaded = ptheta.Run.load(run)
    return split_hashes(loaded, loaded.reload(source))


def gone_on(run: str, source: str) -> list[str]:
    """Weights of a fit that was stopped and is resumed."""
    data = ptheta.Run.load(run).reload(source)
    found = ptheta.fit(None, data, out=run, resume=True, verbose=False, device="cpu")
    return [weights(found.model), state(found), json.dumps(without([m for m in found.metrics() if "step" in m]))]


# All entries, and comparing them


def entries(only: str) -> Iterator[tuple[str, Entry]]:
    """Name → hashes of every entry that is wanted."""
    for case in cases():
        if fnmatch.fnmatch(case.key, only):
            yield case.key, zoo_entry(case)
    rest: dict[str, Callable[[], Entry]] = {f"run/{name}": lambda name=name: run_entry(name) for name in FITS}
    rest |= {f"other/{name}": make for name, make in OTHER.items()}
    wanted = {key: make for key, make in rest.items() if fnmatch.fnmatch(key, only)}
    if not wanted:
        return
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_sources(Path())
            for key, make in wanted.items():
                yield key, make()
        finally:
            os.chdir(before)


def line(entry: Entry) -> str:
    """An entry as text."""
    return " ".join(f"{name}={value}".replace(" ", "_") for name, value in sorted(entry.items()))


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """A line for each difference."""
    lines = [f"missing  {key}" for key in old.keys() - new.keys()]
    lines += [f"new      {key}" for key in new.keys() - old.keys()]
    for key in old.keys() & new.keys():
        was, now = (dict(value.split("=", 1) for value in entry[key].split()) for entry in (old, new))
        for name in sorted(was.keys() | now.keys()):
            before, after = was.get(name), now.get(name)
            if before != after:
                lines.append(f"differs  {key} {name}: {before} → {after}")
    return sorted(lines)


def save(file: Path, found: dict[str, Any]) -> None:
    """One line an entry, sorted."""
    lines = [f"{json.dumps(key)}: {json.dumps(found[key], ensure_ascii=False)}" for key in sorted(found)]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="record")
    what.add_argument("--check", action="store_true", help="compare with what was recorded")
    parser.add_argument("--only", default="*", help="entries that match, a shell pattern")
    parser.add_argument("--file", type=Path, default=FILE, help="of the recording")
    parser.add_argument("--runs", type=Path, help="folder of recorded run folders, instead of the recording")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = asked.file.resolve() if asked.runs is None else asked.runs.resolve() / "expected.json"
    clock, found = time.perf_counter(), {}
    if asked.runs is not None:
        if asked.write:
            write_runs(asked.runs.resolve())
        found = runs_found(asked.runs.resolve())
    else:
        for key, entry in entries(asked.only):
            found[key] = line(entry)
    values = sum(len(entry.split()) for entry in found.values())
    print(f"{len(found)} entries, {values} values, {time.perf_counter() - clock:.0f} s")
    known = json.loads(file.read_text()) if file.exists() else {}
    wanted = {key: entry for key, entry in known.items() if fnmatch.fnmatch(key, asked.only)}
    if asked.write:
        save(file, {key: entry for key, entry in known.items() if key not in wanted} | found)
        return 0
    lines = differences(wanted, found)
    print("\n".join([*lines, f"{len(lines)} differences"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
