"""Archives are opened as what they hold, and traps are refused."""

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from ptheta.cli.main import main
from ptheta.data import load
from ptheta.data.sources import archives
from ptheta.errors import SourceError

COMPRESSED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


def zst(content):
    """A zstd frame of its own, as the command writes it."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESSED["zst"] = zst


@pytest.fixture
def pictures(tmp_path):
    """Cats and dogs, six each, and a stray file."""
    for kind in ("cat", "dog"):
        for i in range(6):
            path = tmp_path / "pets" / kind / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (4, 4), dtype=np.uint8)).save(path)
    (tmp_path / "pets" / "notes.docx").write_bytes(b"x")
    return tmp_path / "pets"


def zipped(folder, target, above=""):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, above + path.relative_to(folder).as_posix())
    return target


def tarred(folder, target, mode="w"):
    with tarfile.open(target, mode) as archive:
        archive.add(folder, "./pets")
    return target


@pytest.mark.parametrize("kind", ["zip", "deep zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.zst"])
def test_an_archive_is_what_its_folder_is(pictures, tmp_path, kind):
    if kind == "tar.zst":
        target = tmp_path / "a.tar.zst"
        target.write_bytes(zst(tarred(pictures, tmp_path / "b.tar").read_bytes()))
    elif "zip" in kind:
        target = zipped(pictures, tmp_path / "a.zip", "x/pets/" if "deep" in kind else "")
    else:
        modes = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.xz": "w:xz"}
        target = tarred(pictures, tmp_path / f"a.{kind}", modes[kind])
    data, same = load(target, context="label"), load(pictures, context="label")
    assert (data.fingerprint, data.name, data.source) == (same.fingerprint, "a", str(target))
    inner = {"zip": "", "deep zip": "x/pets/"}.get(kind, "pets/")
    assert data.test.files == [f"{target}/{inner}{Path(file).relative_to(pictures)}" for file in same.test.files or []]
    assert data.remarks == [f"left out, not pictures: 1 file, such as {target}/{inner}notes.docx"]


def test_a_folder_of_one_archive_is_what_that_holds(pictures, tmp_path):
    (tmp_path / "d").mkdir()
    target = zipped(pictures, tmp_path / "d" / "a.zip", "")
    (tmp_path / "d" / "README.md").write_text("pets")
    data = load(tmp_path / "d", context="label")
    assert data.fingerprint == load(target, context="label").fingerprint
    zipped(pictures, tmp_path / "d" / "b.zip", "")
    (tmp_path / "d" / "c.csv.gz").write_bytes(b"no table")
    with pytest.raises(SourceError, match="unpack its archives first"):
        load(tmp_path / "d")


@pytest.mark.parametrize("how", COMPRESSED)
def test_a_compressed_file_is_what_it_holds(tmp_path, how):
    texts = {"a.txt": "the lazy dog sleeps. " * 400, "b.jsonl": '{"x": 1, "y": 2}\n{"x": 3, "y": 4}\n' * 20}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / f"{name}.{how}").write_bytes(COMPRESSED[how](text.encode()))
        assert load(tmp_path / f"{name}.{how}").fingerprint == load(tmp_path / name).fingerprint
    (tmp_path / f"c.bin.{how}").write_bytes(COMPRESSED[how](b"x"))
    with pytest.raises(SourceError, match=rf"c\.bin\.{how} is of an unknown kind"):
        load(tmp_path / f"c.bin.{how}")
    whole = (tmp_path / f"a.txt.{how}").read_bytes()
    (tmp_path / f"a.txt.{how}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=rf"a\.txt\.{how}"):
        load(tmp_path / f"a.txt.{how}")


@pytest.mark.parametrize("form", ["stream", "file", "feather", "datasets"])
def test_arrow_files_are_tables(tmp_path, form):
    frame = pd.DataFrame({"x": ["a", "b", "c"] * 8, "y": ["d", "e"] * 12})
    path = tmp_path / f"t.{'feather' if form == 'feather' else 'arrow'}"
    table = pa.Table.from_pandas(frame)
    if form == "datasets":
        datasets.Dataset.from_pandas(frame).save_to_disk(tmp_path / "saved")
        (path,) = (tmp_path / "saved").glob("*.arrow")
    else:
        make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table)
    assert load(path).fingerprint == load(frame).fingerprint


def test_an_archive_of_one_table_is_the_table(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "a,b\nc,d\n" * 10)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.write(tmp_path / "t.csv", "t.csv")
        archive.writestr("__MACOSX/._t.csv", b"x")
    assert load(tmp_path / "t.zip").fingerprint == load(tmp_path / "t.csv").fingerprint


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png"])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    for suffix in ("zip", "tar"):
        with pytest.raises(SourceError, match=r"holds the file name '.*out.png', which leads out of it; unpack"):
            load(tmp_path / f"a.{suffix}")
    assert not list(tmp_path.parent.glob("out.png"))


def test_links_in_archives_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("a.txt")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    for suffix in ("zip", "tar"):
        with pytest.raises(SourceError, match=r"holds 'a.txt', which is a link or a device; unpack"):
            load(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "txt.gz"])
def test_what_grows_beyond_measure_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(archives, "ALWAYS", 2**16)
    zeros = b" " * 2**22
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", zeros)
    elif kind == "tar.gz":
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("a.txt")
            member.size = len(zeros)
            archive.addfile(member, io.BytesIO(zeros))
    else:
        path.write_bytes(gzip.compress(zeros))
    clock = time.perf_counter()
    with pytest.raises(SourceError, match=r"a\.\S+ holds more than [\d,]+ bytes; unpack what you need"):
        load(path)
    assert time.perf_counter() - clock < 5


def test_an_archive_cut_between_two_files_is_refused(tmp_path, pictures):
    target = tarred(pictures, tmp_path / "a.tar")
    with tarfile.open(target) as archive:
        last = archive.getmembers()[-1]
    target.write_bytes(target.read_bytes()[: last.offset])
    with pytest.raises(SourceError, match=r"a\.tar has no end; fetch it again"):
        load(target)


def test_damaged_archives_are_one_line(tmp_path, pictures, capsys):
    for target in (zipped(pictures, tmp_path / "a.zip"), tarred(pictures, tmp_path / "a.tgz", "w:gz")):
        whole = target.read_bytes()
        for cut in (0, 3, len(whole) // 2):
            target.write_bytes(whole[:cut])
            assert main(["fit", str(target)]) == 2
            line = capsys.readouterr().err
            assert line.count("\n") == 1, line
            assert target.name in line
            assert "unpacked" not in line, line
