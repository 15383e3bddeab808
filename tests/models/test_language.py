"""Sequences of any length: scores and texts, held to a plain network with its mask written out, and to enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from plain_transformer import LABELS, plain_log_prob, plain_logits, tokens, transformer
from scipy import stats
from torch import Tensor
from zoo_cases import all_events, build

from ptheta.errors import ContextError, SpaceError, UsageError
from ptheta.models import ZOO, Transformer  # type: ignore[attr-defined]
from ptheta.sampling import Generation, Warp, generate, uniforms
from ptheta.spaces import Image, Sequence

TEXT = Sequence(12, 5, end=2)
TINY = Sequence(3, 3, end=2)
APART = {"across_documents": False}
WINDOWS = [{}, {"window": 4}, {"window": 4, **APART}, {"window": 30}, APART]
models = pytest.mark.parametrize("hyperparameters", WINDOWS, ids=str)


def mixture(levels: int = 5) -> list[Tensor]:
    """Sequences of all sorts of lengths, none and an event's own among them."""
    return [tokens(k, levels=levels, seed=k) for k in (7, 0, 300, 1, 12, 12, 41, 0, 2, 700, 11, 13)]


# Scores


@models
def test_every_token_is_scored_as_by_the_plain_network_whatever_it_is_scored_with(hyperparameters: dict[str, Any]):
    model, rows = transformer(TEXT, LABELS, **hyperparameters), mixture()
    labels = torch.arange(len(rows)) % 2
    scores = model.log_prob_per_token(rows, labels)
    for row, label, score in zip(rows, labels.tolist(), scores, strict=True):
        assert score.dtype == torch.float64
        torch.testing.assert_close(score, plain_log_prob(model, row, label), rtol=0, atol=1e-10)
    one_for_all = model.log_prob_per_token([row.tolist() for row in rows], [1])
    torch.testing.assert_close(one_for_all[2], plain_log_prob(model, rows[2], 1), rtol=0, atol=1e-10)


