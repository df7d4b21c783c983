"""A map of the image's size from any image that is large enough; sizes by hand; deployable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_parameters
from edgekd.learn.models.unet import unet
from tests.learn.deploy_example import require_deploys


def ends(height: int, width: int, classes: int = 4) -> Interface:
    logits = ("batch", classes, height, width)
    return Interface(
        (Tensor("images", "float32", ("batch", 3, height, width)),),
        (Tensor("logits", "float32", logits, "logits", class_axis=1, target="maps"),),
        sizes={"channels": 3, "height": height, "width": width, "classes": classes},
    )


def test_parameters_by_hand() -> None:
    """With two channels at the top and one halving: two levels down, one up."""

    def level(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs

    model = unet(classes=5, channels=3, height=8, width=8, base=2, depth=1)
    assert count_parameters(model) == level(3, 2) + level(2, 4) + level(6, 2) + 2 * 5 + 5


@pytest.mark.parametrize("sides", [(8, 8), (9, 13), (16, 33)])
def test_any_image_trains_and_gives_a_map_of_its_size(sides: tuple[int, int]) -> None:
    model = build(Blueprint(builder="unet", arguments={"base": 4}, interface=ends(*sides)))
    logits = model(torch.randn(2, 3, *sides))
    assert logits.shape == (2, 4, *sides)
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_pixel_sees_what_lies_around_it_and_what_lies_far() -> None:
    torch.manual_seed(0)
    model = unet(classes=2, channels=1, height=16, width=16, base=4, depth=2).eval()
    images = torch.randn(1, 1, 16, 16, requires_grad=True)
    model(images)[0, 0, 8, 8].backward()
    assert images.grad is not None
    reach = images.grad[0, 0].nonzero()
    assert int(reach.min()) <= 1 and int(reach.max()) >= 14


def test_too_many_halvings_are_refused_in_one_line() -> None:
    plan = Blueprint(builder="unet", arguments={"depth": 4}, interface=ends(8, 32))
    with pytest.raises(InputError, match="unet: depth: got 4 for 8x32 pixels") as caught:
        build(plan)
    assert "\n" not in str(caught.value)


def test_it_is_deployed_in_int8(tmp_path: Path) -> None:
    sides = (9, 13)  # that halve with a rest
    plan = Blueprint(builder="unet", arguments={"base": 4, "depth": 2}, interface=ends(*sides))
    random = torch.Generator().manual_seed(0)
    drawn = [(torch.randn(8, 3, *sides, generator=random),) for _ in range(3)]
    require_deploys(plan, drawn[:2], [drawn[2], (drawn[2][0][:1],)], tmp_path)
