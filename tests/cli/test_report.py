"""`ptheta report` as a user types it."""

import json
import re
import shlex

import pytest

from ptheta.reporting.report.about import fit_command
from ptheta.runs import Run


def test_a_page_beside_the_run(here, ptheta):
    before = {p.name for p in here.iterdir()}
    result = ptheta("report", "num", "-n", "20", "--json")
    assert result.code == 0, result.err
    assert result.json["out"] == "num-report.html"
    assert {"nats", "nats_se", "density", "seconds", "pit_distance", "surprise_test"} <= result.json.keys()
    assert result.json["nats"] == Run.load("num").results()["nats"]
    assert {p.name for p in here.iterdir()} - before == {"num-report.html"}
    assert "report: num-report.html" in result.err
    assert ptheta("info", "num").code == 0, "the run is as it was"
    again = ptheta("report", "num", "-n", "20", "--json")
    assert again.json["out"] == "num-report-2.html"
    assert (here / "num-report-2.html").read_bytes() == (here / "num-report.html").read_bytes()


def test_data_that_have_moved_are_named(here, ptheta):
    assert ptheta("fit", "numbers.csv", "made", "--steps", "2", "--width", "8", "--out", "mine").code == 0
    (here / "numbers.csv").rename(here / "moved.csv")
    result = ptheta("report", "mine")
    assert result.code == 2
    announced, line = result.err.splitlines()
    assert announced.startswith("opening ")
    assert line.startswith("ptheta: ")
    assert "numbers.csv" in line
    assert not list(here.glob("*.html"))
    (here / "elsewhere").mkdir()
    (here / "moved.csv").rename(here / "elsewhere" / "numbers.csv")
    assert ptheta("report", "mine", "elsewhere/numbers.csv", "-n", "20", "--out", "a.html").code == 0
    assert "judged on other data" not in (here / "a.html").read_text()


def test_labels_are_given_and_shown(here, ptheta):
    result = ptheta("report", "lab", "--out", "page/lab.html", "-n", "30", "--seed", "3", "--json")
    assert result.code == 0, result.err
    text = (here / "page" / "lab.html").read_text()
    assert "given the contexts of the real events" in text
    assert "ptheta sample lab -n 64 --context hat" in text
    assert "seed 3" in text


@pytest.mark.parametrize("name", ["pic", "num", "txt", "lab"])
def test_the_command_on_the_page_fits_the_same_run(name, here, ptheta):
    before = Run.load(name)
    program, *words = shlex.split(fit_command(before))
    assert program == "ptheta"
    assert ptheta(*words, "--out", "again").code == 0
    first, second = (json.loads((here / run / "config.json").read_text()) for run in (name, "again"))
    assert {k: second[k] for k in ("model", "space", "codec", "fit", "seed")} == {
        k: first[k] for k in ("model", "space", "codec", "fit", "seed")
    }
    same = before.model.state_dict(), Run.load("again").model.state_dict()
    assert all((same[0][key] == same[1][key]).all() for key in same[0]), "steps are reproducible to the bit"


def test_a_page_in_the_run_s_own_folder_lists_itself_not(here, ptheta):
    for _ in range(2):
        assert ptheta("report", "num", "-n", "20", "--out", "num/report.html", "--force").code == 0
    files = re.findall(r'scope="row">([^<]*)<', (here / "num" / "report.html").read_text())
    assert "model.safetensors" in files
    assert "report.html" not in files
    assert ptheta("info", "num").code == 0
