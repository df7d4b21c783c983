"""Which tests go first."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: the last minutes of a run are then short tests on all workers."""
    items.sort(key=lambda item: "system" not in item.path.parts)