@models
def test_an_event_scores_as_its_tokens_and_a_beginning_as_the_beginning(hyperparameters: dict[str, Any]):
    model, x = transformer(TEXT, **hyperparameters), tokens(20, 12, levels=5)
    if model.across_documents:  # a text begins after an end of another, a block after the start token
        model.space = Sequence(12, 5)
    scores = torch.stack(model.log_prob_per_token(x))
    torch.testing.assert_close(scores.sum(1), model.log_prob(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(scores, model.log_prob_per_dimension(x), rtol=0, atol=1e-10)
    beginnings = torch.stack(model.log_prob_per_token(x[:, :7]))
    torch.testing.assert_close(beginnings, scores[:, :7], rtol=0, atol=1e-10)


@models
def test_in_float64_company_changes_no_bit(hyperparameters: dict[str, Any]):
    model, rows = transformer(TEXT, LABELS, **hyperparameters), mixture()
    labels = torch.arange(len(rows)) % 2
    scores = model.log_prob_per_token(rows, labels)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = model.log_prob_per_token([rows[i] for i in order], labels[order])
    for place, i in enumerate(order):
        assert torch.equal(shuffled[place], scores[i])
        assert torch.equal(model.log_prob_per_token([rows[i]], labels[i : i + 1])[0], scores[i])
    large = transformer(Sequence(33, 50, end=2), LABELS, width=64, heads=4, size=0.1, **hyperparameters)
    x, y = tokens(17, 33, levels=50, seed=4), torch.arange(17) % 2
    whole = large.log_prob(x, y)
    for size in (1, 2, 3, 5):
        parts = [large.log_prob(a, b) for a, b in zip(x.split(size), y.split(size))]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("hyperparameters", [{"window": 64}, {"window": 64, "layers": 4, **APART}, {}], ids=str)
def test_in_float32_company_changes_less_than_a_ten_thousandth_of_a_nat(hyperparameters: dict[str, Any]):
    model = transformer(Sequence(64, 50, end=2), width=32, heads=4, size=0.2, **hyperparameters).float()
    lengths = [1, 2000, 3, 63, 64, 65, 255, 256, 257, 500, 1999, 40, 40, 40, 700, 5]
    rows = [tokens(k, levels=50, seed=i) for i, k in enumerate(lengths)]
    together = model.log_prob_per_token(rows)
    for row, score in zip(rows, together):
        (alone,) = model.log_prob_per_token([row])
        assert len(score) == len(row)
        assert abs(float((alone - score).sum())) <= 1e-4
    backwards = model.log_prob_per_token(rows[::-1])[::-1]
    assert max(abs(float((a - b).sum())) for a, b in zip(together, backwards)) <= 1e-4


def test_scoring_leaves_the_model_as_it_was_in_training_or_not():
    model = transformer(TEXT, dropout=0.5)
    quiet = model.log_prob_per_token(mixture())
    model.train()
    assert all(torch.equal(a, b) for a, b in zip(model.log_prob_per_token(mixture()), quiet))
    assert model.training


def test_no_sequences_have_no_scores_and_empty_ones_none_either():
    model = transformer(TEXT)
    assert model.log_prob_per_token([]) == []
    assert [score.tolist() for score in model.log_prob_per_token([[], torch.zeros(0, dtype=torch.long)])] == [[], []]


@pytest.mark.parametrize("name", ["transformer", "independent"])
def test_what_is_no_sequence_is_refused(name: str):
    model = build(ZOO[name], TEXT, None)
    for row, said in [([0, 1, 5], "token 2 is 5"), ([0, -1], "token 1 is -1"), ([0.5], "integers"), ([[1]], "shape")]:
        with pytest.raises(SpaceError, match=said):
            model.log_prob_per_token([[0], row])
        with pytest.raises(ContextError):
            model.log_prob_per_token([[0], [1]], [0])
    with pytest.raises(UsageError, match="token by token"):
        build(ZOO[name], Image(2, 2, levels=3), None).log_prob_per_token([[0]])


@pytest.mark.parametrize("name", ["markov_mlp", "made", "markov_chain", "independent", "histogram", "empirical"])
def test_families_of_events_read_block_after_block(name: str):
    """log p of whole blocks, and of a beginning the marginal: the sum over all its continuations."""
    model, events = build(ZOO[name], TINY, LABELS).double(), all_events(TINY)
    labels = torch.full((len(events),), 1)
    p = model.log_prob(events, labels).exp().detach()
    assert float(p.sum()) == pytest.approx(1, abs=1e-9)
    rows = [tokens(k, levels=3, seed=k) for k in (1, 2, 3, 5, 9, 10, 0)]
    for row, score in zip(rows, model.log_prob_per_token(rows, torch.full((7,), 1)), strict=True):
        truth = 0.0
        for block in row.split(3) if len(row) else []:
            truth += float(p[(events[:, : len(block)] == block).all(1)].sum().log())
        assert len(score) == len(row)
        assert float(score.detach().sum()) == pytest.approx(truth, abs=1e-9)


# Total probability


@pytest.mark.parametrize("hyperparameters", [{}, {"window": 2}, {"window": 2, **APART}, APART, {"window": 7}], ids=str)
def test_probabilities_of_all_sequences_of_a_length_sum_to_one(hyperparameters: dict[str, Any]):
    """Beyond the event's three tokens too; and of all texts up to their end, with those that have not ended yet."""
    model = transformer(TINY, **hyperparameters)
    for length in range(1, 6):
        rows = list(itertools.product(range(3), repeat=length))
        sums = [float(score.sum()) for score in model.log_prob_per_token(rows)]
        assert sum(math.exp(total) for total in sums) == pytest.approx(1, abs=1e-9)
    texts = [(*body, 2) for k in range(5) for body in itertools.product(range(2), repeat=k)]
    texts += list(itertools.product(range(2), repeat=5))
    scored = [math.exp(float(score.sum())) for score in model.log_prob_per_token(texts)]
    assert sum(scored) == pytest.approx(1, abs=1e-9)
    assert min(scored[: -(2**5)]) > 0


# Documents


@pytest.mark.parametrize("window", [None, 4, 30])
def test_a_document_does_not_depend_on_those_before_it(window: int | None):
    documents = [torch.cat([tokens(k, levels=2, seed=k), torch.tensor([2])]) for k in (3, 0, 5, 2, 17, 1)]
    packed = torch.cat(documents)
    ends = torch.tensor([len(document) for document in documents]).cumsum(0).tolist()
    model = transformer(Sequence(12, 5, end=2), LABELS, window=window, **APART)
    (together,) = model.log_prob_per_token([packed], [1])
    block = model.log_prob_per_dimension(packed[None, :12], [1])[0]
    torch.testing.assert_close(together[:12], block, rtol=0, atol=1e-10)
    for document, end in zip(documents, ends):
        (alone,) = model.log_prob_per_token([document], [1])
        torch.testing.assert_close(together[end - len(document) : end], alone, rtol=0, atol=1e-10)
    across = transformer(Sequence(12, 5, end=2), LABELS, window=window)
    (alone,), (together,) = (across.log_prob_per_token([row], [1]) for row in (documents[2], packed))
    assert float((together[5:11] - alone).abs().max()) > 1e-3


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("apart", [True, False])
def test_no_gradient_crosses_the_end_of_a_document(window: int | None, apart: bool):
    """The earlier document alone has token 3, the later one token 4; both begin at the same embedding."""
    model = transformer(TEXT, window=window, across_documents=not apart).requires_grad_()
    z = torch.tensor([[3, 3, 3, 2, 4, 4, 4, 4, 4, 4, 4, 4]])
    model._conditionals(z, None).log_prob(z)[0, 4:].sum().backward()
    slopes = model.token.weight.grad.abs().amax(1)
    assert (float(slopes[3]) == 0) == apart
    assert float(slopes[4]) > 0


def test_documents_are_kept_apart_only_where_they_end():
    with pytest.raises(UsageError, match="no end-of-document"):
        Transformer(Sequence(4, 3), across_documents=False)
    with pytest.raises(UsageError, match="in the order of the text only"):
        Transformer(TINY, across_documents=False, any_order=True)


def test_a_text_begins_where_another_ended():
    model, x = transformer(TEXT, local=0), tokens(6, levels=5)
    packed = torch.cat([torch.tensor([2]), x])  # after an end token that a block happens to begin with
    alone = model.log_prob_per_token([x])[0]
    model.space = Sequence(12, 5)
    started = model.log_prob_per_token([x])[0]
    with torch.no_grad():
        model.token.weight[5] = model.token.weight[2]  # the start made an end
    torch.testing.assert_close(model.log_prob_per_token([x])[0], alone, rtol=0, atol=1e-10)
    assert (started - alone).abs().max() > 1e-3
    assert len(model.log_prob_per_token([packed])[0]) == 7


# Texts


def plain_text(model: Any, prompt: Tensor, noise: Tensor, warp: Warp, label: int | None = None) -> dict[str, Any]:
    """Token after token from the plain network's conditionals, each computed over the whole sequence."""
    z, plain, warped, reason = prompt.clone(), [], [], "length"
    for u in noise[:, 0].tolist():
        logits = plain_logits(model, z, label)[-1]
        p, q = logits.softmax(-1), warp(logits).softmax(-1)
        token = int(q.argmax()) if warp.temperature == 0 else int((q.cumsum(0) <= u).sum())
        z = torch.cat([z, torch.tensor([token])])
        plain.append(math.log(float(p[token])))
        warped.append(math.log(float(q[token])))
        if token == model.space.end:
            reason = "end"
            break
    return {"tokens": z[len(prompt) :].tolist(), "plain": plain, "warped": warped, "reason": reason}


def agree(result: Generation, i: int, truth: dict[str, Any]) -> None:
    assert result.tokens[i].tolist() == truth["tokens"]
    assert result.ended[i] == truth["reason"]
    assert result.log_prob[i].tolist() == pytest.approx(truth["plain"], abs=1e-9)
    assert result.log_prob_warped[i].tolist() == pytest.approx(truth["warped"], abs=1e-9)


PROMPTS = [tokens(k, levels=5, seed=20 + k) for k in (0, 3, 1, 12, 29)]
DRAFTS: Any = ["none", "ngram", "fixed_point"]


@models
@pytest.mark.parametrize(
    "warp", [{}, {"temperature": 0.0}, {"temperature": 0.6, "top_k": 3}, {"top_p": 0.7}, {"min_p": 0.4}], ids=str
)
def test_texts_are_those_of_the_plain_network(hyperparameters: dict[str, Any], warp: dict[str, Any]):
    """Prompts of all lengths, whose labels differ, with and without an end; alone, and in one batch with padding."""
    for end in (None, 2):
        if end is None and "across_documents" in hyperparameters:
            continue
        model = transformer(Sequence(12, 5, end), LABELS, **hyperparameters)
        labels, noise = torch.tensor([0, 1, 1, 0, 1]), uniforms(5, 20, 1, generator=torch.Generator().manual_seed(3))
        truths = [plain_text(model, *row, Warp(**warp), int(y)) for *row, y in zip(PROMPTS, noise, labels)]
        first = torch.tensor([29 - len(prompt) for prompt in PROMPTS])
        padded = torch.stack([torch.cat([torch.full((int(k),), 2), row]) for k, row in zip(first, PROMPTS)])
        for draft in DRAFTS:
            result = model.generate(PROMPTS, 20, labels, seed=3, draft=draft, **warp)
            with torch.inference_mode():
                reader = model.reader(5, labels, 50, first)
                batch = generate(reader, padded, noise, Warp(**warp), end=end, draft=draft)
            for i, truth in enumerate(truths):
                agree(result, i, truth)
                agree(batch, i, truth)


@pytest.mark.parametrize(
    "hyperparameters", [{"window": 4}, {"window": 4, **APART}, {}, {"window": 30, **APART}], ids=str
)
def test_drafts_change_the_number_of_passes_and_nothing_else(hyperparameters: dict[str, Any]):
    """Over many windows and chunks, where keys and values have moved."""
    model = transformer(TEXT, size=0.15, **hyperparameters)
    prompts, noise = tokens(3, 8, levels=5), uniforms(3, 600, 1, generator=torch.Generator().manual_seed(1))
    results = {}
    with torch.inference_mode():
        for draft in DRAFTS:
            reader = model.reader(3, None, 609)
            results[draft] = generate(reader, prompts, noise, Warp(temperature=0.5), draft=draft)
    slow = results.pop("none")
    assert slow.passes == 600
    for fast in results.values():
        for i in range(3):
            assert torch.equal(fast.tokens[i], slow.tokens[i])
            torch.testing.assert_close(fast.log_prob[i], slow.log_prob[i], rtol=0, atol=1e-10)
            torch.testing.assert_close(fast.log_prob_warped[i], slow.log_prob_warped[i], rtol=0, atol=1e-10)
        assert fast.passes < 600
    for i in range(3):
        text = torch.cat([prompts[i], slow.tokens[i]])
        torch.testing.assert_close(plain_log_prob(model, text)[8:], slow.log_prob[i], rtol=0, atol=1e-9)


@pytest.mark.parametrize("hyperparameters", [{}, {"window": 4}, {"window": 30}], ids=str)
@pytest.mark.parametrize("warp", [{}, {"temperature": 0.7, "top_k": 3}], ids=str)
def test_texts_from_nothing_are_the_events_of_the_same_seed(hyperparameters: dict[str, Any], warp: dict[str, Any]):
    model = transformer(Sequence(12, 5), LABELS, **hyperparameters)
    labels = torch.arange(9) % 2
    result = model.generate(9, 12, labels, seed=5, **warp)
    events = model.sample(9, labels, seed=5, **warp)
    assert torch.equal(torch.stack(result.tokens), events)
    scores = torch.stack([score.sum() for score in result.log_prob])
    torch.testing.assert_close(scores, model.log_prob(events, labels), rtol=0, atol=1e-10)
    again = model.generate(9, 12, labels, generator=torch.Generator().manual_seed(5), **warp)
    assert all(torch.equal(a, b) for a, b in zip(again.tokens, result.tokens))


@pytest.mark.parametrize("hyperparameters", [{}, {"window": 2, **APART}], ids=str)
@pytest.mark.parametrize("draft", DRAFTS)
def test_texts_come_in_the_frequencies_that_the_model_gives_them(hyperparameters: dict[str, Any], draft: Any):
    """Two prompts, in one batch; what follows is up to three tokens, beyond the event's end, or up to the end token."""
    model, n = transformer(TINY, **hyperparameters), 6000
    texts = [(*body, 2) for k in range(3) for body in itertools.product(range(2), repeat=k)]
    texts += list(itertools.product(range(2), repeat=3))
    prompts = [[0, 2, 1], [1]]
    result = model.float().generate(prompts * n, 3, seed=1, draft=draft)
    for i, prompt in enumerate(prompts):
        scores = model.log_prob_per_token([[*prompt, *text] for text in texts])
        p = torch.stack([score[len(prompt) :].sum() for score in scores]).exp()
        drawn = [tuple(row.tolist()) for row in result.tokens[i::2]]
        counts = torch.tensor([drawn.count(text) for text in texts])
        assert int(counts.sum()) == n
        assert stats.chisquare(counts.numpy(), (p / p.sum() * n).numpy()).pvalue > 1e-4


def test_float32_texts_carry_the_log_probabilities_that_scoring_gives():
    model = transformer(TEXT, window=6).float()
    result = model.generate(PROMPTS, 60, seed=2)
    for i, prompt in enumerate(PROMPTS):
        (score,) = model.log_prob_per_token([torch.cat([prompt, result.tokens[i]])])
        assert abs(float((score[len(prompt) :] - result.log_prob[i]).sum())) <= 1e-4


@pytest.mark.parametrize("hyperparameters", [{"window": 6}, {}], ids=str)
def test_the_memory_of_a_text_does_not_grow_with_it(hyperparameters: dict[str, Any], monkeypatch):
    model, readers = transformer(TEXT, layers=1, **hyperparameters), []
    reader_of = model.reader
    monkeypatch.setattr(model, "reader", lambda *arguments: readers.append(reader_of(*arguments)) or readers[-1])
    model.space = Sequence(12, 5)  # texts without an end
    model.generate([tokens(900, levels=5)], 400, seed=0)
    model.generate([tokens(5, levels=5)], 900, seed=0)
    model.log_prob_per_token([tokens(5000, levels=5)])
    sizes = [
        sum(x.numel() for cache in reader.caches for x in vars(cache).values() if isinstance(x, Tensor))
        for reader in readers
    ]
    assert sizes == [2 * model.width * (model.context_window + 256)] * 3


def test_a_row_depends_on_its_prompt_its_number_and_the_seed():
    model = transformer(Sequence(12, 5), window=6)
    result = model.generate(PROMPTS, 9, seed=2)
    others = model.generate([[4, 4], *PROMPTS[1:3], [1], [0]], 9, seed=2)
    assert [row.tolist() for row in others.tokens[1:3]] == [row.tolist() for row in result.tokens[1:3]]
    fewer = model.generate(PROMPTS[:3], 9, seed=2)
    assert [row.tolist() for row in fewer.tokens] == [row.tolist() for row in result.tokens[:3]]
    assert len({tuple(row.tolist()) for row in model.generate(20, 9, seed=2).tokens}) == 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_listener_knows_rows_by_their_numbers_among_all_prompts(dtype: torch.dtype):
    heard: dict[int, list[int]] = {}

    def listener(row: int, token: int) -> bool:
        heard.setdefault(row, []).append(token)
        return row == 3 and len(heard[row]) == 2

    model = transformer(Sequence(12, 5), window=6).to(dtype)
    result = model.generate(PROMPTS, 9, seed=2, listener=listener)
    assert [heard[i] for i in range(5)] == [row.tolist() for row in result.tokens]
    assert [len(row) for row in result.tokens] == [9, 9, 9, 2, 9]
    assert result.ended == ["length", "length", "length", "stop", "length"]


def test_nothing_asked_for_is_nothing():
    model = transformer(TEXT, LABELS)
    assert model.generate(0, 5, [1], seed=0) == Generation()
    assert model.generate([], 5, [1], seed=0) == Generation()
    result = model.generate([[1, 2], []], 0, [1], seed=0)
    assert [row.tolist() for row in result.tokens + result.log_prob] == [[]] * 4
    assert result.ended == ["length"] * 2


def test_what_makes_no_sense_is_refused():
    model = transformer(TEXT)
    for said, options in [("draft", {"draft": "ngrams"}), ("-1 tokens", {"tokens": -1}), ("top-k", {"top_k": -1})]:
        with pytest.raises(UsageError, match=said):
            model.generate(**{"prompts": 2, "tokens": 3, **options})
    with pytest.raises(SpaceError, match="token 1 is 7"):
        model.generate([[0], [0, 7]], 3)
    with pytest.raises(ContextError):
        model.generate(2, 3, [0])
    with pytest.raises(ContextError):
        transformer(TEXT, LABELS, context_dropout=0.0).generate(2, 3)
    with pytest.raises(UsageError, match="token by token"):
        transformer(TEXT, any_order=True).generate(2, 3)


def test_of_a_long_prompt_only_what_can_matter_is_read():
    model = transformer(TEXT, window=4)
    prompt = tokens(300, levels=5, seed=1)
    assert model.reach == 2 * 3 + 3
    read = model.generate([prompt], 8, seed=0)
    whole = model.reader(1, None, 400)
    conditional = whole.prefill(prompt[None])
    for token, log_prob in zip(read.tokens[0], read.log_prob[0]):
        assert float(conditional.log_prob(token[None])) == pytest.approx(float(log_prob), abs=1e-10)
        conditional = whole.step(token[None])
    near = prompt.clone()
    near[300 - model.reach] = (near[300 - model.reach] + 1) % 5
    assert not torch.allclose(model.generate([near], 1, seed=0).log_prob[0], read.log_prob[0][:1], atol=1e-12)
