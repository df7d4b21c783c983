from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekd.runtimes.tensorrt import halves
from edgekd.runtimes.tensorrt import library
from edgekd.runtimes.tensorrt import network
from tests import tensorrt_example

pytestmark = pytest.mark.skipif(library.why_not() is not None, reason="no TensorRT is installed")


def halved(path: Path) -> tuple[Any, Any, Any]:
    opened = library.load_library()
    builder = opened.module.Builder(opened.log)
    found, parser = network.parse_network(opened, builder, path)
    kept = halves.halve(opened, found)
    return opened, found, (builder, parser, kept)


def test_products_are_in_float16_and_the_ends_are_not(tmp_path: Path) -> None:
    opened, found, kept = halved(tensorrt_example.write(tmp_path / "m", quantized=False))
    half, single = opened.module.float16, opened.module.float32
    layers = [found.get_layer(number) for number in range(found.num_layers)]
    products = [
        layer for layer in layers if layer.type.name in ("CONVOLUTION", "MATRIX_MULTIPLY", "SCALE")
    ]
    assert len(products) == 3
    for layer in products:
        assert layer.get_input(0).dtype == half and layer.get_output(0).dtype == half, layer.name
    ends = found.get_input(0), found.get_output(0)
    assert [end.name for end in ends] == ["x", "y"]
    assert [end.dtype for end in ends] == [single, single]
    assert found.num_outputs == 1
    weights = kept[2]
    assert {array.dtype for array in weights} == {np.dtype(np.float16)}
    # two kernels, two biases, the matrix and its bias
    width, channels, classes = (
        tensorrt_example.WIDTH,
        tensorrt_example.CHANNELS,
        tensorrt_example.CLASSES,
    )
    assert sum(array.size for array in weights) == (
        width * channels * 9 + width + width * width * 9 + width + classes * width + classes
    )


def test_a_weight_beyond_float16_names_its_layer(tmp_path: Path) -> None:
    path = tensorrt_example.write(tmp_path / "m", quantized=False)
    model = onnx.load(path)
    weight = next(w for w in model.graph.initializer if w.name == "w1")
    value = numpy_helper.to_array(weight).copy()
    value[0, 0, 0, 0] = 70_000
    weight.CopyFrom(numpy_helper.from_array(value, "w1"))
    onnx.save(model, path)
    with pytest.raises(ValueError, match="block/Conv: got a weight beyond float16's 65504"):
        halved(path)
