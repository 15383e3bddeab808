"""A value is the same value whatever file or type it comes in: one run gives every row one score."""

import dataclasses
import json

import datasets
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import ptheta
from ptheta.data import Codec, load
from ptheta.data.codecs import ArrayCodec, LabelCodec, NumberCodec, RowCodec, TableCodec
from ptheta.data.reading import events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.evaluation.nats import log_probs
from ptheta.values import shortest

N = 600


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(seed=0):
    """Numbers in float32: spikes, categories, a grid, reals; and words that look like numbers, truth values, holes."""
    g = rng(seed)
    return pd.DataFrame(
        {
            "spike": np.where(g.random(N) < 0.5, np.float32(0.1), g.normal(size=N).astype(np.float32)),
            "few": g.choice(np.float32([0.1, 0.2, 0.3]), N),
            "grid": np.round(g.gamma(3, 4, N), 1).astype(np.float32),
            "real": g.normal(size=N).astype(np.float32),
            "code": g.choice(["007", "7", "12"], N),
            "flag": g.random(N) < 0.3,
            "count": g.integers(0, 5, N),
            "gap": pd.array(g.integers(0, 5, N), "Int64"),
        }
    ).assign(gap=lambda made: made["gap"].mask(g.random(N) < 0.2))


def as_float64(frame):
    """A frame whose float32 columns are cast, which keeps the noise of their last digits."""
    return frame.astype({name: "float64" for name in frame if frame[name].dtype == np.float32})


def parquet(frame, folder):
    frame.to_parquet(folder / f"{frame['real'].dtype}.parquet")
    return folder / f"{frame['real'].dtype}.parquet"


def csv(frame, folder):
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def jsonl(frame, folder):
    made = frame.astype(dict.fromkeys(frame, object))
    lines = [{k: None if v is pd.NA else v for k, v in row.items()} for row in made.to_dict("records")]
    (folder / "t.jsonl").write_text("".join(json.dumps(row, default=str_or_item) + "\n" for row in lines))
    return folder / "t.jsonl"


def str_or_item(value):
    """A number of numpy as JSON writes it, float32 cast as a serialiser does."""
    return value.item()


def arrays(frame):
    made = {name: frame[name].to_numpy() for name in frame if name != "gap"}
    return made | {"gap": frame["gap"].to_numpy(np.float64, na_value=np.nan), "code": frame["code"].to_numpy(str)}


def structured(frame):
    made = arrays(frame)
    table = np.empty(len(frame), [(name, array.dtype) for name, array in made.items()])
    for name, array in made.items():
        table[name] = array
    return table


FORMS = {
    "Parquet, float32": parquet,
    "Parquet, float64": lambda frame, folder: parquet(as_float64(frame), folder),
    "CSV": csv,
    "CSV of float64": lambda frame, folder: csv(as_float64(frame), folder),
    "JSONL": jsonl,
    "pandas": lambda frame, folder: frame,
    "pandas, float64": lambda frame, folder: as_float64(frame),
    "NumPy": lambda frame, folder: arrays(frame),
    "NumPy, structured": lambda frame, folder: structured(frame),
    "polars": lambda frame, folder: polars.from_pandas(frame),
    "polars, float64": lambda frame, folder: polars.from_pandas(as_float64(frame)),
    "Arrow": lambda frame, folder: pa.table(frame),
    "datasets": lambda frame, folder: datasets.Dataset.from_pandas(frame),
}
"""Form → how rows are given in it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of a table in Parquet, float32."""
    folder = tmp_path_factory.mktemp("formats")
    return ptheta.fit("table", parquet(rows(), folder), steps=4, out=folder / "run", verbose=False)


def scores(run, source):
    split = run.read(source).splits["all"]
    return split.x, log_probs(run.model, split).numpy()


def test_every_column_is_what_it_was_made_to_be(run):
    assert isinstance(run.codec, RowCodec)
    columns = {column["name"]: column for column in run.codec.columns}
    assert columns["spike"]["atoms"] == [0.1]
    assert columns["few"]["values"] == [0.1, 0.2, 0.3]
    assert (columns["grid"]["per"], columns["real"]["per"], columns["real"]["atoms"]) == (10, 0, [])
    assert columns["code"]["values"] == ["007", "12", "7"]
    assert run.codec.resolutions == ["single"] * 4 + ["double"] * 4


@pytest.mark.parametrize("form", FORMS)
def test_one_run_gives_every_row_one_score(run, form, tmp_path):
    frame = rows(1)
    x, expected = scores(run, frame)
    found, score = scores(run, FORMS[form](frame, tmp_path))
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(score, expected)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_learned_is_the_same_whatever_it_is_learned_from(form, tmp_path):
    made, data = load(FORMS[form](rows(), tmp_path)), load(rows())
    words = form.startswith("CSV")  # a CSV file does not say that 007 is a word
    for split in data.splits:
        kept = [j for j, name in enumerate(made.codec.names) if not (words and name == "code")]
        kept_too = [data.codec.names.index(made.codec.names[j]) for j in kept]
        np.testing.assert_array_equal(made.splits[split].x[:, kept], data.splits[split].x[:, kept_too])


