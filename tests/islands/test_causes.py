from __future__ import annotations

import pytest

from edgekd import graph
from edgekd.graph import Graph
from edgekd.graph import Node
from edgekd.islands import causes

U8, I8, F32 = (graph.NUMBERS[name] for name in ("u8", "i8", "f32"))


def wired(*nodes: Node, zero: int = 0, element: int = U8) -> causes.GraphIndex:
    elements = {"x": F32, "s": F32, "w": I8, "b": F32, "z": element}
    return causes.index_graph(
        Graph(
            list(nodes),
            elements,
            {"s": None, "w": None, "w0": None, "b": None, "z": zero, "k": None},
        )
    )


def node(op: str, inputs: str, output: str) -> Node:
    return Node(op, inputs.split(), [output], 0, op)


IN = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d")]
WEIGHTS = node("DequantizeLinear", "w s w0", "dw")
OUT = node("QuantizeLinear", "o s z", "y")


@pytest.mark.parametrize(
    ("middle", "want"),
    [
        ([node("Conv", "x dw", "o"), OUT], "its input is not quantized"),
        ([node("Conv", "d k", "o"), OUT], "its weights are not quantized"),
        ([node("Conv", "x k", "o"), OUT], "its weights are not quantized"),
        ([node("Conv", "d dw", "o")], "its output is not quantized: the model gives it as it is"),
        (
            [node("Conv", "d dw", "o"), OUT, node("Gelu", "o", "g")],
            "its output is not quantized: Gelu takes it as it is too",
        ),
        (
            [node("Gemm", "d dw b", "o"), node("Gelu", "o", "g")],
            "it has a bias, and its output is not quantized: Gelu takes it as it is",
        ),
        (
            [node("Conv", "d dw", "o"), OUT, node("QuantizeLinear", "o s z", "p")],
            "its output is quantized more than once",
        ),
        ([node("MatMul", "x d", "o"), OUT], "one of its inputs is not quantized"),
        ([node("MatMul", "x x2", "o"), OUT], "its inputs are not quantized"),
        ([node("Add", "d k", "o"), OUT], "its constant is not quantized"),
        (
            [node("MatMul", "d dw", "m"), node("Add", "m b", "o"), node("Erf", "o", "e")],
            "its output is not quantized: Erf takes it as it is",
        ),
        ([node("Gelu", "d", "o"), OUT], "Gelu has no int8 kernel in ONNX Runtime"),
        ([node("Conv", "d dw", "o"), OUT], "ONNX Runtime has no int8 kernel for this form of Conv"),
    ],
)
def test_each_broken_pattern_has_its_sentence(middle: list[Node], want: str) -> None:
    assert causes.explain_float(middle[0], wired(*IN, WEIGHTS, *middle)) == want


@pytest.mark.parametrize(
    ("zero", "element", "want"),
    [
        (0, U8, "ONNX Runtime has no int8 kernel for this form of Conv"),
        (5, U8, "Relu could not be folded: the zero-point is 5, want 0"),
        (0, I8, "Relu could not be folded: the zero-point is 0, want -128"),
        (-128, I8, "ONNX Runtime has no int8 kernel for this form of Conv"),
    ],
)
def test_a_relu_folds_into_the_smallest_code_alone(zero: int, element: int, want: str) -> None:
    conv = node("Conv", "d dw", "r")
    read = wired(*IN, WEIGHTS, conv, node("Relu", "r", "o"), OUT, zero=zero, element=element)
    assert causes.explain_float(conv, read) == want


def test_signed_activations_on_x86() -> None:
    conv = node("Conv", "d dw", "o")
    told = causes.explain_float(conv, wired(*IN, WEIGHTS, conv, OUT, element=I8))
    assert told == "its int8 activations meet uint8 ones, which ONNX Runtime makes of them on x86"


def test_constants_are_followed_to_their_weights() -> None:
    read = wired(*IN, WEIGHTS, node("Transpose", "dw", "t"), node("Reshape", "d k", "r"))
    assert causes.is_constant("t", read) and not causes.is_constant("r", read)
    assert not causes.is_constant("x", read)
    product = node("MatMul", "r t", "o")
    assert causes.has_quantized_weights(product, read)
    assert not causes.has_quantized_weights(node("MatMul", "r k", "o"), read)
