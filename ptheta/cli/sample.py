"""`ptheta sample`: draw from a fitted model."""

from __future__ import annotations

import inspect
import itertools
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.cli.arguments import call, flag_of, print_json
from ptheta.cli.options import Flag, OptionalCount, RunArgument, Texts, Values, beside, contexts, output
from ptheta.errors import UsageError
from ptheta.sampling import Draft, Effort, Method, Warp

if TYPE_CHECKING:
    from ptheta.runs import Run

EVENTS = 64
"""Events drawn unless asked otherwise."""

TOKENS = 500
"""Tokens drawn after a prompt unless asked otherwise."""


def main(args: list[str]) -> None:
    """Parse and run."""
    for flag in ("--prompt", "--stop"):
        if flag in args[-1:] or any(a == flag and re.match("--?[A-Za-z]", b) for a, b in itertools.pairwise(args)):
            raise UsageError(f"{flag} lacks its text", 'give one, "" for none')
    call(sample, args, "ptheta sample")


def sample(
    run: RunArgument,
    *,
    n: OptionalCount = None,
    prompt: Texts = [],  # noqa: B006
    tokens: int | None = None,
    stop: Texts = [],  # noqa: B006
    draft: Draft | None = None,
    compile: Flag = False,
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

    With --prompt a run on text goes on from the beginning of a text instead, and prints: one text as it is drawn.

    Args:
        run: run folder
        n: how many events, 64 if left out; with --prompt, how many texts from each prompt, 1 if left out
        prompt: beginnings of texts; "" for none
        tokens: with --prompt, drawn after it, at most; 500 if left out
        stop: with --prompt, ends a text where one of these occurs in what is drawn
        draft: with --prompt, guess tokens and check them in one pass: the same text in fewer, larger passes, which pays
            for text that repeats itself. ngram guesses what followed the same words before, fixed_point what the last
            pass would draw
        compile: with --prompt, compile the network's step first; pays for very many tokens only
        context: labels to draw from; the n events are shared out over them in order. Of a table also NAME=VALUE for
            cells of its columns, of which the others are then drawn
        method: one dimension after the other with caches, or all at once until nothing changes (the same events); auto
            takes cached steps on a CPU
        temperature: below 1 more certain, 0 the most probable level
        top_k: draw from the k most probable levels; 0 from all
        top_p: draw from the fewest levels that hold so much probability
        min_p: draw from levels at least so probable, relative to the most probable
        seed: same seed, same machine, same samples; drawn and told if left out
        out: folder for pictures, else file or folder; a new one beside the run if left out, and none with --prompt
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print files, n, seconds, passes and seed, with --prompt also texts, tokens and nats, as one JSON object on
            the last line
    """
    from ptheta.runs import Run
    from ptheta.training import choose_device

    fitted = Run.load(run, choose_device(device))
    if n is not None and n < 1:
        raise UsageError(f"-n is {n}", "give at least 1")
    seed = secrets.randbits(32) if seed is None else seed
    warp = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    written = {"tokens": tokens, "stop": stop or None, "draft": draft, "compile": compile or None}
    if prompt:
        if method != "auto":
            raise UsageError("--method is for events", "leave it out; --draft is for texts after a prompt")
        _texts(fitted, prompt, n or 1, context, seed, Warp(**warp), out, force, json, **written)
    elif given := [name for name, value in written.items() if value is not None]:
        raise UsageError(f"--{given[0]} is for texts after a prompt", 'give --prompt, "" to begin at the beginning')
    else:
        _events(fitted, n or EVENTS, context, seed, {**warp, "method": method}, out, force, json)


def _events(
    run: Run, n: int, context: list[str], seed: int, how: dict[str, Any], out: Path | None, force: bool, json: bool
) -> None:
    """Draw events into files."""
    from ptheta.cli.cells import event_given, given_cells
    from ptheta.models import Autoregressive
    from ptheta.reporting import write_events

    cells, labels = given_cells(run, context)
    rows = contexts(run, labels, n)
    effort = Effort()
    defaults = inspect.signature(sample).parameters
    given = {name: value for name, value in how.items() if value != defaults[name].default}
    if isinstance(run.model, Autoregressive):
        given["effort"] = effort
    elif given:
        raise UsageError(f"{run.name} does not sample step by step", f"leave out {flag_of(next(iter(given)))}")
    elif cells:
        raise UsageError(f"{run.name} cannot condition on cells", "fit an autoregressive model, see `ptheta zoo`")
    event = event_given(run, cells) if cells else None
    place = output(out, beside(run.path, "-samples"), force)
    clock = time.perf_counter()
    if event is not None and isinstance(run.model, Autoregressive):
        x, kept = event
        many = x.expand(n, -1) if rows is not None else x
        drawn = run.model.complete(many, kept, 1 if rows is not None else n, rows, seed=seed, **given)
        x = drawn.reshape(n, -1).cpu()
    else:
        x = run.model.sample(n, rows, seed=seed, **given).cpu()
    seconds = time.perf_counter() - clock
    files = write_events(run, x, place, rows)
    said = f", {effort.said}" if effort.passes else ""
    print(
        f"{n:,} samples in {seconds:.1f} s{said}, seed {seed}: {files[0] if len(files) == 1 else place}",
        file=sys.stderr,
    )
    if json:
        passes, used = effort.passes or 1, effort.method or "direct"
        took = {"seconds": round(seconds, 3), "passes": passes, "method": used}
        print_json({"files": files, "n": n, **took, "seed": seed})


def _texts(
    run: Run,
    prompts: list[str],
    n: int,
    context: list[str],
    seed: int,
    warp: Warp,
    out: Path | None,
    force: bool,
    json: bool,
    *,
    tokens: int | None,
    stop: list[str] | None,
    draft: Draft | None,
    compile: bool | None,
) -> None:
    """Go on from prompts: print one text as it is drawn, several when all are done."""
    from ptheta.cli import writing
    from ptheta.data.codecs.text import TextCodec

    writing.check_prompts(run)
    assert isinstance(run.codec, TextCodec)
    count = n * len(prompts)
    tokens = writing.check_count(TOKENS if tokens is None else tokens)
    if "" in (stop or []):
        raise UsageError("--stop is empty", "name the text that ends a text")
    read = [run.codec.tokens(writing.as_bytes(prompt), lambda _: "the prompt") for prompt in prompts]
    rows = contexts(run, context, count)
    place = writing.place_of(out, count, force)
    how: dict[str, Any] = {
        "seed": seed,
        "warp": warp,
        "draft": draft or "none",
        "compile": bool(compile),
        "stop": [writing.as_bytes(words) for words in stop or []],
    }
    given = [prompt for prompt in read for _ in range(n)]
    writing.note_long_prompts(run, given)
    if count == 1 and not json:
        with writing.streaming(sys.stdout, writing.as_bytes(prompts[0])) as hear:
            found = writing.write(run, given, tokens, rows, hear=hear, **how)
    else:
        found = writing.write(run, given, tokens, rows, **how)
        if not json:
            writing.print_all(found)
    files = [] if place is None else writing.save(found.texts, place, "sample")
    where = f": {files[0] if count == 1 else place}" if place else ""
    print(found.said(seed, warp) + where, file=sys.stderr)
    if json:
        texts = [text.decode("utf-8", "replace") for text in found.texts]
        print_json({"texts": texts, "files": files, "n": count, "seed": seed, **found.to_json()})
