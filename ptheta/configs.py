"""config.json of a run folder: read and verified, and the model that it describes."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptheta.data import Data
from ptheta.errors import FitError, NoRunError, PthetaError, RunError
from ptheta.foreign import guarded
from ptheta.listing import entries, is_file, is_folder
from ptheta.models import Model, family
from ptheta.models.building import seeded
from ptheta.models.ensembles.base import Ensemble
from ptheta.models.ensembles.kinds import ensemble_of
from ptheta.models.limits import Exceeded, Limited
from ptheta.models.zoo import stored_name
from ptheta.run_folders import recover
from ptheta.spaces import Space

FORMAT = 5
"""Version of the run folder's format; a newer one is refused."""

OLDEST = 3
"""The oldest format that is read: its models compute what those of today do."""

NUMBERED, BY_NAME = 5, ("made", "markov_mlp")
"""The format since which these families take the levels of waveforms for numbers."""

HASHED = 4
"""The format since which every line of metrics.jsonl has a hash."""

FIELDS = (
    "format",
    "model",
    "space",
    "context_space",
    "codec",
    "context_codec",
    "data",
    "fit",
    "seed",
    "versions",
    "sha256",
)

REFIT = "restore it from a copy, or fit again"
"""What helps against damage."""


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a run folder, verified against its hash."""
    file = path / "config.json"
    if "\0" in str(path):
        raise NoRunError("no path contains a null character", "give the folder that `ptheta fit` printed")
    recover(path)
    if is_file(path):
        what = "a compressed file" if path.suffix == ".ptz" else "a file"
        raise RunError(f"{path} is {what}, not a run folder", "give the folder that `ptheta fit` printed")
    if not is_folder(path):
        raise NoRunError(f"no run folder {path}", "give the folder that `ptheta fit` printed")
    inside = entries(path)
    checkpoint = path / "checkpoint"
    if is_folder(checkpoint) and not checkpoint.is_symlink():
        inside += entries(checkpoint)
    links = [entry.name for entry in inside if entry.is_symlink()]
    if links:
        raise RunError(f"{path} contains the link {sorted(links)[0]}, which is never followed", "remove it")
    if not is_file(file):
        if runs := [entry.name for entry in inside if is_file(entry / "config.json")]:
            raise RunError(f"{path} is a folder of runs", f"name one of them, such as {path / runs[0]}")
        raise RunError(
            f"{path} is not a run folder: it has no config.json", "give the folder that `ptheta fit` printed"
        )
    with guarded(file, REFIT, error=RunError, problem="{origin} is damaged"):
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is not an object")
    if isinstance(config.get("format"), int) and config["format"] > FORMAT:
        raise RunError(
            f"{path} has format {config['format']}, newer than the {FORMAT} this ptheta reads", "upgrade ptheta"
        )
    if isinstance(config.get("format"), int) and config["format"] < OLDEST:
        raise RunError(
            f"{path} has format {config['format']}: its model was computed differently before format {OLDEST}",
            "fit again, or use the ptheta version that made it",
        )
    unknown, missing = sorted(config.keys() - set(FIELDS)), [f for f in FIELDS if f not in config]
    if unknown or missing:
        what = [f"unknown field {f!r}" for f in unknown] + [f"missing field {f!r}" for f in missing]
        more = f" and {len(what) - 3} more" if len(what) > 3 else ""
        raise RunError(f"{file} does not fit this format: {', '.join(what[:3])}{more}", REFIT)
    if config["sha256"] != config_digest(config):
        raise RunError(f"{file} was edited: its content does not match its hash", REFIT)
    by_name = config["space"].get("kind") == "waveform" and config["model"].get("family") in BY_NAME
    if config["format"] < NUMBERED and by_name:
        raise RunError(
            f"{path} has format {config['format']}: its model treats levels of a waveform as categories",
            "fit again, or use the ptheta version that made it",
        )
    return config


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of a config without its own hash."""
    content = {k: v for k, v in config.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def describe_model(model: Model) -> dict[str, Any]:
    """What a config keeps of a model: family, hyperparameters, and of each part the same with its spaces; of an
    ensemble what its first member is, and in what of that the hyperparameters of each member differ.

    Raises:
        FitError: it could not be built again.
    """
    if isinstance(model, Ensemble):
        first = describe_model(model.members[0])
        if "parts" in first:
            raise FitError("members made of parts cannot be stored", "fit one member: --members 1")
        all_of = [_storable(member) for member in model.members]
        own = [{k: v for k, v in one.items() if v != first["hyperparameters"][k]} for one in all_of]
        return first | {"members": own}
    name = stored_name(model)
    if len({id(part) for part in model.parts().values()}) < len(model.parts()):
        raise FitError(f"one model is two parts of {type(model).__name__}", "give copies: copy.deepcopy(part)")
    described: dict[str, Any] = {"family": name, "hyperparameters": _storable(model)}
    parts = {
        name: {
            **describe_model(part),
            "space": part.space.to_json(),
            "context_space": None if part.context_space is None else part.context_space.to_json(),
            "frozen": part.frozen,
            "origin": part.origin,
        }
        for name, part in model.parts().items()
    }
    return described | ({"parts": parts} if parts else {})


def _storable(model: Model) -> dict[str, Any]:
    """The hyperparameters of a model, all of which JSON gives back.

    Raises:
        FitError: one is of a type that JSON lacks, or is not kept as an attribute.
    """
    found = model.hyperparameters()
    for name, value in found.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise FitError(
                f"hyperparameter {name!r} of {type(model).__name__} is a {type(value).__name__}, which config.json "
                "cannot hold",
                "use numbers, strings, bools, None, or tuples of these",
            ) from None
    return found


def build_model(config: Mapping[str, Any], weights: Mapping[str, Tensor] | None = None) -> Model:
    """The model a config describes, with fresh weights; the global random state is untouched.

    Args:
        config: of a run.
        weights: that it is to have; it is not built where it would be far larger. None: whatever its size.
    """
    held = 0 if weights is None else sum(tensor.nbytes for tensor in weights.values())
    size = 0 if weights is None else len(weights)
    limit = nullcontext() if weights is None else Limited(2**28 + 16 * held, 10_000 + 200 * size)
    with guarded("the config", REFIT, error=RunError, problem="{origin} does not describe a model"):
        try:
            with seeded(config["seed"]), limit:
                return _built(config["model"], config["space"], config["context_space"])
        except RunError:
            raise
        except Exceeded:
            raise RunError("the config claims far more layers or numbers than its weights have", REFIT) from None
        except PthetaError as error:
            raise RunError(f"the config does not describe a model: {error.problem}", error.remedy) from error


def _built(described: Mapping[str, Any], space: Any, context_space: Any) -> Model:
    """A model and its parts, from the innermost one on."""
    parts: dict[str, Any] = {}
    for name, part in described.get("parts", {}).items():
        built = _built(part, part["space"], part["context_space"])
        built.origin = part["origin"]
        if part["frozen"]:
            built.freeze(part["origin"])
        single, dot, _ = name.partition(".")
        parts[single] = (*parts.get(single, ()), built) if dot else built
    cls, event = family(described["family"]).load(), Space.from_json(space)
    context = None if context_space is None else Space.from_json(context_space)

    def member(own: Mapping[str, Any]) -> Model:
        values = {**described["hyperparameters"], **own}
        return cls(event, context, **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, **parts)

    return ensemble_of(map(member, described["members"])) if "members" in described else member({})


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


_version = functools.cache(version)  # it reads a file


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "ptheta": _version("ptheta"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": _version("numpy"),
        "platform": f"{sys.platform}-{platform.machine()}",
    }
