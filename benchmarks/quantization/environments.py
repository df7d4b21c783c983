"""Each tool in an environment of its own, and how large a fresh one is.

    python benchmarks/quantization/environments.py ENVIRONMENTS

What lies there already is kept; sizes come to ENVIRONMENTS/sizes.json in MiB, pip included, no bytecode.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tools import ENVIRONMENTS
from tools import STUDENT


def make(name: str, root: Path) -> dict[str, float]:
    """A new environment of this Python's version; its size before `STUDENT` is added, and seconds."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", str(root / name)], check=True)
    _install(root / name, ENVIRONMENTS[name])
    found = {
        "seconds": round(time.monotonic() - start, 1),
        "size_mib": round(size_mib(root / name), 1),
    }
    _install(root / name, STUDENT)
    return found


def _install(folder: Path, wanted: tuple[str, ...]) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--no-cache-dir", *wanted], check=True)


def size_mib(folder: Path) -> float:
    """Bytes of all files but bytecode, in MiB."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return float(sum(path.stat().st_size for path in files if path.suffix != ".pyc") / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path)
    asked = parser.parse_args()
    asked.environments.mkdir(parents=True, exist_ok=True)
    stored = asked.environments / "sizes.json"
    sizes = json.loads(stored.read_text()) if stored.exists() else {}
    for name in ENVIRONMENTS:
        if name not in sizes:
            sizes[name] = make(name, asked.environments)
            stored.write_text(json.dumps(sizes, indent=1) + "\n")


if __name__ == "__main__":
    main()
