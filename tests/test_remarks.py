"""What is left out or reinterpreted is reported: in the notes of data and runs, by every command, once."""

import dataclasses
import json
import os
import unicodedata

import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import ptheta
from ptheta.cli.main import main
from ptheta.data.codecs import LabelCodec
from ptheta.errors import SourceError
from ptheta.remarks import DataWarning, collecting, remark
from ptheta.spaces import Label


def test_without_anyone_who_listens_a_remark_is_a_warning():
    with pytest.warns(DataWarning, match="2 rows were skipped"):
        remark("2 rows were skipped")


def test_an_inner_collector_takes_what_is_remarked_within():
    with collecting() as outer:
        remark("a")
        with collecting() as inner:
            remark("b")
            remark("b")
        remark("c")
    assert (outer, inner) == (["a", "c"], ["b"])


def picture(path, shade=0, size=(6, 6), **options):
    """A grey picture that differs from those of other shades."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(size[0] * size[1]) * 7 + shade * 13) % 251
    Image.fromarray(values.reshape(size).astype(np.uint8)).save(path, **options)


def remarks(source, **options):
    """What is reported of a source."""
    return ptheta.load(source, **options).remarks


@pytest.fixture
def classes(tmp_path):
    """Twelve pictures of cats and twelve of dogs, in folders."""
    for kind in ("cat", "dog"):
        for i in range(12):
            picture(tmp_path / "pets" / kind / f"{i}.png", i)
    return tmp_path / "pets"


def test_nothing_is_remarked_where_all_is_read(classes):
    assert remarks(classes) == []


def test_a_stray_picture_keeps_the_labels_of_the_others(classes):
    picture(classes / "forgotten.png", 99)
    data = ptheta.load(classes)
    assert sum(map(len, data.splits.values())) == 25
    assert data.remarks == [
        f"no label for 1 of 25 pictures, which lie beside the folders of the others: such as {classes}/forgotten.png"
    ]
    assert data.remarks[0] in data.notes
    with pytest.raises(SourceError, match=r"'label' is missing at .*forgotten.png"):
        ptheta.load(classes, context="label")
    (classes / "forgotten.png").unlink()
    assert str(ptheta.load(classes, context="label").context_space) == "Label(cat, dog)"


def test_folders_of_one_name_are_one_label(tmp_path):
    for year in ("2023", "2024"):
        for kind in ("cat", "dog"):
            picture(tmp_path / year / kind / "0.png", 3)
    (remark,) = [one for one in remarks(tmp_path, validation=1) if "cat" in one]
    assert remark == "folders of one name are one label, 'cat': '2023/cat', '2024/cat'"


def test_files_of_other_kinds_are_named(classes):
    for name in ("a.heic", "b.heic", "note.docx", "cat/c.wav"):
        (classes / name).write_bytes(b"x")
    (remark,) = remarks(classes)
    assert remark.startswith("left out, not pictures: 4 files (2 of .heic, 1 of .wav, 1 of .docx), such as ")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_pictures_without_a_row_of_metadata_are_counted(tmp_path, suffix):
    for i in range(12):
        picture(tmp_path / f"{i}.png", i)
    rows = [("file_name", "text")] + [(f"{i}.png", f"picture {i}") for i in range(7)]
    if suffix == "csv":
        text = "".join(f"{name},{text}\n" for name, text in rows)
    else:
        text = "".join(json.dumps(dict(zip(rows[0], row))) + "\n" for row in rows[1:])
    (tmp_path / f"metadata.{suffix}").write_text(text)
    data = ptheta.load(tmp_path, context="text")
    assert sum(map(len, data.splits.values())) == 7
    assert data.remarks == [f"left out, not described by any metadata file: 5 pictures, such as {tmp_path}/10.png"]
    assert sorted(os.path.basename(file) for split in data.splits.values() for file in split.files or []) == [
        f"{i}.png" for i in range(7)
    ]


def test_rows_of_one_metadata_file_belong_to_the_splits_of_their_pictures(tmp_path):
    lines = ["file_name,size"]
    for split, count in (("train", 6), ("test", 3)):
        for i in range(count):
            picture(tmp_path / split / f"{i}.png", i)
            lines.append(f"{split}/{i}.png,{i}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    data = ptheta.load(tmp_path, context="size:number", validation=1)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 5, "validation": 1, "test": 3}
    assert data.test.context is not None
    assert data.test.context.tolist() == [0, 1, 2]


def test_texts_beside_pictures_are_their_context(tmp_path):
    for i in range(12):
        picture(tmp_path / f"{i}.png", i)
        if i:
            (tmp_path / f"{i}.txt").write_text(f"the picture {i}\n")
    (tmp_path / "notes.txt").write_text("not of a picture")
    found = remarks(tmp_path)
    assert found == [
        f"left out, not pictures: 1 file, such as {tmp_path}/notes.txt",
        f"no text lies beside 1 of 12 pictures, such as {tmp_path}/0.png",
    ]
    (tmp_path / "0.txt").write_text("the picture 0")
    (tmp_path / "notes.txt").unlink()
    data = ptheta.load(tmp_path, context="text")
    assert data.remarks == []
    assert data.context_codec is not None
    for split in data.splits.values():
        assert split.files is not None
        assert split.context is not None
        stems = [os.path.basename(file)[:-4] for file in split.files]
        assert data.context_codec.decode(split.context) == [f"the picture {stem}" for stem in stems]


def test_only_a_test_split_is_divided(tmp_path):
    for i in range(12):
        picture(tmp_path / "test" / f"{i}.png", i)
    data = ptheta.load(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 10, "validation": 1, "test": 1}
    assert data.remarks == [f"{tmp_path} has only a test split: it is divided like undivided data"]
    known = ptheta.load(tmp_path, codec=data.codec)
    assert list(known.splits) == ["test"]
    assert known.remarks == []


def test_splits_of_other_names_are_counted():
    x = np.arange(40).reshape(20, 2) % 3
    assert remarks({"train": x, "test": x[:5]}) == []
    parts = {"train": x, "test": x[:5], "unsupervised": x[:7]}
    assert remarks(parts) == ["splits left out of data, neither train nor validation nor test: unsupervised (7 rows)"]


def test_data_files_that_are_not_read_are_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "1,2\n3,4\n" * 10)
    (tmp_path / "extra.parquet").write_bytes(b"")
    (remark,) = remarks(tmp_path)
    assert remark == f"left out, not data of any split: 1 file, such as {tmp_path}/extra.parquet"


def test_a_label_that_train_never_has_is_reported_by_fit_sample_and_score(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [("a", "red"), ("b", "green")] * 12
    (tmp_path / "data").mkdir()
    for split, more in (("train", []), ("test", [("a", "blue")])):
        text = "".join(f"{x},{y}\n" for x, y in [("x", "y"), *rows, *more])
        (tmp_path / "data" / f"{split}.csv").write_text(text)
    said = "y: no training event has the label 'blue', so nothing was learned of it"
    commands = {
        "fit": ["data", "independent", "--event", "x", "--context", "y", "--out", "run"],
        "sample": ["run", "--context", "blue", "red", "-n", "4"],
        "score": ["run", "data"],
        "evaluate": ["run"],
        "classify": ["run", "data"],
    }
    for name, arguments in commands.items():
        assert main([name, *arguments]) == 0
        assert capsys.readouterr().err.count(said) == 1, name
    assert main(["sample", "run", "--context", "red", "-n", "4"]) == 0
    assert said not in capsys.readouterr().err
    assert said in ptheta.Run.load("run").config["data"]["notes"]
    with pytest.warns(DataWarning, match="no training event has the label 'blue'"):
        ptheta.Run.load("run").context_codec.parse("blue")


@pytest.mark.parametrize("composed", ["é", "Å", "각"])
def test_labels_that_look_alike_are_one(tmp_path, monkeypatch, capsys, composed):
    monkeypatch.chdir(tmp_path)
    spellings = [composed, unicodedata.normalize("NFD", composed), f" {composed}\u00a0"]
    x = np.arange(30) % 3
    rows = {"x": x.tolist(), "y": [spellings[i % 3] if i % 2 else "other" for i in range(30)]}
    data = ptheta.load(rows, event="x", context="y")
    assert data.context_space == Label(("other", composed))
    (remark,) = data.remarks
    assert remark.startswith(f"y: spellings that look alike are one label, {composed!r}: ")
    codec = data.context_codec
    assert isinstance(codec, LabelCodec)
    assert codec.encode(spellings).tolist() == codec.encode([composed] * 3).tolist() == [1, 1, 1]
    assert [int(codec.parse(name)[0]) for name in spellings] == [1, 1, 1]
    assert [data.context_space.index(name) for name in spellings] == [1, 1, 1]
    for i, name in enumerate(spellings):
        picture(tmp_path / "pictures" / name / f"{i}.png", i)
        picture(tmp_path / "pictures" / "other" / f"{i}.png", 9 + i)
    data = ptheta.load("pictures", context="label", validation=1)
    assert data.context_space == Label(("other", composed))
    assert any("folders of one name are one label" in text for text in data.remarks)
    assert main(["fit", "pictures", "independent", "--context", "label", "--validation", "1", "--out", "run"]) == 0
    assert main(["compress", "run", "pictures", "--out", "x.ptz"]) == 0
    assert main(["decompress", "run", "x.ptz", "--out", "back"]) == 0
    for path in (tmp_path / "pictures").rglob("*.png"):
        back = tmp_path / "back" / path.relative_to(tmp_path)
        np.testing.assert_array_equal(np.asarray(Image.open(back)), np.asarray(Image.open(path)))


def test_names_that_are_not_utf8_are_shown_or_refused(classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.rename(classes / "cat" / "3.png", os.fsencode(classes / "cat") + b"/caf\xe9.png")
    (remark,) = remarks("pets")
    assert remark == r"file names that are not UTF-8 are shown with \x: 1, such as pets/cat/caf\xe9.png"
    assert main(["fit", "pets", "independent", "--context", "label", "--out", "run"]) == 0
    arguments = ["score", "run", "pets", "--split", "train", "--out", "scores.parquet"]
    assert main(arguments) == 0
    assert r"pets/cat/caf\xe9.png" in pd.read_parquet("scores.parquet")["file"].tolist()
    capsys.readouterr()
    assert main(["score", "run", os.fsdecode(b"pets/cat/caf\xe9.png"), "--given", "cat"]) == 2
    assert capsys.readouterr().err == "ptheta: the path pets/cat/caf\\xe9.png is not UTF-8; rename it\n"
    os.rename("pets/dog", b"pets/\xe9")
    with pytest.raises(SourceError, match=r"the folder name \\xe9 is not UTF-8, and names a class; rename the folder"):
        remarks("pets")


def test_complete_and_compress_report_what_they_read_differently(classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "pets", "independent", "--size", "6x6", "--out", "run"]) == 0
    exif = Image.Exif()
    exif[0x0112] = 3
    picture(tmp_path / "new.png", 5, size=(8, 8), exif=exif)
    capsys.readouterr()
    assert main(["complete", "run", "new.png"]) == 0
    said = "new.png is resized from 8x8 to 6x6 pixels, turned upright, as its EXIF orientation says"
    assert capsys.readouterr().err.splitlines()[0] == said
    assert main(["compress", "run", "new.png", "pets/cat/1.png", "--out", "x.ptz"]) == 0
    assert "stored, since the model cannot give them back exactly: new.png" in capsys.readouterr().err
    assert main(["score", "run", "new.png"]) == 0
    err = capsys.readouterr().err
    assert "image: 1 of 1 pictures are turned upright, as their EXIF orientation says, such as new.png" in err
    assert "pictures of 8×8 pixels, resized to 6×6" in err


def test_metadata_may_name_files_in_full(classes):
    rows = [f"{path},{path.parent.name}" for path in sorted(classes.rglob("*.png"))]
    (classes / "metadata.csv").write_text("\n".join(["file_name,kind", *rows]))
    data = ptheta.load(classes, context="kind")
    assert data.context_space == Label(("cat", "dog"))
    assert sum(map(len, data.splits.values())) == len(rows)


def test_categories_that_look_alike_are_one():
    other = unicodedata.normalize("NFD", "é")
    frame = pd.DataFrame({"a": ["é", other, "b"] * 10, "c": ["x", "y", None, "y", "x", None] * 5})
    for columns in ("a", "a,c"):
        data = ptheta.load(frame, event=columns)
        assert data.remarks == [f"a: spellings that look alike are one category, 'é': {other!a}, '\\xe9'"]
        assert data.codec.levels_of("a").values == ["b", "é"]
        x = data.codec.encode(frame[columns.split(",")])
        assert x[:3, 0].tolist() == [1, 1, 0]
    alone = ptheta.load(frame[frame["a"] != "é"], event=["a", "c"])
    assert not alone.remarks
    assert alone.codec.levels_of("a").values == ["b", other], "a spelling that is the only one stays"
    assert alone.codec.encode(frame[frame["a"] == "é"])[0, 0] == 1, "and is found in the other one"
    first, second = data.codec.columns
    apart = dataclasses.replace(data.codec, columns=[first | {"values": ["b", other, "é"]}, second])
    assert apart.encode(frame)[:3, 0].tolist() == [2, 1, 0], "a run that keeps them apart does so still"


def test_columns_of_one_value_are_reported():
    g = np.random.default_rng(0)
    frame = pd.DataFrame({"a": g.choice(["x", "y"], 60), "class": "k", "n": g.normal(size=60), "z": 1.5})
    assert "columns class, z have one value only" in ptheta.load(frame).notes
    assert "column class has one value only" in ptheta.load(frame.drop(columns="z")).notes
    assert not [line for line in ptheta.load(frame[["a", "n"]]).notes if "one value" in line]


def test_a_validation_of_all_rows_is_refused_with_a_smaller_one():
    frame = pd.DataFrame({"a": ["x", "y"] * 30})
    with pytest.raises(SourceError, match=r"give a smaller validation \(validation\)"):
        ptheta.load(frame, validation=60)


@pytest.mark.parametrize(
    ("names", "first", "rest"),
    [
        ([f"c{i}" for i in range(9)] + ["income"], "income", "…"),
        (["label", *(f"c{i}" for i in range(9))], "label", "…"),
        ([f"c{i}" for i in range(5)] + ["income"], "income", None),
    ],
)
def test_columns_like_labels_are_the_first_that_could_be_the_context(names, first, rest):
    g = np.random.default_rng(0)
    columns = {name: g.choice(list("abcd"[: 2 + i % 3]), 80) for i, name in enumerate(names)}
    [hint] = [line for line in ptheta.load(pd.DataFrame(columns)).notes if line.startswith("context: none; ")]
    assert hint.startswith(f"context: none; --context {first} would condition on ")
    assert ("…" in hint) == (rest is not None)


@pytest.mark.parametrize(("suffix", "name", "others"), [("wav", "sounds", 12), ("md", "texts", 12)])
def test_a_folder_is_what_it_mostly_holds(tmp_path, suffix, name, others):
    """A cover beside sounds and a figure beside texts do not make a folder one of pictures."""
    for i in range(others):
        file = tmp_path / f"{i}.{suffix}"
        if suffix == "wav":
            soundfile.write(file, np.sin(np.arange(2000) * (0.1 + i / 20)), 8000)
        else:
            file.write_text(f"The text number {i}. " * 20)
    picture(tmp_path / "cover.png")
    data = ptheta.load(tmp_path)
    assert data.codec.noun != "picture"
    assert f"left out, not {name}: 1 file, such as {tmp_path}/cover.png" in data.remarks


def test_a_plot_beside_a_table_leaves_it_a_table(tmp_path):
    (tmp_path / "ages.csv").write_text("age,kind\n" + "".join(f"{20 + i},{'ab'[i % 2]}\n" for i in range(40)))
    picture(tmp_path / "plot.png")
    data = ptheta.load(tmp_path)
    assert data.space.shape == (2,)
    assert any(one.startswith("left out") and "plot.png" in one for one in data.remarks)
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
    data = ptheta.load(tmp_path)
    assert data.codec.noun == "picture"
    assert f"left out, not pictures: 1 file, such as {tmp_path}/ages.csv" in data.remarks


@pytest.mark.parametrize("kind", ["array", "frame", "dict", "data set"])
def test_splits_of_unknown_names_in_memory_are_left_out(kind):
    values = np.random.default_rng(0).normal(size=(40, 2))
    make = {
        "array": lambda x: x,
        "frame": lambda x: pd.DataFrame(x, columns=["a", "b"]),
        "dict": lambda x: {"a": x[:, 0], "b": x[:, 1]},
        "data set": lambda x: datasets.Dataset.from_dict({"a": x[:, 0], "b": x[:, 1]}),
    }[kind]
    data = ptheta.load({"train": make(values), "test": make(values[:10]), "holdout": make(values)}, validation=5)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 35, "validation": 5, "test": 10}
    assert data.space.shape == (2,)
    assert data.remarks == ["splits left out of data, neither train nor validation nor test: holdout (40 rows)"]
    if kind != "array":
        with pytest.raises(SourceError, match="the splits old, new; name them train, validation and test"):
            ptheta.load({"old": make(values), "new": make(values)})
