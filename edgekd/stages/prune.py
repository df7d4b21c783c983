"""Stage `prune`: whole channels go, those first that are worth least for what they cost; the rest stays.

Layers that hang together lose the same channels, in widths that engines like. The device decides: the
whole model is timed there beside what it was, and stays that if it gains less than 3 %; where the recipe asks
for a size, if it loses as much. A later `distil` brings back the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd import files
from edgekd.bench.decider import Decider
from edgekd.bench.machine import host as machine
from edgekd.learn.budget import StepBudget
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor
    from torch import nn

    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.budget import ModelTiming
    from edgekd.learn.model_inputs import Inputs
    from edgekd.learn.pruning.cuts import ChannelBlock
    from edgekd.learn.pruning.groups import ChannelGroup
    from edgekd.learn.pruning.groups import Kept
    from edgekd.learn.pruning.importance import Worth
    from edgekd.learn.pruning.search import PruneOutcome

TABLE = "prune.json"
BATCH = 16
"""Training samples whose gradients are added up before they are squared."""


class PruneSettings(StepBudget):
    """What a recipe may say of the step. Exactly one budget is given: ``speedup``, ``macs``,
    ``parameters`` or ``score_drop``."""

    importance: Literal["taylor", "magnitude"] = "taylor"
    """Whether a channel is worth what the loss on training samples would change without it (Molchanov et
    al. 2019), or what its weights amount to beside those of the layer's other channels."""
    multiple: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Widths are multiples of it; None is 8, or 16 where the model is quantized afterwards."""
    samples: Annotated[int, Field(ge=1, le=10**6)] = 2048
    """Training samples, unaugmented, that the importance is taken over."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        self.require_one()
        return self


class PruneConfig(PruneSettings, Decider):
    """The recipe's words, and the engine that decides."""

    quantized: bool = False
    """Whether a later step quantizes the model."""


class PrunableModel(NamedTuple):
    """A model with all that the choice of its channels needs."""

    model: nn.Module
    plan: Blueprint
    inputs: Inputs
    """Two samples, zeros."""
    groups: list[ChannelGroup]
    left: dict[str, str]
    """Groups that are left alone, with the reason."""
    cuts: list[ChannelBlock]
    worth: Worth

    def kept_channels(self, count: int) -> Kept:
        """Return what stays after the first `count` cuts."""
        from edgekd.learn.pruning import cuts

        return cuts.find_kept(self.cuts[:count], self.worth)

    def model_after(self, count: int) -> nn.Module:
        """The model after the first `count` cuts."""
        from edgekd.learn.pruning import narrow

        return narrow.prune_channels(
            self.model, self.groups, self.kept_channels(count), *self.inputs
        )


