"""A network made for other images or another order of classes takes the data's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.edits.adapt import apply
from edgekd.learn.losses.response.labels import cross_entropy
from edgekd.learn.losses.response.soft_targets import kd
from tests.learn.blueprint_example import image_blueprint

SMALL = {"channels": 1, "height": 4, "width": 4}


class Mean(nn.Module):
    """Logits are the means of the channels that it sees; it wants one size alone."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[2:] == (self.side, self.side)
        return images.mean((2, 3))


def ends(images: torch.Tensor) -> Interface:
    """What takes them."""
    _, channels, height, width = images.shape
    return image_classifier(classes=2, channels=channels, height=height, width=width)


def test_images_are_resampled_channels_chosen_logits_put_in_order() -> None:
    images = torch.rand(2, 3, 1, 1).expand(-1, -1, 8, 8)
    edit = {**SMALL, "channels": 2, "select": [2, 0], "order": [1, 0]}
    adapted = apply(Mean(4), edit, ends(images))
    assert torch.allclose(adapted(images), images.mean((2, 3))[:, [0, 2]], atol=1e-6)


def test_nothing_said_is_the_model_itself() -> None:
    images = torch.rand(2, 3, 4, 4)
    adapted = apply(Mean(4), {**SMALL, "channels": 3}, ends(images))
    assert torch.equal(adapted(images), images.mean((2, 3)))
    assert not adapted.state_dict()


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="select: got 3, want channels below 3"):
        apply(Mean(4), {**SMALL, "select": [3]}, ends(torch.rand(2, 3, 4, 4)))


def test_the_builder_is_told_what_the_network_takes() -> None:
    inside = image_classifier(classes=12, channels=3, height=16, width=16)
    size = {"channels": 3, "height": 16, "width": 16}
    edit = {"name": "adapt", **size, "order": list(range(10))[::-1]}
    plan = image_blueprint(
        builder="resnet8", classes=10, channels=1, height=8, width=8, inside=inside, edits=(edit,)
    )
    model = blueprint.build(plan)
    assert model.model.fc.out_features == 12
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    again = Blueprint.model_validate_json(plan.model_dump_json())
    assert again == plan


def test_channels_that_cannot_be_made_are_refused() -> None:
    inside = image_classifier(classes=10, channels=2, height=8, width=8)
    plan = image_blueprint(
        builder="resnet8",
        classes=10,
        channels=1,
        height=8,
        width=8,
        inside=inside,
        edits=({"name": "adapt", "channels": 2, "height": 8, "width": 8},),
    )
    with pytest.raises(InputError, match="got 1 channels, want 2"):
        blueprint.build(plan)


def accuracy(seed: int, weight: float) -> float:
    """Of a student that sees 8 channels, beside a teacher that sees the ninth, on clean test labels."""
    torch.manual_seed(seed)
    points = torch.randn(3000, 8)
    distance = points.sum(1, keepdim=True)
    labels = (distance + 2 * torch.randn(3000, 1) > 0).long().flatten()
    images = torch.cat([points, distance], 1)[:, :, None, None]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    student = apply(
        flat, {"channels": 8, "height": 1, "width": 1, "select": list(range(8))}, ends(images)
    )
    far = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    far[1].weight.data = torch.tensor([[-1.0], [1.0]])
    teacher = apply(far, {"channels": 1, "height": 1, "width": 1, "select": [8]}, ends(images))
    moves = torch.optim.SGD(student.parameters(), 0.5)
    for _ in range(150):
        logits, told = student(images[:60]), teacher(images[:60]).detach()
        loss = (1 - weight) * cross_entropy(logits, labels[:60]) + weight * kd(
            logits, told, temperature=1.0
        )
        moves.zero_grad()
        loss.backward()
        moves.step()
    right = student(images[60:]).argmax(1) == (distance[60:, 0] > 0)
    return right.float().mean().item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.trains
def test_a_teacher_that_sees_more_teaches_more(seed: int) -> None:
    """The first experiment of Lopez-Paz et al. 2016, arXiv:1511.03643, sec. 6, smaller."""
    alone, taught = accuracy(seed, 0.0), accuracy(seed, 1.0)
    assert taught > 0.95 > alone
