"""What is compared: pairs of teacher and student, and each method in a recipe's words."""

from __future__ import annotations

import re
from typing import Any
from typing import NamedTuple

from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES

Words = dict[str, Any]
SUBSET = 1280
"""Images that students learn from: the first of the training split, whose order is random."""
EPOCHS = 12
VIEWS: Words = {"count": EPOCHS, "flip": True, "crop": 1}
"""One for each epoch."""
STUDENTS_TRAIN: Words = {
    "epochs": EPOCHS,
    "batch_size": 64,
    "weight_decay": 5e-4,
    "threads": 1,
    "precision": "fp32",
    "channels_last": True,
    "checkpoint_every_s": 86400.0,
}
TEACHERS_TRAIN: Words = {
    **STUDENTS_TRAIN,
    "epochs": 16,
    "batch_size": 128,
    "learning_rate": 0.15,
    "precision": "bf16",
}
TEACHERS: dict[str, Words] = {"resnet8": {"name": "resnet8", "base": 16}}
RATES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Peaks of the one cycle that the control of each pair is tried with; the best must lie inside."""
SHARE = 10 / 100
"""Of the classes for which weights were published, how many there are."""
NO_RAMP = ", no ramp"
"""Behind that of one whose default weight is there from the first step on."""
ROOT = ", weight by the root"
"""Behind that of one whose weight is scaled by the root of the number of classes, not by the number itself."""


class Pair(NamedTuple):
    """Who teaches whom."""

    teacher: str
    student: Words
    learning_rate: float
    """Of `RATES` the best one for the control, by its validation accuracy over `SEEDS` (`rates` in results.json)."""
    about: str


PAIRS: dict[str, Pair] = {
    "same": Pair(
        "resnet8",
        {"name": "resnet8", "base": 8},
        0.2,
        "resnet8, 78 thousand parameters, to resnet8 of half the width, 20 thousand",
    ),
    "other": Pair(
        "resnet8",
        {"name": "vgg8", "base": 8},
        0.2,
        "resnet8, 78 thousand parameters, to a plain VGG of an eighth of the width, 62 thousand",
    ),
}
SEEDS = (0, 1, 2)
CONTROL, KD, STANDARDIZED = "control", "kd", "kd-standardized"
PUBLISHED = ", published weight"
"""Behind the name of a method whose weight is its authors', not scaled to the number of classes."""
SOFT_TARGETS = [{"name": "cross-entropy", "weight": 0.1}, {"name": "kd", "weight": 0.9}]
METHODS = (
    *("dkd", "mlkd", "wsld", "nkd", "dist", "wttm", "fitnet", "sp", "at", "simkd", "rkd", "ofd"),
    *("crd", "reviewkd"),
)
"""Losses beside the labels, by worth: those that this page or its forerunner says something of."""
SCALED = ("dkd", "mlkd", "wsld")
"""Those of them whose default weight depends on the number of classes."""


def methods() -> dict[str, Words]:
    """The words of a step `distil` by the method's name; none for the control."""
    rows: dict[str, Words] = {CONTROL: {}, KD: {"losses": SOFT_TARGETS}}
    rows[STANDARDIZED] = {"losses": standardized(round(9.0 * SHARE, 4))}
    rows[STANDARDIZED + ROOT] = {"losses": standardized(round(9.0 * SHARE**0.5, 4))}
    rows[STANDARDIZED + PUBLISHED] = {"losses": standardized(9.0)}
    for name in METHODS:
        rows[name] = {"losses": ["cross-entropy", name]}
        if name in SCALED:
            whole = LOSSES[name].weight
            for ending, weight in ((PUBLISHED, whole), (ROOT, round(whole * SHARE**0.5, 4))):
                told: Words = {"name": name, "weight": weight}
                rows[name + ending] = {"losses": ["cross-entropy", told]}
            if LOSSES[name].ramp:
                told["ramp"] = {"epochs": LOSSES[name].ramp * EPOCHS}
                plain = {"name": name, "weight": round(whole * SHARE, 4)}
                rows[name + NO_RAMP] = {"losses": ["cross-entropy", plain]}
    return rows


def standardized(weight: float) -> list[Words]:
    """kd of z-scores beside the labels, as its authors have it for a hundred classes with a weight of 9."""
    soft = {"name": "kd", "temperature": 2.0, "weight": weight, "standardize": True}
    return [{"name": "cross-entropy", "weight": 0.1}, soft]


def family(method: str) -> str:
    """Under which heading a method stands."""
    plain = method.partition(",")[0]
    name = KD if plain in (CONTROL, STANDARDIZED) else plain
    return next(title for title, members in FAMILIES.items() if name in members)


def recipe(pair: str, method: str, words: Words, images: str, rate: float | None = None) -> Words:
    """What a user would write for it; the control has a step `distil` that is not run.

    Args:
        pair: of `PAIRS`.
        method: of `methods`.
        words: its step.
        images: the .npz file.
        rate: peak of the learning rate, the pair's where it is None.
    """
    who = PAIRS[pair]
    train = {**STUDENTS_TRAIN, "learning_rate": rate or who.learning_rate}
    return {
        "name": "-".join([pair, *re.findall(r"[\w-]+", method.lower())]),
        "data": {"source": f"npz:{images}", "validation": 0.12},
        "views": VIEWS,
        "teacher": {
            "model": TEACHERS[who.teacher],
            "train": TEACHERS_TRAIN,
            "views": {**VIEWS, "count": TEACHERS_TRAIN["epochs"]},
        },
        "student": {"model": who.student, "train": train},
        "learn": [{"step": "distil", **(words or {"losses": ["cross-entropy", "kd"]})}],
        "targets": [{"runtime": "onnxruntime"}],
    }
