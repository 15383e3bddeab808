"""config.json of a run folder: read and verified, and the model that it describes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta.errors import PthetaError, RunError
from ptheta.listing import entries, is_file, is_folder, unreadable
from ptheta.models import Model
from ptheta.models.building import build
from ptheta.run_folders import recover
from ptheta.spaces import Space

FORMAT = 4
"""Version of the run folder's format; a newer one is refused."""

OLDEST = 3
"""The oldest format that is read: its models compute what those of today do."""

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
    recover(path)
    if not is_folder(path):
        raise RunError(f"no run folder {path}", "give the folder that `ptheta fit` printed")
    inside = entries(path)
    checkpoint = path / "checkpoint"
    if is_folder(checkpoint) and not checkpoint.is_symlink():
        inside += entries(checkpoint)
    links = [entry.name for entry in inside if entry.is_symlink()]
    if links:
        raise RunError(f"{path} holds the link {sorted(links)[0]}, which is never followed", "remove it")
    if not is_file(file):
        raise RunError(f"{path} is no run folder: it has no config.json", "give the folder that `ptheta fit` printed")
    try:
        config = json.loads(file.read_text())
        if not isinstance(config, dict):
            raise ValueError("it is not an object")
    except PermissionError as error:
        raise unreadable(file, error) from None
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise RunError(f"{file} is damaged: {error}", REFIT) from error
    if isinstance(config.get("format"), int) and config["format"] > FORMAT:
        raise RunError(
            f"{path} has format {config['format']}, newer than the {FORMAT} this ptheta reads", "upgrade ptheta"
        )
    if isinstance(config.get("format"), int) and config["format"] < OLDEST:
        raise RunError(
            f"{path} has format {config['format']}: its model was computed otherwise than format {OLDEST}'s",
            "fit again, or use the ptheta that made it",
        )
    unknown, missing = sorted(config.keys() - set(FIELDS)), [f for f in FIELDS if f not in config]
    if unknown or missing:
        what = [f"unknown field {f!r}" for f in unknown] + [f"missing field {f!r}" for f in missing]
        more = f" and {len(what) - 3} more" if len(what) > 3 else ""
        raise RunError(f"{file} does not fit this format: {', '.join(what[:3])}{more}", REFIT)
    if config["sha256"] != config_digest(config):
        raise RunError(f"{file} was edited: its content does not match its hash", REFIT)
    return config


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of a config without its own hash."""
    content = {k: v for k, v in config.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def build_model(config: Mapping[str, Any]) -> Model:
    """The model a config describes, with fresh weights; the global random state is untouched."""
    context = config["context_space"]
    try:
        return build(
            config["model"]["family"],
            Space.from_json(config["space"]),
            None if context is None else Space.from_json(context),
            {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"]["hyperparameters"].items()},
            seed=config["seed"],
        )
    except PthetaError as error:
        raise RunError(f"the config describes no model: {error.problem}", error.remedy) from error
    except (TypeError, KeyError, AttributeError) as error:
        raise RunError(f"the config describes no model: {error}", REFIT) from error
