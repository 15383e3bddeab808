"""`ptheta sample`: draw from a fitted model."""

from __future__ import annotations

import inspect
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import tyro

from ptheta.cli.arguments import call, print_json
from ptheta.cli.options import Count, Flag, RunArgument, beside, contexts, output
from ptheta.errors import UsageError
from ptheta.sampling import Effort, Method

Values = Annotated[list[str], tyro.conf.arg(metavar="VALUE …")]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(sample, args, "ptheta sample")


def sample(
    run: RunArgument,
    *,
    n: Count = 64,
    context: Values = [],  # noqa: B006
    method: Method = "auto",
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int | None = None,
    out: Path | None = None,
    force: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Draw events and write them in the form of the data: PNG files and a grid, CSV, text or NPY.

    Args:
        run: run folder
        n: how many events
        context: labels to draw from; the n events are shared out over them in order
        method: one dimension after the other with caches, or all at once until nothing changes (the same events); auto
            takes cached steps on a CPU
        temperature: below 1 more certain, 0 the most probable level
        top_k: draw from the k most probable levels; 0 from all
        top_p: draw from the fewest levels that hold so much probability
        min_p: draw from levels at least so probable, relative to the most probable
        seed: same seed, same machine, same samples; drawn and told if left out
        out: folder for pictures, else file or folder; a new one beside the run if left out
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print files, n, seconds and passes as one JSON object on the last line
    """
    from ptheta.models import Autoregressive
    from ptheta.reporting import write_events
    from ptheta.runs import Run
    from ptheta.training import choose_device

    fitted = Run.load(run, choose_device(device))
    if n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    seed = secrets.randbits(32) if seed is None else seed
    rows = contexts(fitted, context, n)
    effort = Effort()
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "method": method}
    defaults = inspect.signature(sample).parameters
    given = {name: value for name, value in given.items() if value != defaults[name].default}
    if isinstance(fitted.model, Autoregressive):
        given["effort"] = effort
    elif given:
        flag = next(iter(given)).replace("_", "-")
        raise UsageError(f"{fitted.name} does not sample step by step", f"leave out --{flag}")
    place = output(out, beside(run, "-samples"), force)
    clock = time.perf_counter()
    x = fitted.model.sample(n, rows, seed=seed, **given).cpu()
    seconds = time.perf_counter() - clock
    files = write_events(fitted, x, place, rows)
    how = f", {effort.said}" if effort.passes else ""
    print(
        f"{n:,} samples in {seconds:.1f} s{how}, seed {seed}: {files[0] if len(files) == 1 else place}", file=sys.stderr
    )
    if json:
        passes, used = effort.passes or 1, effort.method or "direct"
        took = {"seconds": round(seconds, 3), "passes": passes, "method": used}
        print_json({"files": files, "n": n, **took, "seed": seed})
