"""Relation: how samples or channels lie to one another, compared between the networks."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.relation"
_BESIDE = "edgekd.learn.companions"

LOSSES: dict[str, Member] = {
    "rkd": Member(
        f"{_HERE}.distances",
        "rkd",
        "distances and angles between samples",
        paper="Park et al. 2019",
    ),
    "sp": Member(
        f"{_HERE}.similarities",
        "sp",
        "which samples are alike",
        paper="Tung and Mori 2019",
        weight=3000.0,
        depth=1.0,
    ),
    "cc": Member(
        f"{_HERE}.congruence",
        "cc",
        "products of neighbouring samples' differences, as benchmarks compute it",
        paper="Peng et al. 2019",
        weight=0.02,
        companion=Member(
            f"{_BESIDE}.projector",
            "embedding_projector",
            "a linear layer that fits the student's embedding to the teacher's",
        ),
    ),
    "cc-taylor": Member(
        f"{_HERE}.congruence",
        "cc_taylor",
        "kernels between samples, the paper's formula",
        paper="Peng et al. 2019",
        weight=100.0,
    ),
    "pkt": Member(
        f"{_HERE}.similarities",
        "pkt",
        "which samples are neighbours, as probabilities",
        paper="Passalis and Tefas 2018",
        weight=30000.0,
    ),
    "irg": Member(
        f"{_HERE}.distances",
        "irg",
        "a graph of samples: logits, distances, changes from stage to stage",
        per="sample",
        paper="Liu et al. 2019",
    ),
    "ickd": Member(
        f"{_HERE}.similarities",
        "ickd",
        "which channels are alike",
        paper="Liu et al. 2021",
        weight=2.5,
        companion=Member(
            f"{_BESIDE}.projector", "projector", "fits the student's features to the teacher's"
        ),
        depth=1.0,
    ),
    "semckd": Member(
        f"{_HERE}.cross_layer",
        "semckd",
        "all pairs of layers, weighted by attention",
        paper="Chen et al. 2021",
        weight=50.0,
        companion=Member(
            f"{_BESIDE}.semantic", "semantic", "pairs all layers, learns how much each pair counts"
        ),
    ),
    "crd": Member(
        f"{_HERE}.contrast",
        "crd",
        "a sample told from others across the networks",
        paper="Tian et al. 2020",
        weight=0.8,
        companion=Member(
            f"{_BESIDE}.contrast",
            "contrast",
            "embeds both networks, remembers all samples",
            supplied=("samples",),
        ),
    ),
    "skd-direction": Member(
        f"{_HERE}.direction",
        "skd_direction",
        "directions of logits, whitened",
        per="sample",
        paper="Streamlined Knowledge Distillation 2026",
    ),
}
