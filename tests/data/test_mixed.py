"""What columns of mixed tables are found to be, and what comes back from their codec."""

import datetime
import decimal
import json
import math
import re

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ptheta.data import Codec, load
from ptheta.data.codecs import RowCodec, TableCodec
from ptheta.data.finding.mixed_columns import figure
from ptheta.data.reading import events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.spaces import Column, Discrete, Real, Table

N = 1_200


def rng():
    return np.random.default_rng(0)


def found(values, kind="double"):
    return figure("a", kind, np.asarray(values, np.float64))


# Sources


def columns_of(source, **options):
    return {c["name"]: c for c in load(source, **options).codec.columns}


def frame():
    g = rng()
    return pd.DataFrame(
        {
            "age": g.integers(17, 90, N),
            "gain": np.where(g.random(N) < 0.8, 0.0, g.gamma(2, 900, N)),
            "price": np.round(g.gamma(3, 40, N), 2),
            "score": g.normal(size=N),
            "job, today": g.choice(["clerk", "Bäcker", 'a "b"', "x,y"], N),
            "gap": pd.array(g.integers(0, 40, N), "Int64"),
            "flag": g.random(N) < 0.3,
        }
    ).assign(gap=lambda made: made["gap"].mask(g.random(N) < 0.2))


def with_nulls():
    g = rng()
    made = frame()
    made["age"] = made["age"].astype("Int64").mask(g.random(N) < 0.1)
    made["score"] = made["score"].astype("Float64").mask(g.random(N) < 0.1)
    made["flag"] = made["flag"].astype("boolean").mask(g.random(N) < 0.1)
    made["job, today"] = made["job, today"].astype("category").mask(g.random(N) < 0.1)
    return made


def test_each_column_is_what_it_is():
    space = load(frame()).space
    kinds = ["category" if c.is_category else "grid" if c.per else "real" for c in space.columns]
    assert kinds == ["grid", "real", "grid" if space.columns[2].per else "real", "real", "category", "grid", "category"]
    assert space.columns[1].atoms == (0.0,)
    assert [c.missing for c in space.columns] == [False] * 5 + [True, False]


def test_missing_cells_are_found_in_every_type():
    made = with_nulls()
    data = load(made)
    assert [c.missing for c in data.space.columns] == [made[name].isna().any() for name in made]
    x = data.codec.encode(made)
    np.testing.assert_array_equal(np.isnan(x), made.isna().to_numpy())


@pytest.mark.parametrize("make", [frame, with_nulls])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_decoded_and_written_is_what_was_read(make, suffix, tmp_path):
    made, path = make(), tmp_path / f"t.{suffix}"
    made.to_csv(path, index=False) if suffix == "csv" else made.to_parquet(path)
    data = load(path)
    codec = Codec.from_json(json.loads(json.dumps(data.codec.to_json())))
    assert codec == data.codec
    x = events_of_file(codec, path)
    np.testing.assert_array_equal(x, codec.encode(codec.decode(x)))
    for form in ("csv", "parquet"):
        np.testing.assert_array_equal(x, events_of_file(codec, codec.write_frame(x, tmp_path / f"again.{form}")))
    if suffix == "parquet":
        before, after = pq.read_schema(path), pq.read_schema(tmp_path / "again.parquet")
        assert after.names == before.names
        for one, other in zip(before, after):
            assert other.type == written(one.type)
        table, again = pq.read_table(path), pq.read_table(tmp_path / "again.parquet")
        assert table.to_pydict() == again.to_pydict()
    else:
        assert path.read_text() == (tmp_path / "again.csv").read_text()


def written(kind):
    """Strings are strings, however long they may be; categories stay so, but whole numbers, as Parquet has them."""
    if pa.types.is_dictionary(kind):
        value = written(kind.value_type)
        return pa.dictionary(kind.index_type, value, kind.ordered) if value == pa.string() else value
    return pa.string() if pa.types.is_large_string(kind) else kind


