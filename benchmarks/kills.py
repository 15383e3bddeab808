"""Kill -9 at random moments, two writers at once, and a full disk: is what was there still there?

    python -m benchmarks.kills [--kills 60] [--seed 0] [--full-disk FOLDER]

A folder holds a run with files of the user's among its own. In every round one command, or two at once, write to it:
`fit --force`, `fit --resume`, both, two forced fits, `sample`, `compress`; each is killed at a random moment of the
time it would take. Then the run must load and verify, the user's files be as they were, samples and compressed files be
whole (the old ones or the new ones), and once the places are claimed again nothing temporary be left. At the end a fit
that was killed and resumed over and over is compared with one that was not.

FOLDER lies on a small disk of its own, of two or three megabytes:

    mount -t tmpfs -o size=3m tmpfs FOLDER
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common import machine, table
from ptheta.coding import decompress
from ptheta.files import claim
from ptheta.runs import Run

MINE = {"thesis.tex": "years of work", "notes/plan.md": "plans", "samples-of-mine/a.txt": "a"}
FIT = "fit pictures made --width 64 --checkpoint-seconds 0 --steps 400 --out runs/r"
COMMANDS = {
    "fit --force": [f"{FIT} --force"],
    "fit --resume": ["fit --resume --out runs/r"],
    "fit --force beside fit --resume": [f"{FIT} --force", "fit --resume --out runs/r"],
    "two fit --force": [f"{FIT} --force", f"{FIT} --force --seed 1"],
    "sample --force": ["sample runs/whole -n 200 --seed 1 --out samples --force"],
    "compress --force": ["compress runs/whole pictures --out x.ptz --force"],
}


def start(folder: Path, command: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "ptheta", *command.split()]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(folder: Path, command: str) -> tuple[int, str]:
    process = start(folder, command)
    said, _ = process.communicate()
    return process.returncode, said


def prepare(folder: Path) -> dict[str, float]:
    """Pictures, two runs, samples, a compressed file; returns the seconds that each command takes."""
    g = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for i in range(60):
        pixels = np.uint8(g.integers(0, 2, (8, 8)) * 255)
        Image.fromarray(pixels).save(folder / "pictures" / f"{i:02d}.png")
    seconds = {}
    for name in ("whole", "r"):
        assert finish(folder, FIT.replace("runs/r", f"runs/{name}"))[0] == 0
    for name, text in MINE.items():
        (folder / "runs" / "r" / name).parent.mkdir(exist_ok=True)
        (folder / "runs" / "r" / name).write_text(text)
    for name, commands in COMMANDS.items():
        clock = time.perf_counter()
        code, said = finish(folder, commands[0])
        assert code == 0, said
        seconds[name] = time.perf_counter() - clock
    return seconds


def faults(folder: Path) -> list[str]:
    """What is not as it must be."""
    found = []
    try:
        Run.load(folder / "runs" / "r")
    except Exception as error:
        found.append(f"the run does not load: {error}")
    for name, text in MINE.items():
        path = folder / "runs" / "r" / name
        if not path.is_file() or path.read_text() != text:
            found.append(f"{name} is gone or changed")
    pictures = sorted((folder / "samples").glob("sample-*.png"))
    for picture in pictures:
        with Image.open(picture) as opened:
            opened.load()
    if len(pictures) != 200:
        found.append(f"{len(pictures)} of 200 samples")
    with tempfile.TemporaryDirectory() as again:
        try:
            decompress(folder / "runs" / "whole", folder / "x.ptz", Path(again) / "out")
        except Exception as error:
            found.append(f"the compressed file is damaged: {error}")
    return found


def leftovers(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob(".ptheta-*")]


def kill(folder: Path, kills: int, seconds: dict[str, float], g: random.Random) -> list[list[object]]:
    """Rows of the table, one a kind of command."""
    count, broken, refused, left = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for round in range(kills):
        name = g.choice(list(COMMANDS))
        processes = [start(folder, command) for command in COMMANDS[name]]
        deadline = time.perf_counter() + g.uniform(0.3, 1.1) * seconds[name]
        while time.perf_counter() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.01)
        victims = processes if g.random() < 0.5 else processes[:1]
        for process in victims:
            process.kill()
        for process in processes:
            said, _ = process.communicate()
            refused[name] += "is being written by" in said
            if "Traceback" in said:
                broken[name] += 1
                print(f"round {round}, {name}: {said}", flush=True)
        count[name] += 1
        left[name] += bool(leftovers(folder))
        wrong = faults(folder)
        for place in ("runs/r", "samples", "x.ptz"):  # as every command that writes there begins
            with claim(folder / place):
                pass
        if rest := leftovers(folder):
            wrong.append(f"left: {rest}")
        broken[name] += bool(wrong)
        for fault in wrong:
            print(f"round {round}, {name}: {fault}", flush=True)
    return [[name, count[name], left[name], refused[name], broken[name]] for name in COMMANDS]


def resumed(folder: Path, g: random.Random, times: int = 6) -> str:
    """A fit that is killed again and again, against one that is not."""
    command = FIT.replace("runs/r", "runs/killed")
    clock = time.perf_counter()
    finish(folder, command.replace("runs/killed", "runs/unkilled"))
    seconds = time.perf_counter() - clock
    for number in range(times):
        process = start(folder, command if number == 0 else "fit --resume --out runs/killed")
        time.sleep(seconds * g.uniform(0.6, 1.0))
        process.kill()
        process.communicate()
    code, said = finish(folder, "fit --resume --out runs/killed")
    if code:
        return said
    runs = [Run.load(folder / "runs" / name) for name in ("unkilled", "killed")]
    one, other = (run.model.state_dict() for run in runs)
    same = all(torch.equal(one[name], other[name]) for name in one)
    lines = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in run.metrics() if "step" in line] for run in runs
    ]
    return f"weights {'equal' if same else 'DIFFER'}, records {'equal' if lines[0] == lines[1] else 'DIFFER'}"


def full_disk(folder: Path, disk: Path) -> list[list[object]]:
    """Commands that run out of disk: what they say, and what is left."""
    rows: list[list[object]] = []
    run = disk / "r"
    shutil.copytree(folder / "runs" / "whole", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    fit = f"fit {folder}/pictures made --steps 400 --checkpoint-seconds 0"
    for name, command in {
        "fit --force of a larger model": f"{fit} --width 800 --out {run} --force",
        "a new fit of a larger model": f"{fit} --width 800 --out {disk}/new",
        "sample of 3,000 pictures": f"sample {run} -n 3000 --out {disk}/samples",
        "compress of noise": f"compress {run} {folder}/noise --out {disk}/x.ptz",
    }.items():
        code, said = finish(folder, command)
        kept = all(path.is_file() and path.read_bytes() == content for path, content in before.items())
        there = sorted(path.name for path in disk.iterdir() if path != run)
        rows.append([name, code, said.strip().splitlines()[-1].replace(str(disk), "DISK"), kept, ", ".join(there)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full-disk", type=Path)
    args = parser.parse_args()
    g = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = prepare(folder)
        rows = kill(folder, args.kills, seconds, g)
        total = ["all", *(sum(row[column] for row in rows) for column in range(1, 5))]  # type: ignore[misc]
        head = ["killed", "times", "left something temporary", "refused, place in use", "anything lost or broken"]
        print(f"{args.kills} kills, seed {args.seed}, {machine()}\n")
        print(table(head, [*rows, total]))
        print(f"\nkilled six times and resumed, beside uninterrupted: {resumed(folder, g)}")
        if args.full_disk is not None:
            (folder / "noise").write_bytes(np.random.default_rng(0).bytes(6_000_000))
            head = ["on a full disk", "exit status", "last line", "old run as it was", "else on the disk"]
            print("\n" + table(head, full_disk(folder, args.full_disk)))


if __name__ == "__main__":
    main()
