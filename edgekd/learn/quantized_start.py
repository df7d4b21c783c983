"""A quantized model before it learns, whichever way it is quantized, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from torch import nn

from edgekd.interface import Interface
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import blocks
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.learn.quant.sensitivity import QuantizationCost
from edgekd.learn.quantize_settings import QuantizeSettings
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import quantize_weights
from edgekd.profile import NUMERICS
from edgekd.progress import Progress

Batches = Callable[[], Iterator[Inputs]]
"""The calibration samples, as often as they are asked for."""


class StartModel(NamedTuple):
    """A quantized model before it learns, and what is told of it."""

    model: nn.Module
    edit: dict[str, Any]
    """What makes it of the float model's blueprint."""
    summary: dict[str, Any]
    notes: tuple[str, ...]
    table: str
    """The file that says more of its layers."""
    costs: Sequence[QuantizationCost] = ()
    """What each layer costs, the costliest first, if that was asked."""


def start_int8(
    settings: QuantizeSettings,
    scheme: str,
    model: nn.Module,
    interface: Interface,
    left: tuple[str, ...],
    batches: Batches,
    progress: Progress,
) -> StartModel:
    """`model` in the numerics of `scheme`, of which the layers `left` stay in float.

    Raises:
        ValueError: if it cannot be quantized so.
    """
    forms = blocks.resolve_forms({str(kind): form for kind, form in settings.blocks.items()})
    numerics = NUMERICS[scheme]
    found = post_training.quantize(
        model,
        interface,
        numerics,
        batches,
        method=settings.calibration,
        equalize=settings.equalize,
        correct=settings.correct_bias,
        float_layers=left,
        every_weight_bits=settings.weight_bits,
        weight_bits=settings.layer_bits,
        with_costs=settings.score_drop is not None,
        learn_steps=settings.learn_steps,
        forms=forms,
        progress=progress,
    )
    edit = {
        "name": "quantize",
        "scheme": scheme,
        "float_layers": list(left),
        "weight_bits": insertion.find_unusual_bits(found.model, numerics),
        "undone": list(found.undone),
        "scaled": list(found.smoothing.scaled),
        "blocks": forms,
    }
    undone = [*found.undone, *found.not_equalized]
    notes = [f"{n}: left as it was, since rewritten the model answered otherwise" for n in undone]
    notes += [f"{name}: stays in float, it has no int8 form" for name in found.in_float]
    return StartModel(
        found.model, edit, found.summary(), tuple(notes), "sensitivity.json", found.costs
    )


def start_blocks(
    settings: QuantizeSettings,
    scheme: str,
    model: nn.Module,
    interface: Interface,
    left: tuple[str, ...],
    batches: Batches,
    progress: Progress,
) -> StartModel:
    """`model` with its weights in blocks, of which the layers `left` stay in float; the settings say all of the scheme.

    Raises:
        ValueError: if it cannot be quantized so.
    """
    assert settings.weights is not None
    choice = BlockChoice(
        settings.weights,
        settings.group,
        settings.symmetric,
        settings.head,
        settings.embeddings,
        left,
    )
    found = quantize_weights(
        model, interface, choice, batches, rounding=settings.rounding, progress=progress
    )
    for layer in () if settings.learn_steps else found.layers():
        layer.quantizer.log_scale.requires_grad_(False)
    forms = {name: form._asdict() for name, form in found.plan.formats.items()}
    edit = {"name": "quantize-weights", "layers": forms}
    return StartModel(found.model, edit, found.summary(), found.notes(), "rounding.json")
