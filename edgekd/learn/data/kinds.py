"""The image and the label of a data set, for methods that are made for images or for classes."""

from __future__ import annotations

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label


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
