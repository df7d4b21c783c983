"""The operators of ONNX that can be imported, by name: what each does in torch. A family of them is a file."""

from __future__ import annotations

from collections.abc import Mapping

from edgekd.learn.onnx_import.operators import activations
from edgekd.learn.onnx_import.operators import arithmetic
from edgekd.learn.onnx_import.operators import layers
from edgekd.learn.onnx_import.operators import recurrent
from edgekd.learn.onnx_import.operators import reductions
from edgekd.learn.onnx_import.operators import resizing
from edgekd.learn.onnx_import.operators import shaping
from edgekd.learn.onnx_import.values import Operator

OPERATORS: Mapping[str, Operator] = {
    **activations.OPERATORS,
    **arithmetic.OPERATORS,
    **layers.OPERATORS,
    **recurrent.OPERATORS,
    **reductions.OPERATORS,
    **resizing.OPERATORS,
    **shaping.OPERATORS,
}
