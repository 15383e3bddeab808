"""Text becomes tokens and comes back, byte for byte."""

import json

import numpy as np
import pandas as pd
import pytest
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers

from ptheta.data import Codec, load
from ptheta.data.codecs import TextCodec
from ptheta.data.codecs.bpe import byte_symbols, learn, vocabulary_size
from ptheta.data.codecs.chunks import PIECE, pieces
from ptheta.data.reading import events_of_file
from ptheta.errors import RunError, SourceError, UsageError
from ptheta.spaces import Sequence

TEXT = "the quick brown fox jumps over the lazy dog — ünïcode too.\n\n  Won't it? 12 345\t苹果 and 🙂🙂. " * 40
WORDS = np.array(["dog", " fox", "\n", "  ", "'s", "é", "🙂", "苹果", "12", "!?", "\t", "\r\n", "Ünder", "\u00a0"])


def bpe(documents: bool = False, size: int = 400) -> TextCodec:
    return TextCodec(8, "bpe", merges=learn([TEXT], size), documents=documents)


def all_three(text: str = TEXT) -> dict[str, TextCodec]:
    return {
        "bytes": TextCodec(8, documents=True),
        "characters": TextCodec(8, "characters", alphabet="".join(sorted(set(text)))),
        "bpe": bpe(documents=True),
    }


def joined(*splits, codec):
    return b"".join(b"".join(codec.to_bytes(s.stream[None])) for s in splits)


@pytest.mark.parametrize("name", ["bytes", "characters", "bpe"])
def test_text_comes_back_from_every_codec_and_from_its_json(name):
    codec = all_three()[name]
    again = Codec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    tokens = again.tokens(TEXT)
    assert codec.to_bytes([tokens]) == [TEXT.encode()]
    assert codec.decode(tokens[None]) == [TEXT]
    assert tokens.dtype == codec.dtype
    assert codec.byte_lengths[tokens].sum() == len(TEXT.encode())
    np.testing.assert_array_equal(codec.byte_lengths, [len(codec.piece(k)) for k in range(codec.levels)])
    assert codec.space == Sequence(8, codec.levels, codec.end)
    assert len(codec.tokens("")) == 0


@pytest.mark.parametrize("name", ["bytes", "bpe"])
@pytest.mark.parametrize("seed", range(5))
def test_any_bytes_come_back(name, seed):
    random = np.random.default_rng(seed)
    codec = all_three()[name]
    noise = random.integers(0, 256, 3000, np.uint8).tobytes()
    torn = b"".join(random.choice([TEXT.encode()[i : i + 7], noise[i : i + 3]]) for i in range(0, 900, 5))
    for data in (noise, torn, TEXT.encode()[:-1], b"\xf0\x9f\x99", b"\x00", "\ud800".encode("utf-8", "surrogatepass")):
        assert codec.to_bytes([codec.tokens(data)]) == [data]


def test_characters_that_half_surrogates_hide_in_come_back_as_bytes():
    codec = TextCodec()
    assert codec.to_bytes([codec.tokens("a\ud800")]) == [b"a\xed\xa0\x80"]


def test_tokens_of_bytes_and_characters_are_what_python_says():
    assert TextCodec().tokens(TEXT).tolist() == list(TEXT.encode())
    alphabet = sorted(set(TEXT))
    codec = TextCodec(tokenizer="characters", alphabet="".join(alphabet))
    assert codec.tokens(TEXT).tolist() == [alphabet.index(c) for c in TEXT]
    assert codec.tokens(TEXT.encode()).tolist() == codec.tokens(TEXT).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_bpe_tokens_are_those_of_the_tokenizers_package_however_long_the_text(seed):
    codec = bpe()
    vocabulary = {"".join(byte_symbols()[byte] for byte in codec.piece(k)): k for k in range(codec.levels)}
    merges = [tuple(line.split(" ")) for line in str(codec.merges).split("\n")]
    reference = ByteLevelBPETokenizer(vocabulary, merges, add_prefix_space=False)
    text = "".join(np.random.default_rng(seed).choice(WORDS, 60_000))
    assert len(text.encode()) > 2 * PIECE, "several pieces, which must not show"
    assert codec.tokens(text).tolist() == reference.encode(text).ids
    assert len(codec.tokens(TEXT)) < len(TEXT)


