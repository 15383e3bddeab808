"""Metrics give what formulas and counting by hand give."""

import importlib
import math

import numpy as np
import pytest

from ptheta import metrics
from ptheta.errors import UsageError

REFERENCES = ["the cat sat", "a dog", "red"]
OUTPUTS = ["the cat sat", "a big dog", "blue"]


def test_exact_match_counts_equal_texts_whatever_their_white_space():
    share = metrics.exact_match([*REFERENCES, "a  b"], [*OUTPUTS, " a b\n"])
    assert share.value == 0.5
    assert share.error == pytest.approx(math.sqrt(0.25 * 4 / 3) / 2)


def test_word_errors_are_counted_by_hand():
    rate = metrics.word_error_rate(REFERENCES, OUTPUTS)
    assert rate.value == pytest.approx(2 / 6)  # one word too many, one wrong, of six
    edits, sizes = np.array([0, 1, 1]), np.array([3, 2, 1])
    assert rate.error == pytest.approx((edits - sizes / 3).std(ddof=1) / (2 * math.sqrt(3)))


def test_character_errors_are_counted_by_hand():
    assert metrics.character_error_rate(["abcd", "xy"], ["abed", "x"]).value == pytest.approx(2 / 6)


def test_a_reference_without_words_adds_errors_and_no_words():
    assert metrics.word_error_rate(["", "a b"], ["x", "a b"]).value == 0.5
    assert metrics.word_error_rate([""], ["x"]).value == math.inf


def test_equal_texts_score_100_and_texts_without_a_common_letter_0():
    same, other = ["the cat sat on it"], ["zzz"]
    assert metrics.chrf(same, same).value == pytest.approx(100)
    assert metrics.bleu(same, same).value == pytest.approx(100)
    assert metrics.chrf(same, other).value == 0
    assert metrics.bleu(same, other).value == 0


def test_chrf_is_the_f_score_of_n_grams():
    # "abc" against "abd": unigrams 2 of 3, bigrams 1 of 2, trigrams 0 of 1; longer ones do not occur
    precision = (2 / 3 + 1 / 2 + 0) / 3
    assert metrics.chrf(["abd"], ["abc"]).value == pytest.approx(100 * precision, abs=0.01)


def test_bleu_has_the_brevity_penalty():
    reference, output = ["one two three four five six seven eight"], ["one two three four five six"]
    assert metrics.bleu(reference, output).value == pytest.approx(100 * math.exp(1 - 8 / 6))


def test_unequal_numbers_of_texts_are_refused():
    with pytest.raises(UsageError, match="1 outputs"):
        metrics.text_metrics(["a", "b"], ["a"])


def test_psnr_is_its_formula():
    a, b = np.zeros((2, 4, 5)), np.zeros((2, 4, 5))
    b[0] += 10
    assert metrics.psnr(a, b) == pytest.approx([20 * math.log10(255 / 10), math.inf])


def test_ssim_of_constant_pictures_is_the_luminance_term():
    a, b = np.full((1, 8, 8, 3), 100.0), np.full((1, 8, 8, 3), 50.0)
    c = (0.01 * 255) ** 2
    assert metrics.ssim(a, a) == pytest.approx([1])
    assert metrics.ssim(a, b) == pytest.approx([(2 * 100 * 50 + c) / (100**2 + 50**2 + c)])


def test_ssim_of_small_pictures_has_a_smaller_window():
    a = np.random.default_rng(0).integers(0, 256, (2, 4, 4))
    assert metrics.ssim(a, a) == pytest.approx([1, 1])
    with pytest.raises(UsageError, match="2 pixels"):
        metrics.ssim(a[:, :2], a[:, :2])


def test_samples_are_judged_by_the_first_the_best_and_their_mean():
    reference = np.full((1, 2, 2), 100.0)
    samples = np.stack([reference + 20, reference - 10, reference - 10], 1)
    found = metrics.of_samples(metrics.psnr, reference, samples)
    assert found.one == pytest.approx(20 * math.log10(255 / 20))
    assert found.best == pytest.approx(20 * math.log10(255 / 10))
    assert found.mean == [math.inf]  # 20, −10 and −10 cancel


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"scikit-image.*pip install 'ptheta\[metrics\]'"):
        metrics.psnr(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)))


def test_accuracy_has_the_error_of_a_share():
    share = metrics.accuracy([1, 2, 3, 4], [1, 2, 3, 0])
    assert share.value == 0.75
    assert share.error == pytest.approx(math.sqrt(0.75 * 0.25 / 3))
