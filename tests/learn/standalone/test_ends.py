"""What a module takes and gives is read from its batches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import from_json
from edgekd.interface import image_classifier
from edgekd.interface import to_json
from edgekd.learn.signals import is_classifier
from edgekd.learn.standalone.ends import infer_interface
from tests.learn.standalone_example import Texts
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net
from tests.learn.standalone_example import text_batches


def test_an_image_classifier() -> None:
    ((images, labels),) = batches(1)
    found = infer_interface(net(2), [(images,)], ["images"], targets={"labels": labels})
    want = image_classifier(classes=3, channels=1, height=8, width=8)
    assert found.inputs == want.inputs and found.outputs == want.outputs
    assert is_classifier(found.outputs) and found.sizes["classes"] == 3
    assert from_json(to_json(found)) == found


def test_an_axis_of_several_sizes_is_free() -> None:
    examples = [(each["ids"], each["mask"]) for each in text_batches(5, 7)]
    found = infer_interface(Texts(), examples, ["ids", "mask"])
    assert [end.shape for end in found.inputs] == [("batch", "ids_1")] * 2
    assert [end.kind for end in found.inputs] == ["index", "mask"]
    assert found.outputs[0].shape == ("batch", 4)
    assert {axis.name: axis.usual for axis in found.axes} == {"batch": 1, "ids_1": 7}
    assert from_json(to_json(found)) == found


@pytest.mark.parametrize(
    ("shape", "labels", "axis"),
    [((4, 5, 6), (5, 6), 1), ((7, 4), (7,), 2), ((4,), (), 1)],
)
def test_the_axis_of_the_classes_is_the_one_that_labels_lack(
    shape: tuple[int, ...], labels: tuple[int, ...], axis: int
) -> None:
    given = torch.zeros(3, *shape)
    targets = {"labels": torch.zeros(3, *labels, dtype=torch.int64)}
    found = infer_interface(nn.Identity(), [(given,)], targets=targets)
    assert found.outputs[0].class_axis == axis and found.sizes["classes"] == 4


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InputError, match=r"Sequential: cannot take \[2, 9\]"):
        infer_interface(net(2), [(torch.zeros(2, 9),)])
    with pytest.raises(InputError, match="want one of float32"):
        infer_interface(nn.Identity(), [(torch.zeros(2, 9, dtype=torch.float64),)])
    with pytest.raises(InputError, match="want a class for each place"):
        targets = {"labels": torch.zeros(2, 5, dtype=torch.int64)}
        infer_interface(nn.Identity(), [(torch.zeros(2, 3),)], targets=targets)
    with pytest.raises(InputError, match=r"want tensors \[B, ...\]"):
        infer_interface(nn.Flatten(0), [(torch.zeros(2, 3),)])