def test_byte_symbols_are_the_alphabet_of_gpt_2():
    assert sorted(byte_symbols()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({s: i for i, s in enumerate(byte_symbols())}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    valid = "".join(map(chr, range(0x800)))  # its UTF-8 has every byte that there is below 0xe0
    assert tokenizer.encode(valid).ids == list(valid.encode())
    assert [bpe().piece(b) for b in range(256)] == [bytes([b]) for b in range(256)]


def test_merges_are_the_same_every_time_and_stop_when_nothing_repeats():
    assert learn([TEXT, TEXT], 300) == learn([TEXT, TEXT], 300)
    assert bpe(size=300).levels == 300
    assert bpe(size=300, documents=True).levels == 301
    assert TextCodec(tokenizer="bpe", merges=learn(["abcdefg"], 1000)).levels == 256
    assert TextCodec(tokenizer="bpe", merges=learn(["ab ab"], 1000)).levels == 257  # " ab" occurs only once
    sizes = [vocabulary_size(n) for n in np.logspace(3, 11, 60).astype(int)]
    assert sizes == sorted(sizes)
    assert {n & (n - 1) for n in sizes} == {0}, "powers of two"
    assert (sizes[0], sizes[-1]) == (512, 32_768)


def test_pieces_are_the_text_and_cut_no_character_in_two(tmp_path):
    spaced, dense = "ab cd\n" * 30_000, "苹果" * 30_000
    path = tmp_path / "dense.txt"
    path.write_text(dense, encoding="utf-8")
    documents = [spaced, dense, path, b"", b"x" * PIECE, b"x" * (PIECE + 1), b"\x80" * (PIECE + 9)]
    found = list(pieces(documents))
    for number, document in enumerate(documents):
        mine = [piece for piece in found if piece.document == number]
        raw = path.read_bytes() if document is path else document.encode() if isinstance(document, str) else document
        assert b"".join(piece.data for piece in mine) == raw
        assert [piece.last for piece in mine] == [False] * (len(mine) - 1) + [True]
        assert [piece.start for piece in mine] == np.cumsum([0, *(len(p.data) for p in mine[:-1])]).tolist()
        assert max(len(piece.data) for piece in mine) <= PIECE
    assert "".join(piece.data.decode() for piece in found if piece.document in (1, 2)) == dense * 2
    assert [len([p for p in found if p.document == n]) for n in (3, 4, 5)] == [1, 1, 2]


def test_merges_are_learned_from_text_without_spaces_too():
    codec = TextCodec(tokenizer="bpe", merges=learn(["ACGT" * 50_000], 300))
    assert b"ACGTACGT" in [codec.piece(k) for k in range(256, codec.levels)]
    assert max(codec.byte_lengths) <= 256
    assert codec.decode(codec.tokens("ACGT" * 40_000)[None]) == ["ACGT" * 40_000]


RUSSIAN = "не знаю, что и как это было — но всё ещё помню: «да» и «нет», щи да каша 🙂🙂 "


def test_no_token_splits_a_character_that_training_has():
    text = "".join(np.random.default_rng(0).permutation(RUSSIAN.split(" ") * 30).tolist()) + RUSSIAN * 30
    codec = TextCodec(tokenizer="bpe", merges=learn([text], 420))
    tokens = [codec.piece(k) for k in range(256, codec.levels)]
    assert {c.encode() for c in set(text) if ord(c) > 127} <= set(tokens)
    for token in tokens:
        assert token[0] < 0x80 or token[0] >= 0xC0, "a token begins with a character"
        whole = token.decode("utf-8", "ignore").encode()
        assert token == whole or (whole == b"" and any(token == c.encode()[: len(token)] for c in set(text)))
    said = [codec.piece(k).decode() for k in codec.tokens(RUSSIAN)]
    assert "".join(said) == RUSSIAN


def test_rare_and_unknown_characters_are_bytes_beside_which_nothing_merges():
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    codec = TextCodec(tokenizer="bpe", merges=learn([RUSSIAN * 40, rare, rare[:200]], 400))
    assert codec.levels == 400
    said = "щ苹果é" + rare[2500] + "да"
    pieces_of = [codec.piece(k) for k in codec.tokens(said)]
    assert b"".join(pieces_of) == said.encode()
    assert {"щ".encode(), "да".encode()} <= set(pieces_of)
    made = [codec.piece(k) for k in range(256, codec.levels)]
    assert sum(len(token.decode("utf-8", "ignore")) == 0 for token in made) <= 72, "at most half of the room"
    assert TextCodec(tokenizer="bpe", merges=learn(["a\u4e00b " * 3 + "ab", "\u4e00"], 1000)).levels > 258
    alone = learn([f"a{c}b" for c in rare[:50]], 1000)
    assert alone == "", "characters that occur once are bytes, and what stands around them is no pair"


def test_codecs_of_older_runs_keep_their_merges_and_tokens():
    symbols = [byte_symbols()[b] for b in "оо".encode()]
    cut = f"{symbols[1]} {symbols[2]}\n{symbols[0]} {symbols[1] + symbols[2]}"
    stored = {"kind": "text", "length": 4, "tokenizer": "bpe", "alphabet": None, "merges": cut, "documents": False}
    codec = Codec.from_json(stored)
    assert [codec.piece(k) for k in codec.tokens("оо")] == ["оо".encode()[:3], "оо".encode()[3:]]
    assert codec.to_json()["merges"] == cut


def test_two_merges_that_make_the_same_token_share_it():
    codec = TextCodec(tokenizer="bpe", merges="a b\nb c\nab c\na bc")
    assert [codec.piece(k) for k in range(256, codec.levels)] == [b"ab", b"bc", b"abc"]
    assert codec.tokens("abcbc").tolist() == [258, 257]


def test_events_are_blocks_and_samples_are_text_files_of_exact_bytes(tmp_path):
    codec = TextCodec(7)
    blocks = ["abcdefg", "hij klm"]
    assert codec.decode(codec.encode(blocks)) == blocks
    assert codec.decode(codec.encode("abcdefghi")) == ["abcdefg"]
    paths = codec.write(codec.encode(TEXT)[:3], tmp_path)
    assert b"".join(p.read_bytes() for p in paths) == TEXT.encode()[:21]


def test_scores_are_per_byte_character_or_token():
    for name, unit in (("bytes", "byte"), ("characters", "character"), ("bpe", "token")):
        codec = all_three()[name]
        assert codec.bits_label == f"bits/{unit}"
        assert codec.bits_key == "bits_per_dim"
        assert codec.in_bits(8 * np.log(2)) == f"1.0000 bits/{unit}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tokenizer": "words"}, "words"),
        ({"tokenizer": "characters"}, "alphabet"),
        ({"alphabet": "ab"}, "alphabet"),
        ({"tokenizer": "characters", "alphabet": "ba"}, "code points"),
        ({"tokenizer": "characters", "alphabet": "aa"}, "code points"),
        ({"tokenizer": "bpe"}, "merges"),
        ({"merges": "a b"}, "merges"),
        ({"tokenizer": "bpe", "merges": "ab c"}, "'ab c' merges no two tokens"),
        ({"tokenizer": "bpe", "merges": "a"}, "merges no two tokens"),
        ({"documents": 3}, "true nor false"),
    ],
)
def test_a_damaged_codec_is_refused(fields, said):
    with pytest.raises(RunError, match=said):
        Codec.from_json(TextCodec().to_json() | fields)


