"""`ptheta sample`: draw from a fitted model."""

from __future__ import annotations

import itertools
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ptheta.cli.contexts import Given, contexts, given_contexts
from ptheta.cli.families import call_with_options, sampling_options
from ptheta.cli.groups import of_text_tables, read_as_asked
from ptheta.cli.json_output import print_json
from ptheta.cli.needs import Needs
from ptheta.cli.options import Flag, Force, OptionalCount, RunArgument, Texts, Values
from ptheta.cli.places import beside, output
from ptheta.errors import UsageError
from ptheta.numbers import plural
from ptheta.sampling import Draft, Effort, Warp

if TYPE_CHECKING:
    from ptheta.runs import Run

EVENTS = 64
"""Events drawn unless asked otherwise: of no context, or of labels and numbers, in all."""

BEGIN = 'give --prompt, "" to begin at the beginning'
"""Remedy where a flag is for texts after a prompt."""

TOKENS = 500
"""Tokens drawn after a prompt unless asked otherwise."""


def main(args: list[str]) -> None:
    """Parse and run."""
    for flag in ("--prompt", "--stop"):
        if flag in args[-1:] or any(a == flag and re.match("--?[A-Za-z]", b) for a, b in itertools.pairwise(args)):
            raise UsageError(f"{flag} needs a text", 'give one, "" for none')
    call_with_options(read_as_asked(sample), args, "ptheta sample", of_text_tables())


