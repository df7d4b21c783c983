from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
from onnx import helper

from edgekd.admission import admit
from edgekd.admission.functions import Key
from edgekd.admission.functions import function_key
from edgekd.admission.functions import require_small
from tests.admission.test_admission import graph_of
from tests.admission.test_admission import refuse


def chain(count: int, calls: int, circle: bool = False) -> onnx.ModelProto:
    """F0 calls F1 `calls` times, F1 calls F2, and so on; the last calls nothing, or F0."""
    model = graph_of(helper.make_node("F0", ["x"], ["y"], domain="mine"))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    for n in range(count):
        last = n + 1 == count
        op, domain = ("Relu", "") if last and not circle else (f"F{(n + 1) % count}", "mine")
        body = [helper.make_node(op, ["x"], [f"y{i}"], domain=domain) for i in range(calls)]
        model.functions.append(helper.make_function("mine", f"F{n}", ["x"], ["y0"], body, opsets))
    return model


def test_functions_that_call_each_other(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for small in (chain(1, 1), chain(32, 1), chain(5, 10), chain(17, 2)):
        path.write_bytes(small.SerializeToString())
        admit(path)
    refuse(path, chain(33, 1).SerializeToString(), "more than 32 deep")
    refuse(path, chain(3000, 1).SerializeToString(), "more than 32 deep")
    upwards = chain(33, 1)
    upwards.functions.reverse()  # the last is looked at first, so no chain is walked
    refuse(path, upwards.SerializeToString(), "more than 32 deep")
    refuse(path, chain(3000, 1, circle=True).SerializeToString(), "more than 32 deep")
    refuse(path, chain(6, 10).SerializeToString(), "1e\\+06 nodes")
    refuse(path, chain(18, 2).SerializeToString(), "nodes with functions written out")
    refuse(path, chain(30, 20).SerializeToString(), "nodes with functions written out")
    for count in (1, 2, 30):
        refuse(path, chain(count, 1, circle=True).SerializeToString(), "in a circle")
    # a circle that nothing calls, too; and calls from a subgraph count
    model = chain(3, 1, circle=True)
    model.graph.node[0].CopyFrom(helper.make_node("Relu", ["x"], ["y"]))
    refuse(path, model.SerializeToString(), "in a circle")
    model = chain(5, 10)
    calls = [helper.make_node("F0", ["x"], [f"z{n}"], domain="mine") for n in range(3)]
    inner = helper.make_graph(calls, "i", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["q"], then_branch=inner))
    refuse(path, model.SerializeToString(), "nodes with functions written out")


MAX_NODES = 200_000


def test_the_longest_chain_of_calls_counts(tmp_path: Path) -> None:
    """Also where each function calls one that calls nothing, and where the last is looked at first."""
    for count, says in ((31, ""), (32, "more than 32 deep")):
        model = chain(count, 1)
        leaf = [helper.make_node("F", ["x"], [f"z{n}"], domain="mine") for n in range(count)]
        for function, node in zip(model.functions, leaf, strict=True):
            function.node.append(node)
        last = chain(1, 1).functions[0]
        last.name = "F"
        middle = chain(1, 1).functions[0]
        middle.name = "G"
        middle.node.append(helper.make_node("F", ["x"], ["z"], domain="mine"))
        model.functions.extend([last, middle])
        model.functions[0].node.append(helper.make_node("G", ["x"], ["g"], domain="mine"))
        for _ in range(2):
            if says:
                refuse(tmp_path / "m", model.SerializeToString(), says)
            else:
                (tmp_path / "m").write_bytes(model.SerializeToString())
                admit(tmp_path / "m")
            model.functions.reverse()


def body(**counts: int) -> Counter[Key]:
    return Counter(
        {function_key(b"mine", name.encode(), b""): count for name, count in counts.items()}
    )


def test_what_a_model_grows_to_is_counted_exactly() -> None:
    name = function_key(b"mine", b"f", b"")
    require_small(body(relu=MAX_NODES), {})
    with pytest.raises(ValueError, match="got 2e\\+05 nodes"):
        require_small(body(relu=MAX_NODES + 1), {})
    # 3 calls of 5 nodes each, and what is beside them
    require_small(body(f=3, relu=MAX_NODES - 15), {name: body(relu=2, add=3)})
    with pytest.raises(ValueError, match="nodes with functions written out"):
        require_small(body(f=3, relu=MAX_NODES - 14), {name: body(relu=2, add=3)})
    # one that nothing calls does not count
    require_small(body(relu=MAX_NODES), {name: body(relu=MAX_NODES)})


def test_nodes_are_counted_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred times too many are not looked at to the end."""
    monkeypatch.setattr("edgekd.admission.functions.MAX_NODES", 20)
    for nodes, says in ((20, ""), (21, "got more than 20 nodes")):
        model = graph_of(*[helper.make_node("Relu", ["x"], [f"y{n}"]) for n in range(nodes)])
        (tmp_path / "m").write_bytes(model.SerializeToString())
        if says:
            refuse(tmp_path / "m", model.SerializeToString(), says)
        else:
            admit(tmp_path / "m")


def test_onnxs_own_domain_has_two_spellings() -> None:
    assert (
        function_key(b"ai.onnx", b"Relu", b"")
        == function_key(b"", b"Relu", b"")
        == (b"", b"Relu", b"")
    )
    assert function_key(b"ai.onnx.ml", b"Relu", b"o") == (b"ai.onnx.ml", b"Relu", b"o")
    own = {function_key(b"", b"Relu", b""): body(relu=10)}
    with pytest.raises(ValueError, match="nodes with functions written out"):
        require_small(Counter([function_key(b"ai.onnx", b"Relu", b"")] * MAX_NODES), own)
