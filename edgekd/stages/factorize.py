"""Stage `factorize`: layers that are faster as a product of two or three become that; the rest stays.

The device decides: each layer's candidates are timed there at their real input shape, and the whole
model beside the dense one. What saves less than 3 % stays dense, and the table says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd import files
from edgekd.bench import lookup
from edgekd.bench.decider import Decider
from edgekd.bench.machine import host as machine
from edgekd.learn.budget import StepBudget
from edgekd.settings import Fraction
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.units import number_text

if TYPE_CHECKING:
    from torch import nn

    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.budget import ModelTiming
    from edgekd.learn.lowrank.choice import SplittableLayer
    from edgekd.learn.lowrank.layers import LayerUse
    from edgekd.learn.lowrank.search import Chosen
    from edgekd.learn.lowrank.search import SplitOutcome

TABLE = "factorize.json"


class FactorizeSettings(StepBudget):
    """What a recipe may say of the step. With ``ranks: measured`` exactly one budget is given:
    ``speedup``, ``macs``, ``parameters`` or ``score_drop``; else none."""

    structure: Literal["auto", "svd", "reshape", "spatial", "tucker2"] = "auto"
    """What a k x k convolution becomes: k x k then 1x1 (reshape), k x 1 then 1 x k (spatial), 1x1,
    k x k, 1x1 (tucker2), the best of them (auto), or nothing (svd). Linear and 1x1 layers become
    two of their kind in any case."""
    ranks: Literal["measured", "energy", "evbmf"] = "measured"
    """Ranks by time and error (measured), by a share of the singular values' energy, or above the
    noise that variational Bayes finds in the weights."""
    energy: Fraction = 0.95
    """The share that ``ranks: energy`` keeps."""
    data_aware: bool = True
    """Whether inputs count as calibration samples show them, and the factors are fitted to what the
    dense layers say of those; or all directions count alike."""
    smallest: Annotated[int, Field(ge=2, le=10**6)] = 64
    """Channels in and out below which a layer is left alone."""
    multiple: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Ranks are multiples of it; None is 8, or 16 where the model is quantized afterwards."""
    most_ranks: Annotated[int, Field(ge=1, le=1000)] = 8
    """Ranks of each structure of each layer that are timed."""
    samples: Annotated[int, Field(ge=1, le=10**6)] = 512
    """Training samples, unaugmented, that calibrate."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.ranks == "measured":
            self.require_one()
        elif self.given_names():
            raise ValueError(
                f"got {self.given_names()[0]}, want none: ranks {self.ranks} takes no budget"
            )
        return self


class FactorizeConfig(FactorizeSettings, Decider):
    """The recipe's words, and the engine that decides."""

    quantized: bool = False
    """Whether a later step quantizes the model."""