@pytest.mark.parametrize("fitted", ["float32", "float64", "csv"])
def test_samples_score_the_same_in_every_format_they_are_written_in(fitted, tmp_path):
    frame = rows().drop(columns="code")
    source = csv(frame, tmp_path) if fitted == "csv" else frame.astype({"spike": fitted, "few": fitted, "real": fitted})
    run = ptheta.fit("table", load(source), steps=4, out=tmp_path / "run", verbose=False)
    drawn = run.model.sample(300, seed=0)
    files = [run.codec.write_frame(drawn, tmp_path / f"made.{suffix}") for suffix in ("csv", "parquet")]
    lines = tmp_path / "made.jsonl"
    lines.write_text(pd.read_csv(files[0]).to_json(orient="records", lines=True, double_precision=15))
    (x, csv_), (y, parquet_), (z, jsonl_) = (scores(run, file) for file in [*files, lines])
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(x, z)
    np.testing.assert_array_equal(csv_, parquet_)
    np.testing.assert_array_equal(csv_, jsonl_)
    np.testing.assert_allclose(csv_, log_probs(run.model, ptheta.data.Split(drawn.numpy())).numpy(), atol=1e-4)


def test_float32_takes_only_the_digits_that_it_has_not(tmp_path):
    g = rng()
    frame = pd.DataFrame({"third": np.where(g.random(N) < 0.5, 1 / 3, g.normal(size=N)), "z": g.normal(size=N)})
    run = ptheta.fit("table", load(frame), steps=4, out=tmp_path / "run", verbose=False)
    assert run.codec.resolutions == ["double", "double"]
    _, expected = scores(run, frame)
    for narrow in (frame.astype("float32"), frame.astype("float32").astype("float64")):
        _, score = scores(run, narrow)
        np.testing.assert_allclose(score, expected, atol=1e-4)
        frame.astype("float32").to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_allclose(scores(run, tmp_path / "t.csv")[1], expected, atol=1e-4)
    np.testing.assert_array_equal(scores(run, frame.astype("float16"))[0][:, 0] == 1 / 3, frame["third"] == 1 / 3)


def test_tensors_of_float32_are_events_too(run):
    x = torch.from_numpy(run.codec.encode(rows()))
    torch.testing.assert_close(run.model.log_prob(x.float()), run.model.log_prob(x))


def test_ordinary_rows_are_ordinary_whatever_their_type(run):
    detector = ptheta.anomalies.Detector(run)
    detector.calibrate(run.data.test)
    p = [detector.score(run.read(frame).splits["all"]).p_value for frame in (rows(1), as_float64(rows(1)))]
    np.testing.assert_array_equal(*p)
    assert np.median(p[1]) > 0.2


def test_numbers_in_words_and_decimals_are_numbers(run):
    frame = rows(1)
    x = run.codec.encode(frame)
    words = frame.assign(real=[str(v) for v in frame["real"]], grid=[f"{v:.2f}" for v in frame["grid"]])
    np.testing.assert_array_equal(run.codec.encode(words), x)
    table = pa.table(frame).set_column(2, "grid", pa.array(words["grid"]).cast(pa.decimal128(8, 2)))
    np.testing.assert_array_equal(run.codec.encode({n: table[n] for n in table.column_names}), x)
    with pytest.raises(SourceError, match="'real' holds text, not numbers, such as 'x' at row 3"):
        run.codec.encode(words.assign(real=["1", "2", "x"] + ["0"] * (N - 3)))


def test_values_are_still_refused_where_there_is_no_such_value(run):
    for name, value, said in [
        ("few", 0.15, "'few' is 0.15 at row 1, a value unknown to the run"),
        ("code", "0012", "'code' is '0012' at row 1, a value unknown to the run"),
        ("grid", 1.23, "'grid' is 1.23 at row 1, but it is a multiple of 1/10"),
        ("flag", 2, "'flag' is 2 at row 1, a value unknown to the run"),
    ]:
        with pytest.raises(SourceError, match=said):
            run.codec.encode(rows()[:1].assign(**{name: value}))


def test_cells_by_hand_are_the_values_of_their_column(run):
    row, _ = run.codec.cells(
        {"spike": "0.10000000149011612", "few": "0.200000003", "flag": "true", "count": "3.0", "code": "7"}
    )
    assert (row[0], row[1], row[5], row[6]) == (0.1, 1, 1, 3)
    assert run.codec.columns[4]["values"][int(row[4])] == "7"
    with pytest.raises(UsageError, match="code has no value '07'"):
        run.codec.cells({"code": "07"})


