"""How long a fit takes, and how fast it learns on the way."""

import numpy as np
import pytest

from ptheta.errors import FitError
from ptheta.training import Budget
from ptheta.training.budget import rate


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "there is no budget"),
        ({"steps": 1, "epochs": 1}, "steps and epochs are given together"),
        ({"minutes": 1, "steps": 1, "epochs": 1}, "minutes, steps and epochs are given together"),
    ],
)
def test_a_budget_is_given_exactly_once(given, problem):
    with pytest.raises(FitError, match=f"{problem}; give one of minutes, steps and epochs"):
        Budget(**given)


@pytest.mark.parametrize("given", [{"minutes": 0}, {"steps": -3}, {"minutes": np.inf}])
def test_a_budget_is_above_zero(given):
    with pytest.raises(FitError, match="give a number above 0"):
        Budget(**given)


def test_epochs_are_passes_over_the_data_and_at_least_one_step():
    assert Budget(epochs=3).total_steps(steps_per_epoch=7) == 21
    assert Budget(epochs=0.5).total_steps(steps_per_epoch=7) == round(3.5)
    assert Budget(epochs=0.01).total_steps(steps_per_epoch=7) == 1
    assert Budget(steps=5).total_steps(7) == 5
    assert Budget(minutes=1).total_steps(7) is None


def test_a_budget_says_what_it_is():
    budgets = [{"minutes": 0.5}, {"steps": 1200}, {"steps": 1}, {"epochs": 2}, {"epochs": 1}, {"epochs": 0.5}]
    words = ["0.5 min", "1,200 steps", "1 step", "2 epochs", "1 epoch", "0.5 epochs"]
    assert [str(Budget(**given)) for given in budgets] == words


@pytest.mark.parametrize(("warmup", "hold"), [(0.02, 0.4), (0.1, 0.1), (0.25, 0.75)])
def test_the_rate_rises_holds_and_falls_linearly(warmup, hold):
    p = np.linspace(0, 1, 201)
    truth = np.interp(p, [0, warmup, hold, 1], [0, 1, 1, 0])
    np.testing.assert_allclose([rate(x, warmup, hold) for x in p], truth, atol=1e-12)


def test_without_warm_up_the_first_step_has_the_full_rate_and_past_the_end_it_is_zero():
    assert rate(0.0, warmup=0.0, hold=0.5) == 1.0
    assert rate(1.5, warmup=0.1, hold=0.5) == 0.0
