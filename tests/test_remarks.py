"""What is left out or reinterpreted is reported: in the notes of data and runs, by every command, once."""

import pytest

from ptheta.remarks import DataWarning, collecting, remark


def test_without_anyone_who_listens_a_remark_is_a_warning():
    with pytest.warns(DataWarning, match="2 rows were skipped"):
        remark("2 rows were skipped")


def test_an_inner_collector_takes_what_is_remarked_within():
    with collecting() as outer:
        remark("a")
        with collecting() as inner:
            remark("b")
            remark("b")
        remark("c")
    assert (outer, inner) == (["a", "c"], ["b"])
