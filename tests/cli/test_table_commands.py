"""Tables at the command line: rows of the source's schema, cells given, cells filled in place."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptheta.cli.main import main
from ptheta.data.codecs import RowCodec
from ptheta.data.holes import best_guess
from ptheta.data.reading import events_of_file
from ptheta.data.sources.dialects import Dialect
from ptheta.data.sources.spelled_rows import filled as spelled
from ptheta.data.sources.text_files import Layout
from ptheta.errors import SourceError
from ptheta.runs import Run

SMALL = ("--width", "16", "--layers", "1", "--heads", "2", "--components", "2", "--bins", "4", "--steps", "4")
NAMES = ["a,b", 'say "x"', "k=v", "k=v=w", "Größe", "context", "context_"]
N = 160


def odd():
    """A table whose columns have awkward names, every kind, and gaps."""
    g = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a,b": g.choice(["p,q", 'r"s', "t", "ü"], N),
            'say "x"': pd.array(g.integers(0, 60, N), "Int64"),
            "k=v": g.choice(["=", "a=b", "c"], N),
            "k=v=w": g.integers(0, 40, N) / 10,
            "Größe": g.normal(size=N),
            "context": g.random(N) < 0.5,
            "context_": pd.array(g.integers(0, 3, N), "Int64"),
        }
    ).assign(
        **{'say "x"': lambda t: t['say "x"'].mask(g.random(N) < 0.2), "a,b": lambda t: t["a,b"].mask(g.random(N) < 0.2)}
    )


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """Sources and runs, made by the command line itself."""
    folder = tmp_path_factory.mktemp("tables")
    g = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        odd().to_csv("odd.csv", index=False)
        plain = odd().rename(columns=dict(zip(NAMES, ["word", "age", "sign", "price", "size", "flag", "few"])))
        plain.insert(0, "kind", g.choice(["cat", "x=y"], N))
        plain.to_parquet("plain.parquet")
        typed = pa.table(
            {
                "w": pa.array(g.choice(["a", "b", "c"], N).tolist()).dictionary_encode(),
                "i": pa.array(g.integers(0, 100, N), pa.uint8()),
                "f": pa.array(g.normal(size=N), pa.float32()),
                "k": pa.array(g.integers(0, 2, N), pa.int64()),
            }
        )
        features = datasets.Features(
            {
                "w": datasets.Value("string"),
                "i": datasets.Value("uint8"),
                "f": datasets.Value("float32"),
                "k": datasets.ClassLabel(names=["z", "y"]),
            }
        )
        pq.write_table(typed.replace_schema_metadata(features.arrow_schema.metadata), "typed.parquet")
        headless = np.column_stack([g.integers(0, 40, N), g.integers(0, 3, N)])
        Path("headless.csv").write_text("".join(f"{a},{b}\n" for a, b in headless))
        for source, more in {
            "odd.csv": (),
            "plain.parquet": ("--context", "kind", "--context-dropout", "0"),
            "typed.parquet": (),
            "headless.csv": ("--columns", "mixed"),
        }.items():
            assert main(["fit", source, "table", *SMALL, *more, "--out", Path(source).stem]) == 0
        assert main(["fit", "odd.csv", "table", *SMALL, "--no-any-order", "--out", "fixed"]) == 0
    return folder


@pytest.fixture
def at(tables, tmp_path, monkeypatch, capsys):
    """The command line in a copy of the folder: what is written there is seen by one test only."""
    folder = tmp_path / "at"
    shutil.copytree(tables, folder)
    monkeypatch.chdir(folder)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        return Result(code, *capsys.readouterr())

    return run


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])


def cells(text, separator=","):
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def refused(result, *words):
    """One line on standard error, exit status 2."""
    assert result.code == 2
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    for word in words:
        assert word in lines[0]


# sample


def test_samples_have_the_columns_and_types_of_the_source(at):
    assert at("sample", "odd", "-n", 50, "--seed", 1, "--out", "s.csv").code == 0
    assert at("sample", "odd", "-n", 50, "--seed", 1, "--out", "s.parquet").code == 0
    assert next(iter(cells(Path("s.csv").read_text()))) == NAMES
    codec = Run.load("odd").codec
    assert isinstance(codec, RowCodec)
    drawn = Run.load("odd").model.sample(50, seed=1).numpy()
    np.testing.assert_array_equal(events_of_file(codec, "s.csv"), drawn)
    np.testing.assert_array_equal(events_of_file(codec, "s.parquet"), drawn)
    values = set(odd()["a,b"].dropna())
    assert set(pd.read_csv("s.csv")["a,b"].dropna()) <= values


@pytest.mark.parametrize("source", ["plain", "typed"])
def test_parquet_samples_have_the_schema_of_the_source(at, source):
    given = ("--context", "cat") if source == "plain" else ()
    assert at("sample", source, "-n", 300, *given, "--seed", 2, "--out", "s.parquet").code == 0
    before, after = pq.read_schema(f"{source}.parquet"), pq.read_schema("s.parquet")
    codec = Run.load(source).codec
    assert after.names[-len(codec.names) :] == [name for name in before.names if name != "kind"] == codec.names
    for name in codec.names:
        kind = before.field(name).type
        if name != "k":  # classes are written by their names
            assert str(after.field(name).type).removeprefix("large_") == str(kind).removeprefix("large_")
    if source == "plain":
        assert set(pq.read_table("s.parquet").column("kind").to_pylist()) == {"cat"}


def test_cells_given_are_what_every_sample_has(at):
    given = ["a,b=p,q", 'say "x"=', "k=v=a=b", "k=v=w=0.3", "context=True", "context_=2"]
    result = at("sample", "odd", "-n", 20, "--context", *given, "--seed", 0, "--out", "s.csv", "--json")
    assert result.code == 0
    rows = pd.read_csv("s.csv")
    assert len(rows) == 20
    assert set(rows["a,b"]) == {"p,q"}
    assert rows['say "x"'].isna().all()
    assert set(rows["k=v"]) == {"a=b"}
    assert set(rows["k=v=w"]) == {0.3}
    assert set(rows["context"]) == {True}
    assert set(rows["context_"]) == {2}
    assert rows["Größe"].nunique() == 20
    run = Run.load("odd")
    row, known = run.codec.cells(dict(zip(NAMES, ["p,q", "", "a=b", "0.3", "0", "True", "2"])))
    known[4] = False
    expected = run.model.complete(row[None], known, 20, seed=0)[0]
    np.testing.assert_array_equal(events_of_file(run.codec, "s.csv"), expected.numpy())


def test_a_draw_given_all_cells_is_those_cells(at):
    given = ["a,b=t", 'say "x"=7', "k=v==", "k=v=w=1.5", "Größe=0.25", "context=False", "context_=0"]
    assert at("sample", "odd", "-n", 2, "--context", *given, "--out", "s.csv").code == 0
    assert cells(Path("s.csv").read_text())[1:] == [["t", "7", "=", "1.5", "0.25", "False", "0"]] * 2


def test_labels_and_cells_can_both_be_given(at):
    assert at("sample", "plain", "-n", 6, "--context", "cat", "x=y", "few=1", "--out", "s.csv").code == 0
    rows = pd.read_csv("s.csv")
    assert list(rows["kind"]) == ["cat"] * 3 + ["x=y"] * 3
    assert set(rows["few"]) == {1}


@pytest.mark.parametrize(
    ("run", "given", "words"),
    [
        ("odd", ["Grösse=1"], ["no column 'Grösse'", "did you mean Größe"]),
        ("odd", ["context=True", "context=False"], ["context is given twice", "one context=VALUE"]),
        ("odd", ["context=yes"], ["context has no value 'yes'"]),
        ("odd", ["context="], ["context has no value ''"]),
        ("odd", ["k=v=b"], ["k=v has no value 'b'", "="]),
        ("odd", ["k=v=w=x"], ["k=v=w is 'x', not a number"]),
        ("odd", ["k=v=w=0.25"], ["k=v=w is 0.25, but it is a multiple of 1/10"]),
        ("odd", ['say "x"=1.5'], ["is 1.5, but it is a whole number"]),
        ("odd", ["Größe="], ["Größe is '', not a number"]),
        ("odd", ["Größe=inf"], ["Größe is 'inf', not a number"]),
        ("odd", ["cat"], ["has no context"]),
        ("odd", ["Größe"], ["Größe is the name of a column, and its value is missing; give Größe=VALUE"]),
        ("odd", ["a,b"], ["a,b is the name of a column", "such as a,b=p,q"]),
        ("plain", ["kind"], ["kind is the name of a column, and its value is missing", "kind=cat or kind=x=y"]),
        ("plain", ["few=1"], ["needs a context", "cat"]),
        ("plain", ["dog", "few=1"], ["dog"]),
        ("plain", ["cat", "sort=cat"], ["no column 'sort'"]),
        ("fixed", ["k=v=c"], ["trained for one order", "TableTransformer"]),
    ],
)
def test_cells_that_cannot_be_given_are_one_line_and_nothing_is_written(at, run, given, words):
    before = sorted(Path().rglob("*"))
    if run == "fixed":
        result = at("sample", run, "--context", *given, "--out", "s.csv")
        assert result.code == 2
        assert len(result.err.splitlines()) == 1
    else:
        refused(at("sample", run, "--context", *given, "--out", "s.csv"), *words)
    assert sorted(Path().rglob("*")) == before


def test_a_cell_beyond_all_that_were_learned_from_is_reported(at):
    given = ("sample", "plain", "-n", 2, "--force", "--out", "s.csv", "--context", "cat")
    assert "size is 1e+06, and in training it was" in at(*given, "size=1e6").err
    assert "in training" not in at(*given, "size=0.25").err


def test_samples_and_completions_are_warped(at):
    assert at("sample", "odd", "-n", 5, "--temperature", "0", "--out", "s.csv").code == 0
    assert len(pd.read_csv("s.csv").drop_duplicates()) == 1
    Path("in.csv").write_text('"a,b",k=v=w\nt,1.0\n')
    for seed in (1, 2):
        assert at("complete", "odd", "in.csv", "--temperature", "0", "--seed", seed, "--out", f"{seed}.csv").code == 0
    assert Path("1.csv").read_text() == Path("2.csv").read_text()


# complete: the characters of the file

HEADER = '\ufeff"id",k=v,"say ""x""",note,context_,"a,b",k=v=w,Größe,context'
LINES = [
    '007,"a=b",,"kept ""as"" it, is",1,t,0.3,-0.50,True',
    ' 8 ,c,12, spaced ,NA,"p,q",1.50,1e-3,FALSE',
    "",
    '"9",=,12,"two\nlines",2,,2.0,.5,True',
    '0010,,12,,2,"r""s",NaN,+0.5,',
    "011,c,nan,ü,null,ü,0.0,5,False",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_only_missing_cells_of_a_text_change(at, end, last, separator):
    """Quotes, spaces, leading zeros, blank lines, other columns, the mark of the byte order and line ends stay."""
    text = end.join([HEADER, *LINES]) + end * last
    file = Path("in.tsv" if separator == "\t" else "in.csv")
    if separator == "\t":
        text = (
            text.replace(",", "\t")
            .replace('"kept ""as"" it\t is"', '"kept\t""as"" it"')
            .replace('"a\tb"', '"a,b"')
            .replace('"p\tq"', '"p,q"')
        )
    file.write_bytes(text.encode())
    result = at("complete", "odd", file, "--out", f"out{file.suffix}", "--seed", 3, "--json")
    assert result.code == 0, result.err
    assert result.json["missing"] == 8
    filled = Path(f"out{file.suffix}").read_bytes().decode()
    before, after = (cells(t.replace("\r\n", "\n"), separator) for t in (text, filled))
    assert [len(row) for row in before] == [len(row) for row in after]
    holes = [
        (i, j)
        for i, row in enumerate(before)
        for j, cell in enumerate(row)
        if cell in ("", "NA", "NaN", "nan", "null") and j not in (0, 3)
    ]
    assert len(holes) == 8
    # every character but those of the holes: with the same words in the holes, both texts are the same
    kept = [[cell for j, cell in enumerate(row) if (i, j) not in holes] for i, row in enumerate(before)]
    assert kept == [[cell for j, cell in enumerate(row) if (i, j) not in holes] for i, row in enumerate(after)]
    assert all(after[i][j] not in ("", "NA", "NaN", "nan", "null") for i, j in holes)
    pieces = [
        piece for line in LINES for piece in line.split(",") if piece and not piece.startswith('"') and '"' not in piece
    ]
    for piece in pieces:
        if piece not in ("NA", "NaN", "nan", "null"):
            assert piece in filled
    for piece in ('"kept', '""as""', '"a=b"', '"9"', '"two\nlines"', '"r""s"'):
        assert piece in filled
    assert filled.startswith("\ufeff")
    assert filled.count("\n") == text.count("\n")
    assert filled.count("\r") == text.count("\r")
    assert filled.endswith(end) is last
    codec = Run.load("odd").codec
    assert not np.isnan(events_of_file(codec, f"out{file.suffix}")).any()


def test_filling_is_what_csv_says():
    """Against Python's own reader, on random tables."""
    g = np.random.default_rng(0)
    words = ["", "a", " b ", '"', ",", "x,y", 'q"q', "l\nm", "ü", "0", "''"]
    for trial in range(60):
        n, m = g.integers(1, 6, 2)
        table = [[words[i] for i in g.integers(len(words), size=m)] for _ in range(n + 1)]
        table[0] = [f"c{j}" for j in range(m)]
        if m == 1:
            table = [[row[0] or "z"] if row[0].strip() else ["z"] for row in table]
        buffer = io.StringIO()
        end = ["\n", "\r\n"][trial % 2]
        csv.writer(
            buffer, quoting=csv.QUOTE_ALL if trial % 3 == 0 else csv.QUOTE_MINIMAL, lineterminator=end
        ).writerows(table)
        j, row, value = int(g.integers(m)), int(g.integers(n)), words[int(g.integers(1, len(words)))]
        new = [value if i == row else None for i in range(n)]
        layout = Layout(Path("t.csv"), Dialect(), list(table[0]), int(n))
        filled = spelled(buffer.getvalue(), layout, {f"c{j}": new, "added": ["+"] * int(n)})
        table[row + 1][j] = value
        assert cells(filled) == [[*line, "added" if i == 0 else "+"] for i, line in enumerate(table)]
        assert spelled(buffer.getvalue(), layout, {"c0": [None] * int(n)}) == buffer.getvalue()


def test_rows_that_are_not_there_are_refused():
    with pytest.raises(SourceError, match="the file has 3 rows, not 5"):
        spelled("a\n1\n2\n", Layout(Path("t.csv"), Dialect(), ["a"], 5), {"a": [None] * 5})


def test_short_rows_and_lacking_columns_are_filled(at):
    Path("in.csv").write_text('"a,b",note,k=v=w\nt,x,1.0\nt\n')
    assert at("complete", "odd", "in.csv", "--out", "out.csv").code == 0
    rows = cells(Path("out.csv").read_text())
    assert rows[0][:3] == ["a,b", "note", "k=v=w"]
    assert set(rows[0]) == {*NAMES, "note"}
    assert rows[1][:3] == ["t", "x", "1.0"]
    assert rows[2][1] == ""
    assert all(cell for row in rows for cell in row[2:])
    np.testing.assert_array_equal(np.isnan(events_of_file(Run.load("odd").codec, "out.csv")), False)


def test_a_file_without_a_header_has_none_afterwards(at):
    Path("in.csv").write_text("5,0\n,2\n17,\n")
    result = at("complete", "headless", "in.csv", "--out", "out.csv")
    assert result.code == 0, result.err
    rows = cells(Path("out.csv").read_text())
    assert [len(row) for row in rows] == [2, 2, 2]
    assert (rows[0], rows[1][1], rows[2][0]) == (["5", "0"], "2", "17")
    assert rows[1][0].isdigit()
    assert rows[2][1] in ("0", "1", "2")


def test_draws_are_the_models_and_follow_the_seed(at):
    made = odd()[:30]
    made.to_csv("in.csv", index=False)
    run = Run.load("odd")
    x = run.codec.partial(made)
    expected = run.model.impute(x, 3, seed=5).numpy()
    result = at("complete", "odd", "in.csv", "-n", 3, "--seed", 5, "--out", "drawn", "--json")
    assert [Path(f).name for f in result.json["files"]] == ["in-0000.csv", "in-0001.csv", "in-0002.csv"]
    for k, file in enumerate(result.json["files"]):
        np.testing.assert_array_equal(events_of_file(run.codec, file), expected[:, k])


def test_several_files_are_completed_each_with_its_own_rows(at):
    made = odd()
    made[:20].to_csv("one.csv", index=False)
    made[20:50].to_parquet("two.parquet")
    run = Run.load("odd")
    expected = run.model.impute(run.codec.partial(made[:50]), 1, seed=2)[:, 0].numpy()
    result = at("complete", "odd", "one.csv", "two.parquet", "--seed", 2, "--out", "drawn", "--json")
    one, two = result.json["files"]
    assert (Path(one).name, Path(two).name) == ("one.csv", "two.parquet")
    np.testing.assert_array_equal(
        np.concatenate([events_of_file(run.codec, one), events_of_file(run.codec, two)]), expected
    )


def test_a_point_is_the_most_frequent_level_and_the_median(at):
    made = odd()[:30]
    made.to_csv("in.csv", index=False)
    run = Run.load("odd")
    x = run.codec.partial(made)
    drawn = run.model.impute(x, 9, seed=5).numpy()
    expected = x.copy()
    for i, j in zip(*np.nonzero(np.isnan(x))):
        values, counts = np.unique(drawn[i, :, j], return_counts=True)
        category = run.codec.space.columns[j].is_category
        expected[i, j] = values[counts.argmax()] if category else np.sort(drawn[i, :, j])[4]
    assert at("complete", "odd", "in.csv", "-n", 9, "--point", "--seed", 5, "--out", "out.csv").code == 0
    np.testing.assert_array_equal(events_of_file(run.codec, "out.csv"), expected)
    np.testing.assert_array_equal(best_guess(run.codec, drawn), expected)


def test_best_guesses_of_many_levels_take_no_more_memory_than_the_draws():
    import tracemalloc

    columns = [
        {
            "name": "a",
            "type": "int64",
            "values": list(range(20_000)),
            "missing": False,
            "per": 0,
            "offset": 0.0,
            "low": None,
            "atoms": [],
        }
    ]
    drawn = np.random.default_rng(0).integers(0, 20_000, (2_000, 8, 1)).astype(np.float64)
    drawn[:, 5] = drawn[:, 2]
    tracemalloc.start()
    guess = best_guess(RowCodec(columns), drawn)
    assert tracemalloc.get_traced_memory()[1] < 8 * drawn.nbytes
    tracemalloc.stop()
    assert float((guess[:, 0] == drawn[:, 2, 0]).mean()) > 0.99


def test_parquet_keeps_types_dictionaries_classes_and_other_columns(at):
    table = pq.read_table("typed.parquet")
    words = pa.DictionaryArray.from_arrays(
        pa.array([2, None, 0, 1], pa.int8()), ["c", "a", "b", "unused"][:4] and pa.array(["c", "a", "b"]), ordered=True
    )
    columns = {
        "w": words,
        "day": pa.array([1, 2, None, 4], pa.date32()),
        "i": pa.array([None, 3, 4, None], pa.uint8()),
        "f": pa.array([0.5, None, 0.1, None], pa.float32()),
        "k": pa.array([None, 1, 0, None], pa.int64()),
    }
    schema = pa.schema(
        [pa.field(n, v.type, metadata={"note": n}) for n, v in columns.items()], metadata=table.schema.metadata
    )
    given = pa.table(list(columns.values()), schema=schema)
    pq.write_table(given, "in.parquet")
    result = at("complete", "typed", "in.parquet", "--out", "out.parquet", "--json")
    assert result.code == 0, result.err
    assert result.json["missing"] == 7
    filled = pq.read_table("out.parquet")
    assert filled.schema.equals(pq.read_table("in.parquet").schema, check_metadata=True)
    for name in columns:
        before, after = given.column(name).to_pylist(), filled.column(name).to_pylist()
        assert all(a == b for a, b in zip(before, after) if a is not None)
        assert (name == "day") == (None in after)
    assert filled.column("w").chunk(0).dictionary.to_pylist() == ["c", "a", "b"]
    assert set(filled.column("k").to_pylist()) <= {0, 1}
    lacking = given.drop_columns(["w", "f"])
    pq.write_table(lacking, "in.parquet")
    assert at("complete", "typed", "in.parquet", "--out", "more.parquet").code == 0
    assert pq.read_table("more.parquet").column_names == ["day", "i", "k", "w", "f"]
    assert pq.read_schema("more.parquet").field("f").type == pa.float32()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k=v\nc\n=\n", None),  # columns that are lacking are missing
        ("other\n1\n", ["in.csv has none of the run's columns", "a,b"]),
        ("k=v\nz\n", ["'k=v' is 'z' at row 1 of in.csv"]),
        ('k=v,"say ""x"""\nc,\n=,0.5\n', ["is 0.5 at row 2 of in.csv", "whole number"]),
        ("k=v,Größe\nc,1\nc,wide\n", ["'Größe' holds", "not numbers"]),
        ("k=v,Größe\nc,1\nc,inf\n", ["'Größe' is inf at row 2 of in.csv"]),
        ("k=v\n", ["no rows"]),
    ],
)
def test_tables_that_cannot_be_completed_are_one_line(at, text, words):
    Path("in.csv").write_text(text)
    result = at("complete", "odd", "in.csv", "--out", "out.csv")
    if words is None:
        assert result.code == 0
        return
    refused(result, *words)
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.csv", "--keep", "0.5"], ["fills in the empty cells"]),
        (["in.csv", "--method", "fixed_point"], ["column by column", "leave out --method"]),
        (["in.csv", "--out", "out.parquet"], [".csv file"]),
        (["in.csv", "in.csv", "--out", "out.csv"], ["several tables", "folder"]),
        (["in.csv", "-n", "2", "--out", "out.csv"], ["several tables", "folder"]),
        (["full.csv"], ["nothing is missing in full.csv"]),
        (["in.json"], ["in.json cannot be completed", "CSV, TSV or Parquet"]),
        (["spelled.csv"], ["spelled.csv has a column", "and none called", "rename it"]),
        (["capitals.csv"], ["capitals.csv has a column", "and none called", "rename it"]),
        (["picture.png"], ["picture.png is a picture, not a table"]),
        (["nowhere.csv"], ["nowhere.csv"]),
        (["in.csv", "--out", "odd.csv"], ["odd.csv exists", "--force"]),
        (["in.csv", "-n", "0"], ["-n is 0"]),
        (["in.csv", "--context", "cat"], ["has no context"]),
    ],
)
def test_what_complete_cannot_do_is_one_line_and_nothing_is_written(at, arguments, words):
    odd()[:5].to_csv("in.csv", index=False)
    odd().dropna()[:5].to_csv("full.csv", index=False)
    Path("in.json").write_text("[]")
    Path("picture.png").write_bytes(b"")
    last = odd().columns[-1]
    odd()[:5].rename(columns={last: f"{last}s" if len(last) > 3 else f" {last}"}).to_csv("spelled.csv", index=False)
    odd()[:5].rename(columns={last: last.swapcase()}).to_csv("capitals.csv", index=False)
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    refused(at("complete", "odd", *arguments), *words)
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_a_fixed_order_cannot_fill_any_gap(at):
    odd()[:5].to_csv("in.csv", index=False)
    refused(at("complete", "fixed", "in.csv", "--out", "out.csv"), "one order")


