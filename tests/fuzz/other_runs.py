"""Runs of tables and of texts: their configs, whose codecs are others, their state, and what they compress."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from forms import G, Reader
from mutations import Random, mutated_json

import ptheta
from ptheta.coding import compress, decompress
from ptheta.configs import config_digest
from ptheta.runs import Run
from ptheta.training.state import load_state


def others(folder: Path) -> list[Reader]:
    """Forms of a run of a table, and of one of texts."""
    import pandas as pd

    frame = pd.DataFrame({"a": G.normal(size=40).round(2), "b": list("wxyz") * 10, "c": range(40)})
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "t.txt").write_text("the lazy dog sleeps. " * 20)
    found = []
    for name, source, options in (("table", "t.csv", {}), ("text", "t.txt", {"length": 16})):
        data = ptheta.load(folder / source, **options)
        family, small = {"table": "table", "text": "transformer"}[name], {"width": 8, "layers": 1, "heads": 2}
        run = ptheta.fit(family, data, hyperparameters=small, steps=1, out=folder / name, verbose=False)
        found += _forms(name, run, folder / source, folder)
    return found


def _forms(name: str, run: Run, source: Path, folder: Path) -> list[Reader]:
    path, archive, out = run.path, folder / f"{name}.ptz", folder / f"{name}.out"
    compress(run, [source], archive)
    config, state = path / "config.json", run.checkpoint
    content = config.read_bytes()

    def opened(_: Path) -> None:
        again = Run.load(path)
        again.codec, again.context_codec, again.remarks  # noqa: B018
        again.results()

    def unpacked(file: Path) -> None:
        shutil.rmtree(out, ignore_errors=True)
        decompress(run, file, out)

    def resealed(_: bytes, random: Random) -> bytes:
        changed = mutated_json(json.loads(content), random)
        if isinstance(changed, dict):
            changed["sha256"] = config_digest(changed)
        return json.dumps(changed).encode()

    return [
        Reader(f"{name} ptz", archive, archive.read_bytes(), unpacked, 0.5),
        Reader(f"config of {name} resealed", config, content, opened, 0.3, resealed),
        Reader(f"state of {name}", state, state.read_bytes(), load_state, 0.5),
    ]
