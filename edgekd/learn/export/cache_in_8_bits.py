"""A decoder of fused attention that keeps keys and values in 8 bits: a quarter of the memory that each next token reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd import files
from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.learn.export.packing import ATTENTION

PAST_PLACES, SCALE_PLACES = (3, 4), (12, 13)
"""Inputs of the operator: keys and values of earlier tokens, and their scales."""
LARGEST_CODE, MARGIN = 127, 1.25
"""What stands for the largest that was seen, and how much larger others may be: of a few thousand tokens, without it one in
some hundred numbers of others is cut off, which moves a Llama of 135 M parameters more than the coarser steps do."""
QUANTIZATION = {
    "kv_cache_bit_width": 8,
    "k_quant_type": "PER_CHANNEL",
    "v_quant_type": "PER_CHANNEL",
}
Largest = Mapping[str, NDArray[np.float32]]
"""By output, the largest key or value [heads, head size] of each channel, without its sign.

Keys differ by channel much more than by token (Liu et al. 2024, KIVI, section 3), so each channel has a scale."""


def narrow_cache(model: onnx.ModelProto, largest: Largest) -> None:
    """Let `model` keep keys and values as codes in int8, in place.

    Args:
        model: of fused attention, whose states are float32.
        largest: of each output of states, what 127 stands for.

    Raises:
        ValueError: if a state is not read and written by one attention alone.
    """
    graph = model.graph
    ends = {end.name: end for end in (*graph.input, *graph.output)}
    changed: set[str] = set()
    for node in [node for node in graph.node if node.op_type == ATTENTION]:
        past, present = [node.input[at] for at in PAST_PLACES], list(node.output[1:3])
        if not {*past, *present} <= {*ends}:
            raise ValueError("keys and values are changed on their way into the cache")
        node.input.extend([""] * (SCALE_PLACES[1] + 1 - len(node.input)))
        for at, name in zip(SCALE_PLACES, present, strict=True):
            scales = np.maximum(largest[name], np.finfo(np.float32).tiny) * MARGIN / LARGEST_CODE
            node.input[at] = f"{name}.scale"
            graph.initializer.append(
                numpy_helper.from_array(scales.astype(np.float32).ravel(), node.input[at])
            )
        node.attribute.extend(helper.make_attribute(*each) for each in QUANTIZATION.items())
        changed |= {*past, *present}
    if changed != {name for name in ends if name.startswith((PAST, PRESENT))}:
        raise ValueError("some states are no attention's")
    for name in changed:
        ends[name].type.tensor_type.elem_type = TensorProto.INT8


def write_narrow(path: Path, largest: Largest, goal: Path) -> None:
    """Write the file at `path` with a cache in 8 bits to `goal`.

    Raises:
        ValueError: as `narrow_cache`.
    """
    model = onnx.load(path)
    narrow_cache(model, largest)
    files.write_bytes(goal, model.SerializeToString(deterministic=True))
