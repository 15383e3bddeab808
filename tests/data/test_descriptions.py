"""Folders of sounds that metadata files describe: every row of every file, as it is written."""

import io
import json
import re
import wave
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest

from ptheta import Run, fit
from ptheta.data import load
from ptheta.data.codecs import JointCodec, LabelCodec
from ptheta.data.sources.opening import open_source
from ptheta.errors import SourceError
from ptheta.remarks import collecting


def _sound():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\x00\x10" * 100)
    return buffer.getvalue()


SOUND = _sound()


def described(folder, files):
    """Metadata files and, for every sound that they name, a file."""
    for name, lines in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n")
        for sound in re.findall(r"[a-z0-9]+\.wav", "\n".join(lines)):
            if not (path := (folder / name).parent / sound).exists():
                path.write_bytes(SOUND)
    return folder


def rows_of(folder):
    """Split → column → values, as they are read."""
    tables = open_source(folder).tables
    return {
        split: {n: pa.array(v).to_pylist() for chunk in table.chunks([*table.columns]) for n, v in chunk.items()}
        for split, table in tables.items()
    }


def test_all_metadata_files_of_a_split_are_read(tmp_path):
    ann = ["file_name,text", *(f"a{i}.wav,one {i}" for i in range(12))]
    bob = ["file_name,text", *(f"b{i}.wav,two {i}" for i in range(12))]
    for folder in (
        described(tmp_path / "split", {"train/ann/metadata.csv": ann, "train/bob/metadata.csv": bob}),
        described(tmp_path / "whole", {"ann/metadata.csv": ann, "bob/metadata.csv": bob}),
    ):
        (rows,) = rows_of(folder).values()
        assert rows["text"] == [line.split(",")[1] for line in ann[1:] + bob[1:]]
        assert [Path(sound["path"]).name for sound in rows["audio"]] == [
            line.split(",")[0] for line in ann[1:] + bob[1:]
        ]
    lines = [json.dumps({"text": "in JSON", "file_name": "c.wav"})]
    (rows,) = rows_of(described(tmp_path / "both", {"metadata.csv": ann, "metadata.jsonl": lines})).values()
    assert rows["text"] == [*(f"one {i}" for i in range(12)), "in JSON"]
    test = described(tmp_path / "two", {"train/x/metadata.csv": ann, "test/metadata.csv": bob[:3]})
    assert {split: len(rows["text"]) for split, rows in rows_of(test).items()} == {"train": 12, "test": 2}


def test_cells_of_metadata_mean_what_they_do_in_any_csv_file(tmp_path):
    lines = ["file_name,code,said,n,level,share", 'a.wav,007,NA,1,0.5,10%', 'b.wav,012,"null, they say",-2,1e3,5%',
             'c.wav,000,,,2,0%']  # fmt: skip
    described(tmp_path / "of", {"metadata.csv": lines})
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = []
    for source in (tmp_path / "of", tmp_path / "t.csv"):
        with collecting() as remarks:
            (rows,) = rows_of(source).values()
        found.append(({name: rows[name] for name in lines[0].split(",")[1:]}, remarks))
    assert found[0] == found[1]
    assert found[0][0] == {
        "code": ["007", "012", "000"],
        "said": [None, "null, they say", None],
        "n": [1, -2, None],
        "level": [0.5, 1000.0, 2.0],
        "share": [10.0, 5.0, 0.0],
    }
    assert any(said.startswith("code") for said in found[0][1])


