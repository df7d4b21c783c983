"""From a recipe to the list of steps that carries it out; nothing runs here."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Literal

from edgekd import files
from edgekd.bench import fingerprint
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.settings import Training
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.runtimes import RUNTIMES
from edgekd.stage import EVERY
from edgekd.stage import Step
from edgekd.stage import package_version
from edgekd.stages import bundle
from edgekd.stages import choose
from edgekd.stages import compile as compile_stage
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.stages import evaluate
from edgekd.stages import export
from edgekd.stages import knowledge
from edgekd.stages import load
from edgekd.stages import measure
from edgekd.stages import report
from edgekd.stages import train
from edgekd.stages import tune
from edgekd.store import Entry
from edgekd.table import Named

SPLITS = ("train", "validation", "test")
MODELS: tuple[Literal["student", "teacher"], ...] = ("student", "teacher")
REFERENCE_PRECISIONS = ("fp32",)
"""The teacher is compiled and measured in this alone, as the line to compare with."""


def steps(recipe: Recipe, recipe_folder: Path, options: Options) -> tuple[Step, ...]:
    """Every step from the data to the test set, in order; bundle and report come after the choice.

    Raises:
        InputError: if the recipe names code without leave to run it, or files that are not there.
        MachineError: if an engine or torch is missing.
    """
    want_allowed(recipe, options)
    want_installed(recipe)
    learning = (*_data(recipe, options), *_learn(recipe, recipe_folder))
    student = learning[-1].label
    return (*learning, *_deploy(recipe, student), *_decide(recipe, student))


def want_allowed(recipe: Recipe, options: Options) -> None:
    """Refuse a user's own code unless the user said it may run.

    Raises:
        InputError: naming the key and the reference.
    """
    named = {
        "data.source": recipe.data.source,
        "teacher.model": recipe.teacher.model,
        "student.model": recipe.student.model,
    }
    for key, member in named.items():
        if member.name == "python" and not options.allow_code:
            raise InputError(
                f"{key}: got {member}, which runs your own code, want leave to run it",
                hint="add --allow-code",
            )


def want_installed(recipe: Recipe) -> None:
    """Refuse now what would fail for lack of a package later.

    Raises:
        MachineError: naming the package and the line that installs it.
    """
    needs = {"torch": "learn", "lightning-fabric": "learn", "onnxscript": "learn"}
    for target in recipe.targets:
        needs[RUNTIMES[target.runtime].distribution] = RUNTIMES[target.runtime].extra
    for distribution, extra in needs.items():
        if package_version(distribution) is None:
            raise MachineError(
                f"{distribution}: is not installed", hint=f"pip install 'edgekd[{extra}]'"
            )


def threads(training: Training) -> int:
    """The threads a training run uses: the recipe's, else every core this process may use."""
    return training.threads or len(os.sched_getaffinity(0))


def _data(recipe: Recipe, options: Options) -> Iterator[Step]:
    yield Step(
        "data",
        data.STAGE,
        recipe.data,
        {},
        recipe.seed,
        origin=functools.partial(
            data.origin,
            recipe.data,
            data_dir=options.data_dir,
            allow_code=options.allow_code,
            allow_download=options.allow_download,
            cache=options.store / "digests.json",
        ),
    )


def _learn(recipe: Recipe, folder: Path) -> Iterator[Step]:
    teacher, student = recipe.teacher, recipe.student
    yield _tune("tune-teacher", teacher.model, teacher.train)
    yield _tune("tune-student", student.model, student.train)
    if teacher.weights is None:
        yield _train("teacher", recipe, "tune-teacher", recipe.seed)
    else:
        weights = folder / teacher.weights
        yield Step(
            "teacher",
            load.STAGE,
            load.Config(model=teacher.model, file_name=weights.name),
            _splits("validation"),
            external={"user_weights": weights},
        )
    yield _train("control", recipe, "tune-student", recipe.student_seed)
    if any(step.knowledge == "stored" for step in recipe.learn):
        yield Step(
            "knowledge",
            knowledge.STAGE,
            knowledge.Config(views=recipe.views, views_seed=recipe.seed),
            {
                **_splits("train"),
                **_model("teacher"),
                "resolved": ("tune-teacher", "resolved.json"),
            },
        )
    yield from _distil(recipe)


def _tune(label: str, model: Named, training: Training) -> Step:
    config = tune.Config(
        model=model,
        batch_size=training.batch_size,
        precision=training.precision,
        channels_last=training.channels_last,
        threads=threads(training),
    )
    return Step(label, tune.STAGE, config, {"data": ("data", "data.json")})


def _train(label: str, recipe: Recipe, tuned: str, seed: int) -> Step:
    who = recipe.teacher if label == "teacher" else recipe.student
    views = (recipe.teacher.views if label == "teacher" else None) or recipe.views
    config = train.Config(
        model=who.model,
        losses=who.losses,
        train=who.train,
        views=views,
        views_seed=recipe.seed,
    )
    takes = {**_splits("train", "validation"), "resolved": (tuned, "resolved.json")}
    return Step(label, train.STAGE, config, takes, seed)


def _distil(recipe: Recipe) -> Iterator[Step]:
    before: str | None = None
    for number, step in enumerate(recipe.learn, 1):
        label = "distil" if len(recipe.learn) == 1 else f"distil-{number}"
        config = distil.Config(
            model=recipe.student.model,
            losses=step.losses,
            knowledge=step.knowledge,
            train=step.train or recipe.student.train,
            views=recipe.views,
            views_seed=recipe.seed,
        )
        takes = {
            **_splits("train", "validation"),
            "resolved": ("tune-student", "resolved.json"),
        }
        if step.knowledge == "stored":
            takes["knowledge"] = ("knowledge", "knowledge.npy")
        else:
            takes |= _model("teacher", prefix="teacher_")
        if before is not None:
            takes["start_weights"] = (before, "weights.safetensors")
        yield Step(label, distil.STAGE, config, takes, recipe.student_seed)
        before = label


