"""torch and Fabric are loaded with the collector paused, in a fresh process and once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, sys
from edgekd.learn.loading import load_torch
assert "torch" not in sys.modules
found = []
gc.callbacks.append(lambda phase, about: found.append(len(sys.modules)))
load_torch()
assert {"torch", "lightning_fabric", "edgekd.learn.learner"} <= sys.modules.keys()
assert not found or min(found) > 1000, found
assert gc.isenabled()
"""


def test_no_search_while_torch_is_imported() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
