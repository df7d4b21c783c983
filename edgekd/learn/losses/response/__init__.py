"""Response: what the teacher answers, compared as logits or probabilities."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.response"

LOSSES: dict[str, Member] = {
    "cross-entropy": Member(
        f"{_HERE}.labels",
        "cross_entropy",
        "the labels, with label smoothing",
        supplied=("class_weights",),
        paper="Szegedy et al. 2016",
        logits="classes",
    ),
    "defensive": Member(
        f"{_HERE}.labels",
        "defensive",
        "the labels at a high temperature, for a teacher of defensive distillation",
        paper="Papernot et al. 2016",
        logits="classes",
    ),
    "binary-cross-entropy": Member(
        f"{_HERE}.binary",
        "binary_cross_entropy",
        "the labels of samples with any number of classes, each class by itself",
        logits="single",
        paper="Cox 1958",
    ),
    "binary-kd": Member(
        f"{_HERE}.binary",
        "binary_kd",
        "kd of each class by itself, for samples with any number of classes",
        paper="Hinton et al. 2015",
        logits="single",
    ),
    "kd": Member(
        f"{_HERE}.soft_targets",
        "kd",
        "softened classes of the teacher",
        paper="Hinton et al. 2015",
        logits="classes",
    ),
    "logit-mse": Member(
        f"{_HERE}.soft_targets",
        "logit_mse",
        "squared difference of logits",
        paper="Ba and Caruana 2014",
    ),
    "deit-soft": Member(
        f"{_HERE}.soft_targets",
        "deit_soft",
        "kd divided by the number of classes",
        paper="Touvron et al. 2021",
        logits="classes",
    ),
    "deit-hard": Member(
        f"{_HERE}.soft_targets",
        "deit_hard",
        "the class the teacher names",
        paper="Touvron et al. 2021",
        logits="classes",
    ),
    "bkd": Member(
        f"{_HERE}.soft_targets",
        "bkd",
        "each class by itself, binary",
        paper="Hao et al. 2023",
        logits="classes",
    ),
    "dkd": Member(
        f"{_HERE}.decoupled",
        "dkd",
        "the labelled class apart from the others",
        paper="Zhao et al. 2022",
        logits="classes",
    ),
    "nkd": Member(
        f"{_HERE}.decoupled",
        "nkd",
        "the others normalized by themselves",
        paper="Yang et al. 2023",
        logits="classes",
    ),
    "wsld": Member(
        f"{_HERE}.weighted",
        "wsld",
        "samples weighted by what is left to learn",
        paper="Zhou et al. 2021",
        logits="classes",
        weight=2.25,
    ),
    "ofa": Member(
        f"{_HERE}.weighted",
        "ofa",
        "the labelled class enhanced, across architectures",
        paper="Hao et al. 2023",
        logits="classes",
    ),
    "dist": Member(
        f"{_HERE}.correlation",
        "dist",
        "correlation within samples and classes",
        paper="Huang et al. 2022",
        logits="classes",
        weight=2.0,
    ),
    "mlkd": Member(
        f"{_HERE}.multi_level",
        "mlkd",
        "by sample, batch and class, at five temperatures",
        per="sample",
        paper="Jin et al. 2023",
        logits="classes",
        weight=0.2,
    ),
    "ctkd": Member(
        f"{_HERE}.temperatures",
        "ctkd",
        "kd at a temperature that is learned against the student",
        paper="Li et al. 2023",
        logits="classes",
        companion=Member(
            "edgekd.learn.companions.temperature",
            "temperature",
            "one temperature for all samples",
            supplied=("batches",),
        ),
    ),
    "ttm": Member(
        f"{_HERE}.temperatures",
        "ttm",
        "softened classes of the teacher, matched without softening the student's",
        paper="Zheng and Yang 2024",
        logits="classes",
        weight=45.0,
    ),
    "wttm": Member(
        f"{_HERE}.temperatures",
        "wttm",
        "ttm with samples weighted by the teacher's doubt",
        paper="Zheng and Yang 2024",
        logits="classes",
        weight=4.0,
    ),
}
