"""Names, notes and dates in tables: recognised, reported, kept on request."""

import base64
import hashlib
import uuid

import numpy as np
import pandas as pd
import pytest

from ptheta.data import load
from ptheta.data.codecs import DocumentCodec, TextCodec
from ptheta.data.finding.words import unusual_words
from ptheta.data.sources.opening import open_source

N = 120
G = np.random.default_rng(0)
HEIGHT = G.normal(170, 9, N).round(1)


def kinds(values):
    values = values if isinstance(values, pd.api.extensions.ExtensionArray) else [str(v) for v in values]
    own, dates, figures = unusual_words(open_source(pd.DataFrame({"a": values})), ["a"])
    assert len([*own, *dates, *figures]) <= 1
    return "own" if own else "date" if dates else "figure" if figures else "category"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"dune {i}" for i in range(N)], "own"),
        ([11529215046068469760000 + i for i in range(N)], "own"),
        ([f"late again {i % 100}" for i in range(N)], "own"),
        (G.choice(["red", "green", "blue"], N), "category"),
        (G.choice([f"town {i}" for i in range(40)], N), "category"),
        ([f"{v:.1f}%" for v in G.random(N) * 1e3], "figure"),
        ([f"{v:,}" for v in G.integers(1_000, 10**7, N)], "figure"),
        ([f"{i}.5 kg" for i in range(N)], "figure"),
        ([f"({i}.50)" if i % 2 else f"{i}.25" for i in range(N)], "figure"),  # accountants' negative amounts
        ([f"{i},5" for i in range(N)], "figure"),
        ([f"\u2212{i}" for i in range(N)], "figure"),
        ([f"{i} {i % 7 + 1}/8" for i in range(N)], "figure"),
        ([f"{i % 30 + 1}/16" for i in range(N)], "figure"),
        ([f"{i % 5} kg" for i in range(N)], "category"),  # few are kinds
        (pd.date_range("2020-01-01", periods=N).astype(str), "date"),
        (pd.date_range("2020-01-01", periods=N, freq="7h").astype(str), "date"),
        (pd.date_range("2020-01-01", periods=N, freq="MS").strftime("%Y-%m"), "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%d/%m/%Y"), "date"),
        (pd.date_range("2020-01-01", periods=N, freq="7min").strftime("%I:%M %p"), "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%d %b %Y"), "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%B %d, %Y"), "date"),
        (pd.date_range("2020-01-01", periods=N, freq="5h", tz="UTC").map(lambda t: t.isoformat()), "date"),
        ([f"192.168.0.{i}" for i in range(N)], "own"),
        ([f"{i:05d}-77" for i in range(N)], "own"),
        (pd.array([f"dune {i}" for i in range(N)], "string"), "own"),
        (["x"] * 10, "category"),
        ([f"n{i}" for i in range(10)], "category"),  # too few to tell
    ],
)
def test_words_are_recognised(values, kind):
    assert kinds(values) == kind


def test_identifiers_and_notes_are_left_out_unless_they_are_asked_for():
    made = pd.DataFrame(
        {"name": [f"dune {i}" for i in range(N)], "height": HEIGHT, "note": [f"note {i}" for i in range(N)]}
    )
    data = load(made)
    assert data.codec.names == ["height"]
    left_out = (
        "left out, since most rows have a value of their own (identifiers or free text): name, note; name them in"
    )
    assert any(note.startswith(left_out) for note in data.notes)
    assert load(made, event="name,height").codec.names == ["name", "height"]
    assert load(made, columns="mixed").codec.names == ["height"]
    alone = load(made[["name"]])
    assert alone.codec.names == ["name"]
    assert "most rows have a value of their own, which samples repeat: name" in alone.notes


@pytest.mark.parametrize(
    "name",
    [
        lambda i: str(uuid.UUID(int=i * 7919 + 2**120)),
        lambda i: hashlib.sha256(str(i).encode()).hexdigest(),
        lambda i: base64.b64encode(hashlib.sha256(str(i).encode()).digest()).decode(),
        lambda i: f"{i:030d}7",
        lambda i: f"https://example.org/item/{i}",
        lambda i: f"2020-01-01T{i // 60:02d}:{i % 60:02d}:00.000+00:00",
    ],
)
def test_long_identifiers_are_no_texts(name):
    made = pd.DataFrame({"id": [name(i) for i in range(N)], "kind": np.repeat(["a", "b"], N // 2), "n": range(N)})
    data = load(made)
    assert {"kind", "n"} <= set(data.codec.names)
    assert any("id" in note.split(": ")[-1] for note in data.notes if note.startswith(("left out", "dates")))


@pytest.mark.parametrize(
    "text", ["It was one of 12 dark nights.", "ACDEFGHIKLMNPQRSTVWYACDEFGHI", "CC1=CC(=O)NC(=C1)C2=CC=CC=C2"]
)
def test_texts_are_the_event_and_what_is_beside_them_is_reported(text):
    made = pd.DataFrame({"note": [text + "A" * (i % 7) for i in range(N)], "kind": np.repeat(["a", "b"], N // 2)})
    data = load(made)
    assert isinstance(data.codec, TextCodec | DocumentCodec)
    assert "left out beside note: kind" in data.notes


def test_what_a_run_knows_is_not_left_out_of_new_data():
    made = pd.DataFrame({"kind": np.repeat(["a", "b"], N // 2), "height": HEIGHT})
    codec = load(made).codec
    assert load(made.assign(kind=["a"] * N, id=[f"n{i}" for i in range(N)]), codec=codec).codec == codec


def test_dates_are_reported_once_as_what_they_are_taken_for(tmp_path):
    made = pd.DataFrame({"month": pd.date_range("1900", periods=N, freq="MS").strftime("%Y-%m"), "height": HEIGHT})
    data = load(made)
    assert data.codec.names == ["month", "height"]
    assert any(note.startswith("dates or times, treated as unordered categories") for note in data.notes)
    made.to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv")  # whose reader reports them
    assert sum("1900-01" in note or note.startswith("dates") for note in data.notes) == 1
    assert data.codec.names == ["month", "height"]


@pytest.mark.parametrize("odd", ["kaputt", "-"])
def test_dates_with_an_odd_cell_are_reported(odd, tmp_path):
    months = pd.date_range("1900", periods=N, freq="MS").strftime("%Y-%m").tolist()
    for few in (months, months[:3] * 40):
        made = pd.DataFrame({"month": few, "height": HEIGHT})
        made.loc[7, "month"] = odd
        made.to_csv(tmp_path / "t.csv", index=False)
        for source in (made, tmp_path / "t.csv"):
            notes = load(source).notes
            assert sum(note.startswith("dates") and note.endswith(f"month (but for {odd!r})") for note in notes) == 1


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_numbers_among_text_are_reported_whatever_the_file(tmp_path, suffix):
    table = pd.DataFrame({"weight": [f"{i}.5 kg" for i in range(N)], "height": HEIGHT})
    write = {"jsonl": "to_json", "parquet": "to_parquet"}[suffix]
    options = {"jsonl": {"orient": "records", "lines": True}, "parquet": {}}[suffix]
    getattr(table, write)(tmp_path / f"w.{suffix}", **options)
    data = load(tmp_path / f"w.{suffix}")
    assert data.codec.names == ["weight", "height"]
    (note,) = [one for one in data.notes if one.startswith("numbers among text")]
    assert note.endswith("weight (such as '0.5 kg')")
