"""Damaged files of forms whose parsers raise what they like: one line that names the file and the cause."""

import gzip
import io
import json
import os
import struct
import time
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest

from ptheta.data import load
from ptheta.data.codecs.chunks import pieces
from ptheta.data.codecs.picture_files import open_picture
from ptheta.data.codecs.waves import read_sound
from ptheta.data.sources import files, tables
from ptheta.data.sources.arrow_ipc import validated
from ptheta.data.sources.json_lines import objects
from ptheta.data.sources.opening import open_source
from ptheta.errors import NoSourceError, SourceError


def npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(48)


def gz(content: bytes, at: int, value: int) -> bytes:
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[at] = value
    return bytes(packed)


def shaped(shape: str, kind: str = "<i4") -> bytes:
    content = npy(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}")
    return content[:-48]


IDX = struct.pack(">HBBIII", 0, 8, 3, 12, 4, 4) + bytes(192)
DAMAGED = {
    "x.npy": (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (12, "), "is not a readable NPY file"),
    "y.npy": (npy("{'descr': ('<i4', 'fortran_order'), 'shape': (12,)}"), "is not a readable NPY file"),
    "z-images-idx3-ubyte.gz": (gz(IDX, 10, 0xFF), "is damaged: Error -3 while decompressing"),
    "zero.npy": (shaped("(1000000000000, 0)"), "has rows without values: shape 1000000000000×0"),
    "empty.npy": (shaped("(1000000000000,)", "<U0"), "has rows without values"),
    "t.parquet": (b"PAR1" + bytes(40) + b"\x05\x00\x00\x00PAR1", "cannot read"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_parsers_raise_what_they_like(name, tmp_path):
    content, problem = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=problem) as error:
        load(tmp_path / name)
    assert name in str(error.value)


def int32(*numbers: int) -> bytes:
    return np.array(numbers, "<i4").tobytes()


LONG = ["a" * 20, "b" * 20, "c" * 20]
OUTSIDE = pa.DictionaryArray.from_arrays(pa.array([0, 1, 99_999], pa.int32()), ["x", "y"], safe=False)
LEADING_OUT = {
    "offset": (pa.array(["a", "b", "c"]), int32(0, 1, 2, 3), int32(0, 2**30, 2, 3)),
    "negative offset": (pa.array(["a", "b", "c"]), int32(0, 1, 2, 3), int32(0, -(2**30), 2, 3)),
    "offset of lists": (pa.array([[1.5], [2.5], [3.5]]), int32(0, 1, 2, 3), int32(0, 2**30, 2, 3)),
    "index": (OUTSIDE, b"", b""),
    "index in lists": (pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), OUTSIDE), b"", b""),
    "index in fields": (pa.StructArray.from_arrays([OUTSIDE], ["f"]), b"", b""),
    "word of a dictionary": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), ["a", "b", "c"]),
        int32(0, 1, 2, 3),
        int32(0, 2**30, 2, 2**30 + 1),
    ),
    "view": (
        pa.array(LONG, pa.string_view()),
        int32(20) + b"bbbb" + int32(0, 20),
        int32(20) + b"bbbb" + int32(77, 2**30),
    ),
}
"""What of an Arrow file leads out of it → a column, and the bytes that become others."""


@pytest.mark.parametrize("form", ["x.arrow", "x.feather", "saved"])
@pytest.mark.parametrize("what", LEADING_OUT)
def test_an_arrow_file_that_leads_out_of_itself_is_refused_before_it_is_used(what, form, tmp_path):
    column, before, after = LEADING_OUT[what]
    table, buffer = pa.table({"a": [1.5, 2.5, 3.5], "b": column}), io.BytesIO()
    with (pa.ipc.new_file if form == "x.feather" else pa.ipc.new_stream)(buffer, table.schema) as writer:
        writer.write_table(table)
    content = buffer.getvalue()
    assert before in content
    file = tmp_path / form
    if form == "saved":
        datasets.Dataset.from_dict({"a": [1.5, 2.5, 3.5]}).save_to_disk(file)
        (file,) = file.glob("*.arrow")
    file.write_bytes(content.replace(before, after))
    with pytest.raises(SourceError, match=f"cannot (read|load) .*{file.name}: "):
        load(tmp_path / form)


@pytest.mark.parametrize("make", [pa.ipc.new_stream, pa.ipc.new_file])
def test_an_arrow_file_that_claims_far_more_than_its_size_is_refused_before_it_is_unpacked(make, tmp_path, monkeypatch):
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), ["x" * 50_000])
    table = pa.table({"a": np.zeros(1000), "b": words})
    for compression in ("zstd", "lz4"):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with make(str(tmp_path / "x.arrow"), table.schema, options=options) as writer:
            writer.write_table(table)
        assert len(validated(tmp_path / "x.arrow")) == 1000
        with monkeypatch.context() as patch:
            patch.setattr(tables, "PACKED_LEAST", 2**14)
            patch.setattr(tables, "PACKED_MOST", 2)
            with pytest.raises(SourceError, match=r"x\.arrow of [\d,]+ bytes claims 62,008 bytes or more; at most"):
                validated(tmp_path / "x.arrow")


