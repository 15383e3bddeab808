"""Documents become streams: nothing is lost, nothing is held in memory, and every cut can be learned from."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ptheta.data import load
from ptheta.data.splits import fingerprint
from ptheta.data.streams import TextSplit
from ptheta.errors import SourceError

DOCUMENTS = [f"Document {i}.\nIt says {i * i} — ünïcode.\n" * (1 + i % 3) for i in range(12)]


def texts(data, split):
    part = data.splits[split]
    found = []
    for i in range(len(part.ends)):
        tokens = part.document(i)
        if data.codec.end is not None:
            assert tokens[-1] == data.codec.end
            assert data.codec.end not in tokens[:-1]
        found += data.codec.decode(tokens[None])
    return found


def write_folder(path, documents, split="train"):
    (path / split).mkdir(parents=True)
    for i, document in enumerate(documents):
        (path / split / f"{i:03}.txt").write_text(document, encoding="utf-8")
    return path


@pytest.mark.parametrize("tokenizer", ["bytes", "characters", "bpe"])
@pytest.mark.parametrize("form", ["folder", "jsonl", "long jsonl", "parquet", "frame", "array"])
def test_documents_are_the_same_however_they_are_kept(tmp_path, monkeypatch, form, tokenizer):
    frame = pd.DataFrame({"text": DOCUMENTS})
    codec = load(frame, length=8, tokenizer=tokenizer).codec
    if form == "long jsonl":
        monkeypatch.setattr("ptheta.data.sources.json_tables.IN_PARTS", 1)
        monkeypatch.setattr("ptheta.data.sources.json_lines.CHUNK_BYTES", 100)
    source = {"frame": frame, "array": {"text": np.array(DOCUMENTS)}}.get(form, tmp_path / "a.jsonl")
    if form == "folder":
        source = write_folder(tmp_path / "folder", DOCUMENTS)
    elif form == "parquet":
        source = tmp_path / "a.parquet"
        pq.write_table(pa.table({"text": DOCUMENTS}), source)
    elif "jsonl" in form:
        source.write_text("\n".join(json.dumps({"text": text}) for text in DOCUMENTS))
    again = load(source, codec=codec)
    assert texts(again, "all") == DOCUMENTS
    made = load(source, length=8, tokenizer=tokenizer)
    assert made.codec == codec
    whole = np.concatenate([made.splits[s].stream for s in ("train", "validation", "test")])
    np.testing.assert_array_equal(whole, again.splits["all"].stream)


def test_blocks_are_a_view_of_the_stream_and_documents_lose_nothing():
    stream = np.arange(23, dtype=np.uint8)
    split = TextSplit(stream, np.array([3, 3, 20, 23]), 5)
    assert len(split) == 4
    assert np.shares_memory(split.x, stream)
    assert split.x.tolist() == stream[:20].reshape(4, 5).tolist()
    np.testing.assert_array_equal(np.concatenate([split.document(i) for i in range(4)]), stream)
    assert len(split.document(1)) == 0
    assert split.events()[0].tolist() == split.x.tolist()
    assert [x.tolist() for x, _ in split.batches(3)] == [split.x[:3].tolist(), split.x[3:].tolist()]
    subset = split.subset(2, seed=1)
    assert not isinstance(subset, TextSplit)
    assert all(row in split.x.tolist() for row in subset.x.tolist())


def test_parts_of_a_stream_cut_the_documents_that_reach_across():
    split = TextSplit(np.arange(20), np.array([4, 10, 17, 20]), 2)
    assert split.part(0, 10).ends.tolist() == [4, 10]
    assert split.part(2, 12).ends.tolist() == [2, 8, 10]
    assert split.part(11, 13).ends.tolist() == [2]
    assert split.part(4, 4).ends.tolist() == []
    assert split.part(2, 12).document(2).tolist() == [10, 11]


def test_learning_sees_every_cut_and_scoring_only_one():
    split = TextSplit(np.arange(47, dtype=np.int16), np.array([47]), 5)
    starts = set()
    for seed in range(40):
        x, context = split.events(torch.arange(9), torch.Generator().manual_seed(seed))
        assert context is None
        assert x.dtype == torch.int64
        assert (x - x[:, :1] == torch.arange(5)).all(), "tokens in a row"
        shift = x[:, 0] - 5 * torch.arange(9)
        assert int(shift.min()) >= 0
        assert int(shift.max()) < 5
        starts |= set(x[:, 0].tolist())
    assert starts == set(range(43)), "and none beyond the stream"
    again = split.events(torch.tensor([3, 1]), torch.Generator().manual_seed(0))[0]
    assert torch.equal(again, split.events([3, 1], torch.Generator().manual_seed(0))[0])
    assert len(split.events(slice(2, 6), torch.Generator())[0]) == 4
    assert len(split.events(None, torch.Generator())[0]) == 9


def test_the_fingerprint_covers_what_is_in_no_block_and_where_documents_end():
    stream, ends = np.arange(23, dtype=np.uint8), np.array([3, 23])
    before = fingerprint({"train": TextSplit(stream, ends, 5)})
    other = stream.copy()
    other[22] = 0
    assert fingerprint({"train": TextSplit(other, ends, 5)}) != before
    assert fingerprint({"train": TextSplit(stream, np.array([4, 23]), 5)}) != before
    assert fingerprint({"train": TextSplit(stream.copy(), ends, 5)}) == before


def test_one_text_is_cut_in_order():
    text = "the quick brown fox. " * 100
    data = load(pd.DataFrame({"text": [text]}), length=16)
    n = len(text) // 16
    assert len(data.validation) == len(data.test) == round(n * 0.05)
    assert data.codec.decode(np.concatenate([data.splits[s].stream for s in data.splits])[None]) == [text]
    assert [len(data.splits[s].stream) % 16 for s in ("train", "validation", "test")] == [0, 0, len(text) % 16]
    assert "1 document, no end token" in data.notes
    assert "tokens: 256 bytes" in data.notes
    assert any(f"test: the last {len(text) % 16} tokens do not fill an event" in note for note in data.notes)
    assert len(load(pd.DataFrame({"text": [text]}), length=16, validation=7).validation) == 7
    assert "validation" not in load(pd.DataFrame({"text": [text]}), length=16, validation=0).splits


def test_many_documents_are_drawn_whole():
    documents = [f"{i:04} {'x' * (i % 7)}" for i in range(150)]
    data = load(pd.DataFrame({"text": documents}), length=8)
    found = {split: texts(data, split) for split in ("train", "validation", "test")}
    assert {split: len(part) for split, part in found.items()} == {"train": 120, "validation": 15, "test": 15}
    assert sorted(text for part in found.values() for text in part) == documents
    assert found["train"] == sorted(found["train"])
    assert found["validation"] != documents[120:135], "drawn, not cut"
    assert texts(load(pd.DataFrame({"text": documents}), length=8), "test") == found["test"]
    assert texts(load(pd.DataFrame({"text": documents}), length=8, seed=1), "test") != found["test"]
    assert "150 documents, each ends with an end-of-document token" in data.notes
    assert any("15 documents" in note and "seed 0" in note for note in data.notes)


@pytest.mark.parametrize("count", [3, 120])
def test_published_splits_are_kept(count):
    frames = {s: pd.DataFrame({"text": [f"{s} {i:03}" for i in range(count)]}) for s in ("train", "validation", "test")}
    data = load(frames, length=4)
    for split, frame in frames.items():
        assert texts(data, split) == frame["text"].tolist()
    del frames["validation"]
    data = load(frames, length=4)
    assert texts(data, "test") == frames["test"]["text"].tolist()
    if count == 3:
        whole = np.concatenate([data.train.stream, data.validation.stream])
        assert data.codec.decode(whole[None]) == ["".join(frames["train"]["text"])]
        assert len(data.validation) == 1
    else:
        assert sorted(texts(data, "train") + texts(data, "validation")) == frames["train"]["text"].tolist()
        assert len(data.validation.ends) == 12


def test_a_limit_takes_the_first_blocks():
    documents = [f"document {i}" for i in range(30)]
    whole, data = (load(pd.DataFrame({"text": documents}), length=8, limit=limit) for limit in (None, 3))
    assert len(data.train) == 3
    assert isinstance(data.train, TextSplit)
    np.testing.assert_array_equal(data.train.stream, whole.train.stream[:24])
    assert data.train.ends.tolist() == [11, 22, 24]
    assert any("limit: the first 3 events" in note for note in data.notes)


def test_a_run_reads_short_documents_to_score_them(tmp_path):
    codec = load(pd.DataFrame({"text": DOCUMENTS}), length=64).codec
    path = tmp_path / "short.txt"
    path.write_text("short")
    data = load(path, codec=codec)
    assert len(data.splits["all"]) == 0
    assert texts(data, "all") == ["short"]
    several = load(pd.DataFrame({"text": ["a", "", "b"]}), codec=codec)
    assert texts(several, "all") == ["a", "", "b"]
    alone = load(pd.DataFrame({"text": [DOCUMENTS[0] * 9]}), length=4).codec
    assert alone.end is None
    assert texts(load(pd.DataFrame({"text": ["a", "", "b"]}), codec=alone), "all") == ["a", "", "b"]


def test_too_little_text_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("too short")
    with pytest.raises(SourceError, match=r"a\.txt has 9 tokens, fewer than one event of 256; give more text"):
        load(path)
    with pytest.raises(SourceError, match="makes 2 events, too few for train, validation and test"):
        load(path, length=4)
    for tokenizer in ("bytes", "characters", "bpe"):
        with pytest.raises(SourceError, match="has no text"):
            load(pd.DataFrame({"text": ["", ""]}), event="text", tokenizer=tokenizer)
    frames = {"train": pd.DataFrame({"text": ["long " * 20]}), "test": pd.DataFrame({"text": ["tiny"]})}
    with pytest.raises(SourceError, match="test of data has 4 tokens, fewer than one event of 8"):
        load(frames, length=8)
    with pytest.raises(SourceError, match="column 'text' is missing at row 2"):
        load(pd.DataFrame({"text": ["a long enough text", None]}), event="text", length=4)
    published = {s: pd.DataFrame({"text": ["long " * 20]}) for s in ("train", "validation")}
    with pytest.raises(SourceError, match="has its own validation split"):
        load(published, length=8, validation=0.2)
    with pytest.raises(SourceError, match="no train split"):
        load({"test": published["train"], "validation": published["train"]}, length=8)


def test_long_files_of_lines_say_which_line_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.data.sources.json_tables.IN_PARTS", 1)
    path = tmp_path / "a.jsonl"
    good = [json.dumps({"id": i, "text": f"text number {i} is long enough"}) for i in range(5)]
    path.write_text("\ufeff" + "\n".join([*good[:2], "", "{not json", *good[2:]]), encoding="utf-8")
    with pytest.raises(SourceError, match=r"line 4 of a\.jsonl is not valid JSON"):
        load(path, length=8)
    path.write_text("\n".join([*good, "[1]"]))
    with pytest.raises(SourceError, match=r"line 6 of a\.jsonl is not a JSON object"):
        load(path, length=8)
    path.write_text("\n".join([*good, "", '{"id": 7, "text": 7}']))
    with pytest.raises(SourceError, match=r"column 'text' is 7 in line 7 of a\.jsonl, but string before"):
        load(path, length=8)
    path.write_text("\n".join([*good, '{"id": 7}']))
    with pytest.raises(SourceError, match=r"column 'text' is missing at row 6"):
        load(path, length=8)
    path.write_text("\n\n".join(good) + "\n")
    assert load(path, length=8).notes[0].startswith("event: text")


def test_streams_beyond_memory_are_files_with_the_same_tokens(monkeypatch):
    frame = pd.DataFrame({"text": DOCUMENTS})
    small = load(frame, length=8)
    monkeypatch.setattr("ptheta.data.streams.IN_MEMORY", 64)
    mapped = load(frame, length=8)
    assert isinstance(mapped.train.stream, np.memmap)
    assert isinstance(mapped.train.x, np.memmap)
    assert mapped.fingerprint == small.fingerprint
    assert torch.equal(mapped.train.events()[0], small.train.events()[0])
    draw = [s.events([0, 2], torch.Generator().manual_seed(1))[0] for s in (mapped.train, small.train)]
    assert torch.equal(*draw)
    assert {x.dtype for x, _ in mapped.train.batches(2)} == {torch.int16}


MEASURE = """
import os, re, sys
from pathlib import Path
import pandas, datasets, pyarrow.parquet, tokenizers
from ptheta.data import load, splits, streams

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

