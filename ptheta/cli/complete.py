"""`ptheta complete`: fill in the rest of a partial event."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from ptheta.cli.arguments import call, print_json
from ptheta.cli.options import Count, Flag, RunArgument, beside, contexts, output
from ptheta.errors import UsageError

File = Annotated[Path, tyro.conf.arg(metavar="FILE"), tyro.conf.Positional]


def main(args: list[str]) -> None:
    """Parse and run."""
    call(complete, args, "ptheta complete")


def complete(
    run: RunArgument,
    file: File,
    *,
    keep: float | None = None,
    mask: Path | None = None,
    n: Count = 4,
    context: str | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int = 0,
    out: Path | None = None,
    force: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Draw the missing part of an event from its exact conditional distribution, several times.

    Args:
        run: run folder
        file: an event in the form of the data: a picture, a table's rows, a text
        keep: part that is kept, from the beginning (the top of a picture); 0.5 if left out
        mask: a picture that is white where the event is kept
        n: completions of each event
        context: label, for a model that has a context
        temperature: below 1 more certain, 0 the most probable level
        top_k: draw from the k most probable levels; 0 from all
        top_p: draw from the fewest levels that hold so much probability
        min_p: draw from levels at least so probable, relative to the most probable
        seed: of the completions
        out: folder to write to; a new one beside the run if left out
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print the files as one JSON object on the last line
    """
    from ptheta.models import Autoregressive
    from ptheta.reporting import read_mask, write_completions
    from ptheta.runs import Run
    from ptheta.training import choose_device

    fitted = Run.load(run, choose_device(device))
    model = fitted.model
    if not isinstance(model, Autoregressive):
        raise UsageError(f"{fitted.name} cannot complete", "use an autoregressive model, see `ptheta zoo`")
    if keep is not None and mask is not None:
        raise UsageError("--keep and --mask both say what is kept", "give one of them")
    if n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    kept = (0.5 if keep is None else keep) if mask is None else read_mask(mask, model.space)
    x = fitted.events(file)
    place = output(out, beside(run, "-completions"), force)
    drawn = model.complete(
        x,
        kept,
        n,
        contexts(fitted, [] if context is None else [context], len(x)),
        seed=seed,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
    ).cpu()
    files = write_completions(fitted, x, model.kept(kept), drawn, place)
    print(f"{n} completions of {file}: {files[-1]}", file=sys.stderr)
    if json:
        print_json({"files": files})