TYPES = {
    "i8": pa.array(rng().integers(-100, 100, N), pa.int8()),
    "u8": pa.array(rng().integers(0, 255, N), pa.uint8()),
    "i16": pa.array(rng().integers(0, 3_000, N), pa.int16()),
    "u64": pa.array(rng().integers(0, 3_000, N), pa.uint64()),
    "f16": pa.array(rng().normal(size=N).astype(np.float16), pa.float16()),
    "f32": pa.array(rng().normal(size=N), pa.float32()),
    "dec": pa.array([decimal.Decimal(int(v)) / 100 for v in rng().integers(0, 400, N)], pa.decimal128(6, 2)),
    "few": pa.array([decimal.Decimal(int(v)) / 10 for v in rng().integers(0, 4, N)], pa.decimal128(6, 2)),
    "large": pa.array(rng().choice(["a", "b"], N).tolist(), pa.large_string()),
    "bool": pa.array([None if v > 0.9 else v > 0.4 for v in rng().random(N)], pa.bool_()),
    "words": pa.array(rng().choice(["a", "b"], N).tolist()).dictionary_encode(),
    "codes": pa.array(rng().integers(0, 40, N)).dictionary_encode(),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_arrow_return(name, tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table({name: TYPES[name], "other": pa.array(rng().normal(size=N))})
    pq.write_table(table, path)
    codec = load(path, columns="mixed").codec
    assert isinstance(codec, RowCodec)
    x = events_of_file(codec, path)
    again = pq.read_table(codec.write_frame(x, tmp_path / "again.parquet"))
    kind = table.schema.field(name).type
    assert again.schema.field(name).type == written(kind)
    assert again.column(name).to_pylist() == table.column(name).to_pylist()
    np.testing.assert_array_equal(codec.encode(codec.decode(x)), x)


@pytest.mark.parametrize("name", ["i8", "u8", "i16", "u64", "f16", "f32", "dec"])
def test_draws_beyond_a_type_are_its_last_values(name, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({name: TYPES[name], "other": pa.array(rng().normal(size=N))}), path)
    codec = load(path, columns="mixed").codec
    low = codec.space.columns[0].low
    x = np.array([[1e15 if name != "f32" else 1e300, 0.0], [-1e15 if low is None else low, 0.0], [1.0, 0.0]])
    again = pq.read_table(codec.write_frame(x, tmp_path / "again.parquet")).column(name)
    assert again.type == TYPES[name].type
    assert again[2].as_py() == 1
    assert math.isfinite(again[0].as_py())
    assert again[0].as_py() > max(TYPES[name].to_pylist())
    frame = pd.read_csv(codec.write_frame(x, tmp_path / "again.csv"))
    assert float(frame[name][0]) == pytest.approx(float(again[0].as_py()), rel=1e-3)


@pytest.mark.parametrize("start", [2**53 - 1, 2**53 + 1, -(2**62), 2**63 - N])
@pytest.mark.parametrize("levels", [N, 3])
def test_whole_numbers_that_float64_would_round_are_refused(start, levels):
    values = start + np.arange(N) % levels
    with pytest.raises(SourceError, match=rf"'id' is {start}.* at row 1 of data, more digits") as caught:
        load(pd.DataFrame({"id": values, "z": rng().normal(size=N)}), event="id,z", columns="mixed")
    assert "\n" not in str(caught.value)


def test_long_whole_numbers_are_refused_in_new_data_and_as_decimals_too():
    codec = load(pd.DataFrame({"id": np.arange(N), "z": rng().normal(size=N)})).codec
    with pytest.raises(SourceError, match=r"'id' is 9007199254740993 at row 2"):
        codec.encode(pd.DataFrame({"id": [1, 2**53 + 1], "z": [0.0, 0.0]}))
    long = pa.array([decimal.Decimal("12345678901234567.89")] * N, pa.decimal128(20, 2))
    with pytest.raises(SourceError, match=r"12345678901234567\.89 at row 1 of .*more digits"):
        load(datasets.Dataset(pa.table({"d": long, "z": pa.array(rng().normal(size=N))})), columns="mixed")


def test_numbers_up_to_the_end_of_the_grid_are_exact():
    values = 2**52 - 1 - rng().integers(0, 10**6, N)
    data = load(pd.DataFrame({"id": values, "z": rng().normal(size=N)}), columns="mixed")
    x = data.codec.encode(pd.DataFrame({"id": values, "z": 0.5}))
    assert data.codec.decode(x)["id"].tolist() == values.tolist()


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_numbers_are_named_with_column_and_row(value):
    made = frame()
    made.loc[7, "score"] = value
    with pytest.raises(SourceError, match=rf"'score' is {value} at row 8 of data"):
        load(made)


def test_class_labels_are_categories_that_may_be_missing(tmp_path):
    features = datasets.Features({"k": datasets.ClassLabel(names=["z", "a", "m"]), "v": datasets.Value("float32")})
    rows = {"k": [0, 2, None, 0] * 50, "v": rng().normal(size=200).tolist()}
    data = load(datasets.Dataset.from_dict(rows, features=features))
    assert data.codec.columns[0]["values"] == ["z", "a", "m"]
    assert data.space.columns[0] == Column("k", levels=3, missing=True)
    path = tmp_path / "t.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    x = events_of_file(data.codec, path)
    np.testing.assert_array_equal(x[:4, 0], [0, 2, math.nan, 0])
    assert data.codec.decode(x)["k"].fillna("-").tolist()[:4] == ["z", "m", "-", "z"]
    rows["k"][1] = 7
    with pytest.raises(SourceError, match="'k' is 7 at row 2"):
        events_of_file(data.codec, _labelled(tmp_path, rows, features))


def _labelled(folder, rows, features):
    table = pa.table({"k": pa.array(rows["k"], pa.int64()), "v": pa.array(rows["v"], pa.float32())})
    pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), folder / "bad.parquet")
    return folder / "bad.parquet"


