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
