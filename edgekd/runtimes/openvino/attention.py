"""Attention and its keys and values as one operator of OpenVINO: it keeps them in place, in the numbers that it is told."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

BEAM = "beam_idx"
"""Input that says which text of a batch goes on: always the only one. OpenVINO knows states by it."""
_SWAPPED = [0, 1, 3, 2]
"""Order of axes."""


class _Attention(NamedTuple):
    """One attention as it is written: queries times keys, scaled and masked, softmax, times values."""

    result: Any
    """The node that gives it."""
    parts: tuple[Any, Any, Any]
    """Queries, keys and values [batch, heads, length, head size]."""
    bias: Any
    """What is added to the scores."""
    scale: Any
    """By what they are multiplied before."""


def fuse_attention(model: Any, states: int) -> bool:
    """Write each attention as one operator, in place; whether all were found. Then `keep_in_place` goes on.

    Args:
        model: a decoder with keys and values as inputs and outputs.
        states: how many of those it has, two a layer.
    """
    from openvino import opset13

    found = [each for node in model.get_ordered_ops() if (each := _read(node)) is not None]
    if not found or 2 * len(found) != states:
        return False
    for each in found:
        made = opset13.scaled_dot_product_attention(*each.parts, each.bias, each.scale)
        made.set_friendly_name(each.result.get_friendly_name())
        for reader in each.result.output(0).get_target_inputs():
            reader.replace_source_output(made.output(0))
    return True


def keep_in_place(model: Any) -> None:
    """Let the variables of a model with fused attention begin empty and go through `BEAM`, as OpenVINO looks for them."""
    import numpy as np
    from openvino import opset13

    beam = opset13.parameter([1], np.int32, name=BEAM)
    beam.output(0).set_names({BEAM})
    for node in model.get_ordered_ops():
        if node.get_type_name() != "ReadValue":
            continue
        readers = node.output(0).get_target_inputs()
        chosen = opset13.gather(node.output(0), beam.output(0), opset13.constant(np.int32(0)))
        for reader in readers:
            reader.replace_source_output(chosen.output(0))
        sizes = [int(size.get_length()) if size.is_static else 0 for size in _shape(node)]
        node.set_arguments([opset13.constant(np.zeros(sizes, np.float32)).output(0)])
    model.add_parameters([beam])
    model.validate_nodes_and_infer_types()


def _shape(node: Any) -> Any:
    return node.get_output_partial_shape(0)


def _read(softmax: Any) -> _Attention | None:
    """The attention around a softmax; None where it is written in another way."""
    if softmax.get_type_name() != "Softmax":
        return None
    readers = [each.get_node() for each in softmax.output(0).get_target_inputs()]
    if [each.get_type_name() for each in readers] != ["MatMul"]:
        return None
    (result,) = readers
    scores, bias = _split_mask(softmax.input_value(0).get_node())
    product, scale = _split_scale(scores)
    if product is None or product.get_type_name() != "MatMul":
        return None
    queries, keys = product.input_values()
    plain, turned = {"transpose_a": False, "transpose_b": False}, _find_turned(keys)
    if product.get_attributes() == {**plain, "transpose_b": True}:
        turned = keys
    elif product.get_attributes() != plain:
        return None
    if turned is None or result.get_attributes() != plain:
        return None
    if result.input_value(0).get_node().get_name() != softmax.get_name():
        return None
    return _Attention(result, (queries, turned, result.input_value(1)), bias, scale)


def _split_mask(masked: Any) -> tuple[Any, Any]:
    """Scores before they were masked, and what the mask adds; None of both where it is none."""
    import numpy as np
    from openvino import opset13

    if masked.get_type_name() == "Select":
        hidden, never, scores = masked.input_values()
        return scores.get_node(), opset13.select(hidden, never, opset13.constant(np.float32(0)))
    if masked.get_type_name() == "Add":
        scores, bias = masked.input_values()
        return scores.get_node(), bias
    return None, None


def _split_scale(scores: Any) -> tuple[Any, Any]:
    """The product that scores are made of, and the number it is multiplied by."""
    import numpy as np
    from openvino import opset13

    if scores is None or scores.get_type_name() != "Multiply":
        return scores, opset13.constant(np.float32(1))
    product, factor = scores.input_values()
    is_number = factor.get_node().get_type_name() == "Constant" and not list(factor.get_shape())
    return (product.get_node(), factor) if is_number else (None, None)


def _find_turned(keys: Any) -> Any:
    """Keys as they were before their last two axes were swapped; None where they were not."""
    turned = keys.get_node()
    if turned.get_type_name() != "Transpose":
        return None
    order = turned.input_value(1).get_node()
    if order.get_type_name() != "Constant" or order.get_data().tolist() != _SWAPPED:
        return None
    return turned.input_value(0)
