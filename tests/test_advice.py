"""Few steps are reported with flags that the family and the kind of data have, and that work."""

import json
import math
import re
import shlex
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import ptheta
from ptheta.cli.main import main
from ptheta.data import Split
from ptheta.evaluation.results import Score
from ptheta.fitting.advice import advice, shortcomings
from ptheta.fitting.affording import Affording
from ptheta.fitting.means import Means
from ptheta.models import family
from ptheta.reporting.progress import FitProgress
from ptheta.reporting.report.about import fit_command
from ptheta.spaces import Real
from ptheta.terminal import console
from ptheta.training import Timetable
from ptheta.training.state import Position


def asked(data, name, steps=20, *, minutes=2.0, before=0.0, **hyperparameters):
    model = family(name).load()(data.space, None, **hyperparameters)
    affording = Affording.of_model(model, {}, data, torch.device("cpu"), Means(1e9, 60.0))
    times = Timetable(60 * minutes)
    times.before = before
    return advice(model, affording, times, steps)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A file or folder of every kind whose events can be smaller."""
    folder = tmp_path_factory.mktemp("kinds")
    g = np.random.default_rng(0)
    np.save(folder / "photos.npy", g.integers(0, 256, (20, 24, 24), dtype=np.uint8))
    (folder / "book.txt").write_text("the lazy dog sleeps. " * 400)
    (folder / "tones").mkdir()
    for i in range(10):
        wave = (8000 * np.sin(np.arange(4000) * (0.1 + 0.02 * i))).astype(np.int16)
        wavfile.write(folder / "tones" / f"{i}.wav", 8000, wave)
    return folder


@pytest.mark.parametrize(
    ("source", "name", "flag"),
    [
        ("photos.npy", "pixelcnn", r"--size \d+x\d+"),
        ("book.txt", "transformer", r"--length \d+"),
        ("tones", "pixelcnn", r"--\w+ \d+"),
    ],
)
def test_what_is_proposed_is_taken_and_smaller(source, name, flag, sources, tmp_path):
    data = ptheta.load(str(sources / source))
    line = asked(data, name)
    events, model = re.search(r"smaller events \((.*?)\), a smaller model \((.*?)\)", line).groups()
    assert re.fullmatch(flag, events)
    words = [*shlex.split(events), *shlex.split(model), "--steps", "1", "--out", str(tmp_path / "run")]
    assert main(["fit", str(sources / source), name, *words]) == 0
    run = ptheta.Run.load(tmp_path / "run")
    assert run.model.space.dimensions <= 0.6 * data.space.dimensions
    default = family(name).load()(run.model.space)
    assert run.model.free_parameters < default.free_parameters


def test_enough_steps_need_no_advice_and_other_budgets_neither():
    data = ptheta.load("digits", limit=20)
    assert "more time (--minutes 20)" in asked(data, "made", 20)
    assert asked(data, "made", 200) is None
    model = family("made").load()(data.space)
    affording = Affording.of_model(model, {}, data, torch.device("cpu"), Means(1e9))
    assert advice(model, affording, Timetable(), 3) is None


def test_reading_less_is_proposed_where_reading_many_events_took_long():
    space = Real((2,))
    data = ptheta.Data("x", "x", space, None, None, {"train": Split(np.zeros((20_000, 2)))}, [], {}, "")
    assert "--limit" in asked(data, "made", before=60.0)
    assert "--limit" not in asked(data, "made", before=5.0)
    assert "--size" not in asked(data, "made"), "rows of numbers have no size"


@pytest.mark.parametrize(
    "seconds",
    [
        [20.0, 2.0, 1.0] + [0.5] * 400,  # compiling
        [1.0, 0.3, 0.3] + [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4] * 100,  # with validations
        [9.0, 2.0, 14.0] + [14.0] * 9,  # too few for a warm-up
    ],
)
def test_steps_are_foreseen_from_those_after_the_first_few(seconds, monkeypatch, tmp_path):
    now, budget, foreseen = 0.0, 90.0, []
    run = ptheta.fit("independent", ptheta.load("digits", limit=30), out=tmp_path / "run")
    progress = FitProgress(run, run.data, None, console=console(sys.stderr), is_main=True)
    progress.advise = foreseen.append
    monkeypatch.setattr("ptheta.reporting.progress.time.perf_counter", lambda: now)
    step = 0
    while now < budget:
        now += seconds[step]
        step += 1
        progress.advance(now / budget, Position(0, "", step=step, seconds=now))
    assert foreseen == [pytest.approx(step, rel=0.35 if len(seconds) > 900 else 0.1)]


def test_a_fit_that_hardly_learned_says_so_at_its_end(sources, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["made", "--width", "8", "--learning-rate", "1e-12", "--steps", "1", "--json", "--out", str(run)]
    assert main(["fit", str(sources / "photos.npy"), *words]) == 0
    out, err = capsys.readouterr()
    (note,) = json.loads(out.splitlines()[-1])["notes"]
    uniform = 24 * 24 * math.log(256)
    assert note.startswith(f"nothing was learned: uniform values have {uniform:.2f} nats, which ")
    assert note in err
    assert note in ptheta.Run.load(run).results()["notes"]


@pytest.mark.parametrize(
    ("steps", "words"), [(1, "1 step: hardly learned; more with x"), (100, "100 steps: little learned; more with x")]
)
def test_few_steps_are_named_at_the_end(steps, words):
    model = family("made").load()(ptheta.load("digits", limit=20).space)
    run = SimpleNamespace(model=model)
    score = Score(1.0, 0.1, 10, 64)
    assert shortcomings(run, score, steps, "more with x") == [words]
    assert shortcomings(run, score, 500, None) == []


def test_smaller_batches_and_the_time_before_learning_are_part_of_the_advice():
    data = ptheta.load("digits", limit=20)
    affording = Affording.of_model(
        model := family("made").load()(data.space), {}, data, torch.device("cpu"), Means(1e9)
    )
    times = Timetable(120.0)
    times.before = 60.0
    line = advice(model, affording, times, 20, batch=64)
    assert "smaller batches (--batch-size 16)" in line
    assert "more time (--minutes 11)" in line  # a minute before, and ten times the other
    assert "smaller batches" not in advice(model, affording, times, 20, batch=8)
    times.before = 300.0  # more than there was, and a fifth of the budget to learn: 5 minutes and ten times 0.4
    assert "more time (--minutes 9)" in advice(model, affording, times, 20)


def test_settings_chosen_for_the_machine_are_no_part_of_the_command_that_fits_again(tmp_path, monkeypatch):
    monkeypatch.setattr(Affording, "settle", lambda self, model, chosen, world: (replace(chosen, batch_size=5), []))
    data = ptheta.load("digits", limit=20)
    run = ptheta.fit("made", data, steps=1, out=tmp_path / "run", hyperparameters={"width": 8})
    assert run.plan()["settled"] == ["batch_size"]
    assert "--batch-size" not in fit_command(run)
    monkeypatch.setattr(type(run), "plan", lambda self: {**self.config["fit"], "settled": []})
    assert "--batch-size 5" in fit_command(run)
