"""Members of the tables as functions of a public module."""

from __future__ import annotations

import pytest

from edgekd import losses
from edgekd import schemes
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES


def test_every_member_is_there_by_its_name() -> None:
    for module, table in ((losses, LOSSES), (schemes, SCHEMES)):
        names = dir(module)
        assert len(names) == len(table) and all(name.isidentifier() for name in names)
        for name in names:
            assert callable(getattr(module, name))


def test_an_unknown_one_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        AttributeError, match="no attribute 'cross_entropi'; did you mean 'cross-entropy'"
    ):
        _ = losses.cross_entropi