def test_dates_are_left_out_and_said():
    made = frame()[["age", "score"]].assign(day=pd.date_range("2020", periods=N), when=[datetime.timedelta(1)] * N)
    data = load(made)
    assert data.codec.names == ["age", "score"]
    left_out = r"left out, neither numbers nor names: day \(datetime64\[us\]\), when \(timedelta64\[us\]\)"
    assert any(re.fullmatch(left_out, note) for note in data.notes)
    with pytest.raises(SourceError, match=r"'day' \(datetime64\[us\]\) cannot be one of several event columns"):
        load(made, event="age,day")


def test_columns_decides():
    numbers = frame()[["age", "score"]]
    assert load(numbers, columns="real").space == Real((2,))
    assert isinstance(load(numbers, columns="mixed").space, Table)
    assert load(frame()[["flag", "job, today"]], columns="categories").space == Discrete((2,), 4, (2, 4))
    assert isinstance(load(frame()[["flag", "job, today"]], columns="mixed").codec, RowCodec)
    assert isinstance(load(frame()[["score"]]).codec, TableCodec)  # nothing but a density
    with pytest.raises(SourceError, match="'job, today' holds text such as"):
        load(frame(), columns="real")
    with pytest.raises(SourceError, match="'gain' holds real numbers"):
        load(frame(), columns="categories")


def test_notes_say_what_was_found():
    notes = "\n".join(load(frame()).notes)
    assert "on a grid, each point with a probability: age" in notes
    assert "1 value of gain" in notes
    assert "missing is an outcome of gap" in notes
    assert "a density, in nats per unit of gain" in notes


def test_values_that_only_test_has_are_known_and_new_ones_are_refused():
    made = frame()
    splits = {"train": made[:800], "validation": made[800:1000], "test": made[1000:].assign(**{"job, today": "rare"})}
    data = load(splits)
    assert "rare" in data.codec.columns[4]["values"]
    assert len(data.test.x) == N - 1000
    codec = load(made).codec
    wrong = [
        ("job, today", "new", "'job, today' is 'new' at row 1, a value unknown to the run"),
        ("age", -5, "'age' is -5 at row 1, but it is a whole number, at least 0"),
        ("price", math.nan, "'price' is missing at row 1, and no row of the fit lacked it"),
        ("score", math.inf, "'score' is inf at row 1"),
    ]
    for name, value, said in wrong:
        with pytest.raises(SourceError, match=said):
            codec.encode(made[:3].assign(**{name: value}))
    with pytest.raises(SourceError, match="no column 'age'"):
        codec.encode(made.drop(columns="age"))
    with pytest.raises(SourceError, match=r"'age' is -5 at row 3"):  # rows are counted with those that are missing
        codec.partial({name: [None, None, -5 if name == "age" else None] for name in codec.names})
    with pytest.raises(SourceError, match=r"'job, today' is 'new' at row 2"):
        codec.partial({name: [None, "new" if name == "job, today" else None] for name in codec.names})
    partial = codec.partial(made[:3].assign(price=math.nan))
    np.testing.assert_array_equal(np.isnan(partial[:, 2]), [True] * 3)


def test_whole_numbers_written_as_floats_are_the_same_categories():
    codec = load(pd.DataFrame({"k": [1, 2, 3] * 60, "z": rng().normal(size=180)})).codec
    assert codec.columns[0]["values"] == [1, 2, 3]
    np.testing.assert_array_equal(codec.partial({"k": [3.0, np.nan, 1.0], "z": [0.5] * 3})[:, 0], [2, np.nan, 0])


def test_an_empty_table_is_decoded_and_written(tmp_path):
    codec = load(with_nulls()).codec
    nothing = np.empty((0, len(codec.names)))
    assert codec.decode(nothing).shape == (0, len(codec.names))
    assert pq.read_table(codec.write_frame(nothing, tmp_path / "t.parquet")).num_rows == 0


