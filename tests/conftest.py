"""Which tests go first, and that none depends on how busy the machine is."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck
from hypothesis import settings

from edgekd.cli import screen

# some tests import openvino before edgekd does; its telemetry would fork this process and send (edgekd/runtimes/openvino)
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
settings.register_profile("edgekd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgekd")

FIRST = ("test_compress.py", "test_onnx_file.py", "test_own_task.py")
"""Of two workers one makes the run that many files share, and the other need not wait for it."""


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is said every so many seconds: of a test, not of all that this process ran before."""
    monkeypatch.setattr(screen, "_said_s", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: the last minutes of a run are then short tests on all workers."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if "system" not in item.path.parts:
        return len(FIRST) + 1
    return FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST)
