"""What a person tries first is taken or answered: help by another word, a run's own data, few steps."""

from pathlib import Path

import pytest

from ptheta.reporting.report.surprises import why


def test_help_of_a_command_is_help_whatever_it_is_asked_by(ptheta, capsys):
    assert ptheta("help").out == ptheta("--help").out
    with pytest.raises(SystemExit):
        ptheta("decompress", "--help")
    usual = capsys.readouterr().out
    with pytest.raises(SystemExit):
        ptheta("help", "decompress")
    assert capsys.readouterr().out == usual
    assert "did you mean decompress" in ptheta("help", "decompres").err


def test_labels_are_classified_of_the_runs_own_data(ptheta):
    own, named = (ptheta("classify", "lab", *source, "--no-baselines", "--json") for source in ([], ["table.csv"]))
    assert own.code == 0
    assert own.json == named.json


def test_models_are_named_with_spaces_or_commas(ptheta):
    rest = ("table.csv", "--steps", "1", "--json")
    found = [
        ptheta("compare", *words, "--out", out).json["models"]
        for out, words in (
            ("a", ("--models", "independent,empirical", *rest)),
            ("b", ("--models", "independent", "empirical", *rest)),
        )
    ]
    assert [[row["model"] for row in rows] for rows in found] == 2 * [[row["model"] for row in found[0]]]
    assert {row["model"] for row in found[0]} == {"independent", "empirical"}


@pytest.mark.parametrize(
    ("gap", "words"), [(0.05, "no more than chance explains"), (1.0, "memorisation, or"), (-1.0, "the splits differ")]
)
def test_the_difference_of_splits_has_one_reason(gap, words):
    assert words in why(gap, 0.18)


def test_files_about_the_data_are_no_news(tmp_path):
    from ptheta import load

    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "1,2\n3,4\n" * 10)
    for name in ("README.md", "LICENSE", "CITATION.cff"):
        (tmp_path / name).write_text("about")
    assert load(str(tmp_path)).remarks == []
    (tmp_path / "notes.md").write_text("more")
    assert [remark.rpartition("/")[2] for remark in load(str(tmp_path)).remarks] == ["notes.md"]


def test_a_text_of_few_events_is_reported_to_be_short(ptheta):
    Path("short.txt").write_text("Lorem ipsum dolor sit amet, and so on. " * 20)
    result = ptheta("fit", "short.txt", "markov_chain", "--out", "short")
    assert "short.txt is short: train has 1 event of 256 tokens, too few to learn from" in result.err


def test_a_table_of_other_columns_is_named_with_what_it_has(ptheta):
    Path("weather.csv").write_text("day,rain,wind\n" + "1,2.5,3\n2,0.5,4\n" * 9)
    result = ptheta("score", "num", "weather.csv")
    assert (
        "weather.csv has none of the columns a, b; give a source that has them; its columns are day, rain, wind"
        in result.err
    )
    assert "has no column 'a'; did you mean" not in result.err


def test_events_of_another_kind_are_named_before_their_contexts(ptheta):
    Path("weather.csv").write_text("day,rain,wind\n" + "1,2.5,3\n2,0.5,4\n" * 9)
    result = ptheta("score", "lab", "weather.csv")
    assert result.code == 2
    assert "context" not in result.err
    assert "weather.csv has none of the columns colour, size" in result.err


def test_another_number_or_date_is_no_slip_of_the_pen():
    from ptheta.errors import nearest

    assert nearest("12", list("0123456789")) == "choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    days = [f"01.{month:02}.2019" for month in range(1, 13)] * 3
    assert "did you mean" not in nearest("01.01.2020", days)
    assert nearest("cifar", ["cifar10", "faces"]) == "did you mean cifar10?"


def test_what_a_compressed_file_holds_beside_the_values_is_counted(ptheta, here):
    done = ptheta("compress", "lab", "table.csv", "--out", "x.ptz", "--json")
    rest = (here / "x.ptz").stat().st_size - done.json["coded_bits"] // 8
    said = f"names, sizes, check sums and what is kept beside the values: {rest:,} bytes"
    assert (said in done.err) == (done.json["values"] > 0 and done.json["stored_blocks"] == 0)
