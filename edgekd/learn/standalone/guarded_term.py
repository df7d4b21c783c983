"""A term whose signals come from a user's own networks and batches: what does not fit is an InputError."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.learn.method.loss import BoundTerm

NOT_COUNTED = -100
"""The label that torch's cross-entropy passes over."""


@dataclasses.dataclass(frozen=True, slots=True)
class GuardedTerm(BoundTerm):
    """A term that says in one line why it cannot be computed."""

    def value(self, signals: Mapping[str, Tensor]) -> Tensor:
        """Unweighted, summed over the parts.

        Raises:
            InputError: if a signal is missing, or they do not fit one another.
        """
        self._require_labels(signals)
        try:
            return BoundTerm.value(self, signals)
        except torch.OutOfMemoryError:
            raise
        except (ValueError, IndexError, TypeError, RuntimeError) as error:
            raise InputError(f"loss {self.name}: {self._describe(signals, error)}") from error

    def _require_labels(self, signals: Mapping[str, Tensor]) -> None:
        labels, logits = signals.get("labels"), signals.get("student_logits")
        if labels is None or logits is None or not {"labels", "label_indices"} & {*self.needs}:
            return
        if labels.is_floating_point() or logits.ndim != 2 or self.labelled_only:
            return
        classes = logits.shape[1]
        wrong = labels[((labels < 0) & (labels != NOT_COUNTED)) | (labels >= classes)]
        if wrong.numel():
            raise InputError(
                f"loss {self.name}: got label {int(wrong.flatten()[0])}, want 0 to {classes - 1}: "
                f"the student gives {classes} classes"
            )

    def _describe(self, signals: Mapping[str, Any], error: Exception) -> str:
        given = {name: signals[name] for name in self.needs if name in signals}
        shapes = {k: list(each.shape) for k, each in given.items() if isinstance(each, Tensor)}
        student, teacher = shapes.get("student_logits"), shapes.get("teacher_logits")
        if student and teacher and student != teacher:
            got = f"{student} from the student and {teacher} from the teacher"
            return f"got logits {got}, want as many classes of both"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        return f"{first[:200]}; it was given {shown or 'layers'}"


def guard_terms(terms: Iterable[BoundTerm]) -> tuple[GuardedTerm, ...]:
    """The same terms, guarded."""
    names = [field.name for field in dataclasses.fields(BoundTerm)]
    return tuple(GuardedTerm(**{name: getattr(term, name) for name in names}) for term in terms)
