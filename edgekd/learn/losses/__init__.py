"""The losses, by the name a recipe uses. A loss is a pure function; see `edgekd.learn.loss`."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses"

LOSSES: dict[str, Member] = {
    "cross-entropy": Member(
        f"{_HERE}.labels", "cross_entropy", "labels; with label smoothing (Szegedy et al. 2016)"
    ),
    "kd": Member(
        f"{_HERE}.soft_targets", "kd", "softened classes of the teacher (Hinton et al. 2015)"
    ),
    "logit-mse": Member(
        f"{_HERE}.soft_targets", "logit_mse", "squared difference of logits (Ba and Caruana 2014)"
    ),
    "deit-soft": Member(
        f"{_HERE}.soft_targets", "deit_soft", "kd divided by the classes (Touvron et al. 2021)"
    ),
    "deit-hard": Member(
        f"{_HERE}.soft_targets", "deit_hard", "the class the teacher names (Touvron et al. 2021)"
    ),
    "bkd": Member(f"{_HERE}.soft_targets", "bkd", "each class by itself, binary (Hao et al. 2023)"),
    "dkd": Member(
        f"{_HERE}.decoupled", "dkd", "the labelled class apart from the others (Zhao et al. 2022)"
    ),
    "nkd": Member(
        f"{_HERE}.decoupled", "nkd", "the others normalized by themselves (Yang et al. 2023)"
    ),
    "wsld": Member(
        f"{_HERE}.weighted", "wsld", "samples weighted by what is left to learn (Zhou et al. 2021)"
    ),
    "ofa": Member(
        f"{_HERE}.weighted",
        "ofa",
        "the labelled class enhanced, across architectures (Hao et al. 2023)",
    ),
    "dist": Member(
        f"{_HERE}.correlation", "dist", "correlation within samples and classes (Huang et al. 2022)"
    ),
    "mlkd": Member(
        f"{_HERE}.multi_level",
        "mlkd",
        "by sample, batch and class, five temperatures (Jin et al. 2023)",
    ),
}
