"""Tables become events and come back."""

import numpy as np
import pandas as pd
import pytest

import ptheta
import ptheta.data.splits
from ptheta.data import Codec, load
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError, SpaceError, UsageError
from ptheta.fitting import load_for
from ptheta.models.counting.tables import MarkovChain
from ptheta.runs import Run
from ptheta.spaces import Column, Discrete, Document, Real, Table


@pytest.fixture
def cats():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "colour": rng.choice(["red", "green", "blue"], 100),
            "doors": rng.choice([-2, 5, 3], 100),
            "sold": rng.random(100) < 0.5,
        }
    )


@pytest.fixture
def reals():
    return pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])


def rows(data):
    return pd.concat([data.codec.decode(s.x) for s in data.splits.values()])


def same_rows(a, b):
    return sorted(map(tuple, a.to_numpy().tolist())) == sorted(map(tuple, b.to_numpy().tolist()))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "json", "csv.gz"])
def test_categories_return_from_every_format(cats, suffix, tmp_path):
    path = tmp_path / f"cats.{suffix}"
    {
        "csv": lambda: cats.to_csv(path, index=False),
        "csv.gz": lambda: cats.to_csv(path, index=False),
        "tsv": lambda: cats.to_csv(path, index=False, sep="\t"),
        "parquet": lambda: cats.to_parquet(path),
        "jsonl": lambda: cats.to_json(path, orient="records", lines=True),
        "json": lambda: cats.to_json(path, orient="records"),
    }[suffix]()
    data = load(path)
    assert data.space == Discrete((3,), 3, (3, 3, 2))
    assert data.codec.values == [["blue", "green", "red"], [-2, 3, 5], [False, True]]
    assert data.train.x.dtype == np.uint8
    assert same_rows(rows(data), cats)
    assert [len(s) for s in data.splits.values()] == [80, 10, 10]
    frame = data.codec.decode(data.test.x)
    assert [str(frame.dtypes[c]) for c in ("doors", "sold")] == ["int64", "bool"]
    np.testing.assert_array_equal(data.codec.encode(frame), data.test.x)


def test_numbers_are_real_and_keep_their_precision(reals, tmp_path):
    reals.to_parquet(tmp_path / "r.parquet")
    data = load(tmp_path / "r.parquet")
    assert data.space == Real((3,))
    assert data.train.x.dtype == np.float64
    assert same_rows(rows(data), reals)
    assert load(reals.astype(np.float32)).train.x.dtype == np.float32


def test_whole_numbers_of_many_values_lie_on_a_grid():
    frame = pd.DataFrame({"a": range(5000), "b": [0, 1] * 2500})
    columns = (Column("a", per=1, low=0.0), Column("b", levels=2))
    assert load(frame).space == Table(columns)
    assert load(frame, columns="real").space == Real((2,))


def test_a_context_column_leaves_the_event(cats):
    data = load(cats, context="colour")
    assert data.codec.columns == ["doors", "sold"]
    assert data.context_space.names == ("blue", "green", "red")
    names = np.array(data.context_space.names)
    joined = pd.concat([data.codec.decode(s.x).assign(colour=names[s.context]) for s in data.splits.values()])
    assert same_rows(joined[["colour", "doors", "sold"]], cats)


def test_samples_are_one_csv_that_loads_again(cats, tmp_path):
    data = load(cats, event="colour,doors")
    (path,) = data.codec.write(data.test.x, tmp_path)
    np.testing.assert_array_equal(events_of_file(data.codec, path), data.test.x)
    assert [p.name for p in tmp_path.iterdir()] == ["sample.csv"]


def test_a_run_meets_a_table_in_another_order(cats, tmp_path):
    data = load(cats)
    codec = Codec.from_json(data.codec.to_json())
    again = load(cats[["sold", "colour", "doors"]], codec=codec)
    np.testing.assert_array_equal(codec.decode(again.splits["all"].x), cats)
    with pytest.raises(SourceError, match="'colour' is 'pink' at row 3 of"):
        load(cats.assign(colour=["red", "red", "pink"] + ["red"] * 97), codec=codec)
    with pytest.raises(SourceError, match="'doors' is 7 at row 1 of"):
        load(cats.assign(doors=7), codec=codec)
    with pytest.raises(SourceError, match="no column 'sold'"):
        load(cats[["colour", "doors"]], codec=codec)
    with pytest.raises(SourceError, match="not a known label"):
        load(cats.assign(colour="pink"), context="colour", context_codec=load(cats, context="colour").context_codec)


