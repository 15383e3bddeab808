"""Judgements of runs agree with the same numbers found otherwise."""

import dataclasses

import numpy as np
import pytest
import torch

import ptheta
from ptheta.data.codecs import SpectrogramCodec
from ptheta.errors import ContextError, RunError, UsageError
from ptheta.judging.base import Case, How, as_pixels, derangement
from ptheta.judging.classifiers import features
from ptheta.judging.nats import gain, nats_of
from ptheta.judging.neighbours import nearest_training
from ptheta.judging.pictures import (
    around,
    candidates,
    constraint,
    enlarged,
    is_view,
    judge_restored,
    neighbour_nats,
    recognised,
)
from ptheta.judging.sounds import analysed, recognition
from ptheta.judging.tasks import judge
from ptheta.judging.texts import agreed
from ptheta.runs import Run
from ptheta.spaces import Discrete, Label

COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of noisy 4×4 pictures of three colours, each with its class and a name."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    g, rows = np.random.default_rng(0), []
    for i in range(90):
        name = list(COLOURS)[i % 3]
        pixels = np.clip(np.array(COLOURS[name]) + g.integers(-25, 26, (4, 4, 3)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        rows.append({"img": {"bytes": buffer.getvalue(), "path": None}, "text": f"a {name} card", "kind": name})
    path = tmp_path_factory.mktemp("cards") / "cards.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def fit(pictures, tmp_path_factory):
    """Fits a run on the pictures: model, event, context, steps → run."""
    folder = tmp_path_factory.mktemp("runs")

    def fitted(name, model, event, context, steps=3, **load):
        data = ptheta.load(str(pictures), event, context, **load)
        small = {"width": 16, "layers": 1} if model in ("pixelcnn", "transformer") else {}
        budget = {} if model == "independent" else {"steps": steps}
        return ptheta.fit(model, data, out=folder / name, hyperparameters=small, **budget)

    return fitted


@pytest.fixture(scope="module")
def labelled(fit):
    return fit("labelled", "independent", "img", "kind", levels=4)


@pytest.fixture(scope="module")
def greys(fit):
    return fit("greys", "pixelcnn", "img", "img:grey")


@pytest.fixture(scope="module")
def captions(fit):
    return fit("captions", "transformer", "text", "img", steps=60)


def test_gains_are_paired_differences(fit):
    run = fit("dropped", "pixelcnn", "img", "kind", levels=4)
    alone = fit("alone", "independent", "img", None, levels=4)
    events = run.data.test
    found = nats_of(run, events, alone, seed=5)
    x, y = events.events()
    told = run.model.log_prob(x, y).detach()
    rivals = [alone.model.log_prob(x), run.model.log_prob(x), run.model.log_prob(x, y[derangement(len(x), 5)])]
    for measure, rival in zip(found.gains.values(), rivals, strict=True):
        difference = (told - rival.detach()).numpy()
        assert measure.value == pytest.approx(difference.mean(), rel=1e-4, abs=1e-4)
        assert measure.error == pytest.approx(difference.std(ddof=1) / np.sqrt(len(x)), rel=1e-3, abs=1e-4)
    assert found.score.nats == pytest.approx(-float(told.mean()), rel=1e-5)


def test_a_context_that_decides_gains_its_entropy():
    """Of x = y, uniform over K labels, p(x | y) = 1 and p(x) = 1/K: the gain is log K."""
    space, labels = Discrete((1,), 3), Label(("a", "b", "c"))
    y = torch.arange(3).repeat(20)
    told, alone = (ptheta.models.Independent(space, c, pseudo_count=0.0) for c in (labels, None))
    told.observe(y[:, None], y)
    alone.observe(y[:, None])
    for model in (told, alone):
        model.finish()
    found = gain(told.log_prob(y[:, None], y), alone.log_prob(y[:, None]))
    assert found.value == pytest.approx(np.log(3))
    assert found.error == pytest.approx(0, abs=1e-9)


def test_events_that_neither_density_allows_gain_nothing():
    impossible = torch.tensor([-torch.inf, -1.0]).double()
    assert gain(impossible, impossible - torch.tensor([0.0, 1.0])).value == pytest.approx(0.5)


def test_categories_are_judged_by_the_most_probable_one(fit):
    run = fit("categories", "made", "kind", "img", steps=50)
    found = judge(run, run.data.test).findings
    x, y = run.data.test.events()
    space, n = run.model.space, len(x)
    each = [run.model.log_prob(torch.full((n, *space.shape), k), y) for k in range(space.levels)]
    best = torch.stack(each, 1).argmax(1)
    frequent = np.bincount(run.data.train.x.ravel()).argmax()
    assert found.rows["model"]["accuracy"].value == pytest.approx(float((best == x.ravel()).double().mean()))
    assert found.rows["most frequent"]["accuracy"].value == pytest.approx((run.data.test.x == frequent).mean())
    assert found.rows["nearest neighbour"]["accuracy"].value == 1.0, "colours lie far apart"
    assert found.rows["model"]["accuracy"].value > 0.9


def test_a_rival_of_other_events_is_refused(labelled, fit):
    other = fit("other", "independent", "img", None, levels=8)
    with pytest.raises(RunError, match="encoded differently"):
        nats_of(labelled, labelled.data.test, other)
    with pytest.raises(RunError, match="context of its own"):
        nats_of(labelled, labelled.data.test, labelled)


def test_a_classifier_knows_what_was_asked_for(labelled):
    rows = judge(labelled, labelled.data.test, How(samples=4)).findings.rows
    assert rows["real pictures"]["agreement"].value == 1
    assert rows["model"]["agreement"].value > 0.9  # independent pixels given the label keep its colour
    assert rows["shuffled labels"]["agreement"].value < 0.7


def test_texts_are_judged_beside_baselines(captions):
    found = judge(captions, captions.data.test, How(beams=2)).findings
    assert set(found.rows) == {"model", "shuffled outputs", "most frequent", "nearest neighbour"}
    assert found.rows["nearest neighbour"]["exact"].value == 1  # colours are far apart
    references = captions.codec.decode(captions.data.test.x)
    assert [reference for _, reference, _ in found.examples] == references


def test_texts_are_found_by_agreement_where_that_is_asked_for(captions):
    events = captions.data.test
    found = judge(captions, events, How(mbr=5, temperature=0.8, seed=2)).findings
    chosen = agreed(captions, events.events()[1], 5, temperature=0.8, seed=2)
    assert [output for _, _, output in found.examples] == captions.codec.decode(chosen)
    assert found.task.endswith("minimum Bayes risk by chrF among 5 draws, temperature 0.8")


def test_a_judge_knows_real_pictures_and_is_not_fooled_by_others(captions):
    split = captions.data.train
    texts = captions.codec.decode(split.x[:12])
    choices = candidates(texts, seed=0, count=3)
    x = torch.from_numpy(split.context[:12]).long()[:, None]
    y = [torch.from_numpy(captions.codec.encode(row)).long() for row in choices]
    scores = [captions.model.log_prob(options, x[i].expand(len(options), *x.shape[2:])) for i, options in enumerate(y)]
    expected = [float(row[0] > row[1:].max()) for row in scores]
    assert recognised(captions, x, choices).tolist() == expected


def test_candidates_are_different_and_the_first_is_true():
    captions = ["a", "b", "c", "a", "d", "e"]
    for caption, row in zip(captions, candidates(captions, seed=3, count=4)):
        assert row[0] == caption
        assert len(set(row)) == 4
    assert candidates(captions, 3, 4) == candidates(captions, 3, 4)
    with pytest.raises(UsageError, match="one caption"):
        candidates(["a", "a"], 0)


@pytest.mark.parametrize("scale", [0.01, 0.3])
def test_the_density_around_a_neighbour_is_one_over_all_levels(scale):
    from scipy.stats import logistic

    levels = 8
    x, centre = np.arange(levels)[:, None], np.full((levels, 1), 2)
    mass = np.exp(around(x, centre, scale, levels))
    assert mass.sum() == pytest.approx(1)
    edges = (np.arange(levels + 1) - 0.5 - 2) * 2 / (levels - 1)
    edges[[0, -1]] = -np.inf, np.inf
    np.testing.assert_allclose(mass, np.diff(logistic.cdf(edges, scale=scale)), atol=1e-12)


def test_descriptions_are_judged_with_a_judge_or_by_nats_alone(fit, captions):
    run = fit("described", "pixelcnn", "img", "text")
    alone = judge(run, run.data.test).findings
    assert list(alone.rows) == ["nearest neighbour"]
    found = judge(run, run.data.test, How(judge=captions)).findings
    assert list(found.rows) == ["model", "shuffled captions", "nearest neighbour", "real pictures"]
    nearest = nearest_training(run.context_codec, run.data.train, run.data.test.context)
    near, scale = neighbour_nats(Case(run, run.data.test, How()), nearest)
    np.testing.assert_allclose(near, around(run.data.test.x, run.data.train.x[nearest], scale, 256))
    assert found.rows["nearest neighbour"]["nats"].value == pytest.approx(-near.mean())
    anyone, _ = neighbour_nats(Case(run, run.data.test, How()), np.zeros_like(nearest))
    assert 0 < -near.mean() < -anyone.mean()  # a picture of any colour explains less
    with pytest.raises(RunError, match="not a judge"):
        judge(run, run.data.test, How(judge=run))


def test_what_is_given_is_kept_by_real_pictures_and_counted_by_hand(greys):
    events = greys.data.test
    found = judge_restored(Case(greys, events, How(samples=2)))
    assert found.rows["real pictures"]["given, kept (dB)"].value == 99
    x = torch.zeros(len(events), 3, 4, 4, dtype=torch.long)
    kept = constraint(greys.codec, greys.context_codec, x, events.context)
    error = (events.context.astype(float) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(kept, 10 * np.log10(255**2 / error))
    grey = enlarged(greys.context_codec, events.context, as_pixels(greys.codec, events.x))
    np.testing.assert_array_equal(grey, events.context[:, 0, :, :, None].repeat(3, -1))
    assert list(found.rows)[:3] == ["model, one draw", "model, best of 2", "model, mean of 2"]
    best, one = (found.rows[name]["PSNR"].value for name in ("model, best of 2", "model, one draw"))
    assert best >= one


@pytest.mark.parametrize(
    ("event", "context", "expected"),
    [
        ("img", "img:grey", True),
        ("img", "img:grey:2x2", True),
        (["img"], ["img:2x2"], True),
        (None, "img:grey", True),
        (None, "other:grey", False),
        ("img", "other:grey", False),
        ("img", "other", False),
        ("img", "img:grey,kind", False),
        ("img", ["img:grey", "kind"], False),
        ("img", "img:label", False),
    ],
)
def test_only_a_context_that_is_the_event_reduced_is_a_view(greys, event, context, expected):
    told = {**greys.config["data"], "request": {"event": event, "context": context}}
    assert is_view(Run(greys.path, {**greys.config, "data": told}, greys.model)) is expected


def test_pictures_of_another_column_are_not_said_to_be_kept(greys):
    told = {**greys.config["data"], "request": {**greys.config["data"]["request"], "event": "other"}}
    found = judge_restored(
        Case(Run(greys.path, {**greys.config, "data": told}, greys.model, greys.data), greys.data.test, How())
    )
    assert not any("given, kept (dB)" in row for row in found.rows.values())
    assert "not views" in found.notes[0]


def test_colours_of_a_palette_are_judged_as_colours_and_not_as_numbers(fit):
    run = fit("palette", "transformer", "img", "text", palette=8)
    found = judge(run, run.data.test).findings
    assert found.rows == {}
    assert any("have no order" in note for note in found.notes)
    order = np.random.default_rng(0).permutation(8)
    other = dataclasses.replace(run.codec, colours=[run.codec.colours[k] for k in order])
    x = run.data.test.x
    renamed = np.argsort(order)[x]  # the same pictures, with the colours numbered otherwise
    seen = [features(run.model.space, codec, rows).of(rows) for codec, rows in ((run.codec, x), (other, renamed))]
    np.testing.assert_array_equal(*seen)
    np.testing.assert_allclose(seen[0] * 255, as_pixels(run.codec, x).reshape(len(x), -1), rtol=1e-6)


def test_draws_for_one_context_count_as_one():
    one = recognition(["seven", "three"], ["seven", "tree"])
    three = recognition(["seven"] * 3 + ["three"] * 3, ["seven"] * 3 + ["tree"] * 3, together=3)
    for name in ("recognised", "CER"):
        assert three[name].value == pytest.approx(one[name].value)
        assert three[name].error == pytest.approx(one[name].error)
    mixed = recognition(["a", "a", "b", "b"], ["a", "x", "b", "b"], together=2)["recognised"]
    assert mixed.value == 0.75
    assert mixed.error == pytest.approx(0.25)  # of 0.5 and 1


def test_references_of_the_events_length_are_counted(fit):
    run = fit("short", "transformer", "text", "img", length=10)
    events = run.data.test
    expected = sum(len(f"a {colour} card") >= 10 for colour in COLOURS)  # "a red card" has ten bytes, and no end
    assert expected == 3
    notes = judge(run, events, How(beams=1)).notes
    assert f"{len(events)} references of 10 tokens or more, compared up to there" in notes


def test_runs_without_a_context_and_single_events_are_refused(fit, labelled):
    plain = fit("plain", "independent", "img", None, levels=4)
    with pytest.raises(ContextError, match="has no context"):
        judge(plain, plain.data.test)
    with pytest.raises(RunError, match="fewer than 2"):
        judge(labelled, labelled.data.test.subset(1))


def test_a_drawn_silence_is_heard_as_silence():
    codec = SpectrogramCodec(8000, 128, 256, 16, 4)
    silent = np.zeros((1, 1, 4, 16), np.uint8)
    np.testing.assert_array_equal(analysed(codec, codec, silent), silent)