streams.IN_MEMORY = 2**20
splits.fingerprint = lambda _: "-"  # it reads the mapped stream, whose pages are the system's to keep or drop
for path in (*Path().glob("small.*"), *sys.argv[1:]):
    name, _, tokenizer = str(path).partition(":")
    if not tokenizer:
        load(name, length=8)  # what is imported on the way
    elif os.fork() == 0:
        before = peak()
        data = load(name, tokenizer=tokenizer, length=256)
        print(peak() - before, sum(len(split.stream) for split in data.splits.values()))
        sys.exit()
    else:
        assert os.wait()[1] == 0
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_a_large_corpus_is_never_in_memory(tmp_path):
    lines = "A line of some length, as there are many in this file.\n" * 2**8
    for form, large in (("txt", 2**27), ("jsonl", 2**28)):
        block = (lines if form == "txt" else json.dumps({"text": lines}) + "\n").encode()
        for name, size in (("small", 2**12), ("large", large)):
            with (tmp_path / f"{name}.{form}").open("wb") as file:
                file.writelines([block] * (1 + size // len(block)))
    cases = ("large.txt:bytes", "large.txt:characters", "large.jsonl:bytes")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *cases], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for case, line in zip(cases, done.stdout.splitlines(), strict=True):
        used, tokens = map(int, line.split())
        size = (tmp_path / case.partition(":")[0]).stat().st_size
        assert tokens >= 0.95 * size, case
        assert used < 0.5 * size, f"{used / 2**20:.0f} MiB for {case} of {size / 2**20:.0f} MiB"


def test_long_files_of_lines_keep_fractions_as_short_ones_do(tmp_path, monkeypatch):
    path = tmp_path / "numbers.jsonl"
    for last in ("true", '"3"'):
        path.write_text("".join(f'{{"a": {i % 5}}}\n' for i in range(1200)) + f'{{"a": {last}}}\n')
        monkeypatch.setattr("ptheta.data.sources.json_tables.IN_PARTS", 1)
        with pytest.raises(SourceError, match=r"column 'a' is .* in line 1,201 of numbers\.jsonl, but int64 before"):
            load(path)
    path.write_text("".join(f'{{"a": {i % 5}}}\n' for i in range(1200)) + '{"a": 3.7}\n')
    long = load(path)
    monkeypatch.undo()
    assert long.fingerprint == load(path).fingerprint
    monkeypatch.setattr("ptheta.data.sources.json_tables.IN_PARTS", 1)
    path.write_text("".join(f'{{"a": {i % 5}}}\n' for i in range(1200)) + '{"a": 3.0}\n')
    assert load(path).space.levels == 5  # type: ignore[attr-defined]
