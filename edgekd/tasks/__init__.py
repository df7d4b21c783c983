"""The tasks, by the name a recipe uses; see `edgekd.task` for what one is. A board imports this without pydantic."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.task import Task
from edgekd.task_check import require_sound

if TYPE_CHECKING:
    from edgekd.table import Table

_HERE = "edgekd.tasks"
DEFAULT_TASK = "classification"
"""Of a recipe that says none."""
_NAME = "TASK"
_KD = "{name: kd, weight: 0.9, temperature: 4.0}"


class Example(NamedTuple):
    """The parts of an example recipe for a task; where edgekd has none of its own, a name for the user's."""

    source: str = "python:my_data:read"
    teacher: str = "python:my_models:large"
    student: str = "python:my_models:small"
    losses: tuple[str, ...] = ()
    """As YAML; those that labels teach where there are none."""
    knowledge: str = "auto"
    """Online where a teacher's answers are too large to be stored."""
    stored_weights: str = ""
    """How many bits a quantized network stores its weights in where those alone are stored; else empty."""


class TaskEntry(NamedTuple):
    """The module of a task, one line about it, and the parts of the recipe that `edgekd tasks` prints."""

    module: str
    summary: str
    example: Example = Example()
    from_answers: bool = False
    """Whether targets are what a model of the run answers (`edgekd.task.Task`)."""
    lengths_vary: bool = False
    """Whether an answer is as long as its text, so that answers of all samples are no array of one size."""


BUILT_IN: dict[str, TaskEntry] = {
    "classification": TaskEntry(
        f"{_HERE}.classification",
        "one class a sample",
        Example("digits", "resnet20", "resnet8", (_KD, "{name: cross-entropy, weight: 0.1}")),
    ),
    "multi-label": TaskEntry(
        f"{_HERE}.multi_label",
        "any number of classes a sample",
        Example("digit-crowds", "resnet20", "resnet8", ("binary-kd", "binary-cross-entropy")),
    ),
    "float-agreement": TaskEntry(
        f"{_HERE}.float_agreement",
        "no labels: agreement with the float model itself",
        Example("arrays:samples.npz", student="onnx:model.onnx"),
        from_answers=True,
    ),
    "regression": TaskEntry(
        f"{_HERE}.regression",
        "numbers of a sample",
        Example(
            "turned-digits",
            teacher="{name: mlp, width: 256}",
            student="{name: mlp, width: 16}",
            losses=("value-mse", "mean-squared-error"),
        ),
    ),
    "segmentation": TaskEntry(
        f"{_HERE}.segmentation",
        "a class of every pixel",
        Example(
            "digit-scenes",
            teacher="{name: unet, base: 16}",
            student="{name: unet, base: 4}",
            losses=(
                "{name: kd, weight: 0.9, temperature: 1.0}",
                "{name: cross-entropy, weight: 0.1}",
            ),
            knowledge="online",
        ),
    ),
    "token-classification": TaskEntry(
        f"{_HERE}.token_classification",
        "a class of every token, entities",
        Example(
            "tagged-text:sentences.jsonl",
            teacher="{name: text-tagger, layers: 3, width: 64}",
            student="{name: text-tagger, layers: 1, width: 32}",
            losses=(
                "{name: kd, weight: 0.9, temperature: 2.0}",
                "{name: cross-entropy, weight: 0.1}",
            ),
            knowledge="online",
        ),
        lengths_vary=True,
    ),
    "sentence-embedding": TaskEntry(
        f"{_HERE}.sentence_embedding",
        "a vector of a text, near those of its like",
        Example(
            "text-pairs:pairs.jsonl",
            teacher="{name: text-embedder, layers: 3, width: 64}",
            student="{name: text-embedder, layers: 1, width: 32}",
            losses=("value-cosine", "similarity-kl"),
        ),
    ),
    "language-modelling": TaskEntry(
        f"{_HERE}.language_modelling",
        "the next token of a text",
        Example(
            "text-corpus:texts",
            teacher="{name: text-decoder, layers: 4, width: 128}",
            student="{name: text-decoder, layers: 2, width: 64}",
            losses=("{name: forward-kl, weight: 0.9}", "{name: cross-entropy, weight: 0.1}"),
            knowledge="online",
            stored_weights="int8",
        ),
        lengths_vary=True,
    ),
    "masked-language-modelling": TaskEntry(
        f"{_HERE}.masked_language_modelling",
        "the masked tokens of a text",
        Example(
            "{name: masked-text, reference: texts, tokenizer: tokenizer.json}",
            teacher="{name: text-filler, layers: 4, width: 128}",
            student="{name: text-filler, layers: 2, width: 64}",
            losses=(
                "{name: kd, weight: 0.9, temperature: 2.0}",
                "{name: cross-entropy, weight: 0.1}",
            ),
            knowledge="online",
        ),
        lengths_vary=True,
    ),
}

