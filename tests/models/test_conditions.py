"""What encoders make of contexts: padding is not seen, what is left out is nothing, numbers are told in any unit."""

import pytest
import torch

from ptheta.errors import ContextError, SpaceError, UsageError
from ptheta.models import MADE, MarkovMLP, PixelCNN, Transformer
from ptheta.models.autoregressive.language import similar
from ptheta.models.conditions import ContextEncoder
from ptheta.sampling import Effort
from ptheta.spaces import Discrete, Document, Grid, Image, Joint, Label, Real, Sequence, Spectrogram, Waveform
from ptheta.training.objectives.likelihood import LikelihoodLoss

EVENTS = Discrete((3,), 3)


def encoder(space, seed: int = 0) -> ContextEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = ContextEncoder(space, 16, heads=2).double().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.2)
    return made


def test_a_text_says_the_same_beside_longer_ones():
    space = Document(9, 5)
    texts, told = space.pad([[0, 1], [2, 1, 0, 3, 3, 1, 2], []]), encoder(space)
    together = told(texts)
    for i, length in enumerate([3, 8, 1]):
        alone = told(texts[i : i + 1])
        assert torch.allclose(alone.vector[0], together.vector[i], rtol=0, atol=1e-12)
        assert together.present[i].sum() == length == alone.present.sum()
        assert torch.allclose(alone.tokens[0, :length], together.tokens[i, :length], rtol=0, atol=1e-12)


def test_the_order_of_words_matters():
    space = Document(5, 5)
    one, other = encoder(space)(space.pad([[0, 1, 2], [2, 1, 0]])).vector
    assert not torch.allclose(one, other, atol=1e-3)


def test_silence_after_a_sound_is_not_seen_as_sound():
    space, told = Spectrogram(16, 3, levels=8), encoder(Spectrogram(16, 3, levels=8))
    x = torch.zeros(2, *space.shape, dtype=torch.long)
    x[:, :, :5] = torch.randint(1, 8, (1, 5, 3), generator=torch.Generator().manual_seed(0))
    x[1, :, 15] = 1
    present = told(x).present
    assert present.tolist() == [[True, True, False, False], [True, True, True, True]]


@pytest.mark.parametrize(
    "space",
    [
        Label("ab"),
        Document(4, 3),
        Image(3, 5, 3, 4),
        Grid(9, 9, 6),
        Spectrogram(6, 2),
        Waveform(300),
        Real((2,)),
        Sequence(5, 4),
    ],
)
def test_every_kind_of_context_has_tokens_a_vector_and_a_null(space):
    told = encoder(space)
    x = torch.rand(3, *space.shape, generator=torch.Generator().manual_seed(1))
    x = x.double() if isinstance(space, Real) else (x * space.levels).long()
    out = told(torch.cat([x, space.null(2)]))
    assert out.vector.shape == (5, 16)
    assert out.tokens.shape[:2] == out.present.shape
    assert torch.isfinite(out.vector).all()
    assert torch.isfinite(out.tokens).all()
    assert out.present[3:].sum(1).tolist() == [1, 1]
    assert torch.equal(out.vector[3], out.vector[4])
    assert not torch.allclose(out.vector[0], out.vector[1])
    assert torch.allclose(told(x).vector, out.vector[:3], rtol=0, atol=1e-12)


def test_parts_left_out_are_left_out_and_the_others_still_tell():
    space = Joint({"kind": Label(("a", "b")), "size": Real(())})
    told = encoder(space)
    both = told(space.validate({"kind": ["a", "b"], "size": torch.tensor([1.0, 1.0]).double()}))
    only = told(space.validate({"kind": ["a", "b"]}))
    parts = [part.nothing for part in told.parts]
    labels = told.parts[0].encoder.table[0]
    assert torch.allclose(only.vector, labels + parts[1][1], rtol=0, atol=1e-12)
    assert not torch.allclose(both.vector, only.vector)


def test_numbers_are_told_in_any_unit():
    x = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)).double()
    one, other = encoder(Real((1,))), encoder(Real((1,)))
    one.prepare(x)
    other.prepare(1e6 + 1000 * x)
    assert torch.allclose(one(x).vector, other(1e6 + 1000 * x).vector, rtol=0, atol=1e-6)


def test_a_broadcast_context_is_encoded_once():
    space, seen = Document(6, 4), []
    told, row = encoder(space), space.pad([[1, 2]])
    told.parts[0].encoder.register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    many = told(row.expand(1000, -1))
    assert seen == [1]
    assert torch.equal(many.vector[999], told(row).vector[0])


def test_contexts_are_forgotten_in_training_as_often_as_said():
    model = MADE(EVENTS, Label(("a", "b")), context_dropout=0.3).train()
    context = torch.ones(20_000, dtype=torch.long)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        left = (model.without_some(context) == -1).double().mean()
    assert float(left) == pytest.approx(0.3, abs=0.015)
    assert torch.equal(model.eval().without_some(context), context)


def test_of_several_parts_all_or_single_ones_are_forgotten():
    space = Joint({"kind": Label(("a", "b")), "look": Image(1, 2, levels=2)})
    model = MADE(EVENTS, space, context_dropout=0.25).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        absent = space.absent(model.without_some(torch.ones(20_000, 3, dtype=torch.long))).double()
    assert float(absent.mean()) == pytest.approx(1 - 0.75**2, abs=0.02)
    assert float(absent.prod(1).mean()) == pytest.approx(0.25 + 0.75 * 0.25**2, abs=0.02)


