"""The steps that deploy and decide: export, compile, measure, choose, evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Literal

from edgekd.bench import sized_calls
from edgekd.bench.candidate import Candidate
from edgekd.bench.candidate import name_export
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.roles import find_reference
from edgekd.device import Device
from edgekd.interface import NEXT_TOKENS
from edgekd.learn import task_fit
from edgekd.plan import origins
from edgekd.plan import own_texts
from edgekd.plan import profiles
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.plan import wiring
from edgekd.profile import QUANTIZED
from edgekd.profile import stored_precision
from edgekd.recipe import Recipe
from edgekd.recipe import quantization
from edgekd.runtimes import RUNTIMES
from edgekd.stage import EVERY
from edgekd.stage import Step
from edgekd.stages import choose
from edgekd.stages import compile as compile_stage
from edgekd.stages import evaluate
from edgekd.stages import export
from edgekd.stages import load
from edgekd.stages import measure

REFERENCE_PRECISIONS: tuple[Literal["fp32"], ...] = ("fp32",)
"""The teacher, or what the run began with, is compiled and measured in this alone, as the line to compare with."""


def steps(recipe: Recipe, profiles_of: Mapping[str, str], device: Device) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        profiles_of: the profile of each runtime that gets a quantized student.
        device: the one that measures.
    """
    everyone = tuple(candidates(recipe, profiles_of))
    options = {target.runtime: target.options() for target in recipe.targets}
    yield from _exports(recipe, profiles.all_profiles(recipe, profiles_of))
    for one in everyone:
        maker = roles.measured_labels(recipe)[one.model]
        config = compile_stage.CompileConfig(
            runtime=one.runtime,
            precision=one.precision,
            options=options[one.runtime],
            as_it_is=not one.profile and maker in roles.file_labels(recipe),
        )
        exported = {"model": (f"export-{one.exported}", name_file(recipe, one.runtime, maker))}
        origin = origins.of_engines((one.runtime,), device)
        yield Step(f"compile-{one.name}", compile_stage.STAGE, config, exported, origin=origin)
    behind = origins.of_engines(options, device)
    engines = {one.name: (f"compile-{one.name}", EVERY) for one in everyone}
    yield _measure(recipe, everyone, engines)._replace(origin=behind)
    yield _choose(recipe)
    yield _evaluate(recipe, everyone, engines)._replace(origin=behind)


def name_file(recipe: Recipe, runtime: str, maker: str) -> str:
    """Name the file of an export that an engine is compiled from: a decoder may have one of fused operators.

    Args:
        recipe: its task.
        runtime: the engine.
        maker: label of the step that made the model.
    """
    fuses = runtime in RUNTIMES and RUNTIMES[runtime].fuses_decoders
    is_file = maker in roles.file_labels(recipe)
    ends = task_fit.read_ends(recipe.task)
    writes = ends is not None and NEXT_TOKENS in ends.targets
    return export.FUSED if writes and fuses and not is_file else "model.onnx"


def describe_caches(recipe: Recipe) -> dict[str, str]:
    """By engine and precision of a decoder that will be measured, what keys and values of earlier tokens are asked to be kept
    in; nothing of other tasks."""
    ends = task_fit.read_ends(recipe.task)
    if ends is None or NEXT_TOKENS not in ends.targets:
        return {}
    rounded = quantization.quantized_precision(recipe.steps)
    return {
        f"{target.runtime} {precision}": RUNTIMES[target.runtime].caches.get(precision, "f32")
        for target in recipe.targets
        for precision in target.precisions()
        if precision not in QUANTIZED or stored_precision(precision) == rounded
    }


def candidates(recipe: Recipe, profiles_of: Mapping[str, str]) -> Iterator[Candidate]:
    """Yield what is measured: the student in every asked precision, and what it is compared with.

    Args:
        recipe: its targets.
        profiles_of: by runtime; one that has none runs in float alone, unless the file was quantized before.
    """
    rounded = quantization.quantized_precision(recipe.steps)
    for model in roles.measured_labels(recipe):
        for target in recipe.targets:
            profile = profiles_of.get(target.runtime)
            asked = target.precisions() if model == STUDENT else REFERENCE_PRECISIONS
            for precision in asked:
                stored = stored_precision(precision)
                mine = profile if stored == rounded else None
                as_it_is = stored == roles.INT8 and roles.is_quantized_file(recipe)
                if precision in QUANTIZED and mine is None and not as_it_is:
                    continue
                yield Candidate(
                    name=f"{model}-{target.runtime}-{precision}",
                    model=model,
                    runtime=target.runtime,
                    precision=precision,
                    profile=mine or "",
                    threads=target.threads,
                )


def _exports(recipe: Recipe, wanted: Sequence[str]) -> Iterator[Step]:
    """The float models, and the quantized student once a profile."""
    makers = [(str(model), "", label) for model, label in roles.measured_labels(recipe).items()]
    makers += [(STUDENT, profile, student.quantize_label(profile)) for profile in wanted]
    for model, profile, maker in makers:
        words = recipe.export.model_dump()
        if profile:
            words["opset"] = max(recipe.export.opset, quantization.least_opset(recipe.steps))
        splits = own_texts.take_splits(recipe, model, "validation")
        takes = {**wiring.model_inputs(maker), **splits}
        if not profile and maker in roles.file_labels(recipe):
            takes[export.USER_MODEL] = (maker, load.MODEL)
        config = export.ExportConfig(
            **words, profile=profile, sizes=sized_calls.plain_sizes(recipe.measure.sizes)
        )
        yield Step(
            f"export-{name_export(model, profile)}", export.STAGE, config, takes, recipe.seed
        )


def _measure(recipe: Recipe, everyone: tuple[Candidate, ...], engines: wiring.Takes) -> Step:
    golden: wiring.Takes = {f"{STUDENT}/golden": (f"export-{STUDENT}", "golden.safetensors")}
    for one in everyone:
        golden[f"{one.exported}/golden"] = (f"export-{one.exported}", "golden.safetensors")
        golden[f"{one.exported}/parity"] = (f"export-{one.exported}", "parity.json")
    config = measure.MeasureConfig(
        candidates=everyone, measure=recipe.measure, tolerance=recipe.export.tolerance
    )
    beside = own_texts.take_beside(recipe, TEACHER, "validation")
    takes = {**wiring.split_inputs("validation"), **beside, **golden, **engines}
    return Step("measure", measure.STAGE, config, takes)


def _choose(recipe: Recipe) -> Step:
    labels = roles.role_labels(recipe)
    takes = {
        "rows": ("measure", "rows.json"),
        "reference_score": (labels[find_reference(labels)], "score.json"),
    }
    if roles.LOADED in roles.file_labels(recipe):
        takes[choose.IMPORT] = (roles.LOADED, load.IMPORT)
    return Step("choose", choose.STAGE, recipe.budget, takes)


def _evaluate(recipe: Recipe, everyone: tuple[Candidate, ...], engines: wiring.Takes) -> Step:
    makers = roles.role_labels(recipe)
    rounded = [student.quantize_label(one.profile) for one in everyone if one.profile]
    makers |= {label: label for label in rounded}
    takes = {**wiring.split_inputs("test"), **engines, "rows": ("measure", "rows.json")}
    takes |= own_texts.take_beside(recipe, TEACHER, "test")
    takes["choice"] = ("choose", "choice.json")
    for role, label in makers.items():
        takes |= wiring.model_inputs(label, prefix=f"{role}_")
    return Step("evaluate", evaluate.STAGE, evaluate.EvaluateConfig(candidates=everyone), takes)
