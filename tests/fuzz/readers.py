"""Everything that reads what a user gives: an original of each form."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import wave
import zipfile
from pathlib import Path

import numpy as np
from forms import G, Reader, loaded, repacked, saved, walked
from mutations import Random, mutated_json
from other_runs import others
from packages import folders, moving, packed
from PIL import Image as pil

import ptheta
from ptheta.coding import Limits, compress, decompress
from ptheta.coding.container import pack_header, read_header
from ptheta.configs import config_digest, read_config
from ptheta.data.codecs import Codec
from ptheta.data.codecs.images import open_picture
from ptheta.data.reading import context_of, events_of_file
from ptheta.journal import Journal
from ptheta.runs import Run
from ptheta.weights import digest, read_tensors


def readers(folder: Path) -> list[Reader]:
    """All of them, with the files that lie beside the mutants in a folder."""
    found: list[Reader] = []
    for make in (
        _arrays,
        _tables,
        _arrow,
        _pictures,
        _sounds,
        _texts,
        _contexts,
        _runs,
        packed,
        moving,
        folders,
        others,
    ):
        place = folder / make.__name__.strip("_")
        place.mkdir()
        found += make(place)
    return found


def _arrays(folder: Path) -> list[Reader]:
    whole = G.integers(0, 3, (12, 4)).astype(np.uint8)
    arrays = {
        "u8": whole,
        "real": G.normal(size=(12, 3)),
        "fortran": np.asfortranarray(G.normal(size=(6, 4, 4))),
        "words": np.array(["red", "green", "blue"] * 4),
        "record": np.array([(1, 2.5)] * 12, [("a", "i4"), ("b", "f8")]),
    }
    found = [
        Reader(f"npy {name}", folder / f"{name}.npy", saved(lambda b, x=x: np.save(b, x)), walked, 6)
        for name, x in arrays.items()
    ]
    found.append(Reader("npy loaded", folder / "x.npy", found[0].content, loaded, 0.5))
    found.append(Reader("npy real loaded", folder / "y.npy", found[1].content, loaded, 0.5))
    both = {"x": whole, "y_train": whole[:, 0]}
    packed = saved(lambda b: np.savez_compressed(b, x=whole, y=whole[:, 0]))
    found.append(Reader("npz", folder / "x.npz", saved(lambda b: np.savez(b, **both)), walked, 3))
    found.append(Reader("npz packed", folder / "p.npz", packed, walked, 3))
    member = found[0].content

    def zipped(content: bytes) -> bytes:
        def save(buffer: io.BytesIO) -> None:
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("x.npy", content)

        return saved(save)

    found.append(Reader("npz member", folder / "m.npz", b"", walked, 3, repacked(zipped, member)))
    idx = struct.pack(">HBBIII", 0, 8, 3, 12, 4, 4) + G.integers(0, 256, 192, dtype=np.uint8).tobytes()
    found.append(Reader("idx", folder / "z-images-idx3-ubyte", idx, walked, 6))
    found.append(Reader("idx.gz", folder / "w-images-idx3-ubyte.gz", gzip.compress(idx, 9, mtime=0), walked, 6))
    zipped_idx = repacked(lambda content: gzip.compress(content, 1, mtime=0), idx)
    found.append(Reader("idx in gz", folder / "v-images-idx3-ubyte.gz", b"", walked, 6, zipped_idx))
    return found


def _tables(folder: Path) -> list[Reader]:
    import pandas as pd

    frame = pd.DataFrame({"a": G.normal(size=12).round(3), "b": list("xyz") * 4, "c": range(12)})
    csv = frame.to_csv(index=False).encode()
    rows = frame.to_json(orient="records").encode()
    lines = frame.to_json(orient="records", lines=True).encode()
    found = [
        Reader("csv", folder / "t.csv", csv, walked, 0.15),
        Reader("csv loaded", folder / "l.csv", csv, loaded, 0.05),
        Reader("csv.gz", folder / "t.csv.gz", gzip.compress(csv, mtime=0), walked, 0.15),
        Reader("csv in gz", folder / "u.csv.gz", b"", walked, 0.1, repacked(gzip.compress, csv)),
        Reader("tsv", folder / "t.tsv", csv.replace(b",", b"\t"), walked, 0.1),
        Reader("json", folder / "t.json", rows, walked, 0.15),
        Reader("json columns", folder / "c.json", json.dumps(frame.to_dict("list")).encode(), walked, 0.1),
        Reader("json loaded", folder / "l.json", rows, loaded, 0.05),
        Reader("jsonl", folder / "t.jsonl", lines, walked, 0.15),
    ]
    for name, options in {"plain": {"compression": "none"}, "snappy": {}, "zstd": {"compression": "zstd"}}.items():
        content = saved(lambda b, options=options: frame.to_parquet(b, **options))
        found.append(Reader(f"parquet {name}", folder / f"{name}.parquet", content, walked, 2))
    found.append(Reader("parquet loaded", folder / "l.parquet", found[-1].content, loaded, 0.1))
    codec = Codec.from_json(ptheta.load(frame).codec.to_json())
    found.append(Reader("csv scored", folder / "s.csv", csv, lambda path: events_of_file(codec, path), 0.1))
    return found


def _arrow(folder: Path) -> list[Reader]:
    import datasets

    features = datasets.Features({"x": datasets.Value("float64"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = {"x": list(G.normal(size=12)), "label": [0, 1] * 6}
    saved = folder / "saved"
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(saved)
    words = folder / "words"
    datasets.Dataset.from_dict({"text": ["a b", "c d"] * 6, "v": [[1, 2], [3, 4]] * 6}).save_to_disk(words)
    found = []
    for place in (saved, words):
        for file in sorted(place.iterdir()):
            share = 0.3 if file.suffix == ".arrow" else 0.1
            name = f"arrow {place.name}/{file.name}"
            found.append(Reader(name, file, file.read_bytes(), lambda path: walked(path.parent), share))
    return found


def _pictures(folder: Path) -> list[Reader]:
    colours = pil.fromarray(G.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    grey = colours.convert("L")
    forms = {
        "png": (colours, {}), "jpg": (colours, {}), "gif": (grey, {}), "bmp": (colours, {}), "tif": (grey, {}),
        "webp": (colours, {}), "ppm": (colours, {}),
    }  # fmt: skip
    found = []
    for suffix, (picture, options) in forms.items():
        form = pil.registered_extensions()[f".{suffix}"]
        content = saved(lambda b, p=picture, form=form, options=options: p.save(b, form, **options))

        def read(path: Path) -> None:
            open_picture({"path": str(path), "bytes": None}, lambda _: str(path))

        found.append(Reader(f"picture {suffix}", folder / f"a.{suffix}", content, read, 3))
        beside = folder / suffix
        beside.mkdir()
        for i in range(3):
            picture.save(beside / f"{i}.{suffix}")
        found.append(
            Reader(f"folder of {suffix}", beside / f"9.{suffix}", content, lambda path: loaded(path.parent), 0.1)
        )
    return found


def _wave(width: int = 2) -> bytes:
    def save(buffer: io.BytesIO) -> None:
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(width)
            file.setframerate(8_000)
            file.writeframes(G.integers(0, 256, 400 * width, dtype=np.uint8).tobytes())

    return saved(save)


def _sounds(folder: Path) -> list[Reader]:
    from ptheta.data.codecs.waves import read_sound

    def read(path: Path) -> None:
        read_sound({"path": str(path), "bytes": None}, lambda _: str(path))

    found = [Reader(f"wav {8 * w}", folder / f"{w}.wav", _wave(w), read, 3) for w in (1, 2, 3)]
    try:
        import soundfile
    except ImportError:
        return found
    for form in ("FLAC", "OGG"):
        buffer = io.BytesIO()
        soundfile.write(buffer, G.normal(size=400) / 5, 8_000, format=form)
        found.append(Reader(form.lower(), folder / f"a.{form.lower()}", buffer.getvalue(), read, 1))
    return found


def _texts(folder: Path) -> list[Reader]:
    text = ("the lazy dog sleeps. " * 20 + "Bär\n").encode()
    return [Reader("txt", folder / "t.txt", text, lambda path: loaded(path, length=16), 0.5)]


def _contexts(folder: Path) -> list[Reader]:
    """Files that describe others, and cells taken as they are written."""
    found = []
    metadata = "file_name,text\n0.wav,one\n1.wav,two\n2.wav,three\n"
    rows = [dict(zip(("file_name", "text"), line.split(","))) for line in metadata.split()[1:]]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for suffix, content in {"csv": metadata, "jsonl": lines}.items():
        place = folder / suffix
        place.mkdir()
        for i in range(3):
            (place / f"{i}.wav").write_bytes(_wave())
        file = place / f"metadata.{suffix}"
        found.append(
            Reader(f"sounds of metadata.{suffix}", file, content.encode(), lambda path: walked(path.parent), 0.3)
        )
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(3):
        pil.new("L", (4, 4), 20 * i).save(pictures / f"{i}.png")
    content = metadata.replace(".wav", ".png").encode()
    found.append(
        Reader("pictures of metadata.csv", pictures / "metadata.csv", content, lambda path: walked(path.parent), 0.02)
    )
    codec = Codec.from_json({"kind": "number", "column": "a"})
    found.append(Reader("contexts", folder / "c.csv", b"a\n1\n2.5\n", lambda path: events_of_file(codec, path), 1))

    def given(path: Path) -> None:
        context_of(codec, path.read_bytes().decode("latin-1"))

    found.append(Reader("a context", folder / "c.txt", b"12.5", given, 1))
    return found


def _runs(folder: Path) -> list[Reader]:
    import torch

    torch.set_num_threads(1)
    data = ptheta.load(G.integers(0, 3, (60, 4)).astype(np.uint8))
    small = {"width": 4}
    run = ptheta.fit("made", data, hyperparameters=small, steps=1, out=folder / "run", verbose=False)
    archive, inputs = folder / "a.ptz", folder / "in.npy"
    np.save(inputs, G.integers(0, 3, (4, 4)).astype(np.uint8))
    compress(run, [inputs], archive)
    content = archive.read_bytes()
    path = run.path

    def opened(_: Path) -> None:
        again = Run.load(path)
        again.codec, again.context_codec, again.remarks  # noqa: B018
        again.results()

    def unpacked(file: Path) -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        decompress(run, file, folder / "out")

    def resealed(content: bytes, random: Random) -> bytes:
        """A config that was edited by somebody who knows how its hash is made."""
        config = mutated_json(json.loads(content), random)
        if isinstance(config, dict):
            config["sha256"] = config_digest(config)
        return json.dumps(config).encode()

    header, start = read_header(content, "", Limits())

    def resealed_header(_: bytes, random: Random) -> bytes:
        return pack_header(mutated_json(header, random)) + content[start:]

    def tensors(_: bytes, random: Random) -> bytes:
        """Tensors of other names and shapes, with a hash that fits."""
        from safetensors.torch import save

        weights = dict(run.model.state_dict())
        name = sorted(weights)[int(random.integers(len(weights)))]
        others = [weights[name][:0], weights[name][None], weights[name].double(), torch.zeros(7), weights[name] / 0]
        weights[name if random.random() < 0.8 else "other"] = (
            others[int(random.integers(len(others)))].contiguous().clone()
        )
        about = {"config": run.config["sha256"]}
        return save(weights, about | {"sha256": digest(weights, about)})

    config, weights, metrics = (path / name for name in ("config.json", "model.safetensors", "metrics.jsonl"))
    return [
        Reader("config.json", config, config.read_bytes(), lambda file: read_config(file.parent), 2),
        Reader("config.json resealed", config, config.read_bytes(), opened, 1, resealed),
        Reader("model.safetensors", weights, weights.read_bytes(), read_tensors, 3),
        Reader("model.safetensors resealed", weights, weights.read_bytes(), opened, 0.3, tensors),
        Reader("metrics.jsonl", metrics, metrics.read_bytes(), lambda file: Journal(file).records(), 3),
        Reader("ptz", archive, content, unpacked, 2),
        Reader("ptz resealed", archive, content, unpacked, 0.3, resealed_header),
    ]
