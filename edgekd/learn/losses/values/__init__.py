"""Values: numbers that a model gives, compared with measured ones and with a teacher's."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.values"

LOSSES: dict[str, Member] = {
    "mean-squared-error": Member(
        f"{_HERE}.targets",
        "mean_squared_error",
        "squared difference from the target",
        paper="Gauss 1809",
    ),
    "smooth-l1": Member(
        f"{_HERE}.targets",
        "smooth_l1",
        "squared difference where it is small, its size where it is large",
        paper="Girshick 2015",
    ),
    "value-mse": Member(
        f"{_HERE}.distillation",
        "value_mse",
        "squared difference from the teacher's numbers",
        paper="Ba and Caruana 2014",
    ),
    "value-cosine": Member(
        f"{_HERE}.vectors",
        "value_cosine",
        "the angle between a vector and the teacher's",
        paper="Reimers and Gurevych 2020",
    ),
    "similarity-kl": Member(
        f"{_HERE}.vectors",
        "similarity_kl",
        "how alike the teacher finds the other samples of the batch",
        paper="Passalis and Tefas 2018",
        weight=0.5,
    ),
    "pair-contrast": Member(
        f"{_HERE}.vectors",
        "pair_contrast",
        "those that belong together nearer than all others of the batch",
        paper="van den Oord et al. 2018",
    ),
    "margin-mse": Member(
        f"{_HERE}.ranking",
        "margin_mse",
        "how far those that belong together lie before others, as the teacher has it",
        paper="Hofstaetter et al. 2020",
    ),
    "score-kl": Member(
        f"{_HERE}.ranking",
        "score_kl",
        "the teacher's scores of a text's candidates, as probabilities",
        paper="Santhanam et al. 2022",
    ),
    "bounded-regression": Member(
        f"{_HERE}.distillation",
        "bounded_regression",
        "squared difference from the target, where the student is no better than the teacher",
        paper="Chen et al. 2017",
        weight=0.5,
    ),
}
