"""The models that measure.py times, with weights drawn at random: only their shapes count there.

python benchmarks/engines/models.py FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.interface import image_classifier
from edgekd.learn.export import to_onnx
from edgekd.learn.models import MODELS
from edgekd.learn.quant import emit
from edgekd.learn.quant.post_training import quantize
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES

Size = dict[str, int]
Arguments = dict[str, Any]
DIGITS: Size = {"channels": 1, "height": 8, "width": 8}
SMALL: Size = {"channels": 3, "height": 32, "width": 32}
LARGE: Size = {"channels": 3, "height": 224, "width": 224}
FLOAT: dict[str, tuple[str, Arguments, Size]] = {
    "student": ("resnet8", {"base": 8}, DIGITS),
    "mobilenetv3-small-224": ("mobilenetv3-small", {}, LARGE),
}
INT8: dict[str, tuple[str, Arguments, Size]] = {
    "student-int8": ("resnet8", {"base": 8}, DIGITS),
    "resnet20-int8": ("resnet20", {}, SMALL),
    "vit-tiny-int8": ("vit-tiny", {}, SMALL),
    "resnet18-int8-224": ("timm", {"reference": "resnet18"}, LARGE),
}
"""Name to builder, its arguments, and the size of an image; int8 in the profile of OpenVINO."""
CALIBRATION = 32


def built(builder: str, arguments: Arguments, size: Size) -> nn.Module:
    """A model in evaluation mode."""
    torch.manual_seed(0)
    model: nn.Module = MODELS[builder].load()(classes=10, **arguments, **size)
    return model.eval()


def ends(size: Size) -> Interface:
    """What a classifier of such images takes and gives."""
    return image_classifier(classes=10, **size)


def drawn(count: int, size: Size) -> torch.Tensor:
    """Images [count, C, H, W] from the standard normal law."""
    return torch.randn(count, *size.values(), generator=torch.Generator().manual_seed(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, (builder, arguments, size) in FLOAT.items():
        to_onnx.write(built(builder, arguments, size), folder / f"{name}.onnx", ends(size))
    profile = PROFILES["openvino"]
    for name, (builder, arguments, size) in INT8.items():
        inputs = (drawn(CALIBRATION, size),)
        model = built(builder, arguments, size)
        started = quantize(
            model, (inputs[0][:2],), NUMERICS[profile.numerics], lambda inputs=inputs: [inputs]
        )
        to_onnx.write(
            emit.prepare_export(started.model, profile), folder / f"{name}.onnx", ends(size)
        )


if __name__ == "__main__":
    main()
