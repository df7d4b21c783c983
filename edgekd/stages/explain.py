"""Stage `explain`: what the student learned from its teacher, and what it did not."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal

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

    from edgekd.learn.evaluation import EvaluationSplit
    from edgekd.learn.model_inputs import Inputs

    Answers = Mapping[str, NDArray[np.float32]]
    """Logits [N, C] by role."""

ROLES = ("teacher", "control", "student")
PAIRS = (("teacher", "student"), ("teacher", "control"))
WHOLE = "whole"
"""The student of all terms, in an ablation: the inputs ``whole_blueprint`` and ``whole_weights``."""
WITHOUT = "without/"
"""Before the term a student did without: ``without/kd_blueprint`` and ``without/kd_weights``."""
WEIGHTS = "_weights"
BATCH = 128
"""Images a step in comparing layers."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""


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

    The disagreements are the samples on which student and teacher name different classes, the
    farthest apart first: rows of the split's images, in the npy file as int64 [M].

    Raises:
        InputError: if a model answers something that is not finite.
    """
    import numpy as np

    from edgekd.bench.explanation import fidelity
    from edgekd.bench.explanation import summary
    from edgekd.learn import answers as model_answers
    from edgekd.learn import arithmetic
    from edgekd.learn.data import kinds
    from edgekd.learn.evaluation import read_split

    split = read_split(given, config.split, allow_code=context.allow_code)
    label_name, label = kinds.find_label(split.dataset)
    labels = np.asarray(split.rows[label_name])
    values = model_answers.count_values(split.dataset, split.rows)
    with arithmetic.one_thread_if_small(values):
        models = {role: _loaded(role, given, context) for role in ROLES}
        answers = {role: _answers(role, models[role], split) for role in ROLES}
        found = {
            "split": config.split,
            "samples": len(labels),
            "classes": list(label.names),
            "models": {role: summary.summarize_model(answers[role], labels) for role in ROLES},
            **summary.summarize_differences(answers, labels),
            "similarity": list(_similarities(models, config, split, context)),
            "ablation": _ablation(given, split, labels, context),
            **_attacked(models, config, split, labels, context),
        }
    rows = fidelity.disagreements(answers["teacher"], answers["student"])
    lines = _lines(rows, answers, labels, label.names)
    share = percent_text(found["fidelity"]["student"]["agreement"])
    context.progress.note(f"the student says what its teacher says on {share} of {config.split}")
    return _written(found, rows, lines, context)


def _loaded(name: str, given: Given, context: Context) -> nn.Module:
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    paths = given[f"{name}_blueprint"], given[f"{name}{WEIGHTS}"]
    return blueprint.load(*paths, allow_code=context.allow_code).to(arithmetic.device())


def _answers(name: str, model: nn.Module, split: EvaluationSplit) -> NDArray[np.float32]:
    import numpy as np

    told = next(iter(split.outputs(model).values()))
    if not np.isfinite(told).all():
        raise InputError(f"{name}: got answers that are not finite, want logits")
    return told


def _similarities(
    models: Mapping[str, nn.Module],
    config: Config,
    split: EvaluationSplit,
    context: Context,
) -> Iterator[dict[str, Any]]:
    """How alike the layers are; models that cannot be compared so are noted and left out."""
    import torch

    from edgekd.learn import arithmetic
    from edgekd.learn import arrays
    from edgekd.learn.data import loader
    from edgekd.learn.mathematics import cka

    chosen = loader.order(split.size, context.seed, 0)[: config.similarity_samples]
    chosen = chosen[: len(chosen) // BATCH * BATCH or len(chosen)]  # a small batch scatters most
    drawn = arrays.Calibration(split.dataset, split.rows, chosen, context.seed)

    def batches(size: int) -> Iterator[Inputs]:
        for inputs, _ in drawn.batches(size):
            yield tuple(torch.from_numpy(each).to(arithmetic.device()) for each in inputs)

    for one, other in PAIRS:
        try:
            rows = cka.choose_layers(models[one], *next(batches(2)))
            columns = config.layers
            if columns == "auto":
                columns = cka.choose_layers(models[other], *next(batches(2)))
            alike = cka.similarity(models[one], models[other], (rows, columns), batches(BATCH))
        except ValueError as error:
            context.progress.note(f"{one} and {other}: layers are not compared: {error}")
            continue
        values = [[None if math.isnan(v) else v for v in row] for row in alike.tolist()]
        yield {"one": one, "other": other, "rows": rows, "columns": columns, "cka": values}


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
    name, image = kinds.find_image(split.dataset)
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
        told = _answers(name, _loaded(name, given, context), split)
        found: NDArray[np.bool_] = told.argmax(1) == labels
        return found

    names = [name.removesuffix(WEIGHTS) for name in given if name.endswith(WEIGHTS)]
    without = {n.removeprefix(WITHOUT): right(n) for n in names if n.startswith(WITHOUT)}
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


def _lines(
    rows: NDArray[np.int64],
    answers: Answers,
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Iterator[list[str]]:
    """The table of the disagreements: what the sample is, who says what, how surely, how far apart."""
    import numpy as np

    from edgekd.bench.explanation import calibration
    from edgekd.bench.explanation import fidelity

    yield ["index", "label", *ROLES, "teacher_confidence", "student_confidence", "kl_nats"]
    cells = ["'" + name if name.startswith(FORMULA) else name for name in classes]
    sure = {role: np.exp(calibration.log_probabilities(answers[role]).max(1)) for role in ROLES}
    apart = fidelity.divergences(answers["teacher"], answers["student"])
    for row in rows:
        said = [cells[answers[role][row].argmax()] for role in ROLES]
        numbers = (sure["teacher"][row], sure["student"][row], apart[row])
        yield [str(row), cells[labels[row]], *said, *(f"{number:.6g}" for number in numbers)]


STAGE = Stage("explain", Config, run, packages=("torch", "numpy"))
