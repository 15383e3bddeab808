"""`evaluate` and `classify` say what Python says, write what they made, and refuse in one line."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from ptheta.classifying import classify
from ptheta.cli.main import main
from ptheta.runs import Run

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def png(colour, seed):
    pixels = np.clip(np.array(colour) + np.random.default_rng(seed).integers(-20, 20, (4, 4, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("judging")
    names = list(COLOURS) * 20
    rows = {"img": [{"bytes": png(COLOURS[name], i), "path": None} for i, name in enumerate(names)]}
    table = pa.table({**rows, "text": [f"a {name} car" for name in names], "kind": names})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        pq.write_table(table, "cars.parquet")
        pq.write_table(pa.table(rows).slice(0, 6), "unlabelled.parquet")
        pq.write_table(pa.table({**rows, "kind": ["teal"] * 60}), "unknown.parquet")
        words = ["--width", "16", "--layers", "1", "--steps", "3"]
        fits = {
            "kinds": ["independent", "--event", "img", "--context", "kind", "--levels", "4"],
            "alone": ["independent", "--event", "img", "--levels", "4"],
            "words": ["transformer", "--event", "text", "--context", "img", *words],
        }
        for name, arguments in fits.items():
            assert main(["fit", "cars.parquet", *arguments, "--out", name]) == 0
    return place


@pytest.fixture
def say(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(*arguments):
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_evaluate_tells_nats_gains_and_metrics(say):
    code, out, _ = say("evaluate", "kinds", "--against", "alone", "--samples", "2", "--json")
    found = json.loads(out.splitlines()[-1])
    run = Run.load("kinds")
    x, y = run.data.test.events()
    told, untold = run.model.log_prob(x, y), Run.load("alone").model.log_prob(x)
    assert code == 0
    assert found["nats"] == pytest.approx(-float(told.mean()))
    assert found["gains"]["p(x) of alone"]["value"] == pytest.approx(float((told - untold).mean()))
    assert set(found["metrics"]) == {"model", "shuffled labels", "real pictures"}
    code, out, _ = say("evaluate", "kinds")
    assert code == 0
    assert "gain of" in out
    assert "agreement" in out


def test_evaluate_writes_what_it_made(say, tmp_path):
    code, _, _ = say("evaluate", "kinds", "--limit", "3", "--samples", "2", "--out", tmp_path / "made")
    assert code == 0
    assert len(list((tmp_path / "made").glob("sample-*.png"))) == 6
    assert (tmp_path / "made" / "contexts.png").is_file()
    code, _, _ = say("evaluate", "words", "cars.parquet", "--beams", "2", "--out", tmp_path / "texts")
    lines = (tmp_path / "texts" / "texts.tsv").read_text().splitlines()
    assert lines[0] == "context\treference\toutput"
    assert len(lines) == 1 + len(Run.load("words").data.test)
    code, out, _ = say("evaluate", "words", "--limit", "3", "--mbr", "4", "--temperature", "0.5", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["task"].endswith("by chrF among 4 draws, temperature 0.5")
    code, _, err = say("evaluate", "words", "--limit", "3", "--temperature", "0.5")
    assert code == 2
    assert "--temperature has no effect without --mbr" in err


@pytest.mark.parametrize(
    "words", [["cars.parquet", "--event", "img", "--context", "kind"], ["--context", "kind"], ["--event", "img"]]
)
def test_the_columns_of_the_fit_written_out_change_nothing(say, words):
    plain = json.loads(say("evaluate", "kinds", "--json")[1].splitlines()[-1])
    code, out, err = say("evaluate", "kinds", *words, "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1]) == plain
    assert plain["split"] == "test"
    assert "warning" not in err


def test_columns_written_out_are_still_the_runs_own_when_classifying(say):
    plain = say("classify", "kinds", "cars.parquet", "--no-baselines", "--json")[1]
    assert say("classify", "kinds", "cars.parquet", "--context", "kind", "--no-baselines", "--json")[1] == plain


def test_events_that_were_learned_from_are_warned_of(say, folder):
    run = Run.load("kinds")
    x, train = Run.load("kinds").read("cars.parquet").splits["all"].x, run.data.train.x
    learned = sum(bool((row == train).all((1, 2, 3)).any()) for row in x)
    assert learned >= len(train)
    said = f"{learned} of the 60 events judged are among those that kinds was trained on"
    (folder / "copy.parquet").write_bytes((folder / "cars.parquet").read_bytes())
    for command in ("evaluate", "classify"):
        code, out, err = say(command, "kinds", "copy.parquet", "--json")
        assert code == 0
        assert any(line.startswith(f"warning: {said}") for line in err.splitlines())
        assert json.loads(out.splitlines()[-1])["notes"][0].startswith(said)
    known = sum(bool((row == train).all((1, 2, 3)).any()) for row in x[:6])
    assert known > 0
    err = say("classify", "kinds", "unlabelled.parquet")[2]
    assert f"warning: {known} of the 6 events judged are among those that kinds was trained on\n" in err


def test_an_impossible_event_gets_an_empty_prediction(say, monkeypatch):
    import ptheta.classifying

    def halved(*arguments, **options):
        found = classify(*arguments, **options)
        found[1] = torch.nan
        return found

    monkeypatch.setattr(ptheta.classifying, "classify", halved)
    lines = say("classify", "kinds", "unlabelled.parquet")[1].splitlines()
    assert lines[1] == "1\t\t"
    assert [line.split("\t")[1] for line in lines] == ["red", "", "blue", *COLOURS]


def test_the_same_seed_gives_the_same_judgement(say):
    first, second = (say("evaluate", "kinds", "--seed", 4, "--json")[1] for _ in range(2))
    assert first == second


def test_classify_is_bayes_and_writes_every_row(say, tmp_path):
    code, out, err = say("classify", "kinds", "cars.parquet", "--out", tmp_path / "p.csv", "--json", "--prior", "train")
    found = json.loads(out.splitlines()[-1])
    run = Run.load("kinds")
    x, y = run.data.test.events()
    p = classify(run, x, prior="train")
    frame = pd.read_csv(tmp_path / "p.csv")
    assert code == 0
    assert found["accuracy"] == float((p.argmax(1) == y).double().mean())
    assert found["log_loss"] == pytest.approx(float(-p[torch.arange(len(y)), y].log().mean()), abs=1e-9)
    names = list(run.model.context_space.names)
    np.testing.assert_allclose(frame[[f"p({name})" for name in names]], p, atol=1e-12)
    assert frame["predicted"].tolist() == [names[k] for k in p.argmax(1)]
    assert set(found["baselines"]) == {"most frequent label", "logistic regression", "RBF SVC"}
    assert found["baselines"]["RBF SVC"]["accuracy"] == found["baselines"]["RBF SVC"]["auroc"] == 1
    assert [line.split()[0] for line in err.splitlines()[-6:-2]] == ["accuracy", "Bayes", "most", "logistic"]


def test_events_without_labels_are_classified_and_not_judged(say):
    code, out, err = say("classify", "kinds", "unlabelled.parquet")
    assert code == 0
    assert [line.split("\t")[1] for line in out.splitlines()] == list(COLOURS) * 2
    assert "without labels" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "alone"], "has no context"),
        (["evaluate", "kinds", "--samples", "0"], "--samples is 0"),
        (["evaluate", "kinds", "--split", "tset"], "did you mean test?"),
        (["evaluate", "kinds", "--against", "words"], "encoded differently"),
        (["evaluate", "nothing"], "no run folder"),
        (["classify", "words", "cars.parquet"], "is not a label"),
        (["classify", "kinds", "cars.parquet", "--out", "x.txt"], "is not a table"),
        (["classify", "kinds", "cars.parquet", "--limit", "0"], "--limit is 0"),
        (["classify", "kinds", "unknown.parquet"], "teal"),
        (["classify", "kinds", "nothing.parquet"], "nothing.parquet"),
    ],
)
def test_errors_are_one_line(say, words, said):
    code, out, err = say(*words)
    assert code == 2
    assert out == ""
    assert said in err.splitlines()[-1]
