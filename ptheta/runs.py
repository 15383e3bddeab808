"""The run folder: what a fit leaves on disk, and everything needed to use it.

    config.json          model, spaces, codec, seed, settings, versions, data; carries its own hash
    model.safetensors    weights; carries their hash and the config's
    metrics.jsonl        one line a validation, and the final scores
    samples.png (.txt)   samples in the form of the data
    README.md            model card
    checkpoint/          state of an unfinished fit, for exact resumption

Nothing in it is ever executed, no link in it is followed, and no pickle is read.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ptheta.configs import FORMAT, REFIT, build_model, config_digest, read_config
from ptheta.errors import FitError, PthetaError, RunError, nearest
from ptheta.evaluation import Score, evaluate
from ptheta.files import write_text
from ptheta.models import Counting, Model, name_of
from ptheta.models.zoo import ZOO
from ptheta.weights import read_tensors, write_tensors

if TYPE_CHECKING:
    from ptheta.data import Codec, ContextCodec, Data


class Run:
    """A fitted model with its codec and history.

    Args:
        path: the run folder.
        config: content of config.json.
        model: with the best weights.
        data: the data it was fitted on, if at hand; otherwise they are loaded again from their source when needed.

    `Run.load(path)` opens a folder; `ptheta.fit` makes one.
    """

    def __init__(self, path: Path, config: dict[str, Any], model: Model, data: Data | None = None):
        self.path = Path(path)
        self.config = config
        self.model = model
        self._data = data

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.name} on {self.config['data']['name']}, {self.model.space})"

    # Parts

    @property
    def name(self) -> str:
        """The zoo's name of the model."""
        return self.config["model"]["family"]

    @functools.cached_property
    def codec(self) -> Codec:
        """Raw value ↔ event, as it was in the fit."""
        from ptheta.data import Codec

        return Codec.from_json(self.config["codec"])

    @functools.cached_property
    def context_codec(self) -> ContextCodec | None:
        """What a person gives ↔ context, as it was in the fit; None if there is no context."""
        from ptheta.data import Codec, ContextCodec

        if self.config["context_codec"] is None:
            return None
        codec = Codec.from_json(self.config["context_codec"])
        if not isinstance(codec, ContextCodec) or codec.space != self.model.context_space:
            raise RunError(f"the context codec of {self.path} does not fit its model", REFIT)
        return codec

    @property
    def has_data(self) -> bool:
        """Whether it was fitted on data, and not to a target density."""
        return bool(self.config["data"]["splits"])

    @property
    def data(self) -> Data:
        """The data of the fit, loaded again from their source if need be."""
        if self._data is None:
            self._data = self.reload(self.config["data"]["request"].get("source"))
        return self._data

    @property
    def own_data(self) -> Data:
        """`data`, which are those of the fit for certain, so that train is what was learned from.

        Raises:
            RunError: they have changed since the fit.
        """
        data = self.data
        if not self._fits(data):
            raise RunError(f"the data of {self.path} have changed since the fit", "restore them, or fit again")
        return data

    def reload(self, source: Any, **columns: str) -> Data:
        """The data of the fit from `source`, split and drawn as they were; `columns` take the place of the fit's."""
        from ptheta.data import load

        if not self.has_data:
            raise _no_data(self.path)
        if source is None:
            raise RunError(f"{self.path} was fitted on data in memory", "give the data again")
        request = self.config["data"]["request"] | columns
        if "fit" not in request and self._has_pictures():  # of a run made before pictures were cropped
            request |= {"size": request.get("size") or "native", "fit": "stretch"}
        return load(source, **{k: v for k, v in request.items() if k != "source"})

    def _has_pictures(self) -> bool:
        """Whether events or contexts are read from pictures."""
        from ptheta.data.codecs import JointCodec, PictureCodec

        given = self.context_codec
        codecs = [self.codec, *(given.codecs.values() if isinstance(given, JointCodec) else [given])]
        return any(isinstance(codec, PictureCodec) for codec in codecs)

    def read(self, source: Any, event: str | None = None, context: str | None = None) -> Data:
        """Another source as events of this run, through its codec.

        Args:
            source: anything `ptheta.load` takes.
            event, context: columns; None: named as in the fit.
        """
        from ptheta.data import load

        request = self.config["data"]["request"]
        return load(
            source,
            event=event or request["event"],
            context=context or request["context"],
            codec=self.codec,
            context_codec=self.context_codec,
        )

    def same(self, source: str, event: str | None = None, context: str | None = None) -> Data | None:
        """The data of the fit, if `source` holds them unchanged, where they were or under the same name; else None.

        Args:
            source: a path or name.
            event, context: columns, however they are written; None: named as in the fit.
        """
        if Path(source).name != Path(self.config["data"]["request"].get("source") or "").name:
            return None
        columns = {name: value for name, value in (("event", event), ("context", context)) if value is not None}
        try:
            data = self.reload(source, **columns)
        except PthetaError:  # other data, which the options of the fit do not suit
            return None
        return data if self._fits(data) else None

    def _fits(self, data: Data) -> bool:
        """Whether data are those of the fit: the same events, made alike of their values."""
        codecs = (self.codec, self.context_codec)
        return data.fingerprint == self.config["data"]["fingerprint"] and (data.codec, data.context_codec) == codecs

    def events(self, file: str | Path) -> Tensor:
        """Events of one file in the form of the data (a picture, rows of a table, text), [n, *space.shape]."""
        return self.model.space.validate(self.codec.read(file))

    @property
    def checkpoint(self) -> Path:
        """File of the state of an unfinished fit."""
        return self.path / "checkpoint" / "state.safetensors"

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; lines torn by a crash are left out."""
        path = self.path / "metrics.jsonl"
        lines: list[dict[str, Any]] = []
        if path.is_file() and not path.is_symlink():
            for line in path.read_text().splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    lines.append(json.loads(line))
        return [line for line in lines if isinstance(line, dict)]

    def results(self) -> dict[str, Any]:
        """The last scores recorded by a fit, as its `--json` printed them; empty if it did not get so far."""
        final = [line["results"] for line in self.metrics() if "results" in line]
        if not final:
            return {}
        if "nats" not in final[-1]:  # of a target: what is infinite is a free energy, with its error
            return {k: math.inf if v is None else v for k, v in final[-1].items()}
        error = math.inf if final[-1].get("nats") is None else math.nan  # of one event there is none
        infinite = ("nats", "nats_per_token", "bits_per_byte", "perplexity", self.codec.bits_key)
        lost = {"nats_se": error} | dict.fromkeys(infinite, math.inf)
        return {k: lost.get(k) if v is None else v for k, v in final[-1].items()}

    def plan(self) -> dict[str, Any]:
        """Budget and settings of the fit: as it was resumed last, or as it began."""
        resumed = [line["resumed"] for line in self.metrics() if "resumed" in line]
        return resumed[-1] if resumed else self.config["fit"]

    def same_seed(self, seed: int | None, *, other: bool) -> int:
        """The seed to go on with.

        Raises:
            RunError: another one is given, and `other` ones are not wanted.
        """
        stored = self.config["seed"]
        if seed in (None, stored):
            return stored
        if not other:
            raise RunError(
                f"{self.path} was fitted with seed {stored}", "leave out --seed, or continue with --resume-inexact"
            )
        return seed

    def note_resumed(self, plan: dict[str, Any], seed: int, data: Data) -> None:
        """Note in the metrics that the fit was resumed, and how. The config stays as the fit began."""
        self.log({"resumed": plan | {"seed": seed, "fingerprint": data.fingerprint}})

    # Use

    def evaluate(self, split: str = "test", *, limit: int | None = None) -> Score:
        """Score a split of the run's own data.

        Args:
            split: train, validation or test.
            limit: score at most so many events, drawn with a fixed seed.
        """
        if not self.has_data:
            raise _no_data(self.path)
        splits = self.data.splits
        if split not in splits:
            raise RunError(f"the data have no split {split!r}", nearest(split, list(splits)))
        return evaluate(self.model, splits[split], limit=limit)

    # Disk

    def save_config(self) -> None:
        """Write config.json durably; the folder is made if missing."""
        write_text(self.path / "config.json", json.dumps(self.config, indent=1, ensure_ascii=False) + "\n")

    def save_weights(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write the model's weights, or the given ones, durably."""
        state = self.model.state_dict() if weights is None else weights
        write_tensors(self.path / "model.safetensors", state, {"config": self.config["sha256"]})

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        try:
            with path.open("ab+") as file:
                file.seek(max(0, file.tell() - 1))
                torn = file.read(1) not in (b"", b"\n")
                file.write(b"\n" * torn + json.dumps(_finite(record)).encode() + b"\n")
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}", "free disk space, then use --resume") from error

    @classmethod
    def create(cls, path: Path, model: Model, data: Data, fit: dict[str, Any], seed: int) -> Run:
        """A run that is about to be fitted; nothing is written yet.

        Args:
            path: of its folder.
            model: of a family in the zoo.
            data: to be fitted.
            fit: budget and settings, JSON values.
            seed: of the fit.
        """
        name = name_of(model)
        if name not in ZOO:
            raise FitError(
                f"{type(model).__name__} is not in the zoo, so its run could not be loaded again",
                "add a row for it to ptheta.models.ZOO",
            )
        config: dict[str, Any] = {
            "format": FORMAT,
            "model": {"family": name, "hyperparameters": model.hyperparameters()},
            "space": model.space.to_json(),
            "context_space": None if model.context_space is None else model.context_space.to_json(),
            "codec": data.codec.to_json(),
            "context_codec": None if data.context_codec is None else data.context_codec.to_json(),
            "data": describe(data),
            "fit": fit,
            "seed": seed,
            "versions": versions(),
        }
        config = json.loads(json.dumps(config))
        config["sha256"] = config_digest(config)
        return cls(path, config, model, data)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Run:
        """Open and verify a run folder.

        Raises:
            RunError: it is missing, damaged, edited, or made by a newer format.
        """
        path = Path(path)
        config = read_config(path)
        tensors, metadata = _weights(path, config)
        model = build_model(config)
        _check_tensors(path, model, tensors)
        model.load_state_dict(tensors)
        if metadata.get("config") != config["sha256"]:
            raise RunError(f"{path}/model.safetensors belongs to another config.json", REFIT)
        return cls(path, config, model.to(device).eval())