def test_sounds_that_no_metadata_file_describes_are_said(tmp_path):
    described(tmp_path, {"metadata.csv": ["file_name,text", *(f"a{i}.wav,b" for i in range(12))]})
    with collecting() as found:
        open_source(tmp_path)
    assert not found
    (tmp_path / "more.wav").write_bytes(SOUND)
    with collecting() as found:
        open_source(tmp_path)
    assert found == [f"left out, not described by any metadata file: 1 sound, such as {tmp_path}/more.wav"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"a/metadata.csv": ["file_name,text", "a.wav,x,y"]},
            r"row 1 of .*a/metadata.csv has 3 cells.*header 2; correct",
        ),
        ({"metadata.csv": ["file_name,text", 'a.wav,"x']}, r"metadata.csv is not a readable CSV file: unexpected end"),
        ({"metadata.csv": ["name,text", "a.wav,x"]}, "metadata.csv has no column 'file_name'"),
        ({"metadata.csv": ["file_name,text", "a.wav,x", ",y"]}, "row 2 of .*metadata.csv names no sound"),
        ({"metadata.csv": ["file_name,a,a", "a.wav,x,y"]}, "metadata.csv has no header, or names a column twice"),
        ({"metadata.jsonl": ['{"file_name": "a.wav"}', "{"]}, "line 2 of metadata.jsonl is not valid JSON"),
        (
            {"metadata.csv": ["file_name,text", "a.wav,x"], "metadata.jsonl": ['{"file_name": "b.wav", "t": "y"}']},
            "column 't' is in only one of .*metadata.csv and .*metadata.jsonl",
        ),
        (
            {"metadata.csv": ["file_name,n", "a.wav,x"], "metadata.jsonl": ['{"file_name": "b.wav", "n": 3}']},
            "column 'n' holds values of different kinds in .*metadata.csv and .*metadata.jsonl",
        ),
        (
            {"metadata.csv": ["file_name,t", "a.wav,x"], "metadata.jsonl": ['{"file_name": "a.wav", "t": "y"}']},
            "a.wav is described by .*metadata.csv and .*metadata.jsonl",
        ),
        (
            {"metadata.csv": ["file_name,t", "a.wav,x"], "train/metadata.csv": ["file_name,t", "a.wav,x"]},
            r"a\.wav lies outside the split folders",
        ),
    ],
)
def test_damaged_metadata_files_are_named(files, said, tmp_path):
    with pytest.raises(SourceError, match=said):
        open_source(described(tmp_path, files))


@pytest.mark.parametrize("context", ["kind", "kind:label", "kind,n"])
def test_a_class_that_a_run_knows_is_no_missing_cell(tmp_path, context):
    kinds = ["EU", "NA", "AS"] * 4
    rows = [f"p{i}.png,{kind},{i}" for i, kind in enumerate(kinds)]
    for i in range(len(kinds)):
        PIL.Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"p{i}.png")
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,kind,n", *rows]) + "\n")
    codec, label = load(tmp_path).codec, LabelCodec(["AS", "EU", "NA"], "kind")
    parts = {"kind": label, "n": LabelCodec([*map(str, range(12))], "n")}
    known = JointCodec({name: part.to_json() for name, part in parts.items()}) if "," in context else label
    data = load(tmp_path, context=context, codec=codec, context_codec=known)
    numbers = np.asarray(data.splits["all"].context).reshape(len(kinds), -1)[:, 0]
    assert [label.classes[int(number)] for number in numbers] == kinds
    if "," not in context:
        with pytest.raises(SourceError, match=r"'kind' is missing at .*p1\.png"):
            load(tmp_path, context=context)


def test_a_run_of_before_knows_a_class_that_now_is_a_word_for_missing_cells(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        PIL.Image.fromarray(np.full((4, 4), i, np.uint8)).save(folder / f"p{i}.png")
    rows = [f"p{i}.png,{('EU', 'NA')[i % 2]}" for i in range(12)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,kind", *rows]) + "\n")
    data = load(folder, context="kind", missing=["none"])
    run = Run.load(fit("independent", data, out=tmp_path / "run", verbose=False).path)
    del run.config["data"]["request"]["missing"]
    assert run.own_data.context_space == data.context_space
    assert run.read(folder).splits["all"].context.tolist() == [0, 1] * 6
