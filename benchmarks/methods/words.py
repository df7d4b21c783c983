"""What is compared: pairs of teacher and student, and each method in a recipe's words."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import yaml

from edgekd.cli import snippets
from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES

Words = dict[str, Any]
SUBSET = 5000
"""Images that students learn from: the first of the training split, whose order is random."""
VIEWS: Words = {"count": 10, "flip": True, "crop": 2}
"""One for each epoch."""
STUDENTS_TRAIN: Words = {
    "epochs": 10,
    "batch_size": 64,
    "weight_decay": 2e-4,
    "threads": 1,
    "checkpoint_every_s": 86400.0,
}
TEACHERS_TRAIN: Words = {
    **STUDENTS_TRAIN,
    "epochs": 14,
    "batch_size": 128,
    "learning_rate": 0.15,
    "weight_decay": 5e-4,
    "precision": "bf16",
    "channels_last": True,
}
TEACHERS: dict[str, Words] = {
    "resnet20": {"name": "resnet20", "base": 16},
    "wrn-16-2": {"name": "wrn-16-2"},
}
WAYPOINTS = 3


class Pair(NamedTuple):
    """Who teaches whom, and in which arithmetic `tune` found the student to train fastest."""

    teacher: str
    other: str
    """A second teacher, for the schemes that have several."""
    student: Words
    precision: str
    learning_rate: float
    """The better one of 0.1 and 0.2 for the control, by validation accuracy with seed 0."""
    about: str


PAIRS: dict[str, Pair] = {
    "same": Pair(
        "resnet20",
        "wrn-16-2",
        {"name": "resnet8", "base": 8},
        "bf16",
        0.2,
        "resnet20, 272 thousand parameters, to resnet8 of half the width, 20 thousand",
    ),
    "other": Pair(
        "resnet20",
        "wrn-16-2",
        {"name": "mobilenetv2", "multiplier": 0.25, "expand": 3, "head": 256},
        "fp32",
        0.1,
        "resnet20, 272 thousand parameters, to a MobileNetV2, 90 thousand",
    ),
    "gap": Pair(
        "wrn-16-2",
        "resnet20",
        {"name": "resnet8", "base": 4},
        "bf16",
        0.1,
        "wrn-16-2, 691 thousand parameters, to resnet8 of a quarter of the width, 5 thousand",
    ),
}
SEEDS = (0, 1, 2)
CONTROL, KD, STANDARDIZED = "control", "kd", "kd-standardized"
SOFT_TARGETS = [{"name": "cross-entropy", "weight": 0.1}, {"name": "kd", "weight": 0.9}]
SKIPPED: dict[str, str] = {
    "cross-entropy": "it is the control",
    "defensive": "for a teacher that is to withstand attacks",
    "offline": "it is the scheme of all losses",
    "uld": "for two vocabularies; there is one set of classes here",
    "sparse-kl": "it keeps the 50 likeliest classes; with 10 it is `forward-kl`",
    "sparse-jsd": "it keeps the 50 likeliest classes; with 10 it is `jsd`",
    "sparse-tv": "it keeps the 50 likeliest classes; with 10 it is `total-variation`",
    "attention-scores": "it compares a transformer's attention; these networks have none",
    "minilm": "it compares a transformer's tokens; these networks have none",
    "lwf": "for new classes after old ones",
    "lwf-mc": "for new classes after old ones",
    "less-forgetting": "for new classes after old ones",
    "supernet": "it trains several widths at once, not one student for one task",
    "dafl": "without training images: the question is another one, and takes far more steps",
    "zskt": "without training images: the question is another one, and takes far more steps",
    "dfad": "without training images: the question is another one, and takes far more steps",
    "adversarial-training": "for accuracy on attacked images; each step costs ten more",
    "ard": "for accuracy on attacked images; each step costs ten more",
    "rslad": "for accuracy on attacked images; each step costs ten more",
}


def methods() -> dict[str, Words]:
    """The words of a step `distil` by the method's name, in families; none for the control."""
    rows: dict[str, Words] = {CONTROL: {}, KD: {"losses": SOFT_TARGETS}}
    standardized = {"name": "kd", "temperature": 2.0, "weight": 9.0, "standardize": True}
    labels = {"name": "cross-entropy", "weight": 0.1}
    rows[STANDARDIZED] = {"losses": [labels, standardized]}
    for name in LOSSES:
        if name not in (*SKIPPED, *rows):
            rows[name] = {"losses": ["cross-entropy", name]}
    for name in SCHEMES:
        if name not in SKIPPED:
            rows[name] = pasted(name)
    return rows


def pasted(scheme: str) -> Words:
    """The step that `edgekd methods` prints for a scheme."""
    text = snippets.recipe_snippet("schemes", scheme, SCHEMES[scheme]).replace(
        snippets.NAME, scheme
    )
    (step,) = yaml.safe_load(text)["learn"]
    return {key: value for key, value in step.items() if key != "step"}


def family(method: str) -> str:
    """Under which heading a method stands."""
    if method in SCHEMES:
        return "schemes"
    name = KD if method in (CONTROL, STANDARDIZED) else method
    return next((title for title, members in FAMILIES.items() if name in members), "gone")


def recipe(pair: str, method: str, words: Words) -> Words:
    """What a user would write for it; the control has a step `distil` that is not run."""
    who = PAIRS[pair]
    own = {"precision": who.precision, "channels_last": True, "learning_rate": who.learning_rate}
    return {
        "name": f"{pair}-{method}",
        "data": {"source": "fashion-mnist", "validation": 0.02, "limit": 20000},
        "views": VIEWS,
        "teacher": taught(who.teacher),
        "teachers": {"other": taught(who.other)},
        "student": {"model": who.student, "train": {**STUDENTS_TRAIN, **own}},
        "learn": [{"step": "distil", **(words or {"losses": ["cross-entropy", "kd"]})}],
        "targets": [{"runtime": "onnxruntime"}],
    }


def taught(name: str) -> Words:
    """A teacher that is trained here."""
    views = {**VIEWS, "count": TEACHERS_TRAIN["epochs"]}
    return {
        "model": TEACHERS[name],
        "train": TEACHERS_TRAIN,
        "views": views,
        "waypoints": WAYPOINTS,
    }