def test_a_price_beyond_float32_keeps_its_cents():
    g = rng()
    frame = pd.DataFrame({"price": np.round(g.gamma(3, 40, N), 2).repeat(2), "z": g.normal(size=2 * N)})
    codec = load(frame).codec
    assert codec.space.columns[0].per == 100
    prices = [1_234_567.88, 1_234_567.89, 20_000_000.01]
    x = codec.encode(pd.DataFrame({"price": prices, "z": 0.5}))
    assert x[:, 0].tolist() == prices
    assert codec.decode(x)["price"].tolist() == prices


def test_whole_numbers_with_holes_are_whole_numbers():
    frame = pd.DataFrame({"id": rng().integers(0, 5_000, N), "z": rng().normal(size=N)})
    codec = load(frame.astype({"id": "float64"}).mask(rng().random((N, 2)) < 0.1)).codec
    ids = [123_456_789, 123_456_790, 2**40 + 1]
    assert codec.encode(pd.DataFrame({"id": np.float64(ids), "z": 0.0}))[:, 0].tolist() == ids
    assert codec.encode(pd.DataFrame({"id": ids, "z": 0.0}))[:, 0].tolist() == ids


# Classes


CLASSES = ["z", "a", "m"]


def labelled(names, codes):
    features = datasets.Features({"k": datasets.ClassLabel(names=names), "v": datasets.Value("float32")})
    values = np.arange(len(codes), dtype=np.float32) / 7
    return datasets.Dataset.from_dict({"k": codes, "v": values}, features=features)


@pytest.mark.parametrize("options", [{}, {"event": "k"}, {"event": "v", "context": "k"}])
def test_classes_come_as_names_and_as_numbers(options, tmp_path):
    codes = rng().integers(0, 3, 90).tolist()
    known = load(labelled(CLASSES, codes), **options)
    numbers = pd.DataFrame({"k": codes, "v": np.arange(90, dtype=np.float32) / 7})
    names = numbers.assign(k=[CLASSES[code] for code in codes])
    again = {"codec": known.codec, "context_codec": known.context_codec, **options}
    for frame in (names, numbers, names.astype({"k": "category"})):
        for source in (frame, csv_of(frame, tmp_path)):
            assert_same_events(load(source, **again), load(labelled(CLASSES, codes), **again))
    plain = load(numbers, **options)
    again = {"codec": plain.codec, "context_codec": plain.context_codec, **options}
    assert_same_events(load(labelled(CLASSES, codes), **again), load(numbers, **again))


def csv_of(frame, folder):
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def assert_same_events(data, other):
    for array, expected in zip(data.splits["all"].arrays, other.splits["all"].arrays):
        assert (array is None) == (expected is None)
        if array is not None:
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("values", "others"),
    [
        ([3, 5, 8], [3.0, 5.0, 8.0]),
        ([3, 5, 8], ["3", "5", "8"]),
        (["3", "5", "8"], [3, 5, 8]),
        (["007", "7", "08"], ["007", "7", "08"]),
        ([True, False, True], ["true", "false", "true"]),
        (["True", "False", "True"], [True, False, True]),
    ],
)
@pytest.mark.parametrize("file", [False, True])
def test_labels_and_categories_are_the_same_in_other_types(values, others, file, tmp_path):
    g = rng()
    made = pd.DataFrame({"k": [values[i] for i in g.integers(0, 3, 120)], "n": g.integers(0, 9, 120)})
    other = made.assign(k=made["k"].map(dict(zip(values, others))))
    source = csv_of(other, tmp_path) if file else other
    for options in ({"columns": "categories"}, {"columns": "mixed"}, {"event": "n", "context": "k:label"}):
        known = load(made, **options)
        asked = {"codec": known.codec, "context_codec": known.context_codec}
        asked |= {key: value for key, value in options.items() if key != "columns"}
        assert_same_events(load(source, **asked), load(made, **asked))


def test_labels_by_hand_are_found_as_others_print_them():
    codec = load(pd.DataFrame({"k": [3, 5, 8] * 30, "n": range(90)}), event="n", context="k:label").context_codec
    assert codec.parse("5.0").tolist() == codec.parse("5").tolist() == [1]
    with pytest.raises(UsageError, match=r"no k is called '5\.5'"):
        codec.parse("5.5")


