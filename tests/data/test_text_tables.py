"""Text tables are read as people mean them: what is inferred is reported, and can be asked for differently."""

import gzip
import io
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from ptheta.cli.main import main
from ptheta.data import load
from ptheta.data.codecs import Codec
from ptheta.data.sources.cells import Writing, kind_of_cell
from ptheta.data.sources.dialects import Dialect
from ptheta.data.sources.opening import open_source
from ptheta.data.sources.spelled_rows import filled as spelled
from ptheta.data.sources.text_files import Layout
from ptheta.errors import SourceError, UsageError
from ptheta.remarks import collecting
from ptheta.runs import Run


def read(source, **options):
    """Column → cells of an undivided source, and what is reported."""
    from ptheta.data.options import TextTables
    from ptheta.data.sources.asked import asking

    with collecting() as remarks, asking(TextTables(**options)):
        (table,) = open_source(source).tables.values()
    columns = [name for name, column in table.columns.items() if column.kind != "other"]
    chunks = list(table.chunks(columns))
    cells = {name: [v for c in chunks for v in c[name].to_pylist()] for name in columns}
    return cells, remarks


def written(folder, text, name="t.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


ROWS = {"g": ["b", "a", "ä"], "w": [-1.5, 0.25, 2.0], "k": [6, 0, 12]}


def joined(separator, decimal=".", end="\n"):
    lines = [separator.join(ROWS)] + [separator.join(str(v) for v in row) for row in zip(*ROWS.values())]
    return end.join(line if i == 0 else line.replace(".", decimal) for i, line in enumerate(lines)) + end


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "cp1252", "latin-1"])
@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", ","), ("|", ".")])
def test_separator_decimal_and_encoding_are_inferred_and_reported(separator, decimal, encoding, tmp_path):
    path = written(tmp_path, joined(separator, decimal, "\r\n"), encoding=encoding)
    cells, remarks = read(path)
    assert cells == ROWS
    said = " ".join(remarks)
    assert (f"separator {separator!r}" in said) == (separator != ",")
    assert ("is read as" in said) == (not encoding.startswith("utf-8"))
    assert ("'-1,5' are read as -1.5" in said) == (decimal == ",")


def test_what_is_usual_is_not_worth_a_word(tmp_path):
    assert read(written(tmp_path, joined(",")))[1] == []
    assert read(written(tmp_path, joined("\t"), "t.tsv"))[1] == []


def test_the_first_line_of_a_spreadsheet_names_the_separator(tmp_path):
    path = written(tmp_path, "sep=;\nname;note\nann;a, b\nbob;c\n")
    assert read(path)[0] == {"name": ["ann", "bob"], "note": ["a, b", "c"]}


def test_separators_in_words_and_quotes_do_not_mislead(tmp_path):
    for text in ('a,b\n"1;2",x|y\n"3;4",z|w\n', "a,b\n1;2,x|y\n3;4,z\n"):
        assert list(read(written(tmp_path, text))[0]) == ["a", "b"]


