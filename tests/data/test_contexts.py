"""Contexts of any kind: what a column becomes, views of it, parts, and what is not a context."""

import io
import warnings

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image as pil

import ptheta
from ptheta.data import Codec, load
from ptheta.data.codecs import (
    ArrayCodec,
    DocumentCodec,
    ImageCodec,
    JointCodec,
    LabelCodec,
    NumberCodec,
)
from ptheta.data.reading import context_of, context_of_parts, events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.remarks import DataWarning
from ptheta.spaces import Document, Image, Joint, Label, Real

N = 40


def png(pixels):
    buffer = io.BytesIO()
    pil.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def frame(pixels):
    """A picture, a class, a long text, a number of each row; `n` tells the rows apart."""
    return pd.DataFrame(
        {
            "img": [png(x) for x in pixels],
            "kind": ["cat", "dog"] * (N // 2),
            "caption": [f"a rather long caption, number {i}" for i in range(N)],
            "weight": np.arange(N) / 4 + 0.5,
            "n": np.arange(N),
            "odd:name": ["x", "y"] * (N // 2),
        }
    )


def rows_of(data, frame):
    """Row of the frame behind each event of train, by the caption that is its event."""
    captions = frame["caption"].tolist()
    return [captions.index(text) for text in data.codec.decode(data.train.x)]


@pytest.mark.parametrize(
    ("asked", "codec", "space"),
    [
        ("kind", LabelCodec, Label(("cat", "dog"))),
        ("n", LabelCodec, Label([str(i) for i in range(N)])),
        ("weight", NumberCodec, Real(())),
        ("n:number", NumberCodec, Real(())),
        ("img", ImageCodec, Image(8, 8, 3)),
        ("img:grey", ImageCodec, Image(8, 8, 1)),
        ("img:4x2", ImageCodec, Image(4, 2, 3)),
        ("img:4x4:grey", ImageCodec, Image(4, 4, 1)),
        ("kind:text", DocumentCodec, Document(4, 257)),
        ("n:text", DocumentCodec, Document(3, 257)),
        ("odd:name", LabelCodec, Label(("x", "y"))),
    ],
)
def test_a_column_is_taken_for_what_it_is_or_for_what_its_view_says(asked, codec, space, frame):
    data = load(frame, event="caption", context=asked)
    assert data.context_space == space
    assert isinstance(data.context_codec, codec)
    assert Codec.from_json(data.context_codec.to_json()) == data.context_codec
    assert any(note.startswith(f"context: {asked}, ") for note in data.notes)
    rows, (_, context) = rows_of(data, frame), data.train.events()
    column = frame[asked if asked in frame else asked.split(":")[0]].iloc[rows]
    assert tuple(context.shape) == (len(rows), *space.shape)
    assert context.dtype == (torch.float64 if isinstance(space, Real) else torch.int64)
    space.validate(context)
    if isinstance(space, Label):
        assert [space.names[i] for i in context] == [str(v) for v in column]
    elif isinstance(space, Real):
        assert context.tolist() == [float(v) for v in column]
    elif isinstance(space, Document):
        assert data.context_codec.decode(context) == [str(v) for v in column]


def test_pictures_are_reduced_as_pillow_reduces_them(frame, pixels):
    data = load(frame, event="caption", context="img:grey:4x4")
    for row, context in zip(rows_of(data, frame), data.train.context):
        wanted = pil.fromarray(pixels[row]).resize((4, 4), pil.Resampling.LANCZOS).convert("L")
        np.testing.assert_array_equal(context[0], np.asarray(wanted))


def test_a_picture_can_be_event_and_reduced_context(frame):
    data = load(frame, event="img", context="img:grey")
    assert (data.space, data.context_space) == (Image(8, 8, 3), Image(8, 8, 1))
    for x, y in zip(data.test.x, data.test.context):
        wanted = pil.fromarray(np.ascontiguousarray(x.transpose(1, 2, 0))).convert("L")
        np.testing.assert_array_equal(y[0], np.asarray(wanted))
    assert load(frame, context="img:4x4").space == Image(8, 8, 3)
    for same in ("img", "img:label"):
        with pytest.raises(SourceError, match=r"'img' is both event and context.*:grey or :8x8"):
            load(frame, event="img", context=same)


def test_arrays_and_built_in_digits_have_views_too():
    data = load("digits", context="image:4x4")
    assert (data.space, data.context_space) == (Image(8, 8, 1, 17), Image(4, 4, 1, 17))
    vectors = {"x": np.zeros((30, 2), np.uint8), "y": np.arange(90.0).reshape(30, 3)}
    data = load(vectors, event="x", context="y")
    assert isinstance(data.context_codec, ArrayCodec)
    assert sorted(data.train.context[:, 0].tolist() + data.validation.context[:, 0].tolist()
                  + data.test.context[:, 0].tolist()) == list(range(0, 90, 3))  # fmt: skip


def test_long_strings_are_texts_and_so_are_very_many_different_ones(frame):
    assert isinstance(load(frame, event="img", context="caption").context_codec, DocumentCodec)
    many = pd.DataFrame({"x": [0.5, 1.5] * 600, "name": [f"n{i}" for i in range(1200)]})
    assert isinstance(load(many, event="x", context="name").context_codec, DocumentCodec)
    assert isinstance(load(many[:900], event="x", context="name").context_codec, LabelCodec)
    with pytest.raises(SourceError, match=r"more than 1,000.*name:text"):
        load(many, event="x", context="name:label")
    assert load(frame, event="img", context="caption", length=7).context_space.shape == (7,)


def test_several_columns_are_one_context_of_parts(frame):
    data = load(frame, event="caption", context="weight, kind,img:2x2")
    assert isinstance(data.context_space, Joint)
    assert data.context_space.names == ("weight", "kind", "img")
    assert load(frame, event="caption", context=["weight", "kind", "img:2x2"]).fingerprint == data.fingerprint
    _, context = data.train.events()
    parts, rows = data.context_space.split(context), rows_of(data, frame)
    assert parts["weight"].tolist() == frame["weight"].iloc[rows].tolist()
    assert ["cat", "dog"][parts["kind"][0]] == frame["kind"].iloc[rows[0]]
    alone = load(frame, event="caption", context="img:2x2")
    np.testing.assert_array_equal(parts["img"], alone.train.events()[1])
    assert data.context_codec.names(context[:1]) == [
        f"weight={frame['weight'].iloc[rows[0]]:g} kind={frame['kind'].iloc[rows[0]]} img=context-0000"
    ]
    twice = load(frame, event="caption", context="img:grey,img:2x2")
    assert twice.context_space.names == ("img:grey", "img:2x2")


def test_parts_are_given_by_name_and_those_left_out_say_nothing(frame):
    codec = load(frame, event="caption", context="weight,kind,n:text").context_codec
    assert isinstance(codec, JointCodec)
    parts = codec.space.split(torch.from_numpy(context_of_parts(codec, ["kind=dog", "n=a=b"])))
    assert torch.isnan(parts["weight"]).all()
    assert parts["kind"].tolist() == [1]
    assert codec.codecs["n"].decode(parts["n"]) == ["a=b"]
    assert codec.names(context_of(codec, "kind=cat")) == ["kind=cat"]
    for given, said in [
        (["kinds=cat"], "did you mean kind"),
        (["cat"], "give weight=… kind=… n=…"),
        (["kind=cat", "kind=dog"], "two values of kind"),
        (["kind=cow"], "no kind is called 'cow'"),
        (["weight=heavy"], "not a number"),
    ]:
        with pytest.raises(UsageError, match=said):
            context_of_parts(codec, given)


def test_contexts_of_parts_are_read_from_a_table(frame, tmp_path):
    codec = load(frame, event="caption", context="weight,kind").context_codec
    (tmp_path / "c.csv").write_text("kind,weight\ndog,2\n,3\ncat,\n")
    rows = events_of_file(codec, tmp_path / "c.csv")
    np.testing.assert_array_equal(rows, [[2, 1], [3, -1], [np.nan, 0]])
    assert codec.names(rows) == ["weight=2 kind=dog", "weight=3", "kind=cat"]
    (path,) = codec.write(rows[:1], tmp_path)
    assert path.read_text() == "weight,kind\n2,dog\n"
    np.testing.assert_array_equal(events_of_file(codec, codec.write(rows, tmp_path, "all")[0]), rows)
    (tmp_path / "c.csv").write_bytes("\ufeffweight\r\n2\r\n\r\n3\r\n".encode())
    np.testing.assert_array_equal(events_of_file(codec, tmp_path / "c.csv"), [[2, -1], [np.nan, -1], [3, -1]])
    (tmp_path / "c.csv").write_text("kin\ndog\n")
    with pytest.raises(UsageError, match=r"'kin'; did you mean kind"):
        events_of_file(codec, tmp_path / "c.csv")


def test_values_are_what_a_person_writes(frame, pixels, tmp_path):
    label = load(frame, event="caption", context="kind").context_codec
    assert label.parse("dog").tolist() == [1]
    with pytest.raises(UsageError, match=r"no kind is called 'dgo'; did you mean dog"):
        label.parse("dgo")
    (tmp_path / "kinds.txt").write_text("dog\ncat\n")
    assert events_of_file(label, tmp_path / "kinds.txt").tolist() == [1, 0]
    (tmp_path / "kinds.txt").write_bytes("\ufeffdog\r\n".encode("utf-8"))
    assert events_of_file(label, tmp_path / "kinds.txt").tolist() == [1]
    (tmp_path / "kinds.txt").write_bytes("größe".encode("latin-1"))
    with pytest.raises(SourceError, match=r"kinds.txt is not UTF-8 text: .* at byte 2"):
        events_of_file(label, tmp_path / "kinds.txt")
    number = load(frame, event="caption", context="weight").context_codec
    assert number.parse("2.5").tolist() == [2.5]
    for bad in ("nan", "inf", "two"):
        with pytest.raises(UsageError, match=r"not a number"):
            number.parse(bad)
    picture = load(frame, event="caption", context="img:4x4").context_codec
    pil.fromarray(pixels[3]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(context_of(picture, str(tmp_path / "a.png")), picture.encode([frame["img"][3]]))
    assert "resized from 8x8 to 4x4" in (picture.remark(str(tmp_path / "a.png")) or "")
    with pytest.raises(SourceError, match=r"does not exist"):
        context_of(picture, "no.png")
    whole = load(frame, event="caption", context="img").context_codec
    pil.fromarray(pixels[3, :4]).save(tmp_path / "b.png")
    with pytest.raises(SourceError, match=r"b.png is 4x8 pixels, not 8x8"):
        context_of(whole, str(tmp_path / "b.png"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("kinds", "no column 'kinds'; did you mean kind"),
        ("kind:8x8", r"'kind' \(string\) is not a picture"),
        ("img:blue", "'blue' is not a view of column 'img'"),
        ("img:grey:rgb", "not a view"),
        ("img:label", "is not a label"),
        ("caption:number", r"'caption' \(string\) holds no numbers"),
        ("weight:label", r"'weight' \(float\) is not a set of classes"),
        ("kind,kind", "has 'kind' twice"),
    ],
)
def test_what_is_no_context_is_said(asked, said, frame):
    with pytest.raises(SourceError, match=said):
        load(frame, event="n", context=asked)


@pytest.mark.parametrize("asked", ["kind", "weight", "caption", "img"])
def test_missing_values_are_errors_that_name_the_row(asked, frame):
    holes = with_holes(frame, {asked: [6]})
    with pytest.raises(SourceError, match=r"row 7 of data.*remove that row"):
        load(holes, event="n", context=asked)
    data = load(frame, event="n", context=asked)
    with pytest.raises(SourceError, match=r"row 7 of data.*remove that row"):
        load(holes, event="n", context=asked, codec=data.codec, context_codec=data.context_codec)


def test_missing_classes_are_errors_that_name_the_row(tmp_path):
    classes = pa.DictionaryArray.from_arrays([0, 1, None, *[0] * 30], ["cat", "dog"])
    pq.write_table(pa.table({"x": np.arange(33) / 2, "kind": classes}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"'kind' is missing at row 3"):
        load(tmp_path / "a.parquet", event="x", context="kind")
    features = datasets.Features({"x": datasets.Value("float64"), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    table = datasets.Dataset.from_dict({"x": np.arange(33) / 2, "kind": [0, 1, None, *[0] * 30]}, features)
    with pytest.raises(SourceError, match=r"'kind' is missing at row 3.*fill it in or remove that row"):
        load(table, event="x", context="kind")


def with_holes(frame, holes):
    found = frame.copy()
    for name, rows in holes.items():
        found[name] = found[name].astype(object)
        found.loc[rows, name] = None
    return found


HOLES = {"kind": [0, 7], "weight": [7, 9], "caption": [7, 11], "img": [0, 7]}


@pytest.mark.parametrize("asked", ["kind,weight,caption,img:2x2", "kind,caption"])
@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_said_of_parts_whose_cells_are_missing(asked, again, frame):
    holes = with_holes(frame, HOLES)
    data = load(holes, event="n", context=asked)
    if again:
        codecs = {"codec": data.codec, "context_codec": data.context_codec}
        notes, data = data.notes, load(holes, event="n", context=asked, **codecs)
        whole = load(frame, event="n", context=asked, **codecs)
    else:
        notes, whole = data.notes, load(frame, event="n", context=asked)
    space = data.context_space
    for name in space.names:
        said = f"context: {name} is missing in 2 of 40 rows, where the context leaves it out"
        assert said in notes
    assert not any("missing" in note for note in whole.notes)
    for split, other in zip(data.splits.values(), whole.splits.values()):
        rows = data.codec.decode(split.x)["n"].tolist()  # n is the number of the row
        context, full = split.events()[1], other.events()[1]
        space.validate(context[~space.is_null(context)])
        absent = space.absent(context)
        for j, name in enumerate(space.names):
            assert absent[:, j].tolist() == [row in HOLES[name] for row in rows]
            part, known = space.split(context)[name], whole.context_space.split(full)[name]
            np.testing.assert_array_equal(part[~absent[:, j]], known[~absent[:, j]])
        names = data.context_codec.names(context)
        assert [name == "nothing given" for name in names] == [row == 7 for row in rows]


def test_texts_that_are_missing_are_not_texts_that_are_cut(frame):
    data = load(with_holes(frame, HOLES), event="n", context="kind,caption", length=8)
    assert any("caption: 38 texts have 8 tokens or more" in note for note in data.notes)


def test_a_run_sees_the_contexts_of_new_data_as_its_own(frame):
    data = load(frame, event="caption", context="kind,img:4x4")
    new = frame.rename(columns={"kind": "sort"})[::-1]
    again = load(new, event="caption", context="sort,img", codec=data.codec, context_codec=data.context_codec)
    assert again.context_codec == data.context_codec
    order = dict(zip(data.codec.decode(data.train.x), data.train.context))
    for text, row in zip(data.codec.decode(again.splits["all"].x), again.splits["all"].context):
        np.testing.assert_array_equal(row, order.get(text, row))
    with pytest.raises(SourceError, match=r"1 context column.*cannot be the 2 of the run"):
        load(new, event="caption", context="img", codec=data.codec, context_codec=data.context_codec)
    with pytest.raises(SourceError, match=r"'sort' is 'cow' at row 1.*not a known label"):
        load(new.assign(sort="cow"), event="caption", context="sort,img", codec=data.codec,
             context_codec=data.context_codec)  # fmt: skip


def test_parts_of_new_data_are_found_by_their_names(frame):
    twins = frame[["caption", "weight"]].assign(a=frame["weight"] + 1, b=frame["weight"] + 2)
    data = load(twins, event="caption", context="a,b")
    codecs = {"codec": data.codec, "context_codec": data.context_codec}
    wanted = load(twins, event="caption", context="a,b", **codecs)
    for same in ("b,a", ["b:number", "a"]):
        again = load(twins, event="caption", context=same, **codecs)
        np.testing.assert_array_equal(again.splits["all"].context, wanted.splits["all"].context)
        assert again.remarks == []
    one = load(twins, event="caption", context="b,weight", **codecs)
    np.testing.assert_array_equal(one.splits["all"].context[:, 1], twins["b"])
    np.testing.assert_array_equal(one.splits["all"].context[:, 0], twins["weight"])
    assert one.remarks == ["context: weight is used as the run's a"]
    other = load(twins.rename(columns={"a": "c", "b": "d"}), event="caption", context="d,c", **codecs)
    np.testing.assert_array_equal(other.splits["all"].context, wanted.splits["all"].context[:, ::-1])
    assert other.remarks == ["context: d is used as the run's a", "context: c is used as the run's b"]
    views = load(frame, event="caption", context="img:grey,img:2x2")
    codecs = {"codec": views.codec, "context_codec": views.context_codec}
    turned = load(frame, event="caption", context="img:2x2,img:grey", **codecs)
    for text, row in zip(views.codec.decode(views.test.x), views.test.context):
        at = turned.codec.decode(turned.splits["all"].x).index(text)
        np.testing.assert_array_equal(turned.splits["all"].context[at], row)


@pytest.mark.parametrize(
    ("fitted", "given", "said"),
    [
        ("caption", "pixels", r"column 'pixels' \(array\) of data does not fit the run's context, Document\("),
        ("img", "caption", r"column 'caption' \(string\) of data does not fit the run's context, Image\(8×8"),
        ("weight", "kind", r"column 'kind' \(string\) of data does not fit the run's context, Real"),
        ("kind", "weight", r"column 'weight' \(float\) of data does not fit the run's context, 2 classes; name the"),
        (
            "img,kind",
            "caption,kind",
            r"column 'caption' \(string\) of data does not fit the run's context img, Image",
        ),
    ],
)
def test_columns_of_another_kind_than_the_run_s_context_are_said(fitted, given, said, frame, pixels):
    data = load(frame, event="n", context=fitted)
    codecs = {"codec": data.codec, "context_codec": data.context_codec}
    new = frame if given != "pixels" else {"n": np.arange(N), "pixels": pixels}
    with pytest.raises(SourceError, match=said):
        load(new, event="n", context=given, **codecs)


def test_possible_contexts_of_all_kinds_are_named(frame):
    (note,) = [note for note in load(frame, event="n").notes if note.startswith("context:")]
    assert "--context kind would condition on 2 classes" in note
    assert "--context img would condition on pictures" in load(frame[["img", "n"]], event="n").notes[1]
    assert "--context caption would condition on texts" in load(frame[["caption", "n"]], event="n").notes[1]


def test_a_joint_codec_is_of_contexts_only():
    text = {"kind": "text", "length": 4, "tokenizer": "bytes", "alphabet": None, "merges": None, "documents": False}
    with pytest.raises(RunError, match=r"part t is a text codec, which makes no contexts"):
        Codec.from_json({"kind": "joint", "parts": {"t": text}})


def test_a_number_beyond_those_of_train_is_reported_from_python(tmp_path):
    g = np.random.default_rng(0)
    age = g.integers(17, 91, 200).astype(float)
    age[:2] = 17, 90
    data = load({"age": age, "x": g.normal(size=200)}, event="x", context="age:number", validation=20)
    rows = data.splits["train"].context
    assert data.context_codec.seen == [rows.min(), rows.max()]
    run = ptheta.fit("made", data, hyperparameters={"width": 8, "layers": 1}, steps=1, out=tmp_path / "run")
    with pytest.warns(DataWarning, match=r"age is 200, and in training it was 1\d to \d\d"):
        run.log_prob({"x": np.zeros(1)}, np.array([200.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        run.log_prob({"x": np.zeros(1)}, np.array([50.0]))
