from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from onnx import TensorProto
from onnx import helper

from edgekd.admission import admit
from edgekd.admission import cyclic
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


def test_nodes_of_another_engines_program_are_refused(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.node[0].op_type = "EPContext"
    onnx.save(loaded, model)
    with pytest.raises(ValueError, match="got EPContext, another engine's program"):
        admit(model)


def test_data_elsewhere_is_refused_without_a_place_too(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.write_bytes(loaded.SerializeToString())
    with pytest.raises(ValueError, match="weights kept in another file"):
        admit(model)


@pytest.mark.parametrize("dims", [[2**40], [2**20, 2**20], [-1], [16] * 65])
def test_a_weight_that_claims_more_than_it_holds(model: Path, dims: list[int]) -> None:
    loaded = onnx.load(model)
    loaded.graph.initializer[0].dims[:] = dims
    model.write_bytes(loaded.SerializeToString())
    with pytest.raises(ValueError, match="got a weight of"):
        admit(model)


def test_a_tag_that_a_parser_would_cut_down(model: Path) -> None:
    """Field 7, the graph, spelled with a 33rd bit: protobuf in C++ reads it as field 7 again."""
    graph = onnx.load(model).graph.SerializeToString()
    tag = (7 << 3 | 2) | 1 << 32
    spelled = bytes(
        [tag & 0x7F | 0x80, *(tag >> 7 * i & 0x7F | 0x80 for i in (1, 2, 3)), tag >> 28]
    )
    model.write_bytes(
        model.read_bytes() + spelled + bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7]) + graph
    )
    with pytest.raises(ValueError, match="no protobuf"):
        admit(model)


def test_cycles() -> None:
    a, b, c = b"a", b"b", b"c"
    assert not cyclic([], [])
    assert not cyclic([{b"x"}, {a}, {a, b}], [{a}, {b}, {c}])
    assert not cyclic([{b}, {a}, {b"x"}], [{c}, {b}, {a}])  # out of order, but it can be run
    assert cyclic([{b}, {a}], [{a}, {b}])
    assert cyclic([{a}], [{a}])
    assert cyclic([{b"x"}, {a, c}, {b}], [{a}, {b}, {c}])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_cycles_are_walks_without_an_end(edges: list[tuple[int, int]]) -> None:
    waits = [{bytes([a]) for a, b in edges if b == node} for node in range(8)]
    found = cyclic(waits, [{bytes([node])} for node in range(8)])
    # a walk that can be eight steps long has been somewhere twice
    reach = np.zeros((8, 8), bool)
    for a, b in edges:
        reach[a, b] = True
    assert found == bool(np.linalg.matrix_power(reach.astype(int), 8).any())