def test_what_is_asked_for_comes_first(tmp_path):
    path = written(tmp_path, "a;b\n1,234;x\n5,678;y\n", encoding="utf-8")
    assert read(path)[0]["a"] == [1.234, 5.678]
    assert read(path, decimal=".")[0]["a"] == [1234, 5678]
    assert list(read(path, separator="pipe")[0]) == ["a;b"]
    path = written(tmp_path, "имя,x\nмир,1\nмир,2\n", encoding="cp1251")
    assert read(path, encoding="koi8-r")[0]["ХЛЪ"] == ["ЛХП", "ЛХП"]
    with pytest.raises(SourceError, match=r"t\.csv is not UTF-8 text.*name another encoding"):
        read(path, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("y;x\na;1.000\nb;2.000\nc;10.000\n", [1, 2, 10], "are read as 1.0 (--decimal , reads 1000)"),
        ("y;x\na;1,000\nb;250\n", [1, 250], "are read as 1.0 (--decimal . reads 1000)"),
        ("y;x\na;1.000 €\nb;2.500 €\n", [1000, 2500], "are read as 1000 (--decimal . reads 1.0)"),
        ("y;x\na;$1,000\nb;$2,500\n", [1000, 2500], "are read as 1000 (--decimal , reads 1.0)"),
        ("y;x\na;1.000\nb;-\n", [1, None], "'1.000' have either a fraction or thousands"),
        ("y;x\n0,5;1.000\n0,7;2.000\n", [1000, 2000], ""),
        ("y;x\na;1.000\nb;0.001\n", [1, 0.001], ""),
        ("y;x\na;1.000\nb;1.000.000\n", [1000, 1000000], ""),
        ("y,x\na,1.000\nb,2.000\n", [1, 2], ""),
    ],
)
def test_thousands_that_may_be_fractions_are_reported(text, values, says, tmp_path):
    cells, remarks = read(written(tmp_path, text))
    assert cells["x"] == values
    assert ("either a fraction or thousands" in " ".join(remarks)) == bool(says)
    assert says in " ".join(remarks)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"encoding": "utf-9"}, "no encoding is called 'utf-9'; did you mean utf-8"),
        ({"encoding": "hex"}, "no encoding is called 'hex'"),
        ({"separator": "ab"}, "'ab' cannot separate cells; give one character"),
        ({"separator": '"'}, "cannot separate cells"),
        ({"separator": ",", "decimal": ","}, "',' cannot be both separator and decimal"),
        ({"decimal": "x"}, "no decimal is called 'x'"),
        ({"header": "maybe"}, "no header is called 'maybe'"),
    ],
)
def test_options_that_make_no_sense_are_one_line(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        load(written(tmp_path, joined(",")), **options)
    with pytest.raises(UsageError, match="is not a text table; leave out separator"):
        load(pd.DataFrame({"a": [1, 2]}), separator=";")


def test_damaged_text_is_named_and_not_guessed_at(tmp_path):
    half = "grün,schön,weiß\n".encode()
    with pytest.raises(SourceError, match=r"is not UTF-8 text.* at byte 58"):
        read(written(tmp_path, half * 3 + b"a\xff,b,c\n"))
    with pytest.raises(SourceError, match="is not text: it contains zero bytes"):
        read(written(tmp_path, b"a,b\n1,\x00\n" + b"1,2\n" * 9))
    with pytest.raises(SourceError, match="quote that is never closed"):
        read(written(tmp_path, 'a,b\n1,"2\n3,4\n'))
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 2**25))
    with pytest.raises(SourceError, match="unpacks to more than 67,108,864 bytes"):
        read(packed)
    with pytest.raises(SourceError, match="has 20,000 columns; at most 16,384"):
        read(written(tmp_path, ",".join(map(str, range(20_000))) + "\n"))


# The header


@pytest.mark.parametrize(
    ("text", "names", "reported"),
    [
        ("b,-1.0,6\nb,-0.2,0\na,0.5,1\n", ["0", "1", "2"], "no header"),
        ("I,0.471,15\nI,0.417,9\nF,0.537,18\n", ["0", "1", "2"], "no header"),
        ("red,big\nred,small\nblue,big\n", ["0", "1"], "'red' occurs again"),
        ("2020-01-01,5\n2020-01-02,6\n", ["0", "1"], "no header"),
        ("5,0\n17,2\n", ["0", "1"], "no header"),
        ("0,1,2\n4,4,0\n2,3,1\n", ["0", "1", "2"], "counts the columns"),
        ("0,1,2,2\n4,4,0,-1.29\n2,3,1,-0.47\n", ["0", "1", "2", "2.1"], "counts the columns"),
        ("name,2019,2020\nann,5,6.5\nbob,7,8.5\n", ["name", "2019", "2020"], "its first row holds years"),
        (",0,1,2\n0,5,3,1\n1,6,3,2\n", ["0", "1", "2"], "numbers the rows"),
        (",x,y\n0,5.5,a\n1,6.5,b\n", ["x", "y"], "numbers the rows"),
        ("name,price\nann,?\nbob,NA\n", ["name", "price"], ""),
        ("color,shape\nred,round\nblue,square\n", ["color", "shape"], ""),
        ("a,b,\n1,x,\n2,y,\n", ["a", "b"], "without name and values"),
        ("a,b\n1,x,\n2,y,\n", ["a", "b"], "without name and values"),
        ("a,a\n1,2\n3,5\n", ["a", "a.1"], "several columns called a"),
        ("# made by hand\n# 2 rows\na,b\n1,x\n2,y\n", ["a", "b"], "2 comment lines"),
        ("#id,b\n1,x\n2,y\n", ["#id", "b"], ""),
        ("a,b\n1,x\n# the end\n2,y\n", ["a", "b"], "1 comment line"),
        ("name, age, h\nann, , 170.5\n", ["name", "age", "h"], ""),
        ("2020-01-01,2020-01-02\n5,6\n7,8\n", ["2020-01-01", "2020-01-02"], ""),
        ("name,2020-01-01\nann,5\nbob,6\n", ["name", "2020-01-01"], ""),
        ("english,russian\n" + "".join(f"w{i},v{i}\n" for i in range(40)) + "english,x\n", ["english", "russian"], ""),
        ("red\n" + "".join(f"w{i % 5}\n" for i in range(40)) + "red\n", ["0"], "'red' occurs again"),
        ("en,ru\n" + "".join(f"w{i},v{i}\n" for i in range(40)) + "en,ru\n", ["0", "1"], "'en' occurs again"),
        ("1950,2001\n1960,2005\n1987,1999\n", ["0", "1"], "no header"),
        ("2001,2002,2003\n2002,2003,2004\n", ["0", "1", "2"], "no header"),
        ("2019,2020,2021\n5,6,8\n7,8,9\n", ["2019", "2020", "2021"], "its first row holds years"),
        ("5,6,7\n1,1,8\n", ["5", "6", "7"], "its first row holds consecutive numbers"),
        ("\n,\n1,2\n", ["Unnamed: 0", "Unnamed: 1"], ""),
    ],
)
def test_a_header_is_what_looks_like_one(text, names, reported, tmp_path):
    cells, remarks = read(written(tmp_path, text))
    assert list(cells) == names
    assert reported in " ".join(remarks)
    assert reported or not any("first row" in said for said in remarks)
    data = [line for line in text.splitlines() if line and not line.startswith("# ")]
    headless = "no header" in " ".join(remarks)
    assert {len(column) for column in cells.values()} == {len(data) - (not headless)}


