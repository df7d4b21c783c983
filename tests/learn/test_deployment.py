"""What cannot be deployed is refused in one line while it is untrained; all else passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn import deployment
from edgekd.learn.quantize_settings import NumericsSettings
from tests.learn.blueprint_example import image_blueprint

PLAN = image_blueprint(builder="own", classes=4, channels=3, height=8, width=8)
INT8 = NumericsSettings(profiles=("x86", "openvino", "tensorrt"))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Any:
        return self.first(x.mean((2, 3)))


class Branches(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) if x.mean() > 0 else self.second(x.mean((2, 3)))


class Asks(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * float(x.mean())


class Loops(Net):
    def forward(self, x: Tensor) -> Any:
        return torch.stack([self.first(image.mean((1, 2))) for image in x])


class Pairs(Net):
    def forward(self, x: Tensor) -> Any:
        return self.first(x.mean((2, 3)).reshape(2, 3))


class Picks(Net):
    def forward(self, x: Tensor) -> Any:
        logits = super().forward(x)
        return logits[logits[:, 0] > -1e9]


class Fails(Net):
    def forward(self, x: Tensor) -> Any:
        if self.training:
            raise ValueError("no such thing as training")
        return super().forward(x)


class Merges(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x).mean(0, keepdim=True).expand(2, 4)


@pytest.mark.parametrize("numbers", [None, INT8])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Branches, "depends on the values of its images"),
        (Loops, "works for one number of images alone"),
        (Pairs, "shape '\\[2, 3\\]' is invalid"),
        (Picks, "depends on the values|free batch axis"),
        (Fails, "no such thing as training"),
        (Merges, r"got logits \[2, 4\] from 3 samples, want \[3, 4\]"),
    ],
)
def test_what_cannot_be_deployed_is_refused_in_one_line(
    kind: type[nn.Module], message: str, numbers: NumericsSettings | None
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        deployment.require_deployable(kind(), PLAN, opset=18, numbers=numbers)
    assert caught.value.exit_code == 2 and "\n" not in caught.value.line()


def test_a_number_read_out_of_an_image_is_refused_where_it_is_quantized() -> None:
    with pytest.raises(InputError, match="depends on the values|cannot be"):
        deployment.require_deployable(Asks(), PLAN, opset=18, numbers=INT8)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"float_layers": ("fc7",)}, "float_layers: got 'fc7'"),
        ({"layer_bits": {"fc7": 4}}, "weight_bits: got 'fc7'"),
        ({"float_layers": ("first",)}, "no layer to quantize"),
    ],
)
def test_words_for_layers_that_are_not_there(more: dict[str, Any], message: str) -> None:
    numbers = INT8.model_copy(update=more)
    with pytest.raises(InputError, match=message):
        deployment.require_deployable(Net(), PLAN, opset=18, numbers=numbers)


@pytest.mark.parametrize("builder", ["resnet8", "vit-tiny"])
def test_a_builder_of_the_house_passes(builder: str) -> None:
    plan = image_blueprint(builder=builder, classes=4, channels=3, height=32, width=32)
    torch.manual_seed(0)
    model = blueprint.build(plan)
    numbers = NumericsSettings(profiles=("x86",), weight_bits=4)
    deployment.require_deployable(model, plan, opset=21, numbers=numbers)
