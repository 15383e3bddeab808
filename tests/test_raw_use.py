"""Runs used with raw values: frames, dicts, lists of rows, texts, pictures, sounds in, the same kind out."""

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.errors import ContextError, PthetaError, SourceError, UsageError

SMALL = {"width": 8, "layers": 1, "heads": 1}


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    kind = g.choice(["cat", "dog"], n)
    return pd.DataFrame(
        {
            "kind": kind,
            "size": np.round(np.where(kind == "cat", 4.0, 40.0) + g.normal(size=n), 2),
            "legs": g.integers(3, 5, n),
            "good": g.random(n) < 0.5,
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A run of a table of mixed columns."""
    out = tmp_path_factory.mktemp("runs") / "table"
    small = {"width": 16, "layers": 1, "heads": 1, "components": 2}
    return ptheta.fit("table", rows(300), steps=60, batch_size=64, learning_rate=0.01, out=out, hyperparameters=small)


@pytest.fixture
def holed():
    """A frame with holes, columns in another order, one more column, and an index of its own."""
    frame = rows(20, 1)[["size", "kind", "good", "legs"]].assign(note="x")
    frame.index = pd.Index(range(100, 120), name=None)
    frame.loc[[101, 105], "kind"] = None
    frame.loc[[103, 105], "size"] = np.nan
    frame["legs"] = frame["legs"].astype("Int64")
    frame.loc[104, "legs"] = pd.NA
    return frame


def test_a_frame_comes_back_filled_in_its_own_types(table, holed):
    before = holed.copy()
    full = table.impute(holed, seed=3)
    pd.testing.assert_frame_equal(holed, before)  # what was given stays
    assert list(full.columns) == list(holed.columns)
    assert full.index.equals(holed.index)
    assert full.dtypes.equals(holed.dtypes)
    assert not full.isna().any().any()
    kept = holed.notna()
    assert all((full[name][kept[name]] == holed[name][kept[name]]).all() for name in holed)
    assert set(full["kind"]) <= {"cat", "dog"}
    pd.testing.assert_frame_equal(table.impute(holed, seed=3), full)
    two = table.impute(holed, 2, seed=3)
    assert len(two) == 2
    assert not two[0]["size"].equals(two[1]["size"])


def test_what_is_drawn_is_what_the_model_draws(table, holed):
    x = np.full((20, 4), np.nan)
    codec = table.codec
    for j, name in enumerate(codec.names):
        there = holed[name].notna().to_numpy()
        values = [str(v) if name == "kind" else v for v in holed[name][there]]
        x[there, j] = [codec.cell(j, str(v)) for v in values]
    missing = np.isnan(x).any(1)
    expected = table.model.impute(x, 1, seed=5).numpy()[missing, 0]
    drawn = table.impute(holed, seed=5)
    sizes = drawn["size"].to_numpy()[missing]
    np.testing.assert_array_equal(sizes, codec.decode(expected)["size"].to_numpy())


def test_a_best_guess_follows_the_rest_of_the_row(table):
    asked = pd.DataFrame({"kind": ["cat", "dog"], "size": [np.nan] * 2, "legs": [4, 4], "good": [True, True]})
    small, large = table.impute(asked, best=True)["size"]
    assert small < 20 < large


@pytest.mark.parametrize("form", ["polars", "arrow", "dict of lists", "dict of arrays", "records"])
def test_every_form_of_a_table_comes_back_in_its_form(form, table, holed):
    plain = holed.reset_index(drop=True)
    lists = {name: [None if pd.isna(v) else v for v in plain[name]] for name in plain}
    given = {
        "polars": polars.DataFrame(lists),
        "arrow": pa.table(lists),
        "dict of lists": lists,
        "dict of arrays": {"kind": np.array(["cat", "dog"]), "size": np.array([4.0, np.nan]), "legs": np.array([4, 3]),
                           "good": np.array([True, False])},
        "records": [{name: lists[name][i] for name in lists} for i in range(len(plain))],
    }[form]  # fmt: skip
    full = table.impute(given, seed=3)
    assert type(full) is type(given)
    if form == "polars":
        assert full.schema == given.schema
        assert full.null_count().sum_horizontal().item() == 0
    elif form == "arrow":
        assert full.schema == given.schema
        assert all(column.null_count == 0 for column in full.columns)
    elif form == "dict of lists":
        assert list(full) == list(given)
        assert all(value is not None for column in full.values() for value in column)
        assert full["note"] == given["note"]
    elif form == "dict of arrays":
        assert {name: column.dtype for name, column in full.items()} == {n: c.dtype for n, c in given.items()}
        assert np.isfinite(full["size"]).all()
    else:
        assert all(list(one) == list(other) for one, other in zip(full, given))
        assert all(value is not None for row in full for value in row.values())


def test_a_column_that_is_lacking_is_drawn_and_reported(table):
    from ptheta.remarks import collecting

    with collecting() as found:
        full = table.impute(rows(5)[["kind", "legs", "good"]])
    assert found == ["columns that the table lacks are drawn: size"]
    assert list(full.columns) == ["kind", "legs", "good", "size"]
    assert full["size"].notna().all()


def test_categories_keep_their_type(table):
    frame = rows(6).astype({"kind": pd.CategoricalDtype(["dog", "cat", "cow"], ordered=True)})
    frame.loc[2, "kind"] = None
    assert table.impute(frame).dtypes.equals(frame.dtypes)


def test_scores_of_a_frame_are_those_of_its_events(table):
    frame = rows(30, 2)
    expected = table.model.log_prob(table.read(frame).splits["all"].x).detach().numpy()
    shuffled = frame[["legs", "good", "size", "kind"]]
    for given in (frame, shuffled, polars.from_pandas(frame), frame.to_dict("list"), frame.to_dict("records")):
        np.testing.assert_allclose(table.log_prob(given), expected, atol=1e-5)
    assert table.score(frame).nats == pytest.approx(-expected.mean(), abs=1e-5)
    drawn = table.sample(50, seed=1)
    assert drawn.dtypes.equals(frame.dtypes)
    assert np.isfinite(table.log_prob(drawn)).all()


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda run: run.impute(rows(3).replace({"kind": {"cat": "cow", "dog": "cow"}})), "'kind' is 'cow' at row 1"),
        (lambda run: run.log_prob(rows(3).drop(columns="legs")), "the table has no column 'legs'"),
        (lambda run: run.log_prob(rows(3).assign(size=[1.0, np.nan, 2.0])), "'size' is missing at row 2"),
        (lambda run: run.impute(3), "an int is not a source"),
        (lambda run: run.impute(pd.DataFrame({"a": [1]})), "the table has none of the run's columns"),
        (lambda run: run.impute(rows(3).rename(columns={"size": "Size"})), "a column 'Size' and none called 'size'"),
        (lambda run: run.impute(rows(3), n=0), "n is 0; give at least 1"),
        (lambda run: run.impute(rows(3), sede=1), "impute has no argument 'sede'; did you mean seed?"),
        (lambda run: run.impute(rows(3), context="cat"), "has no context; leave the context out"),
        (lambda run: run.complete(rows(3)), "of a table the missing cells are drawn; use run.impute"),
    ],
)
def test_mistakes_name_row_and_column(use, problem, table):
    with pytest.raises(PthetaError) as caught:
        use(table)
    assert problem in str(caught.value)


def test_memory_does_not_grow_with_the_draws(table, monkeypatch):
    monkeypatch.setattr("ptheta.models.autoregressive.imputing.IMPUTED", 8)
    frame = rows(30, 4)
    frame.loc[::2, "size"] = np.nan
    shapes = []
    fill = type(table.model)._filled
    monkeypatch.setattr(type(table.model), "_filled", lambda self, x, *a: (shapes.append(len(x)), fill(self, x, *a))[1])
    full = table.impute(frame, 4, best=True)
    assert full["size"].notna().all()
    assert sum(shapes) == 15 * 4
    assert max(shapes) <= 8


def test_contexts_come_from_columns_or_by_name(tmp_path):
    frame = rows(60)
    data = ptheta.load(frame, ["size", "legs"], "kind", columns="mixed")
    small = {"width": 8, "layers": 1, "heads": 1, "components": 1, "context_dropout": 0.0}
    run = ptheta.fit("table", data, steps=2, out=tmp_path / "run", hyperparameters=small)
    given = run.log_prob(frame)
    np.testing.assert_allclose(given, run.log_prob(frame[["size", "legs"]], list(frame["kind"])), atol=1e-6)
    assert run.log_prob(frame[["size", "legs"]], "cat").shape == (60,)
    frame.loc[3, "size"] = np.nan
    pd.testing.assert_frame_equal(run.impute(frame), run.impute(frame, context=list(frame["kind"])))
    assert list(run.sample(2, "cat").columns) == ["size", "legs"]
    with pytest.raises(ContextError, match="needs a context; give context=, or a table with the column kind"):
        run.log_prob(rows(60)[["size", "legs"]])
    with pytest.raises(ContextError, match="3 contexts are given for 60 values"):
        run.log_prob(rows(60)[["size", "legs"]], ["cat"] * 3)


def test_pictures_are_pictures(tmp_path):
    g = np.random.default_rng(0)
    run = ptheta.fit("made", g.integers(0, 2, (40, 4, 4)).astype(np.uint8), steps=1, out=tmp_path / "run",
                     hyperparameters={"width": 8, "layers": 1})  # fmt: skip
    drawn = run.sample(3, seed=0)
    assert all(isinstance(picture, Image.Image) for picture in drawn)
    expected = run.model.log_prob(run.model.sample(3, seed=0)).detach().numpy()
    np.testing.assert_allclose(run.log_prob(drawn), expected, atol=1e-6)
    arrays = [np.asarray(picture) for picture in drawn]
    for given in (arrays, np.stack(arrays) // 255, drawn[0]):
        np.testing.assert_allclose(run.log_prob(given), expected[: 1 if given is drawn[0] else 3], atol=1e-6)
    drawn[0].save(tmp_path / "one.png")
    np.testing.assert_allclose(run.log_prob(tmp_path / "one.png"), expected[:1], atol=1e-6)
    with pytest.raises(SourceError, match="the values cannot be read"):
        run.log_prob(pd.DataFrame({"a": [1]}))
    completed = run.complete(drawn, 0.5, 2, seed=1)
    assert [len(each) for each in completed] == [2, 2, 2]
    top = np.asarray(drawn[0])[:2]
    assert all((np.asarray(picture)[:2] == top).all() for picture in completed[0])


def test_texts_are_strings(tmp_path):
    run = ptheta.fit("transformer", {"text": ["to be or not to be, that is the question. " * 4] * 40}, steps=2,
                     out=tmp_path / "run", hyperparameters=SMALL)  # fmt: skip
    scores = run.log_prob(["to be", "question"])
    assert scores.shape == (2,)
    assert (scores < 0).all()
    np.testing.assert_allclose(run.log_prob("to be"), scores[:1], atol=1e-4)
    (two,) = run.complete(["to be"], n=2, tokens=5, seed=0)
    assert len(two) == 2
    assert all(text.startswith("to be") for text in two)
    assert all(isinstance(text, str) for text in run.sample(2, seed=0))
    with pytest.raises(UsageError, match="text 2 is an int; give strings"):
        run.log_prob(["a", 3])


def test_arrays_are_arrays(tmp_path, walks):
    run = ptheta.fit("independent", walks(50, 0), out=tmp_path / "run")
    x = walks(5, 1)
    np.testing.assert_allclose(run.log_prob(x), run.model.log_prob(x).numpy())
    np.testing.assert_allclose(run.log_prob(torch.from_numpy(x)), run.log_prob(x))
    assert run.sample(3).shape == (3, 4)
    with pytest.raises(SourceError, match="value 2 holds 9"):
        run.log_prob(np.where(np.arange(5)[:, None] == 1, 9, x))


def test_rows_of_numbers_may_be_an_array(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    run = ptheta.fit("made", frame, steps=1, out=tmp_path / "run", hyperparameters={"width": 4, "layers": 1})
    expected = run.log_prob(frame)
    np.testing.assert_array_equal(run.log_prob(frame.to_numpy()), expected)
    frame.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_allclose(run.log_prob(tmp_path / "t.csv"), expected)
    assert list(run.sample(2, seed=0).columns) == ["a", "b"]
    with pytest.raises(UsageError, match="fit `table`"):
        run.impute(frame)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run of grey pictures of 8 bits, 4 × 4, made binary."""
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), np.uint8)
    data = ptheta.load(x, binarize="threshold")
    return ptheta.fit("independent", data, out=tmp_path_factory.mktemp("runs") / "pictures")


