"""Stage `distil`: a student learns from labels and a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Literal

from edgekd.errors import BudgetMissed
from edgekd.learn.settings import Losses
from edgekd.learn.settings import ModelName
from edgekd.learn.settings import Resolved
from edgekd.learn.settings import Training
from edgekd.learn.settings import Views
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.scheme import Scheme


class Config(Settings):
    """Who learns, from what, how."""

    model: ModelName
    losses: Losses
    knowledge: Literal["stored", "online"]
    train: Training
    views: Views
    views_seed: Whole


def run(config: Config, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json, score.json.

    With a `start_weights` input the student goes on from there, else it starts afresh; with a
    `start_blueprint`, too, it is the model built by that, with all of its edits.
    """
    import torch

    from edgekd.learn import arrays
    from edgekd.learn import blueprint
    from edgekd.learn import classifier
    from edgekd.learn import weights

    resolved = Resolved.model_validate_json(given["resolved"].read_bytes())
    samples = arrays.samples(given, config.views, config.views_seed)
    plan = _plan(config, given)
    torch.manual_seed(context.seed)
    model = blueprint.build(plan, allow_code=context.allow_code)
    if "start_weights" in given:
        start = weights.read(given["start_weights"], suffix=".safetensors")
        weights.load_into(model, start, "the step before")
    history = classifier.train(
        model,
        samples,
        _scheme(config, resolved, given, context),
        config.losses,
        config.train,
        resolved,
        given,
        context,
    )
    made = classifier.write(model, plan, history, given, context)
    where = f"{config.model} after distillation"
    classifier.want_better_than_chance(model, given, where, refuse=BudgetMissed)
    return made


def _plan(config: Config, given: Given) -> Blueprint:
    from edgekd.learn import blueprint
    from edgekd.learn import classifier

    if "start_blueprint" in given:
        return blueprint.read(given["start_blueprint"])
    return classifier.blueprint_for(config.model, given["data"])


def _scheme(config: Config, resolved: Resolved, given: Given, context: Context) -> Scheme:
    import numpy as np

    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn.schemes import offline

    if config.knowledge == "stored":
        answers = np.load(given["knowledge"], mmap_mode="r", allow_pickle=False)
        return offline.from_knowledge(answers)
    teacher = blueprint.load(
        given["teacher_blueprint"], given["teacher_weights"], allow_code=context.allow_code
    )
    teacher.to(arithmetic.device())
    return offline.from_teacher(teacher, arithmetic.AUTOCAST[resolved.precision])


STAGE = Stage(
    "distil",
    1,
    Config,
    run,
    packages=("torch", "numpy", "scipy", "lightning-fabric", "safetensors"),
)
