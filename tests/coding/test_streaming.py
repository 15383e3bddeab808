"""Files are coded in pieces: memory does not grow with them, and places far apart cost nothing."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from ptheta.coding import compress, decompress, parts, spool
from ptheta.coding.blocks import Values
from ptheta.coding.container import FileBytes, next_block, read_block
from ptheta.coding.spool import Spool


@pytest.fixture
def small(monkeypatch):
    """Little is held in memory."""
    monkeypatch.setattr(spool, "HELD", 2**18)
    monkeypatch.setattr(parts, "PIECE", 2**16)


def test_a_spool_is_an_array_on_disk(small):
    g = np.random.default_rng(0)
    rows, kept = Spool(np.uint16, 3), np.zeros((60_000, 3), np.uint16)
    for start, n in ((0, 500), (500, 40_000), (50_000, 10_000), (7, 20)):
        some = g.integers(0, 2**16, (n, 3)).astype(np.uint16)
        kept[start : start + n] = some
        rows.put(start, some)
    assert len(rows) == 60_000
    for start, stop in ((0, 60_000), (40_400, 50_100), (59_999, 60_000), (3, 3)):
        np.testing.assert_array_equal(rows.read(start, stop), kept[start:stop])
    rows.truncate(100)
    rows.append(kept[:5])
    np.testing.assert_array_equal(rows.read(98, 105), np.concatenate([kept[98:100], kept[:5]]))
    np.testing.assert_array_equal(rows.read(200, 202), 0, "nothing was written there")


@pytest.mark.parametrize(("run", "name", "bound"), [("grey", "noise.bin", 2**22), ("bytes", "noise.txt", 10 * 2**20)])
def test_memory_does_not_grow_with_a_file(small, runs, tmp_path, run, name, bound):
    """8 MiB stored; and 4 MiB of tokens, of which 1 MiB is encoded at a time, and which would be 32 MiB as a list."""
    content = np.random.default_rng(1).bytes(2**23 if run == "grey" else 2**22)
    (tmp_path / name).write_bytes(content)
    values = Values(runs[run].model)
    tracemalloc.start()
    part = parts.read(tmp_path / name, name, runs[run].codec, values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert part.kind == ("stored" if run == "grey" else "text")
    assert part.digest == hashlib.sha256(content).hexdigest()
    assert peak < bound
    held = values.side if run == "grey" else values.tokens
    assert held.read(2**20, 2**20 + 50).tobytes() == content[2**20 : 2**20 + 50]


def test_a_text_with_one_strange_character_at_its_end_is_stored_and_leaves_no_tokens(small, runs, tmp_path):
    content = b"the quick fox\n" * 30_000 + "é".encode()
    (tmp_path / "a.txt").write_bytes(content)
    values = Values(runs["letters"].model)
    part = parts.read(tmp_path / "a.txt", "a.txt", runs["letters"].codec, values)
    assert (part.kind, part.side, len(values.tokens), values.texts) == ("stored", len(content), 0, [])


def test_files_in_pieces_come_back(small, runs, tmp_path):
    """Stored files and texts beyond what is held, in one compressed file."""
    content = {"noise": np.random.default_rng(2).bytes(300_000), "a.txt": b"the quick brown fox\n" * 40}
    for name, value in content.items():
        (tmp_path / name).write_bytes(value)
    compress(runs["grey"], [tmp_path / name for name in content], tmp_path / "x.ptz")
    decompress(runs["grey"], tmp_path / "x.ptz", tmp_path / "out")
    for name, value in content.items():
        assert (tmp_path / "out" / name).read_bytes() == value


def test_blocks_are_found_across_the_pieces_in_which_a_file_is_searched(runs, tmp_path, monkeypatch):
    (tmp_path / "noise").write_bytes(np.random.default_rng(3).bytes(5_000))
    compress(runs["grey"], [tmp_path / "noise"], tmp_path / "x.ptz")
    whole = (tmp_path / "x.ptz").read_bytes()
    expected = next_block(whole, 0, 0)
    assert expected is not None
    with FileBytes(tmp_path / "x.ptz") as data:
        for searched in (7, 64, 1000):
            monkeypatch.setattr("ptheta.coding.container.SEARCHED", searched)
            assert next_block(data, 0, 0) == expected
        assert read_block(data, expected[1], 0) == read_block(whole, expected[1], 0)
        assert (len(data), data[5:9]) == (len(whole), whole[5:9])
