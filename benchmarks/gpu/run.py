"""Runs the parts of benchmarks/gpu one after another, each in a process of its own with its own limit.

    benchmarks/gpu/run.sh [--tiny] [--output benchmarks/gpu/result.json] [--seconds 590]

A part that fails, or for which no time is left, is `not measured`, with the reason; the others go on. The result is
written after every part, and of a part that is stopped what it had measured stays.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from typing import NamedTuple

HERE = Path(__file__).parent


class Part(NamedTuple):
    """A script of this folder, and how long it may take."""

    name: str
    limit_s: float
    arguments: tuple[str, ...] = ()
    launcher: tuple[str, ...] = ()


TWO_RANKS = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
PARTS = (
    Part("training", 280),
    Part("knowledge", 70),
    Part("engines", 110),
    Part("ranks", 80, launcher=TWO_RANKS),
)
"""In order of worth; together nine minutes."""


def run_part(part: Part, limit_s: float, tiny: bool) -> dict[str, Any]:
    """Run a part; gives what it wrote, and where it did not end well, why."""
    if limit_s < 5:
        return {"not measured": "no time was left"}
    with tempfile.TemporaryDirectory() as folder:
        output, log = Path(folder) / "result.json", Path(folder) / "log"
        script = HERE / f"{part.name}.py"
        command = [sys.executable, *part.launcher, str(script), *part.arguments]
        command += ["--output", str(output), "--seconds", f"{0.85 * limit_s:.0f}"]
        with log.open("wb") as told:
            child = subprocess.Popen(
                command + ["--tiny"] * tiny, stdout=told, stderr=told, start_new_session=True
            )
            start, reason = time.monotonic(), ""
            try:
                if child.wait(timeout=limit_s):
                    reason = f"exit {child.returncode}: {last_line(log)}"
            except subprocess.TimeoutExpired:
                reason = f"stopped after {limit_s:.0f} s"
            finally:
                end_group(child)
        found: dict[str, Any] = {}
        if output.is_file():
            found = json.loads(output.read_text())
        elif not reason:
            reason = "it wrote nothing"
        if reason:
            found["not measured"] = reason
        return found | {"seconds": round(time.monotonic() - start, 1)}


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if "Error" in line and not line.startswith("raise")]
    return (errors or [line for line in lines if line] or ["no word"])[-1][:300]


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Whatever a part started and left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def describe_machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    found: dict[str, Any] = {"torch": torch.__version__, "python": platform.python_version()}
    found |= {"cpus": os.cpu_count(), "gpu": None}
    if torch.cuda.is_available():
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return found


def write(path: Path, result: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(result, indent=1) + "\n")
    beside.replace(path)


def run_parts(parts: tuple[Part, ...], output: Path, seconds: float, tiny: bool) -> dict[str, Any]:
    """Run all, in order; the file is whole after each."""
    end = time.monotonic() + seconds
    result: dict[str, Any] = {
        "command": "benchmarks/gpu/run.sh" + " --tiny" * tiny,
        "machine": describe_machine(),
        "parts": {part.name: {"not measured": "not reached"} for part in parts},
    }
    write(output, result)
    for part in parts:
        left_s = end - time.monotonic()
        result["parts"][part.name] = run_part(part, min(part.limit_s, left_s), tiny)
        write(output, result)
        print(json.dumps({part.name: result["parts"][part.name]}), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seconds", type=float, default=590)
    options = parser.parse_args()
    name = "tiny.json" if options.tiny else "result.json"
    # What the device machine gives back lies under $OUT; elsewhere beside this file.
    folder = Path(os.environ.get("OUT", HERE))
    run_parts(PARTS, options.output or folder / name, options.seconds, options.tiny)


if __name__ == "__main__":
    main()
