"""Encodings of text files: read as they were written, or refused; never as other letters."""

import itertools

import pytest

from ptheta.data.sources.encodings import LANGUAGES, decoded
from ptheta.errors import SourceError
from ptheta.remarks import collecting

TABLES = {
    "имя,город\nАнна,Москва\nИван Петров,Санкт-Петербург\nОльга,Новосибирск\n": (
        *("cp1251", "koi8-r", "cp866", "mac_cyrillic", "iso8859_5", "utf-16-le", "utf-16-be", "utf-32-le"),
    ),
    "ім'я,місто\nОлена,Київ\nЮлія,Львів\nАндрій,Запоріжжя\n": ("cp1251", "koi8-u"),
    "名前,都市\n田中さん,東京\n鈴木,大阪\nコーヒー,京都\n": ("shift_jis", "euc_jp", "utf-16-le", "utf-16-be"),
    "姓名,城市\n王小明,北京\n李华,上海\n": ("gbk", "gb18030", "utf-16-le"),
    "姓名,城市\n王小明,臺北\n陳大文,香港\n": ("big5",),
    "이름,도시\n김철수,서울\n박영희,부산\n": ("euc_kr",),
    "nom,ville\nHélène,Orléans\nFrançois,Besançon\nÉric,Nîmes\n": ("cp1252", "latin-1", "mac_roman", "cp850", "cp437"),
    "Name;Ort\nMüller;Köln\nGröße;Straße\n": ("cp1252", "mac_roman", "cp850"),
    "n,x\nMüller,1\nMuñoz,2\nFrançois,3\nSørensen,4\n": ("cp1252", "mac_roman"),
    "imię,miasto\nŁukasz,Łódź\nŻaneta,Kraków\nPaweł,Gdańsk\n": ("cp1250", "iso8859_2"),
    "jméno,x\nDvořák,1\nJiří,2\nNováček,3\nDoležal,4\n": ("cp1250", "iso8859_2"),
    "ad,şehir\nAyşe,İstanbul\nÇağrı,Diyarbakır\n": ("cp1254",),
    "όνομα,πόλη\nΓιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n": ("cp1253", "iso8859_7"),
    "שם,עיר\nדוד,ירושלים\nשרה,חיפה\n": ("cp1255",),
    "الاسم,المدينة\nمحمد,القاهرة\nفاطمة,بغداد\n": ("cp1256",),
    "ชื่อ,เมือง\nสมชาย,กรุงเทพ\n": ("cp874",),
    "t (°C),m²\nit’s,“good”\n": ("cp1252",),
}
"""Text → encodings in which it is evident."""


@pytest.mark.parametrize(("text", "encoding"), [(text, name) for text, names in TABLES.items() for name in names])
def test_what_is_evident_is_inferred_and_reported(text, encoding):
    with collecting() as remarks:
        found, name, mark = decoded(text.encode(encoding), "t.csv", None)
    assert (found, mark) == (text, b"")
    assert found.encode(name) == text.encode(encoding)  # what is written back is the same
    assert len(remarks) == 1
    assert remarks[0].startswith(f"t.csv is read as {name}, ")
    assert remarks[0].endswith("--encoding names another")


SHORT = {
    "Russian": ("мир", "Город", "НЕТ"),
    "Spanish": ("Muñoz", "año", "Bogotá"),
    "German": ("Köln", "5 €", "£", "5 °C", "m²"),
    "Czech": ("Dvořák", "Jiří"),
    "Polish": ("Łódź", "Kraków"),
    "Portuguese": ("São", "Conceição"),
    "French": ("naïve", "Été", "garçon"),
    "Danish or Norwegian": ("Ærø", "København"),
    "Japanese": ("東京", "さくら", "コーヒー"),
    "Chinese": ("北京", "小明"),
    "Korean": ("서울", "김철수"),
    "Greek": ("Αθήνα", "ναι"),
}
"""Language → words that may be all that a file has outside ASCII."""


@pytest.mark.parametrize("language", SHORT)
def test_a_word_is_read_as_written_or_refused(language):
    encodings = next(names for name, _, names in LANGUAGES if name == language)
    for word, encoding in itertools.product(SHORT[language], encodings):
        try:
            content = f"a,b\n{word},1\n".encode(encoding)
        except UnicodeEncodeError:
            continue
        with collecting():
            try:
                text = decoded(content, "t.csv", None)[0]
            except SourceError as error:
                assert "name its encoding" in str(error)  # noqa: PT017
                continue
        assert word in text, encoding


def test_two_encodings_that_are_as_likely_are_both_named_with_a_word():
    with pytest.raises(SourceError, match=r"as likely cp1252 \('Dvoøák,1'\) as cp1250 \('Dvořák,1'\); name its enc"):
        decoded("a,b\nDvořák,1\n".encode("cp1250"), "t.csv", None)


@pytest.mark.parametrize("rest", ["мир,1\n", "naïve,1\ncafé,2\n", "東京,1\n", "grün,1\n"])
def test_one_bad_byte_in_utf8_is_named_and_not_guessed_at(rest):
    content = b"a,b\n" + 3 * rest.encode() + b"x\xff,3\n"
    line = 2 + 3 * rest.count("\n")
    with pytest.raises(
        SourceError, match=rf"not UTF-8 text.* at byte {len(content) - 4:,}, in line {line}; correct it"
    ):
        decoded(content, "t.csv", None)


def test_zero_bytes_are_no_utf16_unless_all_lines_end_so():
    for content in (b"a,b\n1,\0\n" + b"1,2\n" * 9, b"a,b\n1,\0\0\n", b"\0" * 64):
        with pytest.raises(SourceError, match="contains zero bytes"):
            decoded(content, "t.csv", None)
