"""The run folder: what a fit leaves on disk, and everything needed to use it.

    config.json          model, spaces, codec, seed, settings, versions, data; carries its own hash
    model.safetensors    weights; carries their hash and the config's
    metrics.jsonl        one line a validation, and the final scores; each carries its hash
    samples.png (.txt)   samples in the form of the data
    README.md            model card
    checkpoint/          state of an unfinished fit, for exact resumption

Nothing in it is ever executed, no link in it is followed, and no pickle is read.
"""

from __future__ import annotations

import copy
import json
import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor

from ptheta.configs import (
    FORMAT,
    config_digest,
    describe,
    describe_model,
    versions,
)
from ptheta.data import Data, load
from ptheta.data.codecs import FrameCodec
from ptheta.data.formats import MISSING
from ptheta.data.loading import address, words_of
from ptheta.data.options import TextTables
from ptheta.data.sources.asked import asking
from ptheta.errors import PthetaError, RunError, UsageError, nearest
from ptheta.evaluation.nats import evaluate
from ptheta.evaluation.results import KEYS, Score
from ptheta.listing import exists
from ptheta.models import Model
from ptheta.raw_use import RawUse
from ptheta.remarks import announce
from ptheta.typed import typed
from ptheta.weights import digest

MISSING_BEFORE = ["none", "NA", "N/A", "NaN", "nan", "null", "NULL"]
"""Words for missing cells in a run from before they could be asked for."""

CHANGED = "have changed since the fit, or this version of ptheta reads them differently"
"""What is known of data of other events than those of the fit."""


