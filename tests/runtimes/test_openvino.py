from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd import runtimes
from edgekd.bench.build import build_engine
from edgekd.files import digest_file
from edgekd.runtime import EngineInput
from edgekd.runtimes import openvino
from edgekd.runtimes import ort
from tests import bench_example
from tests import islands_example
from tests import text_example
from tests.onnx_example import make_model

SHAPE = (None, bench_example.CHANNELS, bench_example.SIDE, bench_example.SIDE)
pytestmark = pytest.mark.skipif(openvino.why_not() is not None, reason="openvino is missing")


def built(folder: Path, precision: str = "fp32") -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    return openvino.build(bench_example.write_onnx(folder / "blob"), folder, precision)


def test_answers_are_numpys(tmp_path: Path) -> None:
    session = openvino.load(built(tmp_path), "fp32", 1)
    assert session.inputs == (EngineInput("x", "float32", SHAPE),)
    for count in (5, 1):
        x = bench_example.inputs(count)
        (got,) = session.run({"x": x})
        np.testing.assert_allclose(got, bench_example.answers(x), atol=1e-5)


def test_for_a_known_batch_every_shape_is_fixed(tmp_path: Path) -> None:
    made = built(tmp_path)
    for batch in (1, 3):
        session = openvino.load(made, "fp32", 1, batch=batch)
        assert session.inputs == (EngineInput("x", "float32", (batch, *SHAPE[1:])),)
        x = bench_example.inputs(batch)
        np.testing.assert_allclose(session.run({"x": x})[0], bench_example.answers(x), atol=1e-5)
    fixed = openvino.build(bench_example.write_onnx(tmp_path / "two", batch=2), tmp_path, "fp32")
    assert openvino.load(fixed, "fp32", 1, batch=1).inputs[0].shape[0] == 2


