"""`ptheta score` on texts: documents whole, and the page that shows their surprise."""

import html
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from ptheta.runs import Run

TOKENIZERS = ("bytes", "characters", "bpe")
LENGTH = 48  # of the runs' events


def step_by_step(run, tokens):
    """Nats of each token, one decoding step after the other; a text begins after the end of another."""
    reader, scores = run.model.decoder(1), []
    with torch.no_grad():
        conditional = reader.step(torch.tensor([run.codec.end]))
        for token in torch.tensor(tokens):
            scores.append(conditional.log_prob(token[None]))
            conditional = reader.step(token[None])
    return torch.cat(scores).double()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_documents_are_scored_whole_with_their_ends(name, cli, tmp_path):
    out = tmp_path / "scores.parquet"
    result = cli("score", name, "new", "--out", out, "--per-dimension", "--json")
    assert result.code == 0
    found, table = result.json, pd.read_parquet(out)
    run = Run.load(name)
    texts = [Path("new", f"{i:02d}.txt").read_text() for i in range(3)]
    tokens = [[*run.codec.tokens(text).tolist(), run.codec.end] for text in texts]
    assert max(map(len, tokens)) < LENGTH
    truth = [step_by_step(run, row) for row in tokens]
    sizes = [len(text.encode()) for text in texts]
    total = -sum(float(pieces.sum()) for pieces in truth)
    assert table["row"].tolist() == [0, 1, 2]
    assert table["log_prob"].to_numpy() == pytest.approx([float(pieces.sum()) for pieces in truth], abs=1e-3)
    assert table["tokens"].tolist() == [len(row) for row in tokens]
    assert table["bytes"].tolist() == sizes
    assert table["bits_per_byte"].to_numpy() == pytest.approx(-table["log_prob"] / math.log(2) / sizes)
    for pieces, expected in zip(table["log_prob_per_dimension"], truth):
        assert pieces == pytest.approx(expected.numpy(), abs=1e-4)
    count = sum(map(len, tokens))
    assert found["nats"] == pytest.approx(total / 3, abs=1e-3)
    assert found["nats_se"] == pytest.approx(table["log_prob"].std() / math.sqrt(3))
    assert found["bits_per_byte"] == pytest.approx(total / math.log(2) / sum(sizes), rel=1e-5)
    assert found["nats_per_token"] == pytest.approx(total / count, rel=1e-5)
    assert found["bits_per_dim"] == pytest.approx(total / count / math.log(2), rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)
    assert (found["n"], found["tokens"], found["bytes"]) == (3, count, sum(sizes))
    assert (found["split"], found["zero_probability"]) == ("all", 0)
    assert found["files"] == [str(out), str(out.with_suffix(".html"))]
    first, second, third = result.err.splitlines()
    assert first.startswith("document ")
    assert first.endswith("nats: mean −log p of 3 documents of new (all)")
    assert f"{found['bits_per_byte']:.4f} bits/byte" in second
    assert second.endswith(f"per token, {count:,} tokens, {sum(sizes):,} bytes")
    assert third.startswith(f"most surprising: row index {table['bits_per_byte'].idxmax()} (")


def test_the_page_shows_exactly_the_text_and_all_of_its_bits(cli, tmp_path):
    cli("score", "bytes", "new", "--out", tmp_path / "s.parquet")
    page = (tmp_path / "s.html").read_text()
    texts = re.findall(r'<div class="text">(.*?)</div>', page, re.DOTALL)
    assert [html.unescape(re.sub("<[^>]*>", "", text)) for text in texts] == [
        Path("new", f"{i:02d}.txt").read_text() for i in range(3)
    ]
    assert "<script" not in page
    assert "http" not in page
    nats = -pd.read_parquet(tmp_path / "s.parquet")["log_prob"]
    for text, expected in zip(texts, nats):
        bits = [float(value) for value in re.findall(r'title="(?:end of the document: )?([\d.]+) bits', text)]
        assert len(bits) == text.count("<span")
        assert sum(bits) == pytest.approx(expected / math.log(2), abs=0.005 * len(bits))
        assert text.count('class="s') == len(bits)
        assert len(re.findall('<span class="s. end"', text)) == 1


def test_a_published_split_and_a_limit_are_kept(cli, tmp_path):
    found = cli("score", "bytes", "corpus", "--out", tmp_path / "a.parquet", "--json").json
    run = Run.load("bytes")
    split = run.data.splits["test"]
    assert (found["split"], found["n"]) == ("test", len(split.ends))
    expected = run.model.log_prob_per_token([split.document(i).astype(int) for i in range(len(split.ends))])
    assert found["nats"] == pytest.approx(-float(sum(pieces.sum() for pieces in expected)) / len(expected), abs=1e-3)
    cli("score", "bytes", "corpus", "--limit", 2, "--split", "train", "--out", tmp_path / "b.parquet")
    table = pd.read_parquet(tmp_path / "b.parquet")
    assert len(table) == 2
    train = run.data.splits["train"]
    for row, size, log_prob in zip(table["row"], table["tokens"], table["log_prob"]):
        assert size == len(train.document(row))
        pieces = run.model.log_prob_per_token([train.document(row).astype(int)])[0]
        assert log_prob == pytest.approx(float(pieces.sum()), abs=1e-3)


def test_other_families_score_documents_too(cli, tmp_path):
    found = cli("score", "chain", "new", "--out", tmp_path / "s.parquet", "--json").json
    assert (found["n"], found["bytes"]) == (3, sum(len(p.read_bytes()) for p in Path("new").iterdir()))


def test_a_page_that_is_there_is_not_replaced(cli, tmp_path):
    (tmp_path / "s.html").write_text("mine")
    result = cli("score", "bytes", "new", "--out", tmp_path / "s.parquet")
    assert result.code == 2
    assert "s.html exists" in result.err
    assert (tmp_path / "s.html").read_text() == "mine"
