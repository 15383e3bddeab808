"""Who learned from the judged events is counted as plain comparison counts it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ptheta
from ptheta.data import Split
from ptheta.errors import RunError
from ptheta.judging.nats import nats_of
from ptheta.judging.overlap import also_learned_by, divided_alike, learned_by
from ptheta.runs import Run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    g = np.random.default_rng(0)
    pixels = g.integers(0, 2, (80, 3, 3)).astype(np.uint8) * 255
    columns = {"img": [row.tolist() for row in pixels], "kind": g.choice(["a", "b"], 80)}
    columns["again"] = columns["kind"]
    columns["other"] = [{"a": "b", "b": "a"}[kind] for kind in columns["kind"]]
    pq.write_table(pa.table({**columns, "img": pa.array(columns["img"], pa.list_(pa.list_(pa.uint8(), 3), 3))}), path)
    return path


@pytest.fixture(scope="module")
def fit(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def fitted(name, context=None, **load):
        run = ptheta.fit("independent", ptheta.load(str(source), "img", context, **load), out=folder / name)
        return Run.load(run.path)

    return fitted


@pytest.fixture(scope="module")
def kinds(fit):
    return fit("kinds", "kind")


def known(x, train):
    """How many of some rows are in train."""
    return sum(bool((row == train).all(tuple(range(1, train.ndim))).any()) for row in x)


def test_events_that_were_learned_from_are_counted_with_and_without_their_context(kinds):
    train = kinds.data.train
    other = kinds.read(kinds.config["data"]["request"]["source"], context="kind").splits["all"]
    pairs = np.concatenate([train.x.reshape(len(train), -1), train.context[:, None]], 1)
    asked = np.concatenate([other.x.reshape(len(other), -1), other.context[:, None]], 1)
    with_context = known(asked, pairs)
    assert 0 < with_context < len(other)
    said = f"{known(other.x, train.x)} of the 80 events judged are among those that {kinds.path} was trained on"
    assert learned_by(kinds, other) == f"{said}, {with_context} of them with the same context"
    assert learned_by(kinds, Split(other.x)) == said
    swapped = learned_by(kinds, Split(train.x, 1 - train.context))
    assert swapped is not None
    repeated = known(np.concatenate([pairs[:, :-1], 1 - pairs[:, -1:]], 1), pairs)
    assert swapped.endswith(f", {repeated} of them with the same context")


def test_events_that_are_new_are_not_spoken_of(kinds):
    new = next(row for row in kinds.data.splits["test"].x if not known(row[None], kinds.data.train.x))
    assert learned_by(kinds, Split(new[None], np.zeros(1, np.uint8))) is None


def test_a_rival_that_left_out_the_same_rows_is_not_spoken_of(kinds, fit):
    assert divided_alike(kinds, rival := fit("alike"))
    assert also_learned_by(rival, kinds, kinds.data.test) is None


@pytest.mark.parametrize("otherwise", [{"seed": 1}, {"validation": 20}, {"limit": 50}])
def test_of_a_rival_that_left_out_other_rows_the_common_ones_are_counted(kinds, fit, otherwise):
    rival = fit("-".join(otherwise), **otherwise)
    assert not divided_alike(kinds, rival)
    test = kinds.data.test
    common = known(test.x, rival.data.train.x)
    are = "is" if common == 1 else "are"
    expected = f"{common} of the {len(test)} events judged {are} among those that {rival.path} was trained on"
    assert also_learned_by(rival, kinds, test) == (expected if common else None)
    assert nats_of(kinds, test, rival).notes == ([expected] if common else [])


def test_of_values_in_memory_nothing_is_taken_for_granted(fit, kinds, tmp_path):
    x = kinds.data.train.x[:, 0]
    run = ptheta.fit(
        "independent", ptheta.load({"img": x, "kind": kinds.data.train.context}, "img"), out=tmp_path / "m"
    )
    again = Run.load(run.path)
    assert not divided_alike(again, again)
    said = also_learned_by(again, again, run.data.test)
    assert said == f"{run.path} may have been trained on the events judged: {run.path} was fitted on data in memory"


def test_a_recogniser_of_another_coding_may_have_learned(kinds, fit):
    other = fit("levels", seed=2, binarize="threshold", size="2x2")
    said = also_learned_by(other, kinds, kinds.data.test)
    assert said == f"{other.path} may have been trained on the events judged: its data differ in seed"


def test_changed_data_are_not_taken_for_those_of_the_fit(source, tmp_path):
    path = tmp_path / "rows.parquet"
    table = pq.read_table(source)
    pq.write_table(table, path)
    run = ptheta.fit("independent", ptheta.load(str(path), "img", "kind"), out=tmp_path / "run")
    assert Run.load(run.path).own_data.fingerprint == run.data.fingerprint
    pq.write_table(table.slice(0, 79), path)
    again = Run.load(run.path)
    with pytest.raises(RunError, match="have changed since the fit"):
        _ = again.own_data
    with pytest.raises(RunError, match="have changed since the fit"):
        ptheta.classify(again, run.data.test.x, prior="train")
    assert "may have been trained" in learned_by(again, run.data.test)


def test_columns_of_the_fit_are_its_own_however_they_are_written(kinds, source):
    path = str(source)
    for event, context in ((None, None), ("img", "kind"), (" img", None), (None, "kind:label")):
        found = kinds.same(path, event, context)
        assert found is not None
        assert found.fingerprint == kinds.data.fingerprint
    assert kinds.same(path, None, "again") is None  # as often a and b, but perhaps of something else
    assert kinds.same(path, None, "other") is None
    assert kinds.same(path, "kind", "other") is None
    assert kinds.same(path, "img", "nothing") is None