def test_rows_of_a_saved_data_set_are_chosen_by_a_file_of_its_own(tmp_path):
    datasets.Dataset.from_dict({"a": [1.5, 2.5, 3.5]}).save_to_disk(tmp_path / "saved")
    state = tmp_path / "saved" / "state.json"
    for name, problem in {
        "missing.arrow": "names missing.arrow, which does not exist",
        "/dev/zero": "not a regular",
    }.items():
        about = json.loads(state.read_text())
        state.write_text(json.dumps(about | {"_indices_data_files": [{"filename": name}]}))
        with pytest.raises(SourceError, match=problem):
            load(tmp_path / "saved")


def test_a_parquet_page_that_does_not_fit_its_checksum_is_refused(tmp_path):
    import pyarrow.parquet as pq

    table = pa.table({"a": np.arange(500) * 1.5})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[content.index(np.array([300.0, 301.5]).tobytes())] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read t\.parquet: .*(CRC|checksum)"):
        load(path)


def test_a_parquet_file_that_claims_far_more_than_its_size_is_refused_before_it_is_read(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"a": np.zeros(100_000, np.int64)}), path, compression="zstd")
    load(path)
    monkeypatch.setattr(tables, "PACKED_LEAST", 2**16)
    monkeypatch.setattr(tables, "PACKED_MOST", 10)
    with pytest.raises(SourceError, match=r"claims 100,000 rows, 800,000 bytes or more; at most 65,536 are read"):
        load(path)


def test_compressed_arrays_that_claim_far_more_than_their_size_are_refused_before_they_are_read(tmp_path, monkeypatch):
    x, idx = tmp_path / "x.npz", tmp_path / "a-images-idx3-ubyte.gz"
    np.savez_compressed(x, x=np.zeros((1000, 50), np.uint8), y=np.zeros((1000, 50), np.uint8))
    idx.write_bytes(gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 1000, 10, 10) + bytes(100_000)))
    monkeypatch.setattr(files, "RATIO", 10)
    for path, claimed in {x: "100,256", idx: "100,000"}.items():
        assert open_source(path).tables
        with monkeypatch.context() as patch:
            patch.setattr(files, "ALWAYS", 2**14)
            with pytest.raises(SourceError, match=f"bytes claims {claimed} bytes; at most 16,384 are read"):
                open_source(path)


def test_a_card_whose_references_stand_for_more_than_memory_holds_is_refused(tmp_path):
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (tmp_path / "README.md").write_text("\n".join(["---", "a0: &a0 [x, x]", *lines, "configs: *a11", "---", "A set."]))
    for name in ("t.csv", "u.csv"):
        (tmp_path / name).write_text("a,b\n" + "1.5,2.5\n" * 12)
    with pytest.raises(SourceError, match=r"README\.md refers to \*a0 in its header; write out what it stands for"):
        load(tmp_path)


def test_what_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(SourceError, match="is not a regular file"):
            open_picture({"path": str(path), "bytes": None}, lambda _: "row 1")
        with pytest.raises(SourceError, match="is not a regular file"):
            read_sound({"path": str(path), "bytes": None}, lambda _: "row 1")
        with pytest.raises(SourceError, match="is not a regular file"):
            list(pieces([Path(path)]))


@pytest.mark.parametrize("suffix", ["txt", "jsonl", "csv", "json", "parquet", "npy", "png"])
def test_a_file_of_a_terabyte_that_was_never_written_is_refused_at_once(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    try:
        path.touch()
        os.truncate(path, 10**12)
    except OSError as error:  # the file system has a limit of its own
        pytest.skip(f"no file of a terabyte can be made here: {error}")
    clock = time.process_time()
    with pytest.raises(SourceError, match=rf"x\.{suffix} (begins with|is|does not fit)|line 1 of|cannot read"):
        load(path)
    assert time.process_time() - clock < 5


def test_a_line_without_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.data.sources.json_lines.LONGEST_LINE", 40)
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": "' + "b" * 30 + '"}\n')  # of 40 bytes
    assert [row for *_, row in objects(path)] == [{"a": 1}, {"a": "b" * 30}]
    path.write_text('{"a": 1}\n{"a": "' + "b" * 31 + '"}\n')
    with pytest.raises(SourceError, match=r"line 2 of x\.jsonl is longer than 40 bytes; give rows as lines"):
        list(objects(path))


def test_a_link_to_itself_is_called_one(tmp_path):
    (tmp_path / "x.csv").symlink_to(tmp_path / "x.csv")
    with pytest.raises(NoSourceError, match=r"x\.csv is a link that leads to nothing"):
        load(tmp_path / "x.csv")
