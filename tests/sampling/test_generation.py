"""Continuing prompts, with a reader that is not a network: what it says depends on every token it has read, so one that
is lost, repeated or not taken back is noticed. Truth is a loop over tokens in Python's own numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ptheta.distributions import Categorical
from ptheta.sampling import Warp, generate, uniforms

LEVELS, LENGTH = 4, 30
DRAFTS = ["none", "ngram", "fixed_point"]
Rule = Callable[[list[int]], list[float]]
"""A row's tokens so far → logits of the next."""


def tangled(history: list[int]) -> list[float]:
    """Depends on every token and its place."""
    state = sum((place + 3) ** 2 * (token + 1) for place, token in enumerate(history)) + 7 * len(history)
    return [2 * math.sin(state * (k + 1)) for k in range(LEVELS)]


def repetitive(history: list[int]) -> list[float]:
    """Mostly what came three tokens before, and a bit of everything."""
    logits = [0.3 * x for x in tangled(history)]
    if len(history) >= 3:
        logits[history[-3]] += 3.0
    return logits


def copying(period: int) -> Rule:
    """Surely what came a period before."""
    return lambda history: [0.0 if k == history[-period] else -math.inf for k in range(20)]


def independent(history: list[int]) -> list[float]:
    return [0.0] * 20


class StubReader:
    """Follows a rule, and notes what it was asked.

    Args:
        rule: of every row.
        padding: how much of each prompt it must ignore.
    """

    def __init__(self, rule: Rule, padding: list[int]):
        self.rule, self.padding = rule, padding
        self.read: list[list[int]] = []
        self.passes, self.together, self.sizes = 0, 0, []

    def prefill(self, values: Tensor) -> Categorical:
        assert self.passes == 0
        self.passes = 1
        self.read = [row[pad:] for row, pad in zip(values.tolist(), self.padding)]
        return self._following()

    def extend(self, values: Tensor) -> Categorical:
        self.passes, self.together = self.passes + 1, values.shape[1]
        self.sizes.append(tuple(values.shape))
        steps = []
        for column in values.unbind(1):
            for history, token in zip(self.read, column.tolist(), strict=True):
                history.append(token)
            steps.append(self._following().logits)
        return Categorical(torch.stack(steps, 1))

    def rewind(self, count: int) -> None:
        assert 0 < count < self.together
        self.together -= count
        for history in self.read:
            del history[-count:]

    def keep(self, rows: Tensor) -> None:
        self.read = [list(self.read[i]) for i in rows.tolist()]

    def _following(self) -> Categorical:
        return Categorical(torch.tensor([self.rule(history) for history in self.read], dtype=torch.float64))


def padded(prompts: list[list[int]], pad: int = 3) -> tuple[Tensor, list[int]]:
    longest = max(map(len, prompts))
    padding = [longest - len(prompt) for prompt in prompts]
    values = [[pad] * k + prompt for k, prompt in zip(padding, prompts)]
    return torch.tensor(values).long().view(len(prompts), longest), padding


def noise_of(n: int, length: int, seed: int = 0) -> Tensor:
    return uniforms(n, length, 1, generator=torch.Generator().manual_seed(seed))


def generated(rule: Rule, prompts: list[list[int]], noise: Tensor, **options: Any) -> tuple[Any, StubReader]:
    values, padding = padded(prompts)
    reader = StubReader(rule, padding)
    result = generate(reader, values, noise, **options)
    assert result.passes == reader.passes
    return result, reader


# Warps in Python's own numbers: probabilities → probabilities


def _scaled(weights: list[float]) -> list[float]:
    total = sum(weights)
    return [w / total for w in weights]


def _where(p: list[float], kept: list[int]) -> list[float]:
    return _scaled([x if k in kept else 0.0 for k, x in enumerate(p)])


def _ranked(p: list[float]) -> list[int]:
    return sorted(range(len(p)), key=lambda k: -p[k])


def _nucleus(p: list[float], mass: float) -> list[int]:
    kept: list[int] = []
    for k in _ranked(p):
        kept.append(k)
        if sum(p[i] for i in kept) >= mass:
            break
    return kept


WARPS: dict[str, tuple[Warp, Callable[[list[float]], list[float]]]] = {
    "unchanged": (Warp(), lambda p: p),
    "greedy": (Warp(temperature=0.0), lambda p: _where(p, _ranked(p)[:1])),
    "cool": (Warp(temperature=0.5), lambda p: _scaled([x**2 for x in p])),
    "top-k": (Warp(top_k=2), lambda p: _where(p, _ranked(p)[:2])),
    "top-p": (Warp(top_p=0.7), lambda p: _where(p, _nucleus(p, 0.7))),
    "min-p": (Warp(min_p=0.3), lambda p: _where(p, [k for k, x in enumerate(p) if x >= 0.3 * max(p)])),
}


