"""A budget in minutes is that of the whole command, on a machine that is busy with something else, too.

The clock is one of the tests' own: a step, and the score of an event, take as long as the load of the machine says.
"""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import ptheta
from ptheta.cli import clock
from ptheta.data import Split
from ptheta.models.autoregressive.made import MADE
from ptheta.numbers import rounded
from ptheta.spaces import Discrete
from ptheta.training import Budget, MaximumLikelihood, Settings, Timetable, Trainer, World, loop, timetable
from ptheta.training.timetable import LEAST, LOOKING, SCORING

HERE = World(0, 1, torch.device("cpu"))
MINUTES = 2.0
WHOLE = 60 * MINUTES


class Clock:
    """Seconds that pass with the work: `load` multiplies them from `busy` seconds on."""

    def __init__(self, busy=math.inf, load=1.0):
        self.now, self.busy, self.load = 1000.0, 1000.0 + busy, load

    def perf_counter(self):
        return self.now

    def work(self, seconds):
        self.now += seconds * (self.load if self.now >= self.busy else 1.0)


class Slow(MaximumLikelihood):
    """Its steps and its judgements take time on the clock of the test."""

    clock: Clock
    step, event = 1.0, 0.01
    judged: list[int]

    def rows(self, step, progress):
        self.clock.work(self.step)
        return super().rows(step, progress)

    def judge(self, model, n):
        self.judged.append(n)
        self.clock.work(n * self.event)
        return super().judge(model, n)

    def affordable(self, model, seconds):
        return rounded(seconds / self.event, len(self.validation))


def fitted(monkeypatch, clock, before, *, step=1.0, event=0.01, heldout=2000, budget=None, batch=4):
    """A fit on that clock that began `before` seconds ago; returns its trainer and timetable."""
    for module in (loop, timetable):
        monkeypatch.setattr(module, "time", clock)
    split = Split(np.zeros((3000, 4), np.uint8))
    model = MADE(Discrete((4,), 2), width=4, layers=1)
    objective = Slow(model, split, split, Settings(batch_size=batch), seed=0, world=HERE)
    objective.clock, objective.step, objective.event, objective.judged = clock, step, event, []
    budget = budget or Budget(minutes=MINUTES)
    times = Timetable(budget.seconds, clock.now - before, heldout)
    trainer = Trainer(objective, budget, timetable=times)
    trainer.run()
    return trainer, times


@pytest.mark.parametrize("before", [0.0, 30.0])
@pytest.mark.parametrize(("busy", "load"), [(math.inf, 1), (0, 3), (40, 2), (60, 4)])
@pytest.mark.parametrize("event", [1e-4, 0.01, 0.2])
def test_learning_leaves_time_for_what_comes_after_it(before, busy, load, event, monkeypatch):
    clock = Clock(busy, load)
    began = clock.now - before
    trainer, times = fitted(monkeypatch, clock, before, event=event)
    learned = clock.now
    clock.work(rounded(times.scoring(0) / times.pace, 2000) * event)  # the final score
    clock.work(times.looking(0) / clock.load if clock.now >= clock.busy else times.looking(0))  # takes all it may
    assert clock.now - began <= 1.25 * WHOLE
    assert learned - began >= 0.7 * WHOLE, "and learning is given what is there"
    assert trainer.position.step > 0


def test_what_comes_before_learning_may_take_most_of_the_time_but_not_all():
    times = Timetable(WHOLE, heldout=10)
    assert times.learning(0.9 * WHOLE) == LEAST * WHOLE
    assert times.learning(0.0) == pytest.approx((1 - SCORING - LOOKING) * WHOLE)
    times.pace = 0.001
    assert times.learning(0.0) == pytest.approx(WHOLE - 0.01 - LOOKING * WHOLE)
    assert Timetable().expected() is None


def test_a_command_began_with_its_process_and_within_another_program_when_it_was_called():
    code = "import time; time.sleep(0.5); from ptheta.cli import clock; print(clock.age())"
    started = time.perf_counter()
    age = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 0.4 <= age <= time.perf_counter() - started + 0.1
    with clock.timed(whole_process=False):
        assert time.perf_counter() - clock.began() < 0.1
    with clock.timed(whole_process=True):
        assert time.perf_counter() - clock.began() == pytest.approx(clock.age(), abs=0.1)
    assert clock.began() == pytest.approx(time.perf_counter(), abs=0.1)


def test_a_resumed_fit_counts_what_passed_in_both_commands(monkeypatch, tmp_path):
    trainer, _ = fitted(monkeypatch, Clock(), 25.0)
    again = Trainer(trainer.objective, trainer.budget, timetable=Timetable(WHOLE, trainer.objective.clock.now - 10.0))
    again.position = trainer.position
    again._prepared = True
    again.run()
    assert again.position.before == pytest.approx(35.0, abs=0.1)
    assert again.position.step == trainer.position.step, "nothing was left"


@pytest.mark.parametrize(("steps", "batch"), [(2, 4), (40, 4), (400, 64)])
def test_the_validations_of_a_few_steps_do_not_dominate_them(steps, batch, monkeypatch):
    monkeypatch.setattr(loop, "VALIDATED", 8)
    trainer, _ = fitted(monkeypatch, Clock(), 0.0, budget=Budget(steps=steps), batch=batch)
    judged = trainer.objective.judged
    assert sum(judged) <= max(2 * len(judged), 0.31 * steps * batch), "a score costs a third of a step's event"
    assert len(set(judged)) == 1, "the same events every time"


def test_a_fit_in_minutes_scores_a_round_number_and_says_of_how_many(tmp_path, monkeypatch):
    data = ptheta.load("digits", limit=100)
    monkeypatch.setattr("ptheta.fitting.results.rounded", lambda n, most: rounded(47.3, most))
    run = ptheta.fit("made", data, minutes=0.005, out=tmp_path / "run", hyperparameters={"width": 16})
    results = run.results()
    assert (results["n"], results["of"]) == (20, 100)
    assert results["steps"] > 0
    assert "20 of 100 test events" in (run.path / "README.md").read_text()
    again = ptheta.fit(None, data, minutes=0.02, out=run.path, resume=True)
    monkeypatch.undo()
    assert again.results()["n"] == 20, "a resumed fit is scored on the events of the first score"
