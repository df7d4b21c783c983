"""Imports what all learning stands on, in less time than an import statement takes."""

from __future__ import annotations

import sys

from edgekd.garbage import keep_all_if_own
from edgekd.garbage import pause_collection

LAST = "lightning_fabric"
"""It imports torch, and much of it that a training needs only then."""


def load_torch() -> None:
    """Import torch and Fabric, once, with the collector paused: their modules are half a million objects that stay,
    and a quarter of the import's time would go into searching them for garbage."""
    if LAST in sys.modules:
        return
    with pause_collection():
        from edgekd.learn import learner  # noqa: F401 (and all that training takes)
    keep_all_if_own()