def plainly(rule: Rule, prompt: list[int], noise: list[float], warp: str, end: int | None) -> dict[str, list]:
    """One row, token after token."""
    history, found = list(prompt), {"tokens": [], "log_prob": [], "log_prob_warped": [], "ended": ["length"]}
    for u in noise:
        p = _scaled([math.exp(x) for x in rule(history)])
        q = WARPS[warp][1](p)
        token = next(k for k in range(len(q)) if sum(q[: k + 1]) > u * sum(q))
        history.append(token)
        found["tokens"].append(token)
        found["log_prob"].append(math.log(p[token]))
        found["log_prob_warped"].append(math.log(q[token]))
        if token == end:
            found["ended"] = ["end"]
            break
    return found


PROMPTS = [[], [1, 0, 2], [3], [0, 1, 2, 0, 1, 2, 0, 1], [2, 2]]


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("end", [None, 1])
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("rule", [tangled, repetitive])
def test_every_row_is_what_a_loop_over_its_own_tokens_draws(rule: Rule, draft: Any, end: int | None, warp: str):
    """Its prompt's length, its company, drafts and padding change nothing."""
    for seed in range(4):
        noise = noise_of(len(PROMPTS), LENGTH, seed)
        result, reader = generated(rule, PROMPTS, noise, warp=WARPS[warp][0], end=end, draft=draft)
        longest = 0
        for i, prompt in enumerate(PROMPTS):
            truth = plainly(rule, prompt, noise[i, :, 0].tolist(), warp, end)
            longest = max(longest, len(truth["tokens"]))
            assert result.tokens[i].tolist() == truth["tokens"]
            assert result.ended[i] == truth["ended"][0]
            assert result.log_prob[i].tolist() == pytest.approx(truth["log_prob"], abs=1e-12)
            assert result.log_prob_warped[i].tolist() == pytest.approx(truth["log_prob_warped"], abs=1e-12)
        assert reader.passes <= longest  # a pass draws at least a token of every row, and the last one draws none
        assert draft != "none" or reader.passes == longest


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_batch_is_its_rows_one_by_one(draft: Any):
    noise = noise_of(len(PROMPTS), LENGTH, 7)
    together, _ = generated(repetitive, PROMPTS, noise, end=1, draft=draft)
    for i, prompt in enumerate(PROMPTS):
        alone, _ = generated(repetitive, [prompt], noise[i : i + 1], end=1, draft=draft)
        assert torch.equal(alone.tokens[0], together.tokens[i])
        assert torch.equal(alone.log_prob[0], together.log_prob[i])


# Ends


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("rule", [tangled, repetitive])
def test_a_listener_hears_every_token_once_and_nothing_after_the_end(rule: Rule, draft: Any):
    for seed in range(6):
        heard: list[tuple[int, int]] = []

        def listener(row: int, token: int, heard=heard) -> bool:
            heard.append((row, token))
            return row == 1 and sum(r == 1 for r, _ in heard) == 5  # row 1 is stopped at its fifth token

        noise = noise_of(len(PROMPTS), LENGTH, seed)
        result, _ = generated(rule, PROMPTS, noise, end=1, draft=draft, listener=listener)
        for i, prompt in enumerate(PROMPTS):
            truth = plainly(rule, prompt, noise[i, :, 0].tolist(), "unchanged", 1)
            expected, reason = truth["tokens"], truth["ended"][0]
            if i == 1 and len(expected) >= 5:
                expected, reason = expected[:5], "end" if expected[4] == 1 else "stop"
            assert [token for row, token in heard if row == i] == result.tokens[i].tolist() == expected
            assert result.ended[i] == reason
            assert len(result.log_prob[i]) == len(result.log_prob_warped[i]) == len(expected)


@pytest.mark.parametrize("answer", [None, False])
def test_a_listener_that_only_listens_changes_nothing(answer: bool | None):
    result, _ = generated(tangled, PROMPTS, noise_of(5, LENGTH), listener=lambda row, token: answer)
    silent, _ = generated(tangled, PROMPTS, noise_of(5, LENGTH))
    assert [row.tolist() for row in result.tokens] == [row.tolist() for row in silent.tokens]
    assert result.ended == ["length"] * 5