def test_a_codec_of_an_older_version_is_refused():
    with pytest.raises(RunError, match="made by another version"):
        Codec.from_json({"kind": "text", "length": 64, "alphabet": [97, 98]})


def test_characters_outside_the_alphabet_are_named_with_their_place(tmp_path):
    codec = load(pd.DataFrame({"text": [TEXT]}), length=8, tokenizer="characters").codec
    path = tmp_path / "new.txt"
    path.write_text("ünïcode foxes@", encoding="utf-8")
    with pytest.raises(SourceError, match=r"byte 16 of .*new\.txt begins '@' \(U\+0040\).*tokenizer=.bytes."):
        events_of_file(codec, path)
    with pytest.raises(SourceError, match=r"byte 16 of .*new\.txt begins '@'"):
        load(path, codec=codec)
    with pytest.raises(SourceError, match=r"byte 100,003 of row 1 begins 'Ω'"):
        codec.tokens("do " * 33_334 + "Ω")
    path.write_text("the fox and the dog")
    assert codec.decode(events_of_file(codec, path)) == ["the fox ", "and the "]
    path.write_text("dog")
    with pytest.raises(SourceError, match="3 tokens"):
        events_of_file(codec, path)


@pytest.mark.parametrize("at", [4, PIECE + 77])
def test_what_is_no_utf_8_is_named_with_its_place(tmp_path, at):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf " * (at // 4) + b" " * (at % 4) + b"\xe9 " + TEXT.encode())
    with pytest.raises(SourceError, match=rf"byte {at + 1:,} of .*latin\.txt is not UTF-8 text.*tokenizer=.bytes."):
        load(path, tokenizer="characters", length=8)
    data = load(path, tokenizer="bytes", length=8)
    assert joined(*data.splits.values(), codec=data.codec) == path.read_bytes()


