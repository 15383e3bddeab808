"""Commands on runs about text: prompts, continued files, rates, mistakes; for all three tokenizers."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from ptheta.cli import writing
from ptheta.runs import Run

TOKENIZERS = ("bytes", "characters", "bpe")
LENGTH = 48  # of the runs' events


def generated(name, prompts, tokens, seed):
    """What the model itself draws after prompts: bytes of each."""
    run = Run.load(name)
    found = run.model.generate([run.codec.tokens(prompt) for prompt in prompts], tokens, seed=seed)
    return [b"".join(run.codec.piece(int(token)) for token in row) for row in found.tokens]


# sample --prompt


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_streams_is_the_prompt_and_what_the_model_draws(name, cli):
    result = cli("sample", name, "--prompt", "the café ", "--tokens", 30, "--seed", 3)
    (drawn,) = generated(name, ["the café "], 30, 3)
    assert result.code == 0
    assert result.out == "the café " + drawn.decode("utf-8", "replace") + "\n"
    (line,) = result.err.splitlines()
    assert re.match(r"\d+ tokens? in .* s \(.* tokens/s, \d+ passes\), seed 3; −log p .* nats; ended: ", line)
    assert cli("sample", name, "--prompt", "the café ", "--tokens", 30, "--seed", 3).out == result.out
    assert cli("sample", name, "--prompt", "the café ", "--tokens", 30, "--seed", 4).out != result.out


def test_text_appears_token_by_token_and_never_half_a_character(cli, monkeypatch):
    seen = []
    told = writing.Terminal.print
    monkeypatch.setattr(
        writing.Terminal, "print", lambda self, text, **how: (seen.append(text), told(self, text, **how))
    )
    result = cli("sample", "bytes", "--prompt", "caf\udcc3", "--tokens", 20, "--seed", 0)
    assert seen[0] == b"caf\xc3", "the bytes that were given"
    assert len(seen) >= 5
    assert all(len(text) <= 1 for text in seen[1:])
    assert result.out == b"".join(seen).decode("utf-8", "replace") + "\n"


def test_nats_are_those_of_what_was_drawn(cli):
    arguments = "sample", "characters", "--prompt", "the dog", "--tokens", 20, "--seed", 1, "--json"
    found = cli(*arguments, "--temperature", "0.7").json
    run = Run.load("characters")
    text = found["texts"][0]
    assert text.startswith("the dog")
    tokens = run.codec.tokens(text)
    if found["ended"] == ["end"]:
        tokens = np.append(tokens, run.codec.end)
    scores = run.model.log_prob_per_token([tokens])[0]
    assert found["tokens"] == len(tokens) - 7
    assert found["log_prob"][0] == pytest.approx(float(scores[7:].sum()), abs=1e-3)
    assert found["log_prob_warped"][0] != pytest.approx(found["log_prob"][0], abs=1e-3)
    assert cli(*arguments[:-1], "--temperature", "0.7").err.count("as warped") == 1
    plain = cli(*arguments).json
    assert plain["log_prob"] == plain["log_prob_warped"]
    assert list(found) == [
        *("texts", "files", "n", "seed", "seconds", "passes", "tokens", "log_prob", "log_prob_warped", "ended")
    ]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_ends_where_a_stop_text_ends(name, cli):
    arguments = "sample", name, "--prompt", "the ", "--tokens", 40, "--seed", 8, "--json"
    whole = cli(*arguments).json["texts"][0].removeprefix("the ")
    at = next(i for i in range(2, len(whole)) if "�" not in whole[i : i + 3])
    stop = whole[at : at + 3]
    found = cli(*arguments, "--stop", "never comes", stop).json
    assert found["texts"][0] == "the " + whole[: whole.index(stop) + 3]
    assert found["ended"] == ["stop"]
    assert "ended: stop text" in cli(*arguments[:-1], "--stop", stop).err


def test_a_stop_text_in_the_middle_of_a_token_ends_the_text_there():
    class Codec:
        def piece(self, token):
            return [b"abc", b"de. F"][token]

    drawn = writing.Drawn(Codec(), [b"cd", b". "])  # type: ignore[arg-type]
    assert drawn.add(0) == (b"abc", False)
    assert drawn.add(1) == (b"d", True)
    assert bytes(drawn.text) == b"abcd"


def test_a_text_depends_on_its_prompt_its_number_and_the_seed_only(cli):
    tail = "--tokens", 12, "--seed", 5, "--json"
    both = cli("sample", "bytes", "--prompt", "the dog eats a lot", "a", *tail).json
    assert both["n"] == 2
    assert both["texts"][0] == cli("sample", "bytes", "--prompt", "the dog eats a lot", *tail).json["texts"][0]
    other = cli("sample", "bytes", "--prompt", "", "a", *tail).json
    assert both["texts"][1] == other["texts"][1]
    several = cli("sample", "bytes", "--prompt", "x", "yz", "-n", 2, *tail).json["texts"]
    assert [text[:1] for text in several] == ["x", "x", "y", "y"]
    assert several[0] != several[1]


def test_several_texts_are_printed_below_their_numbers(cli):
    result = cli("sample", "characters", "--prompt", "a", "the", "--tokens", 9, "--seed", 2)
    drawn = generated("characters", ["a", "the"], 9, 2)
    texts = [prompt + text.decode() for prompt, text in zip(["a", "the"], drawn)]
    assert result.out == f"── 1 of 2 ──\n{texts[0]}\n── 2 of 2 ──\n{texts[1]}\n"
    assert "18 tokens" in result.err
    assert "2 by length" in result.err


def test_files_hold_the_exact_bytes(cli, tmp_path):
    arguments = "sample", "bytes", "--prompt", "é ", "--tokens", 25, "--seed", 4
    before = set(os.listdir())
    cli(*arguments)
    assert set(os.listdir()) == before, "nothing is written unless asked"
    expected = "é ".encode() + generated("bytes", ["é "], 25, 4)[0]
    one = cli(*arguments, "--out", tmp_path / "a.txt", "--json").json
    assert one["files"] == [str(tmp_path / "a.txt")]
    assert (tmp_path / "a.txt").read_bytes() == expected
    files = cli(*arguments, "-n", 2, "--out", tmp_path / "b", "--json").json["files"]
    assert [Path(file).name for file in files] == ["sample-0000.txt", "sample-0001.txt"]
    assert Path(files[0]).read_bytes() == expected


def test_drafts_take_fewer_passes_for_the_same_text(cli):
    arguments = (
        "sample",
        "bpe",
        "--prompt",
        "the dog the dog",
        "--tokens",
        40,
        "--temperature",
        0,
        "--seed",
        0,
        "--json",
    )
    plain, drafted = cli(*arguments).json, cli(*arguments, "--draft", "fixed_point").json
    assert plain["texts"] == drafted["texts"]
    assert drafted["passes"] < plain["passes"] == plain["tokens"]


def test_a_prompt_longer_than_the_window_is_read_and_said(cli):
    prompt = "the dog eats " * 20
    result = cli("sample", "characters", "--prompt", prompt, "--tokens", 5, "--seed", 1)
    assert result.out.startswith(prompt)
    assert f"the prompt has 260 tokens, of which a layer sees the last {LENGTH}" in result.err


def test_ctrl_c_ends_the_line_and_the_command(cli, monkeypatch):
    def add(self, token):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.Drawn, "add", add)
    result = cli("sample", "bytes", "--prompt", "the ")
    assert result == (130, "the \n", "ptheta: stopped\n")


def test_text_on_a_terminal_cannot_command_it(capsys, monkeypatch):
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with writing.streaming(sys.stdout, b"see ") as hear:
        hear(b"\x1b[2J\xc3")
        hear(b"\xa9\n")
    assert capsys.readouterr().out == "\x1b[2msee \x1b[22m␛[2Jé\n\n"


# complete


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_file_goes_on_from_its_end(name, cli, tmp_path):
    result = cli("complete", name, "start.txt", "-n", 3, "--seed", 2, "--out", tmp_path / "c", "--json")
    drawn = generated(name, ["Bär eats"] * 3, LENGTH, 2)
    found = result.json
    assert [Path(file).name for file in found["files"]] == [f"completion-000{i}.txt" for i in range(3)]
    for file, text in zip(found["files"], drawn):
        assert Path(file).read_bytes() == "Bär eats".encode() + text
    assert found["kept"] == [len(Run.load(name).codec.tokens("Bär eats"))]
    assert "3 completions of start.txt" in result.err


def test_several_files_are_completed_and_a_part_is_kept(cli, tmp_path):
    arguments = "--keep", 0.5, "--tokens", 5, "-n", 2, "--out", tmp_path / "c", "--json"
    found = cli("complete", "characters", "start.txt", "other.txt", *arguments).json
    assert [Path(file).stem for file in found["files"]] == [
        *("completion-0000-start", "completion-0001-start", "completion-0002-other", "completion-0003-other")
    ]
    texts = [Path(file).read_text() for file in found["files"]]
    assert [text[:4] for text in texts[:2]] == ["Bär "] * 2
    assert [text[:10] for text in texts[2:]] == ["a café sle"] * 2
    assert found["kept"] == [4, 10]
    assert all(len(text) <= kept + 5 for text, kept in zip(texts, [4, 4, 10, 10]))


def test_the_first_lines_of_the_first_continuation_are_printed(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.cli.complete.LINES", 2)
    for seed in range(30):
        arguments = "--tokens", 200, "-n", 1, "--seed", seed, "--out", tmp_path / str(seed)
        result = cli("complete", "characters", "start.txt", *arguments)
        text = (tmp_path / str(seed) / "completion-0000.txt").read_text().removeprefix("Bär eats")
        assert result.out == "".join(text.splitlines(keepends=True)[:2]).removesuffix("\n") + "\n"
        if len(text.splitlines()) > 2:
            return
    pytest.fail("no text had three lines")


def test_a_long_file_is_continued_through_the_window(cli, tmp_path):
    result = cli("complete", "bytes", "long.txt", "-n", 1, "--tokens", 4, "--out", tmp_path / "c")
    whole = Path("long.txt").read_bytes()
    assert (tmp_path / "c" / "completion-0000.txt").read_bytes()[: len(whole)] == whole
    assert "of which a layer sees the last" in result.err


def test_families_of_blocks_complete_blocks(cli, tmp_path):
    result = cli("complete", "chain", "other.txt", "-n", 1, "--out", tmp_path / "c")
    assert result.code == 0
    assert (tmp_path / "c" / "completion-0000.txt").read_bytes()[:8] == Path("other.txt").read_bytes()[:8]


# fit, compare, info


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_fit_says_what_a_byte_and_a_token_cost(name, cli):
    run = Run.load(name)
    results = run.results()
    blocks = run.data.splits[results["split"]].x
    size = sum(len(text) for text in run.codec.to_bytes(blocks))
    assert results["n"] == len(blocks)
    total = results["nats"] * len(blocks)
    assert results["nats_per_token"] == pytest.approx(total / blocks.size)
    assert results["bits_per_byte"] == pytest.approx(total / math.log(2) / size)
    assert results["perplexity"] == pytest.approx(math.exp(total / blocks.size))
    said = f"{results['bits_per_byte']:.4f} bits/byte, {results['nats_per_token']:.4f} nats/token, perplexity "
    card = (run.path / "README.md").read_text()
    assert said in card
    assert "[samples.txt](samples.txt)" in card
    assert "[surprise.html](surprise.html)" in card
    assert said in " ".join(cli("info", name).out.split()), "whose table is wrapped"


def test_events_of_all_tokenizers_are_still_drawn(cli, tmp_path):
    for name in TOKENIZERS:
        files = cli("sample", name, "-n", 2, "--out", tmp_path / name, "--json").json["files"]
        assert [Path(file).name for file in files] == ["sample-0000.txt", "sample-0001.txt"]


def test_compare_takes_a_tokenizer_and_ranks_by_bits_of_a_byte(cli, tmp_path):
    arguments = "compare", "corpus", "--models", "independent,markov_chain", "--length", 32, "--out"
    bpe = cli(*arguments, tmp_path / "a", "--tokenizer", "bpe", "--vocabulary", 280, "--json")
    assert bpe.code == 0
    assert "bits/byte" in bpe.err
    assert "bits/token" not in bpe.err.split("lower is better")[1]
    for row in bpe.json["models"]:
        assert f"{row['bits_per_byte']:.4f}" in bpe.err.split("lower is better")[1]
        assert Run.load(row["run"]).codec.tokenizer == "bpe"


# Mistakes

BAD = {
    "prompt for numbers": (
        "sample num --prompt a",
        "a prompt is the beginning of a text, and num models",
        "ptheta complete",
    ),
    "prompt for a chain": (
        "sample chain --prompt a",
        "a markov_chain cannot continue a prompt",
        "fit a transformer",
    ),
    "prompt without a text": ("sample bytes --prompt", "--prompt needs a text", 'give one, "" for none'),
    "prompt before a flag": ("sample bytes --prompt --seed 1", "--prompt needs a text", 'give one, "" for none'),
    "prompt for any order": (
        "sample any --prompt a",
        "transformer of another order cannot continue",
        "leave out --prompt",
    ),
    "unknown character": ("sample characters --prompt aüQ", "byte 4 of the prompt begins 'Q'", "--tokenizer bytes"),
    "no tokens": ("sample bytes --prompt a --tokens 0", "--tokens is 0", "give at least 1"),
    "tokens in words": ("sample bytes --prompt a --tokens many", "--tokens is 'many', not a whole number", "--help"),
    "tokens without a prompt": ("sample bytes --tokens 5", "--tokens has no effect without --prompt", "give --prompt"),
    "stop without a prompt": ("sample bytes --stop x", "--stop has no effect without --prompt", "give --prompt"),
    "draft without a prompt": ("sample num --draft ngram", "--draft has no effect without --prompt", "give --prompt"),
    "empty stop": ("sample bytes --prompt a --stop=", "--stop is empty", "give the text"),
    "no such draft": ("sample bytes --prompt a --draft guess", "--draft is 'guess', not one of", "--help"),
    "method of a prompt": ("sample bytes --prompt a --method fixed_point", "--method is for events", "--draft"),
    "warp": ("sample bytes --prompt a --top-p 2", "top-p is 2.0", "above 0"),
    "no texts": ("sample bytes --prompt a -n 0", "-n is 0", "give at least 1"),
    "taken folder": ("sample bytes --prompt a --out corpus", "corpus exists", "--force"),
    "another ending": (
        "sample bytes --prompt a --out a.csv",
        "cannot be written as a .csv file",
        "a folder or a .txt file",
    ),
    "one file for two": ("sample bytes --prompt a -n 2 --out a.txt", "2 samples need 2 files", "name a folder"),
    "unwanted context": ("sample bytes --prompt a --context x", "bytes has no context", "leave out --context"),
    "mask": ("complete bytes start.txt --mask m.png", "a text has no mask", "use --keep"),
    "mask for a chain": ("complete chain start.txt --mask m.png", "a text has no mask", "use --keep"),
    "kept too much": ("complete bytes start.txt --keep 1.5", "keep is 1.5", "from 0 to 1"),
    "no new tokens": ("complete bytes start.txt --tokens 0", "--tokens is 0", "give at least 1"),
    "tokens of blocks": ("complete chain other.txt --tokens 3", "events of a fixed size", "leave out --tokens"),
    "method of a text": ("complete bytes start.txt --method ancestral", "token by token", "leave out --method"),
    "no file": ("complete bytes nothing.txt", "no file is called 'nothing.txt'", "ptheta sample RUN --prompt TEXT"),
    "unknown character in a file": ("complete characters odd.log", "odd.log", "--tokenizer bytes"),
    "no documents": ("score bytes new --limit 0", "--limit is 0", "give at least 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(case, text_runs, cli):
    arguments, problem, remedy = BAD[case]
    (text_runs / "odd.log").write_text("0.5,QZ")
    before = sorted(text_runs.rglob("*"))
    result = cli(*arguments.split())
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("ptheta: ")
    assert problem in line
    assert remedy in line
    assert sorted(text_runs.rglob("*")) == before
