"""Damaged files of forms whose parsers raise what they like: one line that names the file and the cause."""

import gzip
import os
import struct
from pathlib import Path

import datasets
import numpy as np
import pytest

from ptheta.data import load
from ptheta.data.codecs.chunks import pieces
from ptheta.data.codecs.picture_files import open_picture
from ptheta.data.codecs.waves import read_sound
from ptheta.data.sources import tables
from ptheta.errors import SourceError


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


def test_an_offset_in_an_arrow_file_that_a_flipped_bit_made_does_not_end_the_process(tmp_path):
    folder = tmp_path / "saved"
    words = ["red", "green", "blue"] * 4
    datasets.Dataset.from_dict({"word": words, "x": np.arange(12.0)}).save_to_disk(folder)
    file = folder / "data-00000-of-00001.arrow"
    content = bytearray(file.read_bytes())
    offsets = np.cumsum([0, *map(len, words)]).astype("<i4").tobytes()
    at = content.index(offsets) + 4 * 5
    content[at + 3] = 0x40
    file.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read saved: .*[Oo]ffset"):
        load(folder, event="word")


def test_a_parquet_page_that_does_not_fit_its_checksum_is_refused(tmp_path):
    import pyarrow as pa
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"a": np.zeros(100_000, np.int64)}), path, compression="zstd")
    load(path)
    monkeypatch.setattr(tables, "PACKED_LEAST", 2**16)
    monkeypatch.setattr(tables, "PACKED_MOST", 10)
    with pytest.raises(SourceError, match=r"claims 100,000 rows, 800,000 bytes or more; at most 65,536 are read"):
        load(path)


def test_what_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(SourceError, match="is not a regular file"):
            open_picture({"path": str(path), "bytes": None}, lambda _: "row 1")
        with pytest.raises(SourceError, match="is not a regular file"):
            read_sound({"path": str(path), "bytes": None}, lambda _: "row 1")
        with pytest.raises(SourceError, match="is not a regular file"):
            list(pieces([Path(path)]))
