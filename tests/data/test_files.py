"""Arrays in files: IDX, NPY and NPZ, whole or refused before anything is allocated."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from ptheta.data import load
from ptheta.errors import SourceError
from ptheta.spaces import Discrete, Image, Real

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (30, 5, 4), dtype=np.uint8)
LABELS = RNG.integers(0, 3, 30).astype(np.uint8)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_an_idx_file_finds_its_labels_and_test_split(tmp_path):
    for name, n in (("train", 30), ("t10k", 10)):
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PICTURES[:n])))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[:n])))
    for source in (tmp_path, tmp_path / "train-images-idx3-ubyte.gz"):
        data = load(source, context="label", validation=5)
        assert data.space == Image(5, 4)
        assert {s: len(v) for s, v in data.splits.items()} == {"train": 25, "validation": 5, "test": 10}
        np.testing.assert_array_equal(data.test.x[:, 0], PICTURES[:10])
        np.testing.assert_array_equal(data.test.context, LABELS[:10])


def test_idx_headers_are_not_believed(tmp_path):
    huge = struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 28)
    for content in (huge, idx(PICTURES)[:-7], idx(PICTURES) + b"x", b"\0\0", b"PK\3\4 no idx at all"):
        for suffix in ("", ".gz"):
            path = tmp_path / f"bad-images-idx3-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if suffix else content)
            with pytest.raises(SourceError, match="bad-images"):
                load(path)
    path.write_bytes(gzip.compress(idx(PICTURES))[:-100])
    with pytest.raises(SourceError, match="bad-images"):
        load(path)


@pytest.mark.parametrize(
    ("array", "space"),
    [
        (PICTURES, Image(5, 4)),
        (PICTURES[:, :, :3].reshape(30, 5, 1, 3), Image(5, 1, 3)),
        (LABELS[:, None].repeat(4, 1).astype(np.int64), None),
        (RNG.normal(size=(30, 2, 2)), Real((2, 2))),
        (RNG.normal(size=30).astype(np.float32), Real((1,))),
    ],
)
def test_arrays_keep_their_kind(array, space, tmp_path):
    np.save(tmp_path / "a.npy", array)
    for source in (tmp_path / "a.npy", array, torch.from_numpy(array)):
        data = load(source)
        assert data.space == (space or Discrete((4,), 3))
        decoded = np.concatenate([data.codec.encode(data.codec.decode(s.x)) for s in data.splits.values()])
        np.testing.assert_array_equal(decoded, np.concatenate([s.x for s in data.splits.values()]))


def test_events_do_not_change_with_the_users_array():
    array = PICTURES.copy()
    data = load(array)
    before = data.train.x.copy()
    array[:] = 0
    np.testing.assert_array_equal(data.train.x, before)


def test_an_npz_of_keras_has_splits_and_labels(tmp_path):
    path = tmp_path / "m.npz"
    np.savez_compressed(path, x_train=PICTURES, y_train=LABELS, x_test=PICTURES[:9], y_test=LABELS[:9])
    data = load(path, context="y")
    assert {s: len(v) for s, v in data.splits.items()} == {"train": 27, "validation": 3, "test": 9}
    np.testing.assert_array_equal(data.test.x[:, 0], PICTURES[:9])
    np.savez(path, images=PICTURES, masks=PICTURES, y=LABELS)
    with pytest.raises(SourceError, match="images, masks; choose one with event"):
        load(path)
    assert load(path, event="images", context="y").space == Image(5, 4)
    np.savez(path, x=PICTURES, y=LABELS[:5])
    with pytest.raises(SourceError, match="x 30, y 5"):
        load(path)


def npy(shape, data=b"", descr="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": descr})
    return buffer.getvalue() + data


@pytest.mark.parametrize(
    "content", [npy((2**40, 28)), npy((4, 4), b"123"), npy((2, 2), b"12345"), npy((3,), b"123", "|O"), b"nothing"]
)
def test_npy_headers_are_not_believed(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(SourceError, match=name):
            load(tmp_path / name)


def test_pickles_are_never_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match="Python objects"):
        load(tmp_path / "a.npy")
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(SourceError, match=r"is a pickle, which may run any program and is never read; save"):
        load(tmp_path / "a.pkl")


def test_bad_values_are_named_with_their_row():
    with pytest.raises(SourceError, match="row 3 of data holds nan"):
        load(np.array([[1.0, 2], [1, 2], [np.nan, 0], [1, 1]]))
    with pytest.raises(SourceError, match="holds -1, and levels of arrays begin at 0; add 1 to all values"):
        load(np.array([[1, 2], [1, -1]] * 5))


@pytest.mark.parametrize("name", ["a.parquet", "a.npz", "a.json", "a.png"])
def test_damaged_files_are_named_in_one_line(name, tmp_path):
    (tmp_path / name).write_bytes(b"\x00\xffnonsense")
    with pytest.raises(SourceError, match=name) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_and_empty_sources_say_what_there_is(tmp_path):
    with pytest.raises(SourceError, match="did you mean digits"):
        load("digit")
    with pytest.raises(SourceError, match="is empty"):
        load(tmp_path)
    with pytest.raises(SourceError, match="not a source"):
        load(object())


def test_python_objects_of_many_kinds():
    frame = pd.DataFrame({"a": [1, 2, 3, 4] * 5, "b": ["x", "y"] * 10})
    splits = load({"train": frame, "test": frame[:5]})
    assert {s: len(v) for s, v in splits.splits.items()} == {"train": 18, "validation": 2, "test": 5}
    columns = load({"x": PICTURES, "y": LABELS}, context="y")
    assert columns.context_space.names == ("0", "1", "2")
    with pytest.raises(SourceError, match="no train split"):
        load({"validation": frame, "test": frame})
