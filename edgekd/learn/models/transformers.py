"""Image classifiers and text models of the transformers package (https://github.com/huggingface/transformers)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from typing import cast

from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.interface import Interface
from edgekd.learn import model_hub
from edgekd.learn import transformers_config
from edgekd.learn.gguf.model import read_config
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.packages import import_package
from edgekd.learn.text_builder import TextKnobs
from edgekd.learn.text_builder import build_text_network
from edgekd.learn.text_builder import is_text
from edgekd.learn.text_network import POOLINGS
from edgekd.learn.text_network import TEXT_TYPES
from edgekd.settings import Whole

LEAST_VERSION = "5.23"
IMAGE_TYPES = (
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
_POOLED = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_PARTS = ("Transformer", "Pooling", "Normalize")
_WANTED = {True: "a text model that is known to work", False: "a plain image classifier"}


def transformers(
    *,
    interface: Interface,
    reference: str = "",
    config: str = "",
    layers: Whole = 0,
    keep_layers: str = "",
    width: Whole = 0,
    heads: Whole = 0,
    inside: Whole = 0,
    pooling: str = "",
) -> nn.Module:
    """A model of transformers for images or texts, freshly initialised. Nothing is downloaded, no code run.

    What the data and the task want of a text is built: classes, a class of each token, a vector of length 1, the token
    behind a mask or the next one.

    Args:
        interface: what it takes and gives.
        reference: a folder with a ``config.json``, ``OWNER/NAME`` of the hub, whose ``config.json`` is in its cache, or
            a model type such as ``resnet``, ``vit`` or ``bert``.
        config: the configuration itself as JSON; if given, it counts, not `reference`. A saved
            blueprint holds it.
        layers: of a text model; fewer are spread evenly over those of the configuration, the last one kept.
        keep_layers: their numbers in place of that, such as ``0,2,3,5``.
        width: of a text model, numbers a token; another than the configuration's begins with new weights.
        heads: of its attention; they divide the width.
        inside: its width between the two linear layers behind attention.
        pooling: how a text becomes one vector: mean, cls or last; empty takes what lies in the folder, else mean.

    Returns:
        A model from float32 [B, channels, height, width], or int64 tokens [B, N] and their mask [B, N], to what the
        interface names.

    Raises:
        InputError: if there is no configuration, or no such model can be built from it.
        MachineError: if transformers is not installed, is too old or does not work here, or the configuration is not
            here.
    """
    where = f"transformers:{reference}" if reference else "transformers"
    package = import_package("transformers", LEAST_VERSION, "hub")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    of_text = is_text(interface)
    fields = _read_fields(where, reference, config, of_text)
    knobs = TextKnobs(layers, keep_layers, width, heads, inside, pooling)
    if of_text:
        if pooling and pooling not in POOLINGS:
            raise InputError(f"{where}: pooling: got {pooling!r}, want {', '.join(POOLINGS)}")
        if not pooling and not config and len(interface.outputs[0].shape) == 2:
            knobs = knobs._replace(pooling=_read_pooling(where, reference))
        is_bare = not config and reference in TEXT_TYPES
        is_whole = not (config or is_bare or width or inside)
        made = build_text_network(
            package,
            fields,
            interface,
            knobs,
            is_bare=is_bare,
            weights_bytes=_measure_weights(where, reference) if is_whole else None,
            where=where,
        )
        made.class_names = transformers_config.name_classes(fields)
        return made
    if any(knobs):
        named = next(name for name, value in knobs._asdict().items() if value)
        raise InputError(
            f"{where}: {named}: got it for an image classifier, want it of a text model"
        )
    return _build_image_classifier(package, fields, interface, where)


def _build_image_classifier(
    package: Any, fields: dict[str, Any], interface: Interface, where: str
) -> nn.Module:
    sizes, kind = interface.sizes, fields["model_type"]
    missing = [name for name in ("classes", "channels", "height", "width") if name not in sizes]
    if missing:
        raise ValueError(f"wants {', '.join(missing)}; the data give {', '.join(sizes)}")
    sized: dict[str, Any] = {"num_labels": sizes["classes"], "num_channels": sizes["channels"]}
    try:
        kept = transformers_config.keep_declared(package, fields)
        settings = package.AutoConfig.for_model(kind, **kept, **sized)
        # Of a type's several classifiers the one that the checkpoint names, else the first.
        settings.architectures = kept.get("architectures", [])
        if hasattr(settings, "image_size"):
            height, width = sizes["height"], sizes["width"]
            square = height == width and isinstance(settings.image_size, int)
            settings.image_size = height if square else [height, width]
        model = package.AutoModelForImageClassification.from_config(
            settings, trust_remote_code=False
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{where}: transformers cannot build it: {first[:200]}") from error
    model.class_names = transformers_config.name_classes(fields)
    # What builds it again on a machine without the folder: `edgekd.learn.blueprint.save` keeps it.
    described = json.dumps({"model_type": kind, **kept}, sort_keys=True)
    model.blueprint_arguments = {"reference": "", "config": described}
    return cast(nn.Module, model)


def _read_fields(where: str, reference: str, config: str, of_text: bool) -> dict[str, Any]:
    """The configuration's fields, admitted."""
    types = tuple(TEXT_TYPES) if of_text else IMAGE_TYPES
    if not config and reference in types:
        return {"model_type": reference}
    is_name = "/" not in reference and not reference.startswith(model_hub.LOCAL)
    if not config and is_name and not Path(reference).exists():
        raise InputError(f"{where}: got no such model type", hint=find_nearest(reference, types))
    text = config or _read_config(where, reference)
    return transformers_config.parse_config(text, where, types, _WANTED[of_text])


