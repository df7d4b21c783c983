"""The C++ compiler that compiled training needs. Imports no torch."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

ASKED_S = 20


@functools.cache
def find_compiler() -> str | None:
    """Find the C++ compiler that torch calls, ``$CXX`` or else the system's, by name and version: ``g++ 12.2.0``; None
    if there is none that answers."""
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    path = shutil.which(name)
    if path is None:
        return None
    try:
        asked = [path, "-dumpfullversion", "-dumpversion"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=ASKED_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{Path(name).name} {told.stdout.strip()}"
