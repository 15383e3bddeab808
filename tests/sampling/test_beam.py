"""Beam search against the ranking of all texts."""

import itertools

import pytest
import torch

from ptheta.errors import UsageError
from ptheta.models import Transformer
from ptheta.sampling import beam_search
from ptheta.spaces import Document, Label, Sequence

SPACE, LABELS = Document(4, 3, end=1), Label(("cat", "dog"))


def model(seed: int = 0) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Transformer(SPACE, LABELS, width=16, layers=2, heads=2).double().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.4)
    return made


def all_texts() -> torch.Tensor:
    rows = [list(row) for k in range(5) for row in itertools.product((0, 2), repeat=k)]
    return SPACE.pad(rows)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_of_all_texts_finds_the_one_that_ranks_first(penalty: float, seed: int):
    made, texts = model(seed), all_texts()
    found, scores = made.beam_search(["cat", "dog"], beams=31, length_penalty=penalty)
    for i, name in enumerate(LABELS.names):
        log_p = made.log_prob(texts, [name]).detach()
        best = int((log_p / SPACE.lengths(texts) ** penalty).argmax())
        assert torch.equal(found[i], texts[best])
        assert float(scores[i]) == pytest.approx(float(log_p[best]), abs=1e-10)


def test_texts_carry_their_log_probability_however_narrow_the_beam():
    made = model()
    for beams in (1, 2, 3):
        found, scores = made.beam_search(["dog", "cat", "dog"], beams=beams)
        assert torch.allclose(made.log_prob(found, ["dog", "cat", "dog"]), scores, rtol=0, atol=1e-10)
        assert torch.equal(found[0], found[2])


def test_wider_beams_never_rank_lower_than_the_widest():
    made = model(3)
    ranks = []
    for beams in (1, 2, 31):
        found, scores = made.beam_search(["cat"], beams=beams)
        ranks.append(float(scores[0]) / int(SPACE.lengths(found)[0]))
    assert max(ranks) == pytest.approx(ranks[-1])


def test_without_a_context_so_many_as_asked_for():
    made = model()
    found, scores = made.beam_search(n=2, beams=31)
    assert found.shape == (2, 4)
    assert float(scores[0]) == pytest.approx(float(made.log_prob(found[:1])[0].detach()), abs=1e-10)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="beams is 0; give at least 1"):
        model().beam_search(["cat"], beams=0)
    with pytest.raises(UsageError, match="length penalty"):
        model().beam_search(["cat"], length_penalty=-1.0)
    with pytest.raises(UsageError, match="whole texts"):
        Transformer(Sequence(4, 3), width=16, heads=2).beam_search(n=1)
    with pytest.raises(UsageError, match="beams"):
        beam_search(None, 1, 0, 3, 1)  # type: ignore[arg-type]