def admit_config(reference: str) -> None:
    """Refuse a configuration of which no model is built, as far as it tells itself.

    Args:
        reference: a folder, or a name on the hub whose configuration is here.

    Raises:
        InputError: as `transformers_config.parse_config`.
    """
    where = f"transformers:{reference}"
    kinds, wanted = (*TEXT_TYPES, *IMAGE_TYPES), " or ".join(_WANTED.values())
    transformers_config.parse_config(_read_config(where, reference), where, kinds, wanted)


def _read_config(where: str, reference: str) -> str:
    source = model_hub.parse_source(reference, where)
    folder = Path(reference) if source is None else source.folder
    if folder is not None and (gguf := model_hub.find_gguf(folder)) is not None:
        return json.dumps(read_config(read_head(gguf)))
    data = _read_beside(where, reference, model_hub.CONFIG)
    if data is None:  # said as for every other model
        model_hub.require_file(source or find_source(reference), model_hub.CONFIG)
    return (data or b"").decode(errors="replace")


def _read_beside(where: str, reference: str, name: str) -> bytes | None:
    """A file that lies beside a model; None if there is none."""
    source = model_hub.parse_source(reference, where)
    path = Path(reference) / name if source is None else source.find_file(name)
    if path is None or not path.is_file():
        return None
    with files.open_regular(path) as file:
        data: bytes = file.read(transformers_config.LARGEST_CONFIG_BYTES)
    return data


def _measure_weights(where: str, reference: str) -> int | None:
    """The size of the file of weights beside a configuration; None if there is none."""
    source = model_hub.parse_source(reference, where) or model_hub.ModelSource(
        where, Path(reference)
    )
    gguf = None if source.folder is None else model_hub.find_gguf(source.folder)
    found = [gguf, *(source.find_file(name) for name in model_hub.WEIGHTS)]
    return next((path.stat().st_size for path in found if path is not None), None)


def _read_pooling(where: str, reference: str) -> str:
    """How the model's folder says that a text becomes one vector; empty where nothing says it.

    Raises:
        InputError: if it is none of those known, or other parts belong to the model.
    """
    parts, said = (
        _read_beside(where, reference, name) for name in (model_hub.MODULES, model_hub.POOLING)
    )
    if parts is not None:
        kinds = [
            str(part.get("type", "")).rpartition(".")[2] if isinstance(part, dict) else ""
            for part in _parse(parts, list, f"{where}: {model_hub.MODULES}")
        ]
        others = [kind[:40] for kind in kinds if kind not in _PARTS]
        if others:
            raise InputError(
                f"{where}: {model_hub.MODULES}: got {others[0]!r}, want {', '.join(_PARTS)}"
            )
    if said is None:
        return ""
    found = _parse(said, dict, f"{where}: {model_hub.POOLING}")
    chosen = [name for name, value in found.items() if "mode" in name and value is True]
    if isinstance(found.get("pooling_mode"), str):
        chosen = [f"pooling_mode_{found['pooling_mode']}"]
    names = [_POOLED.get(name) or _POOLED.get(f"{name}_tokens") for name in chosen]
    if len(names) != 1 or names[0] is None:
        got = ", ".join(chosen)[:80] or "none"
        raise InputError(
            f"{where}: {model_hub.POOLING}: got {got}, want one of {', '.join(POOLINGS)}"
        )
    return names[0]


def _parse(data: bytes, kind: type, where: str) -> Any:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got no JSON, want some") from error
    if not isinstance(value, kind):
        raise InputError(f"{where}: got {type(value).__name__}, want a {kind.__name__}")
    return value


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
