from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper

from edgekd.admission import admit
from edgekd.errors import InputError
from tests import bench_example


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bench_example.write_onnx(tmp_path / "m.onnx")


def test_a_plain_model_is_admitted(model: Path) -> None:
    admit(model)


def test_weights_in_another_file_are_refused(model: Path, tmp_path: Path) -> None:
    loaded = onnx.load(model)
    onnx.save(
        loaded, tmp_path / "e.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(ValueError, match="weights kept in another file"):
        admit(tmp_path / "e.onnx")


def test_external_data_is_found_in_an_attribute_of_a_subgraph(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value="/etc/passwd")
    inner = helper.make_graph([helper.make_node("Constant", [], ["y"], value=tensor)], "i", [], [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [])), tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="weights kept in another file"):
        admit(tmp_path / "m.onnx")


def test_operators_of_unknown_domains_are_refused(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.node[0].domain = "evil.ops"
    onnx.save(loaded, model)
    with pytest.raises(ValueError, match="got operators of \\['evil.ops'\\]"):
        admit(model)
    # unless the file itself says what they are
    body = [helper.make_node("Conv", ["x", "w", "b"], ["y"])]
    opsets = [helper.make_opsetid("", 18)]
    made = helper.make_function("evil.ops", "Conv", ["x", "w", "b"], ["y"], body, opsets)
    loaded.functions.append(made)
    onnx.save(loaded, model)
    admit(model)


def test_every_cut_is_refused_or_harmless(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    refused = 0
    for size in range(0, len(data), 7):
        (tmp_path / "cut").write_bytes(data[:size])
        try:
            admit(tmp_path / "cut")
        except ValueError as error:
            refused += 1
            assert "cut: got" in str(error)
    assert refused > 0.95 * len(range(0, len(data), 7))


def test_random_bytes_end_in_a_value_error_or_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        (tmp_path / "noise").write_bytes(random.bytes(int(random.integers(1, 400))))
        try:
            admit(tmp_path / "noise")
        except ValueError as error:
            assert "noise: got" in str(error)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    for _ in range(15):
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph)
        graph = helper.make_graph([node], "g", [], [])
    (tmp_path / "m").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ValueError, match="beyond reason"):
        admit(tmp_path / "m")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none"):
        with pytest.raises(InputError):
            admit(path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="got 0 bytes"):
        admit(tmp_path / "empty")