SYNONYMS: dict[str, str] = {
    "classify": "classification",
    "imageclassification": "classification",
    "textclassification": "classification",
    "sequenceclassification": "classification",
    "segment": "segmentation",
    "semanticsegmentation": "segmentation",
    "multilabelclassification": "multi-label",
    "tokentagging": "token-classification",
    "namedentityrecognition": "token-classification",
    "ner": "token-classification",
    "embedding": "sentence-embedding",
    "sentencesimilarity": "sentence-embedding",
    "retrieval": "sentence-embedding",
    "languagemodeling": "language-modelling",
    "causallanguagemodelling": "language-modelling",
    "causallanguagemodeling": "language-modelling",
    "causallm": "language-modelling",
    "textgeneration": "language-modelling",
    "maskedlanguagemodeling": "masked-language-modelling",
    "maskedlm": "masked-language-modelling",
    "mlm": "masked-language-modelling",
    "fillmask": "masked-language-modelling",
}
"""Other names of tasks, in small letters and without dashes (`edgekd.synonyms`)."""


def list_usual_losses(name: str) -> list[Any]:
    """The losses of a step, or of a call in Python, that a teacher teaches and that names none: those of the task's
    example, as a recipe has them; empty where it has none, and for a user's own task.

    A temperature of 4 for classes: that of the comparison by Tian, Krishnan and Isola 2020, in which most methods here
    were published, and of edgekd's own.
    """
    import yaml

    entry = BUILT_IN.get(name)
    return [] if entry is None else [yaml.safe_load(each) for each in entry.example.losses]


@functools.cache
def task_table() -> Table:
    """All tasks: edgekd's, those of plugins, and a user's own by ``python:package.module:TASK``."""
    from edgekd.table import Member
    from edgekd.table import Table

    members = {name: Member(entry.module, _NAME, entry.summary) for name, entry in BUILT_IN.items()}
    return Table("task", members, takes_own=True)


def load_task(name: str, *, allow_code: bool = False) -> Task:
    """The task that a recipe or data.json names.

    Args:
        name: of `task_table`.
        allow_code: whether a user's own may run.

    Raises:
        InputError: if there is none, it may not run, or it is no sound `Task`.
    """
    if name in BUILT_IN:
        found: Task = getattr(importlib.import_module(BUILT_IN[name].module), _NAME)
        return found
    return _load_foreign(name, allow_code)


def _load_foreign(name: str, allow_code: bool) -> Task:
    from edgekd import code

    table = task_table()
    if name not in table:
        raise InputError(f"task: got unknown {name!r}", hint=find_nearest(name, table))
    found = code.load_object(table[name], f"task {name}", allow_code=allow_code)
    if not isinstance(found, Task):
        got = "nothing of that name" if found is None else type(found).__name__
        raise InputError(f"task {name}: got {got}, want an edgekd.task.Task")
    try:
        require_sound(found)
    except ValueError as error:
        raise InputError(f"task {name}: {error}") from error
    return found
