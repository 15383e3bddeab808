"""Continuations of a prompt, for `sample --prompt` and `complete`."""

from __future__ import annotations

import codecs
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from torch import Tensor

from ptheta.cli.places import output
from ptheta.data.codecs import TextCodec
from ptheta.data.codecs.base import file_names
from ptheta.errors import UsageError
from ptheta.files import replacing_folder, write_bytes
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.numbers import nats
from ptheta.reporting import exhibit_of
from ptheta.runs import Run
from ptheta.sampling import Draft, Generation, Warp
from ptheta.terminal import printable, raw

ENDINGS = {"end": "end of document", "stop": "stop text", "length": "length"}
"""Why a text ended, in print."""


def as_bytes(argument: str) -> bytes:
    """The bytes of a command-line argument, whatever they are."""
    return argument.encode("utf-8", "surrogateescape")


class Writer(NamedTuple):
    """What continues a prompt of any length."""

    codec: TextCodec
    model: LanguageModel


def writer_of(run: Run) -> Writer | None:
    """What continues a prompt of any length; None if the run does not."""
    if isinstance(run.codec, TextCodec) and isinstance(run.model, LanguageModel) and run.model.reads_on:
        return Writer(run.codec, run.model)
    return None


def check_prompts(run: Run) -> Writer:
    """What continues a prompt.

    Raises:
        UsageError: it is about no text, or its family does not write on.
    """
    exhibit_of(run.codec).check_prompt(run)
    if (writer := writer_of(run)) is None:
        order = " of another order" if isinstance(run.model, LanguageModel) else ""
        raise UsageError(f"a {run.name}{order} cannot continue a prompt", "leave out --prompt, or fit a transformer")
    return writer


def note_long_prompts(writer: Writer, prompts: list[np.ndarray]) -> None:
    """Report that a prompt is longer than what a token sees of it."""
    longest, seen = max(map(len, prompts)), writer.model.context_window
    if longest > seen:
        print(
            f"the prompt has {longest:,} tokens, of which a layer sees the last {seen:,} (--window of the fit)",
            file=sys.stderr,
        )


def check_count(tokens: int) -> int:
    """A number of tokens to draw.

    Raises:
        UsageError: it is below 1.
    """
    if tokens < 1:
        raise UsageError(f"--tokens is {tokens}", "give at least 1")
    return tokens


def place_of(out: Path | None, count: int, force: bool) -> Path | None:
    """Where to write `n` texts: a folder, or one .txt file; checked before anything is drawn.

    Raises:
        UsageError: it is taken, or can hold no such texts.
    """
    if out is None:
        return None
    if out.suffix and not out.is_dir():
        if out.suffix.lower() != ".txt":
            raise UsageError(f"these samples cannot be written as a {out.suffix} file", "name a folder or a .txt file")
        if count > 1:
            raise UsageError(f"{count} samples need {count} files", "name a folder with --out")
    return output(out, out, force)


class Drawn:
    """The text drawn after one prompt, token by token.

    Args:
        codec: of the tokens.
        stop: texts of which the first to occur ends this one; what a token holds beyond it is cut off.
    """

    def __init__(self, codec: TextCodec, stop: list[bytes]):
        self.codec, self.stop = codec, stop
        self.text = bytearray()

    def add(self, token: int) -> tuple[bytes, bool]:
        """What a token adds, and whether the text ends with it."""
        start = len(self.text)
        self.text += self.codec.piece(token)
        ends = []
        for words in self.stop:
            at = self.text.find(words, max(0, start - len(words) + 1))
            if at >= 0:
                ends.append(at + len(words))
        if ends:
            del self.text[min(ends) :]
        return bytes(self.text[start:]), bool(ends)


class Terminal:
    """Text that appears as it is drawn: whole characters only, and on a terminal none that command it.

    Args:
        file: to print to.
    """

    def __init__(self, file: TextIO):
        self.file = raw(file)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def print(self, text: bytes, *, last: bool = False, dim: bool = False) -> None:
        """Print some bytes of a text.

        Args:
            text: the next bytes.
            last: nothing comes after them.
            dim: show them as what was given, on a terminal.
        """
        shown = self.decoder.decode(text, last)
        if self.file.isatty():
            shown = printable(shown.replace("\r\n", "\n")).replace("\r", "␍")
            shown = f"\x1b[2m{shown}\x1b[22m" if dim and shown else shown
        encoding = self.file.encoding or "utf-8"
        self.file.write(shown.encode(encoding, "replace").decode(encoding))
        self.file.flush()


@contextmanager
def streaming(file: TextIO, prompt: bytes) -> Iterator[Callable[[bytes], None]]:
    """Print a prompt, and then bytes as they come; the last line ends, whatever happens."""
    terminal = Terminal(file)
    try:
        terminal.print(prompt, dim=True)
        yield terminal.print
    finally:
        terminal.print(b"", last=True)
        file.write("\n")
        file.flush()


