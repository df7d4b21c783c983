from __future__ import annotations

import math
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from edgekd.gating import weights
from tests import bench_example


def test_the_count_is_that_of_the_onnx_package(tmp_path: Path) -> None:
    path = bench_example.write_onnx(tmp_path / "net.onnx")
    held = onnx.load(path).graph.initializer
    want = sum(numpy_helper.to_array(tensor).size for tensor in held)
    assert (
        weights.count_weights(path) == want == sum(v.size for v in bench_example.weights().values())
    )


def test_scalars_count_once_and_packed_sizes_are_read(tmp_path: Path) -> None:
    # a tensor without sizes is one value; packed, a size field is one run of varints
    scalar, packed = b"\x10\x01", b"\x0a\x03\x83\x01\x02\x10\x01"  # dims [131, 2]
    graph = b"".join(b"\x2a" + bytes([len(t)]) + t for t in (scalar, packed))
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x3a" + bytes([len(graph)]) + graph)
    assert weights.count_weights(path) == 1 + math.prod([131, 2])


@pytest.mark.parametrize("data", [b"no model at all", b"\x3a\xff\xff\x01abc"])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="want an ONNX model"):
        weights.count_weights(tmp_path / "net.onnx")
