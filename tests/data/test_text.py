"""Text becomes blocks of bytes and comes back."""

import numpy as np
import pandas as pd
import pytest

from ptheta.data import Codec, load
from ptheta.errors import SourceError
from ptheta.spaces import Sequence

TEXT = "the quick brown fox jumps over the lazy dog — ünïcode too. " * 40


def joined(*splits, codec):
    return b"".join(b"".join(codec.to_bytes(s.x)) for s in splits)


def test_a_text_file_is_divided_in_three_pieces_in_order(tmp_path):
    path = tmp_path / "fox.txt"
    path.write_text(TEXT, encoding="utf-8")
    data = load(path, length=16)
    raw = TEXT.encode()
    assert data.space == Sequence(16, len(set(raw)))
    assert joined(data.train, data.validation, data.test, codec=data.codec) == raw[: len(raw) // 16 * 16]
    n = len(raw) // 16
    assert len(data.validation) == len(data.test) == round(n * 0.05)
    assert any(f"last {len(raw) % 16} bytes" in note for note in data.notes)


def test_codec_inverts_on_whole_blocks():
    codec = load({"train": pd.DataFrame({"text": [TEXT] * 3}), "test": pd.DataFrame({"text": [TEXT]})}).codec
    blocks = ["a" * 40 + "bcdefghijklm dogs too. x"]
    with pytest.raises(SourceError, match="byte 1 of row 1 is b'Q'"):
        codec.encode("Q" * 64)
    assert codec.decode(codec.encode(blocks)) == blocks
    again = Codec.from_json(codec.to_json())
    assert again == codec
    np.testing.assert_array_equal(codec.tokens("fox"), codec.encode("fox" + " " * 61)[0, :3])


def test_documents_are_joined_by_newlines_and_splits_kept(tmp_path):
    for split, names in (("train", "ab"), ("validation", "c"), ("test", "d")):
        for name in names:
            (tmp_path / split).mkdir(exist_ok=True)
            (tmp_path / split / f"{name}.txt").write_text(name * 32)
    data = load(tmp_path, length=13)
    assert joined(data.train, codec=data.codec) == (b"a" * 32 + b"\n" + b"b" * 32)[:65]
    assert {s: len(v) for s, v in data.splits.items()} == {"train": 5, "validation": 2, "test": 2}


def test_texts_in_a_table_beat_their_categories():
    frame = pd.DataFrame({"title": ["one", "two"] * 10, "text": [TEXT] * 20})
    data = load(frame)
    assert data.notes[0].startswith("event: text, Sequence")
    assert load(frame, event="title", length=4).space.length == 4


def test_a_run_reads_new_text_with_its_own_alphabet(tmp_path):
    codec = load(pd.DataFrame({"text": [TEXT]}), length=8).codec
    path = tmp_path / "new.txt"
    path.write_text("dogs over foxes!")
    with pytest.raises(SourceError, match=r"byte 16 of .* is b'!'"):
        codec.read(path)
    path.write_text("dogs over foxes.")
    assert codec.decode(codec.read(path)) == ["dogs ove", "r foxes."]
    np.testing.assert_array_equal(load(path, codec=codec).splits["all"].x, codec.read(path))
    path.write_text("dog")
    with pytest.raises(SourceError, match="3 bytes"):
        codec.read(path)


def test_too_little_text_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("too short")
    with pytest.raises(SourceError, match="too few"):
        load(path)


def test_samples_are_text_files_of_exact_bytes(tmp_path):
    data = load(pd.DataFrame({"text": [TEXT]}), length=7)
    paths = data.codec.write(data.train.x[:3], tmp_path)
    assert b"".join(p.read_bytes() for p in paths) == TEXT.encode()[:21]
