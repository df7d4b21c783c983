"""A float model quantized without training: the start of learning, and what it must not fall below."""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

import torch
from torch import fx
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import bias_correction
from edgekd.learn.quant import blocks
from edgekd.learn.quant import calibration
from edgekd.learn.quant import distance
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import placement
from edgekd.learn.quant import ranges
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import sensitivity
from edgekd.learn.quant import smoothing
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.profile import Numerics
from edgekd.progress import SILENT
from edgekd.progress import Progress

JUDGED = 32
"""Samples on which what is tried is compared, and each layer's cost is taken."""
CORRECTED = 32
"""Samples on which biases are corrected, in one batch; others than those, if there are enough."""


class QuantizedStart(NamedTuple):
    """A quantized model before it learns."""

    model: fx.GraphModule
    method: str
    """The one of `ranges.METHODS` that was taken."""
    undone: tuple[str, ...]
    """Rewrites of the graph that changed its outputs and were taken back, by node."""
    equalized: int
    """Places whose channels were evened out."""
    smoothing: smoothing.Smoothing
    """How far, and by which operators of their own."""
    not_equalized: tuple[str, ...]
    """Those where that changed the outputs and was taken back, by node."""
    in_float: tuple[str, ...]
    """What multiplies and has no int8 form, by node."""
    blocks: dict[str, tuple[str, int]]
    """What each kind of block runs in, and how many there are."""
    corrected: bool
    """Whether biases were corrected; only where that helped."""
    tried: dict[str, float]
    """Distance from the float model's outputs (`distance.mean_distance`), by what was tried."""
    costs: list[sensitivity.QuantizationCost]
    """What each layer costs, if that was asked."""

    def summary(self) -> dict[str, Any]:
        """Return what a report says of it, without the model."""
        return {
            "calibration": self.method,
            "tried": self.tried,
            "undone": [*self.undone, *self.not_equalized],
            "in_float": list(self.in_float),
            "blocks": self.blocks,
            "equalized": self.equalized,
            "strengths": self.smoothing.strengths,
            "bias_corrected": self.corrected,
            "layers": [row._asdict() for row in self.costs],
        }


def quantize(
    model: nn.Module,
    interface: Interface,
    numerics: Numerics,
    batches: calibration.Batches,
    *,
    method: str = "auto",
    equalize: float | Literal["auto"] = "auto",
    correct: bool = True,
    float_layers: Collection[str] = (),
    every_weight_bits: int = 8,
    weight_bits: Mapping[str, int] = {},
    with_costs: bool = False,
    learn_steps: bool = True,
    forms: Mapping[str, blocks.Form] = blocks.DEFAULT,
    progress: Progress = SILENT,
) -> QuantizedStart:
    """`model` with quantizers whose ranges answer most like it on `batches`.

    All that is tried is compared with `model` itself, never with a graph made from it.

    Args:
        model: float; it is left as it is.
        interface: what it takes and gives.
        numerics: what the engines need.
        batches: calibration inputs.
        method: one of `ranges.METHODS`, or ``auto``: all are tried.
        equalize: strength of the equalization of channels that parameters can take; 0 leaves them, ``auto`` tries
            strengths by kind of place, with operators of their own where they pay.
        correct: whether to try to correct biases.
        float_layers: layers that keep their precision.
        every_weight_bits: bits of all weights, if fewer than the numerics say.
        weight_bits: layers whose weights get another number of bits, at most what the numerics say.
        with_costs: whether to find out what each layer costs: two passes a layer over `JUDGED` samples.
        learn_steps: whether a training changes the step sizes, too.
        forms: what kinds of block run in.
        progress: hears what is tried.

    Raises:
        ValueError: if the model cannot be traced or quantized, or an activation is not finite.
    """
    model = copy.deepcopy(model).eval()
    methods = ranges.METHODS if method == "auto" else (method,)
    parts = ["traced", "equalization", "observed", *methods, *(["costs"] if with_costs else [])]
    parts += ["biases"] if correct else []

    def tell(part: str) -> None:
        progress.update(parts.index(part), len(parts), part)

    tell("traced")
    few = _first(batches, JUDGED + CORRECTED)
    compared, judged = _rows(few, rewriting.COMPARED), _rows(few, JUDGED)
    want = rewriting.compute_answers(model, judged)
    module, undone = rewriting.trace_and_rewrite(model, interface, compared)
    reference = rewriting.compute_answers(model, compared)
    counted = blocks.count_blocks(module, forms)
    in_float = placement.find_float_operators(module)
    bits = placement.weight_bits(module, every_weight_bits, weight_bits, float_layers)
    more: dict[str, Any] = {"float_layers": float_layers, "weight_bits": bits, "forms": forms}
    tell("equalization")
    chosen = smoothing.Smoothing({}, ())
    if equalize == "auto":
        ends = interface.outputs
        chosen = smoothing.find_strengths(module, numerics, batches, judged, want, ends, **more)
        equalization.insert_scales(module, chosen.scaled)
    strength = chosen.strengths if equalize == "auto" else equalize
    changes = equalization.find_changes(module, batches, strength) if strength else []
    harmful = _equalized(module, changes, compared, reference)
    insertion.insert_quantizers(module, numerics, **more)
    with calibration.disable_quantizers(module):
        _require_same(module, compared, reference)
    tell("observed")
    seen = calibration.observe(module, batches)
    calibration.set_weight_steps(module)
    ask = functools.partial(
        distance.mean_distance, want=want, batches=lambda: judged, outputs=interface.outputs
    )
    tried: dict[str, float] = {}
    for name in methods:
        tell(name)
        calibration.set_ranges(module, seen, name)
        tried[name] = ask(module)
    best = min(tried, key=lambda name: tried[name])
    calibration.set_ranges(module, seen, best)
    costs: list[sensitivity.QuantizationCost] = []
    if with_costs:
        tell("costs")
        costs = sensitivity.measure_costs(module, want, lambda: judged, interface.outputs)
    corrected = False
    if correct:
        tell("biases")
        before = {name: value.detach().clone() for name, value in module.state_dict().items()}
        largest = max(few, key=lambda inputs: len(inputs[0]))
        rows = tuple(each[-CORRECTED:] for each in largest)
        bias_correction.correct_biases(module, rows, _find_mask(interface, rows))
        tried["bias correction"] = ask(module)
        corrected = tried["bias correction"] < tried[best]
        if not corrected:
            module.load_state_dict(before)
    for one in () if learn_steps else _quantizers(module):
        one.log_step.requires_grad_(False)
    evened = len(changes) - len(harmful)
    return QuantizedStart(
        module, best, undone, evened, chosen, harmful, in_float, counted, corrected, tried, costs
    )


