"""The image and the label of a data set, for methods that are made for images or for classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import Tensor


class ClassOutput(NamedTuple):
    """An output of class logits [N, C] and the target it is compared with, one class a sample."""

    output: str
    """Its name."""
    target: str
    """The target's name."""
    label: Label
    is_alone: bool
    """Whether the task has no other output."""


def find_image(dataset: Dataset) -> tuple[str, Image]:
    """The only input, by name.

    Raises:
        ValueError: if there are others, or it is no image.
    """
    (name, field), *others = dataset.inputs.items()
    if others or not isinstance(field, Image):
        kinds = ", ".join(each.kind for each in dataset.inputs.values())
        raise ValueError(f"got inputs of kind {kinds}, want one image")
    return name, field


def find_label(dataset: Dataset) -> tuple[str, Label]:
    """The first target that is one class a sample, by name.

    Raises:
        ValueError: if there is none.
    """
    for name, field in dataset.targets.items():
        if isinstance(field, Label):
            return name, field
    kinds = ", ".join(each.kind for each in dataset.targets.values())
    raise ValueError(f"got targets of kind {kinds or 'none'}, want one class a sample")


def find_class_output(dataset: Dataset, outputs: Sequence[Tensor]) -> ClassOutput | None:
    """Return the first output of class logits [N, C] whose target is one class a sample; None if there is none.

    Args:
        dataset: has the targets.
        outputs: all outputs of the task.
    """
    for output in outputs:
        label = dataset.targets.get(output.target)
        form = (output.kind, output.class_axis, len(output.shape))
        if isinstance(label, Label) and form == ("logits", 1, 2):
            return ClassOutput(output.name, output.target, label, len(outputs) == 1)
    return None
