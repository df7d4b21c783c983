"""The image classifiers of the transformers package (https://github.com/huggingface/transformers)."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import Any
from typing import cast

import torch
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.settings import Count

_LARGEST_CONFIG_BYTES = 2**22
_LABELS = ("num_labels", "id2label", "label2id")


def transformers(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    reference: str = "",
    config: str = "",
) -> nn.Module:
    """An image classifier of transformers, freshly initialised. Nothing is downloaded, no code run.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        reference: a folder with a ``config.json``, or a model type such as ``resnet`` or ``vit``.
        config: the configuration itself as JSON; if given, it counts, not `reference`. A saved
            blueprint holds it.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        InputError: if there is no configuration, or no image classifier can be built from it.
        MachineError: if transformers is not installed or does not work here.
    """
    where = f"transformers:{reference}"
    package = _package()
    fields = _fields(where, reference, config)
    kept = {key: value for key, value in fields.items() if key not in _LABELS}
    sized: dict[str, Any] = {"num_labels": classes, "num_channels": channels}
    try:
        settings = package.AutoConfig.for_model(**kept, **sized)
        if hasattr(settings, "image_size"):
            settings.image_size = height if height == width else (height, width)
        model = package.AutoModelForImageClassification.from_config(
            settings, trust_remote_code=False
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{where}: transformers cannot build it: {first[:200]}") from error
    model.register_forward_hook(_logits)
    model.class_names = _names(fields)
    # What builds it again on a machine without the folder: `edgekd.learn.blueprint.save` keeps it.
    model.blueprint_arguments = {"reference": "", "config": json.dumps(kept, sort_keys=True)}
    return cast(nn.Module, model)


def _names(fields: dict[str, Any]) -> tuple[str, ...]:
    """Of the classes, in the checkpoint's order; empty where the configuration names none."""
    named = fields.get("id2label")
    if not isinstance(named, dict):
        return ()
    found = [named.get(str(number)) for number in range(len(named))]
    return tuple(map(str, found)) if all(found) else ()


def _logits(_model: nn.Module, _images: object, output: Any) -> torch.Tensor:
    """A forward hook, so that the parameters keep the names they have in published checkpoints."""
    return output.logits


def _fields(where: str, reference: str, config: str) -> dict[str, Any]:
    """The configuration's fields; ``model_type`` is one of them and nothing asks for code."""
    if not config and reference.isidentifier():
        return {"model_type": reference}
    try:
        fields = json.loads(config or _text(Path(reference)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got a configuration that is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("model_type"), str):
        raise InputError(f"{where}: got a configuration without model_type")
    if "auto_map" in fields:
        raise InputError(f"{where}: got a configuration that brings its own code, want none")
    # Those of the checkpoint it came from; sizes are the caller's.
    dropped = ("num_channels", "transformers_version", "_name_or_path", "architectures")
    return {key: value for key, value in fields.items() if key not in dropped}


def _text(folder: Path) -> str:
    with files.open_regular(folder / "config.json") as file:
        data: bytes = file.read(_LARGEST_CONFIG_BYTES)
    return data.decode()


def _package() -> Any:
    hint = "pip install 'edgekd[hub]'"
    try:
        package = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise MachineError(f"transformers: {error.name} is not installed", hint=hint) from error
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MachineError(f"transformers: cannot be imported: {first[:200]}", hint=hint) from error
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return package