def bad(text, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a,b\n1.5,2\nx,3\n2.5,1\n3,1\n",
            r"'a' holds numbers, but 'x' at row 2 of bad.csv; correct .* columns=.mixed.",
        ),
        ("a,b\n1.5,\n1.0,\n" + "1,\n" * 9, "'b' has no value in any row; leave it out with except_columns=b$"),
        ("a,b,c\n,1.5,\n" + ",1,\n" * 9, "columns a, c have no value in any row; leave .* with except_columns=a,c$"),
        ("a,b\n1.5,2.5\n1.0,inf\n" + "1,1\n" * 9, "'b' is inf at row 2 of bad.csv"),
        ("a,b\n1,2\n1,2,3\n", r"bad\.csv"),
        ("a,b\n", "no rows"),
        ("", "is empty"),
    ],
)
def test_bad_tables_are_named_with_column_and_row(text, says, tmp_path):
    with pytest.raises(SourceError, match=says) as caught:
        load(bad(text, tmp_path))
    assert "\n" not in str(caught.value)


def test_bad_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(SourceError, match=r"line 2 of bad\.jsonl"):
        load(path)
    path.write_text('{"a": 1}\n{"a": 2, "b": 3, "a": 4}\n')
    with pytest.raises(SourceError, match=r"line 2 of bad\.jsonl is not valid JSON: an object has the key 'a' twice"):
        load(path)


def test_unknown_columns_are_answered_with_the_nearest(cats):
    with pytest.raises(SourceError, match="did you mean colour"):
        load(cats, event="color")
    with pytest.raises(SourceError, match="both event and context"):
        load(cats, event="colour", context="colour")


def test_too_many_categories_are_refused_with_the_rest_to_choose():
    frame = pd.DataFrame({"name": [f"n{i}" for i in range(5000)], "kind": ["a", "b"] * 2500})
    with pytest.raises(SourceError, match=r"'name' has more than 4,096.*event=kind"):
        load(frame, event="name,kind", columns="categories")
    assert load(frame, event="name,kind").space == Table((Column("name", levels=5000), Column("kind", levels=2)))
    with pytest.raises(SourceError, match="'name' has more than 1,000"):
        load(frame, context="name:label")
    assert isinstance(load(frame, context="name").context_space, Document)


def test_repeated_real_values_are_remarked():
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=99), "b": [0.5] * 99})
    assert any("column b: most values repeat" in note for note in load(frame, columns="real").notes)
    assert not any("repeat" in note for note in load(frame[["a"]]).notes)
    assert load(frame).space == Table((Column("a"), Column("b", levels=1)))