def test_whether_there_is_a_header_can_be_asked_for(tmp_path):
    path = written(tmp_path, "b,1\nb,2\na,3\n")
    assert read(path, header="yes")[0] == {"b": ["b", "a"], "1": [2, 3]}
    path = written(tmp_path, "x,y\n1,2\n")
    assert read(path, header="no")[0] == {"0": ["x", "1"], "1": ["y", "2"]}


def test_a_row_with_more_cells_than_the_header_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"row 2 of .*t\.csv has 3 cells, but its header 2"):
        read(written(tmp_path, "a,b\n1,2\n1,2,3\n"))
    assert read(written(tmp_path, "a,b\n1,2\n3\n"))[0]["b"] == [2, None]


# What cells mean


@pytest.mark.parametrize(
    ("cells", "values", "reported"),
    [
        (["00123", "37055"], ["00123", "37055"], "leading zeros, such as those of '00123', are kept"),
        (["11529215046068469760000", "5"], ["11529215046068469760000", "5"], "too long for numbers"),
        ([str(2**63 - 1), "-1"], [2**63 - 1, -1], ""),
        (["12%", "3.5%"], [12.0, 3.5], "percents such as '12%' are read as 12"),
        (['"61,615"', '"1,234,567"', "12"], [61615, 1234567, 12], "'61,615' are read as 61615"),
        (["$1.50", "$20"], [1.5, 20.0], "amounts such as '$1.50' are read as 1.5"),
        (["-5 €", "20 €"], [-5, 20], "amounts"),
        (["1 234", "56"], [1234, 56], "are read as 1234"),
        (["+1", "2.", ".5", "1e3"], [1.0, 2.0, 0.5, 1000.0], ""),
        (["0x10", "0x11"], ["0x10", "0x11"], ""),
        (["true", "FALSE"], [True, False], ""),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"], "unordered categories"),
        (["22/03/2021", "5/12/2021"], ["22/03/2021", "5/12/2021"], "unordered categories"),
        (["06:32 PM", "11:57 AM"], ["06:32 PM", "11:57 AM"], "unordered categories"),
        (["3.16", "?", "2.5"], [3.16, None, 2.5], "missing cells: x 1 ('?')"),
        (["4", "-", "--"], [4, None, None], "missing cells: x 2 ('-', '--')"),
        (["red", "-", "red"], ["red", "-", "red"], ""),
        (["red", "None", "n/a"], ["red", None, None], "missing cells: x 2 ('None', 'n/a')"),
        (["1.5", " ", "2"], [1.5, None, 2.0], "missing cells: x 1 (blank)"),
        (["1.5", "", "2"], [1.5, None, 2.0], ""),
    ],
)
def test_cells_are_what_people_mean(cells, values, reported, tmp_path):
    found, remarks = read(written(tmp_path, "y,x\n" + "".join(f"w{i},{cell}\n" for i, cell in enumerate(cells))))
    assert found["x"] == values
    assert reported in " ".join(remarks) if reported else remarks == []


