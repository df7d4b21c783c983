"""Logits of the last tokens alone, for whoever asks for so many: a text's other logits cost most of its first token.

An input ``logits_to_keep`` int64 [1] that need not be given, since it has a value: 0, which keeps all. Engines without
inputs that have values (OpenVINO) do not see it.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch

from edgekd.interface import LOGITS_TO_KEEP

_MARK, _DOMAIN = "KeepLast", "edgekd"
_END = np.iinfo(np.int64).max


def keep_last(states: torch.Tensor) -> torch.Tensor:
    """The states [B, N, D] of the last tokens; in an export alone, and as long as all of them in its shapes."""
    return torch.onnx.ops.symbolic(
        f"{_DOMAIN}::{_MARK}", [states], dtype=states.dtype, shape=states.shape, version=1
    )


def write_slices(proto: onnx.ModelProto) -> None:
    """Write what `keep_last` marked as a slice of standard operators, in place."""
    graph = proto.graph
    marks = [node for node in graph.node if node.domain == _DOMAIN and node.op_type == _MARK]
    if not marks:
        return
    zero = onnx.numpy_helper.from_array(np.zeros(1, np.int64), LOGITS_TO_KEEP)
    graph.initializer.append(zero)
    graph.input.append(
        onnx.helper.make_tensor_value_info(LOGITS_TO_KEEP, onnx.TensorProto.INT64, [1])
    )
    for name, value in (("end", _END), ("axis", 1)):
        array = np.array([value], np.int64)
        graph.initializer.append(onnx.numpy_helper.from_array(array, f"{LOGITS_TO_KEEP}_{name}"))
    first = f"{LOGITS_TO_KEEP}_first"
    for mark in marks:
        at = list(graph.node).index(mark)
        inputs = [mark.input[0], first, f"{LOGITS_TO_KEEP}_end", f"{LOGITS_TO_KEEP}_axis"]
        cut = onnx.helper.make_node("Slice", inputs, list(mark.output), name=f"{mark.name}/slice")
        graph.node[at].CopyFrom(cut)
    # -0 is the first of all
    graph.node.insert(0, onnx.helper.make_node("Neg", [LOGITS_TO_KEEP], [first], name=first))
    for entry in [entry for entry in proto.opset_import if entry.domain == _DOMAIN]:
        proto.opset_import.remove(entry)


def set_default(proto: onnx.ModelProto, count: int) -> None:
    """Let a file give the logits of so many tokens where nobody asks, in place; 0 are all.

    Raises:
        ValueError: if it gives all in any case.
    """
    for weight in proto.graph.initializer:
        if weight.name == LOGITS_TO_KEEP:
            weight.CopyFrom(
                onnx.numpy_helper.from_array(np.array([count], np.int64), LOGITS_TO_KEEP)
            )
            return
    raise ValueError(f"got no input {LOGITS_TO_KEEP}, want one")
