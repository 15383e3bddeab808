"""The values of a category are found in whatever type a reader makes of them."""

import decimal

import numpy as np
import pyarrow as pa
import pytest

from ptheta.data.codecs.known import Levels


def single(*values):
    return pa.array(np.float32(values))


@pytest.mark.parametrize(
    ("values", "cells", "levels"),
    [
        ([1, 2, 3], [3.0, 1.0, 2.5], [2, 0, -1]),
        ([1, 2, 3], ["3", "1.0", "x"], [2, 0, -1]),
        ([3, 1, 2], [1.0, 3.0], [1, 0]),
        ([0, 1], [True, False], [1, 0]),
        ([10**17 + 1, 10**17 + 2], [10**17 + 2, 10**17], [1, -1]),
        ([0.1, 0.2], single(0.2, 0.1, 0.3), [1, 0, -1]),
        ([0.1, 0.2], single(0.2, 0.1).cast(pa.float64()), [1, 0]),
        ([float(np.float32(0.1)), 0.25], [0.25, 0.1], [1, 0]),
        ([0.1, 0.25], ["0.10", "0.25", "a"], [0, 1, -1]),
        ([0.1, 0.3], [decimal.Decimal("0.3"), decimal.Decimal("0.1")], [1, 0]),
        ([False, True], [1, 0, 2], [1, 0, -1]),
        ([False, True], [1.0, 0.0], [1, 0]),
        ([False, True], ["TRUE", "false", "0", "no"], [1, 0, 0, -1]),
        (["1", "10", "2"], [2, 10, 7], [2, 1, -1]),
        (["1", "2"], [2.0, 1.0], [1, 0]),
        (["1.5", "2"], [2.0, 1.5], [1, 0]),
        (["0.1", "0.2"], single(0.2, 0.1), [1, 0]),
        (["0.1", "0.2"], single(0.2, 0.1).cast(pa.float64()), [1, 0]),
        (["False", "True"], [True, False], [1, 0]),
        (["no", "yes"], [True, False], [-1, -1]),
        (["b", "a"], pa.array(["a", "b", "c"]).dictionary_encode(), [1, 0, -1]),
        ([1, 2], pa.array([2, 9, 2]).dictionary_encode(), [1, -1, 1]),
    ],
)
def test_values_are_found_whatever_they_come_as(values, cells, levels):
    cells = cells if isinstance(cells, pa.Array) else pa.array(cells)
    assert Levels(values).find(cells).tolist() == levels
    assert Levels(values).find(cells[:0]).tolist() == []


def test_words_that_differ_stay_apart():
    known = Levels(["007", "7", "12"])
    assert known.find(pa.array(["007", "7", "12", "012"])).tolist() == [0, 1, 2, -1]
    assert known.find(pa.array([7, 12])).tolist() == [1, 2], "the one that is spelled so"
    assert Levels(["007", "12"]).find(pa.array([7, 12])).tolist() == [0, 1], "there is no other"
    assert Levels(["007", "07"]).find(pa.array([7])).tolist() == [-1], "which of the two?"


def test_words_that_are_printed_numbers_may_be_printed_otherwise():
    assert Levels(["1", "2"], printed=True).find(pa.array(["2.0", "1", "x"])).tolist() == [1, 0, -1]
    assert Levels(["01", "2"], printed=True).find(pa.array(["1"])).tolist() == [-1]
    assert Levels(["False", "True"], printed=True).find(pa.array(["true", "FALSE"])).tolist() == [1, 0]


def test_numbers_of_classes_are_classes_unless_their_names_are_numbers():
    assert Levels(["z", "a"], numbered=True).find(pa.array([1, 0, 2])).tolist() == [1, 0, -1]
    assert Levels(["3", "5"], numbered=True).find(pa.array([3, 0])).tolist() == [0, -1]
    assert Levels(["z", "a"]).find(pa.array([1, 0])).tolist() == [-1, -1]


def test_whole_numbers_that_float64_cannot_tell_apart_stay_apart():
    levels = Levels([2**53, 2**53 + 1, 2**53 + 2])
    cells = pa.array([2**53, 2**53 + 1, 2**53 + 2])
    assert levels.find(cells).tolist() == [0, 1, 2]
    assert levels.find(cells.cast(pa.decimal128(38, 0))).tolist() == [0, 1, 2]
    assert levels.find(pa.array([2.0**53, 2.0**53 + 2, 2.0**54])).tolist() == [-1, 2, -1], "the first could be two"


@pytest.mark.parametrize("cell", ["1_000", "١٠٠٠", [1000], {"a": 1000}])
def test_what_python_reads_as_a_number_and_nobody_means_is_none(cell):
    assert Levels([1000, 2000]).find(pa.array([cell])).tolist() == [-1]