def test_chunks_make_no_difference(monkeypatch, tmp_path):
    with_nulls().to_parquet(tmp_path / "t.parquet", row_group_size=100)
    whole = load(tmp_path / "t.parquet")
    monkeypatch.setattr("ptheta.data.sources.tables.CHUNK", 37)
    monkeypatch.setattr("ptheta.data.finding.mixed_columns.TOGETHER", 10)
    cut = load(tmp_path / "t.parquet")
    assert cut.codec == whole.codec
    assert cut.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("j", "change"),
    [
        (0, {"per": 2**60}), (0, {"atoms": [3.0, 2.0]}), (0, {"offset": math.nan}), (0, {"missing": "no"}),
        (1, {"atoms": ["x"]}), (1, {"low": math.inf}), (4, {"values": 5}), (4, {"per": 1}),
    ],
)  # fmt: skip
def test_edited_codecs_are_refused(j, change):
    described = load(frame()).codec.to_json()
    described["columns"][j] |= change
    with pytest.raises(RunError) as caught:
        Codec.from_json(json.loads(json.dumps(described)))
    assert "\n" not in str(caught.value)
    del described["columns"][0]["name"]
    with pytest.raises(RunError):
        Codec.from_json(described)


# Cells by hand


def test_cells_as_people_write_them():
    codec = load(frame()).codec
    row, known = codec.cells({"job, today": "x,y", "age": "40", "flag": "True", "gap": ""})
    assert known.tolist() == [True, False, False, False, True, True, True]
    assert row[0] == 40
    assert codec.columns[4]["values"][int(row[4])] == "x,y"
    assert math.isnan(row[5])
    assert row[6] == 1
    codec.space.validate(row[None])


@pytest.mark.parametrize(
    ("name", "text", "problem", "remedy"),
    [
        ("job, today", "Clerk", "job, today has no value 'Clerk'", "did you mean clerk"),
        ("job, today", "", "job, today has no value ''", "choose one of"),
        ("age", "x", "age is 'x', not a number", "age=0"),
        ("age", "nan", "age is 'nan', not a number", "age=0"),
        ("age", "1.5", "age is 1.5, but it is a whole number, at least 0, not missing", "give such a value"),
        ("age", "1e300", "age is 1e300, but it is a whole number", "give such a value"),
        ("gain", "-1", "gain is -1, but it is a real number, at least 0", "give such a value"),
        ("age", "", "age is '', not a number", "age=0"),
        ("jobb", "x", "no column 'jobb'", "choose one of|did you mean"),
    ],
)
def test_cells_that_cannot_be_are_refused(name, text, problem, remedy):
    with pytest.raises(UsageError, match=problem) as caught:
        load(frame()).codec.cells({name: text})
    assert re.search(remedy, str(caught.value))


def test_a_table_with_a_column_context_is_written_beside_labels(tmp_path):
    made = pd.DataFrame({"context": [1, 2] * 50, "context_": rng().normal(size=100)})
    codec = load(made).codec
    x = codec.encode(made)
    for form in ("csv", "parquet"):
        path = codec.write_frame(x, tmp_path / f"t.{form}", {"context": ["cat"] * 100})
        again = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
        assert list(again.columns) == ["context__", "context", "context_"]
        np.testing.assert_array_equal(codec.encode(again), x)


def test_rounded_and_whole_numbers_lie_on_a_grid_even_where_most_occur_once():
    g = np.random.default_rng(0)
    cents, whole = g.normal(0, 3, 1000).round(2), g.normal(0, 1e6, 1000).round()
    assert len(np.unique(cents)) > 600
    assert figure("cents", "double", cents)["per"] == 100
    assert figure("whole", "double", whole)["per"] == 1
    assert figure("real", "double", g.normal(0, 3, 1000))["per"] == 0


def test_what_repeats_in_test_is_not_looked_at():
    g = np.random.default_rng(0)
    train, test = g.normal(size=400), np.r_[np.full(300, 0.25), g.normal(size=100)]
    column = load({"train": pd.DataFrame({"a": train, "b": "x"}), "test": pd.DataFrame({"a": test, "b": "x"})}).space
    assert column.columns[0].atoms == ()
    both = np.r_[train, test]
    assert load(
        {"train": pd.DataFrame({"a": both, "b": "x"}), "test": pd.DataFrame({"a": test, "b": "x"})}
    ).space.columns[0].atoms == (0.25,)


@pytest.mark.parametrize(
    ("per", "offset", "low"), [(1, 16777217 + 1 / 3, None), (1000, 1234567.891, 0.0), (1, 0.0, 3.5)]
)
def test_the_filler_of_a_cell_is_one_of_its_values(per, offset, low):
    column = Column("t", per=per, offset=offset, low=low)
    assert not column.wrong(torch.tensor([column.filler], dtype=torch.float64)).any()