def sample(
    run: RunArgument,
    *,
    words: list[str],
    n: OptionalCount = None,
    each: int | None = None,
    prompt: Texts = [],  # noqa: B006
    tokens: Annotated[int | None, Needs("prompt", BEGIN)] = None,
    stop: Annotated[Texts, Needs("prompt", BEGIN)] = [],  # noqa: B006
    draft: Annotated[Draft | None, Needs("prompt", BEGIN)] = None,
    compile: Annotated[Flag, Needs("prompt", BEGIN)] = False,
    context: Values = [],  # noqa: B006
    beams: int | None = None,
    length_penalty: Annotated[float | None, Needs("beams")] = None,
    mbr: int | None = None,
    seed: int | None = None,
    out: Path | None = None,
    force: Force = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Draw events and write them in the form of the data: PNG files and a grid, WAV, CSV, text or NPY.

    With --prompt, a run on text continues the prompt and prints the result, a single text as it is drawn. Whole texts
    are printed too. Sampling options depend on the model's family: `ptheta sample RUN --help` lists them.

    Args:
        run: run folder
        n: number of events in all, 64 if left out; with --prompt, texts drawn for each prompt, 1 if left out
        each: number of events for each context instead; if both are left out, 1 where events are texts or
            sounds, 4 where contexts are texts, pictures or sounds
        prompt: beginning of a text, or several; "" for none
        tokens: with --prompt, the most tokens to draw after it; 500 if left out
        stop: with --prompt, end a text when one of these occurs in what was drawn
        draft: with --prompt, guess tokens and check them in one pass: the same text in fewer, larger passes,
            which pays off for repetitive text. ngram guesses what followed the same words before, fixed_point
            what the last pass would draw
        compile: with --prompt, compile the network's step first; pays off only for very many tokens
        context: contexts to draw for: labels, texts, numbers, files, a folder of pictures or sounds, a file of
            many contexts (.txt with one a line, or .csv), or NAME=VALUE for each part of a context; the n
            events are divided among several in order. For a table also NAME=VALUE to fix cells of its columns,
            given which the others are drawn
        beams: for whole texts: search for the most probable text for each context with a beam of this width,
            instead of drawing
        length_penalty: with --beams, rank texts by log p / length^penalty; 1 if left out
        mbr: for whole texts: draw this many for each context, at the --temperature, and print the one that is most like
            all of them (minimum Bayes risk by chrF)
        seed: the same seed gives the same samples on the same machine; drawn and reported if left out
        out: folder for pictures and sounds, otherwise a file or folder; if left out, a new one beside the run,
            and none for texts that are printed
        force: replace what is in --out
        device: auto, cpu or cuda
        json: print files, n, seconds, passes and seed (with contexts also these, for texts also the texts, with
            --prompt also tokens and nats) as one JSON object on the last line
    """
    from ptheta.cli import whole_texts
    from ptheta.runs import Run
    from ptheta.training import choose_device

    fitted = Run.load(run, choose_device(device))
    for flag, value in (("-n", n), ("--each", each), ("--beams", beams), ("--mbr", mbr)):
        if value is not None and value < 1:
            raise UsageError(f"{flag} is {value}", "give at least 1")
    if n is not None and each is not None:
        raise UsageError("-n and --each both set the number of events", "give one of them")
    seed = secrets.randbits(32) if seed is None else seed
    steps = sampling_options(fitted.name, words, "sample")
    written = {"tokens": tokens, "stop": stop or None, "draft": draft, "compile": compile or None}
    if prompt:
        if each is not None or beams is not None or mbr is not None or "guidance" in steps:
            raise UsageError("--each, --beams, --mbr and --guidance are for events", "leave them out with --prompt")
        if "method" in steps:
            raise UsageError("--method is for events", "leave it out; --draft is for texts after a prompt")
        _texts(fitted, prompt, n or 1, context, seed, Warp(**steps), out, force, json, **written)
    elif beams is not None:
        if steps or n is not None or each is not None:
            raise UsageError("a beam search finds one text for each context", "leave out -n, --each, --temperature …")
        if mbr is not None:
            raise UsageError("--beams and --mbr are two ways to find a text", "give one of them")
        whole_texts.search(fitted, context, beams, 1.0 if length_penalty is None else length_penalty, out, force, json)
    elif mbr is not None:
        if steps.keys() - {"temperature"} or n is not None or each is not None:
            raise UsageError("--mbr finds one text for each context", "leave out -n, --each, --top-k …")
        whole_texts.agree(fitted, context, mbr, steps.get("temperature", 1.0), seed, out, force, json)
    else:
        _events(fitted, n, each, context, seed, steps, out, force, json)


def _events(
    run: Run,
    n: int | None,
    each: int | None,
    context: list[str],
    seed: int,
    steps: dict[str, Any],
    out: Path | None,
    force: bool,
    json: bool,
) -> None:
    """Draw events into files; whole texts are printed. `steps` are the options of sampling that were given."""
    from ptheta.cli import whole_texts
    from ptheta.cli.cells import given_cells
    from ptheta.models import Autoregressive
    from ptheta.reporting import exhibit_of, write_events
    from ptheta.reporting.waiting import console_for, waiting

    cells, values = given_cells(run, context)
    asked = given_contexts(run, values)
    if asked is None and each is not None:
        raise UsageError("--each needs contexts, and none were given", "give -n, or --context")
    n = n or _count(run, asked, each)
    given = None if asked is None else asked.shared(n)
    rows, names = (None, None) if given is None else (given.rows, given.names)
    effort = Effort()
    if isinstance(run.model, Autoregressive):
        steps = {**steps, "effort": effort}
    if "guidance" in steps and rows is None:
        raise UsageError("guidance needs a context, and none was given", "give --context, or leave out --guidance")
    printed = exhibit_of(run.codec).is_text
    place = whole_texts.place_of(out, force) if printed else output(out, beside(run.path, "-samples"), force)
    clock = time.perf_counter()
    with waiting(f"drawing {plural(n, 'event')}", console_for(True)):
        x = run.draw(n, cells, rows, seed=seed, **steps).cpu()
    seconds = time.perf_counter() - clock
    if printed:
        texts = run.codec.decode(x)
        if not json:
            whole_texts.show(texts, names)
        files = whole_texts.save(texts, names, place, whole_texts.columns_of(run, texts, rows, names))
    else:
        assert place is not None
        texts, files = None, write_events(run, x, place, rows, names)
    passes = f", {effort.summary}" if effort.passes else ""
    where = f": {files[0] if len(files) == 1 else place}" if files else ""
    print(f"{plural(n, 'sample')} in {seconds:.1f} s{passes}, seed {seed}{where}", file=sys.stderr)
    if json:
        passes, used = effort.passes or 1, effort.method or "direct"
        took = {"seconds": round(seconds, 3), "passes": passes, "method": used}
        report = {"contexts": names} if names else {}
        print_json({"files": files, "n": n, **took, "seed": seed, **report, **({"texts": texts} if texts else {})})


def _count(run: Run, given: Given | None, each: int | None) -> int:
    """How many events to draw where -n does not say."""
    from ptheta.reporting import exhibit_of

    if given is None:
        return EVENTS
    usual, codec = exhibit_of(run.codec).each, run.context_codec
    if each is None and usual > 1 and codec is not None and exhibit_of(codec).is_value:
        return max(EVENTS, len(given))
    return len(given) * (each or usual)


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

    writer = writing.check_prompts(run)
    count = n * len(prompts)
    tokens = writing.check_count(TOKENS if tokens is None else tokens)
    if "" in (stop or []):
        raise UsageError("--stop is empty", "give the text at which to stop")
    read = [writer.codec.tokens(writing.as_bytes(prompt), lambda _: "the prompt") for prompt in prompts]
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
    writing.note_long_prompts(writer, given)
    if count == 1 and not json:
        with writing.streaming(sys.stdout, writing.as_bytes(prompts[0])) as on_bytes:
            found = writing.write(writer, given, tokens, rows, on_bytes=on_bytes, **how)
    else:
        found = writing.write(writer, given, tokens, rows, **how)
        if not json:
            writing.print_all(found)
    files = [] if place is None else writing.save(found.texts, place, "sample")
    where = f": {files[0] if count == 1 else place}" if place else ""
    print(found.summary(seed, warp) + where, file=sys.stderr)
    if json:
        texts = [text.decode("utf-8", "replace") for text in found.texts]
        print_json({"texts": texts, "files": files, "n": count, "seed": seed, **found.to_json()})