SHADES = np.random.default_rng(1).integers(0, 256, (3, 4, 4), np.uint8)

ALIKE = {
    "real": lambda x: x / 255.0,
    "float32, channels first": lambda x: (x / 255.0).astype(np.float32)[:, None],
    "torch": lambda x: torch.from_numpy(x)[:, None].float() / 255,
    "list of real arrays": lambda x: [one / 255.0 for one in x],
    "list of tensors": lambda x: [torch.from_numpy(one)[None] / 255 for one in x],
    "int64": lambda x: x.astype(np.int64),
    "list of int64": lambda x: [one.astype(np.int64) for one in x],
    "PIL": lambda x: [Image.fromarray(one) for one in x],
    "PIL of reals": lambda x: [Image.fromarray((one / 255.0).astype(np.float32)) for one in x],
}


@pytest.mark.parametrize("form", ALIKE)
@pytest.mark.filterwarnings("ignore:arrays of real numbers from 0 to 1 are read as pictures")
def test_a_picture_is_the_same_in_whatever_numbers_it_is_given(form, pictures):
    given = ALIKE[form](SHADES)
    np.testing.assert_array_equal(pictures.log_prob(given), pictures.log_prob(SHADES))
    assert pictures.score(given).nats == pictures.score(SHADES).nats
    assert [np.asarray(c).tolist() for c in pictures.complete(given, 0.5)] == [
        np.asarray(c).tolist() for c in pictures.complete(SHADES, 0.5)
    ]