@dataclass
class Written:
    """Texts drawn.

    Attributes:
        prompts: bytes of each prompt.
        drawn: bytes of what follows it.
        generation: tokens and their nats.
        seconds: it took.
    """

    prompts: list[bytes]
    drawn: list[bytes]
    generation: Generation
    seconds: float

    @property
    def texts(self) -> list[bytes]:
        """Prompts, and what follows them."""
        return [prompt + drawn for prompt, drawn in zip(self.prompts, self.drawn)]

    @property
    def tokens(self) -> int:
        """Drawn in all."""
        return sum(map(len, self.generation.tokens))

    @property
    def log_prob(self) -> list[float]:
        """Nats of what was drawn, of each."""
        return [float(pieces.sum()) for pieces in self.generation.log_prob]

    @property
    def log_prob_warped(self) -> list[float]:
        """Nats under the warped conditionals, of each."""
        return [float(pieces.sum()) for pieces in self.generation.log_prob_warped]

    def summary(self, seed: int, warp: Warp) -> str:
        """Tokens, time, passes, seed, nats and why the texts ended, in one line."""
        passes = f"{self.generation.passes:,} pass{'' if self.generation.passes == 1 else 'es'}"
        took = f"{self.seconds:.1f} s ({self.tokens / max(self.seconds, 1e-9):,.1f} tokens/s, {passes})"
        warped = "" if warp.is_identity else f", {nats(abs(sum(self.log_prob_warped)))} as warped"
        ended = Counter(self.generation.ended)
        counts = {key: f"{ended[key]} by " if len(self.drawn) > 1 else "" for key in ENDINGS if key in ended}
        ends = ", ".join(f"{count}{ENDINGS[key]}" for key, count in counts.items())
        return (
            f"{self.tokens:,} token{'' if self.tokens == 1 else 's'} in {took}, seed {seed}; "
            f"−log p {nats(-sum(self.log_prob))} nats{warped}; ended: {ends}"
        )

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints of them."""
        return {
            "seconds": round(self.seconds, 3),
            "passes": self.generation.passes,
            "tokens": self.tokens,
            "log_prob": self.log_prob,
            "log_prob_warped": self.log_prob_warped,
            "ended": self.generation.ended,
        }


def write(
    writer: Writer,
    prompts: list[np.ndarray],
    tokens: int,
    context: Tensor | None,
    *,
    seed: int,
    warp: Warp,
    draft: Draft = "none",
    compile: bool = False,
    stop: list[bytes] | None = None,
    on_bytes: Callable[[bytes], None] | None = None,
) -> Written:
    """Go on from prompts.

    Args:
        writer: from `writer_of`.
        prompts: tokens [k] of each.
        tokens: drawn after each, at most.
        context: a row for each, or None.
        seed, warp, draft, compile: as for `LanguageModel.generate`.
        stop: texts that end a text.
        on_bytes: is given the bytes that are drawn, in order; sensible for one prompt.
    """
    codec, model = writer
    drawn = [Drawn(codec, stop or []) for _ in prompts]

    def listen(row: int, token: int) -> bool:
        added, stopped = drawn[row].add(token)
        if on_bytes:
            on_bytes(added)
        return stopped

    clock = time.perf_counter()
    generation = model.generate(
        [prompt.astype(np.int64) for prompt in prompts],
        tokens,
        context,
        seed=seed,
        temperature=warp.temperature,
        top_k=warp.top_k,
        top_p=warp.top_p,
        min_p=warp.min_p,
        draft=draft,
        listener=listen,
        compile=compile,
    )
    seconds = time.perf_counter() - clock
    given = [codec.to_bytes(prompt[None])[0] for prompt in prompts]
    return Written(given, [bytes(row.text) for row in drawn], generation, seconds)


def print_all(written: Written) -> None:
    """Print several texts, each below a line with its number."""
    for i, (prompt, drawn) in enumerate(zip(written.prompts, written.drawn)):
        print(f"── {i + 1} of {len(written.drawn)} ──")
        with streaming(sys.stdout, prompt) as on_bytes:
            on_bytes(drawn)


def save(texts: list[bytes], place: Path, stem: str, tails: list[str] | None = None) -> list[Path]:
    """Write texts to one file each, or one text to the file that `place` names.

    Args:
        texts: their exact bytes.
        place: from `place_of`, or a folder.
        stem: beginning of the names.
        tails: ends of the names.
    """
    if len(texts) == 1 and place.suffix.lower() == ".txt" and not place.is_dir():
        return [write_bytes(place, texts[0])]
    names = file_names(len(texts), stem, ".txt", tails)
    with replacing_folder(place) as temporary:
        for name, text in zip(names, texts):
            write_bytes(temporary / name, text, flush=False)
    return [place / name for name in names]
