"""The models of the timm package (Wightman, https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.errors import nearest
from edgekd.settings import Count


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
        MachineError: if timm is not installed or does not work here.
    """
    package = _package()
    # Other forms of a name (hf-hub:, local-dir:) would reach for the network or run files.
    if not package.is_model(reference):
        raise InputError(
            f"timm:{reference}: got no such model", hint=nearest(reference, package.list_models())
        )
    sized = {}
    if getattr(package.get_pretrained_cfg(reference), "fixed_input_size", False):
        sized["img_size"] = (height, width)
    try:
        model: nn.Module = package.create_model(
            reference, pretrained=False, num_classes=classes, in_chans=channels, **sized
        )
    except Exception as error:
        raise InputError(f"timm:{reference}: timm cannot build it: {str(error)[:200]}") from error
    return model


def _package() -> Any:
    hint = "pip install 'edgekd[timm]'"
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MachineError(f"timm: {error.name} is not installed", hint=hint) from error
    # Its torchvision may be built for another torch, which shows as a RuntimeError.
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MachineError(f"timm: cannot be imported: {first[:200]}", hint=hint) from error
