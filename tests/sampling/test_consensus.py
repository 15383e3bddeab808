"""Likeness is sacrebleu's chrF, and agreement is the largest mean of it."""

import numpy as np
import pytest
import sacrebleu

from ptheta.sampling import likeness, most_agreed


@pytest.fixture(scope="module")
def texts():
    g = np.random.default_rng(0)
    words = ["кот", "собака", "a", "bb", "идёт", "домой", "домой.", "xyzxyzxyz", ""]
    return [" ".join(g.choice(words, g.integers(0, 6))) for _ in range(30)]


def test_likeness_is_chrf_of_single_texts(texts):
    others = texts[::-1][:20]
    expected = [[sacrebleu.sentence_chrf(one, [other]).score / 100 for other in others] for one in texts]
    np.testing.assert_allclose(likeness(texts, others), expected, atol=1e-6)


def test_the_most_agreed_is_that_of_all_sums(texts):
    for start in range(0, 25, 5):
        drawn = [*texts[start : start + 5], texts[start], texts[start + 1]]
        sums = [sum(sacrebleu.sentence_chrf(one, [other]).score for other in drawn) for one in drawn]
        assert sums[most_agreed(drawn, drawn)] == pytest.approx(max(sums))


def test_what_was_drawn_often_counts_often():
    assert most_agreed(["left", "right"], ["right", "left", "right"]) == 1
    assert most_agreed(["one"], ["one"]) == 0
    assert most_agreed(["b", "a", "a"], ["a", "b"]) == 0, "the first of those that are alike"
