"""Stage `explain`: what the student learned from its teacher, and what it did not."""

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
from edgekd.errors import InputError
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import unsaid
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.units import percent_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.field import Arrays
    from edgekd.learn.evaluation import EvaluationSplit

    Answers = Mapping[str, NDArray[np.float32]]
    """Logits [N, C] by role."""

ROLES = ("teacher", "control", "student")
WHOLE = "whole"
"""The student of all terms, in an ablation: the inputs ``whole_blueprint`` and ``whole_weights``."""
WITHOUT = "without/"
"""Before the term a student did without: ``without/kd_blueprint`` and ``without/kd_weights``."""
WEIGHTS = "_weights"


class Attack(Settings):
    """Images changed to mislead, by projected gradient ascent (Madry et al. 2018)."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Largest change of a pixel, where black is 0 and white is 1."""
    steps: Count = 20
    """How many; each a quarter of `epsilon` long."""
    samples: Count = 1024
    """Of the split, at most."""


class Config(Settings):
    """What is looked at."""

    split: Literal["validation", "test"] = "validation"
    """On which samples. What is read here is acted on, so the test set is best left alone."""
    layers: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = "auto"
    """Modules of the student, by path, that are compared with the teacher's; auto picks them."""
    similarity_samples: Count = 1024
    """Samples on which layers are compared."""
    attack: Attack | None = unsaid(None)
    """How hard to mislead the models are; None does not ask."""


class Words(Config):
    """What a recipe may say of it."""

    ablation: bool = False
    """Train the first distilled student again without each term of its loss, to see what it brought."""


def run(config: Config, given: Given, context: Context) -> Made:
    """Give explain.json, disagreements.csv and disagreements.npy.

    Takes data and the named split; ``<role>_blueprint`` and ``<role>_weights`` of teacher, control and
    student; for an ablation those of `WHOLE` and of each term `WITHOUT` which a student learned.

    The disagreements are the samples on which student and teacher decide differently, the
    farthest apart first: rows of the split, in the npy file as int64 [M]. Where a task is not one class a sample,
    what needs that is left out: calibration, confusions, classes; the task's metrics and agreement are told instead.

    Raises:
        InputError: if a model answers something that is not finite.
    """
    from edgekd.learn import answers as model_answers
    from edgekd.learn import arithmetic
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.layer_similarity import compare_layers

    split = read_split(given, config.split, allow_code=context.allow_code)
    values = model_answers.count_values(split.dataset, split.rows)
    with arithmetic.one_thread_if_small(values):
        models = {role: _loaded(role, given, context) for role in ROLES}
        outputs = {role: _outputs(role, models[role], split) for role in ROLES}
        found: dict[str, Any] = {
            "split": config.split,
            "samples": split.size,
            "similarity": list(
                compare_layers(
                    models,
                    split,
                    config.layers,
                    config.similarity_samples,
                    context.seed,
                    context.progress,
                )
            ),
        }
        if split.is_one_class:
            explained = _explain_classes(models, outputs, config, given, split, context)
        else:
            explained = _explain_scores(outputs, config, given, split, context)
    share = percent_text(explained.agreement)
    context.progress.note(f"the student says what its teacher says on {share} of {config.split}")
    return _written(found | explained.content, explained.rows, explained.lines, context)


class Explanation(NamedTuple):
    """What a kind of task lets say."""

    content: dict[str, Any]
    """Of explain.json."""
    agreement: float
    """Of the student with its teacher."""
    rows: NDArray[np.int64]
    """The disagreements."""
    lines: Iterator[list[str]]
    """The same as a table."""


def _explain_classes(
    models: Mapping[str, nn.Module],
    outputs: Mapping[str, Arrays],
    config: Config,
    given: Given,
    split: EvaluationSplit,
    context: Context,
) -> Explanation:
    """One class a sample."""
    import numpy as np

    from edgekd.bench.explanation import fidelity
    from edgekd.bench.explanation import summary
    from edgekd.bench.explanation.disagreement_table import tabulate
    from edgekd.learn.data import kinds

    label_name, label = kinds.find_label(split.dataset)
    labels = np.asarray(split.rows[label_name])
    answers = {role: next(iter(each.values())) for role, each in outputs.items()}
    found = {
        "classes": list(label.names),
        "models": {role: summary.summarize_model(answers[role], labels) for role in ROLES},
        **summary.summarize_differences(answers, labels),
        "ablation": _ablation(given, split, labels, context),
        **_attacked(models, config, split, labels, context),
    }
    rows = fidelity.disagreements(answers["teacher"], answers["student"])
    lines = tabulate(rows, answers, labels, label.names)
    return Explanation(found, found["fidelity"]["student"]["agreement"], rows, lines)


