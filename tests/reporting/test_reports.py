"""What a run says about itself, and the files it writes."""

import csv
import io
import math
import re
import shutil
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import ptheta
from ptheta.cli.main import main
from ptheta.data.reading import events_of_file
from ptheta.errors import UsageError
from ptheta.evaluation.baselines import baselines
from ptheta.fitting.results import on_the_same_events
from ptheta.models.counting.tables import Independent, MarkovChain
from ptheta.reporting import card_rows, count, nats, plural, write_events
from ptheta.reporting.comparison import Row, comparison, drawn, lecture_counts, ranked, remarks, sample_quality, sheet
from ptheta.reporting.lettering import text_width
from ptheta.reporting.progress import FitProgress, _time, track
from ptheta.reporting.waiting import console_for, waiting
from ptheta.training import Budget


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run about pictures, and one about labelled pictures."""
    out = tmp_path_factory.mktemp("pictures")
    data = ptheta.load("digits", context="label", limit=40)
    return ptheta.fit("made", data, steps=3, out=out / "run", hyperparameters={"width": 16})


def test_numbers_are_written_to_a_sensible_number_of_digits():
    assert nats(81.0212, 0.4521) == "81.02 ± 0.45"
    assert nats(81.0212, 0.004521) == "81.0212 ± 0.0045"
    assert nats(3.0) == "3.00"
    assert nats(2.0, math.nan) == "2.00"
    assert (nats(math.inf, math.inf), nats(-math.inf), nats(math.nan)) == ("∞", "−∞", "undefined")
    assert count(2**784 - 1) == "1.017e236"
    assert count(10**12 - 1) == "999,999,999,999"
    assert (plural(1, "event"), plural(0, "event"), plural(1200, "event")) == ("1 event", "0 events", "1,200 events")
    assert [_time(s) for s in (0.25, 12.4, 125, 7260)] == ["0.2 s", "12 s", "2 min 5 s", "2 h 1 min"]


def test_the_card_tells_the_score_the_data_and_the_commands(data, tmp_path):
    run = ptheta.fit("made", data, steps=3, out=tmp_path / "my-run", hyperparameters={"width": 16})
    text = (run.path / "README.md").read_text()
    results = run.results()
    assert f"{nats(results['nats'], results['nats_se'])} nats, {results['bits_per_dim']:.4f} bits/dim" in text
    assert "30 test events ± standard error" in text
    assert "my-run    # draw from it" in text
    assert "my-run FILE" in text
    assert "train 60, validation 20, test 30" in text
    assert "| free parameters | " + count(run.model.free_parameters) in text
    assert "![samples]" not in text, "there is no picture"
    assert text.startswith("---\n")


def test_the_card_shows_a_picture_if_there_is_one(pictures):
    text = (pictures.path / "README.md").read_text()
    assert "![samples](samples.png)" in text
    assert "p(x | y)" in text
    assert dict(card_rows(pictures))["context"] == "Label(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"


def test_the_card_of_a_run_that_was_not_scored_says_so(pictures, tmp_path):
    folder = shutil.copytree(pictures.path, tmp_path / "run")
    (folder / "metrics.jsonl").unlink()
    assert dict(card_rows(ptheta.Run.load(folder)))["score"] == "not scored yet"


def test_the_overview_has_a_row_for_every_label(pictures):
    sheet = Image.open(pictures.path / "samples.png")
    columns, margin = 6, 8 + max(text_width(name) for name in "0123456789")
    assert sheet.size == (margin + columns * 66 + 2, 10 * 66 + 2)


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ({"a": ["x", "y", "z", "x"] * 20, "b": ["u", "v"] * 40}, "samples.csv"),
        ({"a": np.linspace(0, 1, 80), "b": np.linspace(5, 6, 80) ** 2}, "samples.csv"),
        (np.linspace(0, 1, 320).reshape(80, 2, 2), "samples.npy"),
    ],
)
def test_samples_have_the_form_of_the_data(source, file, tmp_path):
    data = ptheta.load(source)
    run = ptheta.fit("made", data, steps=2, out=tmp_path / "run", hyperparameters={"width": 8})
    assert (run.path / file).is_file()
    if file.endswith("csv"):
        rows = list(csv.reader((run.path / file).open()))
        assert rows[0] == ["a", "b"]
        assert len(rows) == 65
        if isinstance(source["a"], list):
            assert {row[0] for row in rows[1:]} <= {"x", "y", "z"}
    else:
        assert np.load(run.path / file).shape == (64, 2, 2)


def test_samples_of_text_are_text(tmp_path):
    (tmp_path / "a.txt").write_text("abba " * 100)
    run = ptheta.fit(
        "markov_chain", ptheta.load(str(tmp_path / "a.txt"), length=10, tokenizer="characters"), out=tmp_path / "run"
    )
    nothing, *texts = re.split(r"── \d+ of 16 ──\n", (run.path / "samples.txt").read_text())
    assert not nothing
    assert len(texts) == 16
    assert all(len(text.rstrip("\n")) == 10 and set(text) <= set("ab \n") for text in texts)


def test_samples_written_are_the_events(pictures, tmp_path):
    x = pictures.model.sample(3, ["4"], seed=0)
    files = write_events(pictures, x, tmp_path / "out", torch.full((3,), 4))
    assert [f.name for f in files] == [*(f"sample-000{i}-4.png" for i in range(3)), "contexts.png"]
    for file, event in zip(files, x):
        assert torch.equal(torch.from_numpy(events_of_file(pictures.codec, file)).long()[0], event)
    with pytest.raises(UsageError, match=r"cannot be written as a \.csv file; name a folder or a \.png file"):
        write_events(pictures, x, tmp_path / "out.csv", None)


def test_the_comparison_counts_parameters_as_the_lecture_does():
    assert lecture_counts() == {
        "full joint": "2^784 − 1 ≈ 1.017e236",
        "independent": "784",
        "first-order chain": "1,567",
    }
    space = ptheta.Image(28, 28, levels=2)
    assert Independent(space).free_parameters == 784
    assert MarkovChain(space).free_parameters == 2 * 783 + 1


@pytest.mark.usefixtures("toys")
def test_the_comparison_is_a_table_of_what_was_scored(data, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    names = ("made", "toy_gan", "empirical", "toy_vae")
    runs = [ptheta.fit(name, data, steps=2, out=tmp_path / name) for name in names]
    simple = baselines(data, data.splits["test"], ["Chow–Liu tree"])
    rows = ranked([*(Row.of(run, run.results()) for run in runs), *map(Row.of_baseline, simple)])
    assert [row.name for row in rows[-2:]] == ["empirical", "toy_gan"], "what is infinite, and what has no density"
    values = [row.score.value for row in rows[:-1]]
    assert values == sorted(values), "the best stands first"
    samples = drawn(runs, data, 0)
    quality = sample_quality(samples, data, 0)
    assert quality.keys() == {"train", *names}
    assert sheet(rows, samples, data, 0) is None, "these events are not looked at"
    written = io.StringIO()
    comparison(rows, quality, data, written)
    text = written.getvalue()
    assert f"of all {len(data.splits['test'])} test events, lower is better" in text
    assert "Chow–Liu tree" in text
    assert "inf" not in text
    assert f"{(tmp_path / 'made' / 'model.safetensors').stat().st_size / 1e6:.1f} MB" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.split() and line.split()[0] in names}
    exact = runs[0].results()
    assert f" {exact['nats']:.2f} ± {exact['nats_se']:.2f} " in rows["made"]
    assert "≤" not in rows["made"]
    assert "∞" in rows["empirical"]
    assert rows["toy_vae"].count("≤") == 2
    assert "no density" in rows["toy_gan"]
    for name in names:
        assert f"{quality[name].auroc:.2f}" in rows[name], "samples are measured alike for all"
    assert "≤: an upper bound" in text
    assert "full joint" not in text, "which is a matter of the lecture's pictures"


def test_all_models_are_compared_on_the_same_events_and_shown_on_one_sheet(pictures, tmp_path, monkeypatch):
    data = pictures.data
    few = iter([7, 4])
    monkeypatch.setattr("ptheta.fitting.results._affordable", lambda *_: next(few))
    runs = [ptheta.fit(name, data, steps=2, out=tmp_path / name) for name in ("made", "independent")]
    assert [run.results()["n"] for run in runs] == [7, 4]
    events, results = on_the_same_events(runs, data)
    assert len(events) == 4
    rows = []
    for run, found in zip(runs, results):
        truth = -run.model.log_prob(*data.splits["test"].subset(4).events())
        assert (found["n"], found["of"]) == (4, len(data.splits["test"]))
        assert found["nats"] == pytest.approx(float(truth.detach().mean()), rel=1e-5)
        rows.append(Row.of(run, found))
    written = io.StringIO()
    comparison(rows, {}, data, written)
    assert f"of 4 of {len(data.splits['test'])} test events" in written.getvalue()
    unseen = len(data.splits["test"])
    monkeypatch.setitem(remarks.__globals__, "FEWEST", unseen + 1)
    assert any(line.startswith(f"AUROC is left out: {unseen} events to compare") for line in remarks({}, rows, data))
    monkeypatch.setitem(remarks.__globals__, "FEWEST", 1)
    assert f"AUROC is left out of made, independent: drawing {unseen} samples takes over 30 s" in remarks(
        {}, rows, data
    )
    samples = drawn(runs, data, 0)
    one = sheet(rows[:1], samples, data, 0)
    assert one is not None
    both = sheet(rows, samples, data, 0)
    assert both is not None
    assert both.height > 1.3 * one.height, "a row for each model below the real events"


def test_progress_is_written_to_the_metrics_and_told_without_a_terminal(data, tmp_path, capsys):
    run = ptheta.fit("made", data, steps=4, out=tmp_path / "run", verbose=True, hyperparameters={"width": 8})
    said = capsys.readouterr().err
    lines = [line for line in run.metrics() if "step" in line]
    assert [line["step"] for line in lines] == [1, 4]
    for line in lines:
        scores = f"train average {line['train_nats']:.2f}, validation {line['validation_nats']:.2f} nats"
        spoken = f"step {line['step']}: {scores}"
        assert spoken in said
    assert "fitting 60 events for 4 steps" in said
    assert "30 events" in said
    ptheta.fit("made", data, steps=1, out=tmp_path / "quiet", verbose=False)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_fit_is_a_dozen_lines_and_says_what_next(tmp_path, capsys):
    words = ["fit", "digits", "made", "--width", "8", "--steps", "300", "--limit", "60", "--patience", "0"]
    words += ["--out", str(tmp_path / "run")]
    assert main(words) == 0
    said = capsys.readouterr().err.splitlines()
    steps = [line for line in said if line.startswith("step ")]
    assert steps[0].startswith("step 1:")
    assert steps[-1].startswith("step 300:")
    assert 8 <= len(steps) <= 12
    run = ptheta.Run.load(tmp_path / "run")
    assert len([line for line in run.metrics() if "step" in line]) > len(steps), "all are in the metrics"
    assert [line for line in said if line.startswith("next: ")] == [
        f"next: ptheta sample {run.path}",
        f"next: ptheta report {run.path}",
    ]
    assert main([*words, "--force", "--json"]) == 0
    assert "next: " not in capsys.readouterr().err


def test_what_takes_long_is_shown_and_what_is_quick_is_not(monkeypatch):
    for patience, shown in ((0.01, ["drawing samples …"]), (60.0, [])):
        monkeypatch.setattr("ptheta.reporting.waiting.QUIET", patience)
        written = io.StringIO()
        with waiting("drawing samples", Console(file=written)):
            time.sleep(0.1)
        assert written.getvalue().splitlines()[:1] == shown


def test_how_to_resume_is_one_line_that_a_shell_reads(pictures, capsys):
    import shlex
    from pathlib import Path

    odd = ptheta.Run(Path("runs/a [bold] name " + "x" * 100), pictures.config, pictures.model, pictures.data)
    FitProgress(odd, pictures.data, Budget(steps=1), console=console_for(True), is_main=True).interrupted()
    line = capsys.readouterr().err.splitlines()[-1]
    assert shlex.split(line.removeprefix("resume with: "))[-1] == str(odd.path)


def test_nothing_is_shown_for_what_is_quick(capsys):
    from rich.console import Console

    with track("scoring", 10, Console(stderr=True)) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_where_there_is_no_terminal_long_work_is_shown_in_some_lines(capsys, monkeypatch):
    from ptheta.reporting import progress, waiting

    monkeypatch.setattr(progress, "QUIET", 0.0)
    with progress.track("scoring", 100, console_for(True)) as advance:
        for _ in range(100):
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("scoring: 1 of 100, ")
    assert len(lines) == progress.LINES
    monkeypatch.setattr(waiting, "QUIET", 0.05)
    with progress.track("reporting", 8, console_for(True)):  # of which the first takes long
        time.sleep(0.3)
    assert capsys.readouterr().err.splitlines()[0] == "reporting …"
    with waiting.waiting("drawing", console_for(True)):
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "drawing …"
    assert lines[1] == "drawing …, 0.1 s so far"
    assert len(lines) < 5


def test_a_notebook_shows_lines_of_plain_text(data, tmp_path, capsys, monkeypatch):
    from types import SimpleNamespace

    def fit(name):
        ptheta.fit("made", data, steps=1, out=tmp_path / name, hyperparameters={"width": 4, "layers": 1})
        return capsys.readouterr()

    assert fit("script").err == ""  # no terminal
    for kernel, shown in ((None, False), (object(), True)):  # a shell of IPython in a terminal; a notebook's
        shell = SimpleNamespace(kernel=kernel) if kernel else SimpleNamespace()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        found = fit(f"shell-{shown}")
        assert ("step 1: train average" in found.err) == shown
        assert "\x1b" not in found.err
        assert "\r" not in found.err
        assert found.out == ""
