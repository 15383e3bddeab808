"""Decoding with cached keys and values, held to one plain pass over the whole sequence with a mask written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plain_transformer import LABELS, plain_log_prob, plain_logits, tokens, transformer
from torch import Tensor

from ptheta.models import Transformer  # type: ignore[attr-defined]
from ptheta.models.autoregressive.cached import CHUNK, CachedDecoder
from ptheta.nn import KeyValueCache
from ptheta.sampling import Effort
from ptheta.spaces import Image, Sequence

TEXT = Sequence(40, 5, end=2)
APART = {"across_documents": False}
exact = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.inference_mode():
        yield


def stepped(decoder: CachedDecoder, z: Tensor) -> Tensor:
    """Logits [n, t, K] one step at a time, the last token unread."""
    steps = [decoder.step(None), *(decoder.step(values) for values in z[:, :-1].unbind(1))]
    return torch.stack([step.logits for step in steps], 1)


def held(reader: CachedDecoder) -> int:
    """Numbers in the caches."""
    return sum(x.numel() for cache in reader.caches for x in vars(cache).values() if isinstance(x, Tensor))


def started(model: Any, n: int, context: Tensor | None = None, slots: int = 2000) -> CachedDecoder:
    return model.reader(n, context, slots)


def plain(model: Any, z: Tensor, label: int | None = None) -> Tensor:
    return torch.stack([plain_logits(model, row, label) for row in z])


@exact
@pytest.mark.parametrize(
    ("length", "hyperparameters"),
    [
        (1000, {"window": 64}),
        (1000, {"window": 64, "layers": 3, **APART}),
        (700, {"window": None}),  # beyond the event's 40 tokens its window is 40
        (700, {"window": None, **APART}),
        (1000, {"window": CHUNK + 44}),
        (900, {"window": CHUNK + 44, "layers": 1, **APART}),
        (700, {"window": 1}),
        (700, {"window": 2}),
        (700, {"window": CHUNK}),
    ],
    ids=str,
)
def test_any_length_is_read_as_by_a_plain_network_that_sees_a_band(length: int, hyperparameters: dict[str, Any]):
    model = transformer(TEXT, LABELS, **hyperparameters)
    z = tokens(length, levels=5, seed=3)
    truth = plain_log_prob(model, z, 1)
    stepwise = stepped(started(model, 1, torch.tensor([1]), length), z[None])[0].log_softmax(-1)
    torch.testing.assert_close(stepwise[torch.arange(length), z], truth, rtol=0, atol=1e-10)
    torch.testing.assert_close(model.log_prob_per_token([z], [1])[0], truth, rtol=0, atol=1e-10)
    (rounded,) = model.float().log_prob_per_token([z], [1])
    assert abs(float((rounded - truth).sum())) < 1e-4
    assert float((rounded - truth).abs().max()) < 1e-5


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 4}, {"window": None}, {"window": 4, **APART}], ids=str)
@pytest.mark.parametrize("n", [1, 40])
def test_few_rows_and_many_are_stepped_alike(n: int, hyperparameters: dict[str, Any]):
    """A step over many rows may be computed in another way than one over few."""
    model = transformer(TEXT, LABELS, **hyperparameters)
    z, labels = tokens(n, 60, levels=5, seed=11), torch.arange(n) % 2
    found = stepped(started(model, n, labels), z)
    for i in range(0, n, 13):
        truth = plain_logits(model, z[i], int(labels[i]))[:-1]
        torch.testing.assert_close(found[i], truth, rtol=0, atol=1e-10)


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 7}, {"window": 7, **APART}, {"window": None, **APART}], ids=str)
def test_what_was_read_wrongly_can_be_taken_back(hyperparameters: dict[str, Any]):
    """Chunks of all sizes, each followed by tokens (ends of documents too) that are taken back."""
    model = transformer(TEXT, **hyperparameters)
    z, wrong = tokens(2, 900, levels=5, seed=4), tokens(2, 900, levels=5, seed=5)
    truth = plain(model, z)
    reader, at, generator = started(model, 2), 0, torch.Generator().manual_seed(6)
    torch.testing.assert_close(reader.prefill(z[:, :0]).logits, truth[:, 0], rtol=0, atol=1e-10)
    while at < 880:
        right, vain = torch.randint(1, 12, (2,), generator=generator).tolist()
        if at < 300:  # as drafts are read: some right tokens and some wrong ones together
            both = torch.cat([z[:, at : at + right], wrong[:, at : at + vain]], 1)
            logits = reader.extend(both).logits[:, :right]
            reader.rewind(vain)
        else:
            logits = reader.extend(z[:, at : at + right]).logits
        at += right
        torch.testing.assert_close(logits, truth[:, at - right + 1 : at + 1], rtol=0, atol=1e-10)


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 5}, {"window": 5, **APART}, {"window": None}], ids=str)
def test_a_long_prompt_is_read_in_pieces_and_goes_on(hyperparameters: dict[str, Any]):
    model = transformer(TEXT, **hyperparameters)
    z = tokens(2, 2 * CHUNK + 40, levels=5, seed=1)
    truth, k = plain(model, z), 2 * CHUNK + 9
    reader = started(model, 2)
    torch.testing.assert_close(reader.prefill(z[:, :k]).logits, truth[:, k], rtol=0, atol=1e-10)
    more = reader.extend(z[:, k:]).logits
    torch.testing.assert_close(more, truth[:, k + 1 :], rtol=0, atol=1e-10)


@exact
def test_extending_by_more_than_a_chunk_gives_every_conditional():
    model = transformer(TEXT, window=5, **APART)
    z = tokens(2, 3 * CHUNK, levels=5, seed=1)
    reader = started(model, 2)
    reader.prefill(z[:, :0])
    torch.testing.assert_close(reader.extend(z).logits, plain(model, z)[:, 1:], rtol=0, atol=1e-10)


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 4}, {"window": 4, **APART}, {"window": None, **APART}, {}])
@pytest.mark.parametrize("pad", [0, 2, 3])
def test_padding_on_the_left_is_not_seen(hyperparameters: dict[str, Any], pad: int):
    """Whatever it holds, the end of a document too."""
    model = transformer(TEXT, **hyperparameters)
    rows = [tokens(k, levels=5, seed=k) for k in (0, 1, 6, 13, 60)]
    first = torch.tensor([60 - len(row) for row in rows])
    padded = torch.full((5, 60), pad)
    for i, row in enumerate(rows):
        padded[i, 60 - len(row) :] = row
    after = tokens(5, 300, levels=5, seed=9)
    reader = model.reader(5, None, 400, first)
    found = torch.cat([reader.prefill(padded).logits[:, None], reader.extend(after).logits], 1)
    for i, row in enumerate(rows):
        truth = plain_logits(model, torch.cat([row, after[i]]))[len(row) :]
        torch.testing.assert_close(found[i], truth, rtol=0, atol=1e-10)


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 4, **APART}, {"window": 4}, {**APART}], ids=str)
def test_rows_that_are_kept_go_on_as_if_alone(hyperparameters: dict[str, Any]):
    """Rows end documents at different times, have their own labels, and leave in between; rows are put in order too."""
    model = transformer(TEXT, LABELS, **hyperparameters)
    z, labels = tokens(4, 400, levels=5, seed=2), torch.tensor([0, 1, 1, 0])
    z[:, 100:130] = torch.where(z[:, 100:130] == 2, 1, z[:, 100:130])
    z[0, 110], z[3, 127] = 2, 2
    reader = started(model, 4, labels)
    reader.prefill(z[:, :105])
    kept = torch.arange(4)
    for begin, end, keep in [(105, 120, [3, 0, 1]), (120, 128, [1, 0]), (128, 400, [0])]:
        logits = reader.extend(z[kept, begin:end]).logits
        for i, row in enumerate(kept.tolist()):
            truth = plain_logits(model, z[row], int(labels[row]))[begin + 1 : end + 1]
            torch.testing.assert_close(logits[i], truth, rtol=0, atol=1e-10)
        reader.keep(torch.tensor(keep))
        kept = kept[keep]
    assert torch.equal(reader.conditioning.vector, model._conditions(labels)[0][kept])


@exact
@pytest.mark.parametrize("hyperparameters", [{"window": 64}, {"window": 300, **APART}, {"window": None}], ids=str)
def test_memory_does_not_grow_with_the_length(hyperparameters: dict[str, Any]):
    model = transformer(TEXT, layers=1, **hyperparameters)
    window = model.window or 40
    sizes = []
    for length in (1000, 5000):
        reader = started(model, 1, slots=length)
        reader.prefill(tokens(1, length - 1, levels=5))
        sizes.append(held(reader))
    assert sizes[0] == sizes[1] == 2 * model.width * (window + max(window, CHUNK))


# An event's own length


@exact
@pytest.mark.parametrize(
    "hyperparameters", [{}, {"window": 3}, {"window": 3, **APART}, {"window": 30, **APART}, APART, {"local": 3}]
)
def test_an_event_is_decoded_as_it_is_learned(hyperparameters: dict[str, Any]):
    """Events have more than two windows, or fewer: attention in blocks, and all at once."""
    model = transformer(TEXT, layers=3, **hyperparameters)
    z = tokens(3, 40, levels=5, seed=8)
    truth = torch.stack([plain_logits(model, row, block=True) for row in z])[:, :-1]
    torch.testing.assert_close(model.conditionals(z).logits, truth, rtol=0, atol=1e-10)
    torch.testing.assert_close(stepped(model.decoder(3), z), truth, rtol=0, atol=1e-10)


def pictures(**hyperparameters: Any) -> tuple[Any, Tensor]:
    space = Image(3, 4, levels=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer(space, LABELS, width=16, layers=2, heads=2, **hyperparameters).double().eval()
        for parameter in model.requires_grad_(False).parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, dtype=parameter.dtype))
    return model, tokens(5, 12, levels=4, seed=1).view(5, 1, 3, 4)


@exact
@pytest.mark.parametrize("hyperparameters", [{}, {"window": 5}, {"local": 0}, {"order": "column"}], ids=str)
@pytest.mark.parametrize("k", [0, 1, 7, 11])
def test_the_beginning_of_a_picture_is_read_at_once(hyperparameters: dict[str, Any], k: int):
    model, x = pictures(**hyperparameters)
    z, labels = model.flatten(x), torch.tensor([0, 1, 0, 1, 1])
    truth = model.conditionals(x, labels).logits
    reader = model.decoder(5, labels)
    found = [reader.prefill(z[:, :k]), *(reader.step(z[:, j]) for j in range(k, 11))]
    assert len(found) == 12 - k
    for j, conditional in enumerate(found):
        torch.testing.assert_close(conditional.logits, truth[:, k + j], rtol=0, atol=1e-10)


@pytest.mark.parametrize("hyperparameters", [{}, {"window": 5}, {"any_order": True}], ids=str)
def test_completing_a_picture_is_completing_it_step_by_step(hyperparameters: dict[str, Any], monkeypatch):
    model, x = pictures(**hyperparameters)
    labels, effort = torch.tensor([0, 1, 0, 1, 1]), Effort()
    at_once = model.complete(x, 0.5, 3, labels, seed=2, method="ancestral", effort=effort)
    assert effort.passes == 6  # one for each dimension drawn: the kept half is read with the first
    full_passes = model.complete(x, 0.5, 3, labels, seed=2, method="fixed_point")
    assert torch.equal(full_passes, at_once)
    monkeypatch.setattr(CachedDecoder, "prefill", super(CachedDecoder, CachedDecoder).prefill)
    assert torch.equal(model.complete(x, 0.5, 3, labels, seed=2, method="ancestral"), at_once)
    monkeypatch.undo()
    assert torch.equal(at_once[:, :, :, 0], x[:, None, :, 0].expand(-1, 3, -1, -1))


# The cache by itself


def numbered(start: int, stop: int, n: int = 1) -> Tensor:
    """Entries [n, 1, t, 1] that hold their slot's number, and a hundredth of their row's."""
    return (torch.arange(start, stop)[None] + torch.arange(n)[:, None] / 100)[:, None, :, None]


def test_after_a_move_slots_can_still_be_taken_back():
    cache = KeyValueCache(1, 1, 1, 100, 4, 6, torch.zeros(1))  # room for 4 + 6 slots
    cache.append(numbered(0, 6), -numbered(0, 6))
    cache.append(numbered(6, 9), -numbered(6, 9))
    moved, _ = cache.append(numbered(9, 15), -numbered(9, 15))  # no room: slots 6, 7 and 8 move to the beginning
    assert moved.flatten().tolist() == list(range(6, 15))
    for count in (5, 3, 1):  # slots 10 … 14 were wrong, then 10 … 12, then 10: never more than came last
        cache.rewind(count)
        stop = 10 + {5: 3, 3: 1, 1: 2}[count]
        keys, values = cache.append(numbered(10, stop), -numbered(10, stop))
        assert keys.flatten().tolist() == list(range(7, stop))
        assert torch.equal(values, -keys)


@pytest.mark.parametrize("window", [None, 3])
def test_rows_of_a_cache_are_kept_with_their_past(window: int | None):
    cache = KeyValueCache(4, 1, 1, 40, window, 5, torch.zeros(1))
    cache.append(numbered(0, 5, 4), -numbered(0, 5, 4))
    cache.keep(torch.tensor([3, 1]))
    rows = torch.tensor([3, 1])
    for start in (5, 10, 15):
        keys, values = cache.append(numbered(start, start + 5, 4)[rows], -numbered(start, start + 5, 4)[rows])
        seen = numbered(0 if window is None else start - 2, start + 5, 4)[rows]
        torch.testing.assert_close(keys, seen.float())
        torch.testing.assert_close(values, -seen.float())
