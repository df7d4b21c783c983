from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgekd.bench import user_models
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bench_example

ASK = user_models.Ask(("onnxruntime",), ("fp32",), (1, 2), 1, 60)


def test_every_combination_is_a_subject(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = list(user_models.ready([model], ASK, scratch))
    names = [one.subject.name for one in found]
    assert names == ["net onnxruntime-fp32-1t", "net onnxruntime-fp32-2t"]
    assert all(one.subject.engine.files["model.onnx"].is_file() for one in found)
    assert found[0].subject.inputs is None


def test_a_bundle_brings_its_inputs(tmp_path: Path) -> None:
    bench_example.write_onnx(tmp_path / "model.onnx")
    x = bench_example.inputs(4)
    golden = {"inputs": x, "outputs": np.zeros((4, 10), np.float32)}
    save_file(golden, tmp_path / "golden.safetensors")
    model, inputs = user_models.found(tmp_path, tmp_path / "x.npy")
    assert model == tmp_path / "model.onnx" and inputs is not None
    np.testing.assert_array_equal(np.load(inputs), x)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="want one with model.onnx and golden.safetensors"):
        user_models.found(tmp_path, tmp_path / "x.npy")


def test_a_hostile_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"MZ" * 100)
    with pytest.raises(InputError, match="net.onnx: got"):
        list(user_models.ready([tmp_path / "net.onnx"], ASK, tmp_path))


def test_a_precision_that_is_not_here(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    with pytest.raises(MachineError, match="precision: got 'fp16': onnxruntime offers fp32"):
        list(user_models.ready([model], ASK._replace(precisions=("fp16",)), tmp_path))


def test_names_are_short_until_they_clash() -> None:
    paths = [Path("/a/net.onnx"), Path("/b/net.onnx"), Path("/b/other.onnx")]
    assert user_models.names_of(paths) == ["/a/net.onnx", "/b/net.onnx", "other"]
