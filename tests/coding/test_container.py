"""Damage is noticed, named and contained; nothing wrong is ever written."""

import dataclasses
import errno
import os
import re
import struct
import zlib

import numpy as np
import pytest
from coding_samples import greys, text
from PIL import Image

import ptheta.coding.blocks as blocks
from ptheta.coding import CodingError, Limits, compress, decompress
from ptheta.coding.container import (
    BLOCK_OVERHEAD,
    CODED,
    MAGIC,
    pack_header,
    read_block,
    read_header,
    zstd,
)
from ptheta.coding.plan import Cut, Stretches, counted, plan
from ptheta.coding.tables import Encoder
from ptheta.errors import UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(runs, here):
    """Nine pictures in three blocks, compressed; the whole file's bytes."""
    for i, picture in enumerate(greys(7, 9)):
        Image.fromarray(picture).save(here / f"{i}.png")
    compress(runs["grey"], [f"{i}.png" for i in range(9)], "x.ptz", lanes=3)
    return (here / "x.ptz").read_bytes()


def starts(whole):
    """Where each block begins."""
    header, offset = read_header(whole, "x", Limits())
    found = []
    for number in range(header["blocks"]):
        found.append(offset)
        _, offset = read_block(whole, offset, number)
    return found


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def intact(here, restored):
    """Every file that was written is the right one."""
    for name in restored.files:
        with Image.open(restored.directory / name) as found, Image.open(here / name) as given:
            assert np.array_equal(np.asarray(found), np.asarray(given))
    return set(restored.files)