def _deploy(recipe: Recipe, student: str) -> Iterator[Step]:
    config = export.Config(
        opset=recipe.export.opset,
        golden=recipe.export.golden,
        tolerance=recipe.export.tolerance,
    )
    for model, maker in (("student", student), ("teacher", "teacher")):
        takes = {**_model(maker), **_splits("validation")}
        yield Step(f"export-{model}", export.STAGE, config, takes, recipe.seed)
    for subject in subjects(recipe):
        yield Step(
            f"compile-{subject.name}",
            compile_stage.STAGE,
            compile_stage.Config(runtime=subject.runtime, precision=subject.precision),
            {"model": (f"export-{subject.model}", "model.onnx")},
        )


def subjects(recipe: Recipe) -> tuple[measure.Subject, ...]:
    """What is compiled and measured: the student in every asked precision, the teacher in one."""
    found = []
    for model in MODELS:
        for target in recipe.targets:
            offered = RUNTIMES[target.runtime].known_precisions
            asked = offered if target.precision == "auto" else target.precision
            for precision in asked if model == "student" else REFERENCE_PRECISIONS:
                found.append(
                    measure.Subject(
                        name=f"{model}-{target.runtime}-{precision}",
                        model=model,
                        runtime=target.runtime,
                        precision=precision,
                        threads=target.threads,
                    )
                )
    return tuple(found)


def _decide(recipe: Recipe, student: str) -> Iterator[Step]:
    chosen = subjects(recipe)
    engines = {subject.name: (f"compile-{subject.name}", EVERY) for subject in chosen}
    golden = {f"{m}/golden": (f"export-{m}", "golden.safetensors") for m in ("student", "teacher")}
    yield Step(
        "measure",
        measure.STAGE,
        measure.Config(subjects=chosen, measure=recipe.measure),
        {**_splits("validation"), **golden, **engines},
    )
    scores = {
        "teacher_score": ("teacher", "score.json"),
        "student_score": (student, "score.json"),
    }
    yield Step("choose", choose.STAGE, recipe.budget, {"rows": ("measure", "rows.json"), **scores})
    models = {
        **_model("teacher", prefix="teacher_"),
        **_model("control", prefix="control_"),
        **_model(student, prefix="student_"),
    }
    yield Step(
        "evaluate",
        evaluate.STAGE,
        evaluate.Config(subjects=chosen),
        {**_splits("test"), **models, **engines, "rows": ("measure", "rows.json")},
    )


def _splits(*names: str) -> dict[str, tuple[str, str]]:
    """The arrays of the named splits, and what describes them."""
    arrays = [f"{name}_{what}" for name in names for what in ("images", "labels")]
    return {"data": ("data", "data.json")} | {name: ("data", name) for name in arrays}


def _model(label: str, prefix: str = "") -> dict[str, tuple[str, str]]:
    """A trained model's two files."""
    return {
        f"{prefix}blueprint": (label, "blueprint.json"),
        f"{prefix}weights": (label, "weights.safetensors"),
    }


def closing_steps(
    recipe: Recipe, before: tuple[Step, ...], entries: Mapping[str, Entry], *, bundled: bool
) -> tuple[Step, ...]:
    """What ends a run: the bundle, if a candidate was chosen, and the report.

    Args:
        recipe: what is carried out.
        before: the steps of `steps`.
        entries: their results by label.
        bundled: whether a candidate was chosen.
    """
    told = {
        "data": ("data", "data.json"),
        "rows": ("measure", "rows.json"),
        "choice": ("choose", "choice.json"),
        "test": ("evaluate", "test.json"),
    }
    student = [step.label for step in before if step.stage is distil.STAGE][-1]
    makers = {"teacher": "teacher", "control": "control", "student": student}
    learned = {
        f"{role}_{what}": (maker, f"{what}.json")
        for role, maker in makers.items()
        for what in ("score", "history")
    }
    report_step = Step(
        "report",
        report.STAGE,
        report.Config(
            recipe=recipe.name,
            recipe_digest=files.digest_bytes(files.canonical_json(recipe.model_dump(mode="json"))),
            models={
                "teacher": str(recipe.teacher.model),
                "control": str(recipe.student.model),
                "student": str(recipe.student.model),
            },
            lineage={label: _traced(entry) for label, entry in entries.items()},
            environment=_environment(recipe),
        ),
        {**told, **learned},
    )
    if not bundled:
        return (report_step,)
    exported = {
        "model": ("export-student", "model.onnx"),
        "golden": ("export-student", "golden.safetensors"),
        "parity": ("export-student", "parity.json"),
    }
    config = bundle.Config(
        name=recipe.name, lineage={label: entry.key for label, entry in entries.items()}
    )
    return (Step("bundle", bundle.STAGE, config, {**told, **exported}), report_step)


def _traced(entry: Entry) -> dict[str, Any]:
    return {"key": entry.key, "files": {name: b.sha256 for name, b in entry.files.items()}}


def _environment(recipe: Recipe) -> dict[str, Any]:
    """The measuring machine and the versions that matter."""
    facts = {k: v for k, v in fingerprint.host_facts().items() if k != "flags"}
    engines = {RUNTIMES[target.runtime].distribution for target in recipe.targets}
    versions = {name: package_version(name) for name in sorted(engines | {"torch", "onnx"})}
    return {**facts, "fingerprint": fingerprint.key(), "versions": versions}
