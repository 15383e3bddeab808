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
