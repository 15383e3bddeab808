"""The encoding of a text file: named, marked, or inferred from how likely its letters are.

Bytes that are not UTF-8 are decoded by every encoding of `LANGUAGES`, and what comes out is judged by letters alone:
each language has its letters outside ASCII in their order of frequency, which by Zipf's law (1949) gives each a
probability. An encoding is evident if some language explains its text clearly better than any language explains
another's text. What is not evident is refused, for a wrong guess writes other letters into every sample.
"""

from __future__ import annotations

import codecs
import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ptheta.data.sources.signatures import not_text
from ptheta.errors import SourceError
from ptheta.remarks import remark

SAMPLE = 2**16
"""Bytes of lines outside ASCII from which an encoding is inferred."""

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Mark of the byte order → encoding."""

WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
"""Encodings of which English has a zero in every character."""


def _level(charset: str, first: int, last: int) -> str:
    """The characters of rows of a charset of two bytes: the frequent ones, which its makers put first."""
    pairs = (bytes([lead, trail]) for lead in range(first, last) for trail in range(0x40, 0xFF))
    return "".join(pair.decode(charset, "ignore") for pair in pairs)


WESTERN = ("cp1252", "mac_roman", "cp850", "iso8859_15")
CENTRAL = ("cp1250", "iso8859_2", "cp852")
CYRILLIC = ("cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5")

LANGUAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("French", "éàèêçôâîùûœëïü", WESTERN),
    ("German", "üäöß", WESTERN),
    ("Spanish", "óáíéñúü", WESTERN),
    ("Portuguese", "ãçáéíóõêúâôà", WESTERN),
    ("Italian", "àèòùéì", WESTERN),
    ("Swedish", "äåöé", WESTERN),
    ("Danish or Norwegian", "øåæé", WESTERN),
    ("Icelandic", "áíðéóæúöþý", WESTERN),
    ("Western Europe", "éüóöáäíñèçåàøãëôêúæâîïßùûòõýìœðÿþš", WESTERN),
    ("Polish", "ąęłóśżćńź", CENTRAL),
    ("Czech", "íáéěřčžýšůúňťďó", CENTRAL),
    ("Slovak", "áíčéžýšľťúôňďäóĺŕ", CENTRAL),
    ("Hungarian", "éáöőüóíúű", CENTRAL),
    ("Romanian", "ăîâşţ", CENTRAL),
    ("Croatian or Slovene", "čšžćđ", CENTRAL),
    ("Lithuanian", "ėšžųįūąčę", ("cp1257", "iso8859_13")),
    ("Latvian", "āīēšžūļņģķč", ("cp1257", "iso8859_13")),
    ("Turkish", "ıüşğöçİâ", ("cp1254", "iso8859_9")),
    ("Greek", "αοιετσνηρπκλμυωςάίέόγδήώύθχφβξζψϊϋ", ("cp1253", "iso8859_7")),
    ("Russian", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", CYRILLIC),
    ("Ukrainian", "оаиніветрслкдупмязьгбчйхцюжєїшфщґ", ("cp1251", "koi8_u", "mac_cyrillic")),
    ("Bulgarian", "аеиотнрвсдлкпмзбугячъжцйщшюфхь", ("cp1251", "mac_cyrillic", "iso8859_5")),
    ("Serbian", "аиоенртсјкувдмлпзгбљњчћшжђхцџф", ("cp1251", "iso8859_5")),
    ("Hebrew", "יוהלאמתברשנדםפקכחעגןטצסזךףץ", ("cp1255", "iso8859_8")),
    ("Arabic", "اليمنرتبوهسدعفكقحجةشصطخءأىذضإزثغظئؤآ", ("cp1256", "iso8859_6")),
    ("Thai", "านรกอเงมยลวดทสต่ปะค้ขบีแิ์หัพจ็ไใชุโูำผืซึถธฟภณศษญฉฎฏฐฑฒฆฌๆฝฮ", ("cp874",)),
    (
        "Japanese",
        "のにはをたがでとしいるなれさっりあもこらかきすくまよんつてみどせだけめえばおうそろわちや"
        "ンスルトーリアイラクドレジマシロタッテコプカメサニ"
        + _level("euc_jp", 0xA4, 0xA6)
        + _level("euc_jp", 0xB0, 0xD0),
        ("cp932", "euc_jp"),
    ),
    (
        "Chinese",
        "的一是不了在人有中国大上北京海市东南西州江山天安王李张刘陈杨小年月日名地区省县" + _level("gb2312", 0xB0, 0xD8),
        ("gb18030",),
    ),
    (
        "Chinese in traditional characters",
        "的一是不在人有中國大上北京海市東南西州江山天安王李張劉陳楊小年月日名地區省縣臺灣" + _level("big5", 0xA4, 0xC7),
        ("big5",),
    ),
    (
        "Korean",
        "이다는의가을에하고한지도로사기인서시어리대자나아구동원주부산김박정최" + _level("euc_kr", 0xB0, 0xC9),
        ("cp949",),
    ),
)
"""Language, its letters outside ASCII, the most frequent first, and the encodings in which it was written, the most
usual first."""

SIGNS = "’“”–°€…«»‘£²„·½®™©³§¿¡ºª´×±µ№¼¾•\u00a0、。「」・（）：，"
"""What texts of any language have outside ASCII besides letters."""

USUAL = "cp1252"
"""The encoding that is likeliest before the letters are seen."""

UNUSUAL, RARER = 3.0, 1.5
"""Nats that another encoding has to make up for, and each further one of a language."""

CLEARLY, FEW = 2.5, 8
"""Nats by which an encoding has to be better than all that make another text: twice as many if it is not `USUAL` and
fewer characters than this are outside ASCII."""

STRANGE, SIGN = 12.0, 1.5
"""Nats of a character that a language lacks, and of the most frequent sign."""

SLIP, ALONE, BESIDE, CAPITAL = 8.0, 4.0, 1.5, 0.3
"""Nats of what writers never do with letters (a capital behind a small one, two scripts in a word), of a letter that
stands alone, of a Latin letter beside another one outside ASCII, and of a capital inside a word."""

LINE_ENDS = 0.5
"""Part of the bytes that end lines in ASCII that do so in text of several bytes a character."""

MOST_STRANGE = 0.05
"""Part of the characters that the best language may lack."""


@dataclass(frozen=True)
class Guess:
    """An encoding, and how well it explains a sample.

    Args:
        cost: nats.
        encoding: Python's name of it.
        text: the sample as it decodes it.
        strange: part of the characters outside ASCII that the language lacks.
    """

    cost: float
    encoding: str
    text: str
    strange: float


def decoded(content: bytes, path: str | Path, encoding: str | None, *, guess: bool = True) -> tuple[str, str, bytes]:
    """The text of a file, its encoding, and the mark of its byte order.

    Args:
        content: of the file.
        path: for messages.
        encoding: that was asked for; None: to be inferred, which is reported.
        guess: whether what is not UTF-8, and has no mark, may be of another encoding; otherwise it is refused.

    Raises:
        SourceError: it is not text, not of the encoding that was asked for, or of none that is evident.
    """
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    why = "by the mark at its beginning"
    if encoding is None:
        name, why = (MARKS[mark], why) if mark else _unmarked(content, path) if guess else ("utf-8", "")
    elif mark and MARKS[mark] in (codecs.lookup(encoding).name, f"{codecs.lookup(encoding).name}-le"):
        name = MARKS[mark]  # "utf-16" would write a mark of its own
    else:
        name, mark = encoding, b""
    try:
        text = content[len(mark) :].decode(name)
    except UnicodeError as error:
        called = "UTF-8" if name == "utf-8" else name
        remedy = "correct it, or name its --encoding" if guess else "save it as UTF-8"
        remedy = remedy if encoding is None else "name another --encoding"
        problem = f"{path} is not {called} text: {getattr(error, 'reason', error)}{_place(error, content, len(mark))}"
        raise SourceError(problem, remedy) from None
    if "\0" in text:
        raise not_text(path, content)
    if name != "utf-8" and encoding is None:
        remark(f"{Path(path).name} is read as {name}, {why}" + ("" if mark else "; --encoding names another"))
    return text, name, mark


def _place(error: UnicodeError, content: bytes, skipped: int) -> str:
    """Where a byte is that cannot be decoded, in print."""
    if not isinstance(error, UnicodeDecodeError):
        return ""
    at = error.start + skipped
    return f" at byte {at:,}, in line {content.count(bytes([10]), 0, at) + 1:,}"


def _unmarked(content: bytes, path: str | Path) -> tuple[str, str]:
    """The encoding of bytes without a mark, and why it is that."""
    if b"\0" in content:
        return _wide(content, path)
    try:
        content.decode("utf-8")
        return "utf-8", ""
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(text) - sum(map(text.count, map(chr, range(128)))) - wrong
    control = sum(content.count(bytes([code])) for code in (*range(1, 9), *range(14, 27), *range(28, 32)))
    if right >= wrong or control > len(content) / 100:
        return "utf-8", ""  # damaged, and reported as such
    return _legacy(content, path)


def _wide(content: bytes, path: str | Path) -> tuple[str, str]:
    """The encoding of bytes with zeros among them: that in which all are characters, and lines end."""
    for encoding in WIDE:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        known = Counter(text)
        ends, all_ends = known["\n"] + known["\r"], content.count(b"\n") + content.count(b"\r")
        if ends and ends >= LINE_ENDS * all_ends and not any(map(_is_none, known)):
            return encoding, "in which all its bytes are characters"
    raise not_text(path, content)


def _is_none(character: str) -> bool:
    """Whether text has no such character: not assigned, for private use, or for control."""
    return unicodedata.category(character) in ("Cn", "Co", "Cs", "Cc") and character not in "\t\n\r\x1a"


def _legacy(content: bytes, path: str | Path) -> tuple[str, str]:
    """The encoding of bytes that are not UTF-8, if it is evident.

    Raises:
        SourceError: none is.
    """
    guesses = sorted(_guesses(content), key=lambda guess: guess.cost)
    if not guesses or guesses[0].strange > MOST_STRANGE:
        raise SourceError(f"{path} is not UTF-8 text, nor evidently of another encoding", "name its --encoding")
    best = guesses[0]
    other = next((guess for guess in guesses if guess.text != best.text and guess.strange <= MOST_STRANGE), None)
    outside = sum(not character.isascii() for character in best.text)
    clearly = CLEARLY if best.encoding == USUAL or outside >= FEW else 2 * CLEARLY
    if other is not None and other.cost - best.cost < clearly:
        pairs = zip(best.text.split(), other.text.split())
        one, two = next(((one, two) for one, two in pairs if one != two), (best.text, other.text))
        raise SourceError(
            f"{path} is not UTF-8 text, and as likely {best.encoding} ({one!r:.40}) as {other.encoding} ({two!r:.40})",
            "name its --encoding",
        )
    alike = {guess.encoding for guess in guesses if guess.text == best.text}
    word = next(iter(re.findall(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*|[^\x00-\x7f]", best.text)), "")
    return next(name for name in ENCODINGS if name in alike), f"such as {word!r:.30}, since it is not UTF-8"


ENCODINGS = tuple(dict.fromkeys(name for _, _, encodings in LANGUAGES for name in encodings))
"""All of `LANGUAGES`, the most usual first."""


def _guesses(content: bytes) -> Iterable[Guess]:
    """Every encoding that decodes all bytes, and what a sample costs by each of its languages."""
    lines, size = [], 0
    for line in content.splitlines(keepends=True):
        if not line.isascii():
            lines.append(line)
            size += len(line)
            if size > SAMPLE:
                break
    sample = b"".join(lines)
    for encoding in ENCODINGS:
        try:
            text = sample.decode(encoding)
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        letters, signs, slips, oddly = _counted(text)
        total = letters.total() + signs.total() or 1
        cost = UNUSUAL * (encoding != USUAL) + SLIP * slips + oddly
        cost += sum(n * _SIGNS.get(sign, STRANGE) for sign, n in signs.items())
        odd = slips + sum(n for sign, n in signs.items() if sign not in _SIGNS)
        for rarer, costs in _languages(encoding):
            lacking = sum(n for letter, n in letters.items() if letter not in costs)
            known = sum(n * costs.get(letter, STRANGE) for letter, n in letters.items())
            yield Guess(cost + rarer + known, encoding, text, (lacking + odd) / total)


_SIGNS = {sign: SIGN + math.log(rank) for rank, sign in enumerate(SIGNS, 1)}


@functools.cache
def _languages(encoding: str) -> list[tuple[float, dict[str, float]]]:
    """Of each of the languages written in an encoding: what it costs that they are, and each letter, in nats."""
    found = []
    for _, letters, encodings in LANGUAGES:
        if encoding in encodings:
            order = list(dict.fromkeys(letters))
            whole = sum(1 / rank for rank in range(1, len(order) + 1))
            costs = {letter: math.log(whole * rank) for rank, letter in enumerate(order, 1)}
            found.append((RARER * encodings.index(encoding), costs))
    return found


def _counted(text: str) -> tuple[Counter[str], Counter[str], int, float]:
    """Letters outside ASCII, as small ones, and other such characters; how many slips; what else is odd, in nats."""
    letters: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    slips, oddly = 0, 0.0
    framed = f" {text} "
    for before, one, after in zip(framed, framed[1:], framed[2:]):
        if one.isascii():
            continue
        if not (one.isalpha() or unicodedata.category(one) == "Mn"):
            signs[one] += 1
            slips += before.isalpha() and after.isalpha() and one not in "’‘·・"
            oddly += ALONE * (before.isalpha() and one in "€£¼½¾±")
            continue
        letters[one.lower() if len(one.lower()) == 1 else one] += 1
        slips += (before.islower() and one.isupper()) or (one.islower() and after.isupper())
        slips += before.isupper() and one.isupper() and after.islower()
        slips += _script(before) + _script(one) in MIXED or _script(one) + _script(after) in MIXED
        oddly += ALONE * (before in "{}^~`\\" or after in "{}^~`\\")
        oddly += ALONE * (not before.isalpha() and not after.isalpha() and _script(one) != "H")
        if one.islower() or one.isupper():
            oddly += BESIDE * (_script(one) == "L" and not before.isascii() and before.isalpha())
            oddly += CAPITAL * (one.isupper() and before.isalpha())
    return letters, signs, slips, oddly


MIXED = ("LC", "CL", "LG", "GL", "CG", "GC", "LO", "OL")
"""Scripts that no word has side by side."""


def _script(character: str) -> str:
    """L of a Latin letter, C of a Cyrillic, G of a Greek, O of another alphabet, H of the Far East; else nothing."""
    if not character.isalpha():
        return ""
    code = ord(character)
    if code < 0x250 or 0x1E00 <= code < 0x1F00:
        return "" if character in "ªºµ" else "L"
    return "G" if 0x370 <= code < 0x400 else "C" if code < 0x530 else "O" if code < 0x1100 else "H"
