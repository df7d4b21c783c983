from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.progress import Silent
from edgekd.runtimes import ort
from edgekd.stage import Context
from edgekd.stages import compile as stage
from tests import bench_example


def run(folder: Path, model: Path, **config: Any) -> dict[str, Path]:
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder, seed=0, progress=Silent())
    return stage.run(stage.CompileConfig(**config), {"model": model}, context)


@pytest.mark.parametrize(
    ("runtime", "files"),
    [("onnxruntime", ["model.onnx"]), ("openvino", ["model.bin", "model.xml"])],
)
def test_a_blob_becomes_an_engine(tmp_path: Path, runtime: str, files: list[str]) -> None:
    model = bench_example.write_onnx(tmp_path / "0a1b2c")
    made = run(tmp_path / "out", model, runtime=runtime)
    about = json.loads(made["engine.json"].read_bytes())
    assert about["status"] == "ok" and about["runtime"] == runtime
    assert about["files"] == files and set(made) == {*files, "engine.json"}
    assert about["size_bytes"] == sum(made[name].stat().st_size for name in files)
    assert sum(about["kernels"].values()) >= 3
    assert about["runtime_version"]


def test_a_precision_that_is_not_offered_is_a_result(tmp_path: Path) -> None:
    if "bf16" in ort.precisions():
        pytest.skip("this CPU has it")
    model = bench_example.write_onnx(tmp_path / "blob")
    made = run(tmp_path / "out", model, runtime="onnxruntime", precision="bf16")
    about = json.loads(made["engine.json"].read_bytes())
    assert about["status"] == "not offered"
    assert about["reason"] == "onnxruntime offers fp32, int8, int4 on this machine"
    assert about["files"] == [] and set(made) == {"engine.json"}


def test_an_engine_that_is_not_installed_is_a_result() -> None:
    reason = "openvino is not installed: pip install 'edgekd[openvino]'"
    config = stage.CompileConfig(runtime="openvino")
    about = stage.describe_engine(config, {"not_measured": reason})
    assert (about["status"], about["reason"]) == ("not measured", reason)


def test_a_refused_model_names_the_engine(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"\x00" * 50)
    with pytest.raises(InputError, match="onnxruntime: "):
        run(tmp_path / "out", tmp_path / "blob", runtime="onnxruntime")


def test_an_unknown_runtime_is_told_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean 'openvino'"):
        stage.CompileConfig(runtime="opevino")


def test_an_engine_that_cannot_run_here_keeps_its_files(tmp_path: Path) -> None:
    """Built without its device: size and kernels are known, times are not."""
    found = {
        "not_measured": "no CUDA device",
        "files": {"model.engine": "model.engine"},
        "size_bytes": 1234,
        "kernels": {"Convolution i8": 9},
        "islands": [{"node": "fc/Gemm", "op": "Gemm", "cause": "its input is not quantized"}],
        "version": "1.5",
    }
    config = stage.CompileConfig(
        runtime="tensorrt", precision="int8", options={"capability": "sm89"}
    )
    about = stage.describe_engine(config, found)
    assert (about["status"], about["reason"]) == ("not measured", "no CUDA device")
    assert about["files"] == ["model.engine"] and about["size_bytes"] == 1234
    assert about["islands"] == found["islands"] and about["kernels"] == found["kernels"]
