"""Stage `explain`: what the student learned from its teacher, or became of what it began with, and what it did not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import Field

from edgekd import files
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import ROLES
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.roles import find_reference
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import take_own
from edgekd.units import percent_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.learn.compared_answers import ComparedAnswers
    from edgekd.learn.evaluation import EvaluationSplit

SAMPLES = "samples.json"
FILES = ("explain.json", "disagreements.npy", "disagreements.csv", SAMPLES)
"""What it makes."""
WHOLE = "whole"
"""The student of all terms, in an ablation: the inputs ``whole_blueprint`` and ``whole_weights``."""
WITHOUT = "without/"
"""Before the term a student did without: ``without/kd_blueprint`` and ``without/kd_weights``."""
WEIGHTS = "_weights"
NO_RIGHT_SAMPLES = "Corrected and lost samples are left out: they need a score that is the share of right samples; {} is none."
NO_CLASSES = (
    "Calibration, confusions and gains by class are left out: they need an output of logits [N, C] whose target is "
    "one class a sample."
)
NO_COMPARISON = "Nothing is compared: the run began with the float student that it ended with."
OTHER_TOKENS = "The teacher is left out: it answers to the tokens of its own tokenizer."
NO_ATTACK = "The attack is left out: it needs a task whose only input is an image and whose only output is its class."


class Attack(Settings):
    """Images changed to mislead, by projected gradient ascent (Madry et al. 2018)."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Largest change of a pixel, where black is 0 and white is 1."""
    steps: Count = 20
    """How many; each a quarter of `epsilon` long."""
    samples: Count = 1024
    """Of the split, at most."""


class ExplainConfig(Settings):
    """The split, layers and attack of the explanation."""

    split: Literal["validation", "test"] = "validation"
    """On which samples. What is read here is acted on, so the test set is best left alone."""
    layers: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = "auto"
    """Modules of the student, by path, that are compared with the teacher's; auto picks them."""
    similarity_samples: Count = 1024
    """Samples on which layers are compared."""
    samples: Whole = omit_default(12)
    """How many of the samples on which student and teacher are the farthest apart the page shows; 0 shows no data."""
    attack: Attack | None = omit_default(None)
    """How hard to mislead the models are; None does not ask."""


class ExplainSettings(ExplainConfig):
    """Settings in a recipe."""

    ablation: bool = False
    """Train the first distilled student again without each term of its loss, to see what it brought."""


def run(config: ExplainConfig, given: Given, context: Context) -> Made:
    """Give explain.json, disagreements.csv and .npy, and the farthest of these to look at: samples.json.

    Takes data and the named split; ``<role>_blueprint`` and ``<role>_weights`` of each of `ROLES` that there is; for an
    ablation those of `WHOLE` and of each term `WITHOUT` which a student learned.

    Every task is explained by its metrics and its agreement. What needs more is left out where the task has none of
    it, and explain.json says so in a sentence: calibration, confusions and gains by class need class logits; corrected
    and lost samples a score that is the share of right samples; an attack images of one class.

    The disagreements are the samples on which the student decides otherwise than its teacher, or else than what the run
    began with, the farthest apart first: rows of the split, in the npy file as int64 [M].

    Raises:
        InputError: if a model answers something that is not finite.
    """
    from edgekd.bench.explanation import worst_samples
    from edgekd.learn import answers as model_answers
    from edgekd.learn import arithmetic
    from edgekd.learn import compared_answers
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.layer_similarity import compare_layers

    split = read_split(given, config.split, allow_code=context.allow_code)
    values = model_answers.count_values(split.dataset, split.rows)
    roles = [role for role in ROLES if f"{role}{WEIGHTS}" in given]
    reference = find_reference(roles)
    compared = [role for role in (STUDENT, CONTROL) if role in roles and role != reference]
    with arithmetic.one_thread_if_small(values):
        models = {role: _loaded(role, given, context) for role in roles}
        own = {role: take_own(given, role) for role in roles}
        reads = {
            role: read_split(each, config.split, allow_code=context.allow_code)
            for role, each in own.items()
        }
        found = compared_answers.compare_answers(models, reads, reference, context.progress)
        similarity = list(
            compare_layers(
                models,
                [(reference, role) for role in compared if own[reference]["data"] == given["data"]],
                split,
                config.layers,
                config.similarity_samples,
                context.seed,
                context.progress,
            )
        )
        scores = _explain_scores(found, given, split, context)
        classes = _explain_classes(found.logits, split)
        attack = _attack(models, config, split, context)
        disagreements = classes.disagreements or scores.disagreements
        assert disagreements is not None  # of scores there always are
        numbers = disagreements.rows[: config.samples].tolist()
        looked_at = [
            sample
            for some, decided in compared_answers.decide_samples(models, reads, numbers)
            for sample in worst_samples.describe_samples(
                split.task, split.dataset, split.rows, decided, some
            )
        ]
    if (alike := scores.content["agreement"].get(STUDENT)) is not None:
        share = f"{percent_text(alike)} of {config.split}"
        context.progress.note(f"the student decides as its {reference} does on {share}")
    of_model = {
        role: {**scores.content["models"][role], **classes.content.get("models", {}).get(role, {})}
        for role in roles
    }
    apart = [OTHER_TOKENS] if f"{TEACHER}/data" in given and TEACHER not in roles else []
    content = {
        "split": config.split,
        "samples": split.size,
        "similarity": similarity,
        **scores.content,
        **classes.content,
        **attack.content,
        "models": of_model,
        "left_out": [*apart, *scores.left_out, *classes.left_out, *attack.left_out],
    }
    return _written(content, disagreements, looked_at, context)


