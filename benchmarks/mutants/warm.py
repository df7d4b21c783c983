"""Runs tests again and again, each time in a child of a process that has the libraries loaded already.

Reads a line of JSON (``tests``, ``limit_s``) and answers one: ``passed``, ``seconds``. edgekd itself is imported
in the child alone, so that each sees the files as they are then.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

HEAVY = (
    "numpy",
    "pydantic",
    "click",
    "pytest",
    "safetensors",
    "onnx",
    "torch",
    "scipy",
    "lightning_fabric",
    "networkx",
    "torch.export",
    "torch.onnx",
    "onnxscript",
)
SETTINGS = ("-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist")


def run(tests: list[str], limit_s: float) -> bool:
    """Whether `tests` pass within `limit_s`.

    Raises:
        RuntimeError: if pytest could not begin.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        import pytest

        os._exit(int(pytest.main([*SETTINGS, *tests])))
    ends_s = time.monotonic() + limit_s
    while time.monotonic() < ends_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (3, 4, 5):
                raise RuntimeError(f"pytest ended with {code}")
            return code == 0
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main() -> None:
    sys.dont_write_bytecode = True
    sys.path[0] = str(Path.cwd())
    for name in HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        began_s = time.monotonic()
        passed = run(asked["tests"], asked["limit_s"])
        print(json.dumps({"passed": passed, "seconds": time.monotonic() - began_s}), flush=True)


if __name__ == "__main__":
    main()
