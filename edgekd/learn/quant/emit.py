"""A quantized model as a module whose export is one engine's Q/DQ graph."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn.quant import attention
from edgekd.learn.quant import hard_swish
from edgekd.learn.quant import insertion
from edgekd.learn.quant import int32_bias
from edgekd.learn.quant import operators
from edgekd.learn.quant import rounding_places
from edgekd.learn.quant import sensitivity
from edgekd.learn.quant import tracing
from edgekd.learn.quant.onnx_operators import dequantize
from edgekd.learn.quant.onnx_operators import gemm
from edgekd.learn.quant.onnx_operators import quantize
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import RowQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.profile import Profile

SIGNED_SHIFT = 128
"""From an unsigned code to the signed one of the same value."""
PACKED_BITS = 4
"""Weights of at most so many bits are stored two a byte."""
PACKED = "packed"
"""Name of their codes; `edgekd.learn.export.onnx_int4` looks for it."""


def fake_quantize(model: nn.Module, profile: Profile) -> fx.GraphModule:
    """Copy `model` to one that computes in float what the graph of `profile` computes in int8.

    It is `model` itself but for engines that round in fewer places than it was trained for.

    Args:
        model: quantized, in evaluation mode.
        profile: whose numerics are those `model` was trained with.

    Raises:
        ValueError: if `model` has no quantizers.
    """
    if not isinstance(model, fx.GraphModule) or not insertion.is_quantized(model):
        raise ValueError("got a model without quantizers, want a quantized one")
    copied = copy.deepcopy(model).cpu().float().eval()
    if profile.fuses_activations:
        hard_swish.join_hard_swish(copied)
        _without_idle_sites(copied)
    copied.graph.lint()
    copied.recompile()
    copied.delete_all_unused_submodules()
    return copied


def prepare_export(model: nn.Module, profile: Profile) -> fx.GraphModule:
    """Copy `model` to one that exports to the Q/DQ graph of `profile`; weights are int8 codes in it.

    Raises:
        ValueError: as `fake_quantize`.
    """
    written = fake_quantize(model, profile)
    if profile.one_attention:
        attention.fuse_attention(written)
    if profile.matches_patterns:
        rounding_places.repeat_behind_movers(written)
    else:
        rounding_places.wait_for_order(written)
    signed = profile.activation == "s8"
    for node in list(written.graph.nodes):
        quantizer = _quantizer(written, node)
        if isinstance(quantizer, WeightQuantizer):
            _store_codes(written, node, quantizer, profile)
        elif isinstance(quantizer, RowQuantizer):
            _store_rows(written, node, quantizer)
        elif isinstance(quantizer, ActivationQuantizer) and not quantizer.symmetric:
            _round_hard_sigmoid(written, node, signed)
    for name, quantizer in insertion.find_activation_quantizers(written).items():
        target = f"{insertion.SITES}.{insertion.flatten_name(name)}"
        written.set_submodule(target, QuantizeDequantize(quantizer, signed))
    written.graph.lint()
    written.recompile()
    return written


def least_opset(module: nn.Module) -> int:
    """The operator set that a graph of `prepare_export` needs; 0 for any."""
    return attention.needs_opset(module) if isinstance(module, fx.GraphModule) else 0


def logit_steps(model: fx.GraphModule) -> tuple[float | None, ...]:
    """Return how far each output moves when one input of the last quantized layer before it moves by one quantization
    step.

    The step of that input times the largest of the layer's weights: the unit in which two engines that round
    alike may differ. None for an output that no quantized layer leads to.
    """
    output = tracing.output_node(model.graph)
    (given,) = output.args
    ends = given if isinstance(given, tuple) else (given,)
    return tuple(_step_before(model, end) for end in ends)


def _step_before(model: fx.GraphModule, end: object) -> float | None:
    behind = {end}
    for node in reversed(model.graph.nodes):
        if node not in behind:
            continue
        if sensitivity.find_weight_name(model, node) is not None:
            site, weight = sensitivity.find_input_quantizer(model, node), node.args[1].args[0]
            values = tracing.get_parameter(model, weight)
            if site is not None and values is not None:
                return site.step() * float(values.detach().abs().max())
        behind.update(node.all_input_nodes)
    return None


def _quantizer(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _without_idle_sites(module: fx.GraphModule) -> None:
    """Take away quantizers whose values only float operators read."""
    for node in list(module.graph.nodes):
        is_site = isinstance(_quantizer(module, node), ActivationQuantizer)
        if is_site and not any(_computes_in_int8(user) for user in node.users):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
    module.recompile()


def _computes_in_int8(node: fx.Node) -> bool:
    ours = operators.LAYERS | operators.MATMULS | operators.LIGHT
    return node.target in ours or operators.is_passing(node)


def _round_hard_sigmoid(module: fx.GraphModule, site: fx.Node, signed: bool) -> None:
    """Where `site` rounds a hard-sigmoid, let the rounding be all of it."""
    gate = site.args[0]
    if not isinstance(gate, fx.Node) or gate.target is not operators.HARD_SIGMOID:
        return
    if len(gate.users) != 1:
        return
    module.set_submodule(str(site.target), hard_swish.CodedHardSigmoid(signed))
    site.args = gate.args[:1]
    module.graph.erase_node(gate)


def _store_codes(
    module: fx.GraphModule, node: fx.Node, quantizer: WeightQuantizer, profile: Profile
) -> None:
    """Put int8 codes and a DequantizeLinear where a float weight was rounded."""
    source, weight = node.args[0], tracing.get_parameter(module, node.args[0])
    assert weight is not None and isinstance(source, fx.Node)
    layer = next(iter(node.users))
    for user in node.users:
        int32_bias.widen_steps(module, user, quantizer)
    linear = layer.target is operators.LINEAR
    wide = linear and tracing.rank_of(layer) != 2
    matches = profile.matches_patterns
    stored = StoredWeights(quantizer, weight, transposed=wide and matches, with_zeros=matches)
    module.set_submodule(str(node.target), stored)
    node.args = ()
    if not source.users:
        module.graph.erase_node(source)
    read = node
    if wide and not matches:
        with module.graph.inserting_after(node):
            read = module.graph.call_function(operators.TRANSPOSE, (node, 0, 1))
        read.meta = tracing.place_of(node)
    if linear:
        _as_product(module, layer, read, operators.MATMUL if wide else gemm)


def _store_rows(module: fx.GraphModule, node: fx.Node, quantizer: RowQuantizer) -> None:
    """Put int8 codes where the rows of a float table were rounded."""
    source, table = node.args[0], tracing.get_parameter(module, node.args[0])
    assert table is not None and isinstance(source, fx.Node)
    module.set_submodule(str(node.target), StoredRows(quantizer, table))
    node.args = node.args[1:]
    if not source.users:
        module.graph.erase_node(source)


def _as_product(
    module: fx.GraphModule, layer: fx.Node, weight: fx.Node, product: Callable[..., Tensor]
) -> None:
    """Write a linear layer as a product, and its bias added: with a float bias of its own, ONNX
    Runtime would run it in float."""
    with module.graph.inserting_before(layer):
        made = module.graph.call_function(product, (layer.args[0], weight))
        made.meta = tracing.place_of(layer)
        if len(layer.args) > 2 and layer.args[2] is not None:
            made = module.graph.call_function(operators.ADD, (made, layer.args[2]))
            made.meta = tracing.place_of(layer)
    layer.replace_all_uses_with(made)
    module.graph.erase_node(layer)


class QuantizeDequantize(nn.Module):
    """One activation's QuantizeLinear and DequantizeLinear."""

    def __init__(self, quantizer: ActivationQuantizer, signed: bool) -> None:
        super().__init__()
        self.path = quantizer.path
        zero = int(quantizer.zero) - (SIGNED_SHIFT if signed and not quantizer.symmetric else 0)
        self.register_buffer("step", torch.tensor(quantizer.step(), dtype=torch.float32))
        dtype = torch.int8 if signed else torch.uint8
        self.register_buffer("zero", torch.tensor(zero, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return dequantize(quantize(x, self.step, self.zero), self.step, self.zero)


class StoredWeights(nn.Module):
    """One layer's int8 codes and their DequantizeLinear, a step an output channel."""

    def __init__(
        self, quantizer: WeightQuantizer, weight: Tensor, *, transposed: bool, with_zeros: bool
    ) -> None:
        super().__init__()
        self.path, self.axis = quantizer.path, 1 if transposed else 0
        codes = quantizer.codes(weight)
        self.name = PACKED if quantizer.bits <= PACKED_BITS else "codes"
        self.register_buffer(self.name, codes.T.contiguous() if transposed else codes.contiguous())
        steps = quantizer.log_step.detach().exp().flatten()
        self.register_buffer("steps", steps)
        zeros = torch.zeros(len(steps), dtype=torch.int8) if with_zeros else None
        self.register_buffer("zeros", zeros)

    def forward(self) -> Tensor:
        return dequantize(getattr(self, self.name), self.steps, self.zeros, self.axis)


class StoredRows(nn.Module):
    """An embedding's int8 codes, of which rows are taken before they become numbers: a DequantizeLinear of the whole
    table would run at every call."""

    def __init__(self, quantizer: RowQuantizer, table: Tensor) -> None:
        super().__init__()
        self.path = quantizer.path
        self.register_buffer("codes", quantizer.codes(table))
        self.register_buffer("steps", quantizer.steps.detach().clone()[:, None])

    def forward(self, index: Tensor) -> Tensor:
        codes = nn.functional.embedding(index, self.codes)
        return codes.to(torch.float32) * nn.functional.embedding(index, self.steps)
