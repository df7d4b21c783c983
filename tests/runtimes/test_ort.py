from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd import runtimes
from edgekd.runtime import EngineInput
from edgekd.runtimes import ort
from tests import bench_example
from tests import islands_example

SHAPE = (None, bench_example.CHANNELS, bench_example.SIDE, bench_example.SIDE)


@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_numpys(tmp_path: Path, threads: int) -> None:
    model = bench_example.write_onnx(tmp_path / "blob")
    made = ort.build(model, tmp_path, "fp32")
    session = ort.load(made, "fp32", threads)
    assert session.inputs == (EngineInput("x", "float32", SHAPE),)
    x = bench_example.inputs(5)
    (got,) = session.run({"x": x})
    np.testing.assert_allclose(got, bench_example.answers(x), atol=1e-5)


def test_options_are_said_out_loud() -> None:
    chosen = ort.make_options("fp32", 2)
    assert (chosen.intra_op_num_threads, chosen.inter_op_num_threads) == (2, 1)
    assert chosen.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    one = ort.make_options("fp32", 1)
    assert one.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_kernels_are_those_of_the_optimized_graph(tmp_path: Path) -> None:
    made = ort.build(bench_example.write_onnx(tmp_path / "m"), tmp_path, "fp32")
    counted = ort.kernels(made, "fp32")
    # the Relu is folded into the convolution
    assert counted["Conv f32"] == 1 and counted["Gemm f32"] == 1
    assert not any(name.startswith("Relu") for name in counted)


def test_a_precision_that_is_not_offered(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m")
    with pytest.raises(ValueError, match="got 'fp16', want one of fp32, int8"):
        ort.build(model, tmp_path, "fp16")


def test_a_model_it_cannot_run_is_a_value_error(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m", strides=[0, 0])
    with pytest.raises(ValueError, match="ONNX Runtime refuses"):
        ort.load(ort.build(model, tmp_path, "fp32"), "fp32", 1)


def test_the_table_names_it() -> None:
    runtime = runtimes.find_runtime("onnxruntime")
    entry = runtimes.RUNTIMES["onnxruntime"]
    assert (runtime.distribution, runtime.extra) == (entry.distribution, entry.extra)
    assert set(runtime.precisions()) <= set(entry.known_precisions)


def test_int8_is_what_the_file_says(tmp_path: Path) -> None:
    model = islands_example.write(tmp_path / "m", islands_example.whole)
    made = ort.build(model, tmp_path, "int8")
    counted = ort.kernels(made, "int8")
    assert (counted["QLinearConv u8"], counted["QLinearAdd u8"], counted["QGemm u8"]) == (3, 1, 1)
    assert not any(kind.startswith(("Conv", "FusedConv", "Gemm")) for kind in counted)


def test_islands_are_looked_for_in_int8_alone(tmp_path: Path) -> None:
    model = islands_example.write(tmp_path / "m", islands_example.hard_swish)
    made = ort.build(model, tmp_path, "int8")
    assert ort.islands(made, "int8") and ort.islands(made, "fp32") == []