@pytest.mark.parametrize(
    "cells",
    [
        ["3.2", "4.1", "5.3"],
        ["3,2", "4,1", "5,3"],
        ["3%", "4%", "5%"],
        ["$3", "$4", "$5"],
        ["3 000", "4 000", "5 000"],
        ["3.000", "4.000", "1.005.000"],
        ["3,2", "-", "5,3"],
    ],
)
def test_a_word_among_numbers_is_refused_however_these_are_written(cells, tmp_path):
    path = written(tmp_path, "y;x\n" + "".join(f"1;{cell}\n" for cell in [*cells, "n.k.", *cells]))
    with pytest.raises(SourceError, match=r"column 'x' holds numbers, but 'n\.k\.' at row 4 of t\.csv"):
        load(path)
    data = load(path, columns="mixed")
    assert any("'n.k.' at row 4 of t.csv, and is taken as unordered categories" in said for said in data.remarks)


def test_whole_numbers_that_name_classes_may_stand_beside_a_word(tmp_path):
    data = load(written(tmp_path, "y;x\n" + "1;1\n2;2\n1;none of these\n" * 9))
    assert data.codec.values[1] == ["1", "2", "none of these"]


def test_missing_words_are_asked_for(tmp_path):
    path = written(tmp_path, "y,x\na,-9\nb,?\nc,4\nd,\n")
    assert read(path)[0]["x"] == [-9, None, 4, None]
    assert read(path, missing="-9")[0]["x"] == [None, None, 4, None]
    assert read(path, missing="none")[0]["x"] == ["-9", "?", "4", None]
    assert read(path, missing=["none", "?"])[0]["x"] == [-9, None, 4, None]


def test_numbers_are_those_of_pandas_and_python(tmp_path):
    g = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": g.normal(size=500) * 10.0 ** g.integers(-12, 12, 500), "b": g.integers(-(2**40), 2**40, 500)}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    cells, _ = read(tmp_path / "t.csv")
    assert cells == {"a": frame["a"].tolist(), "b": frame["b"].tolist()}


@pytest.mark.parametrize(
    "way", [Writing(), Writing(","), Writing(",", "."), Writing(".", ",", "$"), Writing(after=" %")]
)
def test_numbers_are_written_as_they_are_read(way, tmp_path):
    numbers = [-1234567.25, 0.5, 999.0, -12.0, 1000.0]
    lines = "".join(f'w{i};"{way.written(str(number))}"\n' for i, number in enumerate(numbers))
    assert read(written(tmp_path, f"y;x\n{lines}"))[0]["x"] == numbers
    assert kind_of_cell(way.written("-1234567.25")) == "number"


def test_a_folder_is_read_as_its_file_is(tmp_path):
    (tmp_path / "d").mkdir()
    text = "color;x\n" + "None;0,5\nred;0,25\nn/a;1\n" * 20
    cells, remarks = read(written(tmp_path / "d", text, "a.csv"))
    assert cells["color"][:3] == [None, "red", None]
    assert read(tmp_path / "d") == (cells, remarks)
    assert any("color 40 ('None', 'n/a')" in said for said in remarks)
    written(tmp_path / "d", "x;color\n7;01\n", "b.csv")  # columns in another order, a kind that both files decide
    cells, _ = read(tmp_path / "d")
    assert (cells["color"][-1], cells["x"][-1], len(cells["x"])) == ("01", 7.0, 61)
    written(tmp_path / "d", "y;color\n7;01\n", "b.csv")
    with pytest.raises(SourceError, match=r"column 'x' is in only one of .*a\.csv and .*b\.csv"):
        read(tmp_path / "d")


