"""Guided sampling against conditionals mixed by hand."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from ptheta.errors import UsageError
from ptheta.models import MADE, PixelCNN, Transformer
from ptheta.sampling.guidance import guided_logits
from ptheta.spaces import Discrete, Image, Label, Real

LABELS = Label(("cat", "dog"))
MODELS = {
    "transformer": lambda: Transformer(Image(2, 2, levels=2), LABELS, width=16, layers=2, heads=2),
    "pixelcnn": lambda: PixelCNN(Image(2, 2, levels=2), LABELS, width=12, layers=2, reach=2),
    "logistic": lambda: PixelCNN(Image(2, 1, levels=4), LABELS, width=12, layers=2, reach=2, likelihood="logistic"),
    "made": lambda: MADE(Discrete((3,), 3), LABELS, width=24),
}


def model(name: str):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = MODELS[name]().double().eval()
        with torch.no_grad():
            for key, parameter in made.named_parameters():
                parameter.add_(torch.randn(parameter.shape) * (0.1 if key.startswith("condition.out") else 0.4))
    return made


def guided_probabilities(made, events: Tensor, context: list[str], guidance: float) -> Tensor:
    """∏_j of conditionals mixed by the definition, for every event."""
    told = made.conditionals(events, context).level_logits().log_softmax(-1)
    untold = made.conditionals(events).level_logits().log_softmax(-1)
    mixed = (untold + guidance * (told - untold)).log_softmax(-1)
    return mixed.gather(-1, made.flatten(events)[..., None])[..., 0].sum(1).exp().detach()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("guidance", [0.5, 3.0])
def test_guided_events_come_in_the_frequencies_of_the_mixed_conditionals(name: str, guidance: float):
    made, n = model(name), 6000
    grids = torch.meshgrid(*[torch.arange(made.space.levels)] * made.space.dimensions, indexing="ij")
    events = torch.stack(grids, -1).reshape(-1, *made.space.shape)
    p = guided_probabilities(made, events, ["dog"], guidance)
    assert float(p.sum()) == pytest.approx(1)
    drawn = made.sample(n, ["dog"], seed=3, guidance=guidance)
    base = made.space.levels ** torch.arange(made.space.dimensions - 1, -1, -1)
    counts = torch.bincount(drawn.reshape(n, -1) @ base, minlength=len(events))
    likely = p * n >= 5
    observed = torch.cat([counts[likely], counts[~likely].sum()[None]])
    expected = torch.cat([p[likely], p[~likely].sum()[None]]) * n
    keep = expected > 1e-9
    assert stats.chisquare(observed[keep], expected[keep] * observed[keep].sum() / expected[keep].sum()).pvalue > 1e-4
    plain = made.log_prob(events, ["dog"]).exp().detach()
    assert float((p - plain).abs().sum()) > 0.004  # else guidance would not show


@pytest.mark.parametrize("name", MODELS)
def test_one_is_the_model_and_zero_is_the_model_without_a_context(name: str):
    made = model(name)
    assert torch.equal(made.sample(40, ["cat"], seed=1, guidance=1.0), made.sample(40, ["cat"], seed=1))
    assert torch.equal(made.sample(40, ["cat"], seed=1, guidance=0.0), made.sample(40, seed=1))


@pytest.mark.parametrize("name", MODELS)
def test_fixed_point_passes_are_guided_to_the_same_events(name: str):
    made, rows = model(name), ["cat", "dog"] * 20
    steps = made.sample(40, rows, seed=2, guidance=2.0, method="ancestral")
    assert torch.equal(made.sample(40, rows, seed=2, guidance=2.0, method="fixed_point"), steps)


def test_a_completion_is_guided_and_keeps_what_is_kept():
    made = model("pixelcnn")
    x = made.sample(3, ["cat"], seed=0)
    done = made.complete(x, 0.5, 50, ["dog"], seed=1, guidance=4.0)
    assert torch.equal(done[:, :, :, 0], x[:, None, :, 0].expand(-1, 50, -1, -1))
    assert not torch.equal(done, made.complete(x, 0.5, 50, ["dog"], seed=1))


def test_what_one_side_forbids_stays_forbidden():
    told, untold = torch.tensor([[0.0, -torch.inf, 0.0]]), torch.tensor([[0.0, 0.0, -torch.inf]])
    assert guided_logits([untold, told], [2.0]).softmax(-1).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("guidance", [-1.0, float("nan"), float("inf")])
def test_guidance_is_a_finite_number(guidance: float):
    with pytest.raises(UsageError, match="guidance"):
        model("made").sample(2, ["cat"], guidance=guidance)


def test_models_that_cannot_be_guided_say_why():
    with pytest.raises(UsageError, match="this model has none"):
        MADE(Discrete((3,), 3)).sample(2, guidance=2.0)
    with pytest.raises(UsageError, match="also trained without"):
        MADE(Discrete((3,), 3), LABELS, context_dropout=0.0).sample(2, ["cat"], guidance=2.0)
    with pytest.raises(UsageError, match="real"):
        MADE(Real((2,)), LABELS).sample(2, ["cat"], guidance=2.0)
