from __future__ import annotations

from typing import get_args

from edgekd.bench.status import TIMED
from edgekd.bench.status import Status
from edgekd.bench.status import Word
from edgekd.bench.status import read_status


def test_a_status_is_written_in_one_form_and_read_from_two_fields() -> None:
    assert str(Status()) == "ok" and set(TIMED) < set(get_args(Word))
    row = {"status": "invalid", "reason": "swapped: 3 pages"}
    assert read_status(row) == Status("invalid", "swapped: 3 pages")
    assert str(read_status(row)) == "invalid: swapped: 3 pages"
