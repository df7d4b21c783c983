"""What is wrong is found wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import scan


@pytest.mark.parametrize("at", [None, 0, 6, 7, 20])
def test_the_first_wrong_number_is_found_whatever_the_pieces(
    monkeypatch: pytest.MonkeyPatch, at: int | None
) -> None:
    monkeypatch.setattr(scan, "_PIECE", 7)
    values = np.zeros(21, np.int32)
    if at is not None:
        values[at:] = -1
    assert scan.find_first(values, lambda some: some < 0) == at