class Run(RawUse):
    """A fitted model with its codec and history.

    Args:
        path: the run folder.
        config: content of config.json.
        model: with the best weights.
        data: the data it was fitted on, if at hand; otherwise they are loaded again from their source when needed.
        replaces: whether another run lies in the folder, which stays there until this one has weights.

    `Run.load(path)` opens a folder; `ptheta.fit` makes one.
    """

    def __init__(
        self, path: Path, config: dict[str, Any], model: Model, data: Data | None = None, *, replaces: bool = False
    ):
        super().__init__(path, config, model, replaces=replaces)
        self._data = data

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.name} on {self.config['data']['name']}, {self.model.space})"

    # Parts

    @property
    def has_data(self) -> bool:
        """Whether it was fitted on data, and not to a target density."""
        return bool(self.config["data"]["splits"])

    @property
    def data(self) -> Data:
        """The data of the fit, loaded again from their source if need be."""
        if self._data is None:
            source = self.config["data"]["request"].get("source")
            if source is not None:
                announce(f"opening {source}, the data that {self.path} was fitted on")
            self._data = self.reload(source)
        return self._data

    @property
    def own_data(self) -> Data:
        """`data`, which are those of the fit for certain, so that train is what it was trained on.

        Raises:
            RunError: they have changed since the fit.
        """
        data = self.data
        if not self._fits(data):
            raise RunError(f"the data of {self.path} {CHANGED}", "restore them, or fit again")
        return data

    def reload(self, source: Any, **columns: str) -> Data:
        """The data of the fit from `source`, split and drawn as they were; `columns` take the place of the fit's.

        Paths that the data name are followed within `ptheta.listing.following`, and never because a run says so.
        """
        if not self.has_data:
            raise _no_data(self.path)
        if source is None:
            raise RunError(f"{self.path} was fitted on data in memory", "give the data again")
        request = self.config["data"]["request"] | columns
        if "fit" not in request and self._has_pictures():  # of a run made before pictures were cropped
            request |= {"size": request.get("size") or "native", "fit": "stretch"}
        if isinstance(self.codec, FrameCodec):  # what was inferred once is not inferred again
            request |= {"event": request.get("event") or self.codec.names, "columns": self.codec.taken_as}
        with self.reading(alone=True):
            return load(source, **{k: v for k, v in request.items() if k not in ("source", "follow_paths")})

    def _has_pictures(self) -> bool:
        """Whether events or contexts are read from pictures."""
        from ptheta.data.codecs import JointCodec

        given = self.context_codec
        codecs = [self.codec, *(given.codecs.values() if isinstance(given, JointCodec) else [given])]
        return any(codec.noun == "picture" for codec in codecs if codec is not None)

    def read(
        self,
        source: Any,
        event: str | None = None,
        context: str | None = None,
        *,
        limit: int | None = None,
        follow_paths: bool = False,
    ) -> Data:
        """Another source as events of this run, through its codec.

        Args:
            source: anything `ptheta.load` takes.
            event, context: columns; None: named as in the fit.
            limit: read at most this many events of each split; of text, the first.
            follow_paths: open files that the source names wherever they are; a run's own option has no say in that.
        """
        request = self.config["data"]["request"]
        with self.reading():
            return load(
                source,
                event=event or request["event"],
                context=context or request["context"],
                codec=self.codec,
                context_codec=self.context_codec,
                limit=limit,
                follow_paths=follow_paths,
            )

    def reading(self, *, alone: bool = False) -> AbstractContextManager[Any]:
        """Within, text tables are read as for the fit, unless something else is asked: missing words, separators,
        the decimal marks of columns that leave them open, and classes that now are words for missing cells.

        Args:
            alone: whatever else is asked.
        """
        request = self.config["data"]["request"]
        given = {one.name: request[one.name] for one in TextTables.options() if one.name in request}
        given.setdefault("missing", MISSING_BEFORE)
        writings = self.codec.writings | (self.context_codec.writings if self.context_codec else {})
        decimals = {name: way["decimal"] for name, way in writings.items()}
        known = words_of(self.codec, self.context_codec, request.get("context"), None)
        words = {name: values for name, values in known.items() if {*values} & {*MISSING}}
        return asking(TextTables(**given), words=words, decimals=decimals, usually=True, alone=alone)

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

    def doubt(self, source: str) -> str | None:
        """That a source holds the data of the fit but not their events, in a sentence; None of any other source.

        Args:
            source: a path or name that `same` did not take for the data of the fit.
        """
        own = self.config["data"]["request"].get("source")
        moved = own is not None and not exists(Path(own)) and Path(own).name == Path(source).name
        if own is None or (address(source) != own and not moved):
            return None
        return f"the data of {self.path} {CHANGED}, so events that it learned from may be among those of {source}"

    def _fits(self, data: Data) -> bool:
        """Whether data are those of the fit: the same events, made alike of their values."""
        codecs = (self.codec, self.context_codec)
        return data.fingerprint == self.config["data"]["fingerprint"] and (data.codec, data.context_codec) == codecs

    def events(self, file: str | Path) -> Tensor:
        """Events of one file in the form of the data (a picture, rows of a table, text), [n, *space.shape]."""
        from ptheta.data.reading import events_of_file

        with self.reading():
            return self.model.space.validate(events_of_file(self.codec, file))

    def results(self) -> dict[str, Any]:
        """The last scores recorded by a fit, as its `--json` printed them; empty if it did not get so far."""
        final = [line["results"] for line in self.metrics() if "results" in line]
        if not final:
            return {}
        found = final[-1]
        key = next((key for key in KEYS.values() if key in found), None)
        if key is None:  # of a target: what is infinite is a free energy, with its error
            return {k: math.inf if v is None else v for k, v in found.items()}
        error = math.inf if found[key] is None else math.nan  # of one event there is none
        infinite = (key, "nats_per_token", "bits_per_byte", "perplexity", self.codec.bits_key)
        lost = {f"{key}_se": error} | dict.fromkeys(infinite, math.inf)
        return {k: lost.get(k) if v is None else v for k, v in found.items()}

    def same_seed(self, seed: int | None, *, other: bool) -> int:
        """The seed to resume with.

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

    @typed
    def evaluate(self, split: str = "test", *, limit: int | None = None, draws: int = 1, seed: int = 0) -> Score:
        """Score a split of the run's own data.

        Args:
            split: train, validation or test.
            limit: score at most this many events, drawn with a fixed seed.
            draws, seed: of a bound, see `Model.elbo`.
        """
        if not self.has_data:
            raise _no_data(self.path)
        if limit is not None and limit < 1:
            raise UsageError(f"limit is {limit}", "give at least 1")
        splits = self.data.splits
        if split not in splits:
            raise RunError(f"the data have no split {split!r}", nearest(split, list(splits)))
        return evaluate(self.model, splits[split], limit=limit, draws=draws, seed=seed)

    def as_part(self, *, frozen: bool = True) -> Model:
        """The model, to make another model of; its config then names this run by its digests.

        Args:
            frozen: keep its weights as they are.
        """
        model = copy.deepcopy(self.model)
        model.origin = {"config": self.config["sha256"], "weights": digest(model.state_dict())}
        return model.freeze(model.origin) if frozen else model

    @classmethod
    def create(
        cls, path: Path, model: Model, data: Data, fit: dict[str, Any], seed: int, *, replaces: bool = False
    ) -> Run:
        """A run that is about to be fitted; nothing is written yet.

        Args:
            path: of its folder.
            model: of a family in the zoo.
            data: to be fitted.
            fit: budget and settings, JSON values.
            seed: of the fit.
            replaces: whether it is to take the place of a run in the folder.
        """
        config: dict[str, Any] = {
            "format": FORMAT,
            "model": describe_model(model),
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
        return cls(path, config, model, data, replaces=replaces)


def _no_data(path: Path) -> RunError:
    return RunError(f"{path} was fitted to a target density, so it has no data", "name a source of events")