@pytest.mark.parametrize("text", ["a\n", "a,b\n", "\n\n", "# only\n"])
def test_tables_without_rows_are_one_line(text, tmp_path):
    with collecting() as remarks, pytest.raises(SourceError, match="has no rows") as caught:
        open_source(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert not any("numbers" in said for said in remarks)


# Runs


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    """A folder with a run on a table as a German spreadsheet writes it."""
    folder = tmp_path_factory.mktemp("german")
    g = np.random.default_rng(0)
    rows = [
        f"{g.choice(['Köln', 'Bonn', 'None'])};{g.normal(170, 9):.1f};{g.integers(0, 100)}%;0{g.integers(1000, 1004)}"
        for _ in range(60)
    ]
    text = "\r\n".join(["Ort;Größe;Anteil;plz", *(row.replace(".", ",") for row in rows)]) + "\r\n"
    path = written(folder, text, "de.csv", "cp1252")
    fit = ["fit", str(path), "table", "--steps", "2", "--width", "8", "--layers", "1", "--missing", "none"]
    assert main([*fit, "--out", str(folder / "run")]) == 0
    return folder


HOLES = ["Ort;Größe;Anteil;plz", "Köln;;12%;01001", "; 170,5 ;;", "None;160,0;5%;01002"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_completion_is_written_as_the_file_is(german, encoding, tmp_path, capsys):
    path = written(tmp_path, "\r\n".join(HOLES) + "\r\n", "in.csv", encoding)
    assert main(["complete", str(german / "run"), str(path), "--out", str(tmp_path / "out.csv"), "--seed", "1"]) == 0
    before, after = (file.read_bytes().decode(encoding) for file in (path, tmp_path / "out.csv"))
    assert [line.count(";") for line in after.split("\r\n")] == [line.count(";") for line in before.split("\r\n")]
    rows = [line.split(";") for line in after.split("\r\n")[1:4]]
    assert [rows[0][0], *rows[0][2:]] == ["Köln", "12%", "01001"]
    assert rows[1][1] == " 170,5 "
    assert rows[2] == ["None", "160,0", "5%", "01002"]
    assert "." not in rows[0][1]
    assert float(rows[0][1].replace(",", ".")) > 0
    assert rows[1][2].endswith("%")
    assert rows[1][3].startswith("01")
    assert "4 missing cells of 3 rows" in capsys.readouterr().err


def test_samples_are_written_as_the_source_was_and_score(german, tmp_path):
    assert main(["sample", str(german / "run"), "-n", "5", "--seed", "0", "--out", str(tmp_path / "s.csv")]) == 0
    text = (tmp_path / "s.csv").read_bytes().decode("cp1252")
    names, first = (line.split(";") for line in text.splitlines()[:2])
    assert names == ["Ort", "Größe", "Anteil", "plz"]
    assert "." not in first[1]
    assert first[2].endswith("%")
    run = Run.load(german / "run")
    with collecting():
        x = run.events(tmp_path / "s.csv")
    drawn = run.model.sample(5, seed=0)
    np.testing.assert_array_equal(x, run.codec.encode(run.codec.decode(drawn)))


def test_a_run_reads_new_tables_as_its_own(german, tmp_path, capsys):
    run = str(german / "run")
    path = written(tmp_path, "plz,Ort,Größe,Anteil,note\n01001,None,1.5,3,x\n1002,Bonn,7,4,y\n", "new.csv")
    assert main(["score", run, str(path), "--out", str(tmp_path / "s.parquet")]) == 2
    assert "column 'plz' is '1002' at row 2 of new.csv" in capsys.readouterr().err
    path.write_text("plz,Ort,Größe,Anteil,note\n01001,None,1.5,3,x\n")
    assert main(["score", run, str(path), "--out", str(tmp_path / "s.parquet")]) == 0
    assert "left out, unknown to the run: note" in capsys.readouterr().err
    path.write_text("plz;Ort;Größe;Anteil\n01001;None;1,5;3\n")
    assert (
        main(["score", run, str(path), "--separator", ";", "--decimal", ".", "--out", str(tmp_path / "t.parquet")]) == 2
    )
    assert "'Größe'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "values", "reported"),
    [
        ("Größe\n1.234\n5.678\n", [1234, 5678], "'1.234' are read as 1234"),
        ("Größe;b\n1.234;x\n5.678;y\n", [1234, 5678], "'1.234' are read as 1234"),
        ("Größe;b\n1.234;0.5\n5.678;0.25\n", [1.234, 5.678], "the decimal mark '.', unlike in the fit"),
        ("Größe\n1.5\n5.678\n", [1.5, 5.678], "'1.5' are read with the decimal mark '.', unlike in the fit"),
        ("Größe;b\n1,5;x\n5,678;y\n", [1.5, 5.678], "'1,5' are read as 1.5"),
    ],
)
def test_a_run_remembers_how_its_numbers_are_written(german, text, values, reported, tmp_path):
    run = Run.load(german / "run")
    with run.reading():
        cells, remarks = read(written(tmp_path, text))
    assert cells["Größe"] == values
    assert any(reported in said for said in remarks)
    with run.reading():
        assert read(written(tmp_path, "Größe\n1.234\n"), decimal=".")[0]["Größe"] == [1.234]


def test_events_of_a_file_are_read_by_what_a_run_remembers(german, tmp_path):
    run = Run.load(german / "run")
    with collecting():
        x = run.events(written(tmp_path, "Ort;Größe;Anteil;plz\nKöln;1.234;5%;01001\n"))
        data = run.read(written(tmp_path, "Ort;Größe;Anteil;plz\n" + "Köln;1.234;5%;01001\n" * 9))
    column = run.codec.names.index("Größe")
    assert x[0, column] == 1234
    assert data.splits["all"].events()[0][0, column] == 1234


def test_contexts_are_read_as_tables_are(tmp_path):
    from ptheta.data.reading import events_of_file

    frame = pd.DataFrame({"x": [0.1, 0.2] * 10, "kind": ["dog", "NA"] * 10, "weight": [1.5, 2.5] * 10})
    codec = load(frame, event="x", context="weight,kind").context_codec
    path = written(tmp_path, "kind;weight\ndog;1,5\nNA;?\n")
    with collecting():
        rows = events_of_file(codec, path)
    np.testing.assert_array_equal(rows, [[1.5, codec.codecs["kind"].classes.index("dog")], [np.nan, 1 - 1]])


def test_pandas_reads_back_what_is_filled(tmp_path):
    """Against another reader: filled cells are where they belong, whatever surrounds them."""
    text = 'sep=;\n# c\na;b\n"x;y"; \n# mid\n z ;"q"\n'
    layout = Layout(tmp_path / "t.csv", Dialect(separator=";", preamble=2), ["a", "b"], 2)
    filled = spelled(text, layout, {"b": ["1,5", None]})
    assert filled == 'sep=;\n# c\na;b\n"x;y"; 1,5\n# mid\n z ;"q"\n'
    frame = pd.read_csv(io.StringIO(filled), sep=";", skiprows=2, comment="#", decimal=",")
    assert [cell.strip() for cell in frame["b"]] == ["1,5", "q"]


def test_flags_without_a_text_table_are_reported_and_old_runs_read_as_they_did(german, tmp_path, capsys):
    run = Run.load(german / "run")
    with collecting():
        run.codec.write_frame(run.model.sample(3, seed=0), tmp_path / "new.parquet")
    asked = ["score", str(german / "run"), str(tmp_path / "new.parquet"), "--separator", "|"]
    assert main([*asked, "--out", str(tmp_path / "s.parquet")]) == 0
    assert "no CSV file was read, so separator had no effect" in capsys.readouterr().err
    path = written(tmp_path, "x,y\n?,1\nNA,2\n")
    del run.config["data"]["request"]["missing"]
    with run.reading():
        assert read(path)[0]["x"] == ["?", None]


def test_a_table_in_another_encoding_than_its_source_is_reported(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"name,n\n" + "é,1\nü,2\n".encode("latin-1") * 20)
    codec = load(tmp_path / "t.csv", encoding="latin-1", columns="categories").codec
    events = np.zeros((1, 2), np.int64)
    with collecting() as remarks:
        codec.write_frame(events, tmp_path / "a.csv", {"context": ["œ"]})
    assert remarks == ["latin-1, the encoding of the source, lacks 'œ', so the table is written in UTF-8"]
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines()[1].startswith("œ,")
    with collecting() as remarks:
        codec.write_frame(events, tmp_path / "b.csv", {"context": ["ß"]})
    assert remarks == []
    assert (tmp_path / "b.csv").read_text("latin-1").splitlines()[1].startswith("ß,")


@pytest.mark.parametrize(("mark", "how"), [(" ", "--separator"), ("^", "--separator"), ("   ", "write a comma")])
def test_what_may_be_an_unusual_separator_is_reported(mark, how, tmp_path):
    path = written(tmp_path, "".join(f"{mark.join(row)}\n" for row in (("a", "b"), *((str(i), "x") for i in range(9)))))
    cells, (remark, *_) = read(path)
    assert len(cells) == 1
    assert remark.startswith(f"t.csv is read as one column; if {mark[0]!r} separates its cells, ")
    assert how in remark


@pytest.mark.parametrize("cell", ["Ann Lee", "item 7", "2020-01-02 10:30", "10:30", "1 000", "a b c"])
def test_words_dates_and_numbers_with_blanks_are_one_column(cell, tmp_path):
    _, remarks = read(written(tmp_path, "name\n" + f"{cell}\n" * 9))
    assert not any("is read as one column" in remark for remark in remarks)


VARIED = [  # cells, what they are read as, what is reported
    (["1,5", "2.5"], [1.5, 2.5], "'1,5' and '2.5', are read as 1.5 and 2.5"),
    (["1 000", "1'000", "7"], [1000, 1000, 7], "'1 000' and '7', are read as 1000 and 7"),
    (["€5", "7"], [5, 7], "'€5' and '7', are read as 5 and 7"),
    (["($5)", "$7"], [-5, 7], "are read as -5 and 7"),
    (["−5", "7"], [-5, 7], "are read as -5 and 7"),
    (["5 kg", "7 kg"], [5, 7], "amounts such as '5 kg' are read as 5"),
    (["7 °C", "8.5 °C"], [7, 8.5], "amounts such as '7 °C' are read as 7"),
    (
        ["1,5", "2.5", "1,234"],
        ["1,5", "2.5", "1,234"],
        "categories, since '1,234' may be 1.234 or 1234",
    ),
    (["12%", "3"], ["12%", "3"], "categories, since those without a percent sign may be percents"),
    (["€5", "$7"], ["€5", "$7"], "categories, since their units differ"),
    (["5 kg", "7 g"], ["5 kg", "7 g"], None),
    (["1 star", "five"], ["1 star", "five"], None),
    (["(1)", "(2)"], ["(1)", "(2)"], None),
    (["12%", "3%"], [12, 3], "percents such as '12%' are read as 12"),
]


@pytest.mark.parametrize(("written_so", "values", "says"), VARIED)
def test_numbers_written_in_several_ways_are_numbers_or_reported(written_so, values, says, tmp_path):
    lines = [f'"{cell}";{"ab"[i % 2]}' for i, cell in enumerate(written_so * 2)]
    cells, remarks = read(written(tmp_path, "x;g\n" + "\n".join(lines) + "\n", "t.csv"))
    assert cells["x"] == values * 2
    found = [one for one in remarks if one.startswith("x: ")]
    assert (says in found[0]) if says else not found


def test_a_decimal_mark_that_is_asked_for_is_the_only_one(tmp_path):
    path = written(tmp_path, "x;g\n1,5;a\n2.5;b\n(1,5);a\n")
    assert read(path)[0]["x"] == [1.5, 2.5, -1.5]
    assert read(path, decimal=",")[0]["x"] == ["1,5", "2.5", "(1,5)"]


def test_columns_that_are_taken_as_categories_report_what_they_are_written_like(tmp_path):
    path = written(tmp_path, "x;g\n" + "12%;a\n3;b\n" * 4)
    data = load(path, columns="categories")
    assert any("x: numbers written in several ways, such as '12%' and '3'" in one for one in data.remarks)
    assert data.codec.values[0] == ["12%", "3"]


def test_one_column_may_hold_commas(tmp_path):
    assert read(written(tmp_path, "price\n2,5\n3,25\n"))[0] == {"price": [2.5, 3.25]}
    assert read(written(tmp_path, "note\nhello, world\nhi\n"))[0] == {"note": ["hello, world", "hi"]}


def test_contexts_that_are_numbers_keep_how_the_source_writes_them(tmp_path):
    lines = [f"{i},{i % 7}5;{i % 3};{i},5%" for i in range(40)]
    path = written(tmp_path, "price;k;rate\n" + "\n".join(lines) + "\n")
    codec = load(path, event="k", context="price").context_codec
    assert [codec.parse(text)[0] for text in ("1,5", "1.5", "-1.234,5")] == [1.5, 1.5, -1234.5]
    assert codec.names([1.5, 2.0]) == ["1,5", "2"]
    assert Codec.from_json(codec.to_json()).writings == codec.writings == {"price": asdict(Writing(","))}
    both = load(path, event="k", context="price,rate")
    assert both.context_codec.writings["rate"]["after"] == "%"
    rows = both.codec.encode({"k": [1]})
    out = both.codec.write_frame(rows, tmp_path / "s.csv", {"price": [1.5], "rate": [2.5]}, both.context_codec.writings)
    assert out.read_text() == "price;rate;k\n1,5;2,5%;1\n"
    with pytest.raises(UsageError, match="price is 'x', not a number"):
        codec.parse("x")


def test_cells_that_are_given_may_be_written_as_in_the_source(tmp_path):
    path = written(tmp_path, "p;k\n" + "".join(f"{i % 50},{i % 97:02};{i % 3}\n" for i in range(400)))
    codec = load(path, columns="mixed").codec
    assert codec.cell(0, "3,97") == codec.cell(0, "3.97") == 3.97


WEATHER = ["Datum;Temperatur;Feuchte;Wind", "TT.MM.JJJJ;°C;%;Richtung"]
for day in range(1, 29):
    WEATHER.append(f"{day:02}.01.2020;{day // 7},{day % 7};{40 + day};{'NO' if day % 2 else 'SW'}")


def test_a_row_of_units_is_left_out_and_reported(tmp_path):
    path = written(tmp_path, "\n".join(WEATHER) + "\n", "wetter.csv")
    cells, remarks = read(path)
    assert cells["Feuchte"] == list(range(41, 69))
    assert cells["Temperatur"][:8] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 1.1]
    assert any("holds units (Temperatur '°C', Feuchte '%'), and is left out" in said for said in remarks)
    without = written(tmp_path, "\n".join([WEATHER[0], *WEATHER[2:]]) + "\n", "ohne.csv")
    assert read(without)[0] == cells


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("t,p\n[s],(kPa)\n1,2\n3,4\n5,7\n", 3),
        ("t,p\ns,mm\n1,2\n3,4\n5,7\n", 3),
        ("t,who\nkg,person\n1.5,a\n3,b\n5,c\n", 3),
        ("t,p\n,µg/m³\n1,2\n3,4\n5,7\n", 3),
        ("t,p\nNA,NA\n1,2\n3,4\n5,7\n", 4),  # missing cells
        ("t,p\n0,mm\n1,2\n3,4\n5,7\n", 4),  # a number of its own
        ("who,what\nkg,mm\na,b\nc,d\ne,f\n", 4),  # words everywhere
    ],
)
def test_only_what_is_evident_is_a_row_of_units(text, rows, tmp_path):
    cells, remarks = read(written(tmp_path, text))
    assert len(next(iter(cells.values()))) == rows
    assert any("holds units" in said for said in remarks) == (rows == 3)


