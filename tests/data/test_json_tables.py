"""JSON as tables: whatever pandas writes is read back, and what is no table is refused by what it is."""

import json

import pandas as pd
import pytest

import ptheta
from ptheta.data import load
from ptheta.data.sources.opening import open_source
from ptheta.errors import SourceError
from ptheta.fitting.folders import with_data
from ptheta.remarks import collecting
from ptheta.runs import Run

FRAME = pd.DataFrame({"g": ["b", "a", "b", None], "w": [1.5, None, -2.0, 0.25], "k": [3, 1, 4, 1]})


def read(path):
    """Column → values, and what is reported."""
    with collecting() as remarks:
        (table,) = open_source(path).tables.values()
    names = [name for name, column in table.columns.items() if column.kind != "other"]
    return {name: [v for c in table.chunks(names) for v in c[name].to_pylist()] for name in names}, remarks


@pytest.mark.parametrize("index", [None, [5, 7, 9, 11], list("wxyz"), pd.date_range("2020-01-01", periods=4)])
@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
def test_every_orient_of_pandas_gives_the_same_table(orient, index, tmp_path):
    frame = FRAME if index is None else FRAME.set_index(pd.Index(index))
    frame.to_json(tmp_path / "t.json", orient=orient, date_format="iso")
    cells, remarks = read(tmp_path / "t.json")
    assert list(cells) == ["g", "w", "k"]
    assert cells == {"g": ["b", "a", "b", None], "w": [1.5, None, -2.0, 0.25], "k": [3, 1, 4, 1]}
    reported = any("names of its rows" in said for said in remarks)
    assert reported == (index is not None and orient != "records")


def test_rows_without_names_are_numbered_as_columns(tmp_path):
    FRAME.to_json(tmp_path / "t.json", orient="values")
    cells, remarks = read(tmp_path / "t.json")
    assert cells["1"] == [1.5, None, -2.0, 0.25]
    assert remarks == ["t.json has no names of columns; they are called 0 to 2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1}', "t.json is a single object, not a table; give a list of rows"),
        ("null", "t.json is null, not a table"),
        ("3", "t.json is one number, not a table"),
        ("[1, 2, 3]", "t.json is a list of numbers, not of rows"),
        ("[]", "t.json has no rows"),
        ("{}", "t.json has no rows"),
        ("[{}]", "t.json has no rows"),
        ('{"a": {}}', "t.json has no rows"),
        ("[[1, 2], [3]]", "row 2 of t.json has 1 value, but others 2"),
        ('[{"a": 1}, 2]', "row 2 of t.json is not a JSON object"),
        ('{"a": [1, 2], "b": [3]}', "column 'b' of .*t.json has 1 value, but 'a' 2"),
        ('{"n": 2, "rows": [{"a": 1}, {"a": 2}]}', "t.json holds its rows under 'rows'; save that list alone"),
        ('{"p": {"x": 1, "y": 2}, "q": {"x": 3, "y": 4}}', "may be rows by name .* or columns .*orient='records'"),
        ("[" * 100_000, "t.json is nested too deeply"),
        ('{"a": 1', "t.json is not valid JSON"),
        ('[{"a": 1, "b": {"c": 2, "c": 3}}]', "t.json is not valid JSON: an object has the key 'c' twice; correct it"),
        ('{"a": [1, 2], "a": [3, 4]}', "an object has the key 'a' twice"),
        ('[{"a\\u0000": 1}]', r"a column called 'a\\x00'; rename it"),
        ("[{" + ", ".join(f'"{i}": 1' for i in range(20_000)) + "}]", "has 20,000 columns; at most"),
    ],
)
def test_what_is_no_table_is_one_line(text, says, tmp_path):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(SourceError, match=says) as caught:
        load(tmp_path / "t.json")
    assert "\n" not in str(caught.value)


def test_rows_of_other_keys_dates_and_long_ids(tmp_path):
    rows = [{"a": 1, "day": "2020-01-01"}, {"b": 2.5, "id": 2**70}]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    cells, remarks = read(tmp_path / "t.json")
    assert cells == {"a": [1, None], "day": ["2020-01-01", None], "b": [None, 2.5], "id": [None, str(2**70)]}
    assert any("day: dates and times" in said for said in remarks)
    assert any("id has whole numbers beyond 64 bits" in said for said in remarks)


def test_columns_of_long_files_are_those_of_all_lines(tmp_path, monkeypatch):
    lines = [json.dumps({"a": i % 7}) for i in range(3000)] + [json.dumps({"a": 2.5, "late": "x", "none": None})]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    whole = read(tmp_path / "t.jsonl")
    monkeypatch.setattr("ptheta.data.sources.json_tables.IN_PARTS", 1)
    monkeypatch.setattr("ptheta.data.sources.json_lines.CHUNK_BYTES", 100)
    cells, _ = read(tmp_path / "t.jsonl")
    assert cells == whole[0]
    assert cells["late"] == [None] * 3000 + ["x"]


def test_a_folder_is_read_as_its_files_are(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    FRAME.to_json(tmp_path / "d" / "a.json", orient="columns")
    FRAME[["k", "g"]].to_json(tmp_path / "d" / "b.json", orient="split")
    cells, _ = read(tmp_path / "d")
    assert cells["k"] == [3, 1, 4, 1] * 2
    assert cells["w"][4:] == [None] * 4
    (table,) = open_source(tmp_path / "d").tables.values()
    assert table.place(4) == "row 1 of b.json"


def test_a_run_knows_its_data_whatever_type_of_strings_a_reader_chose(tmp_path):
    rows = [{"g": "xyz"[i % 3], "n": i % 7, "f": i / 8} for i in range(60)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    run = ptheta.fit("table", tmp_path / "t.json", steps=1, out=tmp_path / "run", verbose=False)
    config = json.loads((tmp_path / "run/config.json").read_text())
    first = config["codec"]["columns"][0]
    assert first["type"] in ("string", "large_string", "string_view")
    for kind in ("string", "large_string", "string_view"):
        first["type"] = kind
        old = {name: config["codec"][name] for name in ("kind", "columns", "resolutions", "numbered")}
        again = Run(run.path, run.config | {"codec": old}, run.model)
        assert again.same(str(tmp_path / "t.json")) is not None
        assert with_data(again, str(tmp_path / "t.json")).data.fingerprint == run.data.fingerprint
    config["codec"]["columns"][2]["type"] = "float"  # whose numbers are others
    assert Run(run.path, config, run.model).same(str(tmp_path / "t.json")) is None


def test_codecs_of_one_table_in_other_dialects_mean_the_same(tmp_path):
    frame = pd.DataFrame({"g": list("xyz") * 20, "n": [i % 40 for i in range(60)], "f": [i / 8 for i in range(60)]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    frame.to_json(tmp_path / "c.json", orient="records")
    frame.astype({"n": "Int64"}).to_parquet(tmp_path / "d.parquet")
    first, *others = [load(path).codec for path in sorted(tmp_path.iterdir())]
    assert all(first.means_as(other) and first == other for other in others)
    assert others[0].to_json() != first.to_json()
    other = load(frame.assign(g=list("xyw") * 20)).codec
    assert not first.means_as(other)


def test_a_column_that_cannot_be_an_event_says_why(tmp_path):
    (tmp_path / "mix.json").write_text(json.dumps([{"a": 1}, {"a": "1"}] * 20))
    with pytest.raises(SourceError, match=r"mix has no column that can be an event: 'a' holds .*; choose one with"):
        load(tmp_path / "mix.json")
