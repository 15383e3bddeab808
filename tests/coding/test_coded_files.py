"""Files come back: pixels, bytes, cells; and what a model would change is stored."""

import hashlib
import json
import os
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from coding_samples import QUOTED, greys, rows, text
from PIL import Image, PngImagePlugin

import ptheta
from ptheta.coding import compress, decompress, parts
from ptheta.coding.blocks import Values
from ptheta.data.reading import events_of_file
from ptheta.errors import ContextError, SourceError, UsageError
from ptheta.remarks import collecting


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def both_ways(run, files, **options):
    """Compress and decompress; returns the report and the folder."""
    report = compress(run, files, "x.ptz", force=True, **options)
    place = Path(f"out{len(list(Path().glob('out*')))}")
    restored = decompress(run, "x.ptz", place)
    assert restored.files == report.files
    assert restored.damaged == []
    return report, place


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def pixels(path):
    with Image.open(path) as picture:
        return picture.mode, np.asarray(picture)


# Pictures


@pytest.mark.parametrize("name", ["grey", "rgb"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_pictures_come_back_around_the_edges_of_blocks(runs, here, name, n):
    pictures = greys(5, n, channels=(3,) if name == "rgb" else ())
    for i, picture in enumerate(pictures):
        save(here / "in" / f"{i}.png", picture)
    report, out = both_ways(runs[name], ["in"], lanes=3)
    assert report.stored == []
    assert report.blocks == -(-n // 3)
    assert report.files == [f"in/{i}.png" for i in range(n)]
    for i, picture in enumerate(pictures):
        np.testing.assert_array_equal(pixels(out / "in" / f"{i}.png")[1], picture)


def test_pictures_the_model_would_change_are_stored_byte_for_byte(runs, here):
    grey, colour = greys(1, 1)[0], greys(1, 1, channels=(3,))[0]
    save(here / "size.png", greys(1, 1, side=7)[0])
    save(here / "colour.png", colour)
    Image.fromarray(np.dstack([colour, grey])).save("alpha.png")
    Image.fromarray(grey).convert("P").save("palette.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save("deep.png")
    Image.fromarray(grey > 60).save("bits.png")
    Image.fromarray(grey).save("picture.jpg")
    Image.fromarray(grey).save("moving.png", save_all=True, append_images=[Image.fromarray(255 - grey)])
    whole = (here / "size.png").read_bytes()
    (here / "cut.png").write_bytes(whole[:-20])
    (here / "longer.png").write_bytes(whole + b"!")
    (here / "empty.png").write_bytes(b"")
    names = sorted(path.name for path in here.iterdir())
    report, out = both_ways(runs["grey"], names)
    assert report.stored == names
    assert all((out / name).read_bytes() == (here / name).read_bytes() for name in names)


def test_a_picture_of_fewer_levels_than_the_file_is_stored(here):
    data = ptheta.load(greys(0, 40), levels=4)
    run = ptheta.fit("independent", data, out=here / "run")
    save(here / "fine.png", greys(3, 1)[0])
    save(here / "coarse.png", run.codec.shades()[np.random.default_rng(0).integers(0, 4, (6, 6))])
    report, out = both_ways(run, ["fine.png", "coarse.png"])
    assert report.stored == ["fine.png"]
    for name in ("fine.png", "coarse.png"):
        np.testing.assert_array_equal(pixels(out / name)[1], pixels(here / name)[1])


def test_what_a_picture_says_besides_its_pixels_is_kept(runs, here):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "Ada")
    grey = greys(2, 1)[0]
    save(here / "noted.png", grey, pnginfo=notes, dpi=(300, 300), icc_profile=b"\0" * 200)
    Image.fromarray(grey).save("see.png", transparency=int(grey[0, 0]))
    report, out = both_ways(runs["grey"], ["noted.png"])
    assert report.stored == []
    with Image.open(out / "noted.png") as found, Image.open("noted.png") as given:
        assert found.info == given.info
        assert found.info["Author"] == "Ada"
        np.testing.assert_array_equal(np.asarray(found), np.asarray(given))
    _, out = both_ways(runs["grey"], ["see.png"])
    with Image.open(out / "see.png") as found:
        assert found.info["transparency"] == grey[0, 0]


def chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def test_a_note_that_looks_like_the_place_of_the_pixels_is_a_note(runs, here):
    save(here / "plain.png", greys(2, 1)[0])
    plain = (here / "plain.png").read_bytes()
    at = plain.index(b"IDAT") - 4
    whole = plain[:at] + chunk(b"teXt", b"k\0" + chunk(b"IDAT", b"") + b"rest") + plain[at:]
    (here / "noted.png").write_bytes(whole)
    _, out = both_ways(runs["grey"], ["noted.png"])
    assert (out / "noted.png").read_bytes() == whole


def test_a_picture_with_half_a_head_is_stored(runs, here):
    (here / "headless.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"") + chunk(b"IEND", b""))
    report, out = both_ways(runs["grey"], ["headless.png"])
    assert report.stored == ["headless.png"]
    assert (out / "headless.png").read_bytes() == (here / "headless.png").read_bytes()


def test_a_name_that_is_no_text_is_named(runs, here):
    Path(os.fsdecode(b"\xff.txt")).write_bytes(b"hello")
    with pytest.raises(SourceError, match=r"udcff.txt' is not valid UTF-8"):
        compress(runs["chain"], [os.fsdecode(b"\xff.txt")], "x.ptz")


@pytest.mark.parametrize(("name", "array"), [
    ("grey", greys(4, 5)), ("rgb", greys(4, 5, channels=(3,))),
    ("rgb", np.ascontiguousarray(greys(4, 5, channels=(3,)).transpose(0, 3, 1, 2))),
    ("grey", greys(4, 1)[0]), ("grey", greys(4, 5).astype(np.int64)), ("array", np.ones((7, 4), np.int16)),
    ("array", np.zeros((0, 4), np.int16)), ("array", np.array([0, 1, 2, 2])), ("array", np.full((2, 4), 3)),
    ("array", np.asfortranarray(np.arange(12).reshape(3, 4) % 3)), ("array", np.ones((2, 4)) / 3),
])  # fmt: skip
def test_arrays_come_back_byte_for_byte(runs, here, name, array):
    np.save("a.npy", array)
    report, out = both_ways(runs[name], ["a.npy"])
    assert (out / "a.npy").read_bytes() == (here / "a.npy").read_bytes()
    codable = array.flags.c_contiguous and array.dtype.kind in "iu" and (name != "array" or array.max(initial=0) < 3)
    assert (report.stored == []) == codable


# Texts


@pytest.mark.parametrize("name", ["bytes", "chain", "letters"])
@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 33, 100])
def test_texts_of_any_length(runs, here, name, n):
    (here / "a.txt").write_bytes(text(n, n))
    report, out = both_ways(runs[name], ["a.txt"], lanes=3, stretch=16)
    assert (out / "a.txt").read_bytes() == text(n, n)
    assert report.values == n
    assert report.blocks == -(-n // 48)


def test_many_texts_of_different_lengths_share_blocks(runs, here):
    for i, n in enumerate([5, 300, 0, 41, 40, 39, 1]):
        (here / f"{i}.txt").write_bytes(text(i, n))
    names = [f"{i}.txt" for i in range(7)]
    report, out = both_ways(runs["bytes"], names, lanes=4, stretch=40)
    assert report.blocks == 4  # of 1 + 8 + 0 + 2 + 1 + 1 + 1 lanes, four in each
    assert all((out / name).read_bytes() == (here / name).read_bytes() for name in names)


def test_any_file_passes_through_bytes_and_noise_grows_by_little(runs, here):
    noise = np.random.default_rng(0).bytes(600)
    (here / "noise.bin").write_bytes(noise)
    report, out = both_ways(runs["bytes"], ["noise.bin"])
    assert (out / "noise.bin").read_bytes() == noise
    assert report.stored_blocks == report.blocks
    assert report.bytes_out < len(noise) + 1024


def test_characters_outside_the_alphabet_are_stored(runs, here):
    (here / "a.txt").write_bytes("the quick Käse".encode())
    (here / "b.txt").write_bytes(b"\xff\xfe quick")
    (here / "c.txt").write_bytes(b"quick fox")
    report, out = both_ways(runs["letters"], ["a.txt", "b.txt", "c.txt"])
    assert report.stored == ["a.txt", "b.txt"]
    assert all((out / name).read_bytes() == (here / name).read_bytes() for name in report.files)


# Tables


@pytest.mark.parametrize("change", [
    lambda t: t, lambda t: t.replace("\n", "\r\n"), lambda t: t.removesuffix("\n"),
    lambda t: "\n".join(t.splitlines()[:2]) + "\n", lambda t: re.sub(r",(\d+),", r",\1.0,", t),
])  # fmt: skip
def test_csv_files_come_back_byte_for_byte(runs, here, change, monkeypatch):
    monkeypatch.setattr("ptheta.coding.blocks.zstd", lambda raw: raw)  # which is smaller for a model so little fitted
    (here / "a.csv").write_bytes(change(rows(1)).encode())
    report, out = both_ways(runs["rows"], ["a.csv"])
    assert (out / "a.csv").read_bytes() == (here / "a.csv").read_bytes()
    assert report.stored == []
    assert report.coded_bits > 0


OTHERWISE = {
    "semicolons": lambda t: t.replace(QUOTED, "green").replace(",", ";"),
    "tabs": lambda t: t.replace(QUOTED, "green").replace(",", "\t"),
    "decimal commas": lambda t: t.replace(QUOTED, "green").replace(",", ";").replace(".", ","),
    "spaces behind commas": lambda t: t.replace(",", ", ").replace("n,  d", "n, d"),
    "blank lines": lambda t: t.replace("\n", "\n\n", 3) + "\n\n",
    "comments": lambda t: "# from a sensor\n# twice\n" + t,
    "sep=": lambda t: "sep=;\r\n" + t.replace(QUOTED, "green").replace(",", ";").replace("\n", "\r\n"),
    "line ends of two kinds": lambda t: t.replace("\n", "\r\n", 5),
    "all quoted": lambda t: "".join(
        ",".join('"' + cell.strip('"') + '"' for cell in re.split(",(?! )", line)) + "\n" for line in t.splitlines()
    ),
    "missing in several words": lambda t: re.sub(r",$", ",NA", t, count=9, flags=re.M),
    "a few decimals": lambda t: re.sub(r"\.(\d)0\b", r".\1", t),
    "percents": lambda t: re.sub(r"(\.\d\d),", r"\1%,", t),
    "two columns more": lambda t: re.sub(r"(?m)^(.+)$", r"é|\1|", t.replace(QUOTED, "green").replace(",", "|")),
    "short rows": lambda t: re.sub(r"(?m),$", "", t),
    "no last line end": lambda t: t.replace(QUOTED, "green").replace(",", "|").removesuffix("\n"),
}
"""What people's tables are like → rows as commas separate them, written so."""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("change", OTHERWISE)
def test_csv_files_of_any_dialect_are_coded(runs, here, change, encoding):
    codec, values = runs["rows"].codec, Values(runs["rows"].model)
    codec = replace(codec, columns=[c | {"values": c["values"] and sorted([*c["values"], "green"])}
                                    if c["name"] == "colour" else c for c in codec.columns])  # fmt: skip
    content = OTHERWISE[change](rows(1, 40)).encode(encoding)
    (here / "a.csv").write_bytes(content)
    with collecting():
        part = parts.read(here / "a.csv", "a.csv", codec, values)
        assert (part.kind, part.count) == ("table", 40)
        side, how = values.side.read(0, part.side).tobytes(), json.loads(json.dumps(part.how))
        again, _ = parts.restore("table", codec, events_of_file(codec, here / "a.csv"), side, how)
    assert again == content
    assert side.count(b"\2") <= 20  # cells that are kept beside the model's


def test_a_table_of_another_dialect_is_compressed_and_decompressed(runs, here):
    content = rows(1).replace(QUOTED, "red").replace(",", ";").replace(".", ",").encode("utf-16")
    (here / "a.csv").write_bytes(content)
    with collecting():
        report, out = both_ways(runs["rows"], ["a.csv"])
    assert report.stored == []
    assert (out / "a.csv").read_bytes() == content


@pytest.mark.parametrize("change", [
    lambda t: t.replace("red", "mauve"), lambda t: t + "1,2,3,4,5,6\n", lambda t: "no table",
    lambda t: t.replace("age", "years"), lambda t: t.replace("\n", "\1\n"),
])  # fmt: skip
def test_csv_files_written_otherwise_are_stored(runs, here, change):
    (here / "a.csv").write_text(change(rows(1)))
    report, out = both_ways(runs["rows"], ["a.csv"])
    assert (out / "a.csv").read_bytes() == (here / "a.csv").read_bytes()
    assert report.stored == ["a.csv"]


def test_why_a_table_is_stored_names_the_quirk(runs, here, monkeypatch):
    def why(text):
        (here / "a.csv").write_text(text)
        with collecting(), runs["rows"].reading():
            return parts.read(here / "a.csv", "a.csv", runs["rows"].codec, Values(runs["rows"].model)).why

    assert "has no column 'age'" in why(rows(1).replace("age", "years"))
    assert "'mauve'" in why(rows(1).replace("red", "mauve"))
    assert "control characters" in why("# \1\n" + rows(1))
    lines = rows(1).splitlines(keepends=True)
    other = "".join([*lines[:2], "9,9\n", *lines[3:]]).encode()
    monkeypatch.setattr(parts, "restore", lambda *_: (other, ""))
    assert why(rows(1)).endswith(f": line 3 is {lines[2]!r}, and would be '9,9\\n'")


def frame(runs):
    return pd.DataFrame(runs["rows"].codec.decode(events_of_file(runs["rows"].codec, runs["rows"].data.source)))


def test_other_columns_are_kept_beside_those_of_the_model(runs, here):
    table = frame(runs)
    table.insert(1, "name", [f'row {i}, "quoted"' for i in range(len(table))])
    table[["gap", "name", "price", "age", "colour"]].to_csv("a.csv", index=False)
    report, out = both_ways(runs["rows"], ["a.csv"])
    assert report.stored == []
    assert (out / "a.csv").read_bytes() == (here / "a.csv").read_bytes()


def test_parquet_comes_back_with_cells_schema_and_types(runs, here):
    table = pa.Table.from_pandas(frame(runs))
    table = table.append_column("when", pa.array(range(len(table)), pa.timestamp("us")))
    table = table.set_column(table.column_names.index("age"), "age", table["age"].cast(pa.int8()))
    pq.write_table(table, "a.parquet", row_group_size=7)
    report, out = both_ways(runs["rows"], ["a.parquet"])
    assert report.stored == []
    found = pq.read_table(out / "a.parquet")
    assert found.schema.equals(table.schema, check_metadata=True)
    assert found.equals(table, check_metadata=True)


@pytest.mark.parametrize("fitted", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "float32 as float64", "float16 as float64"])
def test_numbers_come_back_in_the_type_and_with_the_noise_they_had(here, fitted, kind):
    g = np.random.default_rng(0)
    n, few = 200, g.choice([0.1, 0.2, 0.3], (2, 200))
    price = np.round(g.gamma(3, 4, (2, n)), 1)
    tables = [pd.DataFrame({"few": f, "price": p}) for f, p in zip(few, price)]
    tables[0].astype(fitted).to_parquet("fit.parquet")
    run = ptheta.fit("table", ptheta.load("fit.parquet"), steps=3, out="run", verbose=False)
    narrow, _, wide = kind.partition(" as ")
    table = tables[1].astype(narrow).astype(wide or narrow)
    table.to_parquet("a.parquet")
    report, out = both_ways(run, ["a.parquet"])
    assert report.stored == []
    pd.testing.assert_frame_equal(pd.read_parquet(out / "a.parquet"), table, check_exact=True)


def test_spellings_that_look_alike_come_back_as_they_were(here):
    table = pd.DataFrame({"a": ["\xe9", "e\u0301", "b", "e\u0301 "] * 6})
    table.to_csv("a.csv", index=False)
    table.to_parquet("a.parquet")
    run = ptheta.fit("independent", ptheta.load("a.csv"), out="run", verbose=False)
    assert run.codec.levels_of("a").values == ["b", "é"]
    report, out = both_ways(run, ["a.csv", "a.parquet"])
    assert report.stored == ["a.parquet"], "whose cells are not kept beside the rows"
    for name in ("a.csv", "a.parquet"):
        assert (out / name).read_bytes() == (here / name).read_bytes()


# Labels


def test_labels_from_folders_flags_or_not_at_all(runs, here):
    run, pictures = runs["labelled"], greys(6, 4)
    for i, picture in enumerate(pictures):
        save(here / ("odd" if i % 2 else "even") / f"{i}.png", picture)
    report, out = both_ways(run, ["even", "odd"])
    assert report.files == ["even/0.png", "even/2.png", "odd/1.png", "odd/3.png"]
    expected = -run.model.log_prob(pictures[[0, 2, 1, 3], None], ["even", "even", "odd", "odd"]).sum().item()
    assert report.model_bits == pytest.approx(expected / np.log(2), rel=1e-6)
    np.testing.assert_array_equal(pixels(out / "odd" / "1.png")[1], pictures[1])
    np.save("a.npy", pictures)
    both_ways(run, ["a.npy"], context=["odd"])
    both_ways(run, ["a.npy"], context=["odd", "even", "even", "odd"])
    with pytest.raises(ContextError, match=r"the label of a\.npy is unknown"):
        compress(run, ["a.npy"], "y.ptz")
    with pytest.raises(ContextError, match="2 labels for 4 events"):
        compress(run, ["a.npy"], "y.ptz", context=["odd", "even"])
    with pytest.raises(ContextError, match="no context"):
        compress(runs["grey"], ["a.npy"], "y.ptz", context=["odd"])


# What is refused


def test_names_are_kept_but_for_what_leads_outside(runs, here):
    for name in ("sub/a.txt", "b.txt", "other/c.txt"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(b"the fox")
    report, out = both_ways(runs["bytes"], ["sub", here / "b.txt", "sub/../other/c.txt"])
    assert report.files == ["sub/a.txt", "b.txt", "c.txt"]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.txt")) == ["b.txt", "c.txt", "sub/a.txt"]


def test_files_that_cannot_be_compressed_are_refused_and_nothing_is_written(runs, here):
    (here / "a.txt").write_bytes(b"the")
    (here / "empty").mkdir()
    (here / "link.txt").symlink_to("a.txt")
    run = runs["bytes"]
    for files, error, message in [
        (["link.txt"], SourceError, "a link"), (["none.txt"], SourceError, "does not exist"), ([], UsageError, "FILE"),
        (["empty"], SourceError, "contains no files"), (["a.txt", here / "a.txt"], UsageError, "two files"),
    ]:  # fmt: skip
        with pytest.raises(error, match=message):
            compress(run, files, "x.ptz")
    compress(run, ["a.txt"], "x.ptz")
    with pytest.raises(UsageError, match="exists"):
        compress(run, ["a.txt"], "x.ptz")
    with pytest.raises(UsageError, match="at least 1"):
        compress(run, ["a.txt"], "y.ptz", lanes=0)
    (here / "full").mkdir()
    (here / "full" / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match="full exists"):
        decompress(run, "x.ptz", "full")
    with pytest.raises(UsageError, match="cannot write"):
        compress(run, ["a.txt"], "a.txt/x.ptz")
    assert sorted(path.name for path in here.iterdir()) == ["a.txt", "empty", "full", "link.txt", "x.ptz"]


def test_real_numbers_have_no_bits(here):
    run = ptheta.fit("made", np.random.default_rng(0).normal(size=(60, 2)), steps=1, out=here / "run")
    with pytest.raises(UsageError, match="densities of real numbers"):
        compress(run, ["run/config.json"], "x.ptz")


# Bits


def test_a_long_input_takes_the_bits_of_the_model(runs, here):
    (here / "a.txt").write_bytes(text(9, 20_000))
    run = runs["chain"]
    report, out = both_ways(run, ["a.txt"])
    tokens = run.codec.tokens(text(9, 20_000))
    expected = -float(run.model.log_prob_per_token([tokens])[0].sum()) / np.log(2)
    assert report.model_bits == pytest.approx(expected, rel=1e-5)
    assert report.gap < 1e-3
    assert 8 * report.bytes_out < 1.01 * report.model_bits + 8 * 1024
    assert json.dumps(report.to_json())
    assert hashlib.sha256((out / "a.txt").read_bytes()).digest() == hashlib.sha256(text(9, 20_000)).digest()
