from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def merged(*parts: onnx.ModelProto) -> bytes:
    """What protobuf reads as one model: its parts one after the other."""
    return b"".join(part.SerializeToString() for part in parts)


def graph_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return onnx.ModelProto(ir_version=9, graph=helper.make_graph(list(nodes), "g", [], []))


def refuse(path: Path, data: bytes, says: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as caught:
        admit(path)
    assert str(caught.value).startswith(f"{path}: got ")


def test_a_cycle_split_over_two_graph_fields(tmp_path: Path) -> None:
    a = graph_of(helper.make_node("Relu", ["y"], ["x"]))
    b = graph_of(helper.make_node("Relu", ["x"], ["y"]))
    (tmp_path / "m").write_bytes(merged(a))
    admit(tmp_path / "m")
    refuse(tmp_path / "m", merged(a, b), "wait for each other")
    # and in an attribute's graph, a training graph and a function
    for number in (1, 2):
        whole = onnx.ModelProto(graph=helper.make_graph([], "g", [], []))
        info = whole.training_info.add().SerializeToString()
        field = bytes([number << 3 | 2])
        for one in (a, b):
            text = one.graph.SerializeToString()
            info += field + bytes([len(text)]) + text
        data = whole.SerializeToString() + b"\xa2\x01" + bytes([len(info)]) + info
        assert onnx.ModelProto.FromString(data).training_info[-1].ByteSize()
        refuse(tmp_path / "m", data, "wait for each other")


def test_a_cycle_in_a_function_and_in_an_attributes_graph(tmp_path: Path) -> None:
    loop = [helper.make_node("Relu", ["y"], ["x"]), helper.make_node("Relu", ["x"], ["y"])]
    model = graph_of(helper.make_node("F", ["a"], ["b"], domain="mine"))
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("mine", "F", ["a"], ["y"], loop, opsets))
    refuse(tmp_path / "m", model.SerializeToString(), "wait for each other")
    inner = helper.make_graph(loop, "i", [], [])
    model = graph_of(helper.make_node("If", ["c"], ["y"], then_branch=inner))
    refuse(tmp_path / "m", model.SerializeToString(), "wait for each other")


def test_a_cycle_through_what_a_subgraph_reads_from_outside(tmp_path: Path) -> None:
    def model(name: str, local: bool, direct: bool = False) -> onnx.ModelProto:
        nodes = [] if direct else [helper.make_node("Relu", [name], ["r"])]
        values = [helper.make_tensor_value_info(n, 1, [1]) for n in (name, name if direct else "r")]
        inner = helper.make_graph(nodes, "i", values[:1] if local else [], values[1:])
        return graph_of(
            helper.make_node("If", ["c"], ["y"], then_branch=inner),
            helper.make_node("Relu", ["y"], ["z"]),
        )

    refuse(tmp_path / "m", model("z", False).SerializeToString(), "wait for each other")
    refuse(tmp_path / "m", model("z", False, True).SerializeToString(), "wait for each other")
    for harmless in (model("z", True), model("c", False), model("z", True, True)):
        (tmp_path / "m").write_bytes(harmless.SerializeToString())
        admit(tmp_path / "m")


def test_a_name_that_two_nodes_give(tmp_path: Path) -> None:
    model = graph_of(helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Relu", ["b"], ["y"]))
    refuse(tmp_path / "m", model.SerializeToString(), "from two nodes")
    model = graph_of(helper.make_node("Split", ["a"], ["y", "y"]))
    refuse(tmp_path / "m", model.SerializeToString(), "from two nodes")
    model = graph_of(*[helper.make_node("Dropout", ["a"], [n, ""]) for n in ("y", "z")])
    (tmp_path / "m").write_bytes(model.SerializeToString())
    admit(tmp_path / "m")


def test_the_last_operator_counts_as_a_parser_reads_it(tmp_path: Path) -> None:
    first = onnx.NodeProto(op_type="Relu", input=["x"], output=["y"])
    node = first.SerializeToString() + onnx.NodeProto(op_type="EPContext").SerializeToString()
    assert onnx.NodeProto.FromString(node).op_type == "EPContext"
    graph = b"\x0a" + bytes([len(node)]) + node
    refuse(tmp_path / "m", b"\x3a" + bytes([len(graph)]) + graph, "another engine's program")


def test_a_function_named_twice_is_known_by_its_last_name(tmp_path: Path) -> None:
    model = graph_of(helper.make_node("F", ["x"], ["y"], domain="evil"))
    function = onnx.FunctionProto(name="F", domain="evil").SerializeToString()
    function += onnx.FunctionProto(domain="mine").SerializeToString()
    data = model.SerializeToString() + b"\xca\x01" + bytes([len(function)]) + function
    assert onnx.ModelProto.FromString(data).functions[0].domain == "mine"
    refuse(tmp_path / "m", data, "operators of \\['evil'\\]")


def test_an_operator_its_domain_does_not_define(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 18)]
    for name, overload in (("G", ""), ("F", "other")):
        model = graph_of(helper.make_node("F", ["x"], ["y"], domain="mine"))
        body = [helper.make_node("Relu", ["x"], ["y"])]
        made = helper.make_function("mine", name, ["x"], ["y"], body, opsets, overload=overload)
        model.functions.append(made)
        refuse(tmp_path / "m", model.SerializeToString(), "operators of \\['mine'\\]")


