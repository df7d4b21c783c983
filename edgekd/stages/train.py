"""Stage `train`: a model learns from labels alone; teachers and controls are made so."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

from pydantic import Field

from edgekd.learn.loading import load_torch
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import OptionalLosses
from edgekd.learn.settings import Training
from edgekd.learn.view_settings import Views
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.units import number_text


class TrainConfig(Settings):
    """The model, views and training."""

    model: ModelName
    losses: OptionalLosses
    train: Training
    views: Views
    norm: Literal["batch", "group"] = omit_default("batch")
    """Group norms may stand where the model has batch norms."""
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's."""
    views_seed: Whole
    """Seed of the views; the same for teacher, control and student, so that all see the same."""
    waypoints: Whole = omit_default(0)
    """How many states on its way are kept for students that follow it."""
    only: Annotated[tuple[str, ...], Field(strict=False)] = omit_default(())
    """Classes that it is trained on, by name; none is all."""
    counts_unlabelled: bool = omit_default(False)
    """Whether samples without a label, which it does not see, count in the length of its epochs: then it takes as many
    steps as who learns from all samples."""


def run(config: TrainConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json, score.json, and a file a waypoint.

    With the inputs `start_blueprint` and `start_weights` it goes on from that model, else it starts afresh.
    """
    load_torch()
    import torch

    from edgekd.learn import arrays
    from edgekd.learn import blueprint
    from edgekd.learn import learner
    from edgekd.learn import weights
    from edgekd.learn.assembly import connection
    from edgekd.learn.data import classes
    from edgekd.learn.schemes.labels_only import learn_from_labels
    from edgekd.learn.task_losses import find_label_terms
    from edgekd.learn.training.batches import fit_batch
    from edgekd.tasks import load_task

    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    every = arrays.open_samples(given, config.views, config.views_seed, config.only)
    samples, training = classes.restrict_labelled(every), config.train
    if len(samples) < len(every):
        context.progress.note(f"{len(samples)} of {number_text(len(every), 'sample')} have a label")
        if config.counts_unlabelled:
            epochs = round(training.epochs * len(every) / len(samples))
            training = training.model_copy(update={"epochs": epochs})
    training = fit_batch(training, len(samples), context.progress.note)
    task = load_task(samples.dataset.task, allow_code=context.allow_code)
    if start := given.get("start_blueprint"):
        plan = blueprint.read(start)
    else:
        plan = learner.make_blueprint(
            config.model,
            given["data"],
            config.input,
            norm=config.norm,
            allow_code=context.allow_code,
        )
    torch.manual_seed(context.seed)
    model = blueprint.build(plan, allow_code=context.allow_code)
    if "start_weights" in given:
        before = weights.read(given["start_weights"], suffix=".safetensors")
        weights.load_into(model, before, "the step before")
    connected = connection.connect_outputs(
        find_label_terms(config.losses, task),
        training.batch_size,
        samples=len(samples),
        interface=plan.interface,
        allow_code=context.allow_code,
    )
    history = learner.train(
        model,
        samples,
        connected.add_to_scheme(learn_from_labels()),
        connected.terms,
        training,
        resolved,
        given,
        context,
        waypoints=config.waypoints,
    )
    made = learner.write(model, plan, history, given, context)
    names = [learner.waypoint_file(number + 1) for number in range(config.waypoints)]
    made |= {name: context.folder / name for name in names}
    return made


STAGE = Stage(
    "train",
    TrainConfig,
    run,
    packages=("torch", "numpy", "scipy", "lightning-fabric", "safetensors"),
)