def test_black_and_white_pictures_are_bools_or_reals_and_scaling_is_reported(pictures):
    x = SHADES >= 128
    np.testing.assert_array_equal(pictures.log_prob(x), pictures.log_prob(x * np.uint8(255)))
    with pytest.warns(ptheta.remarks.DataWarning, match="are read as pictures, scaled to 0 to 255"):
        np.testing.assert_array_equal(pictures.log_prob(x.astype(np.float32)), pictures.log_prob(x))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (
            np.ones((2, 4, 4), np.int64) * [[0], [1], [1], [1]],
            "value 1 holds only 0 and 1, and white is 255; give b",
        ),
        (SHADES.astype(np.float32), "value 1 holds real numbers from .* to .*, and white is 1; scale it to 0 to 1"),
        (np.full((1, 4, 4), -0.5), "real numbers from -0.5 to -0.5, and white is 1"),
        (np.full((1, 4, 4), np.nan), "real numbers from nan to nan"),
        (SHADES[0], r"an array of shape \[4, 4\] is not of pictures .*; give one picture as x\[None\]"),
        (SHADES.astype(np.int16) * 300, "values of these pictures are 0 to 255"),
    ],
)
def test_numbers_that_may_mean_anything_are_refused(x, said, pictures):
    with pytest.raises(PthetaError, match=said):
        pictures.log_prob(x)


