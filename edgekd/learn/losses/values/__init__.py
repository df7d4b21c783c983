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
    "bounded-regression": Member(
        f"{_HERE}.distillation",
        "bounded_regression",
        "squared difference from the target, where the student is no better than the teacher",
        paper="Chen et al. 2017",
        weight=0.5,
    ),
}
