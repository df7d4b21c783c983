from __future__ import annotations

from typing import Any

import pytest

from edgekd.devices.ssh import setup
from edgekd.errors import MachineError

GOOD: dict[str, Any] = {
    **dict.fromkeys(setup.NUMBERS, 5),
    **dict.fromkeys(setup.TEXTS, "x"),
    "private": True,
    "packages": {"numpy": "2.0"},
}


def test_what_a_device_has_is_taken() -> None:
    assert setup._checked(GOOD, ["numpy"], "board") == GOOD


@pytest.mark.parametrize("name", setup.NUMBERS)
@pytest.mark.parametrize("value", [pytest.param(10**400, id="huge"), 2**63, -1, True, 1.5, None])
def test_numbers_of_a_device_are_such_as_can_be_shown(name: str, value: object) -> None:
    with pytest.raises(MachineError, match="want what it has"):
        setup._checked({**GOOD, name: value}, ["numpy"], "board")
