"""`ptheta score` ranks anomalies: against which events, by which score, and by which file, column or pixel."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ptheta import Run
from ptheta.anomalies import compressed_nats, p_values, typicality
from ptheta.data.reading import events_of_file
from ptheta.evaluation.nats import log_probs


@pytest.fixture
def pictures(ptheta, here):
    """A run on pictures, a background on the same, and new ones, of which one was never possible before."""
    ptheta("fit", "pictures", "independent", "--levels", "4", "--out", "ind")
    (here / "new").mkdir()
    g = np.random.default_rng(5)
    for name in ("c", "a", "b"):
        Image.fromarray(g.integers(0, 256, (8, 8), dtype=np.uint8)).save(here / "new" / f"{name}.png")
    return here


def test_the_rank_among_held_out_events_is_the_p_value(ptheta, pictures):
    result = ptheta("score", "pic", "new", "--out", "s.parquet", "--json")
    table = pd.read_parquet("s.parquet")
    assert list(table["file"]) == [f"new/{name}.png" for name in "abc"]
    run = Run.load("pic")
    x = np.stack([events_of_file(run.codec, file)[0] for file in table["file"]])
    np.testing.assert_allclose(table["log_prob"], run.model.log_prob(x).detach())
    np.testing.assert_allclose(table["anomaly"], -table["log_prob"])
    known = -log_probs(run.model, run.data.test).numpy()
    np.testing.assert_allclose(table["p_value"], p_values(table["anomaly"], known))
    assert (result.json["anomaly"], result.json["calibrated"]) == ("surprise", 3)
    worst = table["anomaly"].argsort()[::-1].tolist()
    assert result.json["strangest"] == worst
    first = next(line for line in result.err.splitlines() if line.startswith("  row index "))
    assert first.startswith(f"  row index {worst[0]}, new/{'abc'[worst[0]]}.png: ")
    assert f"p = {table['p_value'][worst[0]]:.2g}" in first
    assert "p-values: ranks among 3 test events of pictures" in result.err


def test_events_are_never_ranked_among_themselves(ptheta, pictures):
    assert "3 validation events" in ptheta("score", "pic", "pictures", "--out", "a.parquet").err
    assert "3 test events" in ptheta("score", "pic", "pictures", "--split", "train", "--out", "b.parquet").err
    assert "no p-values" in ptheta("score", "pic", "pictures", "--event", "image", "--out", "c.parquet").err


def test_the_ratio_compares_with_a_background(ptheta, pictures):
    found = ptheta("score", "pic", "new", "--against", "ind", "--out", "s.parquet", "--json").json
    table = pd.read_parquet("s.parquet")
    background = Run.load("ind")
    x = np.stack([events_of_file(background.codec, file)[0] for file in table["file"]])
    np.testing.assert_allclose(table["reference"], background.model.log_prob(x))
    np.testing.assert_allclose(table["anomaly"], table["reference"] - table["log_prob"])
    assert found["anomaly"] == "ratio"


def test_complexity_and_typicality_are_told_in_nats(ptheta, pictures):
    ptheta("score", "pic", "new", "--anomaly", "complexity", "--out", "c.parquet")
    table, run = pd.read_parquet("c.parquet"), Run.load("pic")
    size = compressed_nats(run.codec.decode(np.stack([events_of_file(run.codec, file)[0] for file in table["file"]])))
    np.testing.assert_allclose(table["anomaly"], -table["log_prob"] - size)
    result = ptheta("score", "pic", "new", "--anomaly", "typicality", "--out", "t.parquet")
    table = pd.read_parquet("t.parquet")
    entropy = -float(log_probs(run.model, run.data.test)[::2].mean())
    np.testing.assert_allclose(table["anomaly"], typicality(table["log_prob"], entropy))
    assert "most anomalous, by typicality" in result.err
    assert ", typicality " in result.err


def test_without_held_out_events_there_are_no_p_values(ptheta, pictures):
    assert "p_value" not in _scored(ptheta, "pic", "new", "--calibrate", "0")
    assert "p_value" in _scored(ptheta, "ind", "new", "--force")
    (pictures / "pictures" / "0.png").rename(pictures / "pictures" / "99.png")
    result = ptheta("score", "ind", "new", "--out", "c.parquet")
    assert "no p-values: the data of the fit have changed" in result.err
    assert "p_value" not in pd.read_parquet("c.parquet")
    (pictures / "pictures").rename(pictures / "moved")
    result = ptheta("score", "ind", "new", "--out", "m.parquet")
    assert result.code == 0
    assert "no p-values: " in result.err
    assert "p_value" not in pd.read_parquet("m.parquet")


def test_of_the_calibration_events_only_so_many_are_scored(ptheta, pictures):
    assert ptheta("score", "pic", "new", "--calibrate", "2", "--json").json["calibrated"] == 2


def test_without_a_place_no_file_is_replaced_and_a_named_one_only_if_forced(ptheta, pictures):
    for expected in ("pic-scores.parquet", "pic-scores-2.parquet"):
        assert ptheta("score", "pic", "new", "--json").json["out"] == expected
    before = Path("pic-scores.parquet").read_bytes()
    out = ("--out", "pic-scores.parquet")
    assert ptheta("score", "pic", "new", *out).code == 2
    forced = ptheta("score", "pic", "new", "--calibrate", "0", "--force", *out, "--json").json
    assert forced["out"] == "pic-scores.parquet"
    assert Path("pic-scores.parquet").read_bytes() != before


def test_maps_of_surprise_say_which_file_and_how_many_nats(ptheta, pictures, monkeypatch):
    from ptheta.reporting.exhibits import pictures as shown

    seen = []
    draw = shown.surprise_grid
    monkeypatch.setattr(shown, "surprise_grid", lambda *a, **k: seen.append(k["captions"]) or draw(*a, **k))
    table = _scored(ptheta, "pic", "new", "--per-dimension")
    order = table["log_prob"].argsort()
    assert seen == [[f"{Path(table['file'][row]).stem}: {-table['log_prob'][row]:.2f}" for row in order]]


def test_the_columns_that_make_a_row_strange_are_named(ptheta, here):
    g = np.random.default_rng(0)
    colours = g.choice(["red", "green"], 400)
    frame = pd.DataFrame({"colour": colours, "fruit": np.where(colours == "red", "cherry", "lime")})
    frame["size"] = g.choice(["S", "M", "L"], 400)
    frame.to_csv("fruit.csv", index=False)
    odd = pd.DataFrame({"colour": ["red"] * 4, "fruit": ["cherry", "cherry", "lime", "cherry"], "size": list("SMLS")})
    odd.to_csv("odd.csv", index=False)
    assert ptheta("fit", "fruit.csv", "markov_chain", "--columns", "categories", "--out", "fruit").code == 0
    result = ptheta("score", "fruit", "odd.csv", "--out", "s.parquet", "--json")
    assert result.json["strangest"][0] == 2
    assert result.json["anomaly"] == "either"
    assert ", by the larger of surprise and distance from training events; all are in s.parquet" in result.err
    assert "(improbable)" in result.err or "(far from training)" in result.err
    assert (pd.read_parquet("s.parquet")["distance"].idxmax(), result.json["calibrated"]) == (2, 30)
    assert ptheta("score", "fruit", "odd.csv", "--calibrate", "0", "--json").json["anomaly"] == "surprise"
    near = ptheta("score", "fruit", "odd.csv", "--anomaly", "neighbours", "--out", "n.parquet", "--json").json
    assert (near["anomaly"], near["strangest"][0]) == ("neighbours", 2)
    line = next(line for line in result.err.splitlines() if line.startswith("  row index 2"))
    assert "nats above the average: fruit = lime " in line
    run = Run.load("fruit")
    pieces = run.model.log_prob_per_dimension(events_of_file(run.codec, "odd.csv"))[2]
    usual = -run.model.log_prob_per_dimension(run.data.test.events()[0]).mean(0)
    assert f"fruit = lime {float(-pieces[1] - usual[1]):.2f}" in line
    assert "log_prob_per_dimension" not in pd.read_parquet("s.parquet")


def test_impossible_rows_rank_first_and_nothing_is_nan(ptheta, here):
    assert ptheta("fit", "table.csv", "empirical", "--columns", "categories", "--out", "memory").code == 0
    (here / "odd.csv").write_text("colour,size,kind\nred,S,hat\n" + "\n".join(
        f"{c},{s},{k}" for c in ("red", "green") for s in "SML" for k in ("hat", "shoe")) + "\n")  # fmt: skip
    run = Run.load("memory")
    log_prob = run.model.log_prob(events_of_file(run.codec, "odd.csv")).numpy()
    result = ptheta("score", "memory", "odd.csv", "--out", "s.parquet", "--json")
    assert result.json["zero_probability"] == np.isneginf(log_prob).sum()
    for method in ("surprise", "typicality"):
        ptheta("score", "memory", "odd.csv", "--anomaly", method, "--out", f"{method}.parquet")
        table = pd.read_parquet(f"{method}.parquet")
        assert not table.isna().any().any()
        np.testing.assert_array_equal(np.isposinf(table["anomaly"]), np.isneginf(log_prob))


def test_documents_name_their_files(cli, tmp_path):
    cli("score", "bytes", "new", "--out", tmp_path / "s.parquet")
    assert list(pd.read_parquet(tmp_path / "s.parquet")["file"]) == [f"new/{i:02d}.txt" for i in range(3)]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--anomaly ratio", "needs a background"),
        ("--anomaly surprise --against ind", "surprise has no background"),
        ("--anomaly strange", "'strange', not one of 'complexity', 'either', 'neighbours', 'ratio', 'surprise', 'typ"),
        ("--anomaly suprise", "'typicality'; did you mean surprise?"),
        ("--against num", "num models Real"),
        ("--against nowhere", "no run folder nowhere"),
        ("--calibrate -1", "--calibrate is -1"),
        ("--anomaly typicality --calibrate 0", "typicality needs events that were held out"),
    ],
)
def test_what_does_not_fit_is_one_line(flags, said, ptheta, pictures):
    before = set(pictures.rglob("*"))
    result = ptheta("score", "pic", "new", *flags.split())
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert said in line
    assert set(pictures.rglob("*")) == before


def test_complexity_is_for_pictures_and_texts_are_ranked_by_rate(ptheta, here):
    assert "is for pictures" in ptheta("score", "num", "numbers.csv", "--anomaly", "complexity").err
    assert "ranked by bits/byte" in ptheta("score", "txt", "text.txt", "--anomaly", "typicality").err


def _scored(ptheta, *arguments):
    assert ptheta("score", *arguments, "--out", "scored.parquet").code == 0
    return pd.read_parquet("scored.parquet")


def test_a_row_is_that_of_the_source_however_it_was_divided(ptheta, here):
    result = ptheta("score", "lab", "table.csv", "--out", "s.csv", "--json")
    assert "events of table (test split)" in result.err
    table, frame, run = pd.read_csv("s.csv"), pd.read_csv("table.csv"), Run.load("lab")
    assert 0 < len(table) < len(frame)
    assert table["row"].tolist() != list(range(len(table)))
    named = frame.iloc[table["row"]]
    np.testing.assert_allclose(table["log_prob"], run.log_prob(named), atol=1e-6)
    assert list(table["context"]) == list(named["kind"])
    worst = result.json["strangest"]
    assert set(worst) <= set(table["row"])
    assert f"  row index {worst[0]}: " in result.err
    few = ptheta("score", "lab", "table.csv", "--limit", "3", "--split", "train", "--out", "few.parquet")
    assert few.code == 0, few.err
    part = pd.read_parquet("few.parquet")
    assert set(part["row"]).isdisjoint(table["row"])
    np.testing.assert_allclose(part["log_prob"], run.log_prob(frame.iloc[part["row"]]), atol=1e-6)


def test_scores_go_to_parquet_or_csv_and_others_are_refused_before_anything_is_read(ptheta, here):
    for name, words in (("s.json", "as a .json file; name a .parquet or .csv file"), ("s", "into a folder")):
        assert words in ptheta("score", "lab", "nothing.csv", "--out", name).err
    refused = ptheta("score", "num", "numbers.csv", "--per-dimension", "--out", "s.csv")
    assert "lists of nats cannot be written as CSV; name a .parquet file" in refused.err
    assert not Path("s.csv").exists()
