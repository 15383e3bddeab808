"""Words in pictures can be read, whatever their script."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

import ptheta
from ptheta.cli.main import main
from ptheta.fitting.results import noting
from ptheta.remarks import collecting, remark
from ptheta.reporting import lettering, write_card
from ptheta.reporting.lettering import spelled, text_width, write
from ptheta.reporting.pictures import grid


@pytest.fixture
def without_fonts(monkeypatch):
    """No fonts but the one that comes with matplotlib."""
    monkeypatch.setattr(lettering, "_installed", list)
    for cache in (lettering._parts, lettering._font_of):
        cache.cache_clear()
    yield
    for cache in (lettering._parts, lettering._font_of):
        cache.cache_clear()


def drawn(text):
    """Ink of a text, bool [height, width]."""
    picture = Image.new("RGB", (text_width(text) + 8, 20), (255, 255, 255))
    write(ImageDraw.Draw(picture), 4, 10, text, (0, 0, 0))
    return np.asarray(picture.convert("L")) < 128


def test_alphabets_of_the_usual_font_are_written_as_they_are():
    for text in ("cat", "кошка", "γάτα", "çé"):
        with collecting() as found:
            assert drawn(text).any()
        assert not found
        assert all(font == lettering._usual() for _, font in lettering._parts(text))


@pytest.mark.parametrize(
    ("text", "latin", "kind"),
    [
        ("か", "ka", "Hiragana letters"),
        ("각", "gag", "Hangul letters"),
        ("中", "U+4E2D", "CJK letters"),
        ("\U0001f9c3", "beverage box", "some symbols"),
    ],
)
def test_letters_that_no_font_has_are_spelled_and_reported(without_fonts, text, latin, kind):
    with collecting() as found:
        ink = drawn(f"a {text}")
    assert found == [f"no installed font has {kind}: in pictures they are spelled in Latin letters"]
    assert spelled(text) == latin
    np.testing.assert_array_equal(ink, drawn(f"a {latin}"))


def test_a_font_that_has_the_letters_is_preferred(monkeypatch):
    """STIX has letters that DejaVu Sans has not: ⟨𝒜⟩ in place of a language's."""
    other = lettering._usual().with_name("STIXGeneral.ttf")
    letter = next(
        chr(code)
        for code in sorted(lettering._letters(other) - lettering._letters(lettering._usual()))
        if chr(code).isprintable() and not chr(code).isspace() and code < 0xE000
    )
    monkeypatch.setattr(lettering, "_installed", lambda: [other])
    for cache in (lettering._parts, lettering._font_of):
        cache.cache_clear()
    with collecting() as found:
        assert drawn(f"a{letter}b").any()
    assert not found
    assert [font.name for _, font in lettering._parts(f"a{letter}b")] == [
        "DejaVuSans.ttf", "STIXGeneral.ttf", "DejaVuSans.ttf"
    ]  # fmt: skip
    for cache in (lettering._parts, lettering._font_of):
        cache.cache_clear()


def test_letters_of_a_grid_fit(without_fonts):
    cell = Image.new("RGB", (8, 8), (255, 255, 255))
    with collecting() as found:
        sheet = grid([cell] * 4, 2, titles=["ひらがな", "カタカナ"])
    assert len(found) == 2
    ink = np.asarray(sheet.convert("L")) < 128
    assert ink[:, :4].sum() == 0
    assert sheet.width >= text_width("hiragana") + 2 * 64


def test_sheets_of_samples_completions_and_maps_name_their_labels(without_fonts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind in ("か", "кот"):
        for i in range(12):
            path = tmp_path / "letters" / kind / f"p{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    kept = ["--context", "か"]
    commands = {
        "fit": ["letters", "independent", "--context", "label", "--out", "run"],
        "sample": ["run", "-n", "2", *kept, "--out", "samples"],
        "complete": ["run", "letters/か/p1.png", *kept, "--out", "one"],
        "score": ["run", "letters/か/p1.png", "--given", "か", "--per-dimension", "--out", "scores.parquet"],
    }
    for name, arguments in commands.items():
        assert main([name, *arguments]) == 0
        said = "no installed font has Hiragana letters: in pictures they are spelled in Latin letters"
        assert capsys.readouterr().err.count(said) == 1, name
    assert main(["complete", "run", "letters/кот/p1.png", "letters/кот/p2.png", "--context", "кот", "か"]) == 0
    for path, word in (("one", "ka"), ("run-completions", "p1: кот")):
        sheet = Image.open(tmp_path / path / "completions.png")
        columns = 2 + 4
        assert sheet.width >= 2 + 8 + text_width(word) + columns * 66
    seen = np.asarray(Image.open(tmp_path / "scores.png").convert("L")) < 128
    assert seen.any()


def test_remarks_after_loading_are_among_the_notes_of_a_run(tmp_path):
    data = ptheta.load(np.zeros((40, 3), np.int64) + np.arange(40)[:, None] % 2)
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    with collecting() as found, noting(run):
        remark("a font is missing")
        remark("a font is missing")
    assert found == ["a font is missing"]
    assert ptheta.Run.load(run.path).notes == [*data.notes, "a font is missing"]
    write_card(run)
    assert "- a font is missing\n" in (run.path / "README.md").read_text()
