"""A stored number stands for the shortest decimal that gives it back, and is found again however wide it comes."""

import numpy as np
import pytest

from ptheta.values import Known, inferred, resolution_of, same, shortest, snapped

N = 40_000


def rng():
    return np.random.default_rng(0)


def of_any_bits(kind):
    """Finite numbers of random bits: subnormal ones, huge ones, negative ones, and both zeros."""
    bits = np.dtype(kind).itemsize * 8
    unsigned = np.dtype(f"u{bits // 8}")
    every = np.arange(2**16) if bits == 16 else rng().integers(0, 2**bits, N, dtype=np.uint64)
    found = every.astype(unsigned).view(kind)
    return found[np.isfinite(found)]


def printed(numbers):
    """The independent truth: numpy's own shortest decimal, read by Python."""
    return np.array([float(str(number)) for number in numbers])


def numbers_of(kind):
    info, g = np.finfo(kind), rng()
    powers = np.ldexp(np.ones(1, kind), np.arange(info.minexp - info.nmant, info.maxexp)).astype(kind)
    few = [np.round(g.normal(size=3_000) * 10.0**power, digits) for power in (-3, 0, 2) for digits in (1, 2, 4)]
    binary = g.integers(0, 2**24, 3_000) / 2.0 ** g.integers(0, 12, 3_000)  # ties of the last digit are among them
    ends = [0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal]
    with np.errstate(over="ignore"):
        made = [of_any_bits(kind), powers, *(part.astype(kind) for part in (*few, binary, np.array(ends)))]
    found = np.concatenate(made)
    return found[np.isfinite(found)]


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_number_stands_for_the_shortest_decimal_that_gives_it_back(kind):
    numbers = numbers_of(kind)
    found = shortest(numbers)
    np.testing.assert_array_equal(found, printed(numbers))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(numbers))
    np.testing.assert_array_equal(found.astype(kind), numbers)


def test_wide_and_whole_numbers_are_their_own_value():
    for values in (rng().normal(size=9), np.arange(9), np.array([True, False]), np.uint8([3, 255])):
        np.testing.assert_array_equal(shortest(values), values.astype(np.float64))


def test_what_is_not_finite_stays_and_so_do_shapes_and_byte_orders():
    numbers = np.float32([[np.nan, np.inf], [-np.inf, 0.1]])
    np.testing.assert_array_equal(shortest(numbers), [[np.nan, np.inf], [-np.inf, 0.1]])
    np.testing.assert_array_equal(shortest(numbers.astype(">f4")), shortest(numbers))
    np.testing.assert_array_equal(shortest(numbers[:, ::-1].T), shortest(numbers)[:, ::-1].T)
    assert shortest(np.empty((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize(("kind", "digits"), [(np.float16, 5), (np.float32, 9)])
def test_a_number_written_wide_is_found_again(kind, digits):
    numbers = numbers_of(kind)
    meant, resolution = shortest(numbers), resolution_of(np.dtype(kind))
    np.testing.assert_array_equal(snapped(numbers.astype(np.float64), resolution), meant)
    np.testing.assert_array_equal(snapped(meant, resolution), meant)
    normal = numbers[np.abs(numbers) >= np.finfo(kind).tiny]
    shown = np.array([float(f"{float(number):.{digits}g}") for number in normal])
    np.testing.assert_array_equal(snapped(shown, resolution), shortest(normal))


def test_more_digits_than_a_column_has_are_kept():
    values = np.array([0.12345678901234, 1e300, -7.000000123456, np.nan])
    np.testing.assert_array_equal(snapped(values, "single"), values)
    np.testing.assert_array_equal(snapped(values, "double"), values)


@pytest.mark.parametrize(
    ("values", "stored", "resolution"),
    [
        (rng().normal(size=N), "double", "double"),
        (rng().normal(size=N).astype(np.float32).astype(np.float64), "double", "single"),
        (shortest(rng().normal(size=N).astype(np.float32)), "double", "single"),
        (np.round(rng().normal(size=N), 3), "double", "single"),
        (np.append(shortest(rng().normal(size=N).astype(np.float32)), 1 / 3), "double", "double"),
        (rng().integers(0, 2**40, N).astype(np.float64), "double", "double"),
        (rng().integers(0, 9, N).astype(np.float64), "double", "double"),
        (rng().integers(0, 9, N).astype(np.float64), "single", "single"),
        (rng().integers(0, 2**22, N) / 16, "double", "double"),
        (shortest(rng().normal(size=N).astype(np.float16)), "half", "half"),
        (rng().normal(size=N), "half", "double"),
    ],
)
def test_a_column_tells_its_resolution(values, stored, resolution):
    assert inferred(values, stored) == resolution
    assert inferred(values, stored, exact=True) == "double"


def test_known_numbers_are_found_in_every_type():
    numbers = np.sort(np.concatenate([rng().normal(size=200), [0.1, 0.2, -0.0, 1e6, 1 / 3]]))
    known, every = Known(numbers), np.arange(len(numbers))
    np.testing.assert_array_equal(known.find(numbers), every)
    single = numbers.astype(np.float32)
    np.testing.assert_array_equal(known.find(shortest(single), "single"), every)
    np.testing.assert_array_equal(known.find(single.astype(np.float64)), every)
    wide, few = Known(single.astype(np.float64)), Known(shortest(single))  # learned from either
    np.testing.assert_array_equal(wide.find(shortest(single)), every)
    np.testing.assert_array_equal(few.find(single.astype(np.float64)), every)
    assert (known.find(numbers * (1 + 1e-5)) == -1)[numbers != 0].all()


def test_half_numbers_find_theirs():
    known = Known(np.array([0.1, 0.25, 0.3]))
    np.testing.assert_array_equal(known.find(shortest(np.float16([0.3, 0.1, 0.25, 0.7])), "half"), [2, 0, 1, -1])
    np.testing.assert_array_equal(known.find(np.float16([0.3, 0.1]).astype(np.float64)), [2, 0])


def test_whole_numbers_are_never_taken_for_their_neighbours():
    known = Known(np.array([123_456_789.0]))
    assert known.find(np.array([123_456_789.0, 123_456_792.0, 123_456_790.0])).tolist() == [0, -1, -1]
    assert known.find(np.array([123_456_790.0]), "single").tolist() == [0], "float32 cannot tell them apart"
    assert Known(np.array([1_000_000.01])).find(np.array([1_000_000.0])).tolist() == [-1]


def test_nothing_is_known_of_no_numbers():
    assert Known(np.empty(0)).find(np.array([1.0, 0.5]), "single").tolist() == [-1, -1]
    assert not same(np.array([1e300]), np.array([1e301]), "single").any(), "infinity is not a number"


def test_a_value_with_more_digits_than_its_column_keeps_them():
    values = np.array([1_000_000_001.0, 999_999_999.0, 2_147_483_647.0, 4_294_967_295.0, 1.0000000012])
    assert snapped(values, "single").tolist() == values.tolist()
    wide = np.float32([0.1, 1 / 3, 123.456]).astype(np.float64)
    for digits in range(9, 17):
        printed = np.array([float(f"{value:.{digits}g}") for value in wide])
        assert snapped(printed, "single").tolist() == shortest(np.float32(wide)).tolist(), digits
