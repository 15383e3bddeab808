"""Whole texts as events: tokens, ends, cuts, and what is said of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ptheta.data import Codec, load
from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.data.reading import events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.spaces import Document

WORDS = ["seven", "one", "", "eleven", "naïve ü", "two"] * 10
PARTS = {"train": {"text": np.array(WORDS)}, "test": {"text": np.array(["six", "thirteen is too long"])}}


def test_events_are_the_bytes_of_each_text_then_ends():
    data = load(PARTS, whole=True, validation=6)
    assert data.space == Document(21, 257)
    for row, text in zip(data.test.x, ["six", "thirteen is too long"]):
        assert row.tolist() == [*text.encode(), *[256] * (21 - len(text.encode()))]
    assert len(data.train) + len(data.validation) == 60
    assert sorted(data.codec.decode(data.train.x) + data.codec.decode(data.validation.x)) == sorted(WORDS)
    x, context = data.test.events()
    assert x.dtype == torch.int64
    assert context is None
    assert data.space.lengths(x).tolist() == [4, 21]


@pytest.mark.parametrize("tokenizer", ["bytes", "characters", "bpe"])
def test_tokens_are_those_of_a_stream_with_the_same_tokenizer(tokenizer):
    texts = [f"the {a} {b} sat on the mat" for a in ("big", "old", "red") for b in ("cat", "dog", "yak")] * 4
    data = load({"text": np.array(texts)}, whole=True, tokenizer=tokenizer, length=12)
    codec = data.codec
    assert isinstance(codec, DocumentCodec)
    stream = TextCodec(12, tokenizer, codec.alphabet, codec.merges)
    wanted = Document(12, stream.levels + 1).pad([torch.from_numpy(stream.tokens(t).astype(np.int64)) for t in texts])
    np.testing.assert_array_equal(codec.encode(texts), wanted)
    for text, said in zip(texts, codec.decode(wanted)):
        assert said == (text if len(stream.tokens(text)) < 12 else stream.decode(wanted[texts.index(text)][None])[0])
    assert Codec.from_json(codec.to_json()) == codec
    assert codec.unit == stream.unit


def test_what_is_longer_is_cut_and_counted():
    data = load({"text": np.array(WORDS)}, whole=True, length=5)
    assert data.space == Document(5, 257)
    longer = sum(len(text.encode()) >= 5 for text in WORDS)
    assert f"text: {longer} texts have 5 tokens or more, of which the first 5 are used" in data.notes
    cut = {text.encode()[:5].decode("utf-8", "replace") for text in WORDS}
    assert {text for split in data.splits.values() for text in data.codec.decode(split.x)} == cut
    assert not any("or more" in note for note in load({"text": np.array(WORDS)}, whole=True).notes)


def test_no_event_is_longer_than_512_tokens_unless_asked():
    texts = np.array(["a" * 600, *["b"] * 20])
    data = load({"text": texts}, whole=True)
    assert data.space.shape == (512,)
    assert any("1 text has 512 tokens or more" in note for note in data.notes)
    assert load({"text": texts}, whole=True, length=700).space.shape == (700,)


def test_many_bytes_make_byte_pairs_few_do_not():
    words = [f"word{i:04d} and its neighbour" for i in range(5000)]
    large, small = load({"text": np.array(words)}, whole=True), load({"text": np.array(words[:100])}, whole=True)
    assert (large.codec.tokenizer, small.codec.tokenizer) == ("bpe", "bytes")
    assert 256 < large.codec.levels <= 513
    assert load({"text": np.array(words[:100])}, whole=True, vocabulary=270).codec.levels <= 271


def test_merges_are_learned_from_train_alone():
    rows = {"train": {"text": np.array(["ab ab ab"] * 40)}, "test": {"text": np.array(["xyxyxyxy"] * 40)}}
    codec = load(rows, whole=True, tokenizer="bpe", validation=4).codec
    pieces = [codec.piece(token) for token in range(256, codec.levels - 1)]
    assert pieces
    assert not any(b"x" in piece for piece in pieces)
    assert codec.seen == " ab"


def test_files_are_whole_texts(tmp_path):
    for i in range(12):
        (tmp_path / f"{i:02d}.txt").write_text(f"text {i}")
    data = load(tmp_path, whole=True)
    assert sorted(data.codec.decode(np.concatenate([s.x for s in data.splits.values()]))) == sorted(
        f"text {i}" for i in range(12)
    )
    assert data.test.files is not None
    assert data.codec.decode(data.test.x) == [Path(file).read_text() for file in data.test.files]
    assert data.codec.decode(events_of_file(data.codec, tmp_path / "03.txt")) == ["text 3"]
    paths = data.codec.write(data.test.x, tmp_path / "out", context_names=["a b"] * len(data.test))
    assert [p.name for p in paths] == [f"sample-{i:04d}-a_b.txt" for i in range(len(paths))]
    assert paths[0].read_text() == data.codec.decode(data.test.x)[0]


def test_texts_in_another_script_are_remarked():
    codec = DocumentCodec(8, seen="abcSaß")
    assert codec.is_foreign("Привет")
    assert not any(map(codec.is_foreign, ("Привет A", "12:30!", "ABC", "s")))
    assert "no letter" in (codec.remark("Привет") or "")
    assert codec.remark("a") is None
    assert "first 8" in (codec.remark("a" * 9) or "")


def test_bad_texts_are_named():
    frame = pd.DataFrame({"text": ["a", None] * 20})
    with pytest.raises(SourceError, match="'text' is missing at row 2 of data"):
        load(frame, whole=True)
    with pytest.raises(SourceError, match="'text' are empty"):
        load({"text": np.array([""] * 30)}, whole=True)
    with pytest.raises(SourceError, match="not texts; leave out whole"):
        load("digits", whole=True)
    with pytest.raises(UsageError, match="length is 0"):
        load({"text": np.array(WORDS)}, whole=True, length=0)
    codec = load({"text": np.array(["ab", "b"] * 9)}, whole=True, tokenizer="characters").codec
    with pytest.raises(SourceError, match="begins 'c'"):
        codec.encode(["abc"])
    with pytest.raises(RunError, match="cannot be read"):
        Codec.from_json(codec.to_json() | {"alphabet": None})


def test_new_texts_are_seen_as_the_run_sees_them():
    codec = load(PARTS, whole=True, length=6, validation=6).codec
    data = load({"text": np.array(["seventeen", "six"])}, codec=codec)
    assert data.codec.decode(data.splits["all"].x) == ["sevent", "six"]
    assert "text: 1 text has 6 tokens or more, of which the first 6 are used" in data.notes
