"""metrics.jsonl: what is recorded is read again, and what is damaged is noticed, skipped and counted."""

import json

import pytest

from ptheta.errors import RunError
from ptheta.journal import Journal

RECORDS = [{"step": 1, "validation_nats": 3.5}, {"copies": {"identical": 0}}, {"step": 11, "name": "é\n"}, {}]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl")
    for record in RECORDS:
        journal.append(record)
    return journal


def test_records_come_back_and_are_lines_of_json(journal):
    assert Journal(journal.path).records() == (RECORDS, 0)
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k != "sha256"} for line in lines] == RECORDS


def test_any_flipped_bit_costs_its_own_line_and_no_other(journal):
    """Every bit of the file; a line break that is lost joins two lines."""
    content = journal.path.read_bytes()
    for at in range(len(content)):
        for bit in range(8):
            journal.path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            records, damaged = Journal(journal.path).records()
            assert all(record in RECORDS for record in records)
            if at == len(content) - 1:
                continue  # the line break at the end
            assert damaged >= 1
            assert len(records) >= len(RECORDS) - (2 if content[at : at + 1] == b"\n" else 1)


def test_what_is_torn_is_skipped_and_the_next_record_is_whole(journal):
    journal.path.write_bytes(journal.path.read_bytes()[:-9])
    again = Journal(journal.path)
    again.append({"step": 21})
    assert again.records() == ([*RECORDS[:-1], {"step": 21}], 1)


def test_lines_of_older_runs_need_no_hash(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n[2]\n{"st')
    journal = Journal(tmp_path / "metrics.jsonl", hashed=False)
    assert journal.records() == ([{"step": 1}], 2)
    journal.append({"step": 2})
    assert journal.records() == ([{"step": 1}, {"step": 2}], 2)
    assert Journal(journal.path).records()[0] == [{"step": 2}], "a newer run has none without"


def test_what_is_held_touches_no_disk_until_it_is_restored(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("another run's")
    journal = Journal(tmp_path / "metrics.jsonl", held=True)
    journal.append({"step": 1})
    assert journal.records() == ([{"step": 1}], 0)
    assert journal.path.read_text() == "another run's"
    (tmp_path / "new").mkdir()
    journal.restore(tmp_path / "new")
    (tmp_path / "new" / "metrics.jsonl").replace(journal.path)
    journal.release()
    journal.append({"step": 2})
    assert Journal(journal.path).records() == ([{"step": 1}, {"step": 2}], 0)


def test_a_file_that_was_removed_is_written_again(journal):
    journal.path.unlink()
    journal.append({"step": 21})
    assert Journal(journal.path).records() == ([*RECORDS, {"step": 21}], 0)


def test_rewinding_forgets_later_steps_and_nothing_else(journal):
    journal.rewind(1)
    assert Journal(journal.path).records() == ([RECORDS[0], RECORDS[1], RECORDS[3]], 0)
    journal.rewind(0)
    assert Journal(journal.path).records() == ([RECORDS[1], RECORDS[3]], 0)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: Is a directory; free disk space"):
        Journal(tmp_path / "metrics.jsonl").append({"step": 1})
