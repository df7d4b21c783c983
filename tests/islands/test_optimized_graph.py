from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd import graph
from edgekd.graph import Graph
from edgekd.graph import Node
from edgekd.islands import optimized_graph
from edgekd.runtimes import ort
from tests import islands_example

Said = list[tuple[str, str, str]]
UNFOLDED = "the BatchNormalization behind it was not folded into it"
TAKEN = "its output is not quantized: {} takes it as it is"
CASES: list[tuple[Callable[..., str], Said]] = [
    (islands_example.whole, []),
    (islands_example.half_bytes, []),
    (islands_example.float_weights, []),  # ONNX Runtime quantizes them itself, one scale for all
    (
        islands_example.signed,
        [("block/Conv", "Conv", "Relu could not be folded: the zero-point is 0, want -128")],
    ),
    (
        islands_example.hard_swish,
        [
            ("block/Conv", "Conv", TAKEN.format("HardSwish")),
            ("block.act/HardSwish", "HardSwish", "HardSwish has no int8 kernel in ONNX Runtime"),
        ],
    ),
    (
        islands_example.normalized,
        [
            ("block/Conv", "Conv", UNFOLDED),
            (
                "block.bn/BatchNormalization",
                "BatchNormalization",
                "BatchNormalization was not folded into the layer before it",
            ),
        ],
    ),
    (islands_example.half_residual, [("block.conv/Conv", "Conv", TAKEN.format("Add"))]),
    (
        islands_example.bare_half_bytes,
        [
            (
                "block/Conv",
                "Conv",
                "its 4-bit weights are not cast to int8 before DequantizeLinear",
            )
        ],
    ),
    (
        islands_example.late_quantizer,
        [("block/GlobalAveragePool", "GlobalAveragePool", TAKEN.format("Flatten"))],
    ),
    (
        islands_example.flattened,
        [
            ("block.one/Gemm", "Gemm", "its input is not quantized again behind Flatten"),
            ("block.two/Gemm", "Gemm", "DequantizeLinear of its weights states no zero-point"),
        ],
    ),
    (islands_example.float_constant, [("block/Mul", "Mul", "its constant is not quantized")]),
]


@pytest.mark.parametrize(("body", "want"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_what_onnx_runtime_leaves_in_float_is_named(
    tmp_path: Path, body: Callable[..., str], want: Said
) -> None:
    made = ort.build(islands_example.write(tmp_path / "m", body), tmp_path, "int8")
    found = ort.islands(made, "int8")
    assert [(one["node"], one["op"], one["cause"]) for one in found] == want
    # as many of these operators run in float, and no other product does
    products = {kind: n for kind, n in ort.kernels(made, "int8").items() if " f32" in kind}
    told = [op for _, op, _ in want if op in ("Conv", "Gemm")]
    count = sum(n for kind, n in products.items() if "Conv" in kind or "Gemm" in kind)
    assert count == len(told)


def graph_of(nodes: list[Node], **constants: int | None) -> Graph:
    elements = {"x": 1, "y": 1, **dict.fromkeys(constants, 1)}
    elements |= {name: 2 for name in constants if name.startswith("z")}
    return Graph(nodes, elements, dict(constants))


def node(op: str, inputs: str, output: str, name: str = "") -> Node:
    return Node(op, inputs.split(), [output], 0, name)


ENDS = [
    node("Conv", "x w", "a", "first/Conv"),
    node("QuantizeLinear", "a s z", "b"),
    node("DequantizeLinear", "b s z", "c"),
    node("Relu", "c", "d", "act/Relu"),
    node("Softmax", "d", "y", "last/Softmax"),
]


def test_float_ends_are_no_islands() -> None:
    ends = graph_of(ENDS, w=None, s=None, z=0)
    assert optimized_graph.find_islands(ends, ends) == []


def test_a_float_file_has_no_islands() -> None:
    plain = graph_of([node("Conv", "x w", "y", "c/Conv")], w=None)
    assert optimized_graph.find_islands(plain, plain) == []


def test_a_node_without_a_name_is_told_by_what_it_gives() -> None:
    between = [
        *ENDS[1:3],
        node("HardSwish", "c", "h", "act/HardSwish"),
        node("QuantizeLinear", "h s z", "i"),
        node("DequantizeLinear", "i s z", "y"),
    ]
    given = graph_of(between, s=None, z=0, a=None)._replace(constants={"s": None, "z": 0})
    written_out = [
        *ENDS[1:3],
        node("HardSigmoid", "c", "made_up"),
        node("Mul", "c made_up", "h"),
        *between[3:],
    ]
    found = optimized_graph.find_islands(given, given._replace(nodes=written_out))
    assert [one["node"] for one in found] == ["act/HardSwish"]


def test_a_suffix_of_onnx_runtime_is_no_part_of_the_name() -> None:
    assert optimized_graph.ADDED.sub("", "a.b/Conv_token_12") == "a.b/Conv"
    assert optimized_graph.ADDED.sub("", "a.b/MatMul/MatMulAddFusion") == "a.b/MatMul"
    assert optimized_graph.ADDED.sub("", "a.token_1/Conv") == "a.token_1/Conv"


def test_the_example_reads_back(tmp_path: Path) -> None:
    read = graph.read(islands_example.write(tmp_path / "m", islands_example.whole))
    assert {node.name for node in read.nodes} >= {"block.conv/Conv", "fc/Gemm"}
