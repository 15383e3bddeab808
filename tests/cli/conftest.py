"""A folder with small data and runs, and the command line in this process."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from ptheta.cli.main import main


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one object on the last line."""
        lines = self.out.splitlines()
        assert [line.startswith("{") for line in lines] == [False] * (len(lines) - 1) + [True], self
        return json.loads(lines[-1])


def write_sources(folder: Path) -> None:
    g = np.random.default_rng(0)
    rows = [f"{g.choice(['red', 'green'])},{g.choice(['S', 'M', 'L'])},{kind}" for kind in ["hat", "shoe"] * 30]
    (folder / "table.csv").write_text("\n".join(["colour,size,kind", *rows]) + "\n")
    (folder / "numbers.csv").write_text("\n".join(["a,b", *(f"{x:.3f},{2 * x:.3f}" for x in g.normal(size=60))]) + "\n")
    (folder / "unknown.csv").write_text("colour,size,kind\nred,S,glove\n")
    (folder / "text.txt").write_text("the lazy dog sleeps. " * 40)
    for name, size, keep in (("top", (8, 8), (slice(0, 4),)), ("big", (9, 8), ()), ("holes", (8, 8), (slice(4, 8),))):
        white = np.zeros(size, np.uint8)
        white[keep] = 255
        Image.fromarray(white).save(folder / f"{name}.png")
    Image.fromarray(g.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "rgb.png")
    (folder / "pictures").mkdir()
    for i in range(30):
        Image.fromarray(g.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / "pictures" / f"{i}.png")


FITS = {
    "pic": ["pictures", "made", "--width", "16", "--levels", "4", "--steps", "4"],
    "lab": ["table.csv", "independent", "--context", "kind"],
    "num": ["numbers.csv", "made", "--width", "16", "--steps", "4"],
    "txt": ["text.txt", "transformer", "--width", "16", "--layers", "1", "--length", "16", "--steps", "4"],
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Sources and runs, made by the command line itself."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_sources(folder)
        for name, arguments in FITS.items():
            assert main(["fit", *arguments, "--out", name]) == 0
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch):
    """A copy of them in the current folder."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def ptheta(here, capsys):
    """The command line: arguments → exit status, standard output, standard error."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(list(arguments))
        return Result(code, *capsys.readouterr())

    return run


WORDS = ["the dog", "a café", "Bär & <b>", "sleeps", "eats", "naïve", "— fast", "über"]
TOKENIZERS = {"bytes": (), "characters": (), "bpe": ("--vocabulary", "290")}


def document(seed: int, words: int) -> str:
    g = np.random.default_rng(seed)
    return " ".join(WORDS[i] for i in g.integers(len(WORDS), size=words)) + ".\n"


@pytest.fixture(scope="session")
def text_runs(tmp_path_factory):
    """A corpus of short documents, new ones, and runs on each kind of token and of other families."""
    folder = tmp_path_factory.mktemp("texts")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, count, words in (("corpus", 60, 12), ("new", 3, 3)):
            Path(name).mkdir()
            for i in range(count):
                Path(name, f"{i:02d}.txt").write_text(document(i + 1000 * (name == "new"), words))
        Path("start.txt").write_text("Bär eats")
        Path("other.txt").write_text("a café sleeps the dog")
        Path("long.txt").write_text(document(7, 100))
        Path("numbers.csv").write_text("a\n" + "\n".join(str(i % 7 / 3) for i in range(60)))
        small = ["--width", "16", "--layers", "1", "--steps", "6", "--length", "48"]
        for name, more in TOKENIZERS.items():
            assert main(["fit", "corpus", "transformer", *small, "--tokenizer", name, *more, "--out", name]) == 0
        assert main(["fit", "corpus", "markov_chain", "--length", "16", "--tokenizer", "bytes", "--out", "chain"]) == 0
        assert main(["fit", "corpus", "transformer", *small, "--any-order", "--out", "any"]) == 0
        numbers = ["fit", "numbers.csv", "made", "--columns", "real"]
        assert main([*numbers, "--width", "8", "--steps", "2", "--out", "num"]) == 0
    return folder


@pytest.fixture
def cli(text_runs, monkeypatch, capsys):
    """The command line beside the runs on text, which it must leave as they are."""
    monkeypatch.chdir(text_runs)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        return Result(code, *capsys.readouterr())

    return run
