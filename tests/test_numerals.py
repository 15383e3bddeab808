"""Which texts are numbers, in one table: as Python writes them, as a page shows them, as people write them."""

import pytest

from ptheta.numerals import is_figure, is_float, is_number, readings, unit_of

TEXTS = {  # text: (a number of Python's, or infinite or none, as a page shows it, what it may say)
    "3": (True, True, True, {3.0}),
    "-2.5e+10": (True, True, True, {-2.5e10}),
    "1e3": (True, True, True, {1e3}),
    "nan": (False, True, False, set()),
    "inf": (False, True, False, {float("inf")}),
    "1_000": (False, False, False, set()),
    "٣": (False, False, False, set()),
    "1,234": (False, False, True, {1.234, 1234.0}),
    "1,5": (False, False, False, {1.5}),
    "1.234,5": (False, False, False, {1234.5}),
    "1 234.5": (False, False, False, {1234.5}),
    "1'234": (False, False, False, {1234.0}),
    "12%": (False, False, False, {12.0}),
    "$1,200.50": (False, False, False, {1200.5}),
    "5 €": (False, False, False, {5.0}),
    "(5)": (False, False, False, {-5.0}),
    "($5.25)": (False, False, False, {-5.25}),
    "−5": (False, False, False, {-5.0}),
    "+5": (True, True, True, {5.0}),
    "1/2": (False, False, False, set()),
    "e-e": (False, False, False, set()),
    "2020-01-31": (False, False, False, set()),
    "12:30": (False, False, False, set()),
    "": (False, False, False, set()),
    "red": (False, False, False, set()),
}


@pytest.mark.parametrize("text", TEXTS)
def test_every_question_about_a_text_is_answered_alike(text):
    assert (is_number(text), is_float(text), is_figure(text), set(readings(text).values())) == TEXTS[text]


def test_units_are_signs_around_a_number():
    assert [unit_of(cell) for cell in ("12 %", "$5", "5€", "7")] == ["%", "$", "€", ""]
