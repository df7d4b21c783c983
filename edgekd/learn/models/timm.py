"""The models of the timm package (Wightman, https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

import re

from torch import nn

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn.packages import import_package
from edgekd.settings import Count

LEAST_VERSION = "1.0.31"
"""Old ones (1.0.9) unpickle checkpoints that a configuration points to."""
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
"""An architecture, and which weights of it; other forms (hf-hub:, local-dir:) would reach for the network or
read files."""


def timm(
    *, classes: Count, channels: Count, height: Count, width: Count, reference: str
) -> nn.Module:
    """A model of timm, freshly initialised. Nothing is downloaded; weights come from a file.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        reference: timm's name of the model, such as ``resnet18``.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        InputError: if timm has no such model, or cannot build it for these images.
        MachineError: if timm is not installed, is too old or does not work here.
    """
    package = import_package("timm", LEAST_VERSION, "timm")
    if not _NAME.fullmatch(reference) or not package.is_model(reference):
        raise InputError(
            f"timm:{reference}: got no such model",
            hint=find_nearest(reference, package.list_models()),
        )
    sized = {}
    try:
        if getattr(package.get_pretrained_cfg(reference), "fixed_input_size", False):
            sized["img_size"] = (height, width)
        model: nn.Module = package.create_model(
            reference, pretrained=False, num_classes=classes, in_chans=channels, **sized
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"timm:{reference}: timm cannot build it: {first[:200]}") from error
    return model