def _find_mask(interface: Interface, inputs: Inputs) -> torch.Tensor | None:
    """The mask [B, N] of a batch of texts; None where a model takes none."""
    found = (rows for end, rows in zip(interface.inputs, inputs, strict=True) if end.kind == "mask")
    return next(found, None)


def _quantizers(module: nn.Module) -> Iterator[ActivationQuantizer | WeightQuantizer]:
    yield from insertion.find_activation_quantizers(module).values()
    yield from insertion.find_weight_quantizers(module).values()


def _equalized(
    module: fx.GraphModule,
    changes: Sequence[equalization.Change],
    batches: Sequence[Inputs],
    want: Sequence[Outputs],
) -> tuple[str, ...]:
    """Apply `find_changes` in place, but for those that alter the answers; their names."""
    for change in changes:
        change.apply()
    if not changes or _compare(module, batches, want) <= 1:
        return ()
    for change in reversed(changes):
        change.undo()
    harmful = []
    for change in changes:
        change.apply()
        if _compare(module, batches, want) > 1:
            change.undo()
            harmful.append(change.name)
    return tuple(harmful)


def _require_same(
    module: fx.GraphModule, batches: Sequence[Inputs], want: Sequence[Outputs]
) -> None:
    """Stop at quantizers that change answers while they are off."""
    off = _compare(module, batches, want)
    if off > 1:
        raise RuntimeError(f"quantizers that are off change answers by {off:.3g} times the allowed")


def _compare(module: fx.GraphModule, batches: Sequence[Inputs], want: Sequence[Outputs]) -> float:
    return rewriting.compare_answers(rewriting.compute_answers(module, batches), want)


def _first(batches: calibration.Batches, count: int) -> list[Inputs]:
    """At most so many samples, in one batch if all have one shape, else one for each run of the same shape; no more
    are read than that takes."""
    groups: list[list[Inputs]] = []
    taken = 0
    for inputs in batches():
        alike = groups and all(
            one.shape[1:] == other.shape[1:]
            for one, other in zip(groups[-1][0], inputs, strict=True)
        )
        if alike:
            groups[-1].append(inputs)
        else:
            groups.append([inputs])
        taken += len(inputs[0])
        if taken >= count:
            break
    joined = [tuple(torch.cat(each) for each in zip(*group, strict=True)) for group in groups]
    return _rows(joined, count)


def _rows(batches: Sequence[Inputs], count: int) -> list[Inputs]:
    """The first `count` samples."""
    found: list[Inputs] = []
    for inputs in batches:
        left = count - sum(len(each[0]) for each in found)
        if left > 0:
            found.append(tuple(each[:left] for each in inputs))
    return found
