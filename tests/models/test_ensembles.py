"""Mixtures of models of one family. The contract tests run over them, too; here is what only they can do."""

import math

import pytest
import torch
from zoo_cases import SPACES, Case, all_events, frequencies_agree, members_of, model_of, random_events

from ptheta.configs import build_model, describe_model
from ptheta.distributions import Categorical
from ptheta.errors import UsageError
from ptheta.models import MADE, Flow, Transformer
from ptheta.models.ensembles.autoregressive import LanguageEnsemble, TableEnsemble
from ptheta.models.ensembles.base import Ensemble
from ptheta.models.ensembles.kinds import ensemble_of
from ptheta.sampling import Warp, uniforms
from ptheta.spaces import Discrete, Real

STREAM, TABLE = Case("transformer", "sequence", "", "", 3), Case("table", "table", "", "", 3)


@pytest.mark.parametrize("case", [Case("made", "sizes", "", "", 3), Case("toy_vae", "discrete", "", "", 3)], ids=str)
def test_density_is_the_mean_of_the_members_densities(case):
    ensemble, x = model_of(case), random_events(case.space, 9, seed=0)
    alone = torch.stack([member.elbo(x, draws=3, seed=1) for member in ensemble.members])
    assert torch.allclose(ensemble.elbo(x, draws=3, seed=1), alone.exp().mean(0).log(), rtol=0, atol=1e-9)


def test_what_follows_a_beginning_is_drawn_from_the_mixtures_conditional():
    """By enumeration: a member counts as much as it predicted the beginning."""
    case = Case("made", "discrete", "", "", 3)
    ensemble, events = model_of(case), all_events(case.space)
    begun = events[events[:, 0] == 2]
    p = ensemble.log_prob(begun).exp().detach()
    drawn = ensemble.complete(begun[:1], 1 / 3, 4000, seed=0)[0]
    counts = torch.tensor([int((drawn == event).all(1).sum()) for event in begun])
    assert frequencies_agree(counts, p / p.sum()) > 1e-3
    plain = torch.stack([member.log_prob(begun).exp().detach() for member in ensemble.members])
    unweighted = (plain / plain.sum(1, keepdim=True)).mean(0)
    assert frequencies_agree(counts, unweighted) < 1e-3, "the beginning must count"


def test_missing_cells_are_drawn_from_the_mixtures_conditional():
    """The first column given the two others, against its density in the order that visits it last."""
    ensemble = model_of(TABLE)
    assert isinstance(ensemble, TableEnsemble)
    row = ensemble.sample(1, seed=3)[0]
    drawn = ensemble.impute(torch.cat([torch.tensor([math.nan]), row[1:]])[None], 4000, seed=1)[0, :, 0]
    view = ensemble.reordered((1, 2, 0))
    rows = torch.stack([torch.cat([torch.tensor([float(k)]), row[1:]]) for k in range(2)])
    p = view.log_prob(rows).exp().detach()
    assert frequencies_agree(torch.bincount(drawn.long(), minlength=2), p / p.sum()) > 1e-3
    of_others = ensemble.log_prob_of_part(row[None], torch.tensor([[True, False, False]]))
    assert torch.allclose(of_others, p.sum().log(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("draft", ["none", "ngram", "fixed_point"])
def test_a_stream_is_drawn_as_its_conditionals_say_whatever_is_guessed(draft):
    """The tokens that the mixture's own conditionals give, one full pass a token; their log p is that of the pass."""
    ensemble = model_of(STREAM)
    assert isinstance(ensemble, LanguageEnsemble)
    prompts = [[0, 1, 0, 1, 0], [1]]
    found = ensemble.generate(prompts, 6, seed=5, temperature=0.8, draft=draft)
    noise = uniforms(2, 6, 1, generator=generator_of(5))
    for row, prompt in enumerate(prompts):
        text = list(prompt)
        for j in range(6):
            padded = torch.tensor([*text, 0])
            nexts = [torch.cat([padded[:-1], torch.tensor([k])]) for k in range(3)]
            per_token = [one[-1] for one in ensemble.log_prob_per_token(nexts)]
            conditional = Categorical(torch.stack(per_token)[None]).warped(Warp(0.8))
            token = int(conditional.sample(noise[row, j][None]))
            assert int(found.tokens[row][j]) == token
            assert math.isclose(float(found.log_prob[row][j]), float(per_token[token]), abs_tol=1e-9)
            text.append(token)
            if token == 2:
                break


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


def test_a_stream_of_two_documents_weighs_members_by_all_that_was_read():
    """log p of a long sequence is the log of the mean of the members' p, which no window cuts off."""
    ensemble = model_of(STREAM)
    text = torch.tensor([0, 1, 1, 0, 2, 0, 0, 1, 1, 1, 0, 1])
    alone = torch.stack([member.log_prob_per_token([text])[0].sum() for member in ensemble.members])
    whole = ensemble.log_prob_per_token([text])[0].sum()
    assert math.isclose(float(whole), float(alone.exp().mean().log()), abs_tol=1e-9)


def test_an_ensemble_is_stored_as_its_members_family_and_what_differs():
    space = SPACES["discrete"]
    members = [MADE(space, width=width, dropout=dropout) for width, dropout in ((8, 0.0), (8, 0.2), (12, 0.0))]
    ensemble = ensemble_of(members)
    described = describe_model(ensemble)
    assert described["family"] == "made"
    assert described["members"] == [{}, {"dropout": 0.2}, {"width": 12}]
    again = build_model({"seed": 0, "model": described, "space": space.to_json(), "context_space": None})
    again.load_state_dict(ensemble.state_dict())
    x = random_events(space, 5, seed=0)
    assert torch.equal(again.log_prob(x), ensemble.log_prob(x))
    assert again.free_parameters == sum(member.free_parameters for member in members)


def test_members_that_do_not_go_together_are_refused():
    space = Discrete((3,), 2)
    with pytest.raises(UsageError, match="no members"):
        ensemble_of([])
    with pytest.raises(UsageError, match="a MADE and a Transformer"):
        ensemble_of([MADE(space), Transformer(space)])
    with pytest.raises(UsageError, match="a member is over"):
        ensemble_of([MADE(space), MADE(Discrete((4,), 2))])


def test_members_that_see_numbers_in_different_scales_are_refused():
    """Their log p could be averaged, but not their conditionals."""
    members = members_of(TABLE)
    members[1].prepare(random_events(TABLE.space, 40, seed=9) + torch.tensor([0.0, 3.0, 0.0]))
    with pytest.raises(UsageError, match="members see the numbers of their columns in different scales"):
        ensemble_of(members)


def test_an_ensemble_of_flows_is_a_mixture_and_no_autoregressive_model():
    members = [Flow(Real((2,)), transforms=1, width=8, bins=4) for _ in range(2)]
    assert type(ensemble_of(members)) is Ensemble
