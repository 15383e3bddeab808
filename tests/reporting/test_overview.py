"""What a fit leaves to look at, and that it never fails for it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.errors import UsageError
from ptheta.models import Autoregressive
from ptheta.reporting import exhibit_of, write_events, write_overview
from ptheta.reporting.exhibits import base, pictures
from ptheta.reporting.lettering import text_width
from ptheta.reporting.report import write_report
from ptheta.reporting.samples import sheet
from ptheta.sampling import Effort, PatienceError


@pytest.fixture(scope="module")
def data():
    return ptheta.load("digits", context="label", limit=100)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return ptheta.fit("independent", data, out=tmp_path_factory.mktemp("o") / "run")


def test_the_most_surprising_events_stand_first(run, data, monkeypatch):
    seen = []

    def grid(pictures, log_prob, *, top, captions):
        seen.append((log_prob.flatten(1).sum(1), captions, top))
        return Image.new("RGB", (10, 10))

    monkeypatch.setattr(pictures, "surprise_grid", grid)
    monkeypatch.setattr(pictures, "save_picture", lambda picture, path: path)
    exhibit_of(run.codec).extras(run, None, print)["picture of surprise"](1.0)
    log_prob = run.model.log_prob(*data.test.events()).sort().values
    (first, captions, top), (typical, _, same) = seen
    assert torch.allclose(first, log_prob[:12])
    assert captions == [f"{-value:.1f}" for value in log_prob[:12].tolist()]
    assert log_prob[40] < typical.min()
    assert typical.max() < log_prob[60]
    assert top == same, "both are on one scale"


def test_few_events_are_mapped_where_scores_take_long_and_none_where_they_take_too_long(run, data, monkeypatch):
    mapped = []
    clock = [0.0]

    def slow(x, context=None):
        clock[0] += 0.5 * len(x)
        return torch.zeros(len(x))

    monkeypatch.setattr(pictures, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(run.model, "log_prob", slow)
    monkeypatch.setattr(pictures, "suited_batch", lambda model: 2)
    monkeypatch.setattr(pictures, "save_picture", lambda picture, path: path)
    monkeypatch.setattr(
        pictures, "surprise_grid", lambda x, *_, **__: mapped.append(len(x)) or Image.new("RGB", (9, 9))
    )
    exhibit_of(run.codec).write_surprise(run, seconds=8.0)
    assert mapped == [4, 4], "4 s, of 0.5 s each"
    monkeypatch.setattr(pictures, "PATIENCE", 1.0)
    with pytest.raises(UsageError, match=r"one takes 0.5 s; ptheta report"):
        exhibit_of(run.codec).write_surprise(run, seconds=0.5)


def test_surprise_is_drawn_for_every_autoregressive_model_of_pictures(run):
    assert isinstance(run.model, Autoregressive)
    assert Image.open(run.path / "surprise.png").width > 12 * 64
    assert "![surprise](surprise.png)" in (run.path / "README.md").read_text()


@pytest.mark.parametrize("shape", [(12, 5, 4, 3), (15, 5, 4), (11, 5, 4)])
def test_few_pictures_of_any_kind_are_enough(shape, tmp_path):
    g = np.random.default_rng(0)
    data = ptheta.load(g.integers(0, 256, shape, dtype=np.uint8), levels=4)
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    assert {"samples.png", "copies.png", "surprise.png"} <= {p.name for p in run.path.iterdir()}


def test_events_that_are_no_pictures_leave_none(tmp_path):
    data = ptheta.load({"a": ["x", "y"] * 40, "b": ["u", "v", "v", "u"] * 20})
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    assert not list(run.path.glob("*.png"))
    assert not [line for line in run.metrics() if "copies" in line]


@pytest.mark.parametrize(
    ("broken", "error", "said", "left"),
    [
        ("copy_check", MemoryError(), "no picture of copies was written: there is too little memory", "surprise"),
        ("surprise_grid", UsageError("no disk", ""), "no picture of surprise was written: no disk", "copies"),
        ("gridded", UsageError("no luck", ""), "no samples were written: no luck", "surprise"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(broken, error, said, left, data, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise error

    run = ptheta.fit("independent", data, out=tmp_path / "run")
    for file in run.path.glob("*.png"):
        file.unlink()
    monkeypatch.setattr(pictures, broken, fails)
    lines = []
    files = write_overview(run, say=lines.append)
    assert lines == [said]
    assert f"{left}.png" in [file.name for file in files]


def test_samples_given_labels_have_a_row_for_each(run, tmp_path):
    context = torch.tensor([3] * 5 + [1] * 4)
    x = run.model.sample(9, context, seed=0)
    for place in (tmp_path / "folder", tmp_path / "one.png"):
        sheet = np.asarray(Image.open(write_events(run, x, place, context)[-1]))
        margin = 8 + max(text_width("3"), text_width("1"))
        columns, rows = 3, 4
        assert sheet.shape == (rows * 66 + 2, margin + columns * 66 + 2, 3)
        cells = sheet[2:, margin + 2 :].reshape(rows, 66, columns, 66, 3).transpose(0, 2, 1, 3, 4)[:, :, :64, :64]
        events = iter(x)
        for row, column in np.ndindex(rows, columns):
            if (row, column) in ((1, 2), (3, 1), (3, 2)):
                assert (cells[row, column] == 255).all(), "paper"
            else:
                shown = np.asarray(run.codec.decode(next(events)[None])[0].convert("RGB"))
                assert (cells[row, column] == shown.repeat(8, 0).repeat(8, 1)).all()
        named = [bool((sheet[2 + 66 * row : 66 * (row + 1), :margin] < 128).any()) for row in range(rows)]
        assert named == [True, False, True, False]


def test_events_of_one_context_stand_together_and_few_contexts_are_shown(run, monkeypatch, tmp_path):
    x = run.data.train.events(slice(0, 60))[0]
    mixed = torch.arange(60) % 3
    order = mixed.argsort(stable=True)
    assert sheet(run, x, mixed) == sheet(run, x[order], mixed[order])
    assert sheet(run, x, mixed, most=2) == sheet(run, x[order][:40], mixed[order][:40])
    monkeypatch.setattr(base, "ROWS", 2)
    written = [Image.open(write_events(run, x, tmp_path / place, mixed)[-1]) for place in ("folder", "all.png")]
    assert written[0].height < written[1].height, "what is the only file holds all events"


def test_pictures_that_were_given_stand_in_the_report_and_texts_are_marked(tmp_path):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for i in range(40):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (200 * (i % 2), 30, 30)).save(buffer, "PNG")
        rows.append({"img": {"bytes": buffer.getvalue(), "path": None}, "text": ("red", "dark")[i % 2]})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "cards.parquet")
    told = ptheta.load(str(tmp_path / "cards.parquet"), "text", "img")
    small = {"width": 16, "layers": 1}
    run = ptheta.fit("transformer", told, steps=2, out=tmp_path / "run", hyperparameters=small)
    write_report(run, tmp_path / "page.html", n=10)
    page = (tmp_path / "page.html").read_text()
    assert 'alt="context-' in page
    assert 'width="48" height="48"' in page
    assert "Token by token" in page
    assert "Ranked anomalies" not in page


@pytest.mark.parametrize(("most", "drawn"), [(64, 64), (9, 8), (1, 1), (0, None)])
def test_of_samples_that_take_too_long_fewer_are_drawn_and_that_is_reported(most, drawn, tmp_path, monkeypatch):
    run = ptheta.fit("independent", ptheta.load("digits", limit=100), out=tmp_path / "run")
    (run.path / "samples.png").unlink()
    sample, counts = type(run.model).sample, []

    def slow(self, n, *arguments, **named):
        if n > most:
            raise PatienceError(99.0)
        counts.append(n)
        return sample(self, n, *arguments, **named)

    monkeypatch.setattr(type(run.model), "sample", slow)
    lines = []
    files = {file.name for file in write_overview(run, patience=30, say=lines.append)}
    assert counts == ([] if drawn is None else [drawn])
    assert ("samples.png" in files) == (drawn is not None)
    said = {
        64: [],
        8: ["8 samples, since 64 would take about 99 s; ptheta sample draws more"],
        1: ["1 sample, since 64 would take about 99 s; ptheta sample draws more"],
        None: ["no samples were written: 64 would take about 99 s; ptheta sample draws them"],
    }
    assert [line for line in lines if "would take" in line] == said[drawn]


@pytest.mark.parametrize(("patience", "given_up_after"), [(1.0, 0.2), (30.0, 1.0)])
def test_a_draw_that_takes_too_long_leaves_time_for_a_smaller_one(patience, given_up_after, monkeypatch):
    now = 0.0
    monkeypatch.setattr("ptheta.sampling.decoding.time.perf_counter", lambda: now)
    effort = Effort(patience)
    now = 0.99 * given_up_after
    effort.check(0.001)
    now = 1.01 * given_up_after
    effort.check(0.99)
    with pytest.raises(PatienceError):
        effort.check(0.001)
