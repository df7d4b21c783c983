"""Attention and mask: where the networks look, and what is left when parts are hidden."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.attention"
_BESIDE = "edgekd.learn.companions"

LOSSES: dict[str, Member] = {
    "mgd": Member(
        f"{_HERE}.masks",
        "mgd",
        "the teacher's features, generated from masked ones",
        paper="Yang et al. 2022",
        weight=2e-5,
        companion=Member(
            f"{_BESIDE}.masking",
            "masked_generator",
            "hides places of the student's map and fills them in",
        ),
        depth=1.0,
    ),
    "maskd": Member(
        f"{_HERE}.masks",
        "maskd",
        "features where receptive tokens look",
        paper="Huang et al. 2023",
        companion=Member(
            f"{_BESIDE}.receptive",
            "receptive",
            "tokens that learn on the teacher where to look",
            supplied=("classes",),
        ),
        depth=1.0,
    ),
    "attnfd": Member(
        f"{_HERE}.maps",
        "attnfd",
        "features refined by attention",
        paper="Mansourian et al. 2024",
        weight=2.0,
        companion=Member(
            f"{_BESIDE}.attention_guided",
            "attention_guided",
            "refines both maps by channel and place",
        ),
        depth=1.0,
    ),
    "spatial-affinity": Member(
        f"{_HERE}.maps",
        "spatial_affinity",
        "which places are alike, channel by channel",
        paper="He et al. 2019",
        companion=Member(
            f"{_BESIDE}.projector", "projector", "fits the student's features to the teacher's"
        ),
        depth=1.0,
    ),
    "attention-scores": Member(
        f"{_HERE}.tokens",
        "attention_scores",
        "squared difference of attention scores",
        paper="Jiao et al. 2020",
        depth=1.0,
        layers="scores",
    ),
    "attention-kl": Member(
        f"{_HERE}.tokens",
        "attention_kl",
        "what tokens attend to, as probabilities",
        paper="Wang et al. 2020",
        depth=1.0,
        layers="scores:last",
    ),
    "minilm": Member(
        f"{_HERE}.tokens",
        "minilm",
        "relations of tokens, head by head",
        paper="Wang et al. 2021",
        depth=1.0,
        layers="relations",
    ),
}
