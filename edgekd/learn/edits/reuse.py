"""Edit `reuse`: a student answers through a projector and its teacher's classifier (SimKD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.companions.reuse import reuse
from edgekd.settings import Count
from edgekd.settings import Settings

Side = Annotated[int, Field(ge=1, le=2**20)]
Path = Annotated[str, Field(min_length=1, max_length=1000)]


class ReuseEdit(Settings):
    """The fields of this edit in a blueprint."""

    layer: Path
    """Of the student: the last whose output is a feature map."""
    classifier: Path
    """Of the student: a linear layer that reads the pooled map."""
    student: Annotated[tuple[Side, ...], Field(min_length=2, max_length=3, strict=False)]
    """Shape of that map, without the batch."""
    teacher: Annotated[tuple[Side, ...], Field(min_length=2, max_length=3, strict=False)]
    """Shape of the teacher's."""
    width: Side
    """Of what the teacher's classifier reads."""
    factor: Count = 2
    """How many times narrower the projector is in its middle than the teacher."""
    rectified: bool = True
    """Whether a ReLU ends it."""


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` with the projector behind `layer`, and a classifier as wide as the teacher's.

    (Chen et al. 2022, arXiv:2203.14001, sec. 3.)

    Args:
        model: is changed in place.
        edit: see `ReuseEdit`.
        interface: what the model takes; not looked at.

    Raises:
        ValueError: if a layer is not there or not of its kind, or the maps do not fit.
    """
    said = ReuseEdit.model_validate(dict(edit))
    classifier = dict(model.named_modules()).get(said.classifier)
    if not isinstance(classifier, nn.Linear):
        raise ValueError(
            f"{said.classifier}: got {type(classifier).__name__}, want a Linear to answer through"
        )
    if said.layer not in dict(model.named_modules()):
        raise ValueError(f"got no layer {said.layer!r} in the student")
    shapes = (1, *said.student), (1, *said.teacher)
    beside = reuse(*shapes, factor=said.factor, rectified=said.rectified)
    layer = model.get_submodule(said.layer)
    _put(model, said.layer, nn.Sequential(layer, beside.projector))
    _put(model, said.classifier, nn.Linear(said.width, classifier.out_features))
    return model


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
