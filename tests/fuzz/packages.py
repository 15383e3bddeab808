"""Forms that hold several things: archives, compressed files, moving pictures, and folders that describe themselves."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from forms import G, Reader, loaded, repacked, saved, unpacked, walked
from mutations import Random, mutated_json
from PIL import Image as pil

from ptheta.data.codecs.picture_files import open_picture


def packed(folder: Path) -> list[Reader]:
    """Archives, compressed files, and Arrow files, whose buffers may be compressed."""
    picture = saved(lambda b: pil.new("L", (4, 4), 9).save(b, "PNG"))
    text = ("the lazy dog sleeps. " * 9 + "Bär\n").encode()

    def zipped(buffer: io.BytesIO) -> None:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(4):
                archive.writestr(f"{i}.png", picture)

    def tarred(buffer: io.BytesIO) -> None:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for i in range(2):
                member = tarfile.TarInfo(f"{i}.png")
                member.size = len(picture)
                archive.addfile(member, io.BytesIO(picture))

    tar = saved(tarred)
    found = [
        Reader("zip", folder / "a.zip", saved(zipped), unpacked, 0.5),
        Reader("tar", folder / "a.tar", tar, unpacked, 0.5),
        Reader("tar in gz", folder / "b.tgz", b"", unpacked, 0.3, repacked(_gzipped, tar)),
    ]
    for suffix, pack in PACKED.items():
        found.append(Reader(f"txt.{suffix}", folder / f"a.txt.{suffix}", pack(text), unpacked, 0.3))
        inner = repacked(pack, b"a,b\n1,2\n3,4\n")
        found.append(Reader(f"csv in {suffix}", folder / f"b.csv.{suffix}", b"", unpacked, 0.1, inner))
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2] * 4, pa.int8()), ["red", "green", "blue"])
    table = pa.table({"a": G.normal(size=12), "w": words, "l": [[1, 2], [3, 4]] * 6, "s": ["x" * 20, "y"] * 6})
    table = table.append_column("v", pa.array(["a long word of a view", "b"] * 6, pa.string_view()))
    for name, (open_writer, compression) in {
        "stream.arrow": (pa.ipc.new_stream, None),
        "file.arrow": (pa.ipc.new_file, None),
        "zstd.arrow": (pa.ipc.new_stream, "zstd"),
        "lz4.feather": (pa.ipc.new_file, "lz4"),
    }.items():
        content = _arrow(table, open_writer, compression)
        found.append(Reader(name, folder / name, content, walked, 0.6))
    return found


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": _gzipped,
    "bz2": bz2.compress,
    "zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    "xz": lzma.compress,
}
"""Suffix → how it is compressed."""


def _arrow(table: pa.Table, open_writer: Callable, compression: str | None) -> bytes:
    buffer = io.BytesIO()
    with open_writer(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=6)
    return buffer.getvalue()


def moving(folder: Path) -> list[Reader]:
    """Pictures of several frames or pages."""
    frames = [pil.fromarray(G.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(4)]

    def read(path: Path) -> None:
        open_picture({"path": str(path), "bytes": None}, lambda _: str(path))

    found = []
    for suffix in ("gif", "png", "webp", "tif"):
        form = pil.registered_extensions()[f".{suffix}"]
        content = saved(lambda b, form=form: frames[0].save(b, form, save_all=True, append_images=frames[1:]))
        found.append(Reader(f"moving {suffix}", folder / f"a.{suffix}", content, read, 1))
    return found


def folders(folder: Path) -> list[Reader]:
    """Files by which a folder says what it holds, as JSON or YAML whose values are others."""
    import datasets

    found = []
    place = folder / "saved"
    features = datasets.Features({"x": datasets.Value("float64"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = datasets.Dataset.from_dict({"x": list(G.normal(size=12)), "label": [0, 1] * 6}, features=features)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(place)
    for file in (place / "dataset_dict.json", place / "train" / "dataset_info.json", place / "train" / "state.json"):
        content = file.read_bytes()

        def changed(_: bytes, random: Random, content: bytes = content) -> bytes:
            return json.dumps(mutated_json(json.loads(content), random)).encode()

        found.append(Reader(f"values of {file.name}", file, content, lambda _: walked(place), 0.1, changed))
    card = folder / "card"
    card.mkdir()
    for name in ("train.csv", "test.csv"):
        (card / name).write_text("a,b\n" + "1.5,x\n2.5,y\n" * 6)
    header = (
        b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: train.csv\n"
        b"dataset_info:\n  features:\n  - name: a\n    dtype: float64\n  - name: b\n    dtype: string\n---\nA set.\n"
    )
    found.append(Reader("card", card / "README.md", header, lambda file: walked(file.parent), 0.02))
    captions = folder / "captions"
    captions.mkdir()
    for i in range(3):
        pil.new("L", (4, 4), 20 * i).save(captions / f"{i}.png")
        (captions / f"{i}.txt").write_text(f"picture {i}")
    found.append(Reader("caption", captions / "0.txt", b"picture 0", lambda file: loaded(file.parent), 0.05))
    rows_of = [{"file_name": f"{i}.png", "text": f"no. {i}"} for i in range(3)]

    def lines(_: bytes, random: Random) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in mutated_json(rows_of, random)).encode()

    described = folder / "described"
    described.mkdir()
    for i in range(3):
        pil.new("L", (4, 4), 20 * i).save(described / f"{i}.png")
    metadata = described / "metadata.jsonl"
    plain = "".join(json.dumps(row) + "\n" for row in rows_of).encode()
    found.append(Reader("pictures of metadata.jsonl", metadata, plain, lambda file: walked(file.parent), 0.1))
    found.append(Reader("values of metadata.jsonl", metadata, plain, lambda file: walked(file.parent), 0.1, lines))
    return found
