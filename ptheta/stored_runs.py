"""A run on disk: its folder is created, verified, written durably and replaced.

    config.json          model, spaces, codec, seed, settings, versions, data; carries its own hash
    model.safetensors    weights; carries their hash and the config's
    metrics.jsonl        one line a validation, and the final scores; each carries its hash
    checkpoint/          state of an unfinished fit, for exact resumption

Nothing in it is ever executed, no link in it is followed, and no pickle is read.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ptheta.configs import HASHED, REFIT, build_model, config_digest, describe_model, read_config
from ptheta.errors import RunError, UsageError
from ptheta.files import naming, write_text
from ptheta.foreign import guarded
from ptheta.journal import Journal
from ptheta.models import Counting, Model
from ptheta.numbers import plural
from ptheta.run_folders import install, is_fixed, remove, share, staging
from ptheta.training import choose_device
from ptheta.typed import typed
from ptheta.weights import read_tensors, write_tensors


class StoredRun:
    """The folder of a run, and what it describes.

    Args:
        path: the run folder.
        config: content of config.json.
        model: with the best weights.
        replaces: whether another run lies in the folder, which stays there until this one has weights.
    """

    def __init__(self, path: Path, config: dict[str, Any], model: Model, *, replaces: bool = False):
        self.path = Path(path)
        self.config = config
        self.model = model
        self._pending = replaces
        self._journal = Journal(self.path / "metrics.jsonl", hashed=config["format"] >= HASHED, held=replaces)
        self._remarks: list[str] = []

    @property
    def checkpoint(self) -> Path:
        """File of the state of an unfinished fit."""
        return self.path / "checkpoint" / "state.safetensors"

    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl; lines that are damaged or torn are skipped, and counted in `remarks`."""
        return self._journal.records()[0]

    @property
    def remarks(self) -> list[str]:
        """What is not as it should be in the folder, or was not during the fit, in sentences."""
        damaged = self._journal.records()[1]
        skipped = f"{plural(damaged, 'damaged line')} of {self.path / 'metrics.jsonl'} skipped"
        return self._remarks + [skipped] * bool(damaged)

    @property
    def notes(self) -> list[str]:
        """What was taken, left out and reinterpreted of the data, and what was remarked later in the fit."""
        later = [note for line in self.metrics() for note in line.get("notes", [])]
        return list(dict.fromkeys([*self.config["data"]["notes"], *later]))

    @property
    def is_pending(self) -> bool:
        """Whether another run still lies in the folder, since this one has no weights yet."""
        return self._pending

    def plan(self) -> dict[str, Any]:
        """Budget and settings of the fit: as it was resumed last, or as it began."""
        resumed = [line["resumed"] for line in self.metrics() if "resumed" in line]
        return resumed[-1] if resumed else self.config["fit"]

    def begin(self) -> None:
        """Write config.json durably, unless the run replaces another; the folder is made if missing."""
        if not self._pending:
            self._save_config(self.path)

    def save_weights(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write the model's weights, or the given ones, durably. A run that replaces another takes its place now.

        Raises:
            RunError: the folder holds another run than at the start.
            UsageError: the folder cannot be written.
        """
        state = self.model.state_dict() if weights is None else weights
        if self._pending:
            self._take_place(state)
        else:
            self._ensure()
            self._save_tensors(self.path, state)

    def become(self, model: Model) -> None:
        """Let another model of the same spaces be that of the run, with its weights; both change on disk at once.

        Raises:
            RunError: the folder holds another run than at the start.
            UsageError: the folder cannot be written.
        """
        if not self._pending:
            self._ensure()
        config = json.loads(json.dumps(self.config | {"model": describe_model(model)}))
        config["sha256"] = config_digest(config)
        self.config, self.model = config, model
        if self._pending:
            self._take_place(model.state_dict())
        elif is_fixed(self.path):
            self._save_config(self.path)
            self._save_tensors(self.path, model.state_dict())
        else:
            self._exchange(model.state_dict())

    def make_whole(self) -> None:
        """Write config, metrics and the model's weights again where the folder was removed during the fit."""
        self._ensure()
        if not (self.path / "model.safetensors").exists():
            self.save_weights()

    def discard(self) -> None:
        """Remove what a fit that failed has written, if it has no weights yet; nothing else is touched."""
        if self._pending or (self.path / "model.safetensors").exists():
            return
        with contextlib.suppress(RunError):  # it is no longer there, or no longer this run's
            if read_config(self.path)["sha256"] == self.config["sha256"]:
                remove(self.path)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to metrics.jsonl."""
        if not self._pending:
            self._ensure()
        self._journal.append(record)

    def rewind(self, step: int) -> None:
        """Forget the records of validations after a step, from which a fit resumes."""
        for remark in self.remarks:
            if remark not in self._remarks:
                self._remarks.append(remark)
        self._journal.rewind(step)

    def _take_place(self, state: Mapping[str, Tensor]) -> None:
        """Take the place of the run in the folder."""
        kept = self._exchange(state)
        self._pending = False
        self._journal.release()
        if kept:
            more = f" and {len(kept) - 5} more" if len(kept) > 5 else ""
            self._remarks.append(f"kept from the folder of the run that was replaced: {', '.join(kept[:5])}{more}")

    def _exchange(self, state: Mapping[str, Tensor]) -> list[str]:
        """Build the run beside the folder, and swap the two; returns files of the folder that were no run's."""
        staged = staging(self.path)
        try:
            with naming(staged, self.path):
                self._save_config(staged)
                self._journal.restore(staged)
                self._save_tensors(staged, state)
                if not self._pending:
                    share(self.path, staged, besides={"config.json", "metrics.jsonl", "model.safetensors"})
            return install(staged, self.path)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be replaced: {error.strerror or error}", "choose another --out"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                remove(staged)

    def _ensure(self) -> None:
        """Check that the folder is still this run's; one that was removed is made again."""
        if (self.path / "config.json").is_file():
            if read_config(self.path)["sha256"] != self.config["sha256"]:
                raise RunError(f"{self.path} now holds another run", "fit again with another --out")
        else:
            self._save_config(self.path)
            self._journal.restore(self.path)
            self._remarks.append(f"{self.path} was removed during the fit, and has been written again")

    def _save_config(self, folder: Path) -> None:
        write_text(folder / "config.json", json.dumps(self.config, indent=1, ensure_ascii=False) + "\n")

    def _save_tensors(self, folder: Path, state: Mapping[str, Tensor]) -> None:
        write_tensors(folder / "model.safetensors", state, {"config": self.config["sha256"]})

    @classmethod
    @typed
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Self:
        """Open and verify a run folder.

        Args:
            path: of the folder.
            device: `cpu`, `cuda` or `auto`.

        Raises:
            RunError: it is missing, damaged, edited, or made by a newer format.
        """
        path, place = Path(path), choose_device(device)
        with guarded(path, REFIT, error=RunError, problem="{origin} cannot be loaded"):
            config = read_config(path)
            tensors, metadata = _weights(path, config)
            model = build_model(config, tensors)
            _check_tensors(path, model, tensors)
            model.load_state_dict(tensors)
            if metadata.get("config") != config["sha256"]:
                raise RunError(f"{path}/model.safetensors belongs to another config.json", REFIT)
        return cls(path, config, model.to(place).eval())


def _weights(path: Path, config: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    file = path / "model.safetensors"
    if not file.exists() and not file.is_symlink():
        raise RunError(
            f"{path} has no weights yet: the fit stopped before its first checkpoint",
            f"continue it with: ptheta fit --resume --out {shlex.quote(str(path))}",
        )
    return read_tensors(file)


def _check_tensors(path: Path, model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Names and shapes of the weights must be those of the model the config describes."""
    expected = model.state_dict()
    growing = {
        f"{prefix}.{name}".removeprefix(".")
        for prefix, part in model.named_modules()
        if isinstance(part, Counting)
        for name in part.growing
    }
    wrong = [f"{name} is missing" for name in expected.keys() - tensors.keys()]
    wrong += [f"{name} is unknown" for name in tensors.keys() - expected.keys()]
    for name in expected.keys() & tensors.keys():
        have, want = list(tensors[name].shape), list(expected[name].shape)
        if have != want and not (name in growing and have[1:] == want[1:]):
            wrong.append(f"{name} has shape {have} for {want}")
    if wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise RunError(f"config and weights of {path} disagree: {', '.join(sorted(wrong)[:4])}{more}", REFIT)
