from __future__ import annotations

import pytest

from edgekd.cli.bench.tables import _four_figures


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.042461, "0.04246"), (9999.4, "9999"), (33461.2, "33,460"), (12345678.0, "12,350,000")],
)
def test_figures_have_no_exponents(value: float, told: str) -> None:
    assert _four_figures(value) == told
