from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from edgekd.bench import result
from edgekd.cli.bench import command
from edgekd.errors import EdgekdError
from edgekd.errors import Inconclusive
from edgekd.errors import InputError
from tests import bench_example

LITTLE = ("--runtime", "onnxruntime", "--processes", "1", "--budget", "30")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bench_example.write_onnx(tmp_path / "net.onnx")


def failure(*arguments: str) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        command.main(list(arguments), standalone_mode=False)
    return caught.value


def test_json_keeps_to_the_published_schema(model: Path) -> None:
    done = CliRunner().invoke(command, [str(model), *LITTLE, "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    jsonschema.validate(made, result.schema())
    (found,) = made["results"]
    assert found["subject"]["name"] == "net onnxruntime-fp32-1t"
    assert found["status"] == "unstable"  # one process carries no interval
    assert found["config"]["inputs"] == "seeded"
    assert next(m for m in found["metrics"] if m["name"] == "latency_p50")["value"] > 0


def test_table(model: Path) -> None:
    done = CliRunner().invoke(command, [str(model), *LITTLE])
    header, line = done.stdout.splitlines()
    assert header.split()[:2] == ["model", "engine"]
    assert line.split()[:2] == ["net", "onnxruntime-fp32-1t"] and "unstable" in line


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no model at all")
    error = failure(str(tmp_path / "net.onnx"), *LITTLE)
    assert isinstance(error, InputError) and "net.onnx: got" in error.line()


def test_a_model_of_another_batch(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx", 3)
    error = failure(str(model), *LITTLE)
    assert isinstance(error, InputError) and "got batch 3 in the model, want 1" in error.line()


def test_one_that_fails_among_others_is_inconclusive(model: Path, tmp_path: Path) -> None:
    bad = bench_example.write_onnx(tmp_path / "bad.onnx", 3)
    error = failure(str(model), str(bad), *LITTLE)
    assert isinstance(error, Inconclusive) and "got batch 3" in error.line()


def test_an_unknown_runtime(model: Path) -> None:
    error = failure(str(model), "--runtime", "onnxruntim")
    assert isinstance(error, InputError) and "did you mean 'onnxruntime'" in error.line()


FIRST = """
import sys
from edgekd.devices import local
class Started(Exception): pass
def run(order):
    raise Started(sorted({"numpy", "pydantic", "onnx", "onnxruntime", "rich"} & set(sys.modules)))
import edgekd.bench.process as process
process.run_worker.__kwdefaults__["device"] = local.DEVICE._replace(run=run)
from edgekd.cli.bench import command
try:
    command.main([sys.argv[1]], standalone_mode=False)
except Started as error:
    print(error)
"""


def test_nothing_heavy_is_imported_before_the_first_worker(model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(model)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