def test_a_graph_that_refuses_the_batch_stays_free(tmp_path: Path) -> None:
    graph = helper.make_graph(  # w [2, 4] times x [N, 3]: four rows or none
        [helper.make_node("MatMul", ["w", "x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.ones((2, 4), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "m")
    session = openvino.load(openvino.build(tmp_path / "m", tmp_path, "fp32"), "fp32", 1, batch=1)
    np.testing.assert_array_equal(session.run({"x": np.ones((4, 3), np.float32)})[0], 4)


def test_large_outputs_share_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino.session, "LARGEST_OUTPUTS_BYTES", 4 * bench_example.CLASSES - 1)
    session = openvino.load(built(tmp_path), "fp32", 1, batch=1)
    x = bench_example.inputs(2)
    one, other = session.bind({"x": x[:1]}), session.bind({"x": x[1:]})
    for inference, row in ((one, 0), (other, 1), (one, 0)):
        np.testing.assert_allclose(
            inference()[0], bench_example.answers(x[row : row + 1]), atol=1e-5
        )


def test_outputs_are_the_callers_to_keep(tmp_path: Path) -> None:
    session = openvino.load(built(tmp_path), "fp32", 1)
    x = bench_example.inputs(2)
    (first,) = session.run({"x": x[:1]})
    kept = first.copy()
    session.run({"x": x[1:]})
    np.testing.assert_array_equal(first, kept)


def test_a_fresh_process_gives_the_same_bytes(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "blob")
    digests = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        made = build_engine(model, "openvino", "fp32", folder, timeout_s=120)["files"]
        digests.append({name: digest_file(folder / file) for name, file in made.items()})
    assert digests[0] == digests[1] and set(digests[0]) == {"model.xml", "model.bin"}
    # weights are kept in float32: 4 bytes each, and a few constants of shapes
    held = sum(value.size for value in bench_example.weights().values())
    assert (tmp_path / "a" / "model.bin").stat().st_size >= 4 * held


def test_bf16_computes_in_bf16(tmp_path: Path) -> None:
    if "bf16" not in openvino.precisions():
        pytest.skip("this CPU has no bf16")
    made = built(tmp_path, "bf16")
    counted = openvino.kernels(made, "bf16")
    assert counted.get("Convolution bf16") == 1 and "Convolution f32" not in counted
    assert openvino.kernels(made, "fp32").get("Convolution f32") == 1


def test_beside_int8_the_rest_computes_in_bf16(tmp_path: Path) -> None:
    """A convolution whose weights are not quantized is no part of int8."""
    if "int8-bf16" not in openvino.precisions():
        pytest.skip("this CPU has no bf16")
    path = islands_example.write(tmp_path / "net.onnx", islands_example.float_weights)
    feeds, counted, answered = {"x": islands_example.inputs()}, {}, {}
    for precision in ("int8", "int8-bf16"):
        made = openvino.build(path, tmp_path, precision)
        counted[precision] = openvino.kernels(made, precision)
        session = openvino.load(made, precision, 1)
        (answered[precision],) = session.run(feeds)
        assert [one["op"] for one in openvino.islands(made, precision)]
    assert counted["int8"].get("Convolution f32") == 1
    assert counted["int8-bf16"].get("Convolution bf16") == 1
    assert "Convolution f32" not in counted["int8-bf16"]
    integers = [
        {k: n for k, n in each.items() if " u8" in k or " i8" in k} for each in counted.values()
    ]
    assert integers[0] == integers[1] and integers[0]
    assert 0 <= np.abs(answered["int8"] - answered["int8-bf16"]).max() < 0.1


def test_both_instructions_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "open_core", Core)
    assert openvino.precisions() == ("fp32", "int8", "int4")


def test_a_precision_that_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "precisions", lambda: ("fp32",))
    with pytest.raises(ValueError, match="got 'fp16', want one of fp32"):
        built(tmp_path, "fp16")


def test_one_thread_is_one(tmp_path: Path) -> None:
    session = openvino.load(built(tmp_path), "fp32", 1)
    x = np.repeat(bench_example.inputs(1), 256, axis=0)
    session.run({"x": x})
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(200):
        session.run({"x": x})
    used = (time.process_time() - cpu) / (time.perf_counter() - wall)
    assert used < 1.2


def test_a_model_it_cannot_run_is_a_value_error(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m", group=2)
    with pytest.raises(ValueError, match="OpenVINO refuses"):
        openvino.load(openvino.build(model, tmp_path, "fp32"), "fp32", 1)


def test_the_table_names_it() -> None:
    runtime = runtimes.find_runtime("openvino")
    entry = runtimes.RUNTIMES["openvino"]
    assert (runtime.distribution, runtime.extra) == (entry.distribution, entry.extra)
    assert set(runtime.precisions()) <= set(entry.known_precisions)


def test_nothing_is_reported_from_a_thread_while_it_measures() -> None:
    code = (
        "import sys, threading; import edgekd.runtimes.openvino; import openvino; "
        "print(threading.active_count(), any(sys.modules[m] for m in sys.modules if 'telemetry.' in m))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "False"]


def test_int8_is_what_the_file_says_and_its_answers_are_onnx_runtimes(tmp_path: Path) -> None:
    model = islands_example.write(tmp_path / "m", islands_example.whole)
    made = openvino.build(model, tmp_path, "int8")
    counted = openvino.kernels(made, "int8")
    assert counted["Convolution u8"] == 3 and "Convolution f32" not in counted
    x = islands_example.inputs()
    (ours,) = openvino.load(made, "int8", 1).run({"x": x})
    (theirs,) = ort.load(ort.build(model, tmp_path, "int8"), "int8", 1).run({"x": x})
    np.testing.assert_allclose(ours, theirs, atol=0.021)  # one step of the logits


def test_islands_are_looked_for_in_int8_alone(tmp_path: Path) -> None:
    model = islands_example.write(tmp_path / "m", islands_example.float_weights)
    made = openvino.build(model, tmp_path, "int8")
    assert openvino.islands(made, "int8") and openvino.islands(made, "fp32") == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("before", [True, False])
def test_sizes_that_a_free_graph_cannot_take_are_an_error(
    tmp_path: Path, threads: int, bound: bool, before: bool
) -> None:
    """Which on one thread OpenVINO itself passes over, and leaves what was answered before, or nothing."""
    model = text_example.write_onnx(tmp_path / "m", positions=8)
    made = openvino.build(model, tmp_path, "fp32")
    session = openvino.load(made, "fp32", threads)
    if before:
        feeds = text_example.inputs(2, 8)
        (logits, _), want = session.run(feeds), session.bind(feeds)()
        np.testing.assert_array_equal(logits, want[0])
    feeds = text_example.inputs(2, 5)
    shapes = {name: array.shape for name, array in feeds.items()}
    for one in (session, openvino.load(made, "fp32", threads, batch=2, shapes=shapes)):
        with pytest.raises(ValueError, match="OpenVINO takes no inputs of these sizes: .*mismatch"):
            one.bind(feeds) if bound else one.run(feeds)


def test_a_bound_inference_of_free_inputs_and_fixed_outputs_gives_its_own_numbers(
    tmp_path: Path,
) -> None:
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "tokens"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m")
    session = openvino.load(openvino.build(tmp_path / "m", tmp_path, "fp32"), "fp32", 1)
    feeds = [{"x": np.full((1, count), 2.0, np.float32)} for count in (3, 5)]
    first, second = map(session.bind, feeds)
    for _ in range(2):
        assert (float(first()[0]), float(second()[0])) == (6.0, 10.0)


def test_outputs_bear_the_file_s_names_also_where_compiling_takes_a_branch(tmp_path: Path) -> None:
    node, end = helper.make_node, helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4])
    branches = {
        f"{name}_branch": helper.make_graph([node(op, ["x"], ["a"])], name, [], [end])
        for name, op in (("then", "Relu"), ("else", "Neg"))
    }
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["count"]),
        node("Equal", ["count", "one"], ["is_one"]),
        node("If", ["is_one"], ["output"], **branches),
    ]
    numbers = {"zero": np.array(0), "one": np.array(1)}
    model = make_model(nodes, {"x": [1, 4]}, {"output": [1, 4]}, numbers)
    onnx.save(model, tmp_path / "m.onnx")
    session = openvino.load(openvino.build(tmp_path / "m.onnx", tmp_path, "fp32"), "fp32", 1)
    assert session.output_names == ("output",)
    x = np.array([[-1, 0, 1, 2]], np.float32)
    np.testing.assert_array_equal(session.run({"x": x})[0], np.maximum(x, 0))


INTERRUPTED = """
import faulthandler, signal, sys
from pathlib import Path
from edgekd.runtimes import openvino

faulthandler.enable()  # a stack under the handlers before OpenVINO's, as pytest, and many a server, has one
signal.signal(signal.SIGINT, signal.default_int_handler)
files = {name: Path(sys.argv[1], name) for name in (openvino.GRAPH, openvino.WEIGHTS)}
openvino.precisions()
loaded = openvino.load(files, "fp32", 1)
loaded = openvino.load(files, "fp32", 1)  # the older of two goes first
del loaded
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interruption_is_heard_whichever_model_went_first(tmp_path: Path) -> None:
    built(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (0, "heard\n"), ran.stderr
