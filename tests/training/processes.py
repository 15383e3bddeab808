"""Runs `ptheta` in several real processes that learn together, each with its own arguments: case after case.

python processes.py CASES.json prints outcomes: case → [exit status, stdout, stderr] of each process, and seconds. The
processes are forked from this one after it has made a small fit, so that what a fit imports is imported once.
"""

import faulthandler
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import ptheta.cli.fit
import ptheta.fitting.agreement
import ptheta.fitting.defaults
import ptheta.models
from ptheta.cli.main import main
from ptheta.reporting import FitProgress

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))
from rows import TOYS

ptheta.models.ZOO.update(TOYS)
for family in ptheta.models.ZOO.values():  # imported once, before the processes are forked
    family.load()
for module in ("tyro", "rich.console", "sklearn.datasets", "torch._dynamo", "torch.distributed", "ptheta.data.kinds"):
    importlib.import_module(module)


def interrupt(step: int) -> None:
    """Ctrl-C, when that step is done."""
    advance = FitProgress.advance

    def heard(self, progress, position):
        advance(self, progress, position)
        if position.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    FitProgress.advance = heard


SABOTAGE = {
    "Ctrl-C after four steps": lambda: interrupt(4),
    "an older torch": lambda: setattr(
        ptheta.fitting.agreement, "versions", lambda made=ptheta.fitting.agreement.versions: made() | {"torch": "1.0"}
    ),
    "killed while it loads": lambda: setattr(ptheta.fitting.defaults, "load", lambda *_, **__: os._exit(9)),
    "a program error": lambda: setattr(ptheta.fitting.defaults, "load", lambda *_, **__: {}["bug"]),
    "killed as it learns": lambda: setattr(ptheta.models.MADE, "train", lambda *_: os._exit(9)),
}
"""What befalls a process, by name."""


STUCK = 120
"""Seconds after which a process shows where it stands, and ends."""


def free_port() -> int:
    """A port that nobody is given unasked: outgoing connections have those from 32768."""
    while True:
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port := random.randrange(10_000, 32_000)))
            except OSError:
                continue
            return port


def start(arguments: list[str], rank: int, size: int, port: int, sabotage: str | None, said: Path) -> int:
    """A process; returns its id."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        for name, stream in (("out", 1), ("err", 2)):
            os.dup2(os.open(f"{said}.{name}", os.O_CREAT | os.O_WRONLY), stream)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        torch.set_num_threads(1)
        faulthandler.dump_traceback_later(STUCK, exit=True)
        if sabotage:
            SABOTAGE[sabotage]()
        code = main(arguments)
    except BaseException as error:
        sys.stderr.write(f"not caught: {error!r}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def together(case: dict) -> dict:
    """What the processes of a case printed, and how they ended."""
    port = free_port()
    commands, clock = case["commands"], time.perf_counter()
    sabotage = case.get("sabotage", [None] * len(commands))
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, str(rank)) for rank in range(len(commands))]
        pids = [
            start(arguments.split(), rank, len(commands), port, sabotage[rank], said[rank])
            for rank, arguments in enumerate(commands)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        texts = [[Path(f"{path}.{name}").read_text() for name in ("out", "err")] for path in said]
    ended = [[code, *text] for code, text in zip(codes, texts)]
    return {"ended": ended, "seconds": time.perf_counter() - clock, "left": sorted(map(str, Path("runs").glob("*")))}


def warm_up() -> None:
    """Import whatever a fit imports on its way, and start nothing that a fork would not survive."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npy")
        np.save(path, np.random.default_rng(0).integers(0, 3, (80, 4)).astype(np.uint8))
        for source in (str(path), "digits"):
            assert (
                main(["fit", source, "made", "--width", "8", "--steps", "2", "--out", f"{folder}/{source[-3:]}"]) == 0
            )


if __name__ == "__main__":
    warm_up()
    gc.freeze()  # children need not look for garbage in what they inherit
    print(json.dumps({name: together(case) for name, case in json.loads(Path(sys.argv[1]).read_text()).items()}))
