"""Stage `tune`: in which arithmetic this machine trains a model; `auto` is measured once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
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

if TYPE_CHECKING:
    from edgekd.learn import arithmetic
    from edgekd.learn.blueprint import Blueprint

MANY_EPOCHS = 256
"""Of as many a trial of arithmetics is a small part, whatever the samples."""

CompileChoice = Literal["auto", "gpu"] | bool
"""Auto tries whether it pays, gpu does so where there is one: on a CPU it seldom does (benchmarks/compile)."""


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
    compile: CompileChoice = omit_default(False)
    """Whether its training pass is compiled."""
    compiler: str | None = omit_default(None)
    """What would compile it here; None if there is nothing."""


def run(config: TuneConfig, given: Given, context: Context) -> Made:
    """Give resolved.json: precision, channels_last, threads, compiler; and trial.json, what they were chosen by."""
    stated: dict[str, object] = {"threads": config.threads}
    if config.precision != "auto":
        stated["precision"] = config.precision
    if config.channels_last != "auto":
        stated["channels_last"] = config.channels_last
    if config.compile == "gpu":
        from edgekd.learn.arithmetic import choose_device

        choice = "auto" if choose_device().type == "cuda" else False
        config = config.model_copy(update={"compile": choice})
    tries = config.compile == "auto" and config.compiler is not None
    trial: arithmetic.Trial | None = None
    about: dict[str, object] = {}
    if tries or "auto" in (config.precision, config.channels_last):
        trial = _measure(config, given, context)
        stated = {**trial.arithmetic.model_dump(), **stated}
        about = {name: getattr(trial, name) for name in ("is_whole", "step_s", "took_s")}
    resolved = Arithmetic.model_validate({"precision": "fp32", "channels_last": False, **stated})
    if config.compile:
        resolved, about["compile"] = _choose_compiler(config, resolved, trial, given, context)
    made = {"resolved.json": resolved.model_dump(), "trial.json": about}
    for name, value in made.items():
        (context.folder / name).write_bytes(files.canonical_json(value))
    return {name: context.folder / name for name in made}


def _measure(config: TuneConfig, given: Given, context: Context) -> arithmetic.Trial:
    """Time the arithmetics that the recipe leaves open; the one that it states where it leaves none."""
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    plan = _plan(config, given, context)
    model = blueprint.build(plan, allow_code=context.allow_code)
    steps = None if config.epochs is None else _count_steps(config, given)
    stated = None
    if config.precision != "auto" and config.channels_last != "auto":
        stated = [(config.precision, config.channels_last)]
    trial = arithmetic.find_fastest(
        model, plan.interface, config.batch_size, config.threads, steps, stated
    )
    if stated is None:
        context.progress.note(_describe(config, trial))
    return trial


def _describe(config: TuneConfig, trial: arithmetic.Trial) -> str:
    best = trial.arithmetic
    order = "channels last" if best.channels_last else "channels first"
    if trial.is_whole:
        return f"{config.model} trains fastest in {best.precision}, {order}"
    return (
        f"{config.model} trains in {best.precision}, {order}, the default: its training is too short "
        "to try others first (precision and channels_last, in train, say them)"
    )


def _choose_compiler(
    config: TuneConfig,
    resolved: Arithmetic,
    trial: arithmetic.Trial | None,
    given: Given,
    context: Context,
) -> tuple[Arithmetic, dict[str, object]]:
    """The arithmetic with its compiler, if it is compiled, and why, or why not."""
    from edgekd.learn import arithmetic
    from edgekd.learn import compile_trial

    if config.compiler is None:
        reason = "this machine has no C++ compiler: install g++, or name one in CXX"
        context.progress.note(f"{config.model} trains without torch.compile: {reason}")
        return resolved, {"reason": reason}
    compiled = resolved.model_copy(update={"compiler": config.compiler})
    if config.compile is True or trial is None:
        return compiled, {"reason": "the recipe says so"}
    steps = _count_steps(config, given)
    allowed_s = arithmetic.SHARE * trial.step_s * steps - trial.took_s
    if not trial.is_whole or allowed_s < compile_trial.LEAST_S:
        return resolved, {"reason": f"its training is too short: {steps * trial.step_s:.0f} s"}
    plan = _plan(config, given, context)
    folder = files.make_folder(context.folder / "compile")
    code = context.allow_code
    tried = compile_trial.try_compiling(
        plan, config.batch_size, resolved, folder, allowed_s, allow_code=code
    )
    if isinstance(tried, str):
        context.progress.note(f"{config.model} trains without torch.compile: {tried}")
        return resolved, {"reason": tried}
    refusal = tried.explain_refusal(resolved.precision, steps)
    row = {**tried._asdict(), "steps": steps, "reason": refusal or "it pays"}
    ratio = tried.eager_s / tried.compiled_s
    context.progress.note(
        f"{config.model} trains without torch.compile: {refusal}"
        if refusal
        else f"{config.model} trains with torch.compile, {ratio:.2f} times as fast"
    )
    return (resolved if refusal else compiled), row


def _plan(config: TuneConfig, given: Given, context: Context) -> Blueprint:
    from edgekd.learn import learner

    return learner.make_blueprint(
        config.model, given["data"], config.input, allow_code=context.allow_code
    )


def _count_steps(config: TuneConfig, given: Given) -> int:
    """How many its training has, at least."""
    from edgekd import dataset

    batches = math.ceil(dataset.read(given["data"]).counts.get("train", 0) / config.batch_size)
    return (config.epochs or MANY_EPOCHS) * batches


STAGE = Stage("tune", TuneConfig, run, packages=("torch",), bound="host")
"""Precision, memory order, compilation and determinism of the training machine."""