def clear(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


# Damage


def test_every_flip_of_a_bit_is_noticed_and_nothing_wrong_written(runs, here, pictures):
    g = np.random.default_rng(0)
    bits = {int(bit) for bit in g.integers(0, 8 * len(pictures), 60)} | set(range(0, 8 * 26, 5))
    for bit in bits:
        damaged = bytearray(pictures)
        damaged[bit // 8] ^= 1 << bit % 8
        (here / "y.ptz").write_bytes(damaged)
        with pytest.raises(CodingError):
            decompress(runs["grey"], "y.ptz", "out")
        assert not (here / "out").exists()
        try:
            restored = decompress(runs["grey"], "y.ptz", "out", recover=True)
        except CodingError:
            assert bit // 8 < starts(pictures)[0], "only a damaged header loses all"
        else:
            assert len(intact(here, restored)) >= 6
            clear(here / "out")


def test_every_length_but_its_own_is_noticed(runs, here, pictures):
    lengths = {*range(0, len(pictures), 37), *range(len(pictures) - 14, len(pictures))}
    for damaged in [*(pictures[:k] for k in lengths), pictures + b"\0", pictures + pictures, b"", os.urandom(500)]:
        (here / "y.ptz").write_bytes(damaged)
        with pytest.raises(CodingError):
            decompress(runs["grey"], "y.ptz", "out")
        assert not (here / "out").exists()


@pytest.mark.parametrize("where", [3, BLOCK_OVERHEAD + 5])
def test_a_damaged_block_is_named_and_the_others_recovered(runs, here, pictures, where):
    damaged = bytearray(pictures)
    damaged[starts(pictures)[1] + where] ^= 4
    (here / "y.ptz").write_bytes(damaged)
    with pytest.raises(CodingError, match=r"y\.ptz: block 1 is damaged; .*recover=True"):
        decompress(runs["grey"], "y.ptz", "out")
    restored = decompress(runs["grey"], "y.ptz", "out", recover=True)
    assert intact(here, restored) == {"0.png", "1.png", "2.png", "6.png", "7.png", "8.png"}
    assert (restored.damaged, restored.damaged_blocks) == (["3.png", "4.png", "5.png"], [1])
    assert names_in(here / "out") == sorted(restored.files)


def test_a_file_that_was_cut_off_gives_its_first_blocks(runs, here, pictures):
    (here / "y.ptz").write_bytes(pictures[: starts(pictures)[2] + 20])
    restored = decompress(runs["grey"], "y.ptz", "out", recover=True)
    assert intact(here, restored) == {f"{i}.png" for i in range(6)}


def test_what_is_intact_of_a_damaged_text_is_kept(runs, here):
    (here / "a.txt").write_bytes(text(0, 100))
    compress(runs["bytes"], ["a.txt"], "x.ptz", lanes=2, stretch=10)
    damaged = bytearray((here / "x.ptz").read_bytes())
    damaged[starts(damaged)[2] + BLOCK_OVERHEAD] ^= 1
    (here / "x.ptz").write_bytes(damaged)
    restored = decompress(runs["bytes"], "x.ptz", "out", recover=True)
    assert (restored.files, restored.damaged) == ([], ["a.txt"])
    first, second = restored.parts
    assert first == "a.txt.intact-000000000000-000000000040"
    assert (here / "out" / first).read_bytes() == text(0, 100)[:40]
    assert (here / "out" / second).read_bytes() == text(0, 100)[60:]


# Other models, other machines


def test_another_model_is_refused_before_anything_is_decoded(runs, here, pictures, monkeypatch):
    monkeypatch.setattr("ptheta.coding.blocks.walk", lambda *_: pytest.fail("it decoded"))
    with pytest.raises(CodingError, match=r"x\.ptz was compressed with another model: independent with hash"):
        decompress(runs["rgb"], "x.ptz", "out")
    assert not (here / "out").exists()


@pytest.mark.parametrize("other", ["labelled", "bytes", "rows"])
def test_a_model_of_another_context_or_kind_is_another_model_and_no_damage(other, runs, here, pictures):
    with pytest.raises(
        CodingError, match=r"x\.ptz was compressed with another model: .*; give the run it was made with"
    ):
        decompress(runs[other], "x.ptz", "out")


def test_a_codec_that_reads_the_levels_otherwise_is_another_model(runs, here, pictures):
    from ptheta import Run

    run = runs["grey"]
    other = Run(run.path, run.config | {"codec": run.config["codec"] | {"resize": True}}, run.model)
    with pytest.raises(CodingError, match="another model"):
        decompress(other, "x.ptz", "out")


@pytest.mark.parametrize(("name", "here_is"), [("torch", "1.0.0"), ("threads", "7"), ("device", "cuda")])
def test_a_probe_that_differs_names_what_is_different(runs, here, pictures, monkeypatch, name, here_is):
    from ptheta.coding import decompressing

    known = decompressing.environment(runs["grey"].model, 1)
    monkeypatch.setattr(decompressing, "environment", lambda *_: known | {name: here_is})
    assert decompress(runs["grey"], "x.ptz", "same").damaged == [], "what computes the same may be called otherwise"
    monkeypatch.setattr(decompressing, "probe", lambda _: "other tables")
    message = f"computes different probabilities here .*{name} {re.escape(known[name])} there, {here_is} here"
    with pytest.raises(CodingError, match=message):
        decompress(runs["grey"], "x.ptz", "out")
    assert not (here / "out").exists()


def test_tables_that_change_on_the_way_stop_it(runs, here, monkeypatch):
    from ptheta.coding import compressing, decompressing

    (here / "a.txt").write_bytes(text(3, 90))
    model = runs["letters"].model
    for module in (compressing, decompressing):
        monkeypatch.setattr(module, "probe", lambda _: "the same")
        monkeypatch.setattr(module, "identity", lambda _: "the same")
    monkeypatch.setattr(blocks, "zstd", lambda raw: raw)
    assert compress(runs["letters"], ["a.txt"], "x.ptz", stretch=30).stored_blocks == 0
    weight = next(parameter for parameter in model.parameters() if parameter.ndim == 2)
    saved = weight.detach().clone()
    try:
        weight.data *= 1.0001
        with pytest.raises(CodingError, match="computes different probabilities here than where block 0 was made"):
            decompress(runs["letters"], "x.ptz", "out")
        assert decompress(runs["letters"], "x.ptz", "out", recover=True).damaged == ["a.txt"]
        assert names_in(here / "out") == []
    finally:
        weight.data.copy_(saved)


def test_values_that_are_not_those_encoded_are_never_written(runs, here, pictures):
    start = starts(pictures)[1]
    block, stop = read_block(pictures, start, 1)
    forged = dataclasses.replace(block, values=block.values ^ 1).pack()
    (here / "y.ptz").write_bytes(pictures[:start] + forged + pictures[stop:])
    with pytest.raises(CodingError, match="the values of block 1 are not those that were encoded"):
        decompress(runs["grey"], "y.ptz", "out")
    longer = dataclasses.replace(block, count=block.count + 1).pack()
    (here / "y.ptz").write_bytes(pictures[:start] + longer + pictures[stop:])
    with pytest.raises(CodingError, match="holds 109 values instead of 108"):
        decompress(runs["grey"], "y.ptz", "out")


def test_what_cannot_be_repeated_is_stored(runs, here, monkeypatch):
    whole = blocks.walk

    def forgetful(model, coder, lengths, context, z):
        return whole(model, coder, lengths, context, z if z is None else z.clone().fill_(1))

    monkeypatch.setattr(blocks, "walk", forgetful)
    monkeypatch.setattr(blocks, "zstd", lambda raw: raw)
    (here / "a.txt").write_bytes(text(3, 90))
    report = compress(runs["letters"], ["a.txt"], "x.ptz")
    assert (report.stored_blocks, report.coded_bits) == (1, 0)
    monkeypatch.setattr(blocks, "walk", whole)
    decompress(runs["letters"], "x.ptz", "out")
    assert (here / "out" / "a.txt").read_bytes() == text(3, 90)


def test_probabilities_that_are_none_are_stored(runs, here, monkeypatch):
    def broken(*_):
        raise CodingError("the model's probabilities are not finite", "fit it again")

    monkeypatch.setattr(blocks, "walk", broken)
    (here / "a.txt").write_bytes(text(3, 90))
    report = compress(runs["letters"], ["a.txt"], "x.ptz")
    assert report.stored_blocks == 1
    decompress(runs["letters"], "x.ptz", "out")
    assert (here / "out" / "a.txt").read_bytes() == text(3, 90)


# Claims


def changed(whole, **values):
    """The same file with another header."""
    header, offset = read_header(whole, "x", Limits())
    for path, value in values.items():
        place, *keys = header, *path.split("__")
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
    return pack_header(header) + whole[offset:]


@pytest.mark.parametrize("values", [
    {"files__count": [2**40] + [1] * 8}, {"files__side": [2**40] + [0] * 8}, {"cut__events": 2**40},
    {"cut": {"events": 3, "lanes": 2**30, "stretch": 2**30}}, {"cut__stretch": 0}, {"cut": None}, {"labels": 2**40},
    {"labels": 9}, {"blocks": 2**40}, {"blocks": 2}, {"files__count": [-1] * 9}, {"files__count": [1.0] * 9},
    {"files__kind": ["virus"] * 9}, {"files__kind": ["text"] * 9}, {"files": []}, {"files__name": ["a"]},
    {"environment__threads": "0"}, {"environment__threads": "many"}, {"environment": 3}, {"sha256": "0" * 64},
    {"probe": None}, {"model": 5},
], ids=str)  # fmt: skip
def test_claims_that_make_no_sense_are_refused_before_allocation(runs, here, pictures, values):
    (here / "y.ptz").write_bytes(changed(pictures, **values))
    with pytest.raises(CodingError):
        decompress(runs["grey"], "y.ptz", "out")
    assert not (here / "out").exists()


def test_a_header_may_not_claim_more_than_the_limits(runs, here, pictures):
    head = struct.Struct("<8sHIII")
    for stored, size in ((50, 2**31), (2**31, 50)):
        (here / "y.ptz").write_bytes(head.pack(MAGIC, 1, stored, size, 0) + bytes(100))
        with pytest.raises(CodingError, match="claims a header"):
            decompress(runs["grey"], "y.ptz", "out")
    with pytest.raises(CodingError, match="claims a header"):
        decompress(runs["grey"], "x.ptz", "out", limits=Limits(header=100))
    with pytest.raises(CodingError, match="at most 3 files"):
        decompress(runs["grey"], "x.ptz", "out", limits=Limits(files=3))
    with pytest.raises(CodingError, match="at most 50 values"):
        decompress(runs["grey"], "x.ptz", "out", limits=Limits(block=50))
    with pytest.raises(CodingError, match="300 of the others"):
        decompress(runs["grey"], "x.ptz", "out", limits=Limits(bytes=300))
    with pytest.raises(CodingError, match="at most 2 are read"):
        decompress(runs["grey"], "x.ptz", "out", limits=Limits(blocks=2))


@pytest.mark.parametrize("content", [b"{nope", b"\xff\xfe", b"[" * 100_000], ids=["json", "utf-8", "deep"])
def test_a_header_that_is_no_json_is_refused(content, runs, here):
    packed = zstd(content)
    crc = zlib.crc32(packed, zlib.crc32(struct.pack("<HII", 1, len(packed), len(content))))
    (here / "y.ptz").write_bytes(struct.pack("<8sHIII", MAGIC, 1, len(packed), len(content), crc) + packed)
    with pytest.raises(CodingError, match=r"header of y\.ptz is invalid"):
        decompress(runs["grey"], "y.ptz", "out")


@pytest.mark.parametrize("texts", [[], [0], [1, 5, 12, 13, 0, 25]])
def test_blocks_are_counted_without_a_plan(texts):
    for cut in (Cut(3, 2, 4), Cut(1, 1, 1), Cut(10, 64, 4096)):
        blocks = list(plan(2**22 + 1, 7, 5, texts, cut))
        lanes = sum(len(block.lanes) for block in blocks if isinstance(block, Stretches))
        assert counted(2**22 + 1, 7, texts, cut) == (len(blocks), lanes)


def test_a_newer_format_is_refused(runs, here, pictures, monkeypatch):
    header, offset = read_header(pictures, "x", Limits())
    with monkeypatch.context() as patch:
        patch.setattr("ptheta.coding.container.VERSION", 2)
        (here / "y.ptz").write_bytes(pack_header(header) + pictures[offset:])
    with pytest.raises(CodingError, match="has format 2, and this ptheta reads 1"):
        decompress(runs["grey"], "y.ptz", "out")


@pytest.mark.parametrize(
    "bad", ["../a", "/etc/a", "a/../../b", "", ".", "a//b", "a/", "a\0b", "1.png", "1.png/b", 5, None]
)
def test_names_that_lead_outside_or_clash_are_never_written(runs, here, pictures, bad):
    names = [bad, *(f"{i}.png" for i in range(1, 9))]
    (here / "y.ptz").write_bytes(changed(pictures, files__name=names))
    with pytest.raises(CodingError, match="file name"):
        decompress(runs["grey"], "y.ptz", "deep/out")
    assert not (here / "deep").exists()


# Writing


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_nothing(runs, here, pictures, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = names_in(here)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(UsageError, match="No space left on device"):
        compress(runs["grey"], ["1.png"], "y.ptz")
    with pytest.raises(UsageError, match="No space left on device"):
        decompress(runs["grey"], "x.ptz", "out")
    assert names_in(here) == before


def test_an_interrupted_compression_leaves_the_old_file(runs, here, pictures, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ptheta.coding.compressing.encode", stop)
    before = names_in(here)
    with pytest.raises(KeyboardInterrupt):
        compress(runs["grey"], ["1.png"], "x.ptz", force=True)
    assert (here / "x.ptz").read_bytes() == pictures
    assert names_in(here) == before


def test_blocks_that_grow_are_stored(runs, here):
    noise = np.random.default_rng(1).bytes(3000)
    (here / "noise").write_bytes(noise)
    compress(runs["chain"], ["noise"], "x.ptz")
    whole = (here / "x.ptz").read_bytes()
    block, _ = read_block(whole, starts(whole)[0], 0)
    assert block.method != CODED
    assert len(whole) < 3000 + 1024
    assert len(Encoder().payload()) == 0


def test_what_a_label_means_is_part_of_a_models_identity(runs):
    from ptheta.coding.compressing import identity
    from ptheta.runs import Run

    run = runs["labelled"]
    other = {**run.config["context_codec"], "column": "another"}
    assert identity(Run(run.path, {**run.config, "context_codec": other}, run.model)) != identity(run)