def test_cells_are_given_by_name_as_on_the_command_line(table, tmp_path, capsys):
    from ptheta.cli.main import main

    drawn = table.sample(6, context={"kind": "cat", "legs": 4}, seed=3)
    assert set(drawn["kind"]) == {"cat"}
    assert set(drawn["legs"]) == {4}
    path = tmp_path / "drawn.csv"
    main(["sample", str(table.path), "-n", "6", "--context", "kind=cat", "legs=4", "--seed", "3", "--out", str(path)])
    pd.testing.assert_frame_equal(pd.read_csv(path), drawn, check_dtype=False)
    assert set(table.sample(2, context={"good": np.bool_(True)})["good"]) == {True}
    with pytest.raises(UsageError, match="kind has no value 'catt'; did you mean cat"):
        table.sample(1, context={"kind": "catt"})
    with pytest.raises(UsageError, match="the run has no column 'kid'; did you mean kind"):
        table.sample(1, context={"kid": "cat"})
    with pytest.raises(UsageError, match=r"'kind' is a column; give context=\{'kind': 'cat'\}"):
        table.sample(1, kind="cat")
    with pytest.raises(UsageError, match="kind is a list; give one value"):
        table.sample(2, context={"kind": ["cat", "dog"]})
    with pytest.raises(UsageError, match="no sampling option 'sed'; did you mean seed"):
        table.sample(1, sed=0)


def test_cells_and_the_context_are_told_apart(tmp_path):
    run = ptheta.fit("table", ptheta.load(rows(40), context="kind"), steps=1, out=tmp_path / "run", width=8, layers=1)
    assert run.model.width == 8
    drawn = run.sample(3, context={"kind": "dog", "legs": 3}, seed=1)
    assert list(drawn) == ["size", "legs", "good"]
    assert set(drawn["legs"]) == {3}
    pd.testing.assert_frame_equal(run.sample(3, context={"kind": "dog"}, seed=1), run.sample(3, "dog", seed=1))


def test_rows_of_other_shapes_and_names_are_refused_with_what_is_meant(table):
    frame = rows(3)
    with pytest.raises(UsageError, match="has no column 'kind'; rename 'Kind'"):
        table.log_prob(frame.rename(columns={"kind": "Kind"}))
    with pytest.raises(PthetaError, match=r"one row of 4 cells is given, not a table \[n, 4\]; give rows: x\[None\]"):
        table.log_prob(frame.to_numpy()[0])
    with pytest.raises(PthetaError, match=r"shape \[3, 2\], and the run models 4 columns; give rows \[n, 4\]"):
        table.log_prob(frame.to_numpy()[:, :2])


