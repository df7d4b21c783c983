"""The steps that deploy and decide: export, compile, measure, choose, evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from edgekd.bench.candidate import Candidate
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.runtimes import RUNTIMES
from edgekd.stage import EVERY
from edgekd.stage import Step
from edgekd.stages import choose
from edgekd.stages import compile as compile_stage
from edgekd.stages import evaluate
from edgekd.stages import export
from edgekd.stages import measure

MODELS: tuple[Literal["student", "teacher"], ...] = ("student", "teacher")
REFERENCE_PRECISIONS: tuple[Literal["fp32"], ...] = ("fp32",)
"""The teacher is compiled and measured in this alone, as the line to compare with."""


def steps(recipe: Recipe, student: str) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        student: label of the step that makes the finished student.
    """
    everyone = tuple(candidates(recipe))
    for model, maker in (("student", student), ("teacher", "teacher")):
        takes = {**wiring.model(maker), **wiring.splits("validation")}
        yield Step(f"export-{model}", export.STAGE, recipe.export, takes, recipe.seed)
    for one in everyone:
        config = compile_stage.Config(runtime=one.runtime, precision=one.precision)
        exported = {"model": (f"export-{one.model}", "model.onnx")}
        yield Step(f"compile-{one.name}", compile_stage.STAGE, config, exported)
    engines = {one.name: (f"compile-{one.name}", EVERY) for one in everyone}
    yield _measure(recipe, everyone, engines)
    yield _choose(recipe, student)
    yield _evaluate(everyone, engines, student)


def candidates(recipe: Recipe) -> Iterator[Candidate]:
    """What is measured: the student in every asked precision, the teacher as a reference."""
    for model in MODELS:
        for target in recipe.targets:
            offered = RUNTIMES[target.runtime].known_precisions
            asked = offered if target.precision == "auto" else target.precision
            for precision in asked if model == "student" else REFERENCE_PRECISIONS:
                yield Candidate(
                    name=f"{model}-{target.runtime}-{precision}",
                    model=model,
                    runtime=target.runtime,
                    precision=precision,
                    threads=target.threads,
                )


def _measure(recipe: Recipe, everyone: tuple[Candidate, ...], engines: wiring.Takes) -> Step:
    golden = {f"{m}/golden": (f"export-{m}", "golden.safetensors") for m in MODELS}
    config = measure.Config(
        candidates=everyone, measure=recipe.measure, tolerance=recipe.export.tolerance
    )
    takes = {**wiring.splits("validation"), **golden, **engines}
    return Step("measure", measure.STAGE, config, takes)


def _choose(recipe: Recipe, student: str) -> Step:
    takes = {
        "rows": ("measure", "rows.json"),
        "teacher_score": ("teacher", "score.json"),
        "student_score": (student, "score.json"),
    }
    return Step("choose", choose.STAGE, recipe.budget, takes)


def _evaluate(everyone: tuple[Candidate, ...], engines: wiring.Takes, student: str) -> Step:
    makers = {"teacher": "teacher", "control": "control", "student": student}
    takes = {**wiring.splits("test"), **engines, "rows": ("measure", "rows.json")}
    for role, label in makers.items():
        takes |= wiring.model(label, prefix=f"{role}_")
    return Step("evaluate", evaluate.STAGE, evaluate.Config(candidates=everyone), takes)
