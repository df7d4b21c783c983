"""A float model with its weights in blocks, not trained: the start of learning, and what it must not fall below."""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import distance
from edgekd.learn.quant import rewriting
from edgekd.learn.weight_only import gptq
from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only import scales
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.formats import LayerPlan
from edgekd.learn.weight_only.formats import plan_layers
from edgekd.learn.weight_only.insertion import BlockLayer
from edgekd.learn.weight_only.moments import InputMoments
from edgekd.learn.weight_only.moments import collect_moments
from edgekd.learn.weight_only.scales import BlockScales
from edgekd.progress import SILENT
from edgekd.progress import Progress

Rounding = Literal["auto", "nearest", "least-squares", "weighted", "gptq"]
"""``nearest``: a block's range; ``least-squares``: what differs least from its weights; ``weighted``: weights count by
the mean square of their inputs; ``gptq``: the same, and what rounding does is made up for. Auto tries all."""
METHODS: tuple[Rounding, ...] = ("nearest", "least-squares", "weighted", "gptq")
JUDGED = 32
"""Samples on which what is tried is compared with the float model; no layer's moments are taken from them, where there
are others."""

FEW = 2
"""Samples that show which layers run."""


class BlockStart(NamedTuple):
    """A model with its weights in blocks before it learns."""

    model: nn.Module
    plan: LayerPlan
    method: Rounding
    """The one that was taken."""
    tried: dict[str, float]
    """Distance from the float model's outputs (`distance.mean_distance`), by what was tried."""

    def layers(self) -> Iterable[BlockLayer]:
        """The layers whose weights are in blocks."""
        return insertion.find_layers(self.model).values()

    def notes(self) -> tuple[str, ...]:
        """Sentences on layers that are not stored as was asked."""
        smaller = self.plan.fallbacks.items()
        return (
            *(
                f"{name}: blocks of {group}, no larger ones divide its inputs"
                for name, group in smaller
            ),
            *(f"{name}: stays in float, {why}" for name, why in self.plan.in_float.items()),
        )

    def summary(self) -> dict[str, Any]:
        """Return what a report says of it, without the model."""
        stored = insertion.find_layers(self.model)
        rows: list[dict[str, Any]] = [
            {
                "layer": name,
                "parameters": layer.weight.numel(),
                "why": "larger blocks do not divide its inputs"
                if name in self.plan.fallbacks
                else "",
                **layer.quantizer.format._asdict(),
            }
            for name, layer in stored.items()
        ]
        left = {"parameters": None, "bits": None, "group": None, "symmetric": None}
        rows += [{"layer": name, **left, "why": why} for name, why in self.plan.in_float.items()]
        return {"rounding": self.method, "tried": self.tried, "layers": rows}


def quantize_weights(
    model: nn.Module,
    interface: Interface,
    choice: BlockChoice,
    batches: Callable[[], Iterable[Inputs]],
    *,
    rounding: Rounding = "auto",
    progress: Progress = SILENT,
) -> BlockStart:
    """`model` with block quantizers whose scales and weights answer most like it on `batches`.

    Args:
        model: float; it is left as it is.
        interface: what it takes and gives.
        choice: which layers are stored how.
        batches: calibration inputs.
        rounding: what is tried.
        progress: hears of each layer.

    Raises:
        ValueError: if no layer can be stored so.
    """
    module = copy.deepcopy(model).eval()
    judged, others = _split(batches, JUDGED)
    plan = plan_layers(module, choice, tuple(each[:FEW] for each in judged[0]))
    want = rewriting.compute_answers(module, judged)
    methods = METHODS if rounding == "auto" else (rounding,)
    moments: dict[str, InputMoments] = {}
    if {"weighted", "gptq"} & set(methods):
        linear = [n for n in plan.formats if isinstance(module.get_submodule(n), nn.Linear)]
        moments = collect_moments(module, linear, others or judged)
    insertion.insert_quantizers(module, plan.formats)
    layers = insertion.find_layers(module)
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    tried, best = dict[str, float](), dict[str, Tensor]()
    searched: dict[tuple[str, bool], BlockScales] = {}
    for number, method in enumerate(methods):
        for name, layer in layers.items():
            insertion.set_latent(layer, before[name])
        for at, (name, layer) in enumerate(layers.items(), number * len(layers)):
            progress.update(at, len(methods) * len(layers), f"{method}: {name}")
            _round(layer, name, method, moments.get(name), searched)
        tried[method] = distance.mean_distance(
            module,
            want,
            lambda: judged,
            interface.outputs,
        )
        if tried[method] == min(tried.values()):
            taken, best = method, _copy_state(module)
    module.load_state_dict(best)
    return BlockStart(module, plan, taken, tried)


def _round(
    layer: BlockLayer,
    name: str,
    method: Rounding,
    moments: InputMoments | None,
    searched: dict[tuple[str, bool], BlockScales],
) -> None:
    """Set the scales of a layer, and with GPTQ its weights. Rows of a table have no inputs that could be weighed.

    `searched` holds scales by layer and whether its inputs are weighed: two methods take the same ones.
    """
    form, weight = layer.quantizer.format, layer.weight.detach()
    if method == "nearest":
        layer.quantizer.set_scales(*scales.range_scales(weight, form))
        return
    second = None if moments is None or method == "least-squares" else moments.mean()
    key = name, second is not None
    if key not in searched:
        importance = None if second is None else second.diagonal()
        searched[key] = scales.search_scales(weight, form, importance)
    if method == "gptq" and second is not None:
        insertion.set_latent(layer, gptq.compensate_weights(weight, second, searched[key], form))
    layer.quantizer.set_scales(*searched[key])


def _copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _split(
    batches: Callable[[], Iterable[Inputs]], count: int
) -> tuple[Sequence[Inputs], Sequence[Inputs]]:
    """The first `count` samples, in their batches, and the rest."""
    first: list[Inputs] = []
    rest: list[Inputs] = []
    for inputs in batches():
        left = count - sum(len(each[0]) for each in first)
        if left > 0:
            first.append(tuple(each[:left] for each in inputs))
        if left < len(inputs[0]):
            rest.append(tuple(each[max(left, 0) :] for each in inputs))
    return first, rest
