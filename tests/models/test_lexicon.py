"""A lexicon is IBM model 1, its transformer stays a distribution, and it translates what it never saw learned."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

import ptheta
from ptheta.errors import UsageError
from ptheta.models import Transformer
from ptheta.nn.lexicon import DISCOUNT, FLOOR, Lexicon, translations
from ptheta.spaces import Document, Image, Label

TEXT, TOLD = Document(3, 4), Document(4, 5)


def plain_translations(sources, targets, levels, outputs, rounds):
    """IBM model 1 word by word, in the plainest way; the source's last token is the empty word."""
    t = np.ones((levels + 1, outputs))
    for _ in range(rounds):
        counts = np.zeros_like(t)
        for source, target in zip(sources, targets):
            for word in target:
                parts = t[[*source, levels], word]
                for token, part in zip([*source, levels], parts / parts.sum()):
                    counts[token, word] += part
        totals = counts.sum(1, keepdims=True)
        t = counts / np.where(totals > 0, totals, 1)
    return (np.maximum(counts - DISCOUNT, 0) / np.where(totals > 0, totals, 1))[:levels]


def test_translations_are_ibm_model_1():
    g = np.random.default_rng(0)
    sources = [g.integers(0, 5, g.integers(0, 6)) for _ in range(30)]
    targets = [g.integers(0, 7, g.integers(1, 6)) for _ in range(30)]
    found = translations(sources, targets, 6, 7, rounds=4)
    np.testing.assert_allclose(found, plain_translations(sources, targets, 6, 7, 4), atol=1e-6)
    assert found.sum(1).max() <= 1
    assert not translations([], [], 6, 7).any()


def test_words_that_occur_in_several_pairs_are_told_apart():
    pairs = [([a, b], [a + 1, b + 1]) for a, b in itertools.permutations(range(4), 2)]
    found = translations([s for s, _ in pairs], [t for _, t in pairs], 4, 5, rounds=20)
    assert found.argmax(1).tolist() == [1, 2, 3, 4]


def test_words_that_were_translated_are_covered_and_the_next_one_is_reached():
    lexicon = Lexicon(5, 4, 8)
    lexicon.table.copy_(torch.tensor([[0.9, 0, 0, 0], [0, 0.9, 0, 0], [0, 0.1, 0.8, 0], [0] * 4, [0] * 4]))
    words = lexicon.words(torch.zeros(1, 3, 8), torch.tensor([[0, 1, 2]]), torch.ones(1, 3, dtype=torch.bool))
    before = torch.tensor([[4, 0, 1]])  # the start, then what the first two words are
    found = lexicon.alignment(before, words)
    assert not found.last[0, 0].any()
    torch.testing.assert_close(found.last[0, 1], torch.tensor([0.9, 0, 0]) / (0.9 + FLOOR))
    torch.testing.assert_close(found.last[0, 2], torch.tensor([0, 0.9, 0.1]) / (1 + FLOOR))
    torch.testing.assert_close(found.covered, found.last.cumsum(1))
    with torch.no_grad():
        logits = lexicon(torch.zeros(1, 3, 8), words, found)[0]
    assert logits[1:].argmax(1).tolist() == [1, 2], "what was translated is covered, and its neighbour is next"


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Transformer(TEXT, TOLD, width=16, layers=1, heads=2, context_layers=1, dropout=0.0, lexicon=True)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    g = np.random.default_rng(0)
    x = TEXT.pad([g.integers(0, 3, g.integers(1, 3)) for _ in range(40)])
    context = TOLD.pad([g.integers(0, 4, g.integers(1, 4)) for _ in range(40)])
    made.prepare_pairs([x[:25], x[25:]], [context[:25], context[25:]])
    return made.requires_grad_(False).double().eval(), x, context


def test_a_transformer_with_a_lexicon_is_a_distribution_and_decodes_as_it_scores(model):
    model, x, context = model
    assert model.dictionary.table.any()
    rows = [np.array(t) for n in range(4) for t in itertools.product(range(3), repeat=n)]
    events = TEXT.pad(rows)
    for given in (context[:1], context[7:8], TOLD.null(1)):
        assert float(model.log_prob(events, given).exp().sum()) == pytest.approx(1)
    decoder = model.decoder(len(x), context)
    pieces = model.log_prob_per_dimension(x, context)
    for j in range(TEXT.length):
        conditional = decoder.step(None if j == 0 else x[:, j - 1])
        torch.testing.assert_close(conditional.log_prob(x[:, j]), pieces[:, j], rtol=0, atol=1e-9)
    best, scores = model.beam_search(context, beams=2, length_penalty=0)
    torch.testing.assert_close(scores, model.log_prob(best, context))
    table = model.dictionary.table.clone()
    model.dictionary.table.zero_()
    assert not torch.allclose(model.log_prob(x, context), pieces.sum(1)), "it matters what was counted"
    model.dictionary.table.copy_(table)


def test_a_run_with_a_lexicon_is_saved_with_it_and_knows_words_at_once(tmp_path):
    g = np.random.default_rng(0)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    drawn = [g.choice(12, g.integers(4, 7), replace=False) for _ in range(300)]
    frame = pd.DataFrame({"en": [" ".join(words[i] for i in row) for row in drawn]})
    frame["xx"] = [" ".join(chr(0x430 + 2 * i) + chr(0x431 + 2 * i) for i in row) for row in drawn]
    data = ptheta.load(frame, event="xx", context="en", whole=True, tokenizer="bpe", vocabulary=300)
    small = {"width": 16, "layers": 1, "heads": 2, "context_layers": 0}
    nats = {}
    for lexicon in (False, True):
        chosen = {**small, "lexicon": lexicon}
        run = ptheta.fit(
            "transformer", data, hyperparameters=chosen, steps=3, out=tmp_path / str(lexicon), verbose=False
        )
        nats[lexicon] = run.evaluate().nats
        again = ptheta.Run.load(run.path)
        events = data.test.events()
        torch.testing.assert_close(again.model.log_prob(*events), run.model.log_prob(*events))
    assert nats[True] < nats[False] - 3
    assert again.model.lexicon
    assert again.model.dictionary.table.any()


def test_a_lexicon_is_for_texts_given_texts():
    for space, told, more in (
        (Image(2, 2), TOLD, {}),
        (TEXT, Label(("a", "b")), {}),
        (TEXT, None, {}),
        (TEXT, TOLD, {"any_order": True}),
    ):
        with pytest.raises(UsageError, match="texts given texts"):
            Transformer(space, told, lexicon=True, **more)
    with pytest.raises(UsageError, match="too large"):
        Transformer(Document(3, 20_000), Document(3, 20_000), lexicon=True)
