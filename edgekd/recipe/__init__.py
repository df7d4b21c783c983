"""What a recipe is: one frozen, typed value that says all of a run and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any

from pydantic import Field
from pydantic import ValidationError

from edgekd.bench.budget import Budget
from edgekd.learn import task_fit
from edgekd.learn.data import SOURCES
from edgekd.learn.knowledge_settings import RecipeKnowledge
from edgekd.learn.settings import Losses
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.recipe import agreement
from edgekd.recipe import beginning
from edgekd.recipe import canonical
from edgekd.recipe import decoding
from edgekd.recipe import json_schema
from edgekd.recipe import own_texts
from edgekd.recipe import privacy
from edgekd.recipe import problems
from edgekd.recipe import teachers
from edgekd.recipe import text as recipe_text
from edgekd.recipe import usual_losses
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import Teacher
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import resolve_steps
from edgekd.recipe.target import Targets
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stages.data import DataSettings as Data
from edgekd.stages.data import TaskName
from edgekd.stages.explain import ExplainSettings as Explain
from edgekd.stages.export import ExportSettings as Export
from edgekd.stages.measure import MeasureSettings
from edgekd.stages.synthesize import SynthesizeConfig as Synthesis
from edgekd.tasks import BUILT_IN
from edgekd.tasks import DEFAULT_TASK

TeacherName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""No dash, which the names of steps have."""


