"""One tool run as its user runs it: a fresh process of its own environment, timed from start to end."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tools import PEERS
from tools import Tool

TIMEOUT_S = 3600
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "CUDA_VISIBLE_DEVICES": "",
    # NNCF compiles its extension at first use, and gives up after a minute on a busy machine
    "NNCF_EXTENSION_LOAD_TIMEOUT": "0",
}
VERSIONS = """
import importlib.metadata as m, json, sys
names = (sys.argv[1], "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "numpy")
found = {d.metadata["Name"]: d.version for d in m.distributions()}
print(json.dumps({name: found[name] for name in names if name in found}))
"""


def make(tool: Tool, folder: Path, environments: Path) -> dict[str, Any]:
    """What came of `tool` on the student in `folder`; stored beside what it left, and read again if
    it succeeded before.

    Returns:
        ``path``, ``seconds`` (wall), ``cpu_seconds``, ``versions``; or ``failure``, one line.
    """
    output = folder / "made" / tool.name.lower().replace(",", "").replace(" ", "-")
    stored = output / "made.json"
    about = json.loads(stored.read_text()) if stored.exists() else {"failure": "not made yet"}
    if "failure" in about:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        python = environments.absolute() / tool.environment / "bin" / "python"
        about = _run(tool, folder, output, python)
        stored.write_text(json.dumps(about, indent=1) + "\n")
    return about if "failure" in about else {**about, "path": output / about["goal"]}


def _run(tool: Tool, folder: Path, output: Path, python: Path) -> dict[str, Any]:
    if not python.exists():
        return {"failure": f"not installed: no environment {tool.environment}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        ended = subprocess.run(
            [str(python), "-P", *_command(tool, folder.resolve(), output.resolve())],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=output,
            env=os.environ | ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"did not end within {TIMEOUT_S} s"}
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    (output / "log.txt").write_text(ended.stdout + ended.stderr)
    goal = min(output.rglob(tool.goal), key=lambda path: len(path.parts), default=None)
    if ended.returncode != 0 or goal is None:
        last = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()][-1:]
        why = "".join(last).replace(str(folder.resolve()), "FOLDER")[:300]
        return {"failure": f"exit code {ended.returncode}: {why or f'left no {tool.goal}'}"}
    told = subprocess.run(
        [str(python), "-c", VERSIONS, tool.distribution], capture_output=True, text=True, check=True
    )
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return {
        "goal": str(goal.relative_to(output)),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "versions": json.loads(told.stdout),
    }


def _command(tool: Tool, folder: Path, output: Path) -> list[str]:
    script = PEERS / tool.written[0]
    if script.suffix == ".py":
        return [str(script), str(folder), str(output)]
    text = script.read_text()
    for word, path in {"FOLDER": folder, "OUTPUT": output, "PEERS": PEERS.resolve()}.items():
        text = text.replace(word, str(path))
    (output / script.name).write_text(text)
    return ["-m", "olive", "run", "--config", str(output / script.name)]
