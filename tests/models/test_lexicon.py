"""A lexicon is IBM model 1, its transformer stays a distribution, and it translates what it never saw learned."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

import ptheta
from ptheta.errors import UsageError
from ptheta.models import Transformer
from ptheta.nn.lexicon import DISCOUNT, FLOOR, UNMADE, Lexicon, repeated, translations
from ptheta.spaces import Document, Image, Label

TEXT, TOLD = Document(3, 4), Document(4, 5)


def plain_translations(sources, targets, levels, outputs, rounds, agree=False):
    """IBM model 1 word by word, in the plainest way; the source's last token is the empty word."""
    t, back = np.ones((levels + 1, outputs)), np.ones((levels, outputs))
    for _ in range(rounds):
        counts = np.zeros_like(t)
        for source, target in zip(sources, targets):
            for word in target:
                parts = t[[*source, levels], word]
                parts = parts / parts.sum()
                if agree:  # times the part of each source word's translation that this word is
                    theirs = [back[token, word] / max(back[token, target].sum(), 1e-300) for token in source]
                    parts = parts * np.array([*theirs, UNMADE])
                    parts = parts / parts.sum()
                for token, part in zip([*source, levels], parts):
                    counts[token, word] += part
        totals = counts.sum(1, keepdims=True)
        t = counts / np.where(totals > 0, totals, 1)
        made = counts[:levels].sum(0)
        back = counts[:levels] / np.where(made > 0, made, 1)
    return (np.maximum(counts - DISCOUNT, 0) / np.where(totals > 0, totals, 1))[:levels], totals[:levels, 0]


@pytest.mark.parametrize("agree", [False, True])
def test_translations_are_ibm_model_1(agree):
    g = np.random.default_rng(0)
    sources = [g.integers(0, 5, g.integers(0, 6)) for _ in range(30)]
    targets = [g.integers(0, 7, g.integers(1, 6)) for _ in range(30)]
    found, counts = translations(sources, targets, 6, 7, rounds=4, agree=agree)
    table, totals = plain_translations(sources, targets, 6, 7, 4, agree)
    np.testing.assert_allclose(found, table, atol=1e-6)
    np.testing.assert_allclose(counts, totals, rtol=1e-5)
    assert found.sum(1).max() <= 1
    assert not translations([], [], 6, 7)[0].any()


@pytest.mark.parametrize("agree", [False, True])
def test_words_that_occur_in_several_pairs_are_told_apart(agree):
    pairs = [([a, b], [a + 1, b + 1]) for a, b in itertools.permutations(range(4), 2)]
    found, _ = translations([s for s, _ in pairs], [t for _, t in pairs], 4, 5, rounds=20, agree=agree)
    assert found.argmax(1).tolist() == [1, 2, 3, 4]


def test_directions_that_agree_leave_common_words_to_common_words():
    """A word that occurs once cannot have made what a common word makes everywhere."""
    pairs = [([0, 1], [0, 1])] * 20 + [([0, 2], [0, 2])]
    rare = [
        translations([s for s, _ in pairs], [t for _, t in pairs], 3, 3, discount=0, agree=agree)[0][2]
        for agree in (False, True)
    ]
    assert rare[1][2] > 0.99
    assert rare[0][0] > 3 * rare[1][0]


def test_what_is_held_out_is_what_the_other_pairs_say():
    """Where alignments are certain, a lexicon without a pair is the lexicon of all others."""
    g = np.random.default_rng(1)
    sources = [g.permutation(4)[:2] for _ in range(30)]
    targets = [(s + (g.random(2) < 0.3) * 4)[::-1] for s in sources]  # each word has two translations of its own
    lexicon = Lexicon(5, 8, 8, hold_out=True)

    def counted(some):
        table, counts = translations([sources[i] for i in some], [targets[i] for i in some], 5, 8, 30, 0.0, True)
        return torch.from_numpy(table), torch.from_numpy(counts)

    table, counts = counted(range(30))
    lexicon.table.copy_(table)
    lexicon.counts.copy_(counts)
    for i in (0, 7, 29):
        source = torch.from_numpy(sources[i])[None]
        words = lexicon.words(torch.zeros(1, 2, 8), source, torch.ones(1, 2, dtype=torch.bool))
        held = lexicon.held_out(words, torch.from_numpy(np.append(targets[i], 8))[None])
        others, _ = counted([j for j in range(30) if j != i])
        torch.testing.assert_close(held.rows[0], others[sources[i]], rtol=0, atol=0.01)
        assert not torch.allclose(words.rows, held.rows, atol=0.01)


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


