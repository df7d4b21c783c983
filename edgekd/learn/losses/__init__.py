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
}