def test_merges_are_learned_from_train_alone():
    train, other = "abab cdcd " * 300, "xyxy zwzw " * 300
    frames = {name: pd.DataFrame({"text": [text]}) for name, text in (("train", train), ("validation", other))}
    data = load(frames, tokenizer="bpe", length=8)
    made = {data.codec.piece(k) for k in range(256, data.codec.levels)}
    assert b" cdcd" in made
    assert not any(set(b"xyzw") & set(piece) for piece in made)
    assert joined(data.validation, codec=data.codec) == other.encode()

    drawn = load(pd.DataFrame({"text": [f"q{chr(0x4E00 + i)} " * 9 for i in range(200)]}), tokenizer="bpe", length=8)
    held = b"".join(joined(drawn.splits[name], codec=drawn.codec) for name in ("validation", "test")).decode()
    known = b"".join(drawn.codec.piece(k) for k in range(256, drawn.codec.levels - 1)).decode("utf-8", "ignore")
    assert set(known) & set(joined(drawn.train, codec=drawn.codec).decode()) - {"q", " "}
    assert not set(known) & set(held) - {"q", " "}


@pytest.mark.parametrize("tail", [0, 40], ids=["even", "few tokens for the last bytes"])
@pytest.mark.parametrize("validation", [None, 0.3, 40])
def test_of_one_text_merges_are_learned_from_the_part_that_stays_in_train(validation, tail):
    text = "".join(chr(0x4E00 + i // 2) * (3 + i % 5) + " " for i in range(6000))  # every character in one place
    text += "".join((chr(0x9000 + i) * 9 + " ") * (900 if i == tail - 1 else 30) for i in range(tail))
    data = load(pd.DataFrame({"text": [text]}), tokenizer="bpe", vocabulary=4000, length=8, validation=validation)
    codec, train = data.codec, joined(data.train, codec=data.codec)
    assert joined(data.train, data.validation, data.test, codec=codec) == text.encode()
    made = [codec.piece(k) for k in range(256, codec.levels)]
    assert len(made) > 1000
    assert all(piece in train for piece in made)


def test_a_vocabulary_is_as_large_as_asked():
    frame = pd.DataFrame({"text": [TEXT + str(i) for i in range(3)]})
    data = load(frame, vocabulary=300, length=8)
    assert data.space == Sequence(8, 300, 299)
    assert any("byte-level BPE of 300," in note for note in data.notes)
    assert load(frame, vocabulary=300, length=8).fingerprint == data.fingerprint
    assert data.request["vocabulary"] == 300


def test_long_text_is_bpe_unless_asked_otherwise(monkeypatch):
    frame = pd.DataFrame({"text": [TEXT]})
    assert load(frame, length=8).codec.tokenizer == "bytes"
    monkeypatch.setattr("ptheta.data.finding.token_streams.BPE_FROM", len(TEXT.encode()) // 2)
    assert load(frame, length=8).codec.tokenizer == "bpe"
    assert load(frame, length=8, tokenizer="bytes").codec.tokenizer == "bytes"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tokenizer": "byte"}, "did you mean bytes"),
        ({"vocabulary": 300, "tokenizer": "bytes"}, "the vocabulary of bytes is fixed"),
        ({"vocabulary": 300, "tokenizer": "characters"}, "the vocabulary of characters is fixed"),
        ({"vocabulary": 256}, "vocabulary is 256; give 257 to"),
        ({"vocabulary": 2**30}, "give 257 to 1,048,576"),
        ({"length": 0}, "length is 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        load(pd.DataFrame({"text": [TEXT]}), **options)


@pytest.mark.parametrize("option", [{"tokenizer": "bpe"}, {"vocabulary": 300}, {"length": 8}])
def test_options_of_text_need_text(option):
    with pytest.raises(UsageError, match=rf"are not text; leave out {next(iter(option))}"):
        load(np.zeros((20, 4, 4), np.uint8), **option)


def test_texts_in_a_table_beat_their_categories():
    frame = pd.DataFrame({"title": ["one", "two"] * 10, "text": [TEXT] * 20})
    assert load(frame).notes[0].startswith("event: text, Sequence")
    assert load(frame, event="title", length=4).space.length == 4
    assert load(frame, event="title", tokenizer="bytes", length=4).space == Sequence(4, 257, 256)
