"""A new kind of data is a codec and a row; the rows there are cover all codecs, and each knows its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import ptheta
from ptheta.cli.groups import of_data
from ptheta.data import ContextCodec, load
from ptheta.data.codecs.base import Codec, compact, nowhere
from ptheta.data.kinds import KINDS, Kind, option_groups
from ptheta.data.option_groups import OptionGroup, option
from ptheta.data.options import Loading, Pictures, Sounds, Tables, Texts, TextTables
from ptheta.data.reading import events_of_file
from ptheta.errors import SourceError, UsageError
from ptheta.spaces import Discrete

BASES = "ACGT"


@dataclass(frozen=True)
class StrandCodec(ContextCodec):
    """Strands of DNA of one length ↔ their bases; the space is one that there is."""

    length: int

    kind = "strand"

    @property
    def space(self) -> Discrete:
        return Discrete((self.length,), len(BASES))

    @property
    def dtype(self) -> np.dtype:
        return compact(len(BASES))

    def encode(self, raw, place=nowhere):
        strands = raw if isinstance(raw, list) else raw.to_pylist()
        for row, strand in enumerate(strands):
            if strand is None or len(strand) < self.length:
                raise SourceError(f"{place(row)} is not a strand of {self.length} bases", "remove that row")
        return np.array([[BASES.index(base) for base in strand[: self.length]] for strand in strands], self.dtype)

    def decode(self, x):
        return ["".join(BASES[base] for base in row) for row in np.asarray(x)]

    def write(self, x, directory, stem="sample", context_names=None):
        path = Path(directory) / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self.decode(x)))
        return [path]


@dataclass(frozen=True)
class Strands(OptionGroup):
    """Options of DNA."""

    title = "DNA"

    bases: int | None = option(None, "bases of an event", otherwise="the shortest strand", least=1)


def find_strands(source, parts, options, masks):
    name = parts[0].column
    tables = source.tables.values()
    lengths = [len(v) for table in tables for chunk in table.chunks([name]) for v in chunk[name].to_pylist()]
    return StrandCodec(options[Strands].bases or min(lengths)), [f"{name}: {len(lengths)} strands"]


def is_strand(source, column, texts):
    if column.kind != "string":
        return False
    values = next(next(iter(source.tables.values())).chunks([column.name]))[column.name].to_pylist()
    return all(value and set(value) <= set(BASES) for value in values)


STRAND = Kind(
    "strand", "strands", (StrandCodec,), find_strands, is_strand, options=Strands, reads=("string",),
    read=lambda codec, path: codec.encode(Path(path).read_text().split()),
)  # fmt: skip


@pytest.fixture
def strands(monkeypatch, tmp_path):
    """A table of strands, their weight and their kind; and the row of the new kind."""
    monkeypatch.setitem(KINDS, STRAND.name, STRAND)
    g = np.random.default_rng(0)
    rows = ["".join(g.choice(list(BASES), 6 + i % 3)) + f",{i / 7},{'ab'[i % 2]}" for i in range(60)]
    path = tmp_path / "strands.csv"
    path.write_text("\n".join(["strand,weight,kind", *rows]) + "\n")
    return path


def test_a_new_kind_is_one_row_and_one_codec(strands, tmp_path):
    data = load(strands)
    assert data.codec == StrandCodec(6)
    assert data.space == Discrete((6,), 4)
    assert data.notes[:1] == ["event: strand, Discrete(shape=[6], levels=4)"]
    assert "strand: 60 strands" in data.notes
    first = strands.read_text().splitlines()[1].split(",")[0]
    assert first[:6] in data.codec.decode(np.concatenate([split.x for split in data.splits.values()]))
    assert data.request["bases"] is None

    short = load(strands, bases=3, context="kind", limit=10)
    assert short.space == Discrete((3,), 4)
    assert str(short.context_space) == "Label(a, b)"
    assert short.request["bases"] == 3
    again = load(strands, codec=short.codec)
    assert again.splits["all"].x.shape == (60, 3)
    (file,) = short.codec.write(short.test.x, tmp_path, "drawn")
    np.testing.assert_array_equal(events_of_file(short.codec, file), short.test.x)


def test_a_new_kind_is_a_context_too(strands):
    data = load(strands, "weight", "strand,kind", bases=4)
    assert str(data.context_space).startswith("Joint(strand: Discrete(shape=[4], levels=4)")
    assert data.context_codec.names(data.test.context[:1])[0].endswith(("kind=a", "kind=b"))
    assert load(strands, "weight", "strand,kind", codec=data.codec, context_codec=data.context_codec).context_space


def test_the_options_of_a_new_kind_are_checked_and_are_flags(strands):
    with pytest.raises(UsageError, match="bases is 0; give at least 1"):
        load(strands, bases=0)
    with pytest.raises(UsageError, match="the events of strands are not strands; leave out bases"):
        load(strands, "weight", bases=3)
    (flag,) = of_data()["DNA"]
    assert (flag.name, flag.help, flag.otherwise) == ("bases", "bases of an event", "the shortest strand")


def test_a_run_of_a_new_kind_loads_its_data_again(strands, tmp_path):
    run = ptheta.fit("independent", load(strands, bases=5), out=tmp_path / "run", seed=0, verbose=False)
    loaded = ptheta.Run.load(run.path)
    assert loaded.codec == StrandCodec(5)
    assert loaded.data.fingerprint == run.data.fingerprint
    (tmp_path / "new.txt").write_text("ACGTA\nGGGTT")
    assert loaded.events(tmp_path / "new.txt").tolist() == [[0, 1, 2, 3, 0], [2, 2, 2, 3, 3]]


# The rows there are


def test_every_codec_is_of_one_kind():
    def made_of(cls):
        return [cls, *(one for sub in cls.__subclasses__() for one in made_of(sub))]

    codecs = [cls for cls in made_of(Codec) if "kind" in cls.__dict__ and cls.__module__.startswith("ptheta.")]
    kinds = {cls.kind: [kind.name for kind in KINDS.values() if issubclass(cls, kind.codecs)] for cls in codecs}
    assert kinds.pop("joint") == []  # several kinds side by side
    assert all(len(names) == 1 for names in kinds.values()), kinds


def test_every_row_says_what_shows_it_and_options_stand_once():
    assert all(kind.exhibit.count(":") == 1 for kind in KINDS.values())
    assert option_groups() == [Loading, TextTables, Pictures, Texts, Sounds, Tables]
    names = [one.name for group in option_groups() for one in group.options()]
    assert {name for name in names if names.count(name) > 1} == {"levels"}  # written once, in a class that both share


def test_unknown_options_are_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="`load` has no option 'pallette'; did you mean palette"):
        load("digits", pallette=3)


def test_a_value_that_is_none_of_the_choices_is_refused():
    for options, said in (
        ({"binarize": None}, "no binarisation is called None"),
        ({"colour": "gray"}, "no colour is called 'gray'; did you mean grey"),
        ({"columns": "reals"}, "no kind of columns is called 'reals'; did you mean real"),
        ({"tokenizer": "byte"}, "no tokenizer is called 'byte'; did you mean bytes"),
    ):
        with pytest.raises(UsageError, match=said):
            load("digits", **options)
