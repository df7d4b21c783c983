"""Adversarial: a discriminator tells the networks apart, and the student makes that hard."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.adversarial"

LOSSES: dict[str, Member] = {
    "adversarial-logits": Member(
        f"{_HERE}.discriminator",
        "discriminator_loss",
        "logits that a discriminator takes for the teacher's",
        paper="Xu et al. 2018",
        weight=0.1,
        companion=Member(
            "edgekd.learn.companions.discriminator", "of_logits", "a discriminator of logits"
        ),
    ),
    "adversarial-features": Member(
        f"{_HERE}.discriminator",
        "discriminator_loss",
        "pooled features that a discriminator takes for the teacher's",
        paper="Wang et al. 2018",
        weight=0.1,
        companion=Member(
            "edgekd.learn.companions.discriminator", "of_features", "a discriminator of features"
        ),
    ),
}
