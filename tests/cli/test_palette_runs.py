"""A run of palette tokens from the command line: its pictures have only its colours, its scores only its unit."""

import json

import numpy as np
import pytest
from PIL import Image

UNIT = "bits/palette token of Grid(8×8, 8 levels)"


@pytest.fixture
def run(here, ptheta):
    """A run `pal` on a folder of RGB pictures, and what its fit said."""
    g = np.random.default_rng(0)
    (here / "rgb").mkdir()
    for i in range(30):
        Image.fromarray(g.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(here / "rgb" / f"{i:02d}.png")
    small = ("--width", "16", "--layers", "1", "--heads", "2", "--steps", "3")
    result = ptheta("fit", "rgb", "transformer", "--palette", "8", *small, "--out", "pal", "--json")
    assert result.code == 0
    return result


def test_a_palette_run_speaks_of_palette_tokens_everywhere(run, here, ptheta):
    assert "palette: 8 colours by k-means on the 1,536 training pixels; mean squared error" in run.err
    assert UNIT in run.err
    assert run.json["bits_per_palette_token"] == pytest.approx(run.json["nats"] / 64 / np.log(2))
    score = ptheta("score", "pal", "rgb", "--json")
    assert UNIT in score.err
    assert score.json["bits_per_palette_token"] == pytest.approx(run.json["bits_per_palette_token"])
    info = ptheta("info", "pal")
    assert "bits/palette token" in info.out
    asked = ptheta("info", "pal", "--json")
    assert asked.json["results"] == run.json
    compare = ptheta("compare", "rgb", "--palette", "8", "--models", "independent,empirical", "--out", "both")
    assert "bits/palette" in compare.out
    assert "Grid(8×8, 8 levels)" in compare.err
    said = [text for result in (run, score, info, asked, compare) for text in (result.out, result.err)]
    files = [file for folder in ("pal", "both") for file in (here / folder).rglob("*") if file.is_file()]
    said += [file.read_bytes().decode(errors="ignore") for file in files]
    assert len(files) > 6
    assert not [text for text in said if "bits/dim" in text or "bits_per_dim" in text]


def test_a_score_without_bounds_is_infinite_in_its_unit_too(run, ptheta):
    """Random pictures are not training pictures: `empirical` gives them probability 0."""
    assert ptheta("fit", "rgb", "empirical", "--palette", "8", "--out", "copies").code == 0
    assert "∞ nats, inf bits/palette token" in " ".join(ptheta("info", "copies").out.split())


def test_sampled_pictures_have_only_the_colours_of_the_palette(run, here, ptheta):
    colours = {tuple(c) for c in json.loads((here / "pal" / "config.json").read_text())["codec"]["colours"]}
    assert len(colours) == 8
    result = ptheta("sample", "pal", "-n", "3", "--seed", "0", "--out", "drawn", "--json")
    assert result.code == 0
    drawn = sorted((here / "drawn").glob("sample-*.png"))
    assert len(drawn) == 3
    for file in drawn:
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == ("RGB", (8, 8))
            assert {tuple(c) for c in np.asarray(picture).reshape(-1, 3).tolist()} <= colours
    assert ptheta("score", "pal", "drawn/sample-0000.png").code == 0


@pytest.mark.parametrize("command", ["score pal big.png", "complete pal big.png"])
def test_a_picture_of_another_size_is_one_line(command, run, ptheta):
    result = ptheta(*command.split())
    assert result.code == 2
    assert result.err.startswith("ptheta: big.png is 9x8 pixels, not 8x8; ")
    assert len(result.err.splitlines()) == 1


def test_a_resumed_fit_has_the_palette_of_its_run(run, ptheta):
    refused = ptheta("fit", "--resume", "--out", "pal", "--palette", "9")
    assert refused.code == 2
    assert refused.err == "ptheta: --palette cannot change in a resumed fit; leave it out; it is taken from the run\n"
    result = ptheta("fit", "--resume", "--out", "pal", "--steps", "5", "--json")
    assert result.code == 0
    assert "bits_per_palette_token" in result.json
