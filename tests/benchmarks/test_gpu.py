"""What benchmarks/gpu does of its parts: each has its limit, what fails says so, and what was measured stays."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"
PARTS = {
    "fine": "write({'x': 1})",
    "fails": "raise RuntimeError('no such kernel')",
    "hangs": "write({'first': 2}); subprocess.Popen(['sleep', '300']); time.sleep(300)",
    "silent": "pass",
    "late": "write({'x': 3})",
}
HEAD = """
import json, subprocess, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
def write(value):
    open(given["--output"], "w").write(json.dumps(value))
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_gpu", FOLDER / "run.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    for name, body in PARTS.items():
        (tmp_path / f"{name}.py").write_text(HEAD + body)
    monkeypatch.setattr(found, "HERE", tmp_path)
    return found


def test_a_part_that_fails_or_hangs_costs_the_others_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, written = tmp_path / "out" / "result.json", []

    def keep(path: Path, result: dict[str, object]) -> None:
        write(path, result)
        written.append(json.loads(path.read_text())["parts"])

    write = script.write
    monkeypatch.setattr(script, "write", keep)
    limits = {"hangs": 6}
    parts = tuple(script.Part(name, limits.get(name, 60)) for name in PARTS)
    start = time.monotonic()
    script.run_parts(parts, output, 200.0, tiny=False)
    assert time.monotonic() - start < 150
    found = json.loads(output.read_text())["parts"]
    assert found["fine"]["x"] == 1 and "not measured" not in found["fine"]
    assert found["fails"]["not measured"] == "exit 1: RuntimeError: no such kernel"
    assert found["hangs"]["first"] == 2 and found["hangs"]["not measured"] == "stopped after 6 s"
    assert found["silent"]["not measured"] == "it wrote nothing"
    assert found["late"]["x"] == 3
    assert [sum("seconds" in part for part in each.values()) for each in written] == [*range(6)]


def test_what_no_time_is_left_for_says_so(script: ModuleType, tmp_path: Path) -> None:
    result = script.run_parts((script.Part("fine", 60),), tmp_path / "r.json", 4.0, tiny=True)
    assert result["parts"] == {"fine": {"not measured": "no time was left"}}
    assert result["command"].endswith("--tiny")


def test_the_parts_fit_into_ten_minutes_and_are_there(script: ModuleType) -> None:
    assert sum(part.limit_s for part in script.PARTS) <= 590
    assert all((FOLDER / f"{part.name}.py").is_file() for part in script.PARTS)


@pytest.mark.slow
def test_all_of_it_runs_on_a_cpu(tmp_path: Path) -> None:
    output = tmp_path / "tiny.json"
    command = [FOLDER / "run.sh", "--tiny", "--output", output, "--seconds", "280"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHON": sys.executable})
    found = json.loads(output.read_text())["parts"]
    assert found.keys() == {"training", "knowledge", "engines", "ranks"}
    assert not [name for name, part in found.items() if "not measured" in part]
    assert all("ratio" in case for case in found["training"]["cases"].values())
    assert found["training"]["bf16"]["bf16_ratio"] > 0
    assert found["training"]["views"]["finished_samples_per_s"] > 0
    assert found["ranks"]["ranks"] == 2
