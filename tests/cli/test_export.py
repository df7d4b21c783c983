"""What `edgekd export` takes; what it writes is looked at in `tests/system/test_compress.py`."""

from __future__ import annotations

import pytest

from edgekd.cli import export
from edgekd.errors import InputError
from tests import report_example


def test_the_chosen_candidate_unless_another_is_named() -> None:
    made = report_example.result()
    names = [row.name for row in made.candidates]
    for name in (None, *names):
        row = export.find_candidate(made, name)
        assert row is not None and row.name == (name or made.chosen)
    assert export.find_candidate(made.model_copy(update={"chosen": None}), None) is None
    with pytest.raises(InputError, match="--candidate: got unknown 'x'"):
        export.find_candidate(made, "x")
