"""Splits are disjoint, seeded and whole."""

import numpy as np
import pytest
import torch

from ptheta.data import Codec, load
from ptheta.data.splits import Split, fingerprint
from ptheta.errors import RunError, SourceError

ROWS = np.arange(100)[:, None].repeat(2, 1)


def ids(data):
    return {name: set(split.x[:, 0].tolist()) for name, split in data.splits.items()}


def test_undivided_data_are_divided_80_10_10_without_loss():
    parts = ids(load(ROWS))
    assert {k: len(v) for k, v in parts.items()} == {"train": 80, "validation": 10, "test": 10}
    assert set.union(*parts.values()) == set(range(100))


def test_the_seed_decides_the_division():
    assert ids(load(ROWS, seed=1)) == ids(load(ROWS, seed=1)) != ids(load(ROWS, seed=2))
    assert load(ROWS, seed=1).fingerprint == load(ROWS, seed=1).fingerprint != load(ROWS, seed=2).fingerprint


def test_validation_never_comes_from_test():
    data = load({"train": ROWS[:60], "test": ROWS[60:]}, validation=0.25)
    parts = ids(data)
    assert parts["test"] == set(range(60, 100))
    assert len(parts["validation"]) == 15
    assert parts["validation"] | parts["train"] == set(range(60))
    assert "validation" not in load({"train": ROWS[:60], "test": ROWS[60:]}, validation=0).splits
    with pytest.raises(SourceError, match="has no validation split; it has train, test"):
        _ = load({"train": ROWS[:60], "test": ROWS[60:]}, validation=0).validation


def test_a_limit_takes_the_same_few_of_each_split():
    full, few = ids(load(ROWS)), load(ROWS, limit=5)
    assert all(len(v) == 5 and v < full[k] for k, v in ids(few).items())
    assert ids(few) == ids(load(ROWS, limit=5))


def test_too_few_rows_are_refused():
    with pytest.raises(SourceError, match="2 events, too few"):
        load(ROWS[:2])


def test_events_are_int64_and_batches_compact():
    split = load("digits", context="label").train
    x, context = split.events(torch.tensor([3, 1]))
    assert x.dtype == context.dtype == torch.int64
    np.testing.assert_array_equal(x, split.x[[3, 1]])
    parts = list(split.batches(500))
    assert [len(p) for p, _ in parts] == [500, 500, 200]
    assert parts[0][0].dtype == torch.uint8
    np.testing.assert_array_equal(torch.cat([p for p, _ in parts]), split.x)


def test_a_subset_keeps_rows_and_contexts_together():
    split = Split(np.arange(50), np.arange(50) * 2)
    part = split.subset(7, seed=1)
    assert len(part) == 7
    np.testing.assert_array_equal(part.context, part.x * 2)
    assert len(split.subset(90)) == 50


def test_a_fingerprint_sees_one_changed_value():
    a = Split(np.zeros((10, 3), np.uint8))
    b = Split(a.x.copy())
    assert fingerprint({"train": a}) == fingerprint({"train": b}) != fingerprint({"test": b})
    b.x[4, 1] = 1
    assert fingerprint({"train": a}) != fingerprint({"train": b})


@pytest.mark.parametrize("source", ["digits", ROWS, ROWS / 7, {"x": np.array(list("abcabcabc"))}])
def test_codecs_return_from_json_and_refuse_what_they_do_not_know(source):
    codec = load(source).codec
    description = codec.to_json()
    assert Codec.from_json(description) == codec
    with pytest.raises(RunError, match="unknown fields \\['colour'\\]"):
        Codec.from_json(description | {"colour": 1})
    first = next(k for k in description if k != "kind")
    with pytest.raises(RunError, match=first):
        Codec.from_json({k: v for k, v in description.items() if k != first})
    with pytest.raises(RunError):
        Codec.from_json({"kind": "pickle"})


def test_damaged_codecs_are_run_errors():
    for change in ({"height": 10**9}, {"height": "8"}, {"levels": 900}, {"white": 0}, {"binarize": "x"}):
        with pytest.raises(RunError):
            Codec.from_json(load("digits").codec.to_json() | change)


def test_one_event_is_one_event():
    notes = load(np.arange(24.0).reshape(12, 2)).notes
    assert "validation: 1 event and test: 1 event drawn from all with seed 0" in notes
