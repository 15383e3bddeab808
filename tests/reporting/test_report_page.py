"""The report page: valid, self-contained, escaped, the same for a seed, and its numbers are the run's."""

import re
import shlex
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

import ptheta
from ptheta.data import Split
from ptheta.errors import SourceError, UsageError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.reporting.markup import VOID, Html, tag
from ptheta.reporting.report import SECTIONS, Evidence, write_report
from ptheta.reporting.report.about import fit_command

HOSTILE = '<script>alert("x")</script> & $a_b$'


class Checked(HTMLParser):
    """Reads a page strictly: every element is closed in order, names are unique, nothing comes from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.tags, self.text, self.links = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)
        assert all(link.startswith(("#", "data:")) for link in self.links), self.links

    def handle_starttag(self, name, attributes):
        given = dict(attributes)
        assert len(given) == len(attributes), "an attribute twice"
        assert not any(key.startswith("on") for key in given)
        self.tags.append((name, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[key] for key in ("src", "href", "xlink:href") if key in given]
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.handle_starttag(name, attributes)
        if name not in VOID:
            self.open.pop()

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())

    def of(self, name):
        return [given for found, given in self.tags if found == name]


def report(run, path, **options):
    numbers = write_report(run, path, **options)
    return Checked(path.read_text()), numbers


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    data = ptheta.load("digits", context="label", levels=None, limit=120)
    return ptheta.fit(
        "made", data, steps=8, seed=0, out=tmp_path_factory.mktemp("d") / "run", hyperparameters={"width": 32}
    )


@pytest.fixture(scope="module")
def categories(tmp_path_factory):
    g = np.random.default_rng(0)
    colour = g.choice(["red", "green", HOSTILE], 400)
    frame = pd.DataFrame({"colour": colour, "size": np.where(colour == "red", "L", "S"), f"k{HOSTILE}": "ab"})
    frame.iloc[:, 2] = g.choice(["a", "b"], 400)
    return ptheta.fit("markov_chain", ptheta.load(frame), out=tmp_path_factory.mktemp("c") / "run")


@pytest.fixture(scope="module")
def reals(tmp_path_factory):
    g = np.random.default_rng(0)
    a = g.normal(size=500)
    return ptheta.fit(
        "made",
        ptheta.load(np.stack([a, a**2], 1)),
        steps=60,
        out=tmp_path_factory.mktemp("r") / "run",
        hyperparameters={"width": 16},
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    source = tmp_path_factory.mktemp("t") / "t.txt"
    source.write_text("a cat <b>& a dog</b> sat. " * 900)
    data = ptheta.load(str(source), length=32)
    return ptheta.fit(
        "transformer", data, steps=5, out=source.parent / "run", hyperparameters={"width": 16, "layers": 1}
    )


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


KINDS = {
    "digits": ["The run", "Learning", "Samples", "Calibration", "Surprise", "Divergences", "From here"],
    "categories": list(SECTIONS),
    "reals": list(SECTIONS),
    "text": ["The run", "Learning", "Samples", "Calibration", "Surprise", "Divergences", "From here"],
}


N = 120
"""Events looked at: all training and test events of the digits."""


@pytest.fixture(scope="module")
def made(request, tmp_path_factory):
    """Pages of the runs above by their names, each written once: file, page, numbers."""
    known = {}

    def make(kind):
        if kind not in known:
            path = tmp_path_factory.mktemp("page") / "a.html"
            known[kind] = (path, *report(request.getfixturevalue(kind), path, n=N))
        return known[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_valid_and_whole(kind, made):
    path, page, _ = made(kind)
    text = path.read_text()
    assert headings(text) == KINDS[kind]
    assert "could not be made" not in page.words
    assert not page.of("script")
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text), "nothing is fetched"
    for given in page.of("img"):
        assert given["alt"]
        assert given["src"].startswith("data:image/png;base64,")
    assert all(given["aria-label"] for given in page.of("svg"))
    assert all({"scope"} <= given.keys() for given in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    links = [given["href"][1:] for given in page.of("a")]
    assert len(links) == len(KINDS[kind])
    assert set(links) <= set(page.ids)
    assert page.of("html") == [{"lang": "en"}]
    assert page.of("meta")[0] == {"charset": "utf-8"}


@pytest.mark.parametrize("kind", ["digits", "categories"])
def test_the_same_page_for_a_seed_and_nothing_global_is_touched(kind, made, request, tmp_path):
    path, _, numbers = made(kind)
    before, state = dict(mpl.rcParams), torch.get_rng_state()
    run = request.getfixturevalue(kind)
    assert write_report(run, tmp_path / "b.html", n=N) == numbers
    assert (tmp_path / "b.html").read_bytes() == path.read_bytes()
    assert dict(mpl.rcParams) == before
    assert torch.equal(torch.get_rng_state(), state)
    if kind == "digits":
        assert write_report(run, tmp_path / "c.html", n=N, seed=1)["pit_distance"] != numbers["pit_distance"]


def test_data_are_text_whatever_they_hold(made):
    path, page, _ = made("categories")
    assert HOSTILE in page.words
    assert "<script" not in path.read_text()
    _, page, _ = made("text")
    assert "<b>& a dog</b>" in page.words
    assert not any(given for given in page.of("b"))


def test_markup_is_escaped_in_text_and_in_attributes():
    assert tag("p", '<&">', title='"<') == '<p title="&quot;&lt;">&lt;&amp;&quot;&gt;</p>'
    assert tag("p", Html("<br>"), None, cls="x", hidden=True, lang=None) == '<p class="x" hidden><br></p>'
    assert tag("p", "\x1b\x00\ud800") == "<p>␛␀?</p>"


def test_its_numbers_are_the_run_s_own(digits, made):
    _, page, numbers = made("digits")
    score = digits.evaluate()
    assert numbers["surprise_test"] == pytest.approx(score.nats)
    assert numbers["surprise_test_se"] == pytest.approx(score.nats_se)
    assert numbers["nats"] == pytest.approx(score.nats)
    train = digits.evaluate("train")
    assert numbers["gap"] == pytest.approx(score.nats - train.nats)
    assert numbers["gap_se"] == pytest.approx(float(np.hypot(score.nats_se, train.nats_se)))
    assert numbers["values"] == score.n * 64
    lines = [line for line in digits.metrics() if "step" in line]
    best = min(lines, key=lambda line: line["validation_nats"])
    assert (numbers["kept_step"], numbers["validation_nats"]) == (best["step"], best["validation_nats"])
    assert f"The weights of step {best['step']} had the lowest validation" in page.words
    assert f"{score.nats:.2f} ± {score.nats_se:.2f}" in page.words


def test_the_most_surprising_events_are_listed_with_what_surprises(categories, made):
    _, page, _ = made("categories")
    test = categories.data.test
    log_prob = categories.model.log_prob(*test.events())
    worst = int(log_prob.argsort(stable=True)[0])
    table = page.words[page.words.index("Most surprising test events") :]
    assert f"{-float(log_prob[worst]):.2f}" in table[:80]
    pieces = categories.model.log_prob_per_dimension(*test.events())
    j = int((pieces.mean(0) - pieces[worst]).argmax())
    names = categories.codec.names if hasattr(categories.codec, "names") else categories.codec.columns
    assert f"{names[j]} = " in table[:200]


def test_exact_divergences_are_those_of_enumeration(categories, made):
    _, _, numbers = made("categories")
    events = enumerate_events(categories.model.space)
    q = categories.model.log_prob(events).exp().numpy()
    test = categories.data.test.events()[0]
    p = np.array([(test == event).all(1).float().mean() for event in events])
    assert numbers["exact_total_variation"] == pytest.approx(0.5 * np.abs(p - q).sum(), abs=1e-6)
    kl = sum(a * np.log(a / b) for a, b in zip(p, q) if a > 0)
    assert numbers["exact_forward_kl"] == pytest.approx(kl, abs=1e-6)


def test_counting_models_have_no_curves(made):
    _, page, numbers = made("categories")
    assert "there are no curves" in page.words
    assert "kept_step" not in numbers


def test_events_looked_at_are_those_that_are_named(digits):
    evidence = Evidence(digits, digits.data, True, 7, 3)
    source = load_digits().images[evidence.rows]  # the rows of the source, wherever the split took them from
    assert np.array_equal(source, evidence.real.x.reshape(source.shape))
    assert len(evidence.samples) == 7
    assert evidence.drawn_text == f"7 of {len(digits.data.test)} test events, drawn with seed 3"


def test_other_data_are_judged_and_said_to_be_other(reals, tmp_path):
    x = np.random.default_rng(5).normal(size=(40, 2))
    other = ptheta.load(x, codec=reals.codec)
    page, numbers = report(reals, tmp_path / "a.html", data=other)
    assert "judged on other data than those it was fitted to" in page.words
    mean = -float(reals.model.log_prob(torch.from_numpy(x)).detach().mean())
    found = next(v for k, v in numbers.items() if k.startswith("surprise_") and not k.endswith("_se"))
    assert found == pytest.approx(mean)
    assert "gap" not in numbers


def test_what_cannot_be_reported_is_refused(reals, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="-n is 0"):
        write_report(reals, tmp_path / "a.html", n=0)
    empty = ptheta.Data(**{**vars(reals.data), "splits": {"test": Split(np.zeros((0, 2)))}})
    with pytest.raises(SourceError, match="no events to judge by"):
        write_report(reals, tmp_path / "a.html", empty)
    narrow = ptheta.load(np.zeros((40, 3)))
    monkeypatch.setattr(reals, "_data", narrow)
    with pytest.raises(SourceError, match="not in the form that"):
        write_report(reals, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_data_that_changed_are_reported_and_a_part_that_fails_spares_the_others(reals, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise MemoryError

    data = ptheta.Data(**{**vars(reals.data), "fingerprint": "other"})
    monkeypatch.setattr(reals, "_data", data)
    monkeypatch.setattr("ptheta.reporting.report.judged.transforms", broken)
    page, numbers = report(reals, tmp_path / "a.html", n=20)
    assert "The data have changed since the fit" in page.words
    assert "This part could not be made: there is too little memory." in page.words
    assert "surprise_test" in numbers


def test_an_event_of_probability_zero_is_counted(tmp_path):
    x = np.array([[0, 0]] * 50 + [[1, 1]] * 50)
    test = np.array([[0, 0]] * 20 + [[0, 1]] * 2)
    data = ptheta.load({"train": x, "validation": x[45:55], "test": test})
    run = ptheta.fit("histogram", data, out=tmp_path / "run", hyperparameters={"concentration": 0.0})
    page, numbers = report(run, tmp_path / "a.html")
    assert "2 of 22 test events have probability 0" in page.words
    assert numbers["surprise_test"] is None
    assert numbers["exact_forward_kl"] is None


def test_a_flow_is_judged_by_its_noise(tmp_path):
    g = np.random.default_rng(0)
    x = g.normal(size=(400, 2)) * [1.0, 5.0]
    small = {"width": 8, "transforms": 1}
    data = ptheta.load(x)
    run = ptheta.fit("flow", data, steps=1, learning_rate=1e-9, out=tmp_path / "run", hyperparameters=small)
    page, numbers = report(run, tmp_path / "a.html")
    assert "noise values" in page.words
    assert numbers["pit_distance"] < 3 * numbers["pit_distance_usual"], "it starts as the normal that these data are"


def test_the_command_names_everything_that_is_no_default(digits, text):
    assert shlex.split(fit_command(digits))[:4] == ["ptheta", "fit", "digits", "made"]
    words = fit_command(digits)
    for flag in ("--context label", "--limit 120", "--width 32", "--steps 8", "--seed 0"):
        assert flag in words
    assert "--learning-rate" not in words
    assert "--length 32" in fit_command(text)
