"""Stage `quantize`: a float student learns to answer as well in int8, its teachers in the loop."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.quantize_settings import QuantizeSettings
from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Views
from edgekd.settings import Count
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.method.scheme import Scheme
    from edgekd.learn.model_inputs import Inputs
    from edgekd.learn.quantized_start import StartModel
    from edgekd.progress import Progress
    from edgekd.task import Metric

ROUNDS = 4
"""How often layers are given back their precision before the score budget is given up."""


class QuantizeConfig(QuantizeSettings):
    """The same, and what the rest of the recipe says."""

    scheme: str
    """A name of `edgekd.profile.NUMERICS`."""
    batch_size: Count = 64
    """Samples a step of calibration."""
    views: Views
    views_seed: Whole
    threads: Count | None = omit_default(None)
    """Of torch where nothing is trained, and no arithmetic was resolved for that."""
    sharded: Annotated[bool, Field(exclude=True)] = False
    """Whether the ranks share out the parameters of a teacher that answers while it learns."""


def run(config: QuantizeConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json, score.json, and sensitivity.json
    or, of weights in blocks, rounding.json.

    Takes start_blueprint, start_weights, resolved if it trains, train, validation, and knowledge or the teacher's two.

    Raises:
        InputError: if the model cannot be quantized so; names the layer.
    """
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import deploy_form
    from edgekd.learn import learner
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.parallel import ranks
    from edgekd.task import figure_text

    resolved = Arithmetic(precision="fp32", channels_last=False, threads=config.threads or 1)
    if "resolved" in given:
        resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes()).drop_compiler()
    start = blueprint.load(
        given["start_blueprint"], given["start_weights"], allow_code=context.allow_code
    )
    plan = blueprint.read(given["start_blueprint"])
    start, plan = deploy_form.merge_branches(start, plan, context.progress)
    validation = read_split(given, allow_code=context.allow_code)
    metric, left = validation.task.score, config.float_layers
    float_score = ranks.run_on_first(validation.score, start)
    rounds: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        with arithmetic.deterministic_torch(context.seed, resolved.threads):
            started = _started(config, start, plan, left, given, context.progress)
        rows = None if ranks.rank() else validation.score_rows(started.model)
        before = 0.0 if rows is None else metric.value(rows)
        here = dataclasses.replace(context, checkpoints=context.checkpoints / f"round-{number}")
        history = _learned(config, started, start, plan, rows, resolved, given, here)
        after = ranks.run_on_first(validation.score, started.model)
        rounds.append({"float_layers": list(left), "post_training": before, "learned": after})
        worst = [row.layer for row in started.costs if row.layer not in left]
        if not _missed(config, metric, float_score, after) or len(worst) <= 2**number:
            break
        left = (*left, *worst[: 2**number])
        context.progress.note(f"{', '.join(left)} kept in float for the {metric.name}")
    for sentence in started.notes:
        context.progress.note(sentence)
    context.progress.note(
        f"{config.scheme}: {figure_text(metric, after)} on validation, float "
        f"{figure_text(metric, float_score)}, before learning {figure_text(metric, before)}"
    )
    plan = plan.model_copy(update={"edits": (*plan.edits, started.edit)})
    made = learner.write(started.model, plan, history, given, context)
    made[started.table] = context.folder / started.table
    about = {"scheme": config.scheme, "float_score": float_score, "rounds": rounds}
    about |= {"metric": metric.scale._asdict(), **started.summary}
    made[started.table].write_bytes(files.pretty_json(about))
    return made


def _started(
    config: QuantizeConfig,
    start: nn.Module,
    plan: Blueprint,
    left: tuple[str, ...],
    given: Given,
    progress: Progress,
) -> StartModel:
    """The model before it learns."""
    import torch

    from edgekd.learn import arrays
    from edgekd.learn import quantized_start

    data = arrays.draw_calibration(given, config.calibration_samples, config.views_seed)

    def batches() -> Iterator[Inputs]:
        for inputs, _ in data.batches(config.batch_size):
            yield tuple(map(torch.from_numpy, inputs))

    in_blocks = config.weights is not None
    make = quantized_start.start_blocks if in_blocks else quantized_start.start_int8
    try:
        return make(config, config.scheme, start, plan.interface, left, batches, progress)
    except ValueError as error:
        raise InputError(f"quantize: {error}") from error


def _learned(
    config: QuantizeConfig,
    started: StartModel,
    start: nn.Module,
    plan: Blueprint,
    rows: NDArray[np.float64] | None,
    resolved: Arithmetic,
    given: Given,
    context: Context,
) -> list[dict[str, float]]:
    """Train ``started.model`` in place; it stays what it was if it was better by more than chance.

    Args:
        rows: of its score on validation before; on the first rank alone.
    """
    from edgekd.learn import arrays
    from edgekd.learn import learner
    from edgekd.learn.assembly import connection
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.parallel import ranks
    from edgekd.learn.task_losses import find_soft_terms
    from edgekd.learn.training.batches import fit_batch

    if config.train is None:
        return []
    kept = {name: value.detach().clone() for name, value in started.model.state_dict().items()}
    samples = arrays.open_samples(given, config.views, config.views_seed)
    validation = read_split(given, allow_code=context.allow_code)
    terms = find_soft_terms(config.losses, validation.task)
    training = fit_batch(config.train, len(samples), context.progress.note)
    batch_size, epochs = training.batch_size, training.epochs
    size: dict[str, Any] = {"interface": plan.interface, "samples": len(samples), "epochs": epochs}
    connected = connection.connect_outputs(terms, batch_size, **size, allow_code=context.allow_code)
    history = learner.train(
        started.model,
        samples,
        connected.add_to_scheme(_scheme(config, start, resolved, given, context)),
        connected.terms,
        training,
        resolved,
        given,
        context,
        scored_in="fp32",
    )
    if ranks.run_on_first(
        lambda: rows is not None and validation.falls_behind(started.model, rows)
    ):
        started.model.load_state_dict(kept)
        context.progress.note("learning did not help; post-training calibration is kept")
    return history


def _scheme(
    config: QuantizeConfig, start: nn.Module, resolved: Arithmetic, given: Given, context: Context
) -> Scheme:
    from edgekd.learn import arithmetic
    from edgekd.learn.assembly.live_teacher import load_teacher
    from edgekd.learn.assembly.own_texts import open_own_texts
    from edgekd.learn.method import teacher as finished
    from edgekd.learn.schemes.offline import offline

    precision, tell = arithmetic.AUTOCAST[resolved.precision], []
    if "student" in config.teachers:
        tell.append(finished.run_teacher(start.to(arithmetic.choose_device()), precision))
    if "teacher" in config.teachers and config.knowledge == "stored":
        tell.append(finished.open_knowledge(given, "knowledge"))
    elif "teacher" in config.teachers:
        paths = given["teacher_blueprint"], given["teacher_weights"]
        teacher = load_teacher(*paths, allow_code=context.allow_code, sharded=config.sharded)
        tell.append(finished.run_teacher(teacher, precision))
        for own in open_own_texts(given, config.views, config.views_seed).values():
            tell[-1] = own.wrap(tell[-1])
    return offline(finished.combine_teachers(tell))


def _missed(config: QuantizeConfig, metric: Metric, float_score: float, score: float) -> bool:
    from edgekd.task import score_drop

    allowed = config.score_drop
    return allowed is not None and score_drop(metric, score, float_score) > allowed


PACKAGES = ("torch", "numpy", "scipy", "lightning-fabric", "safetensors")
STAGE = Stage("quantize", QuantizeConfig, run, packages=PACKAGES)
