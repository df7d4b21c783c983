"""Readies a student to answer through its teacher's classifier, as SimKD ships it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.method import pairing
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import module_path
from edgekd.learn.method.taps import record_shapes


def attach_teacher_classifier(
    student: nn.Module, plan: Blueprint, teacher: nn.Module, knobs: dict[str, Any]
) -> tuple[nn.Module, Blueprint]:
    """Give the student a projector and the teacher's classifier, which stays as it is.

    Args:
        student: is changed in place.
        plan: what builds it.
        teacher: its classifier is copied.
        knobs: of the projector.

    Returns:
        The student, and the plan with the edit.

    Raises:
        ValueError: if the teacher's classifier is not linear, or reads something else than its pooled
            last map; or as the edit does.
    """
    own, theirs = (pairing.find_stages(model, *plan.blank(2)) for model in (student, teacher))
    mine, their = own.stages[-1], theirs.stages[-1]
    head = teacher.get_submodule(module_path(theirs.classifier))
    if not isinstance(head, nn.Linear):
        raise ValueError(f"got a {type(head).__name__} for the teacher's classifier, want a Linear")
    _want_pooled(teacher, their, theirs.classifier, plan)
    edit = {
        "name": "reuse",
        "layer": mine,
        "classifier": module_path(own.classifier),
        "student": record_shapes(student, [mine], *plan.blank(2))[mine][1:],
        "teacher": record_shapes(teacher, [their], *plan.blank(2))[their][1:],
        "width": head.in_features,
        **knobs,
    }
    changed = blueprint.apply_edit(student, edit, plan).train()
    classifier = changed.get_submodule(str(edit["classifier"]))
    with torch.no_grad():
        for name, parameter in classifier.named_parameters():
            parameter.copy_(head.get_parameter(name))
    classifier.requires_grad_(False)
    return changed, plan.model_copy(update={"edits": (*plan.edits, edit)})


def _want_pooled(teacher: nn.Module, stage: str, classifier: str, plan: Blueprint) -> None:
    """Raise ValueError unless the classifier reads the mean of the last map, which the student will give, too."""
    device = next(teacher.parameters()).device
    images = torch.rand(plan.blank(2)[0].shape).to(device)
    with Taps(teacher, [stage, classifier]) as read, torch.no_grad():
        teacher(images)
    found, entered = read[stage], read[classifier]
    pooled = found.flatten(2).mean(2) if found.ndim == 4 else found.mean(1)
    if pooled.shape != entered.shape or not torch.allclose(pooled, entered, atol=1e-4):
        raise ValueError(
            f"the teacher's classifier reads more than the mean of its layer {stage!r}"
        )
