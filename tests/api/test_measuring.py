"""Models are measured from Python as on the command line, whoever imported the package of that name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edgekd
from edgekd.errors import InputError
from tests import bench_example


def test_a_model_gets_a_result(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    found = edgekd.bench(model, runtimes=["onnxruntime"], processes=1, budget_s=30.0)
    (one,) = found.results
    assert one.subject.name == "net onnxruntime-fp32-1t"
    assert {each.name: each.value for each in one.metrics}["latency_p50"] > 0
    assert type(found).__name__ == "MeasurementDocument"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        edgekd.bench(tmp_path / "net.onnx")
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    with pytest.raises(InputError, match="runtime: got unknown 'onnx'"):
        edgekd.bench(model, runtimes=["onnx"])


@pytest.mark.parametrize("before", ["", "import edgekd.bench", "from edgekd.bench import timing"])
def test_the_name_is_a_function_and_a_package(before: str) -> None:
    code = f"""
import edgekd
{before or "edgekd.bench"}
try:
    edgekd.bench("nothing.onnx")
except edgekd.EdgekdError as error:
    print(error)
import edgekd.bench.statistics as statistics
from edgekd.bench import timing
print(statistics.__name__, edgekd.bench.timing is timing)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "nothing.onnx: No such file or directory"
    assert second == "edgekd.bench.statistics True"
