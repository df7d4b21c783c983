"""Whether a network can be deployed, found on its untrained weights before hours of training."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import cache
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.export import to_onnx
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import placement
from edgekd.learn.quant import rewriting
from edgekd.learn.quantize_settings import NumericsSettings
from edgekd.learn.weight_only import emission
from edgekd.learn.weight_only import formats
from edgekd.learn.weight_only import insertion as block_insertion
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES

COUNTS = (2, 3)
"""Batch sizes that are tried; one image is no batch to a batch norm in training."""


def require_deployable(
    model: nn.Module, plan: Blueprint, *, opset: int, numbers: NumericsSettings | None = None
) -> None:
    """Run, trace, rewrite, quantize without calibration, and export; nothing is written.

    Args:
        model: untrained; its buffers may change.
        plan: what it was built from.
        opset: of the ONNX file.
        numbers: how it will be quantized; None if it will not.

    Raises:
        InputError: in one line, with what it cannot do.
    """
    try:
        for training in (True, False):
            model.train(training)
            for count in COUNTS:
                _run(model, plan, count)
        forms = [model] if numbers is None else _quantized(model, plan, numbers)
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{plan.builder}: cannot be deployed: {first[:300]}") from error
    for form in forms:
        least = max(opset, emit.least_opset(form))
        to_onnx.require_exportable(*cache.with_cache(form, plan.interface), opset=least)


def _run(model: nn.Module, plan: Blueprint, count: int) -> None:
    """Ask for the answers to so many samples; in evaluation they must be as many rows."""
    with torch.no_grad():
        outputs = as_tuple(model(*plan.noise(count)))
    if model.training:
        return
    for end, output in zip(plan.interface.outputs, outputs, strict=False):
        shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        want = list(plan.interface.shape(end, count))
        if shape != want:
            raise ValueError(f"got {end.name} {shape} from {count} samples, want {want}")


def _quantized(model: nn.Module, plan: Blueprint, numbers: NumericsSettings) -> list[nn.Module]:
    """The model as each numerics's first profile writes it, all steps 1."""
    first = {PROFILES[name].numerics: name for name in reversed(numbers.profiles)}
    compared = (plan.noise(max(COUNTS)),)
    forms: list[nn.Module] = []
    for numerics, name in first.items():
        kept = numbers.float_layers
        if NUMERICS[numerics].blocks:
            forms.append(_in_blocks(model, plan, numbers))
            continue
        module, _ = rewriting.trace_and_rewrite(model, plan.interface, compared)
        bits = placement.weight_bits(module, numbers.weight_bits, numbers.layer_bits, kept)
        insertion.insert_quantizers(module, NUMERICS[numerics], float_layers=kept, weight_bits=bits)
        forms.append(emit.prepare_export(module, PROFILES[name]))
    return forms


def _in_blocks(model: nn.Module, plan: Blueprint, numbers: NumericsSettings) -> nn.Module:
    """The model with its weights in blocks, all scales 1."""
    assert numbers.weights is not None
    choice = formats.BlockChoice(
        numbers.weights,
        numbers.group,
        numbers.symmetric,
        numbers.head,
        numbers.embeddings,
        numbers.float_layers,
    )
    module = copy.deepcopy(model)
    layers = formats.plan_layers(module, choice, plan.noise(min(COUNTS)))
    block_insertion.insert_quantizers(module, layers.formats)
    return emission.prepare_export(module)