def _explain_scores(
    outputs: Mapping[str, Arrays],
    config: Config,
    given: Given,
    split: EvaluationSplit,
    context: Context,
) -> Explanation:
    """Any task, by its metrics and what it calls agreement."""
    from edgekd.bench.explanation import scores

    if config.attack is not None:
        context.progress.note("attack: left out: the task is not one class a sample")
    score = split.task.score

    def score_rows(name: str) -> NDArray[np.float64]:
        return split.metric_rows(_outputs(name, _loaded(name, given, context), split))

    ablated = {name: score_rows(WITHOUT + name) for name in _terms_left_out(given)}
    whole = score_rows(WHOLE) if ablated else None
    found = {
        **scores.summarize_scores(split.task, split.dataset, split.targets, outputs),
        "ablation": [] if whole is None else scores.summarize_terms(score, whole, ablated),
    }
    alike = scores.agree_samples(split.task, split.dataset, outputs["teacher"], outputs["student"])
    rows = scores.find_disagreements(alike)
    lines = (["index", "agreement"], *([str(row), f"{alike[row]:.6g}"] for row in rows))
    return Explanation(found, found["agreement"]["student"], rows, iter(lines))


def _terms_left_out(given: Given) -> list[str]:
    """The terms of which an ablation has a student without them."""
    names = [name.removesuffix(WEIGHTS) for name in given if name.endswith(WEIGHTS)]
    return [name.removeprefix(WITHOUT) for name in names if name.startswith(WITHOUT)]


def _loaded(name: str, given: Given, context: Context) -> nn.Module:
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    paths = given[f"{name}_blueprint"], given[f"{name}{WEIGHTS}"]
    return blueprint.load(*paths, allow_code=context.allow_code).to(arithmetic.device())


def _outputs(name: str, model: nn.Module, split: EvaluationSplit) -> Arrays:
    import numpy as np

    given = split.outputs(model)
    if not all(np.isfinite(each).all() for each in given.values()):
        raise InputError(f"{name}: got answers that are not finite, want numbers")
    return given


def _attacked(
    models: Mapping[str, nn.Module],
    config: Config,
    split: EvaluationSplit,
    labels: NDArray[np.int64],
    context: Context,
) -> dict[str, Any]:
    """The models' accuracy on images changed to mislead each of them, if the recipe asks."""
    if config.attack is None:
        return {}
    import numpy as np

    from edgekd.learn.attack import robust_accuracy
    from edgekd.learn.data import kinds
    from edgekd.learn.data import loader

    said = config.attack
    chosen = loader.order(len(labels), context.seed, 0)[: said.samples]
    try:
        name, image = kinds.find_image(split.dataset)
    except ValueError as error:
        context.progress.note(f"attack: left out: {error}")
        return {}
    accuracy = {
        role: robust_accuracy(
            model,
            np.asarray(split.rows[name][chosen]),
            labels[chosen],
            image,
            epsilon=said.epsilon,
            step=said.epsilon / 4,
            steps=said.steps,
            seed=context.seed,
        )
        for role, model in models.items()
    }
    return {"attack": {**said.model_dump(), "samples": len(chosen), "accuracy": accuracy}}


def _ablation(
    given: Given, split: EvaluationSplit, labels: NDArray[np.int64], context: Context
) -> list[dict[str, Any]]:
    """What each term of the first distilled student's loss brought."""
    from edgekd.bench.explanation import summary

    def right(name: str) -> NDArray[np.bool_]:
        (logits,) = _outputs(name, _loaded(name, given, context), split).values()
        found: NDArray[np.bool_] = logits.argmax(1) == labels
        return found

    without = {name: right(WITHOUT + name) for name in _terms_left_out(given)}
    return summary.summarize_terms(right(WHOLE), without) if without else []


def _written(
    found: Mapping[str, Any],
    rows: NDArray[np.int64],
    lines: Iterator[list[str]],
    context: Context,
) -> Made:
    import numpy as np

    names = ("explain.json", "disagreements.npy", "disagreements.csv")
    document, array, table = (context.folder / name for name in names)
    document.write_bytes(files.canonical_json(found))
    np.save(array, rows, allow_pickle=False)
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    return dict(zip(names, (document, array, table), strict=True))


STAGE = Stage("explain", Config, run, packages=("torch", "numpy"))