def describe(data: Data) -> dict[str, Any]:
    """What a config keeps of its data: where they came from, columns, sizes and fingerprint."""
    return {
        "name": data.name,
        "source": data.source,
        "request": data.request,
        "splits": {name: len(split) for name, split in data.splits.items()},
        "fingerprint": data.fingerprint,
        "notes": data.notes,
    }


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "ptheta": version("ptheta"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": version("numpy"),
        "platform": f"{sys.platform}-{platform.machine()}",
    }


def _no_data(path: Path) -> RunError:
    return RunError(f"{path} was fitted to a target density, so it has no data", "name a source of events")


def _weights(path: Path, config: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    file = path / "model.safetensors"
    if not file.exists() and not file.is_symlink():
        raise RunError(
            f"{path} has no weights yet: the fit stopped before its first checkpoint",
            "continue it with `ptheta fit … --resume`",
        )
    return read_tensors(file)


def _check_tensors(path: Path, model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Names and shapes of the weights must be those of the model the config describes."""
    expected = model.state_dict()
    growing = model.growing if isinstance(model, Counting) else ()
    wrong = [f"{name} is missing" for name in expected.keys() - tensors.keys()]
    wrong += [f"{name} is unknown" for name in tensors.keys() - expected.keys()]
    for name in expected.keys() & tensors.keys():
        have, want = list(tensors[name].shape), list(expected[name].shape)
        if have != want and not (name in growing and have[1:] == want[1:]):
            wrong.append(f"{name} has shape {have} for {want}")
    if wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise RunError(f"config and weights of {path} disagree: {', '.join(sorted(wrong)[:4])}{more}", REFIT)


def _finite(record: Any) -> Any:
    """A record with None for what JSON lacks: infinities."""
    if isinstance(record, Mapping):
        return {k: _finite(v) for k, v in record.items()}
    return None if isinstance(record, float) and not math.isfinite(record) else record
