"""A kind of data that the package has never heard of is shown and written by its one exhibit, and by nothing else."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.anomalies import Detector
from ptheta.cli.main import main
from ptheta.data.codecs import ContextCodec, JointCodec, LabelCodec, TextCodec
from ptheta.data.codecs.base import as_array, file_names, nowhere
from ptheta.data.kinds import KINDS, Kind, kind_of
from ptheta.data.reading import events_of_file
from ptheta.errors import UsageError
from ptheta.files import write_text
from ptheta.reporting import Exhibit, exhibit_of, write_events, write_scores
from ptheta.reporting.contexts import context_cells, given_words, pictures_of
from ptheta.reporting.markup import tag
from ptheta.reporting.report import write_report
from ptheta.runs import Run
from ptheta.spaces import Discrete

NOTES = "CDE"


@dataclasses.dataclass(frozen=True)
class MelodyCodec(ContextCodec):
    """Files of notes ↔ four levels."""

    kind = "melody"
    named_unit = "note"

    @property
    def space(self):
        return Discrete((4,), len(NOTES))

    @property
    def dtype(self):
        return np.dtype(np.uint8)

    def encode(self, raw, place=nowhere):
        return np.array([[NOTES.index(note) for note in melody] for melody in raw], np.uint8)

    def decode(self, x):
        return ["".join(NOTES[k] for k in event) for event in as_array(x)]

    def write(self, x, directory, stem="sample", context_names=None):
        names = file_names(len(x), stem, ".notes", context_names)
        for name, melody in zip(names, self.decode(x)):
            write_text(Path(directory) / name, f"{melody}\n")
        return [Path(directory) / name for name in names]


class Melodies(Exhibit[MelodyCodec]):
    """Melodies, one a line on a stave."""

    overview = 5
    each = 3
    suffixes = (".notes",)
    example = "tune.notes"

    def remark(self, file):
        return f"{file} is a melody"

    def sheet(self, x, given=None, *, most=None):
        rows = as_array(x).astype(np.uint8)
        return Image.fromarray(rows * 100).resize((rows.shape[1] * 4, len(rows) * 4), Image.Resampling.NEAREST)

    def write_overview(self, x, folder, given):
        return [write_text(folder / "samples.txt", "\n".join(self.codec.decode(x)) + "\n") or folder / "samples.txt"]

    def completed(self, x, kept, drawn, names):
        return self.sheet(drawn.flatten(0, 1))

    def strangest(self, events, scores, contexts=None):
        return self.sheet(torch.from_numpy(events.x[scores.ranking[:3]]))

    def listed(self, title, x, given):
        return tag("pre", f"{title}: {' '.join(self.codec.decode(x))}", cls="melodies")

    def note(self, run):
        return " These are melodies."

    def surprises(self, ranking):
        return [tag("p", f"strangest melody {self.codec.decode(ranking.split.events(ranking.order[:1])[0])[0]}")]


MELODY = Kind(
    "melody",
    "melodies",
    (MelodyCodec,),
    lambda source, parts, options, masks: (MelodyCodec(), []),
    exhibit="toys.melodies:Melodies",
    read=lambda codec, path: codec.encode([Path(path).read_text().strip()]),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The row of the kind, which names its exhibit."""
    monkeypatch.setitem(sys.modules, "toys.melodies", sys.modules[__name__])
    monkeypatch.setitem(KINDS, MELODY.name, MELODY)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Melodies, and a function that fits them."""
    g = np.random.default_rng(0)
    data = ptheta.load(g.choice(3, (80, 4), p=[0.6, 0.3, 0.1]).astype(np.uint8))
    return dataclasses.replace(data, codec=MelodyCodec(), space=MelodyCodec().space), tmp_path_factory.mktemp("toy")


@pytest.fixture
def run(fitted, registered):
    data, folder = fitted
    return ptheta.fit("markov_chain", data, out=folder / "run", force=True)


def test_a_fit_leaves_what_the_exhibit_writes(run):
    melodies = (run.path / "samples.txt").read_text().split()
    assert len(melodies) == 5
    assert not list(run.path.glob("*.png")) + list(run.path.glob("*.npy"))
    assert "bits/note" in (run.path / "README.md").read_text()


def test_samples_are_files_of_the_kind_and_a_sheet(run, tmp_path):
    x = run.model.sample(3, seed=0)
    files = write_events(run, x, tmp_path / "many", None)
    assert [file.name for file in files] == [*(f"sample-000{i}.notes" for i in range(3)), "samples.png"]
    assert Image.open(files[-1]).size == (16, 12)
    assert np.array_equal(np.concatenate([events_of_file(run.codec, file) for file in files[:-1]]), x)
    (one,) = write_events(run, x, tmp_path / "all.png", None)
    assert Image.open(one).size == (16, 12)
    (one,) = write_events(run, x[:1], tmp_path / "one.notes", None)
    assert one.read_text() == files[0].read_text()
    with pytest.raises(UsageError, match=r"cannot be written as a \.wav file; name a folder or a \.notes file"):
        write_events(run, x, tmp_path / "one.wav", None)


def test_the_commands_draw_and_complete_it(run, tmp_path, capsys):
    out = tmp_path / "drawn"
    main(["sample", str(run.path), "-n", "2", "--seed", "0", "--out", str(out), "--json"])
    assert [Path(file).suffix for file in json.loads(capsys.readouterr().out)["files"]] == [".notes", ".notes", ".png"]
    (tmp_path / "tune.notes").write_text("EEDD\n")
    main(["complete", str(run.path), str(tmp_path / "tune.notes"), "-n", "3", "--out", str(tmp_path / "rest")])
    assert f"{tmp_path / 'tune.notes'} is a melody" in capsys.readouterr().err
    rest = sorted(tmp_path.glob("rest/*.notes"))
    assert [file.read_text()[:2] for file in rest] == ["EE"] * 3
    assert Image.open(tmp_path / "rest" / "completions.png").size == (16, 12)


def test_the_report_shows_it(run, tmp_path):
    write_report(run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert '<pre class="melodies">Samples: ' in page
    assert '<pre class="melodies">Real: test events: ' in page
    assert "These are melodies." in page
    assert "strangest melody " in page
    assert "could not be made" not in page
    assert "bits/note" in page


def test_scores_have_its_map(run, tmp_path):
    scores = Detector(run, per_dimension=True).score(run.data.test)
    table, drawn = write_scores(run, run.data.test, scores, tmp_path / "scores.parquet")
    assert table.suffix == ".parquet"
    assert Image.open(drawn).size == (16, 12)


def test_a_kind_without_an_exhibit_is_shown_as_numbers(run, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, MELODY.name, dataclasses.replace(MELODY, exhibit=""))
    assert type(exhibit_of(run.codec)) is Exhibit
    x = run.model.sample(2, seed=0)
    assert [file.suffix for file in write_events(run, x, tmp_path / "many", None)] == [".notes", ".notes"]
    write_report(run, tmp_path / "page.html", n=10)
    assert "could not be made" not in (tmp_path / "page.html").read_text()
    with pytest.raises(UsageError, match="a prompt is the beginning of a text"):
        exhibit_of(run.codec).check_prompt(run)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_names_its_exhibit(kind):
    module, name = KINDS[kind].exhibit.split(":")
    assert issubclass(getattr(__import__(f"ptheta.reporting.exhibits.{module}", fromlist=[name]), name), Exhibit)


def test_only_columns_of_several_parts_are_shown_without_an_exhibit():
    codec = JointCodec({"a": LabelCodec(["b", "c"]).to_json()})
    with pytest.raises(LookupError, match="no kind of data has a joint codec"):
        kind_of(codec)
    assert type(exhibit_of(codec)) is Exhibit


def test_a_context_is_given_as_its_exhibit_says(fitted, tmp_path):
    data, _ = fitted
    notes = np.eye(3, dtype=np.uint8)[np.arange(80) % 3].repeat(2, 1)[:, :4]
    assert exhibit_of(LabelCodec(["a"])).is_value
    assert exhibit_of(TextCodec(4)).contexts == Exhibit.contexts
    splits = {
        name: dataclasses.replace(split, x=split.x, context=notes[: len(split)]) for name, split in data.splits.items()
    }
    given = dataclasses.replace(data, splits=splits, context_space=MelodyCodec().space, context_codec=MelodyCodec())
    run: Run = ptheta.fit("made", given, steps=1, out=tmp_path / "run")
    assert given_words(run) == " --context tune.notes"
    context = run.data.test.events(slice(0, 2))[1]
    assert context_cells(run, context) is None
    assert pictures_of(run, context) is None
    (tmp_path / "in").mkdir()
    for name in ("x", "y"):
        (tmp_path / "in" / f"{name}.notes").write_text("CDEC\n")
    out = tmp_path / "drawn"
    main(["sample", str(run.path), "--context", str(tmp_path / "in"), "--seed", "0", "--out", str(out)])
    assert len(list(out.glob("sample-*-x.notes"))) == len(list(out.glob("sample-*-y.notes"))) == 3
    assert (out / "contexts.png").exists()
