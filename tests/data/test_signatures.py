"""Files that are not what their names say, or of kinds that are not read, are called what they are, with a remedy."""

import gzip
import io
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ptheta.cli.main import main
from ptheta.data import load
from ptheta.errors import SourceError


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 40)
    return buffer.getvalue()


def parquet():
    buffer = io.BytesIO()
    pd.DataFrame({"a": [1, 2]}).to_parquet(buffer)
    return buffer.getvalue()


def saved(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


CONTENTS = {
    "an Excel workbook": (zipped("[Content_Types].xml", "xl/workbook.xml"), ".xlsx", "save the sheet as CSV"),
    "a Word document": (zipped("[Content_Types].xml", "word/document.xml"), ".docx", "save its text as .txt"),
    "an OpenDocument file": (zipped("mimetype", "content.xml"), ".ods", "save the sheet as CSV"),
    "a zip archive": (zipped("a.csv"), None, "name it .zip"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ".xls", "save the sheet as CSV"),
    "a PDF document": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", ".pdf", "save its text as .txt"),
    "a Parquet file": (parquet(), None, "name it .parquet"),
    "a gzip file": (gzip.compress(b"a,b\n1,2\n" * 9), None, "add .gz to its name"),
    "a web page": (b"\n<!DOCTYPE html>\n<html><body>log in, please</body></html>\n", ".html", "save the table itself"),
    "an XML file": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<a b="c,d"/>\n', ".xml", "save it as CSV"),
    "a picture": (saved(lambda to: Image.new("L", (3, 3)).save(to, "PNG")), None, "name it by what it is"),
    "an NPY file": (saved(lambda to: np.save(to, np.zeros(3))), None, "name it .npy"),
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n" + bytes(90), ".h5", "save its arrays as .npz"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_what_is_no_table_is_called_what_it_is(what, tmp_path):
    content, own, remedy = CONTENTS[what]
    for name in ("export.csv", "export.tsv", "export.json", "export.parquet", *([f"export{own}"] if own else [])):
        if name.endswith(".parquet") and what == "a Parquet file":
            continue
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceError) as caught:
            load(path)
        assert caught.value.problem.startswith(f"{path} is {what}")
        assert remedy in caught.value.remedy


def test_a_real_database_and_a_real_workbook_have_remedies_that_work(tmp_path, capsys):
    with sqlite3.connect(tmp_path / "shop.db") as base:
        base.execute("create table t (a integer)")
    base.close()
    assert main(["fit", str(tmp_path / "shop.db")]) == 2
    assert "shop.db is an SQLite database; save one of its tables as CSV" in capsys.readouterr().err
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5] * 10})  # as pandas.read_excel gives it
    assert load(frame).space.dimensions == 1


def test_suffixes_alone_are_recognised_and_texts_are_not_mistaken(tmp_path):
    for name, what in {"a.sas7bdat": "a SAS file", "a.rds": "a file of R", "a.xlsx": "an Excel workbook"}.items():
        (tmp_path / name).write_bytes(b"\0\1\2" * 50)
        with pytest.raises(SourceError, match=what):
            load(tmp_path / name)
    (tmp_path / "page.txt").write_text("<html> is how a page begins, and this is a text about it. " * 40)
    assert load(tmp_path / "page.txt").splits
    (tmp_path / "notes.log").write_text("one line\n")
    with pytest.raises(SourceError, match=r"notes.log is of an unknown kind; name it \.txt if it is text, or \.csv"):
        load(tmp_path / "notes.log")
    (tmp_path / "pk.csv").write_text("PK,b\n" + "1,2\n3,4\n" * 10)
    assert load(tmp_path / "pk.csv").splits


def test_a_file_given_to_a_run_is_called_what_it_is_too(tmp_path):
    from ptheta.data.sources.delimited import read_cells

    path = tmp_path / "contexts.csv"
    path.write_bytes(zipped("xl/workbook.xml"))
    with pytest.raises(SourceError, match="is an Excel workbook"):
        read_cells(path)