class Disagreements(NamedTuple):
    """The samples on which student and teacher decide differently."""

    rows: NDArray[np.int64]
    """Their rows in the split, the farthest apart first."""
    lines: Iterator[list[str]]
    """The same as a table."""


class Section(NamedTuple):
    """A part of the explanation."""

    content: dict[str, Any]
    """Of explain.json."""
    left_out: tuple[str, ...] = ()
    """What is not in it and why, in sentences."""
    disagreements: Disagreements | None = None


def _explain_scores(
    found: ComparedAnswers, given: Given, split: EvaluationSplit, context: Context
) -> Section:
    """Any task, by its metrics and what it calls agreement."""
    import numpy as np

    from edgekd.bench.explanation import score_summary
    from edgekd.learn import compared_answers

    task, score = split.task, split.task.score

    def score_rows(name: str) -> NDArray[np.float64]:
        return compared_answers.score_rows(name, _loaded(name, given, context), split)

    without = {name: score_rows(WITHOUT + name) for name in _terms_left_out(given)}
    terms = score_summary.summarize_terms(score, score_rows(WHOLE), without) if without else []
    content = score_summary.summarize_scores(task, split.dataset, found.rows, found.alike)
    left_out = () if "above" in content else (NO_RIGHT_SAMPLES.format(score.name),)
    alike = found.alike.get(STUDENT, np.ones(split.size))
    if not found.alike:
        left_out = (*left_out, NO_COMPARISON)
    rows = score_summary.find_disagreements(alike)
    lines = (["index", "agreement"], *([str(row), f"{alike[row]:.6g}"] for row in rows))
    return Section(content | {"ablation": terms}, left_out, Disagreements(rows, iter(lines)))


def _explain_classes(logits: Mapping[str, NDArray[np.float32]], split: EvaluationSplit) -> Section:
    """The output that names one class a sample, if there is one; the disagreements if it is the only output."""
    import numpy as np

    from edgekd.bench.explanation import class_summary
    from edgekd.bench.explanation import fidelity
    from edgekd.bench.explanation.disagreement_table import tabulate

    found = split.class_output
    if found is None:
        return Section({}, (NO_CLASSES,))
    labels = np.asarray(split.rows[found.target])
    content: dict[str, Any] = {
        "classes": list(found.label.names),
        "models": {role: class_summary.summarize_model(e, labels) for role, e in logits.items()},
        "confusion_matrix": class_summary.count_pairs(labels, logits[STUDENT]),
    }
    if len(logits) > 1:
        content |= class_summary.summarize_differences(logits, labels)
    if not found.is_alone:
        return Section(content)
    pair = logits[find_reference(logits)], logits[STUDENT]
    rows = fidelity.find_disagreements(*pair)
    lines = tabulate(rows, logits, labels, found.label.names)
    content["most_apart"] = class_summary.find_farthest(*pair)
    return Section(content, (), Disagreements(rows, lines))


def _terms_left_out(given: Given) -> list[str]:
    """The terms of which an ablation has a student without them."""
    names = [name.removesuffix(WEIGHTS) for name in given if name.endswith(WEIGHTS)]
    return [name.removeprefix(WITHOUT) for name in names if name.startswith(WITHOUT)]


def _loaded(name: str, given: Given, context: Context) -> nn.Module:
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    paths = given[f"{name}_blueprint"], given[f"{name}{WEIGHTS}"]
    return blueprint.load(*paths, allow_code=context.allow_code).to(arithmetic.choose_device())


def _attack(
    models: Mapping[str, nn.Module], config: ExplainConfig, split: EvaluationSplit, context: Context
) -> Section:
    """The models' accuracy on images changed to mislead each of them, if the recipe asks."""
    if config.attack is None:
        return Section({})
    from edgekd.learn import robustness

    settings = config.attack.model_dump()
    found = robustness.measure_robustness(models, split, **settings, seed=context.seed)
    if found is None:
        context.progress.note(NO_ATTACK)
        return Section({}, (NO_ATTACK,))
    return Section({"attack": {**settings, **found}})


def _written(
    content: Mapping[str, Any],
    disagreements: Disagreements,
    looked_at: list[dict[str, Any]],
    context: Context,
) -> Made:
    import numpy as np

    document, array, table, samples = (context.folder / name for name in FILES)
    samples.write_bytes(files.canonical_json(looked_at))
    document.write_bytes(files.canonical_json(content))
    np.save(array, disagreements.rows, allow_pickle=False)
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(disagreements.lines)
    return dict(zip(FILES, (document, array, table, samples), strict=True))


STAGE = Stage("explain", ExplainConfig, run, packages=("torch", "numpy"))
