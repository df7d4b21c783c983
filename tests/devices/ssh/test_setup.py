from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.devices.ssh import setup
from edgekd.errors import MachineError
from edgekd.plugins import Plugin

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


def test_of_wheels_that_are_pushed_engines_of_plugins_are_installed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Plugin("runtime", "fast", "fast_engine:ENTRY", "Fast-Engine", "1.0")
    monkeypatch.setattr(setup, "list_plugins", lambda kind: {"fast": (found,)})
    usual = ["numpy", "onnxruntime"]
    for name in ("numpy", "onnxruntime", "other"):
        (tmp_path / f"{name}-1.0-py3-none-any.whl").touch()
    assert setup.choose_packages("x86_64", tmp_path) == usual
    (tmp_path / "fast_engine-1.0-py3-none-any.whl").touch()
    assert setup.choose_packages("aarch64", tmp_path) == [*usual, "Fast-Engine"]
    assert setup.choose_packages("x86_64", None) == [*usual, "openvino"]
