"""The models of the timm package (Wightman, https://github.com/huggingface/pytorch-image-models)."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn import model_hub
from edgekd.learn.packages import import_package
from edgekd.settings import Count

LEAST_VERSION = "1.0.31"
"""Old ones (1.0.9) unpickle checkpoints that a configuration points to."""
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
"""An architecture, and which weights of it; timm itself is handed no other form, which would reach for the network or
read files."""
_OWN = "timm/"
"""Stands in timm's tables for its own repository of a model."""
_SIZES = {"num_classes", "in_chans", "img_size"}
"""Of a configuration's arguments for the network: those that the caller gives."""


def timm(
    *, classes: Count, channels: Count, height: Count, width: Count, reference: str
) -> nn.Module:
    """A model of timm, freshly initialised. Nothing is downloaded; weights come from a file.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        reference: timm's name of the model, such as ``resnet18``; ``hf-hub:OWNER/NAME``, whose ``config.json`` is in
            the hub's cache; or a folder with one.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        InputError: if timm has no such model, or cannot build it for these images.
        MachineError: if timm is not installed, is too old or does not work here, or the configuration is not here.
    """
    package = import_package("timm", LEAST_VERSION, "timm")
    source = model_hub.parse_source(reference, f"timm:{reference}")
    name = reference if source is None else _read_architecture(source)
    _require_known(package, reference, name)
    sized = {}
    try:
        if getattr(package.get_pretrained_cfg(name), "fixed_input_size", False):
            sized["img_size"] = (height, width)
        model: nn.Module = package.create_model(
            name, pretrained=False, num_classes=classes, in_chans=channels, **sized
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"timm:{reference}: timm cannot build it: {first[:200]}") from error
    if source is not None:
        # What builds it again on a machine without the folder: `edgekd.learn.blueprint.save` keeps it.
        model.blueprint_arguments = {"reference": name}
    return model


def find_source(reference: str) -> model_hub.ModelSource:
    """Find where the pretrained weights of a model lie.

    Raises:
        InputError: if timm has no such model, or none of its weights on the hub.
        MachineError: as `timm`.
    """
    where = f"timm:{reference}"
    source = model_hub.parse_source(reference, where)
    if source is not None:
        return source
    package = import_package("timm", LEAST_VERSION, "timm")
    _require_known(package, reference, reference)
    settings = package.get_pretrained_cfg(reference)
    repository = getattr(settings, "hf_hub_id", None)
    if not repository:
        raise InputError(
            f"{where}: got pretrained: true, and timm has no weights of it on the hub",
            hint="leave pretrained out, or give a file of weights",
        )
    if repository == _OWN:
        repository += f"{settings.architecture}.{settings.tag}"
    return model_hub.ModelSource(where, None, repository)


def _require_known(package: Any, reference: str, name: str) -> None:
    if not _NAME.fullmatch(name) or not package.is_model(name):
        raise InputError(
            f"timm:{reference}: got no such model",
            hint=find_nearest(name, package.list_models()),
        )


def _read_architecture(source: model_hub.ModelSource) -> str:
    """The name of the network in a configuration.

    Raises:
        InputError: if it names none, or says arguments for it that are not edgekd's to give.
        MachineError: if it is not here.
    """
    config = files.read_json(model_hub.require_file(source, model_hub.CONFIG))
    name = config.get("architecture") if isinstance(config, dict) else None
    if not isinstance(name, str):
        raise InputError(f"{source.where}: got a configuration without architecture, want timm's")
    arguments = config.get("model_args") or {}
    others = sorted(set(arguments) - _SIZES) if isinstance(arguments, dict) else ["model_args"]
    if others:
        raise InputError(
            f"{source.where}: got a configuration that sets {', '.join(others)[:80]}, want an architecture alone"
        )
    return name
