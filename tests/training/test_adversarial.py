"""A model against an opponent: what compilation, costs and chunks must not break."""

import pytest
import torch
from toy_gan import Opponent, ToyGAN

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.evaluation.samples import classifier_test, energy_distance
from ptheta.models.inputs import moments
from ptheta.spaces import Real
from ptheta.training import Adversarial, Settings, World
from ptheta.training.cost import Estimate

HERE = World(0, 1, torch.device("cpu"))
pytestmark = pytest.mark.usefixtures("toys")


def objective(**options):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    split = Split(x.numpy())
    return Adversarial(ToyGAN(Real((3,))), split, split, Settings(batch_size=8), seed=0, world=HERE, **options)


def test_what_needs_second_derivatives_is_not_compiled():
    assert [player.compiles for player in objective().players().values()] == [False, True]
    assert [player.compiles for player in objective(r1=0.0).players().values()] == [True, True]


def test_the_penalty_is_that_of_the_gradient_on_training_events():
    goal = objective(r1=3.0)
    x, _ = goal.rows(0, 0.0)
    player, plain = (objective(r1=r1).players()["opponent"].loss for r1 in (3.0, 0.0))
    plain.load_state_dict(player.state_dict())
    signal = goal.generator.signal(x).requires_grad_()
    (slope,) = torch.autograd.grad(player.opponent(signal, None).sum(), signal)
    expected = 1.5 * slope.square().sum(1).mean()
    losses = []
    for loss in (player, plain):
        torch.manual_seed(0)
        loss._model[0].load_state_dict(goal.generator.state_dict())
        losses.append(loss(x, None))
    assert (losses[0] - losses[1]).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("options", [{"r1": -1.0}, {"r1": float("inf")}, {"opponent_learning_rate": 0.0}])
def test_options_have_their_limits(options):
    with pytest.raises(FitError, match=r"(r1|opponent_learning_rate) is"):
        objective(**options)


def test_costs_count_the_opponent_and_take_batch_normalisation():
    class Large(ToyGAN):
        def _opponent(self):
            return Opponent(3, 0, 50_000)

    small, large = (
        Estimate(lambda space, cls=cls: cls(space), {}, None, torch.device("cpu"), 2**33).at(Real((3,)))
        for cls in (ToyGAN, Large)
    )
    assert large.parameters - small.parameters > 200_000
    assert large.weights > small.weights + 4 * 200_000


def test_moments_of_chunks_are_those_of_all():
    z = torch.randn(3001, 4, dtype=torch.float64) * 7 + 1e6
    z[:, 1], z[:, 2] = 0.1, 1e9 + 0.1
    for one, other in zip(moments([z]), moments(z.split(37))):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=0)
    assert moments(z.split(37))[1][1:3].tolist() == [1.0, 1.0], "constant columns keep the unit 1"


def test_the_energy_distance_is_unbiased_and_grows_with_the_distance():
    g = torch.Generator().manual_seed(0)
    alike = [energy_distance(*torch.randn(2, 40, 2, generator=g)) for _ in range(200)]
    assert abs(sum(alike) / 200) < 4 * torch.tensor(alike).std() / 200**0.5
    a, b = torch.randn(2, 400, 2, generator=g)
    assert energy_distance(a, b + 1) > 0.2 > energy_distance(a, b)


def test_few_events_that_differ_are_told_apart():
    a, b = torch.randn(30, 2).numpy(), torch.randn(30, 2).numpy() + 20
    assert classifier_test(a, b, 0)[0] > 0.95


def test_too_few_events_are_an_error():
    split = Split(torch.zeros(1, 3, dtype=torch.float64).numpy())
    with pytest.raises(FitError, match="1 training events are too few for an opponent"):
        Adversarial(ToyGAN(Real((3,))), split, split, Settings(batch_size=1), seed=0, world=HERE)


def test_the_events_that_were_compared_are_the_ones_that_are_reported(monkeypatch):
    monkeypatch.setattr("ptheta.training.objectives.adversarial.JUDGED", 15)
    goal = objective()
    assert goal.conclude(goal.generator, goal.validation)["n"] == 15
    assert goal.conclude(goal.generator, goal.validation.subset(7))["n"] == 7
