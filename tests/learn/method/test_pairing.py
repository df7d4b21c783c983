"""Which layers belong together, in the networks of the literature and in strangers' own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.method import pairing
from edgekd.learn.method.pairing import NetworkStages
from tests.learn.blueprint_example import image_blueprint


def built(builder: str, side: int = 32, **arguments: int) -> nn.Module:
    size = {"channels": 3, "height": side, "width": side}
    return blueprint.build(
        image_blueprint(builder=builder, classes=10, arguments=arguments, **size)
    )


def look(model: nn.Module, side: int = 32) -> NetworkStages:
    return pairing.find_stages(model, torch.zeros(2, 3, side, side))


@pytest.mark.parametrize(
    ("builder", "stages", "classifier"),
    [
        ("resnet8", ("layer1", "layer2", "layer3"), "fc:input"),
        ("wrn-16-1", 3, None),
        ("vgg8", 4, None),
        ("mobilenetv2", 4, None),
        ("shufflenetv2", 3, None),
    ],
)
def test_convolutional_networks_end_a_stage_where_they_halve(
    builder: str, stages: tuple[str, ...] | int, classifier: str | None
) -> None:
    found = look(built(builder))
    if isinstance(stages, tuple):
        assert found == NetworkStages(stages, str(classifier))
    else:
        assert len(found.stages) >= stages
    assert found.classifier.endswith(":input")


def test_a_transformer_s_stages_are_spread_over_its_layers() -> None:
    assert look(built("vit-tiny", depth=6)).stages == (
        "layers.0",
        "layers.2",
        "layers.3",
        "layers.5",
    )


def test_a_perceptron_has_stages_and_a_bare_classifier_none() -> None:
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 7), nn.ReLU(), nn.Linear(7, 2))
    assert look(hidden, 8) == NetworkStages(("1", "2"), "3:input")
    with pytest.raises(ValueError, match="no stages"):
        look(nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), 8)


def test_a_squeeze_is_no_stage() -> None:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, 2, 1)
            self.squeeze = nn.Conv2d(4, 4, 1)
            self.second = nn.Conv2d(4, 8, 3, 2, 1)
            self.fc = nn.Linear(8, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features = self.first(images)
            features = features * self.squeeze(features.mean((2, 3), keepdim=True)).sigmoid()
            return self.fc(self.second(features).mean((2, 3)))

    assert look(Squeezed(), 8) == NetworkStages(("first", "second"), "fc:input")


FOUR, THREE = NetworkStages(("a", "b", "c", "d"), "z"), NetworkStages(("i", "j", "k"), "y")


def test_pairs_by_stage_depth_and_path() -> None:
    same = pairing.pair_layers("auto", THREE, THREE)
    assert [(pair.student, pair.teacher) for pair in same] == [("i", "i"), ("j", "j"), ("k", "k")]
    fewer = pairing.pair_layers("auto", THREE, FOUR)
    assert [(pair.student, pair.teacher) for pair in fewer] == [("i", "a"), ("j", "c"), ("k", "d")]
    (middle,) = pairing.pair_layers(0.5, FOUR, THREE)
    assert (middle.student, middle.teacher) == ("b", "j")
    (last,) = pairing.pair_layers(1.0, FOUR, THREE)
    assert (last.student, last.teacher) == ("d", "k")
    own = LayerPair(student="x", teacher="y")
    assert pairing.pair_layers(own, FOUR, THREE) == (own,)
    assert pairing.pair_layers((own, own), FOUR, THREE) == (own, own)


@pytest.mark.parametrize("depth", [0.0, 0.01, 0.3, 0.99])
def test_every_depth_is_a_stage(depth: float) -> None:
    (pair,) = pairing.pair_layers(depth, FOUR, THREE)
    assert pair.student in FOUR.stages and pair.teacher in THREE.stages


class TwoHeads(nn.Module):
    """The head of the logits runs first, the other after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.deep = nn.Conv2d(8, 8, 3, 2, 1)
        self.classes, self.numbers = nn.Linear(8, 5), nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.deep(self.conv(images).relu()).relu().mean((2, 3))
        classes = self.classes(found)
        return self.numbers(found), classes.unflatten(1, (5, 1)).flatten(1)


def test_of_several_outputs_the_layer_that_gives_one_is_found() -> None:
    model, images = TwoHeads(), torch.randn(2, 3, 16, 16)
    assert pairing.find_stages(model, images, output=1).classifier == "classes:input"
    assert pairing.find_stages(model, images, output=0).classifier == "numbers:input"
    assert pairing.find_stages(model, images).classifier == "numbers:input"  # the last that runs
