"""A factorized model comes back from its blueprint; a hostile edit is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint as blueprints
from edgekd.learn.blueprint import Blueprint
from tests.learn.blueprint_example import image_blueprint

LAYERS = [
    {"path": "layer2.0.conv1", "structure": "spatial", "ranks": [3]},
    {"path": "layer2.0.downsample.0", "structure": "svd", "ranks": [2]},
    {"path": "layer3.0.conv2", "structure": "tucker2", "ranks": [3, 5]},
    {"path": "fc", "structure": "svd", "ranks": [2]},
]


def plan(*layers: dict[str, Any], **arguments: Any) -> Blueprint:
    edit = {"name": "factorize", "layers": list(layers)}
    return image_blueprint(
        builder=arguments.pop("builder", "resnet8"),
        arguments=arguments or {"base": 4},
        classes=3,
        channels=1,
        height=8,
        width=8,
        edits=(edit,),
    )


def test_saved_and_loaded_it_is_the_same_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = blueprints.build(plan(*LAYERS)).eval()
    saved = blueprints.save(model, plan(*LAYERS), tmp_path)
    again = blueprints.load(saved["blueprint.json"], saved["weights.safetensors"])
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(model(x), again(x))
    assert "layer3.0.conv2.1.weight" in again.state_dict()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"path": "layer9", "structure": "svd", "ranks": [2]}, "layer9: got NoneType"),
        ({"path": "layer1", "structure": "svd", "ranks": [2]}, "layer1: got Sequential"),
        ({"path": "bn1", "structure": "svd", "ranks": [2]}, "bn1: got BatchNorm2d"),
        ({"path": "fc", "structure": "svd", "ranks": [2**40]}, "less than or equal"),
        ({"path": "fc", "structure": "svd", "ranks": [4]}, "fc: svd: got rank 4, want 1 to 3"),
        ({"path": "fc", "structure": "reshape", "ranks": [2]}, "does not fit"),
        ({"path": "fc", "structure": "cp", "ranks": [2]}, "structure"),
        ({"path": "fc", "structure": "svd", "ranks": []}, "ranks"),
        ({"path": "fc", "structure": "svd", "ranks": [2], "code": "x"}, "code"),
        ({"path": "", "structure": "svd", "ranks": [2]}, "path"),
    ],
)
def test_what_does_not_fit_is_one_line(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprints.build(plan(layer))
    line = caught.value.line()
    assert line.startswith("blueprint: edit factorize: ") and message in line and "\n" not in line


def test_grouped_convolutions_are_refused() -> None:
    layer = {"path": "blocks.1.0.conv.3", "structure": "reshape", "ranks": [2]}
    with pytest.raises(InputError, match="groups, want one"):
        blueprints.build(plan(layer, builder="mobilenetv2", multiplier=0.5))