def test_large_tables_live_in_a_file_that_nobody_sees(cats, tmp_path, monkeypatch):
    monkeypatch.setattr(ptheta.data.splits, "IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = load(cats)
    assert isinstance(data.train.x, np.memmap)
    assert not list(tmp_path.iterdir())
    assert same_rows(rows(data), cats)


def test_chunks_make_no_difference(cats, monkeypatch, tmp_path):
    cats.to_parquet(tmp_path / "t.parquet", row_group_size=13)
    whole = load(cats, context="colour")
    monkeypatch.setattr("ptheta.data.sources.tables.CHUNK", 7)
    cut = load(tmp_path / "t.parquet", context="colour")
    assert whole.fingerprint == cut.fingerprint


def test_options_of_other_kinds_are_refused(cats):
    for options in ({"size": "2x2"}, {"levels": 4}, {"length": 5}):
        with pytest.raises(UsageError, match="are no"):
            load(cats[["doors"]], **options)


def test_parquet_files_of_different_columns_are_refused(cats, reals, tmp_path):
    cats.to_parquet(tmp_path / "train-0.parquet")
    reals.to_parquet(tmp_path / "train-1.parquet")
    with pytest.raises(SourceError, match=r"train-1\.parquet has other columns"):
        load(tmp_path)


def test_a_column_that_test_lacks_is_no_event(cats):
    data = load({"train": cats, "test": cats[["doors", "sold"]]})
    assert data.codec.columns == ["doors", "sold"]
    with pytest.raises(SourceError, match="test has no column 'colour'"):
        load({"train": cats, "test": cats[["doors", "sold"]]}, context="colour")


def test_a_column_of_two_kinds_is_refused(cats):
    with pytest.raises(SourceError, match="'doors' is int in train but string in test"):
        load({"train": cats, "test": cats.astype({"doors": str})})


@pytest.mark.parametrize(
    "beside", [{}, {"words": ["a", "b", "c"] * 40}, {"real": np.random.default_rng(1).normal(size=120)}]
)
@pytest.mark.parametrize(
    ("values", "column"),
    [
        (np.arange(120) % 37, Column("k", per=1, low=0.0)),
        (np.arange(120) % 3 - 1, Column("k", levels=3)),
        (np.array(["x", "y"] * 60), Column("k", levels=2)),
        (np.arange(120) % 2 == 0, Column("k", levels=2)),
        (np.random.default_rng(0).normal(size=120), Column("k")),
    ],
)
def test_what_a_column_is_does_not_depend_on_its_neighbours(values, column, beside):
    space = load({"k": values} | beside, columns="auto").space
    if isinstance(space, Table):
        assert space.columns[0] == column
    elif isinstance(space, Discrete):
        assert (space.sizes or (space.levels,))[0] == column.levels
    else:
        assert column == Column("k")


def test_whole_numbers_that_training_never_saw_are_scored():
    made = pd.DataFrame({"visits": np.arange(60) % 31, "age": np.arange(60) % 41 + 20})
    codec = load(made).codec
    np.testing.assert_array_equal(codec.encode(made[:1].assign(visits=162, age=97)), [[162, 97]])
    assert load(made, columns="categories").space == Discrete((2,), 41, (31, 41))


def test_few_fractions_are_levels():
    made = pd.DataFrame({"dose": [0.25, 0.5, 0.25] * 40, "arm": ["a", "b", "b"] * 40})
    data = load(made)
    assert data.space == Discrete((2,), 2)
    np.testing.assert_array_equal(data.codec.decode(data.codec.encode(made)), made)
    np.testing.assert_array_equal(data.codec.encode(made.astype({"dose": "float32"})), data.codec.encode(made))


def test_a_family_takes_the_columns_of_a_table_as_it_can(cats):
    numbers = pd.DataFrame({"a": np.arange(120) % 40, "b": np.arange(120) % 31})
    cells = load_for("table", cats)
    assert cells.space == Table((Column("colour", levels=3), Column("doors", levels=3), Column("sold", levels=2)))
    levels = load_for("markov_chain", numbers)
    assert levels.space == Discrete((2,), 40, (40, 31))
    assert levels.remarks == ["markov_chain models levels, so all columns were taken as --columns categories"]
    assert isinstance(load_for("table", numbers).space, Table)
    assert load_for("independent", cats).remarks == []
    with pytest.raises(SpaceError, match=r"Table.*on a grid.*columns=.real."):
        load_for("flow", numbers)
    with pytest.raises(
        SpaceError,
        match=r"'r' holds real numbers; it models discrete values: of a table take columns=.categories.",
    ):
        load_for("independent", numbers.assign(r=np.random.default_rng(0).normal(size=120)))
    with pytest.raises(SpaceError, match=r"Markov.*columns=.categories."):
        MarkovChain(load(numbers).space)


@pytest.mark.parametrize("columns", ["categories", "real", "mixed"])
def test_a_run_reads_its_data_as_its_codec_does_whatever_would_be_inferred_today(columns, tmp_path):
    made = pd.DataFrame({"a": np.arange(120) % 40, "b": np.arange(120) % 31, "id": [f"n{i}" for i in range(120)]})
    made.to_csv(tmp_path / "t.csv", index=False)
    event = ["a", "b"] if columns == "real" else ["a", "b", "id"]
    data = load(tmp_path / "t.csv", event=event, columns=columns)
    model = {"categories": "independent", "real": "made", "mixed": "table"}[columns]
    run = ptheta.fit(model, data, steps=None if columns == "categories" else 1, out=tmp_path / "run", verbose=False)
    run = Run.load(run.path)
    run.config["data"]["request"] |= {"event": None, "columns": "auto"}  # as older runs have it
    assert run.own_data.codec == data.codec
    assert run.data.fingerprint == data.fingerprint
