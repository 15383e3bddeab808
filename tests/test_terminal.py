"""Names, labels and messages never command the terminal, are never taken for markup, and print in any encoding."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ptheta.cli.json_output import json_line
from ptheta.cli.main import main
from ptheta.terminal import Screen, console, data_output, safe, visible

NASTY = "a\x1b[2J\x9b\x07\u202e[/b][red]:100:"
FORBIDDEN = ("\x1b", "\x9b", "\x07", "\u202e")


class Stream(io.StringIO):
    """A stream of a terminal or not, in an encoding."""

    def __init__(self, encoding: str = "utf-8", terminal: bool = False):
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._terminal

    def write(self, text):
        text.encode(self._encoding)  # as a real stream, it refuses what it lacks
        return super().write(text)


def test_every_printed_character_is_visible():
    everything = "".join(map(chr, range(0x300))) + "\u2028\u202e\u2066\ud800"
    shown = visible(everything)
    assert all(one.isprintable() or one in "\t\n\xa0\xad" for one in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("terminal", [False, True])
def test_streams_consoles_and_json_in_any_encoding(encoding, terminal, monkeypatch):
    out, err = Stream(encoding, terminal), Stream(encoding, terminal)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "dumb")
    with safe():
        print(NASTY, "\ud800 ≤")
        print(json_line({"name": NASTY, "bound": "≤\ud800"}))
        console().print(NASTY)
        from rich.table import Table

        table = Table(title=NASTY)
        table.add_column(NASTY)
        table.add_row(NASTY)
        console(sys.stdout).print(table)
    text = out.getvalue() + err.getvalue()
    assert not any(one in text for one in FORBIDDEN)
    assert "[/b][red]:100:" in err.getvalue()
    line = out.getvalue().splitlines()[1]
    assert json.loads(line) == {"name": NASTY, "bound": "≤\ud800"}
    assert sys.stdout is out


def test_data_go_to_a_pipe_as_they_are_and_to_a_terminal_visibly(monkeypatch):
    for terminal in (False, True):
        monkeypatch.setattr(sys, "stdout", Stream(terminal=terminal))
        with safe():
            print("a\x1b[2J", file=data_output())
        assert ("\x1b" in sys.stdout.getvalue()) == (not terminal)


def test_a_closed_stream_takes_everything():
    screen = Screen(None)
    assert screen.write("abc") == 3
    screen.flush()
    assert not screen.isatty()
    assert screen.encoding == "utf-8"


def test_labels_and_paths_of_a_run_are_shown_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "[/b]\x1b[31m"
    for label in ("a\x1b[2J[/b]", "[red]b"):
        (folder / label).mkdir(parents=True)
        for i in range(8):
            pixels = np.random.default_rng(i).integers(0, 2, (3, 3), dtype=np.uint8) * 255
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    out = "[/b]\x1b[0mrun"
    assert main(["fit", str(folder), "independent", "--context", "label", "--out", out]) == 0
    assert main(["info", out]) == 0
    assert main(["sample", out, "--context", "[red]b", "-n", "2"]) == 0
    assert main(["score", out, str(folder)]) == 0
    assert main(["info", f"{out}no"]) == 2
    shown = "".join(capsys.readouterr())
    assert not any(one in shown for one in FORBIDDEN)
    assert "[/b]␛[0mrun" in shown


ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ODD = {
    "a locale of ASCII": ASCII,
    "no home and one column": {"HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere", "COLUMNS": "1", "LINES": "1"},
}
BOTH = """
import os, runpy, sys
import ptheta.cli.fit
for words in (["fit", sys.argv[1], "independent"], ["fit", "--help"]):
    if os.fork() == 0:
        sys.argv = ["ptheta", *words]
        runpy.run_module("ptheta", run_name="__main__")
    assert os.wait()[1] == 0, words
"""


@pytest.mark.parametrize("odd", ODD)
def test_odd_environments(odd, tmp_path):
    source = tmp_path / "café.csv"
    source.write_text("größe,b\n" + "1.5,ä\n2.5,ö\n" * 20, encoding="utf-8")
    command = [sys.executable, "-c", BOTH, str(source)]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **ODD[odd]}, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    assert b"--steps" in done.stdout.replace(b"\n", b"")
