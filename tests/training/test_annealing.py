"""A fit whose validation no longer improves goes back to its best weights, and ends with a falling rate."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.models import MADE
from ptheta.spaces import Discrete
from ptheta.training import Budget, MaximumLikelihood, ReverseKL, Settings, Trainer, Verdict, World
from ptheta.training.annealing import Annealing, rises
from ptheta.training.state import LATER, load_state
from ptheta.weights import read_tensors, write_tensors

HERE = World(0, 1, torch.device("cpu"))


class Told(MaximumLikelihood):
    """Validation is what the test says of every step, whatever the weights are."""

    def __init__(self, *given, values, **more):
        super().__init__(*given, **more)
        self.values, self.now = values, 0

    def rows(self, step, progress):
        self.now = step + 1
        return super().rows(step, progress)

    def judge(self, model, n):
        value = float(self.values(self.now))
        return Verdict(value, "", {}, value)


class Heard:
    """A listener that keeps what it hears, and the weights and rate after every step."""

    def __init__(self):
        self.notes, self.steps, self.weights, self.rates = [], [], {}, {}

    def record(self, values, verdict):
        self.steps.append(values["step"])

    def note(self, text):
        self.notes.append(text)

    def advance(self, progress, position):
        self.rates[position.step] = self.trainer.optimisers["model"][0].param_groups[0]["lr"]
        self.weights[position.step] = self.trainer.model.out.weight.detach().clone()

    def stopping(self):
        pass


def told(values, budget=None, kind=Told, **settings):
    x = np.random.default_rng(0).integers(0, 2, (40, 4)).astype(np.uint8)
    model = MADE(Discrete((4,), 2), width=8, layers=1)
    chosen = Settings(batch_size=8, learning_rate=0.01, average=0.0, **settings)
    listener = Heard()
    objective = kind(model, Split(x), Split(x), chosen, seed=0, world=HERE, values=values)
    listener.trainer = Trainer(objective, budget or Budget(steps=1000), listener=listener)
    best = listener.trainer.run()
    return listener.trainer, listener, best


def test_the_rate_falls_linearly_from_where_it_was_and_sooner_if_the_budget_ends():
    annealing = Annealing(source=100, start=140, steps=10, progress=0.5, height=0.8)
    assert annealing.rate(140, 0.5) == pytest.approx(0.8 * 0.95)
    assert annealing.rate(149, 0.5) == pytest.approx(0.8 * 0.05)
    assert annealing.rate(150, 0.5) == 0.0
    assert annealing.rate(141, 0.9) == pytest.approx(0.8 * 0.2)
    assert annealing.rate(141, 1.0) == 0.0


def test_a_fit_that_stalls_goes_on_from_its_best_weights_with_a_falling_rate():
    trainer, heard, best = told(lambda step: 0.0 if step in (130, 999) else abs(step - 100))
    annealing = trainer.position.annealing
    assert annealing is not None
    source = annealing.source
    assert source == trainer.position.best_step == min(heard.steps, key=lambda step: abs(step - 100))
    later = [step for step in heard.steps if source < step <= annealing.start]
    assert len(later) >= 4
    assert annealing.start >= 1.3 * source
    assert later[-2] < 1.3 * source or len(later) == 4, "as soon as patience is over"
    assert annealing.steps == math.ceil(0.3 * source)
    assert trainer.position.step == annealing.start + annealing.steps == heard.steps[-1], "it is judged, and ends"
    assert trainer.position.is_settled
    assert trainer.position.effective_steps == source + annealing.steps
    rates = [heard.rates[step] for step in range(annealing.start + 1, trainer.position.step + 1)]
    falls = np.diff([heard.rates[annealing.start], *rates])
    assert (falls < 0).all()
    assert np.allclose(falls[1:], falls[1]), "linearly"
    assert 0 < rates[-1] < rates[0] / 10
    moved = (heard.weights[annealing.start + 1] - heard.weights[source]).abs().max()
    assert moved < 0.02, "one step from the best weights"
    assert torch.equal(heard.weights[annealing.start], heard.weights[source])
    assert (heard.weights[annealing.start - 1] - heard.weights[source]).abs().max() > 2 * moved
    assert torch.equal(best["out.weight"], heard.weights[source]), "annealing found nothing better"
    assert heard.notes == [
        f"validation has become worse since step {source}: from its weights the learning rate falls to 0"
        f" in {annealing.steps} steps"
    ]


def test_what_annealing_finds_is_kept_if_it_is_better():
    stalled, _, _ = told(lambda step: abs(step - 100))
    end = stalled.position.step
    trainer, heard, best = told(lambda step: -1.0 if step == end else abs(step - 100))
    assert trainer.position.best_step == trainer.position.step == end
    assert torch.equal(best["out.weight"], heard.weights[end])


def test_a_fit_that_improves_is_not_annealed_and_patience_may_be_infinite_or_short():
    improving, heard, _ = told(lambda step: -step, Budget(steps=200))
    assert improving.position.step == 200
    assert heard.notes == []
    scattered, heard, _ = told(lambda step: 0.0 if step == 1 else 1.0 + step * 7 % 3, Budget(steps=400))
    assert scattered.position.step == 400
    assert heard.notes == []
    never, heard, _ = told(lambda step: abs(step - 50), Budget(steps=300), patience=0.0)
    assert never.position.step == 300
    assert heard.notes == []
    short, long = (told(lambda step: abs(step - 100), patience=patience)[0].position for patience in (0.1, 1.0))
    assert short.annealing.start < long.annealing.start
    assert short.annealing.steps < long.annealing.steps


def test_a_fit_that_has_not_begun_to_learn_is_not_annealed():
    trainer, heard, _ = told(lambda step: step, Budget(steps=100))
    assert trainer.position.best_step == 1
    assert trainer.position.step == 100
    assert heard.notes == []


def test_only_fits_to_data_are_annealed():
    assert MaximumLikelihood.anneals
    assert not ReverseKL.anneals


@pytest.mark.parametrize("patience", [-0.1, math.inf])
def test_patience_is_checked(patience):
    with pytest.raises(FitError, match="patience is"):
        replace(Settings(), patience=patience)


def test_checkpoints_from_before_annealing_are_read(tmp_path):
    trainer, _, _ = told(lambda step: -step, Budget(steps=20))
    trainer.checkpoint = tmp_path / "state"
    trainer._save()
    tensors, metadata = read_tensors(trainer.checkpoint)
    position = {name: value for name, value in json.loads(metadata["position"]).items() if name not in LATER}
    write_tensors(tmp_path / "old", tensors, {"position": json.dumps(position)})
    found, _ = load_state(tmp_path / "old")
    assert (found.step, found.annealing, found.member, found.together) == (20, None, 0, math.inf)


def test_values_without_end_are_no_trend():
    assert rises([1.0, 2.0, 3.0, 4.0])
    assert not rises([1.0, 2.0, math.inf, 3.0, 4.0])
    assert not rises([1e200, 2e200, 3e200, 4e200])