def test_rows_are_completed_given_their_labels(at):
    table = pq.read_table("plain.parquet").slice(0, 6)
    pq.write_table(table, "in.parquet")
    result = at("complete", "plain", "in.parquet", "--context", "cat", "x=y", "--out", "out.parquet")
    assert result.code == 0, result.err
    run = Run.load("plain")
    x = run.codec.partial({name: table.column(name) for name in run.codec.names})
    expected = run.model.impute(x, 1, ["cat"] * 3 + ["x=y"] * 3, seed=0)[:, 0]
    np.testing.assert_array_equal(events_of_file(run.codec, "out.parquet"), expected.numpy())
    refused(at("complete", "plain", "in.parquet", "--out", "again.parquet"), "needs a context")


def test_scores_of_a_table_are_the_models(at):
    odd()[:12].to_csv("new.csv", index=False)
    assert at("score", "odd", "new.csv", "--out", "s.parquet").code == 0
    run = Run.load("odd")
    expected = run.model.log_prob(run.codec.encode(odd()[:12])).detach().numpy()
    np.testing.assert_allclose(pd.read_parquet("s.parquet").sort_values("row")["log_prob"], expected, atol=1e-6)


def test_a_run_says_its_columns(at):
    result = at("info", "odd", "--json")
    assert result.code == 0
    assert "Table(" in json.dumps(result.json)
