"""Stage `tune`: in which arithmetic this machine trains a model; `auto` is measured once."""

from __future__ import annotations

import math
from typing import Literal

from edgekd import files
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import TrainingPrecision
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage


class TuneConfig(Settings):
    """The model whose training step is timed, and the arithmetic that the recipe leaves open."""

    model: ModelName
    batch_size: Count
    precision: Literal["auto", TrainingPrecision]
    channels_last: Literal["auto"] | bool
    threads: Count
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's."""
    epochs: Count | None = omit_default(None)
    """How many epochs its training has at least; None of a long one, beside which the trial is short."""


def run(config: TuneConfig, given: Given, context: Context) -> Made:
    """Give resolved.json: precision, channels_last, threads."""
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=config.threads)
    if config.precision == "auto" or config.channels_last == "auto":
        resolved = _measured(config, given, context)
    stated: dict[str, object] = {}
    if config.precision != "auto":
        stated["precision"] = config.precision
    if config.channels_last != "auto":
        stated["channels_last"] = config.channels_last
    out = context.folder / "resolved.json"
    out.write_bytes(files.canonical_json(resolved.model_copy(update=stated).model_dump()))
    return {"resolved.json": out}


def _measured(config: TuneConfig, given: Given, context: Context) -> Arithmetic:
    from edgekd import dataset
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import learner

    plan = learner.make_blueprint(
        config.model, given["data"], config.input, allow_code=context.allow_code
    )
    model = blueprint.build(plan, allow_code=context.allow_code)
    steps = None
    if config.epochs is not None:
        batches = math.ceil(dataset.read(given["data"]).counts.get("train", 0) / config.batch_size)
        steps = config.epochs * batches
    trial = arithmetic.find_fastest(model, plan.interface, config.batch_size, config.threads, steps)
    best = trial.arithmetic
    order = "channels last" if best.channels_last else "channels first"
    said = f"{config.model} trains fastest in {best.precision}, {order}"
    if not trial.is_whole:
        said = (
            f"{config.model} trains in {best.precision}, {order}, the default: its training is too short "
            "to try others first (precision and channels_last, in train, say them)"
        )
    context.progress.note(said)
    return best


STAGE = Stage("tune", TuneConfig, run, packages=("torch",), bound="host")
