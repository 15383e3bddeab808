"""Contexts of all kinds on the command line: as people have them, in numbers as asked, and refused in one line."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sacrebleu
import torch
from conftest import Result
from PIL import Image
from scipy.io import wavfile

from ptheta.cli.main import main
from ptheta.data.reading import context_of, context_of_parts, events_of_file
from ptheta.runs import Run

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
SMALL = ["--width", "16", "--layers", "1", "--steps", "3"]


def png(colour, seed):
    pixels = np.clip(np.array(colour) + np.random.default_rng(seed).integers(-20, 20, (4, 4, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def tone(path, hertz, seconds=0.1, rate=8000):
    t = np.arange(round(seconds * rate)) / rate
    wavfile.write(path, rate, (8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16))


@pytest.fixture(scope="session")
def context_runs(tmp_path_factory):
    """Pictures with names, pairs of texts and tones with words, and runs that condition each on the other."""
    folder = tmp_path_factory.mktemp("contexts")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names = list(COLOURS) * 14
        table = {
            "img": [{"bytes": png(COLOURS[name], i), "path": None} for i, name in enumerate(names)],
            "text": [f"a {name} car" for name in names],
            "kind": names,
            "size": np.arange(len(names)) / 8,
            "mood": [("good", "bad")[i % 2] for i in range(len(names))],
            "age": np.arange(len(names)) % 7,
        }
        pq.write_table(pa.table(table), "cars.parquet")
        for name, colour in COLOURS.items():
            Path(f"{name}.png").write_bytes(png(colour, 99))
        Image.new("RGB", (5, 4)).save("wide.png")
        Path("photos").mkdir()
        for name in ("one", "two"):
            Path("photos", f"{name}.png").write_bytes(png((90, 90, 90), 7))
        Path("tones").mkdir()
        for i in range(30):
            tone(f"tones/{i:02d}.wav", 500 + 1000 * (i % 2))
        Path("tones/metadata.csv").write_text(
            "file_name,text\n" + "".join(f"{i:02d}.wav,{'high' if i % 2 else 'low'}\n" for i in range(30))
        )
        tone("fast.wav", 500, rate=16000)
        wavfile.write("silent.wav", 8000, np.zeros(800, np.int16))
        wavfile.write("empty.wav", 8000, np.zeros(0, np.int16))
        Path("wishes.txt").write_text("a red car\n\na blue car\n")
        Path("wishes.csv").write_text("id,text\n1,a red car\n2,a green car\n3,a blue car\n")
        Path("many.csv").write_text("kind,size\nred,1\nblue,\n")
        Path("lines.csv").write_text('text\n"a red\ncar, old"\n\n"a ""blue"" car"\n')
        Path("kinds.csv").write_text("kind\nred\n")
        Path("odd.csv").write_text("id,text\n1,a red car\n2,a, car\n")
        Path("open.csv").write_text('text\n"a red car\n')
        Path("sizes.csv").write_text("kind,size\nred,1\nblue,big\n")
        Path("start.txt").write_text("a red car")
        spectra = ["--seconds", "0.08", "--bands", "8", "--levels", "8"]
        for out, words in {
            "draw": ["cars.parquet", "made", "--event", "img", "--context", "text", "--levels", "4"],
            "sure": ["cars.parquet", "made", "--event", "img", "--context", "text", "--context-dropout", "0"],
            "colour": ["cars.parquet", "made", "--event", "img", "--context", "img:grey:2x2"],
            "kind": ["cars.parquet", "made", "--event", "img", "--context", "kind", "--context-dropout", "0"],
            "aged": ["cars.parquet", "made", "--event", "img", "--context", "age"],
            "both": ["cars.parquet", "made", "--event", "img", "--context", "kind,size,img:grey"],
            "strict": ["cars.parquet", "made", "--event", "img", "--context", "kind,size", "--context-dropout", "0"],
            "say": ["cars.parquet", "transformer", "--event", "text", "--context", "img"],
            "hear": ["tones", "transformer", "--event", "text", "--context", "audio", *spectra],
            "speak": ["tones", "made", "--event", "audio", "--context", "text", *spectra],
            "name": ["cars.parquet", "transformer", "--event", "text", "--context", "kind", "--whole"],
            "row": ["cars.parquet", "made", "--event", "mood", "--context", "kind,size"],
            "tell": ["cars.parquet", "transformer", "--event", "text", "--whole"],
        }.items():
            assert main(["fit", *words, *SMALL, "--out", out]) == 0, out
    return folder


@pytest.fixture
def at(context_runs, tmp_path, monkeypatch, capsys):
    """The command line where the runs are; what it writes goes to a folder of this test."""
    monkeypatch.chdir(context_runs)

    def run(*arguments):
        capsys.readouterr()
        words = [str(tmp_path / word[4:]) if str(word).startswith("OUT/") else str(word) for word in arguments]
        code = main(words)
        return Result(code, *capsys.readouterr())

    return run


def names_of(result):
    return [Path(file).name for file in result.json["files"]]


def test_results_are_named_after_their_contexts(at, tmp_path):
    result = at("sample", "draw", "--context", "a red car", "a blue car", "--seed", 1, "--out", "OUT/s", "--json")
    assert names_of(result) == [
        *(f"sample-{i:04d}-a_red_car.png" for i in range(4)),
        *(f"sample-{i:04d}-a_blue_car.png" for i in range(4, 8)),
        "contexts.png",
    ]
    assert result.json["contexts"] == ["a red car"] * 4 + ["a blue car"] * 4
    run = Run.load("draw")
    rows = np.repeat(run.context_codec.encode(["a red car", "a blue car"]), 4, 0)
    x = run.model.sample(8, np.asarray(rows, np.int64), seed=1)
    for file, event in zip(result.json["files"], x):
        np.testing.assert_array_equal(events_of_file(run.codec, file)[0], event)


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["draw", "--context", "a red car"], {"a red car": 4}),
        (["draw", "--context", "a red car", "--each", "2"], {"a red car": 2}),
        (["draw", "--context", "a red car", "a blue car", "-n", "5"], {"a red car": 3, "a blue car": 2}),
        (["draw", "--context", "wishes.txt", "--each", "1"], {"a red car": 1, "a blue car": 1}),
        (["draw", "--context", "wishes.csv", "--each", "1"], {"a red car": 1, "a green car": 1, "a blue car": 1}),
        (["draw", "--context", "text=a red car"], {"a red car": 4}),
        (["kind", "--context", "red", "kind=blue"], {"red": 32, "blue": 32}),
        (["colour", "--context", "red.png"], {"red": 4}),
        (["colour", "--context", "photos", "--each", "1"], {"one": 1, "two": 1}),
        (["say", "--context", "photos"], {"one": 1, "two": 1}),
        (["say", "--context", "red.png", "blue.png", "-n", "3"], {"red": 2, "blue": 1}),
        (["hear", "--context", "tones/00.wav"], {"00": 1}),
        (["say", "--context", "img:4x4=red.png"], {"red": 1}),
        (["speak", "--context", "high", "low"], {"high": 1, "low": 1}),
        (["both", "--context", "kind=red", "size=2", "img=red.png"], {"kind=red size=2 img=red": 4}),
        (["both", "--context", "size:number=2"], {"size=2": 4}),
        (["both", "--context", "many.csv", "--each", "2"], {"kind=red size=1": 2, "kind=blue": 2}),
    ],
)
def test_contexts_are_taken_as_people_have_them(words, counts, at):
    result = at("sample", *words, "--out", "OUT/s", "--json")
    assert result.code == 0, result.err
    found = result.json["contexts"]
    assert {name: found.count(name) for name in dict.fromkeys(found)} == counts
    assert result.json["n"] == len(found)


def test_rows_of_a_table_pair_with_what_is_drawn_for_them(at):
    result = at("sample", "draw", "--context", "lines.csv", "--each", "1", "--seed", "2", "--out", "OUT/s", "--json")
    assert result.json["contexts"] == ["a red car, old", "nothing given", 'a "blue" car']
    run = Run.load("draw")
    rows = run.context_codec.encode(["a red\ncar, old", "", 'a "blue" car']).astype(np.int64)
    rows[1] = -1
    x = run.model.sample(3, torch.from_numpy(rows), seed=2)
    np.testing.assert_array_equal(np.concatenate([events_of_file(run.codec, f) for f in result.json["files"][:3]]), x)
    assert "column 'text' of" not in result.err
    assert "column 'kind' of kinds.csv is taken" in at("sample", "draw", "--context", "kinds.csv", "--out", "OUT/t").err


def test_pictures_as_contexts_stand_beside_their_samples(at, tmp_path):
    at("sample", "colour", "--context", "red.png", "blue.png", "--each", "2", "--out", "OUT/s")
    sheet = np.asarray(Image.open(tmp_path / "s" / "contexts.png"))
    run = Run.load("colour")
    grey = int(np.asarray(run.context_codec.pictures(context_of(run.context_codec, "red.png"))[0])[0, 0])
    assert (sheet == grey).all(-1).any(), "the reduced picture itself is drawn"


def test_texts_are_printed_after_their_contexts_and_a_single_one_alone(at, tmp_path):
    result = at("sample", "say", "--context", "red.png", "photos", "--seed", 3, "--out", "OUT/t.txt")
    lines = result.out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["red", "one", "two"]
    assert (tmp_path / "t.txt").read_text() == result.out
    run = Run.load("say")
    context = np.asarray(run.context_codec.encode(["red.png", "photos/one.png", "photos/two.png"]), np.int64)
    drawn = run.codec.decode(run.model.sample(3, context, seed=3))
    assert [line.split("\t")[1] for line in lines] == [" ".join(text.split()) for text in drawn]
    single = at("sample", "say", "--context", "red.png", "--seed", 3)
    assert single.out.encode() == drawn[0].encode() + b"\n"
    assert at("sample", "tell", "-n", "3", "--json").json["texts"]


def test_beams_find_one_text_for_each_context_with_its_nats(at):
    result = at(
        "sample", "say", "--context", "red.png", "blue.png", "--beams", "3", "--length-penalty", "0.5", "--json"
    )
    assert result.json["contexts"] == ["red", "blue"]
    run = Run.load("say")
    context = np.asarray(run.context_codec.encode(["red.png", "blue.png"]), np.int64)
    x, found = run.model.beam_search(context, beams=3, length_penalty=0.5)
    assert result.json["texts"] == run.codec.decode(x)
    assert result.json["nats"] == pytest.approx([-v for v in found.tolist()])
    assert result.json["nats"] == pytest.approx((-run.model.log_prob(x, context)).tolist(), rel=1e-4)
    assert at("sample", "tell", "--beams", "2").out.count("\n") == 1


def test_the_text_most_like_all_draws_is_printed_with_its_nats(at):
    words = ["sample", "say", "--context", "red.png", "blue.png", "--mbr", "6", "--temperature", "0.9", "--seed", "4"]
    result = at(*words, "--json")
    run = Run.load("say")
    context = torch.from_numpy(np.asarray(run.context_codec.encode(["red.png", "blue.png"]), np.int64))
    drawn = run.model.sample_each(6, context, seed=4, temperature=0.9)
    best = []
    for text, events in zip(result.json["texts"], drawn):
        texts = run.codec.decode(events)
        means = [sum(sacrebleu.sentence_chrf(one, [other]).score for other in texts) / 6 for one in texts]
        assert means[texts.index(text)] == pytest.approx(max(means))
        best.append(events[texts.index(text)])  # as drawn: bytes that are no characters do not come back from a text
    x = torch.stack(best)
    assert result.json["nats"] == pytest.approx((-run.model.log_prob(x, context)).tolist(), rel=1e-4)
    assert at(*words).out.count("\n") == 2
    assert at("sample", "tell", "--mbr", "2").out.count("\n") == 1


def test_guidance_reaches_the_sampler(at):
    plain = at("sample", "draw", "--context", "a red car", "--seed", 5, "--out", "OUT/a", "--json").json["files"]
    strong = at("sample", "draw", "--context", "a red car", "--seed", 5, "--guidance", 3, "--out", "OUT/b", "--json")
    run = Run.load("draw")
    row = np.asarray(run.context_codec.encode(["a red car"]), np.int64)
    x = run.model.sample(4, row, seed=5, guidance=3.0)
    np.testing.assert_array_equal(np.concatenate([events_of_file(run.codec, f) for f in strong.json["files"][:4]]), x)
    assert Path(plain[-1]).read_bytes() != Path(strong.json["files"][-1]).read_bytes()


def test_without_a_context_it_is_said_that_there_is_none(at):
    result = at("sample", "draw", "-n", "2", "--out", "OUT/s", "--json")
    assert "no context given: drawn from p(x)" in result.err
    assert names_of(result) == ["sample-0000.png", "sample-0001.png", "samples.png"]


def test_sounds_come_and_go_as_wav_files(at, tmp_path):
    result = at("sample", "speak", "--context", "high", "low", "--out", "OUT/s", "--json")
    assert names_of(result) == ["sample-0000-high.wav", "sample-0001-low.wav", "contexts.png"]
    rate, samples = wavfile.read(tmp_path / "s" / "sample-0000-high.wav")
    assert (rate, samples.ndim) == (8000, 1)
    again = at("complete", "speak", "tones/03.wav", "--context", "high", "-n", "2", "--out", "OUT/c", "--json")
    assert names_of(again) == ["completion-0000.wav", "completion-0001.wav", "completions.png"]


def test_what_is_done_to_a_context_is_said(at):
    assert "fast.wav is resampled from 16,000 to 8,000 Hz" in at("sample", "hear", "--context", "fast.wav").err
    assert "red.png is resized from 4x4 to 2x2" in at("sample", "colour", "--context", "red.png", "--out", "OUT/a").err
    foreign = at("sample", "draw", "--context", "красная машина", "--out", "OUT/b")
    assert foreign.code == 0
    assert "no letter of 'красная машина' occurs in the texts" in foreign.err
    assert (
        "not conditioned on size" in at("sample", "both", "--context", "kind=red", "img=red.png", "--out", "OUT/c").err
    )
    assert (
        "'txt=a car' is taken as the text itself; the context is called text"
        in at("sample", "draw", "--context", "txt=a car", "--out", "OUT/d").err
    )


def test_whole_texts_are_completed_from_their_own_beginning(at):
    result = at("complete", "tell", "start.txt", "--keep", "0.5", "-n", "3", "--json")
    assert result.json["kept"] == [4]
    assert [text[:4] for text in result.json["texts"]] == ["a re"] * 3


def test_whole_texts_are_scored_by_their_own_bytes_and_ends(at):
    found = at("score", "tell", "cars.parquet", "--out", "OUT/s.parquet", "--json").json
    run = Run.load("tell")
    texts = run.codec.decode(run.data.test.x)
    assert found["bits_per_byte"] == pytest.approx(found["nats"] * len(texts) / np.log(2) / sum(map(len, texts)))
    assert found["nats_per_token"] == pytest.approx(found["nats"] * len(texts) / sum(len(t) + 1 for t in texts))


def test_pairs_are_scored_given_their_contexts(at, tmp_path):
    result = at("score", "draw", "cars.parquet", "--out", "OUT/s.parquet", "--json")
    assert result.code == 0, result.err
    run = Run.load("draw")
    expected = run.model.log_prob(*run.data.test.events()).detach().numpy()
    table = pq.read_table(tmp_path / "s.parquet").to_pandas().sort_values("row")
    np.testing.assert_allclose(table["log_prob"], expected, atol=1e-4)
    assert table["context"].tolist() == run.context_codec.names(run.data.test.context)


def test_the_text_beside_a_single_picture_is_its_context(at, tmp_path):
    (tmp_path / "one.png").write_bytes(png((90, 90, 90), 7))
    (tmp_path / "one.txt").write_text("a red car\n")
    words = ["OUT/one.png", "--event", "image", "--context", "text", "--out", "OUT/s.parquet"]
    found = at("score", "draw", *words, "--json")
    assert found.code == 0, found.err
    run = Run.load("draw")
    row = torch.from_numpy(run.context_codec.encode(["a red car"]).astype(np.int64))
    assert found.json["nats"] == pytest.approx(
        -float(run.model.log_prob(run.events(tmp_path / "one.png"), row).detach()), abs=1e-4
    )


def test_what_looks_like_a_file_is_a_text_where_it_is_named_so(at):
    assert at("sample", "draw", "--context", "text=nofile.png", "--out", "OUT/n").code == 0


def test_events_without_a_column_of_contexts_are_scored_given_one(at, tmp_path):
    run = Run.load("draw")
    x = torch.cat([run.events(f"photos/{name}.png") for name in ("one", "two")])
    row = torch.from_numpy(run.context_codec.encode(["a red car"]).astype(np.int64))
    for words, contexts in ((["a red car"], row), (["a red car", "a blue car"], None)):
        result = at("score", "draw", "photos", "--given", *words, "--out", f"OUT/{len(words)}.parquet", "--json")
        assert result.code == 0, result.err
        if contexts is None:
            contexts = torch.from_numpy(run.context_codec.encode(words).astype(np.int64))
        expected = run.model.log_prob(x, contexts).detach().numpy()
        found = pq.read_table(tmp_path / f"{len(words)}.parquet").to_pandas().sort_values("row")
        np.testing.assert_allclose(found["log_prob"], expected, atol=1e-4)


@pytest.mark.parametrize(
    "given",
    [{"kind": "red", "size": "0.123456789012345"}, {"kind": "red"}, {"size": "2"}],
    ids=lambda given: "+".join(given),
)
def test_rows_drawn_for_contexts_are_scored_given_the_same(given, at, tmp_path):
    words = [f"{name}={value}" for name, value in given.items()]
    assert at("sample", "row", "--context", *words, "-n", 3, "--out", "OUT/s.csv", "--seed", 1).code == 0
    result = at("score", "row", "OUT/s.csv", "--out", "OUT/s.parquet")
    assert result.code == 0, result.err
    run = Run.load("row")
    context = torch.from_numpy(context_of_parts(run.context_codec, words)).expand(3, -1)
    expected = run.model.log_prob(run.events(tmp_path / "s.csv"), context).detach().numpy()
    found = pq.read_table(tmp_path / "s.parquet").to_pandas().sort_values("row")
    np.testing.assert_allclose(found["log_prob"], expected, atol=1e-5)


def test_texts_become_a_table_of_two_columns(at, tmp_path):
    result = at("sample", "say", "--context", "red.png", "photos", "--out", "OUT/t.csv", "--json")
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert table.to_dict("list") == {"context": result.json["contexts"], "text": result.json["texts"]}
    assert at("sample", "tell", "-n", "2", "--out", "OUT/alone.csv").code == 0
    assert pd.read_csv(tmp_path / "alone.csv").columns.tolist() == ["text"]
    assert at("complete", "tell", "start.txt", "wishes.txt", "--out", "OUT/ends.csv", "-n", "1").code == 0
    assert pd.read_csv(tmp_path / "ends.csv")["file"].tolist() == ["start", "wishes"]


def test_texts_drawn_for_labels_have_columns_that_score_reads(at, tmp_path):
    assert at("sample", "name", "--context", "red", "blue", "--each", "2", "--out", "OUT/t.csv", "--seed", 2).code == 0
    table = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert table.columns.tolist() == ["kind", "text"]
    assert table["kind"].tolist() == ["red"] * 2 + ["blue"] * 2
    (tmp_path / "u.csv").write_text("kind,text\n" + "".join(f"{kind},a {kind} car\n" for kind in ("red", "blue")))
    result = at("score", "name", "OUT/u.csv", "--out", "OUT/u.parquet")
    assert result.code == 0, result.err
    run = Run.load("name")
    x = torch.from_numpy(run.codec.encode(["a red car", "a blue car"]).astype(np.int64))
    expected = run.model.log_prob(x, ["red", "blue"]).detach().numpy()
    found = pq.read_table(tmp_path / "u.parquet").to_pandas().sort_values("row")
    np.testing.assert_allclose(found["log_prob"], expected, atol=1e-4)


def test_the_runs_own_events_are_split_as_in_the_fit_whatever_they_are_given(at):
    run = Run.load("kind")
    x = run.data.test.events()[0]
    found = at("score", "kind", "cars.parquet", "--given", "red", "--out", "OUT/s.parquet", "--json", "--force").json
    expected = -run.model.log_prob(x, ["red"]).detach().mean()
    assert found["n"] == len(x)
    assert found["nats"] == pytest.approx(float(expected), rel=1e-5)


def test_new_sounds_of_another_rate_are_said_when_scored(at, tmp_path):
    (tmp_path / "new").mkdir()
    for i in range(2):
        tone(tmp_path / "new" / f"{i}.wav", 500, rate=16000)
    (tmp_path / "new" / "metadata.csv").write_text("file_name,text\n0.wav,low\n1.wav,low\n")
    result = at("score", "hear", "OUT/new", "--out", "OUT/s.parquet")
    assert result.code == 0, result.err
    assert "audio: 2 sounds of 16,000 Hz are resampled to 8,000 Hz" in result.err


def test_divergence_is_taken_at_the_contexts_given(at):
    found = at("divergence", "kind", "kind", "--context", "red", "-n", "20", "--json").json
    assert found["forward_kl"]["value"] == pytest.approx(0, abs=1e-6)
    assert at("divergence", "draw", "draw", "--context", "a red car", "-n", "10").code == 0


def test_a_report_shows_runs_with_contexts(at, tmp_path):
    for run in ("colour", "say", "speak"):
        result = at("report", run, "-n", "20", "--out", f"OUT/{run}.html")
        assert result.code == 0, result.err
    assert "--context photo.png" in (tmp_path / "colour.html").read_text()


def test_runs_show_samples_for_some_contexts(context_runs):
    assert (context_runs / "colour" / "samples.png").exists()
    lines = (context_runs / "hear" / "samples.txt").read_text().splitlines()
    assert all(line.startswith("context-") and "\t" in line for line in lines)
    assert len(list((context_runs / "speak" / "samples").glob("*.wav"))) > 0
    assert "--context sound.wav" in (context_runs / "hear" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sample sure", "sure needs a context; give --context"),
        ("sample kind", "kind needs a context; choose from --context blue green red"),
        ("sample tell --context a", "tell has no context; leave out --context"),
        ("sample kind --context rde", "no kind is called 'rde'; did you mean red?"),
        ("sample colour --context no.png", "no.png does not exist"),
        ("sample draw --context no.txt", "no.txt does not exist"),
        (
            "sample draw --context nofile.png",
            "nofile.png does not exist; check the path, or give the text as text=nofile.png",
        ),
        ("sample draw --context red.png", "red.png is a file, and the context is Document"),
        ("sample say --context wide.png", "wide.png is 4x5 pixels, not 4x4"),
        ("sample hear --context silent.wav", "silent.wav is silent: all 800 samples are 0; remove it"),
        ("sample hear --context empty.wav", "empty.wav contains no samples; remove it"),
        ("sample hear --context red.png", "red.png is a picture, not a sound"),
        ("sample hear --context photos", "photos contains no sounds"),
        ("sample both --context kid=red", "'kid=red' does not name a part of the context; did you mean kind?"),
        ("sample both --context red", "does not name a part of the context; give kind=… size=… img=…"),
        ("sample both --context size=big", "size is 'big', not a number"),
        ("sample both --context many.csv kind=red", "by its parts or as a table"),
        ("sample both --context sizes.csv", "row 2 of sizes.csv: size is 'big', not a number"),
        ("sample kind --context lines.csv", "row 1 of lines.csv: no kind is called"),
        ("sample sure --context lines.csv", "row 2 of lines.csv is empty; fill it in or remove that row, or fit with"),
        ("sample strict --context many.csv", "row 2 of many.csv lacks size; fill it in or remove that row"),
        ("sample draw --context odd.csv", "row 2 of odd.csv has 3 cells, but its header 2; correct it"),
        ("sample draw --context open.csv", "open.csv is not a readable CSV file: unexpected end of data; correct"),
        ("sample draw --context many.csv", "many.csv has no column 'text'; give the column"),
        ("sample draw --context a b c -n 2", "3 contexts are given for 2 events"),
        ("sample draw --context a -n 2 --each 2", "-n and --each both set the number of events; give one"),
        ("sample draw --each 2", "--each needs contexts, and none were given"),
        ("sample draw --context a --each 0", "--each is 0; give at least 1"),
        ("sample draw --guidance 2", "guidance needs a context, and none was given"),
        ("sample sure --context a --guidance 2", "trained without contexts; leave it at 1, or fit with"),
        ("sample draw --context a --guidance -1", "guidance is -1.0; give a finite number"),
        ("sample draw --context a --beams 2", "beam search is for whole texts"),
        ("sample say --context red.png --beams 2 --temperature 0.5", "one text for each context; leave out"),
        ("sample draw --context a --mbr 2", "--mbr is for whole texts"),
        ("sample say --context red.png --mbr 0", "--mbr is 0; give at least 1"),
        ("sample say --context red.png --mbr 2 --beams 2", "two ways to find a text; give one of them"),
        ("sample say --context red.png --mbr 2 --each 2", "one text for each context; leave out -n"),
        (
            "sample say --context red.png --length-penalty 2",
            "--length-penalty has no effect without --beams; give --beams too",
        ),
        (
            "sample say --context red.png --out x.png",
            "cannot be written as a .png file; name a folder, or a .txt or .csv file",
        ),
        ("sample tell --prompt a", "tell draws whole texts from their beginning; leave out --prompt"),
        ("complete say start.txt --context red.png blue.png", "2 contexts are given for 1 event"),
        ("complete tell no.txt", "no.txt cannot be read"),
        ("complete tell red.png", "red.png is a picture, not a text; give a text file"),
        ("sample aged --context 2.5", "no age is called '2.5'"),
        ("sample aged --context 2.5", "; a fit with --context age:number takes any number"),
        ("score draw photos --given a b c", "3 contexts are given for 2 events; give one, or one for each"),
        ("score draw cars.parquet --given a --context text", "leave out --context or --given"),
        ("score tell start.txt --given a", "tell has no context; leave out --given"),
        ("fit cars.parquet made --event img --context img", "'img' is both event and context"),
        ("fit cars.parquet made --event img --context text:8x8", "'text' (string) is not a picture"),
        ("fit cars.parquet made --event img --rate 8000", "the events of cars are not sounds; leave out rate"),
        ("fit cars.parquet made --event img --whole", "are not texts; leave out whole"),
        ("fit tones made --hop 0", "hop is 0; give 0.1 to 1000"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(words, said, at):
    result = at(*words.split())
    assert result.code == 2
    lines = [line for line in result.err.splitlines() if line.startswith("ptheta: ")]
    assert len(lines) == 1
    assert result.err.splitlines()[-1] == lines[0]
    assert said in lines[0]
