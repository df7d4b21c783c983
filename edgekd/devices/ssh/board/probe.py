"""What the device has: Python, space, clock, packages."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from edgekd.devices.ssh.board import home

ASK = (
    "import importlib.metadata as m,json,platform,sys\n"
    "def v(n):\n"
    " try: return m.version(n)\n"
    " except m.PackageNotFoundError: return None\n"
    "print(json.dumps([platform.python_version(), {n: v(n) for n in sys.argv[1:]}]))"
)
TIMEOUT_S = 60


def describe_machine(root: Path, packages: list[str]) -> dict[str, Any]:
    """The device in a few numbers, and the versions of `packages` where a worker would run."""
    python = home.python_path(root)
    version, versions = _packages(python, packages)
    memory = _memory()
    return {
        "python": version,
        "private": python == str(root / "venv" / "bin" / "python"),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count() or 1,
        "free_disk_bytes": shutil.disk_usage(root).free,
        "memory_bytes": memory.get("MemTotal", 0),
        "free_memory_bytes": memory.get("MemAvailable", 0),
        "clock_resolution_ns": round(time.get_clock_info("perf_counter").resolution * 1e9),
        "packages": versions,
    }


def _packages(python: str, packages: list[str]) -> tuple[str, dict[str, str | None]]:
    done = subprocess.run(
        [python, "-I", "-c", ASK, *packages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    version, versions = json.loads(done.stdout)
    return version, versions


def _memory() -> dict[str, int]:
    found = {}
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    for line in lines:
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            found[name] = int(rest.split()[0]) * 1024
    return found
