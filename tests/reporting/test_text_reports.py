"""Text coloured by surprise, rates of text, and what a fit on text leaves in its folder."""

import html
import io
import math
import re

import numpy as np
import pytest
import torch
from rich.console import Console

import ptheta
from ptheta.data.codecs.text import TextCodec
from ptheta.data.streams import TextSplit
from ptheta.reporting import Rates, byte_count, documents, rates_text, score_documents, show
from ptheta.reporting.surprise import LINES, STEPS, Span, page, spans
from ptheta.terminal import printable

BYTES = TextCodec(4, documents=True)


def costing(bits):
    return -torch.tensor(bits, dtype=torch.float64) * math.log(2)


def summarised(several):
    return [(span.text, round(span.bits, 9), span.tokens) for span in several]


def test_tokens_are_merged_until_they_make_characters():
    tokens = [*"aé€".encode(), BYTES.end]
    assert summarised(spans(BYTES, tokens, costing([1.0, 2, 3, 4, 5, 6, 7]))) == [
        ("a", 1, 1),
        ("é", 5, 2),
        ("€", 15, 3),
        (None, 7, 1),
    ]


def test_pieces_that_begin_and_end_within_characters_are_shown_together():
    codec = TextCodec(4, "bpe", merges="a Ã\n© b")  # the tokens b"a\xc3" and b"\xa9b"
    assert [codec.piece(256), codec.piece(257)] == [b"a\xc3", b"\xa9b"]
    assert summarised(spans(codec, [256, 257, ord("c")], costing([1.0, 2, 4]))) == [("aéb", 3, 2), ("c", 4, 1)]


def test_bytes_that_are_no_text_show_as_such_and_keep_their_bits():
    several = spans(BYTES, [0xFF, 0xC3, ord("a"), 0xC3, BYTES.end, 0xE2, 0x82], costing([1.0, 2, 3, 4, 5, 6, 7]))
    assert summarised(several) == [("�", 1, 1), ("�a", 5, 2), ("�", 4, 1), (None, 5, 1), ("�", 13, 2)]


def test_any_bytes_keep_their_text_and_their_bits():
    random = np.random.default_rng(0)
    data = bytes(random.integers(0, 256, 3000).tolist()) + "größer — 文字 🙂".encode() * 20
    bits = random.exponential(size=len(data))
    several = spans(BYTES, data, torch.tensor(bits) * -math.log(2))
    assert "".join(span.text or "" for span in several) == data.decode("utf-8", "replace")
    assert sum(span.bits for span in several) == pytest.approx(bits.sum())
    assert sum(span.tokens for span in several) == len(data)


def test_shades_begin_at_their_steps():
    assert [Span("a", bits, 1).shade for bits in (0.0, 0.49, 0.5, 0.99, 1, 11.9, 12, math.inf)] == [
        0,
        0,
        1,
        1,
        2,
        7,
        8,
        8,
    ]
    assert Span("a", math.inf, 1).tooltip == "probability 0"


def test_a_page_holds_the_text_whatever_it_is():
    text = '<script>alert("&amp;")</script>\r\n\tlast\'s line \u2028 ok\n\n'
    several = [Span(character, 1.0, 1) for character in text] + [Span(None, 2.0, 1)]
    found = page("<title> & more", ["<note>"], [("a < b", several)])
    (body,) = re.findall(r'<div class="text">(.*?)</div>', found, re.DOTALL)
    assert html.unescape(re.sub("<[^>]*>", "", body)) == text
    assert "<script" not in found
    assert "<h1>&lt;title&gt; &amp; more</h1>" in found
    assert "&lt;note&gt;" in found
    assert "<h2>a &lt; b</h2>" in found
    assert all(f".s{shade} {{" in found for shade in range(len(STEPS) + 1))


def test_control_characters_show_as_pictures():
    assert printable("a\x00\x1b[31m\x7f\x9b\n\t") == "a␀␛[31m␡�\n\t"
    assert "␀" in page("t", [], [("d", [Span("\x00", 1.0, 1)])])


def test_a_terminal_shows_a_bounded_beginning_with_its_scale():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40, color_system="256", highlight=False)
    show(console, "document 3:", [Span("word ", 1.5, 1), Span("\x1b[2J[b]\n", 9.0, 1)] * 2000)
    lines = re.sub("\x1b\\[[0-9;]*m", "", file.getvalue()).splitlines()
    assert lines[0] == "document 3:"
    assert lines[1].rstrip() == "word ␛[2J[b]"
    assert lines[1 + LINES] == "…"
    assert "12 and more" in " ".join(lines[2 + LINES :])
    assert len(lines) <= 1 + LINES + 5
    assert "\x1b[2J" not in file.getvalue()