def test_a_domain_spelled_out_is_onnxs_own(tmp_path: Path) -> None:
    model = graph_of(helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx"))
    (tmp_path / "m").write_bytes(model.SerializeToString())
    admit(tmp_path / "m")


def test_dimensions_packed_plain_and_in_two_pieces(tmp_path: Path) -> None:
    for dims in (b"\x0a\x04\x80\x80\x80\x01" * 2, b"\x08\x80\x80\x80\x01" * 2):
        tensor = b"\x10\x01" + dims  # data_type, dims 2**21 each
        assert list(TensorProto.FromString(tensor).dims) == [2**21, 2**21]
        graph = b"\x2a" + bytes([len(tensor)]) + tensor
        data = b"\x3a" + bytes([len(graph)]) + graph
        refuse(tmp_path / "m", data, "got a weight of 4398046511104 elements")
        # a weight in an attribute may come in two pieces, each of which is small enough
        half = len(dims) // 2
        pieces = [b"\x10\x01" + dims[:half] + b"\x4a\x7f" + b"\0" * 127, dims[half:]]
        attribute = b"".join(b"\x2a" + _long(len(piece)) + piece for piece in pieces)
        assert list(onnx.AttributeProto.FromString(attribute).t.dims) == [2**21, 2**21]
        node = b"\x2a" + _long(len(attribute)) + attribute
        graph = b"\x0a" + _long(len(node)) + node
        refuse(tmp_path / "m", b"\x3a" + _long(len(graph)) + graph, "got a weight of")


def _long(size: int) -> bytes:
    return bytes([size & 0x7F | 0x80, size >> 7])


def test_sparse_weights_are_counted_written_out(tmp_path: Path) -> None:
    def sparse(*sizes: int) -> bytes:
        model = graph_of(helper.make_node("Relu", ["x"], ["y"]))
        for number, size in enumerate(sizes):
            one = model.graph.sparse_initializer.add(dims=[size, 2])
            one.values.CopyFrom(helper.make_tensor(f"w{number}", 1, [1], [1.0]))
            one.indices.CopyFrom(helper.make_tensor("", 7, [1], [0]))
        return model.SerializeToString()

    (tmp_path / "m").write_bytes(sparse(2**26, 2**26))
    admit(tmp_path / "m")
    refuse(tmp_path / "m", sparse(2**26, 2**26, 1), "sparse weights")
    refuse(tmp_path / "m", sparse(2**40), "sparse weights")


def test_a_zero_does_not_hide_a_product_that_overflows(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.initializer[0].dims[:] = [2**31, 2**31, 2**31, 0]
    refuse(model, loaded.SerializeToString(), "got a weight of")
    loaded.graph.initializer[0].dims[:] = [2**62] * 40
    refuse(model, loaded.SerializeToString(), "got a weight of")


def test_a_name_beyond_reason(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.node[0].domain = "e" * 2**15
    refuse(model, loaded.SerializeToString(), "got a name of 32768 bytes")


def test_a_file_split_beyond_reason(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekd.admission.message.MAX_FIELDS", 1000)
    admit(model)
    dims = b"\x0a\xe8\x07" + b"\0" * 1000
    tensor = b"\x2a" + _long(len(dims)) + dims
    for data in (b"\x20\x01" * 1001, b"\x3a" + _long(len(tensor)) + tensor):
        refuse(model, model.read_bytes() + data, "split beyond reason")


def test_a_file_has_one_byte_to_protobufs_limit(tmp_path: Path) -> None:
    for size_bytes, says in ((0, "got 0 bytes"), (1, "no protobuf")):
        (tmp_path / "m").write_bytes(b"\0" * size_bytes)
        with pytest.raises(ValueError, match=says):
            admit(tmp_path / "m")
    for size_bytes, says in ((2**31 - 1, "no protobuf"), (2**31, "got 2147483648 bytes")):
        os.truncate(tmp_path / "m", size_bytes)
        with pytest.raises(ValueError, match=says):
            admit(tmp_path / "m")


def carriers(descriptor: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each way through the fields of a model to a TensorProto, no message twice on it."""
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or any(inner.name == step.split(":")[1] for step in path):
            continue
        step = (*path, f"{field.name}:{inner.name}")
        if inner.name == "TensorProto":
            yield step
        else:
            yield from carriers(inner, step)


@pytest.mark.parametrize("way", [*carriers(onnx.ModelProto.DESCRIPTOR)], ids=str)
def test_every_place_where_a_tensor_can_stand_is_looked_at(
    way: tuple[str, ...], tmp_path: Path
) -> None:
    """Also of versions of ONNX to come: the ways are read from protobuf's own description."""
    model = onnx.ModelProto()
    at: Any = model
    for step in way:
        name = step.split(":")[0]
        held = getattr(at, name)
        at = held.add() if hasattr(held, "add") else held
        at.SetInParent() if hasattr(at, "SetInParent") else None
    at.data_location = TensorProto.EXTERNAL
    model.graph.SetInParent()
    for function in model.functions:
        function.name = "F"
    refuse(tmp_path / "m", model.SerializeToString(), "weights kept in another file")


def held(dims: list[int], size_bytes: int) -> bytes:
    """A model with one weight: a message of exactly `size_bytes`."""
    tensor = TensorProto(dims=dims, data_type=TensorProto.FLOAT)
    tensor.raw_data = b"x" * (size_bytes - tensor.ByteSize() - 2)
    assert tensor.ByteSize() == size_bytes
    model = graph_of(helper.make_node("Relu", ["x"], ["y"]))
    model.graph.initializer.append(tensor)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("dims", "size_bytes", "fits"),
    [
        ([8 * 50], 50, True),
        ([8 * 50 + 1], 50, False),
        ([1] * 63 + [2], 200, True),
        ([1] * 64 + [2], 200, False),
        ([2**31, 2**32, 0], 50, False),
        ([2**63 - 1, 0], 50, True),
        ([2**62, 2, 0], 50, False),
        ([0], 50, True),
        ([], 50, True),
    ],
)
def test_the_limits_of_a_weight(
    tmp_path: Path, dims: list[int], size_bytes: int, fits: bool
) -> None:
    (tmp_path / "m").write_bytes(held(dims, size_bytes))
    if fits:
        admit(tmp_path / "m")
    else:
        refuse(tmp_path / "m", (tmp_path / "m").read_bytes(), "got a weight of")


def test_the_limits_of_names_and_depth(tmp_path: Path) -> None:
    model = graph_of(helper.make_node("Relu", ["x" * 2**14], ["y"]))
    (tmp_path / "m").write_bytes(model.SerializeToString())
    admit(tmp_path / "m")
    model.graph.node[0].input[0] += "x"
    refuse(tmp_path / "m", model.SerializeToString(), "got a name of 16385 bytes")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    for _ in range(10):  # three messages deeper each: the innermost node lies 32 deep
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph)
        graph = helper.make_graph([node], "g", [], [])
    (tmp_path / "m").write_bytes(helper.make_model(graph).SerializeToString())
    admit(tmp_path / "m")
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=graph)], "g", [], []
    )
    refuse(tmp_path / "m", helper.make_model(graph).SerializeToString(), "nested beyond reason")