class Recipe(Settings):
    """All of a run: from the data to the budget the chosen candidate has to meet."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """Names the run's folder: small letters, digits, dot, dash, underscore."""
    seed: Whole = 0
    """Randomness of the split, the views, the teacher and the measurement's samples."""
    student_seed: Whole = 0
    """Randomness of the student and its control: their first weights and their epochs' order."""
    task: TaskName = omit_default(DEFAULT_TASK)
    """What is asked of every sample: a name of `edgekd tasks`, or ``python:package.module:TASK``."""
    data: Data
    """Which samples, and how they are split."""
    views: Views = Views()
    """Augmentation of the training split."""
    knowledge: RecipeKnowledge | None = omit_default(None)
    """How teachers' answers are stored where they are; None is every value in float32."""
    teacher: Teacher | None = None
    """The large model; none where no step, loss or scheme asks for one. The student is then compared with what it
    began with."""
    teachers: dict[TeacherName, Teacher] = omit_default({})
    """Further large models, which steps of learning name beside ``teacher``."""
    synthesis: Synthesis | None = omit_default(None)
    """Images made from the teacher, from which the student then learns instead of the training split."""
    student: Student
    """The small model."""
    control: bool = omit_default(True)
    """Whether the student's network is trained without a teacher as well, to tell what teaching brings."""
    learn: Annotated[tuple[LearnStep, ...], Field(strict=False)] = ()
    """What the student goes through, in order; a student with weights may begin with any step, or have none."""
    explain: Explain = Explain()
    """How closely is looked at what the student learned."""
    export: Export = Export()
    """How the models become ONNX."""
    targets: Targets
    """The engines to compile for and measure."""
    measure: MeasureSettings = MeasureSettings()
    """How long and how often is measured."""
    budget: Budget = Budget()
    """What the chosen candidate has to meet."""

    @property
    def steps(self) -> tuple[LearningStep, ...]:
        """The steps of learning by name, with all that ``learn`` leaves unsaid."""
        return resolve_steps(
            self.learn,
            self.student,
            has_teacher=self.teacher is not None,
            synthesizes=self.synthesis is not None,
            lengths_vary=self.answers_tokens,
            stores_places=self.knowledge is not None,
            own_texts={name for name, each in self.named_teachers.items() if each.texts},
        )

    @property
    def answers_tokens(self) -> bool:
        """Whether a model of the task answers to every token of a text."""
        entry = BUILT_IN.get(self.task)
        return entry is not None and entry.lengths_vary

    def settle_knowledge(self, said: Mapping[recipe_text.Key, str]) -> Recipe:
        """Return the recipe whose steps say, by their keys, whether their teachers' answers are stored or online."""
        learn = list(self.learn)
        for (_, number, *recover), word in said.items():
            words: Any = learn[int(number)]
            change: dict[str, Any] = {"knowledge": word}
            if recover:
                change = {"recover": words.recover.model_copy(update=change)}
            learn[int(number)] = words.model_copy(update=change)
        return self.model_copy(update={"learn": tuple(learn)})

    @property
    def answering_file(self) -> str | None:
        """The user's model file whose answers stand for labels, relative to the recipe; None where there are labels, or
        no such file."""
        entry = BUILT_IN.get(self.task)
        if entry is None or not entry.from_answers:
            return None
        who: tuple[Teacher | Student | None, ...] = (self.teacher, self.student)
        return next((each.weights for each in who if each is not None and each.is_file), None)

    @property
    def keyed_teachers(self) -> dict[recipe_text.Key, Teacher]:
        """All teachers by their keys: ``("teacher",)``, ``("teachers", "wide")``; empty where there is none."""
        found: dict[recipe_text.Key, Teacher] = {}
        if self.teacher is not None:
            found[THE_TEACHER] = self.teacher
        return found | {("teachers", name): each for name, each in self.teachers.items()}

    @property
    def named_teachers(self) -> dict[str, Teacher]:
        """The same by the names that steps call them: ``teacher``, ``wide``."""
        return {str(key[-1]): teacher for key, teacher in self.keyed_teachers.items()}


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML or TOML file.

    Args:
        path: the file.
        overrides: ``student.train.epochs=3``; values are YAML, they count over the file's.

    Raises:
        InputError: one line with file, line, key and what is wrong there.
    """
    return _complete(recipe_text.read(path), path, overrides)


def load_mapping(
    value: Mapping[str, Any], folder: Path = Path(), overrides: Sequence[str] = ()
) -> Recipe:
    """The recipe in a mapping, as `load` gives that of a file with the same keys and values.

    Args:
        value: of plain values: mappings, lists, text, numbers, booleans and None.
        folder: what its files are relative to.
        overrides: as `load` takes them.

    Raises:
        InputError: as `load`; ``recipe`` stands for the file.
    """
    document = recipe_text.from_value(value, "recipe")
    return _complete(document, folder / "recipe", overrides)


def _complete(document: recipe_text.ParsedRecipe, path: Path, overrides: Sequence[str]) -> Recipe:
    if isinstance(document.value, dict):  # so that ``targets.0.threads`` has its place, too
        document = canonical.to_canonical(document, Recipe)
    document = recipe_text.override(document, overrides)
    recipe = validate(document)
    for key, weights in weights_paths(recipe, path).items():
        if not os.path.isfile(weights):  # noqa: PTH113  (is_file can raise)
            written = recipe_text.shorten(repr(os.path.relpath(weights, path.parent)), 60)
            message = f"got {written}, want a file (relative to the recipe)"
            raise recipe_text.input_error(recipe_text.place_of(document, key), key, message)
    return recipe


def validate(document: recipe_text.ParsedRecipe) -> Recipe:
    """Validate a document as a typed recipe; files that it names need not exist.

    Raises:
        InputError: as `load`.
    """
    if not isinstance(document.value, dict):
        raise recipe_text.input_error(document.places[()], (), "got no mapping, want a recipe")
    document = usual_losses.add_usual_losses(canonical.to_canonical(document, Recipe))
    try:
        recipe = Recipe.model_validate(document.value)
    except ValidationError as error:
        raise problems.describe_error(error, document, Recipe) from error
    ends = task_fit.read_ends(recipe.task)
    export = recipe.export
    said = export.opset if "opset" in export.model_fields_set else None
    steps = recipe.steps
    fault = agreement.find_fault(steps, recipe.targets, recipe.views, said)
    fault = fault or beginning.find_fault(
        steps, recipe.named_teachers, recipe.student, synthesizes=recipe.synthesis is not None
    )
    fault = fault or teachers.find_fault(steps, recipe.keyed_teachers, recipe.student)
    fault = fault or own_texts.find_fault(
        steps,
        recipe.keyed_teachers,
        recipe.data.source,
        answers_tokens=recipe.answers_tokens,
        synthesizes=recipe.synthesis is not None,
        limits_sizes=recipe.budget.speedup is not None and bool(recipe.measure.sizes),
    )
    fault = fault or agreement.find_head_misfit(_models(recipe))
    fault = fault or privacy.find_fault(steps, recipe.student, recipe.views)
    fault = fault or agreement.find_knowledge_fault(recipe.knowledge, steps, ends)
    if ends is not None:
        ends = ends._replace(inputs=_input_kinds(recipe, ends))
        fault = fault or agreement.find_source_misfit(recipe.data.source, ends)
        fault = fault or agreement.find_misfit(steps, _losses_alone(recipe), ends)
        if recipe.synthesis is not None:
            fault = fault or agreement.find_synthesis_misfit(recipe.synthesis.method, ends)
        fault = fault or agreement.find_model_misfit(_models(recipe), ends)
        fault = fault or agreement.find_idle_view(_views(recipe), ends)
        fault = fault or agreement.find_budget_fault(recipe.budget, ends)
        fault = fault or agreement.find_size_fault(recipe.measure.sizes, recipe.data.source, ends)
        fault = fault or decoding.find_rate_fault(recipe.measure.sizes, recipe.budget)
    if fault is not None:
        key, message = fault
        raise recipe_text.input_error(recipe_text.place_of(document, key), key, message)
    return recipe


def _losses_alone(recipe: Recipe) -> dict[recipe_text.Key, Losses]:
    """Losses of what learns from labels, by their keys: the teachers that are trained here and the control."""
    each: dict[recipe_text.Key, Teacher | Student] = {**recipe.keyed_teachers}
    each["student",] = recipe.student
    return {(*key, "losses"): who.losses for key, who in each.items()}


def _input_kinds(recipe: Recipe, ends: task_fit.TaskEnds) -> tuple[str, ...]:
    """Kinds of the fields that a model takes; empty where only the user's files or code say it."""
    source = SOURCES[recipe.data.source.name]
    given = tuple(kind for name, kind in source.gives.items() if name not in ends.targets)
    return given or source.inputs


def _models(recipe: Recipe) -> dict[recipe_text.Key, NamedMember]:
    """All that is built, by its keys."""
    each: dict[recipe_text.Key, Teacher | Student] = {**recipe.keyed_teachers}
    each["student",] = recipe.student
    return {(*key, "model"): who.model for key, who in each.items()}


def _views(recipe: Recipe) -> dict[recipe_text.Key, Views]:
    """All that a recipe says of views, by their keys."""
    found: dict[recipe_text.Key, Views] = {("views",): recipe.views}
    every = recipe.keyed_teachers
    return found | {(*key, "views"): who.views for key, who in every.items() if who.views}


def weights_paths(recipe: Recipe, path: Path) -> dict[recipe_text.Key, Path]:
    """The weights that `path`, the recipe's file, names, by their keys; of those trained here none."""
    each: dict[recipe_text.Key, Teacher | Student] = {**recipe.keyed_teachers}
    each["student",] = recipe.student
    return {(*k, "weights"): path.parent / who.weights for k, who in each.items() if who.weights}


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a recipe, for editors: names and their knobs included."""
    return json_schema.make_schema(Recipe)