def test_numbers_as_contexts_are_the_same_in_other_types(tmp_path):
    frame = pd.DataFrame({"n": rng().integers(0, 9, 90), "y": np.round(rng().normal(size=90), 2).astype(np.float32)})
    known = load(frame, event="n", context="y")
    asked = {"codec": known.codec, "context_codec": known.context_codec, "event": "n", "context": "y"}
    for source in (frame.astype({"y": str}), csv_of(frame, tmp_path), polars.from_pandas(frame)):
        assert_same_events(load(source, **asked), load(frame, **asked))
    wide = load(frame.astype({"y": "float64"}), **asked).splits["all"].context
    np.testing.assert_array_equal(wide, load(frame, **asked).splits["all"].context)


# Vectors and arrays


@pytest.mark.parametrize("columns", ["real", "auto"])
@pytest.mark.parametrize("fitted", ["float32", "float64"])
def test_vectors_of_real_numbers_are_the_same_in_other_types(columns, fitted, tmp_path):
    frame = pd.DataFrame(rng().normal(size=(N, 2)).astype(np.float32), columns=["a", "b"])
    codec = load(frame.astype(fitted), columns=columns).codec
    assert isinstance(codec, TableCodec)
    x = codec.encode(frame)
    for other in (frame.astype("float64"), pd.read_csv(csv_of(frame, tmp_path))):
        np.testing.assert_array_equal(codec.encode(other), x)
    np.testing.assert_array_equal(events_of_file(codec, codec.write_frame(x, tmp_path / "made.csv")), x)
    np.testing.assert_array_equal(events_of_file(codec, codec.write_frame(x, tmp_path / "made.parquet")), x)


@pytest.mark.parametrize("fitted", ["float32", "float64"])
def test_arrays_of_real_numbers_are_the_same_in_other_types(fitted, tmp_path):
    single = rng().normal(size=(N, 3)).astype(np.float32)
    codec = load(single.astype(fitted)).codec
    assert isinstance(codec, ArrayCodec)
    for array in (single, single.astype(np.float64), shortest(single)):
        np.save(tmp_path / "x.npy", array)
        np.testing.assert_array_equal(events_of_file(codec, tmp_path / "x.npy"), codec.encode(single))


def test_levels_in_an_array_of_floats_are_levels():
    codec = load(rng().integers(0, 4, (90, 3))).codec
    levels = rng(1).integers(0, 4, (9, 3))
    np.testing.assert_array_equal(codec.encode(levels.astype(np.float32)), levels)
    with pytest.raises(SourceError, match="these events are whole numbers"):
        codec.encode(levels + 0.5)


# Codecs of older runs


def test_a_codec_from_before_there_were_resolutions_is_read_and_finds_its_atoms():
    codec = load(rows()).codec
    old = codec.to_json()
    del old["resolutions"], old["numbered"]
    wide = float(np.float32(0.1))
    old["columns"][0]["atoms"] = [wide]
    old["columns"][1]["values"] = [float(np.float32(v)) for v in (0.1, 0.2, 0.3)]
    again = Codec.from_json(json.loads(json.dumps(old)))
    for frame in (rows(1), as_float64(rows(1)), rows(1).astype({"spike": str}).astype({"spike": float})):
        x = again.encode(frame)
        np.testing.assert_array_equal(x[:, 0] == wide, frame["spike"].astype(np.float32) == np.float32(0.1))
        np.testing.assert_array_equal(x[:, 1], codec.encode(frame)[:, 1])


def test_a_codec_lacks_only_fields_that_have_a_default():
    codecs = [
        TableCodec(["a"], None, "float64"),
        ArrayCodec([2], None, "float64"),
        LabelCodec(["x", "y"], "k"),
        NumberCodec("k"),
        load(rows()).codec,
    ]
    for codec in codecs:
        described = codec.to_json()
        for field in dataclasses.fields(codec):
            rest = {key: value for key, value in described.items() if key != field.name}
            if field.default is field.default_factory is dataclasses.MISSING:
                with pytest.raises(RunError, match=rf"lacks \['{field.name}'\]"):
                    Codec.from_json(rest)
            elif field.name in ("resolutions", "resolution", "numbered"):
                assert getattr(Codec.from_json(rest), field.name) in (field.default, [])
        with pytest.raises(RunError, match=r"unknown fields \['more'\]"):
            Codec.from_json(described | {"more": 1})


@pytest.mark.parametrize("change", [{"resolutions": ["single"]}, {"resolutions": ["tiny"] * 8}, {"resolutions": 3}])
def test_edited_resolutions_are_refused(change):
    with pytest.raises(RunError, match="the rows codec cannot be read"):
        Codec.from_json(load(rows()).codec.to_json() | change)


def test_chunks_tell_the_same_resolution(monkeypatch, tmp_path):
    pq.write_table(pa.table(as_float64(rows())), tmp_path / "t.parquet", row_group_size=50)
    whole = load(tmp_path / "t.parquet")
    monkeypatch.setattr("ptheta.data.sources.tables.CHUNK", 37)
    assert load(tmp_path / "t.parquet").codec.resolutions == whole.codec.resolutions
