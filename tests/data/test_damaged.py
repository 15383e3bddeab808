"""Damaged files of forms whose parsers raise what they like: one line that names the file and the cause."""

import gzip
import struct

import datasets
import numpy as np
import pytest

from ptheta.data import load
from ptheta.errors import SourceError


def npy(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(48)


def gz(content: bytes, at: int, value: int) -> bytes:
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[at] = value
    return bytes(packed)


IDX = struct.pack(">HBBIII", 0, 8, 3, 12, 4, 4) + bytes(192)
DAMAGED = {
    "x.npy": (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (12, "), "is not a readable NPY file"),
    "y.npy": (npy("{'descr': ('<i4', 'fortran_order'), 'shape': (12,)}"), "is not a readable NPY file"),
    "z-images-idx3-ubyte.gz": (gz(IDX, 10, 0xFF), "is damaged: Error -3 while decompressing"),
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
