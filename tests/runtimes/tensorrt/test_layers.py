from __future__ import annotations

import pytest

from edgekd.runtimes.tensorrt import layers

F = "Dimensions: [-1,4], Strides: [4,1], StrideOrder: [1,0], Datatype: {}, Format: (Linear) Row major"
TOLD = (
    "Layers:\n"
    "Name: __mye572_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], "
    "TacticName: , StreamId: 0, Metadata: \n"
    f"Name: stem/Conv_myl0_2, LayerType: correlation, Inputs: [ {{ Name: x, {F.format('Int8')} }}], "
    f"Constants: [ {{ Name: w, {F.format('Int8')} }}, {{ Name: s, {F.format('Float')} }}], "
    f"Outputs: [ {{ Name: h, {F.format('Float')} }}], TacticName: t, StreamId: 0, "
    "Metadata: [ONNX Layer: stem/Conv][ONNX Layer: x/DequantizeLinear][ONNX Layer: stem/Conv]\n"
    f"Name: head_myl0_3, LayerType: gemm, Inputs: [ {{ Name: h, {F.format('Float')} }}], "
    f"Constants: [ {{ Name: v, {F.format('Int8')} }}], "
    f"Outputs: [ {{ Name: y, {F.format('Float')} }}], TacticName: t, StreamId: 0, "
    "Metadata: [ONNX Layer: head/Gemm]\n"
    "\nI/O Tensors:\n Name: x, IOMode: Input, DataType: Float\n"
)
"""As TensorRT for RTX 1.7 writes it, shortened."""
CLASSIC = (
    "Layers:\n"
    "Name: Conv_0 + Relu_1, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, "
    "Dimensions: [1,3,8,8], Format/Datatype: Row major linear FP32 }], Outputs: [ { Name: h, "
    "Dimensions: [1,8,8,8], Format/Datatype: Channel major FP16 format }], ParameterType: Convolution, "
    "TacticName: t, StreamId: 0, Metadata: [ONNX Layer: Conv_0]\x1e[ONNX Layer: Relu_1]\n"
)
"""As classic TensorRT 10 writes it: no constants, the type behind the format."""


def test_one_layer_a_line() -> None:
    shape, conv, gemm = layers.parse_layers(["Before", TOLD, "after"])
    assert shape.inputs == () and shape.kind == "shape_call"
    assert conv == layers.EngineLayer(
        "stem/Conv_myl0_2",
        "correlation",
        ("i8",),
        ("i8", "f32"),
        ("stem/Conv", "x/DequantizeLinear"),
    )
    assert gemm.inputs == ("f32",) and gemm.constants == ("i8",)


def test_classic_text_is_read_too() -> None:
    (layer,) = layers.parse_layers([CLASSIC])
    assert (layer.kind, layer.inputs, layer.constants) == ("CaskConvolution", ("f32",), ())
    assert layer.nodes == ("Conv_0", "Relu_1")


def test_the_last_engine_of_a_log_counts() -> None:
    assert [layer.kind for layer in layers.parse_layers([TOLD, CLASSIC])] == ["CaskConvolution"]


def test_kernels_are_counted_by_the_type_they_read() -> None:
    assert layers.count_layers(layers.parse_layers([TOLD])) == {"correlation i8": 1, "gemm f32": 1}


def test_a_product_in_float_is_an_island_and_says_why() -> None:
    (found,) = layers.islands(layers.parse_layers([TOLD]))
    assert (found["node"], found["op"]) == ("head/Gemm", "gemm")
    assert found["cause"].startswith("its input reaches it as f32, want")  # its weights are int8
    (both,) = layers.islands(layers.parse_layers([CLASSIC]))
    assert both["cause"].startswith("its inputs reach it as f32")


@pytest.mark.parametrize("kind", ["kgen", "Reformat", "PoolingV2", "shape_call", "Constant"])
def test_what_multiplies_no_matrices_is_no_island(kind: str) -> None:
    assert layers.islands([layers.EngineLayer("a", kind, ("f32",), (), ())]) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Layers:\n",
        "Layers:\nName: ",
        "Layers:\nLayerType: kgen\n",
        "Layers:\nName: a, Inputs: [",
    ],
)
def test_text_that_tells_of_no_layer(text: str) -> None:
    assert layers.parse_layers([text]) == []


def test_a_node_may_be_called_anything() -> None:
    hostile = TOLD.replace("head/Gemm", "Inputs: [ { Datatype: Int8 }], LayerType: x")
    found = layers.parse_layers([hostile])
    assert len(found) == 3 and found[1].inputs == ("i8",)
