"""What reaches a terminal: the one place that keeps names, labels and messages from commanding it.

Within `safe` the standard streams show control characters as pictures of themselves, and characters that the encoding
lacks as escapes; consoles come from `console`, which takes no text for markup or emoji. What is data rather than a
message goes to `data_output`, which changes it on a terminal only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}
"""Control characters → pictures of them; tabs and ends of lines stay."""

PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)

ESCAPED = {0x0D: "␍"} | {
    code: f"\\u{code:04x}"
    for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
}
"""Characters that move the cursor, turn the direction of text or stand for no character → what is shown."""


def printable(text: str) -> str:
    """Text whose control characters, which could command a terminal, are shown as pictures of themselves.

    >>> printable("a\\x1b[2J\\n")
    'a␛[2J\\n'
    """
    return text.translate(PICTURES)


def visible(text: str) -> str:
    """As `printable`, for one line of a message: also without what turns the direction of text or goes back in a line.

    >>> visible("a\\x1b[2J \\u202eb\\r")
    'a␛[2J \\\\u202eb␍'
    """
    return text.translate(PICTURES | ESCAPED)


class Screen:
    """A text stream whose text is made visible; everything else is that of the stream.

    Args:
        stream: written to; None, as of a process whose stream is closed: nowhere.
        colours: leave what commands the terminal, and escape only what the encoding lacks.
    """

    def __init__(self, stream: TextIO | None, *, colours: bool = False):
        self.stream, self._colours = stream, colours

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def encoding(self) -> str:
        """Of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream is not None and self.stream.isatty()

    def flush(self) -> None:
        """Write what waits to be written."""
        if self.stream is not None:
            self.stream.flush()

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        if self.stream is not None:
            self.stream.write(encodable(text if self._colours else visible(text), self.encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)


class Messages:
    """A text stream of messages, which are not the work: where nobody can read them, they go nowhere.

    So a fit goes on whose terminal was closed, or whose messages went through a pipe to a reader that has ended.

    Args:
        stream: written to; None: nowhere.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        with self._unless_lost():
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits to be written."""
        with self._unless_lost():
            if self._stream is not None:
                self._stream.flush()

    @contextmanager
    def _unless_lost(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # gone, full, or closed
            discard(self._stream)


def discard(stream: Any) -> None:
    """What is written to a stream goes nowhere from now on, and what waits to be written, too."""
    with suppress(Exception):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def safe() -> Iterator[None]:
    """Within, nothing that is printed commands the terminal, or fails for want of a character."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Screen(raw(before[0])), Screen(Messages(raw(before[1])))  # type: ignore
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw(stream: Any) -> Any:
    """The stream itself, below `Screen`."""
    return stream.stream if isinstance(stream, Screen) else stream


def data_output() -> Any:
    """The standard output for data, such as text that was drawn: to a file or pipe they go as they are."""
    return sys.stdout if sys.stdout is None or sys.stdout.isatty() else raw(sys.stdout)


def encodable(text: str, encoding: str) -> str:
    """Text in which what an encoding lacks is escaped.

    >>> encodable("≤ 3 café", "ascii")
    '\\\\u2264 3 caf\\\\xe9'
    """
    return text.encode(encoding, "backslashreplace").decode(encoding)


def console(file: Any = None, *, quiet: bool = False) -> Console:
    """A console on which text is text; in a notebook it prints lines of plain text, since bars would need widgets.

    Args:
        file: to print to; None: the standard error.
        quiet: print nothing.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Plain(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            """Segments whose text is visible; control codes are the console's own."""
            for segment in super().render(renderable, options):
                shown = segment.text if segment.control else encodable(visible(segment.text), self.encoding)
                yield segment if shown == segment.text else Segment(shown, segment.style)

    stream = raw(sys.stderr if file is None else file)
    nowhere = stream is None
    return Plain(
        file=Screen(None) if nowhere else stream,  # type: ignore[arg-type]
        quiet=quiet or nowhere,
        highlight=False,
        markup=False,
        emoji=False,
        force_jupyter=False,
    )
