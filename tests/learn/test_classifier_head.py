"""The head of a checkpoint made for the data's classes: by name where names are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn import weights
from edgekd.learn.classifier_head import fit_head
from tests.learn.blueprint_example import image_blueprint

NAMES = ("cat", "Tench, Tinca tinca", "crane", "dog", "crane")
"""Of the checkpoint; two of its classes are called crane."""


def build(classes: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return blueprint.build(
        image_blueprint(builder="resnet8", classes=classes, channels=3, height=8, width=8)
    )


def inputs(classes: int) -> tuple[Tensor, ...]:
    return image_blueprint(builder="resnet8", classes=classes, channels=3, height=8, width=8).blank(
        2
    )


def checkpoint(classes: int) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in build(classes, 1).state_dict().items()}


def test_rows_of_classes_that_both_know_by_name_are_the_checkpoint_s() -> None:
    model, file = build(4), checkpoint(5)
    before = model.state_dict()["fc.weight"].clone()
    fitted = fit_head(model, file, ("DOG ", "tinca tinca", "crane", "bird"), NAMES, inputs(4))
    weights.load_into(model, fitted.tensors, "file")
    for name, old in (("fc.weight", before), ("fc.bias", fitted.tensors["fc.bias"])):
        assert torch.equal(model.state_dict()[name][0], file[name][3])
        assert torch.equal(model.state_dict()[name][1], file[name][1])
        assert torch.equal(model.state_dict()[name][2:], old[2:])
    assert torch.equal(model.state_dict()["conv1.weight"], file["conv1.weight"])
    assert fitted.note == (
        "fc: its head of 5 classes is replaced by one of 4: DOG , tinca tinca by name; "
        "2 others begin untrained"
    )


def test_without_names_the_whole_head_begins_untrained() -> None:
    model, file = build(3), checkpoint(5)
    fitted = fit_head(model, file, ("cat", "dog", "bird"), (), inputs(3))
    assert torch.equal(fitted.tensors["fc.weight"], model.state_dict()["fc.weight"])
    assert fitted.note.endswith("replaced by one of 3, which begins untrained")


def test_another_order_of_the_same_classes_is_put_right() -> None:
    model, file = build(3), checkpoint(3)
    fitted = fit_head(model, file, ("a", "b", "c"), ("c", "a", "b"), inputs(3))
    assert torch.equal(fitted.tensors["fc.weight"], file["fc.weight"][[1, 2, 0]])
    assert torch.equal(fitted.tensors["fc.bias"], file["fc.bias"][[1, 2, 0]])


@pytest.mark.parametrize("names", [(), ("a", "b", "c")])
def test_a_head_that_fits_stays(names: tuple[str, ...]) -> None:
    file = checkpoint(3)
    fitted = fit_head(build(3), file, ("a", "b", "c"), names, inputs(3))
    assert fitted.note == "" and all(fitted.tensors[name] is file[name] for name in file)


def test_where_more_differs_the_checkpoint_is_left_to_be_refused() -> None:
    file = checkpoint(5)
    file["conv1.weight"] = torch.zeros(9, 3, 3, 3)
    fitted = fit_head(build(3), file, ("a", "b", "c"), (), inputs(3))
    assert fitted.note == "" and fitted.tensors["fc.weight"].shape[0] == 5
