"""Packages that models come from: installed, working, new enough."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from edgekd.errors import MachineError
from edgekd.learn.packages import import_package


@pytest.mark.parametrize("version", ["1.0.31", "1.0.31.dev0", "1.1", "2"])
def test_new_enough(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(__version__=version)
    monkeypatch.setitem(sys.modules, "a_package", package)
    assert import_package("a_package", "1.0.31", "extra") is package


@pytest.mark.parametrize("version", ["1.0.9", "1.0", "0.9.16", "", "unknown"])
def test_too_old(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_package", SimpleNamespace(__version__=version))
    with pytest.raises(MachineError, match="want 1.0.31 or newer") as caught:
        import_package("a_package", "1.0.31", "extra")
    assert caught.value.hint == "pip install 'edgekd[extra]'"