def nested(node: onnx.NodeProto, times: int) -> onnx.GraphProto:
    """A graph of a node in a subgraph of a subgraph: the node lies 2 + 3 * `times` messages deep."""
    graph = helper.make_graph([node], "g", [], [])
    for _ in range(times):
        outer = helper.make_node("If", ["c"], ["y"], then_branch=graph)
        graph = helper.make_graph([outer], "g", [], [])
    return graph


def test_the_limit_of_depth_in_a_function(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 18)]
    for times in (10, 11):
        body = nested(helper.make_node("Relu", ["x"], ["y"]), times).node
        model = graph_of(helper.make_node("F", ["x"], ["y"], domain="mine"))
        model.functions.append(helper.make_function("mine", "F", ["x"], ["y"], body, opsets))
        (tmp_path / "m").write_bytes(model.SerializeToString())
        if times == 10:
            admit(tmp_path / "m")
        else:
            refuse(tmp_path / "m", model.SerializeToString(), "nested beyond reason")


def test_only_names_are_held_to_the_limit_of_names(model: Path) -> None:
    loaded = onnx.load(model)
    loaded.graph.node[0].doc_string = loaded.graph.doc_string = "d" * 2**15
    large = np.zeros(2**15, np.float32)
    loaded.graph.initializer.append(onnx.numpy_helper.from_array(large, "large"))
    onnx.save(loaded, model)
    admit(model)


def test_a_weight_of_a_subgraph_hides_a_name_outside(tmp_path: Path) -> None:
    """Else a subgraph that reads ``z`` would wait for the node after it that gives another ``z``."""

    def model(dense: str = "", values: str = "", indices: str = "") -> bytes:
        inner = helper.make_graph([helper.make_node("Relu", ["z"], ["r"])], "i", [], [])
        if dense:
            inner.initializer.append(helper.make_tensor(dense, 1, [1], [1.0]))
        if values:
            sparse = inner.sparse_initializer.add(dims=[1])
            sparse.values.CopyFrom(helper.make_tensor(values, 1, [1], [1.0]))
            sparse.indices.CopyFrom(helper.make_tensor(indices, 7, [1], [0]))
        loop = helper.make_node("If", ["c"], ["y"], then_branch=inner)
        return graph_of(loop, helper.make_node("Relu", ["y"], ["z"])).SerializeToString()

    for harmless in (model(dense="z"), model(values="z"), model(values="z", indices="w")):
        (tmp_path / "m").write_bytes(harmless)
        admit(tmp_path / "m")
    for waits in (model(), model(dense="w"), model(values="w", indices="z")):
        refuse(tmp_path / "m", waits, "wait for each other")