def run(config: PruneConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json (with the edit), weights.safetensors, history.json (empty), score.json and
    prune.json (`make_table`).

    Takes start_blueprint, start_weights, data, train and validation. A model that does not gain is given as it came.

    Raises:
        InputError: if gradients on the training samples are not finite.
        MachineError: if torch-pruning is not installed.
        WorkerFailed: if the engine is missing, crashes or hangs.
    """
    from edgekd.learn import learner
    from edgekd.learn.pruning import narrow
    from edgekd.learn.pruning.search import PruneOutcome

    whole = _prunable(config, given, context)
    emulated = machine.describe_host(context.device).emulated
    if emulated:
        outcome = PruneOutcome(0, (), False, f"stays whole: not measured: emulated ({emulated})")
    else:
        outcome = _searched(whole, config, given, context)
    context.progress.note(outcome.why)
    plan, model = whole.plan, whole.model
    if outcome.cuts:
        edit = narrow.build_edit(model, whole.groups, whole.kept_channels(outcome.cuts))
        plan = plan.model_copy(update={"edits": (*plan.edits, edit)})
        model = whole.model_after(outcome.cuts)
        made = learner.write(model, plan, [], given, context)
    else:
        made = learner.write(*_start(given, context), [], given, context)
    made[TABLE] = context.folder / TABLE
    made[TABLE].write_bytes(files.pretty_json(make_table(whole, model, outcome)))
    return made


def _start(given: Given, context: Context) -> tuple[nn.Module, Blueprint]:
    from edgekd.learn import blueprint

    paths = given["start_blueprint"], given["start_weights"]
    return blueprint.load(*paths, allow_code=context.allow_code), blueprint.read(paths[0])


def _prunable(config: PruneConfig, given: Given, context: Context) -> PrunableModel:
    from edgekd.learn import budget
    from edgekd.learn import deploy_form
    from edgekd.learn.pruning import cuts
    from edgekd.learn.pruning import importance
    from edgekd.learn.pruning import trial

    model, plan = deploy_form.merge_branches(*_start(given, context), context.progress)
    inputs = plan.blank(2)
    groups, left = trial.sound_groups(model, *inputs)
    if config.importance == "taylor" and groups:
        worth = importance.by_taylor(
            model, groups, plan.interface, _batches(config, given, context.seed)
        )
    else:
        worth = importance.by_magnitude(model, groups)
    if config.parameters is not None:
        saving = cuts.channel_parameters(model, groups)
    else:
        saving = cuts.channel_macs(model, groups, *plan.blank(1))
    multiple = budget.alignment_multiple(config.multiple, quantized=config.quantized)
    ordered = cuts.order_cuts(groups, worth, saving, multiple)
    return PrunableModel(model, plan, inputs, groups, left, ordered, worth)


def _batches(
    config: PruneConfig, given: Given, seed: int
) -> Iterator[tuple[Inputs, dict[str, Tensor]]]:
    import torch

    from edgekd.learn import arrays

    for inputs, targets in arrays.draw_calibration(given, config.samples, seed).batches(BATCH):
        named = {name: torch.from_numpy(each) for name, each in targets.items()}
        yield tuple(map(torch.from_numpy, inputs)), named


def _searched(
    whole: PrunableModel, config: PruneConfig, given: Given, context: Context
) -> PruneOutcome:
    from edgekd.learn import complexity
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.export import to_onnx
    from edgekd.learn.pruning import search
    from edgekd.task import score_drop

    interface = whole.plan.interface
    before = to_onnx.write(whole.model, context.folder / "before.onnx", interface)
    macs = complexity.count_macs(whole.model, whole.plan)
    parameters = complexity.count_parameters(whole.model)
    by_score = config.score_drop is not None
    validation = read_split(given, allow_code=context.allow_code)
    score = validation.score(whole.model) if by_score else 0.0

    def time_cuts(count: int) -> ModelTiming:
        context.progress.note(f"{count} of {len(whole.cuts)} cuts, timing the whole model")
        after = to_onnx.write(whole.model_after(count), context.folder / "after.onnx", interface)
        told = config.time_pair(before, after, context.device)
        after.unlink()
        return told

    ask = search.PruneTrials(
        time=time_cuts,
        macs_left=lambda n: complexity.count_macs(whole.model_after(n), whole.plan) / macs,
        parameters_left=lambda n: complexity.count_parameters(whole.model_after(n)) / parameters,
        score_drop=lambda n: score_drop(
            validation.task.score, validation.score(whole.model_after(n)), score
        ),
    )
    outcome = search.search(len(whole.cuts), config, ask)
    before.unlink()
    return outcome


def make_table(whole: PrunableModel, model: nn.Module, outcome: PruneOutcome) -> dict[str, Any]:
    """Return what prune.json says: the decision, the whole model's milliseconds and sizes before and after, a
    row for each layer that could lose channels and one for each group that could not."""
    from edgekd.learn import complexity

    last = outcome.timed[-1] if outcome.timed else None
    return {
        "decision": outcome.why,
        "budget_met": outcome.met,
        "latency_before_ms": last and last.before_ms,
        "latency_after_ms": last and last.after_ms,
        "macs_before": complexity.count_macs(whole.model, whole.plan),
        "macs_after": complexity.count_macs(model, whole.plan),
        "parameters_before": complexity.count_parameters(whole.model),
        "parameters_after": complexity.count_parameters(model),
        "measured": [timed._asdict() for timed in outcome.timed],
        "layers": _rows(whole.model, model, whole.groups),
        "left_alone": [{"path": name, "reason": why} for name, why in whole.left.items()],
    }


def _rows(
    whole: nn.Module, model: nn.Module, groups: Sequence[ChannelGroup]
) -> list[dict[str, Any]]:
    from edgekd.learn.pruning import narrow

    paths = {member.path for group in groups for member in group.members}
    return [
        {
            "path": path,
            "before": list(narrow.read_widths(layer)),
            "after": list(narrow.read_widths(model.get_submodule(path))),
        }
        for path, layer in whole.named_modules()
        if path in paths
    ]


STAGE = Stage(
    "prune",
    PruneConfig,
    run,
    packages=(
        "torch",
        "torch-pruning",
        "numpy",
        "onnx",
        "safetensors",
        "onnxruntime",
        "openvino",
    ),
    bound="device",
)