def test_a_model_that_was_always_told_needs_all_parts():
    space = Joint({"kind": Label(("a", "b")), "size": Real(())})
    model = MADE(EVENTS, space, width=8, context_dropout=0.0)
    with pytest.raises(ContextError, match="the context lacks size"):
        model.sample(2, {"kind": ["a"]})
    with pytest.raises(ContextError, match="needs a context"):
        model.sample(2)
    with pytest.raises(ContextError, match="no part is called 'colour'"):
        model.sample(2, {"colour": ["a"]})


@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0])
def test_what_is_no_part_of_the_events_is_refused(value: float):
    with pytest.raises(UsageError, match="context dropout"):
        MADE(EVENTS, Label("ab"), context_dropout=value)


def test_a_picture_as_context_tells_each_place():
    """Where the context's picture changes far from a pixel's sight, that pixel's conditional stays the same."""
    space = Image(40, 40, levels=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelCNN(space, space, width=8, layers=1, reach=1).double().eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.2)
                if name.startswith(("condition.out", "condition.coarse")):
                    parameter.zero_()
    x = torch.zeros(1, *space.shape, dtype=torch.long)
    y = x.clone()
    y[..., 2, 2] = 1
    before, after = (model.conditionals(x, c).logits.view(40, 40, 2) for c in (x, y))
    moved = (before - after).abs().amax(-1) > 1e-12
    assert moved[2, 2]
    assert not moved[25:].any()
    assert not moved[:, 25:].any()


def test_texts_go_on_with_ends_after_their_end():
    space = Document(5, 4, end=2)
    model = Transformer(space, width=16, layers=1, heads=2).eval()
    x = model.sample(200, seed=0)
    for row, length in zip(x.tolist(), space.lengths(x).tolist()):
        assert set(row[length:]) <= {2}
    bad = torch.tensor([[0, 2, 1, 2, 2], [2, 2, 2, 2, 0]])
    assert model.log_prob(bad).tolist() == [-torch.inf, -torch.inf]
    with pytest.raises(UsageError, match="token by token"):
        model.generate(1, 3)
    with pytest.raises(SpaceError):
        model.log_prob([[0, 1, 2, 3, 4]])


def test_only_whole_null_rows_say_nothing():
    """What merely looks like one, such as a picture whose first pixel wrapped around, is an error."""
    for space, row in (
        (Label("abc"), torch.tensor([-3])),
        (Image(1, 2), torch.tensor([[[[-1, 7]]]])),
        (Real((3,)), torch.tensor([[float("nan"), 5.0, 7.0]])),
        (Label("abc"), torch.tensor(1)),
    ):
        model = MADE(EVENTS, space, width=8)
        with pytest.raises(ContextError):
            model.sample(1, row)


def test_fractions_are_no_levels_of_a_part():
    space = Joint({"kind": Label(("a", "b", "c")), "size": Real(())})
    with pytest.raises(SpaceError, match="kind holds fractions"):
        space.validate(torch.tensor([[1.9, 3.0]]))


def test_silence_after_a_waveform_is_not_seen():
    space = Waveform(1280)
    x = torch.full((1, 1280), 128)
    x[0, :100] = torch.arange(100) + 20
    assert encoder(space)(x).present.sum() == 1
    x[0, 700] = 5
    assert encoder(space)(x).present.sum() == 6


FAMILIES = {
    "made": (MADE, {"layers": 1}),
    "markov_mlp": (MarkovMLP, {"layers": 1, "window": 3}),
    "pixelcnn": (PixelCNN, {"layers": 1, "reach": 1}),
    "transformer": (Transformer, {"layers": 1, "heads": 2}),
    "any order": (Transformer, {"layers": 1, "heads": 2, "any_order": True}),
}


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_context_is_encoded_once_however_many_passes_draw_the_events(family, guidance):
    space, shown, seen = Image(4, 4, levels=3), Image(2, 2, levels=2), []
    cls, hyperparameters = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(space, shown, width=8, **hyperparameters).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.3)
    for module in model.modules():
        if isinstance(module, ContextEncoder):
            module.register_forward_hook(lambda *_: seen.append(1))
    contexts, effort = torch.randint(0, 2, (3, 1, 2, 2), generator=torch.Generator().manual_seed(1)), Effort()
    drawn = model.sample(3, contexts, seed=0, method="fixed_point", effort=effort, guidance=guidance)
    assert effort.passes > 1
    assert len(seen) == 1
    assert torch.equal(drawn, model.sample(3, contexts, seed=0, method="ancestral", guidance=guidance))


@pytest.mark.parametrize("shared", [False, True])
def test_whole_texts_cost_the_same_in_groups_of_like_length(shared):
    g = torch.Generator().manual_seed(0)
    space, told = Document(30, 7), Document(9, 5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer(space, told, width=16, layers=1, dropout=0.0, context_dropout=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=g)
    x = torch.full((150, 30), space.end)
    lengths = torch.randint(0, 31, (150,), generator=g)
    for row, length in enumerate(lengths.tolist()):
        x[row, :length] = torch.randint(0, 6, (length,), generator=g)
    assert len(similar(sorted((lengths + 1).tolist()))) > 2
    y = torch.randint(0, 5, (150, 9), generator=g)
    y = y[:1].expand(150, -1) if shared else y
    model.train()  # the loss of a fit; float32
    found = LikelihoodLoss(model)(x, y)
    alone = torch.stack([LikelihoodLoss(model)(x[i : i + 1], y[i : i + 1]) for i in range(150)])
    torch.testing.assert_close(found, alone.mean(), rtol=1e-5, atol=0)
    model.eval()
    whole = model._conditionals(x, y).log_prob(x).sum(-1)  # all slots of all rows at once
    torch.testing.assert_close(model.log_prob(x, y), whole, rtol=1e-5, atol=1e-4)