def test_scores_are_plain_numbers_unless_a_gradient_is_asked_for(table):
    model = table.model
    x = torch.from_numpy(table.codec.encode(rows(3)))
    model.log_prob(x).numpy()
    assert not model.log_prob_per_dimension(x).requires_grad
    x.requires_grad_()
    assert model.log_prob(x).requires_grad
    model.train()
    assert model.log_prob(x.detach()).requires_grad
    assert model.training
    model.eval()


def test_an_unknown_category_counts_as_missing_if_asked(table, tmp_path):
    frame = rows(5, 2)
    frame["kind"] = ["fox", "cat", "fox", "owl", "dog"]
    with pytest.raises(SourceError, match=r"is 'fox' at row 1, .* take it as missing: unknown=\"missing\""):
        table.log_prob(frame)
    with pytest.warns(
        ptheta.remarks.DataWarning, match=r"column kind: taken as missing, .*: 3 cells, such as 'fox' \(2\)"
    ):
        nats = table.log_prob(frame, unknown="missing")
    np.testing.assert_allclose(nats[[1, 4]], table.log_prob(frame.iloc[[1, 4]]), atol=1e-4)
    last = table.model.reordered([1, 2, 3, 0])  # the sum over what the cell may be
    either = [last.log_prob(torch.from_numpy(table.codec.encode(frame.assign(kind=kind)))) for kind in ("cat", "dog")]
    np.testing.assert_allclose(nats[[0, 2, 3]], torch.logaddexp(*either)[[0, 2, 3]].numpy(), atol=1e-4)
    frame.loc[[0, 1], "size"] = np.nan
    with pytest.warns(ptheta.remarks.DataWarning, match="taken as missing"):
        full = table.impute(frame, unknown="missing", seed=1)
    assert full["kind"].tolist() == frame["kind"].tolist()
    assert full["size"].notna().all()
    with pytest.raises(UsageError, match="no treatment of unknown categories is called 'mising'; did you mean missing"):
        table.impute(frame, unknown="mising")


def test_the_command_line_leaves_unknown_categories_as_they_are(table, tmp_path, capsys):
    from ptheta.cli.main import main

    path, out = tmp_path / "given.csv", tmp_path / "full.csv"
    path.write_text("kind,size,legs,good\nfox,,4,True\ncat,4.5,3,False\n")
    main(["complete", str(table.path), str(path), "--unknown", "missing", "--out", str(out)])
    assert "had no such value: 1 cell, such as 'fox' (1)" in capsys.readouterr().err
    lines = out.read_text().splitlines()
    assert lines[1].startswith("fox,")
    assert not lines[1].startswith("fox,,")
    assert lines[2] == "cat,4.5,3,False"


def test_lists_are_sources():
    texts = [f"{k} bottles of beer on the wall, {k} bottles of beer" for k in range(30)]
    assert ptheta.load(texts, whole=True).fingerprint == ptheta.load({"text": texts}, whole=True).fingerprint
    frame = rows(30)
    assert ptheta.load(frame.to_dict("records")).fingerprint == ptheta.load(frame).fingerprint
    x = np.random.default_rng(0).integers(0, 256, (30, 6, 5), np.uint8)
    for given in ([Image.fromarray(one) for one in x], list(x), [torch.from_numpy(one) for one in x]):
        found = ptheta.load(given)
        assert found.space == ptheta.load(x).space
        np.testing.assert_array_equal(found.train.x, ptheta.load(x).train.x)
    named = ptheta.load({"train": texts[:20], "test": texts[20:]}, whole=True)
    assert len(named.splits["test"]) == 10


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "is an empty list"),
        (["a", 3], "value 1 of the list is a text, and value 2 an int; give a list of one kind"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"value 1 of the list has shape \[2, 2\], and value 2 \[2, 3\]"),
        ([object()], "an object in a list is not a source"),
    ],
)
def test_lists_of_anything_else_are_refused(values, said):
    with pytest.raises(SourceError, match=said):
        ptheta.load(values)


def test_a_score_of_the_data_of_the_fit_says_what_it_leaves_out(tmp_path, capsys):
    from ptheta.cli.main import main

    run = ptheta.fit("independent", "digits", out=tmp_path / "run")
    counts = {name: len(split) for name, split in run.data.splits.items()}
    main(["score", str(run.path), "digits", "--out", str(tmp_path / "a.csv")])
    shown = " ".join(capsys.readouterr().err.split())
    assert (
        f"not scored: {counts['train']:,} of train and {counts['validation']:,} of validation; --split train" in shown
    )
    main(["score", str(run.path), "digits", "--split", "train", "--out", str(tmp_path / "b.csv")])
    assert "not scored" not in capsys.readouterr().err
