"""NaN lies in no range."""

from __future__ import annotations

import click
import pytest

from edgekd.cli.number_range import NumberRange


def test_nan_is_refused() -> None:
    assert NumberRange(0, 100).convert("2.5", None, None) == 2.5
    for text in ("nan", "-1", "inf"):
        with pytest.raises(click.BadParameter):
            NumberRange(0, 100).convert(text, None, None)
