"""The image classifiers of the transformers package (https://github.com/huggingface/transformers)."""

from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path
from typing import Any
from typing import cast

from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn import model_hub
from edgekd.learn.packages import import_package
from edgekd.settings import Count

LEAST_VERSION = "5.23"
TYPES = (
    *("beit", "bit", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit", "dinov2"),
    *("dinov2_with_registers", "donut-swin", "efficientnet", "focalnet", "hgnet_v2", "hiera"),
    *("ijepa", "levit", "mobilenet_v1", "mobilenet_v2", "mobilevit", "mobilevitv2", "poolformer"),
    *(
        "pp_lcnet",
        "pvt",
        "pvt_v2",
        "regnet",
        "resnet",
        "segformer",
        "swiftformer",
        "swin",
        "swinv2",
    ),
    *("textnet", "vit", "vit_msn"),
)
"""Model types that are classifiers by themselves. Others hold models of other packages (``timm_wrapper``), which
a configuration can point to files, or are half of a model of text and images."""
_LARGEST_CONFIG_BYTES = 2**22
_LABELS = ("num_labels", "id2label", "label2id")
_LEFT_OUT = ("num_channels", "transformers_version", "_name_or_path")
"""Those of the checkpoint it came from, which are never handed on; sizes are the caller's."""
_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""An activation, a kind of layer; a path, an address or a package's module has other signs."""
_DEEPEST = 4


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
        reference: a folder with a ``config.json``, ``OWNER/NAME`` of the hub, whose ``config.json`` is in its cache, or
            a model type such as ``resnet`` or ``vit``.
        config: the configuration itself as JSON; if given, it counts, not `reference`. A saved
            blueprint holds it.

    Returns:
        A model from float32 [B, channels, height, width] to an output whose ``logits`` are [B, classes].

    Raises:
        InputError: if there is no configuration, or no image classifier can be built from it.
        MachineError: if transformers is not installed, is too old or does not work here, or the configuration is not
            here.
    """
    where = f"transformers:{reference}" if reference else "transformers"
    package = import_package("transformers", LEAST_VERSION, "hub")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    fields = _fields(where, reference, config)
    kind = fields["model_type"]
    sized: dict[str, Any] = {"num_labels": classes, "num_channels": channels}
    try:
        kept = _declared(package, fields)
        settings = package.AutoConfig.for_model(kind, **kept, **sized)
        # Of a type's several classifiers the one that the checkpoint names, else the first.
        settings.architectures = kept.get("architectures", [])
        if hasattr(settings, "image_size"):
            square = height == width and isinstance(settings.image_size, int)
            settings.image_size = height if square else [height, width]
        model = package.AutoModelForImageClassification.from_config(
            settings, trust_remote_code=False
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{where}: transformers cannot build it: {first[:200]}") from error
    model.class_names = _names(fields)
    # What builds it again on a machine without the folder: `edgekd.learn.blueprint.save` keeps it.
    described = json.dumps({"model_type": kind, **kept}, sort_keys=True)
    model.blueprint_arguments = {"reference": "", "config": described}
    return cast(nn.Module, model)


def _declared(package: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what the model type itself declares: sizes, depths, activations.

    What every configuration of the package takes is left out, since some of it makes the package look for code
    (``attn_implementation``).
    """
    kind = type(package.AutoConfig.for_model(fields["model_type"]))
    common = inspect.signature(package.PreTrainedConfig).parameters
    known = {*inspect.signature(kind).parameters, *kind.attribute_map} - {*common, *_LABELS}
    known = known - {*_LEFT_OUT} | {"architectures"}
    return {name: value for name, value in fields.items() if name in known}


def _names(fields: dict[str, Any]) -> tuple[str, ...]:
    """Of the classes, in the checkpoint's order; empty where the configuration names none."""
    named = fields.get("id2label")
    if not isinstance(named, dict):
        return ()
    found = [named.get(str(number)) for number in range(len(named))]
    return tuple(map(str, found)) if all(found) else ()


def _fields(where: str, reference: str, config: str) -> dict[str, Any]:
    """The configuration's fields: ``model_type`` is one of `TYPES`, and none of them names a path or code."""
    if not config and reference in TYPES:
        return {"model_type": reference}
    if not config and _WORD.fullmatch(reference) and not Path(reference).exists():
        raise InputError(f"{where}: got no such model type", hint=find_nearest(reference, TYPES))
    try:
        fields = json.loads(config or _read_config(where, reference))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got a configuration that is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("model_type"), str):
        raise InputError(f"{where}: got a configuration without model_type")
    kind = fields["model_type"]
    if kind not in TYPES:
        raise InputError(
            f"{where}: got model_type {kind[:80]!r}, want a plain image classifier",
            hint=find_nearest(kind, TYPES),
        )
    for name, value in fields.items():
        if name in _CODE:
            raise InputError(f"{where}: {name}: got a configuration that brings its own code")
        if name not in (*_LABELS, *_LEFT_OUT):
            _require_plain(value, f"{where}: {name[:80]}", _DEEPEST)
    return fields


def _require_plain(value: object, where: str, deepest: int) -> None:
    """Raises InputError unless `value` is made of numbers and single words alone."""
    if isinstance(value, dict | list) and deepest:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            _require_plain(name, where, 0)
            _require_plain(item, f"{where}.{name}", deepest - 1)
    elif isinstance(value, dict | list):
        raise InputError(f"{where}: got a configuration that nests too deeply")
    elif isinstance(value, str) and value and not _WORD.fullmatch(value):
        raise InputError(
            f"{where}: got {value[:80]!r}, want a number or a single word: a configuration may name no "
            "path, address or code"
        )


def _read_config(where: str, reference: str) -> str:
    source = model_hub.parse_source(reference, where)
    path = Path(reference) / model_hub.CONFIG
    if source is not None:
        path = model_hub.require_file(source, model_hub.CONFIG)
    with files.open_regular(path) as file:
        data: bytes = file.read(_LARGEST_CONFIG_BYTES)
    return data.decode()


def find_source(reference: str) -> model_hub.ModelSource:
    """Find where the pretrained weights of a model lie.

    Raises:
        InputError: if it is a bare model type, or neither a folder nor ``OWNER/NAME``.
    """
    where = f"transformers:{reference}"
    source = model_hub.parse_source(reference, where)
    if source is not None:
        return source
    if Path(reference).is_dir():
        return model_hub.ModelSource(where, Path(reference))
    raise InputError(
        f"{where}: got pretrained: true for a type of model, want OWNER/NAME of the hub or a folder"
    )
