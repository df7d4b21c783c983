from __future__ import annotations

from edgekd.graph import Graph
from edgekd.graph import Node
from edgekd.islands import dynamic


def graph(*nodes: Node) -> Graph:
    return Graph(list(nodes), {}, {})


def node(op: str, name: str = "") -> Node:
    return Node(op, ["x"], [f"{op}_out"], 0, name)


def test_the_first_is_named_and_the_rest_counted() -> None:
    told = dynamic.dynamic_warning(
        graph(node("Conv", "a"), node("ConvInteger", "b"), node("ConvInteger"))
    )
    assert told is not None and told.startswith("b (ConvInteger) and 1 more: ")
    alone = dynamic.dynamic_warning(graph(node("ConvInteger")))
    assert alone is not None and alone.startswith("ConvInteger_out (ConvInteger): ")


def test_static_and_float_graphs_need_none() -> None:
    assert (
        dynamic.dynamic_warning(graph(node("QLinearConv"), node("Conv"), node("MatMulInteger")))
        is None
    )