def test_reading_stops_when_all_rows_have_ended():
    result, reader = generated(tangled, PROMPTS, noise_of(5, LENGTH), listener=lambda row, token: True)
    assert result.ended == ["stop"] * 5
    assert reader.passes == 1
    assert [len(row) for row in result.tokens] == [1] * 5


def test_no_tokens_are_one_pass_and_no_rows_of_anything():
    result, reader = generated(tangled, PROMPTS, noise_of(5, 0), listener=lambda row, token: pytest.fail("told"))
    assert reader.passes == 1
    assert result.ended == ["length"] * 5
    assert [row.tolist() for row in result.tokens + result.log_prob + result.log_prob_warped] == [[]] * 15


def test_more_than_half_of_the_rows_that_are_read_are_unfinished():
    drawn = Counter()

    def listener(row: int, token: int) -> bool:
        drawn[row] += 1
        return drawn[row] == 3 * (row + 1)  # rows leave one after the other

    prompts = [[k % 4, k // 4] for k in range(9)]
    _, reader = generated(repetitive, prompts, noise_of(9, 40), listener=listener)
    # After 15 tokens 4 rows are left, after 21 tokens 2, after 24 one, after 27 none.
    assert [rows for rows, _ in reader.sizes] == [9] * 14 + [4] * 6 + [2] * 3 + [1] * 3


def test_rows_that_have_ended_do_not_hold_others_back():
    """What a finished row would have drawn agrees with no guess, and is not asked to."""

    def rule(history: list[int]) -> list[float]:
        if history[0] == 0:  # ends at once, and then draws by its noise alone
            return copying(1)(history) if len(history) == 1 else independent(history)
        return copying(1)(history)

    others, _ = generated(rule, [[1], [2]], noise_of(2, 91), end=0, draft="fixed_point")
    all_three, _ = generated(rule, [[1], [2], [0]], noise_of(3, 91), end=0, draft="fixed_point")
    assert [len(row) for row in all_three.tokens] == [91, 91, 1]
    assert all_three.passes == others.passes == 1 + 90 // 9


# Passes


@pytest.mark.parametrize("period", [1, 2, 5, 8, 9, 12])
@pytest.mark.parametrize("length", [1, 2, 100])
def test_what_repeats_is_looked_up(period: int, length: int):
    """A period lies between what is written and where it was written before, so it is all that can be guessed."""
    prompts = [list(range(period)) * 5, list(reversed(range(period))) * 5]
    result, _ = generated(copying(period), prompts, noise_of(2, length), draft="ngram")
    assert result.tokens[0].tolist() == (prompts[0] * 101)[:length]
    assert result.passes == 1 + math.ceil((length - 1) / (1 + min(period, 8)))


def test_what_a_row_wrote_is_looked_up_in_its_own_past():
    """When the rows before it have left, too."""
    prompts = [[9, 8, 7, 6, 5] * 2, [5, 9, 6, 8, 7] * 2, list(range(5)) * 2]
    result, reader = generated(copying(5), prompts, noise_of(3, 61), draft="ngram", listener=lambda row, token: row < 2)
    assert [len(row) for row in result.tokens] == [1, 1, 61]
    assert {rows for rows, _ in reader.sizes} == {1}
    assert result.passes == 1 + 60 // 6


def test_what_has_not_occurred_is_not_guessed():
    """Steps of 1 modulo 20 from an empty prompt: the first 21 tokens and a run of two come one by one."""

    def counting(history: list[int]) -> list[float]:
        return [0.0 if k == len(history) % 20 else -math.inf for k in range(20)]

    result, reader = generated(counting, [[]], noise_of(1, 76), draft="ngram")
    assert result.tokens[0].tolist() == [j % 20 for j in range(76)]
    assert [width for _, width in reader.sizes] == [1] * 21 + [9] * 6
    assert result.passes == 28


def test_a_fixed_point_of_independent_tokens_takes_two_passes_for_ten():
    """A pass from guesses that are all wrong draws a token and eight to come; the next finds these eight right."""
    noise = ((torch.arange(101) * 7 % 20 + 0.5) / 20).double()[None, :, None]  # no token like the one before
    result, reader = generated(independent, [[0]], noise, draft="fixed_point")
    assert result.tokens[0].tolist() == [j * 7 % 20 for j in range(101)]
    assert result.passes == 1 + 2 * 10
    assert {width for _, width in reader.sizes} == {9}


def test_a_fixed_point_of_what_stays_the_same_takes_a_pass_for_nine():
    result, _ = generated(copying(1), [[3], [5]], noise_of(2, 100), draft="fixed_point")
    assert [row.unique().tolist() for row in result.tokens] == [[3], [5]]
    assert result.passes == 1 + 99 // 9
