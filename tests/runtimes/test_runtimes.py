from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper

from edgekd import runtimes
from edgekd.errors import InputError
from edgekd.runtime import RuntimeEntry
from tests import bench_example
from tests import text_example


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        runtimes.find_runtime("onnxruntim")
    assert "did you mean 'onnxruntime'" in caught.value.hint


def test_the_table_and_its_members_import_no_engine() -> None:
    code = (
        "import sys; from edgekd import runtimes;"
        "[(r.why_not(), r.why_not_run()) for e in (*runtimes.RUNTIMES.values(), runtimes.NULL)"
        " for r in [e.load()]];"
        "print({'numpy', 'onnx', 'onnxruntime', 'openvino', 'pydantic', 'tensorrt',"
        " 'tensorrt_rtx_bindings', 'onnxruntime_ep_nv_tensorrt_rtx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_stands_in_for_another_counts_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = RuntimeEntry("m", "usual", "extra", ("fp32",), "", instead=("other", "third"))
    there: set[str] = set()

    def version(name: str) -> str:
        if name not in there:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert one.installed() == "usual"
    there |= {"usual", "third"}
    assert one.installed() == "third"
    there.remove("third")
    assert one.installed() == "usual"


@pytest.mark.parametrize("name", [*runtimes.RUNTIMES, "null"])
def test_an_engine_says_in_a_line_why_it_does_not_run(name: str) -> None:
    reason = runtimes.find_runtime(name).why_not_run()
    assert reason is None or "\n" not in reason
    assert name == "tensorrt" or reason is None
    options = inspect.signature(runtimes.find_runtime(name).build).parameters.values()
    assert runtimes.find_entry(name).options == tuple(
        option.name for option in options if option.kind == option.KEYWORD_ONLY
    )


def _built(name: str, model: Path, folder: Path) -> tuple[Any, dict[str, Path]]:
    runtime = runtimes.find_runtime(name)
    if runtime.why_not() is not None:
        pytest.skip(f"{name} is missing")
    folder.mkdir()
    return runtime, runtime.build(model, folder, "fp32")


def write_graph(path: Path, nodes: list[Any], rows: int | str, out: list[Any]) -> Path:
    """An ONNX file: x [rows, 3] float32 -> y int64 of shape `out`."""
    kind = TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 3])],
        [helper.make_tensor_value_info("y", kind, out)],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [None, 1, 2])
def test_a_bound_inference_gives_what_a_plain_one_does(
    name: str, batch: int | None, tmp_path: Path
) -> None:
    model = bench_example.write_onnx(tmp_path / "m")
    runtime, made = _built(name, model, tmp_path / "built")
    session = runtime.load(made, "fp32", 1, batch=batch)
    x = bench_example.inputs(6)
    feeds = [{"x": np.ascontiguousarray(x[i : i + (batch or 1)])} for i in range(3)]
    bound = [session.bind(feed) for feed in feeds]
    for _ in range(2):  # each keeps its own input
        for feed, inference in zip(feeds, bound, strict=True):
            np.testing.assert_allclose(inference()[0], bench_example.answers(feed["x"]), atol=1e-5)
            np.testing.assert_array_equal(inference()[0], session.run(feed)[0])


def test_onnx_runtime_binds_what_has_known_sizes_and_calls_plainly_what_has_none(
    tmp_path: Path,
) -> None:
    def inference(model: Path, folder: str) -> Any:
        runtime, made = _built("onnxruntime", model, tmp_path / folder)
        session = runtime.load(made, "fp32", 1)
        tensor = session.inputs[0]
        shape = tuple(2 if size is None else size for size in tensor.shape)
        return session.bind({tensor.name: np.ones(shape, np.float32)})

    known = inference(bench_example.write_onnx(tmp_path / "m"), "known")
    assert known()[0] is known()[0]  # the same buffer
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    free = inference(write_graph(tmp_path / "n", nodes, "N", [2, "found"]), "free")
    assert free()[0] is not free()[0]


def test_an_output_that_is_a_sequence_is_not_bound(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x", "x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m")
    runtime, made = _built("onnxruntime", tmp_path / "m", tmp_path / "built")
    x = np.ones((1, 3), np.float32)
    (got,) = runtime.load(made, "fp32", 1).bind({"x": x})()
    np.testing.assert_array_equal(got, [x, x])


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_output_whose_size_only_the_data_tell_is_bound_too(name: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    model = write_graph(tmp_path / "m", nodes, "N", [2, "found"])
    runtime, made = _built(name, model, tmp_path / "built")
    session = runtime.load(made, "fp32", 1, batch=2)
    one, all_ = np.eye(2, 3, dtype=np.float32), np.ones((2, 3), np.float32)
    for x in (one, all_, one):
        (got,) = session.bind({"x": x})()
        np.testing.assert_array_equal(got, np.nonzero(x))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_ends_come_by_name_in_the_models_order_at_every_length(tmp_path: Path, name: str) -> None:
    runtime = runtimes.find_runtime(name)
    if runtime.why_not():
        pytest.skip(f"{name} is missing")
    made = runtime.build(text_example.write_onnx(tmp_path / "m"), tmp_path, "fp32")
    free = runtime.load(made, "fp32", 1)
    for batch, tokens in ((2, 5), (1, 9), (3, 1)):
        feeds = text_example.inputs(batch, tokens)
        shapes = {end: array.shape for end, array in feeds.items()}
        for session in (free, runtime.load(made, "fp32", 1, batch=batch, shapes=shapes)):
            assert [tensor.name for tensor in session.inputs] == ["text", "text_mask"]
            assert [tensor.dtype for tensor in session.inputs] == ["int64", "int64"]
            assert session.output_names == ("logits", "states")
            for got in (session.run(feeds), session.bind(feeds)()):
                for array, want in zip(got, text_example.answers(feeds).values(), strict=True):
                    np.testing.assert_allclose(array, want, atol=1e-5)
