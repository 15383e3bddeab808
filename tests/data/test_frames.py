"""Columns of data frames, arrays and tensors in every type: taken and given back in it, or left out by name."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import torch

from ptheta.data import Codec, load
from ptheta.errors import SourceError

N = 120
G = np.random.default_rng(0)
Z = G.normal(size=N)
SMALL, MANY = G.integers(0, 3, N), G.integers(0, 50, N)
HIGH = pd.Categorical.from_codes(SMALL % 2, ["high", "low", "never"], ordered=True)

RETURNED = {
    "uint8 on a grid": MANY.astype(np.uint8),
    "uint8 levels": SMALL.astype(np.uint8),
    "int16": MANY.astype(np.int16),
    "float32": Z.astype(np.float32),
    "float32 on a grid": MANY.astype(np.float32),
    "float64 of whole numbers": MANY.astype(np.float64),
    "bool": SMALL > 1,
    "Int64": pd.array(MANY, "Int64"),
    "UInt8 with gaps": pd.array(np.where(Z > 1, None, MANY), "UInt8"),
    "boolean with gaps": pd.array(np.where(Z > 1, None, SMALL > 1), "boolean"),
    "Float32 with gaps": pd.array(np.where(Z > 1, None, Z), "Float32"),
    "string": pd.array(np.where(SMALL > 1, "a", "b"), "string"),
    "ordered categories": HIGH,
    "categories of numbers": pd.Categorical(MANY),
}


@pytest.mark.parametrize("kind", RETURNED)
@pytest.mark.parametrize("beside", ["real", "levels"])
def test_columns_come_back_in_their_type(kind, beside, tmp_path):
    made = pd.DataFrame({"a": RETURNED[kind], "b": Z if beside == "real" else SMALL})
    codec = load(made).codec
    frame = codec.decode(codec.encode(made))
    assert frame.dtypes.equals(made.dtypes)
    pd.testing.assert_frame_equal(frame, made)
    path = codec.write_frame(codec.encode(made), tmp_path / "t.parquet")
    kind, written = pa.array(made["a"], from_pandas=True).type, pq.read_schema(path).field("a").type
    kind = pa.int64() if kind == pa.dictionary(pa.int8(), pa.int64()) else kind  # Parquet has categories of words only
    assert str(written).replace("large_", "") == str(kind).replace("large_", "")
    made.to_parquet(tmp_path / "own.parquet")
    assert pd.read_parquet(path).dtypes.equals(pd.read_parquet(tmp_path / "own.parquet").dtypes)
    if made.dtypes["a"] == HIGH.dtype:
        again = load(path).codec
        assert again.decode(again.encode(made)).dtypes["a"] == HIGH.dtype


def test_real_numbers_come_back_in_the_type_of_each_column():
    made = pd.DataFrame({"a": Z.astype(np.float32), "b": Z})
    codec = load(made).codec
    assert codec.real == "float64"
    pd.testing.assert_frame_equal(codec.decode(codec.encode(made)), made)


def test_numbers_of_a_text_are_written_as_they_were(tmp_path):
    text = "a,b\n" + "".join(f"{a},{'' if a > 40 else b}\n" for a, b in zip(MANY, MANY[::-1]))
    (tmp_path / "t.csv").write_text(text)
    codec = load(tmp_path / "t.csv").codec
    x = codec.encode(pd.read_csv(tmp_path / "t.csv"))
    assert codec.write_frame(x, tmp_path / "again.csv").read_text() == text
    assert codec.decode(x).dtypes.astype(str).tolist() == ["int64", "Int64"]


LEFT_OUT = {
    "complex128": Z + 1j,
    r"period\[M\]": pd.period_range("2020", periods=N, freq="M"),
    r"interval\[int64, right\]": pd.arrays.IntervalArray.from_breaks(range(N + 1)),
    r"datetime64\[us, UTC\]": pd.date_range("2020", periods=N, tz="UTC"),
    r"date32\[day\]": [datetime.date(2020, 1, 1)] * N,
    "lists of different lengths": [[1] * (i % 3 + 1) for i in range(N)],
    r"struct<k: int64>": [{"k": i} for i in range(N)],
    "values of several types: int, str": [1, "a"] * (N // 2),
    "null": [None] * N,
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_columns_that_cannot_be_learned_are_left_out_by_name_or_refused(why):
    made = pd.DataFrame({"a": pd.Series(LEFT_OUT[why]), "z": Z})
    with pytest.raises(SourceError, match=rf"'a' \({why}\) cannot be one of several event columns; choose other"):
        load(made, event="a,z")
    data = load(made)
    assert data.codec.names == ["z"]
    assert any(note.startswith("left out, neither numbers nor names: a (") for note in data.notes)


@pytest.mark.parametrize(
    "values",
    [Z.astype(np.longdouble), Z.astype(">f8"), pd.arrays.SparseArray(Z), np.array([float(z) for z in Z], object)],
)
def test_numbers_in_rare_types_are_numbers(values):
    np.testing.assert_array_equal(np.sort(np.concatenate([s.x[:, 0] for s in load(
        pd.DataFrame({"a": values, "z": Z})).splits.values()])), np.sort(Z))  # fmt: skip


def test_whole_numbers_beyond_64_bits_are_texts():
    made = pd.DataFrame({"a": [10**20, 10**21] * (N // 2), "z": Z})
    data = load(made)
    assert data.codec.columns[0]["values"] == ["100000000000000000000", "1000000000000000000000"]
    assert "column a has whole numbers beyond 64 bits, which are read as text" in data.notes


def test_decimals_of_polars_and_views_of_arrow_are_read():
    cents = [decimal.Decimal(int(v)) / 100 for v in MANY]
    made = polars.DataFrame(
        {"a": cents, "b": polars.Series(np.where(SMALL > 1, "x", "y"), dtype=polars.Enum(["y", "x"]))}
    )
    codec = load(made).codec
    assert codec.decode(codec.encode(made.to_pandas())).dtypes["b"].categories.tolist() == ["y", "x"]
    views = pa.table({"a": pa.array(np.where(SMALL > 1, "x", "y").tolist(), pa.string_view()), "z": Z})
    assert load(views).codec.columns[0]["values"] == ["x", "y"]


def test_names_of_several_levels_twice_or_of_the_index_are_reported():
    two = pd.DataFrame(np.c_[Z, Z], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    with pytest.raises(SourceError, match="names of 2 levels; join them"):
        load(two)
    with pytest.raises(SourceError, match="two columns of data are called '1'"):
        load(pd.DataFrame(np.c_[Z, Z], columns=[1, "1"]))
    assert "index a was left out; frame.reset_index() makes it a column" in load(
        pd.DataFrame({"a": MANY, "z": Z}).set_index("a")
    ).notes  # fmt: skip
    assert load(pd.Series(Z, name="q")).codec.names == ["q"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "memory"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1] * (i % 3 + 1) for i in range(N)]),
        pa.array([None] + [[1, 2]] * (N - 1)),
        pa.array([["a"]] * N),
        pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())),
        pa.array([[1, 2]] * N, pa.list_view(pa.int64())),
        pa.array([datetime.time(1)] * N),
    ],
)
def test_columns_of_files_that_cannot_be_learned_are_left_out_by_name(suffix, values, tmp_path):
    made = pa.table({"a": values, "z": Z})
    if suffix == "parquet":
        pq.write_table(made, tmp_path / "t.parquet")
    if suffix == "arrow":
        feather.write_feather(made, tmp_path / "t.arrow", compression="uncompressed")
    data = load(made if suffix == "memory" else tmp_path / f"t.{suffix}")
    assert data.codec.names == ["z"]
    assert any(note.startswith("left out, neither numbers nor names: a (") for note in data.notes)


def test_numbers_of_more_digits_than_float64_keeps_are_left_out_unless_they_are_asked_for():
    made = pd.DataFrame({"id": 2**53 + np.arange(N), "z": Z})
    data = load(made)
    assert data.codec.names == ["z"]
    assert any(note.startswith("left out, with more digits than float64 keeps: id") for note in data.notes)
    with pytest.raises(SourceError, match="'id' is 9007199254740992 at row 1"):
        load(made, event="id,z")


# Arrays


def test_masked_entries_are_missing_or_refused():
    masked = np.ma.masked_greater(MANY, 40)
    data = load({"a": masked, "z": Z})
    assert data.space.columns[0].missing
    found = np.concatenate([split.x[:, 0] for split in data.splits.values()])
    assert np.isnan(found).sum() == masked.mask.sum()
    assert np.nanmax(found) <= 40
    with pytest.raises(
        SourceError, match=rf"'x' has {(Z > 1).sum()} masked entries, the first at .* none can be missing; fill"
    ):
        load(np.ma.masked_greater(np.c_[Z, -abs(Z)], 1))
    assert load(np.ma.array(np.c_[Z, Z])).space.shape == (2,)
    structured = np.ma.array(list(zip(Z, MANY)), dtype=[("a", "f4"), ("b", "u1")], mask=[(False, m > 40) for m in MANY])
    assert [c.missing for c in load(structured).space.columns] == [False, True]


def test_sparse_matrices_and_tensors_of_any_layout_are_filled_in():
    full = np.where(Z > 0, 0, Z)[:, None] * np.ones(3)
    for given in (scipy.sparse.csr_matrix(full), scipy.sparse.coo_array(full), torch.from_numpy(full).to_sparse()):
        data = load(given)
        np.testing.assert_array_equal(np.sort(data.train.x[:, 0]), np.sort(load(full).train.x[:, 0]))
    with pytest.raises(SourceError, match=r"sparse matrix of 7\.5 GiB if it is filled in"):
        load(scipy.sparse.csr_matrix((10**6, 1_000)))


def test_types_that_numpy_has_not_are_read_and_reported():
    halves = torch.randn(N, 3).bfloat16()
    data = load(halves)
    assert "x holds bfloat16, which is read as float32" in data.notes
    assert data.train.x.dtype == np.float32
    assert load(torch.randn(N, 3).half()).codec.decode(np.zeros((1, 3))).dtype == np.float16
    assert load(torch.randn(N, 3, requires_grad=True)).space.shape == (3,)
    truths = load(torch.rand(N, 3) > 0.5)
    assert truths.codec.decode(truths.train.x).dtype == np.bool_
    with pytest.raises(SourceError, match="'x' is an array of complex64 with 2 dimensions"):
        load(torch.randn(N, 2, dtype=torch.complex64))
    with pytest.raises(SourceError, match=r"row 2 of data holds 4611686018427387904, beyond 16,777,216 levels; give"):
        load(np.array([[1], [2**62]] * N).repeat(2, 1))


def test_lists_are_columns_of_one_type():
    data = load({"a": [1, None, 2] * (N // 3), "z": Z})
    assert data.space.columns[0].missing
    for values, why in (
        ([1, "b"] * (N // 2), "values of several types: int, str"),
        ([[1], [1, 2]] * (N // 2), "'a' is"),
    ):
        with pytest.raises(SourceError, match=why):
            load({"a": values, "z": Z})
    assert load({"a": [b"x", b"y"] * (N // 2), "z": Z}).codec.columns[0]["values"] == ["x", "y"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_files_of_categories_are_written_with_their_order(suffix, tmp_path):
    made = pa.table({"a": pa.array(HIGH), "z": Z})
    pq.write_table(made, tmp_path / "t.parquet")
    feather.write_feather(made, tmp_path / "t.arrow", compression="uncompressed")
    codec = load(tmp_path / f"t.{suffix}").codec
    kind = pq.read_schema(codec.write_frame(codec.encode({"a": pa.array(HIGH), "z": Z}), tmp_path / "u.parquet"))
    assert kind.field("a").type == pa.dictionary(pa.int8(), pa.string(), ordered=True)


@pytest.mark.parametrize("kind", ["table", "rows"])
def test_codecs_of_older_runs_know_no_types_and_decode_all_the_same(kind):
    made = pd.DataFrame({"a": SMALL, "b": SMALL > 1} | ({"z": Z} if kind == "rows" else {}))
    codec = load(made).codec
    described = codec.to_json()
    assert described["kind"] == kind
    for name in ("types", "dtypes"):
        described.pop(name, None)
    old = Codec.from_json(described)
    assert old == codec
    x = codec.encode(made)
    pd.testing.assert_frame_equal(old.decode(x), codec.decode(x))
    assert old.arrow(old.decode(x)).num_rows == N