def test_rates():
    rates = Rates(100.0, 50, 80)
    assert rates.bits_per_byte == pytest.approx(100 / math.log(2) / 80)
    assert rates.perplexity == pytest.approx(math.exp(2))
    assert math.isnan(Rates(1.0, 1, 0).bits_per_byte)
    never = Rates(math.inf, 5, 5)
    assert never.perplexity == math.inf
    assert rates_text(never.to_json()) == "∞ bits/byte, perplexity ∞ per token"


def test_bytes_are_those_of_the_text(monkeypatch):
    monkeypatch.setattr(documents, "STEP", 3)
    codec = TextCodec(4, "characters", alphabet="aé€", documents=True)
    tokens = np.append(codec.tokens("€aé€a"), codec.end)
    assert byte_count(codec, tokens.reshape(2, 3)) == len("€aé€a".encode())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "texts").mkdir()
    for i in range(30):
        (folder / "texts" / f"{i}.txt").write_text(f"document {i}: größer & kleiner.\n" * (i % 3 + 1))
    return ptheta.fit("markov_chain", ptheta.load(str(folder / "texts"), length=16), out=folder / "run")


def test_a_run_on_text_has_a_page_of_unseen_text(run):
    body = "".join(re.findall(r'<div class="text">(.*?)</div>', (run.path / "surprise.html").read_text(), re.DOTALL))
    test = run.data.splits["test"]
    assert html.unescape(re.sub("<[^>]*>", "", body)) == "".join(run.codec.decode(test.stream[None]))


def test_the_page_of_a_run_is_cut(run, monkeypatch):
    monkeypatch.setattr(documents, "FIRST", 20)
    documents.write_text_surprise(run)
    page = (run.path / "surprise.html").read_text()
    body = "".join(re.findall(r'<div class="text">(.*?)</div>', page, re.DOTALL))
    assert body.count("<span") <= 20
    assert "20 tokens: " in page
    assert "is not shown" in page


def test_samples_of_text_mark_where_documents_end(run):
    texts = re.split(r"── \d+ of 16 ──\n", (run.path / "samples.txt").read_text())[1:]
    events = run.model.sample(16, seed=0)
    assert int((events == run.codec.end).sum()) == sum(text.count("∎") for text in texts) > 0
    plain = run.codec.to_bytes(events)
    assert [text.replace("∎\n", "").encode()[:4] for text in texts] == [
        text.decode("utf-8", "replace").encode()[:4] for text in plain
    ]


def split_of(*texts):
    rows = [[*BYTES.tokens(text).tolist(), BYTES.end] for text in texts]
    return TextSplit(np.concatenate(rows).astype(np.int16), np.cumsum([len(row) for row in rows]), 16)


def test_scores_do_not_depend_on_how_documents_are_grouped(run, monkeypatch):
    split = split_of("document 1", "", "größer", "d" * 40, "&")
    advanced = []
    whole = score_documents(run, split, per_token=True)
    monkeypatch.setattr(documents, "TOGETHER", 12)
    parts = score_documents(run, split, per_token=True, advance=advanced.append)
    assert sum(advanced) == 5
    assert len(advanced) > 2
    assert whole.log_prob.tolist() == parts.log_prob.tolist()
    assert whole.bytes.tolist() == [10, 0, 8, 40, 1]
    assert whole.tokens.tolist() == [11, 1, 9, 41, 2]
    assert [float(pieces.sum()) for pieces in whole.pieces] == pytest.approx(whole.log_prob.tolist())
    assert math.isnan(whole.bits_per_byte[1])
    assert whole.worst[0] == int(np.nanargmax(whole.bits_per_byte))
    assert not whole.cut


def test_a_page_of_many_documents_says_that_it_is_cut(run, monkeypatch, tmp_path):
    monkeypatch.setattr(documents, "SHOWN", 13)
    found = score_documents(run, split_of("document 1", "größer", "never shown"))
    assert [row for row, _ in found.shown] == [0, 1]
    assert sum(span.tokens for _, several in found.shown for span in several) == 13
    assert found.cut
    _, file = documents.write_document_scores(run, found, tmp_path / "s.parquet", "heading")
    assert "only the first 13 tokens are shown" in file.read_text()


def test_tokens_of_probability_zero_are_said(run, monkeypatch, tmp_path):
    impossible = [torch.tensor([-1.0, -math.inf, -1.0], dtype=torch.float64)]
    monkeypatch.setattr(run.model, "log_prob_per_token", lambda rows: impossible)
    found = score_documents(run, split_of("ab"))
    files = documents.write_document_scores(run, found, tmp_path / "s.parquet", "heading")
    page = files[1].read_text()
    assert 'title="probability 0">b<' in page
    assert "∞ nats in all, ∞ bits/byte, perplexity ∞ per token" in page
    assert found.worst[0] == 0