def test_a_table_with_units_is_written_back_with_them(tmp_path):
    text = "t,p\n[s],mm\n1,2\n3,\n5,7\n"
    with collecting():
        (table,) = open_source(written(tmp_path, text)).tables.values()
    assert spelled(text, table.layouts[0], {"p": [None, "4", None]}) == text.replace("3,", "3,4")


@pytest.mark.parametrize(
    ("second", "refused"),
    [("x,y,", True), ("mean,mean,first", True), ("oops,oops,a", False), ("x,1,a", False), ("x,?,a", False)],
)
def test_a_second_row_of_names_is_refused(tmp_path, second, refused):
    body = "".join(f"{k / 10},{k},{'ab'[k % 2]}\n" for k in range(40))
    path = written(tmp_path, f"t,p,w\n{second}\n{body}")
    said = r"the row below the header of .*t\.csv holds names, too \(t '(x|mean)', p '(y|mean)'\); make one header"
    with pytest.raises(SourceError, match=said if refused else "holds numbers, but '(oops|x)' at row 1"):
        load(path)
    assert len(load(path, missing=["x", "y", "mean", "oops"]).train.x) == 33, "unless they are named as missing"


@pytest.mark.parametrize(
    ("last", "what"),
    [
        ("Total:,780,", "totals ('Total:')"),
        ("a,780,SUMME", "totals ('SUMME')"),
        ("Source: the office,,", "a note ('Source: the office')"),
        (",780,", "totals (the sum of n)"),
        (",781,", ""),
        ("a,780,y", ""),
        ("b,,", ""),
    ],
)
def test_a_last_row_that_looks_like_none_of_the_table_is_reported(tmp_path, last, what):
    body = "".join(f"{'ab'[k % 2]},{k},{'xy'[k % 2]}\n" for k in range(40))
    empty = "" if what else "a,,x\n"
    cells, remarks = read(written(tmp_path, f"k,n,w\n{empty}{body}{last}\n"))
    said = f"t.csv: the last row looks like {what}, and is read as any other; remove it if it is no event"
    assert [one for one in remarks if "last row" in one] == ([said] if what else [])
    assert len(cells["k"]) == 41 + bool(empty)


def test_all_words_among_numbers_are_named_at_once_with_a_remedy(tmp_path):
    cells = ["1.5", "k. A.", "2.5", "oops", "3.25", "k. A.", "4", "5"]
    with pytest.raises(SourceError) as caught:
        load(written(tmp_path, "y;x\n" + "".join(f"1;{cell}\n" for cell in cells)))
    assert caught.value.problem == "column 'x' holds numbers, but 'k. A.' at row 2 of t.csv, 'oops' at row 4 of t.csv"
    assert "take such cells as missing by naming the words with missing or take" in caught.value.remedy
    assert load(tmp_path / "t.csv", missing=["k. A.", "oops"]).splits