def test_contexts_that_repeat_are_looked_up_once(model):
    made, x, context = model
    assert repeated(context[:3].repeat_interleave(4, 0)) == 4
    told = context[:4].repeat_interleave(3, 0)
    assert not (told[::3] == told[::3].roll(1, 0)).all(1).any()
    words = made._conditions(told).words
    assert words.rows.shape == (4, *made._conditions(context[:4]).words.rows.shape[1:])
    apart = [made.log_prob(x[i : i + 1], told[i : i + 1]) for i in range(12)]
    conditions = made._conditions(told)
    logits = made._conditionals_from(made.flatten(x[:12]), conditions, 0)
    torch.testing.assert_close(logits.log_prob(made.flatten(x[:12])).sum(1), torch.cat(apart))
    for rows in ([0, 0, 2, 5, 4, 3], [4, 1, 8, 8], [9, 10, 11, 0, 1, 2], list(range(12))):
        some, plain = words.of(torch.tensor(rows)), made._conditions(told[rows]).words
        whole = some.rows.repeat_interleave(some.same, 0)
        expected = plain.rows.repeat_interleave(plain.same, 0)
        assert torch.equal(whole[:, : expected.shape[1]], expected)
        assert not whole[:, expected.shape[1] :][some.present[:, expected.shape[1] :]].any()
    assert words.of(torch.tensor([2, 1, 0, *range(3, 12)])).rows is words.rows


def test_learning_holds_out_its_own_counts_and_scores_have_them(model):
    _, x, context = model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Transformer(
            TEXT, TOLD, width=16, layers=1, heads=2, context_layers=1, dropout=0.0, lexicon=True, hold_out=True
        ).double()
    made.prepare_pairs([x], [context])
    assert made.dictionary.counts.sum() > 0
    whole = made.eval()._log_prob(x, context)
    held = made.train()._log_prob(x, context)
    assert held.detach().mean() < whole.detach().mean(), "what is only known of itself is a surprise"
    torch.testing.assert_close(made.eval()._log_prob(x, context), whole)
    held.mean().backward()
    assert made.dictionary.strength.grad.isfinite()
    with pytest.raises(UsageError, match="hold_out is of a lexicon"):
        Transformer(TEXT, TOLD, hold_out=True)


def test_words_are_dropped_in_training_only(model):
    _, x, context = model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        size = {"width": 16, "layers": 1, "heads": 2, "context_layers": 1, "dropout": 0.0}
        made = Transformer(TEXT, TOLD, word_dropout=0.999, lexicon=True, **size).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        made.prepare_pairs([x], [context])
        long = TEXT.pad([[0, 1], [2, 1], [0, 2]])
        told = context[:1].expand(3, -1)
        blind = made.train().conditionals  # evaluates: not what is dropped
        torch.testing.assert_close(blind(long, told).logits, made.eval().conditionals(long, told).logits)
        made.dictionary.table.zero_()
        made.train()
        z = made.flatten(long)
        logits = made._conditionals(z, told).logits
    assert torch.allclose(logits[0, 1], logits[1, 1]), "the first tokens differ, and nothing was seen of them"
    assert torch.allclose(logits[0, 2], logits[1, 2])
    made.eval()
    seen = made._conditionals(z, told).logits
    assert not torch.allclose(seen[0, 1], seen[1, 1])
    for wrong in ({"any_order": True}, {"order": [2, 1, 0]}):
        with pytest.raises(UsageError, match="word dropout is for sequences in their own order"):
            Transformer(TEXT, TOLD, word_dropout=0.1, **wrong)
    with pytest.raises(UsageError, match=r"word dropout is 1\.0; give a fraction from 0 to below 1"):
        Transformer(TEXT, TOLD, word_dropout=1.0)


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
