"""Hard-swish in int8: x times hard-sigmoid(x), and a hard-sigmoid that is only rounding.

No engine for CPUs has an int8 kernel for either, and converting to float and back costs more than the
convolution before it saved. But clamp(x + 3, 0, 6) / 6 on 256 levels is what a quantizer with a step
of 6/255 and the zero-point 0 does to x + 3, its codes read as multiples of 1/255.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.onnx_operators import dequantize
from edgekd.learn.quant.onnx_operators import quantize

HALF_WIDTH = 3.0
"""Where hard-sigmoid reaches 0 and 1 (Howard et al. 2019, arXiv:1905.02244, sec. 5.2)."""
WHOLE = "edgekd_hard_swish"
"""Key in a product's meta: it was a hard-swish before `split_hard_swish`."""


def split_hard_swish(module: fx.GraphModule) -> None:
    """Write every hard-swish as a product, in place, so that its parts can be quantized."""
    for node in list(module.graph.nodes):
        if node.target not in operators.HARD_SWISH:
            continue
        with module.graph.inserting_before(node):
            gate = module.graph.call_function(operators.HARD_SIGMOID, (node.args[0],))
            product = module.graph.call_function(operators.MULTIPLY, (node.args[0], gate))
        gate.meta = tracing.place_of(node)
        product.meta = tracing.place_of(node) | {WHOLE: True}
        node.replace_all_uses_with(product)
        module.graph.erase_node(node)
    module.recompile()


def join_hard_swish(module: fx.GraphModule) -> None:
    """Undo `split_hard_swish` where quantizers stand between the parts: hard-swish of the unrounded input.

    For an engine that fuses hard-swish into the convolution before it, in float, and rounds once.
    """
    for product in list(module.graph.nodes):
        if not product.meta.get(WHOLE):
            continue
        value = _unrounded(product.args[0])
        with module.graph.inserting_before(product):
            whole = module.graph.call_function(operators.HARD_SWISH_CALL, (value,))
        whole.meta = {tracing.MODULE_PATH: tracing.path_of(product)}
        product.replace_all_uses_with(whole)
    module.graph.eliminate_dead_code()
    module.recompile()


def _unrounded(node: object) -> fx.Node:
    """Return what went into the quantizers in front of `node`."""
    assert isinstance(node, fx.Node)
    return _unrounded(node.args[0]) if node.op == "call_module" else node


class CodedHardSigmoid(nn.Module):
    """Hard-sigmoid as an addition, a rounding, and codes read with another step; in ONNX."""

    def __init__(self, signed: bool) -> None:
        super().__init__()
        dtype = torch.int8 if signed else torch.uint8
        low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
        levels = high - low
        self.register_buffer("zero", torch.tensor(low, dtype=dtype))
        self.register_buffer("three", torch.tensor(high, dtype=dtype))
        self.register_buffer("three_step", torch.tensor(HALF_WIDTH / levels))
        self.register_buffer("step", torch.tensor(2 * HALF_WIDTH / levels))
        self.register_buffer("read_step", torch.tensor(1 / levels))

    def forward(self, x: Tensor) -> Tensor:
        shifted = x + dequantize(self.three, self.three_step, self.zero)
        return dequantize(quantize(shifted, self.step, self.zero), self.read_step, self.zero)