def run(config: FactorizeConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json (with the edit), weights.safetensors, history.json (empty), score.json and
    factorize.json (see `edgekd.learn.lowrank.table`).

    Takes start_blueprint, start_weights, data, train_images, train_labels, validation_images,
    validation_labels. A model that does not gain is given as it came.

    Raises:
        InputError: if calibration data, or what a layer makes of them, are not finite.
        WorkerFailed: if the engine is missing, crashes or hangs.
    """
    from edgekd.learn import blueprint
    from edgekd.learn import deploy_form
    from edgekd.learn import learner
    from edgekd.learn.lowrank import build
    from edgekd.learn.lowrank import layers
    from edgekd.learn.lowrank import search
    from edgekd.learn.lowrank import table

    paths = given["start_blueprint"], given["start_weights"]
    start = blueprint.load(*paths, allow_code=context.allow_code), blueprint.read(paths[0])
    model, plan = deploy_form.merge_branches(*start, context.progress)
    sites = layers.find_layers(model, *plan.blank(1), smallest=config.smallest)
    emulated = machine.describe_host(context.device).emulated
    if emulated:
        why = f"stays dense: not measured: emulated ({emulated})"
        found: list[SplittableLayer] = []
        outcome = search.SplitOutcome({}, None, (), False, why)
        sites = [site._replace(reason=site.reason or "not measured") for site in sites]
    else:
        found, outcome = _searched(model, plan, sites, config, given, context)
    context.progress.note(outcome.why)
    if outcome.model is not None:
        edits = (*plan.edits, build.build_edit(outcome.chosen))
        start = outcome.model, plan.model_copy(update={"edits": edits})
    made = learner.write(*start, [], given, context)
    made[TABLE] = context.folder / TABLE
    made[TABLE].write_bytes(files.pretty_json(table.build_table(sites, found, outcome)))
    return made


def _searched(
    model: nn.Module,
    plan: Blueprint,
    sites: Sequence[LayerUse],
    config: FactorizeConfig,
    given: Given,
    context: Context,
) -> tuple[list[SplittableLayer], SplitOutcome]:
    from edgekd.learn import arrays
    from edgekd.learn import budget
    from edgekd.learn import complexity
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.export import to_onnx
    from edgekd.learn.lowrank import build
    from edgekd.learn.lowrank import offers
    from edgekd.learn.lowrank import search
    from edgekd.task import score_drop

    data = arrays.draw_calibration(given, config.samples, context.seed)
    wanted = offers.OfferRequest(
        structure=config.structure,
        ranks=config.ranks,
        energy=config.energy,
        multiple=budget.alignment_multiple(config.multiple, quantized=config.quantized),
        most=config.most_ranks,
        data_aware=config.data_aware,
    )
    found = offers.make_offers(model, sites, data, wanted, context.progress)
    found = _timed(found, config.lookup_settings(), context)
    whole = to_onnx.write(model, context.folder / "dense.onnx", plan.interface)
    (dense_us,) = lookup.times_us([whole], config.lookup_settings(), device=context.device)
    validation = read_split(given, allow_code=context.allow_code)
    score = validation.score(model)

    def time_split(chosen: Chosen) -> ModelTiming:
        context.progress.note(f"{number_text(len(chosen), 'layer')} split, timing the whole model")
        split = build.split_untrained(model, chosen)
        other = to_onnx.write(split, context.folder / "split.onnx", plan.interface)
        told = config.time_pair(whole, other, context.device)
        other.unlink()
        return told

    ask = search.SplitTrials(
        time=time_split,
        fit=lambda chosen: build.split_and_fit(model, chosen, data, data_aware=config.data_aware),
        score_drop=lambda other: score_drop(validation.task.score, validation.score(other), score),
    )
    dense = search.DenseModel(
        dense_us, complexity.count_macs(model, plan), complexity.count_parameters(model)
    )
    outcome = search.search(found, dense, config, ask)
    whole.unlink()
    return found, outcome


def _timed(
    layers: Sequence[SplittableLayer], how: lookup.LookupSettings, context: Context
) -> list[SplittableLayer]:
    """The same with the time of every offer: layers of one shape are timed once, side by side."""
    from edgekd.learn.lowrank import layer_graph

    known: dict[Any, dict[Any, float]] = {}
    for number, layer in enumerate(layers):
        context.progress.update(number, len(layers), f"timing {layer.path}")
        chains = [layer.dense.parts, *(offer.parts for offer in layer.offers)]
        key = (layer.dense.parts, layer.shape)
        missing = [parts for parts in chains if parts not in known.setdefault(key, {})]
        if not missing:
            continue
        paths: list[Path] = []
        for parts in dict.fromkeys([layer.dense.parts, *missing]):
            paths.append(context.folder / f"chain-{len(paths)}.onnx")
            paths[-1].write_bytes(layer_graph.build_graph(parts, layer.shape))
        times = lookup.times_us(paths, how, device=context.device)
        known[key] |= zip(dict.fromkeys([layer.dense.parts, *missing]), times, strict=True)
        for path in paths:
            path.unlink()
    return [
        layer._replace(
            dense=layer.dense._replace(latency_us=times[layer.dense.parts]),
            offers=tuple(offer._replace(latency_us=times[offer.parts]) for offer in layer.offers),
        )
        for layer in layers
        for times in [known[layer.dense.parts, layer.shape]]
    ]


STAGE = Stage(
    "factorize",
    FactorizeConfig,
    run,
    packages=("torch", "numpy", "scipy", "onnx", "safetensors", "onnxruntime", "openvino"),
    bound="device",
)
