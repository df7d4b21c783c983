"""A published model: the file of its weights, the commit it is of, its preprocessing and its classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn import model_hub
from edgekd.learn import preprocessing
from edgekd.learn.gguf.model import read_config
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.layer_choice import parse_layers
from edgekd.learn.models import timm
from edgekd.learn.models import transformers
from edgekd.learn.preprocessing import Preprocessing
from edgekd.learn.text_network import TEXT_TYPES
from edgekd.named_member import NamedMember
from edgekd.tokenizer import FILE


class PretrainedModel(NamedTuple):
    """What was published of a model, on this machine."""

    weights: Path
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    """Names in its own order; empty where nothing says them."""
    pins: dict[str, str]
    """Its repository and the commit of its files; empty of a folder."""
    tokenizer: Path | None = None
    """What its texts are taken apart with, a tokenizer.json or a GGUF file; None of images, or where its folder holds
    neither."""


def find_pretrained(model: NamedMember, *, allow_download: bool = False) -> PretrainedModel:
    """Find the files of a model that is pretrained; fetch what is missing, where that is allowed.

    Args:
        model: of timm or transformers, by its reference.
        allow_download: whether the network may be used.

    Raises:
        InputError: if the model has no weights, or its configuration is not what it should be.
        MachineError: if its files are not here and may not, or cannot, be downloaded.
    """
    source, tokenizer = find_source(model), None
    gguf = None if source.folder is None else model_hub.find_gguf(source.folder)
    if gguf is not None:
        return PretrainedModel(gguf, Preprocessing(), (), {}, gguf)
    config_path = require_config(model, allow_download=allow_download)
    pinned = source.pin(config_path)
    config = files.read_json(config_path)
    if not isinstance(config, dict):
        raise InputError(f"{source.where}: {model_hub.CONFIG}: got no mapping, want one")
    where = f"{source.where}: {model_hub.CONFIG}"
    if MODULES[model.name] is timm:
        found = preprocessing.read_timm(config, where)
        classes = preprocessing.name_timm_classes(config)
    elif config.get("model_type") in TEXT_TYPES:
        for name in model_hub.BESIDE:  # the builder reads them
            pinned.find_file(name, allow_download=allow_download)
        tokenizer = pinned.find_file(FILE, allow_download=allow_download)
        found, classes = Preprocessing(), ()
    else:
        path = pinned.find_file(model_hub.PREPROCESSOR, allow_download=allow_download)
        fields = files.read_json(path) if path is not None else {}
        where = f"{source.where}: {model_hub.PREPROCESSOR}"
        found = preprocessing.read_transformers(config, dict(fields), where)
        classes = ()  # the builder reads them itself
    weights = model_hub.require_weights(pinned, allow_download=allow_download)
    pins = {} if source.folder else {source.repository: pinned.revision}
    return PretrainedModel(weights, found, classes, pins, tokenizer)


def require_config(model: NamedMember, *, allow_download: bool = False) -> Path:
    """The configuration of a model; fetched if it is missing, where that is allowed.

    Raises:
        InputError: as `find_pretrained`.
        MachineError: as `find_pretrained`.
    """
    source = find_source(model)
    gguf = None if source.folder is None else model_hub.find_gguf(source.folder)
    return gguf or model_hub.require_file(source, model_hub.CONFIG, allow_download=allow_download)


def admit_config(model: NamedMember) -> None:
    """Refuse a configuration of which its package builds no model, as far as it tells itself; its file is here.

    Raises:
        InputError: naming what is wrong in it.
    """
    module = MODULES[model.name]
    if hasattr(module, "admit_config"):
        module.admit_config(str(model.arguments["reference"]))


def require_layers(model: NamedMember, config: Path) -> None:
    """Refuse layers, a width or heads that a text model cannot have, as far as its configuration tells without building it.

    Raises:
        InputError: naming the knob.
    """
    said = model.arguments
    if not any(said.get(name) for name in ("layers", "keep_layers", "heads", "width")):
        return
    fields = read_config(read_head(config)) if config.suffix == model_hub.GGUF else None
    fields = files.read_json(config) if fields is None else fields
    if not isinstance(fields, dict) or fields.get("model_type") not in TEXT_TYPES:
        return
    of, width, heads = (
        next((fields[name] for name in names if type(fields.get(name)) is int), None)
        for names in (_LAYERS, _WIDTHS, _HEADS)
    )
    try:
        if of is not None:
            parse_layers(int(said.get("layers") or 0), str(said.get("keep_layers") or ""), of)
    except ValueError as error:
        raise InputError(str(error)) from error
    width, heads = int(said.get("width") or width or 0), int(said.get("heads") or heads or 0)
    if width and heads and width % heads:
        raise InputError(f"heads: got {heads}, want a divisor of width {width}")


_LAYERS = ("num_hidden_layers", "n_layer", "n_layers")
_WIDTHS, _HEADS = ("hidden_size", "n_embd", "dim"), ("num_attention_heads", "n_head", "n_heads")
"""What model types call these sizes."""
WEIGHTS = model_hub.WEIGHTS
MODULES = {"timm": timm, "transformers": transformers}


def find_source(model: NamedMember) -> model_hub.ModelSource:
    """Find where the files of a model lie, as its package says it.

    Raises:
        InputError: as `find_pretrained`.
        MachineError: if its package is not here.
    """
    source: model_hub.ModelSource = MODULES[model.name].find_source(
        str(model.arguments["reference"])
    )
    return source


def list_downloads(model: NamedMember) -> tuple[str, ...]:
    """Addresses of what is missing of a model on this machine; empty if it is all here."""
    source = find_source(model)
    if source.folder is not None:
        return ()
    config = source.find_file(model_hub.CONFIG)
    pinned = source.pin(config) if config else source
    if config and any(pinned.find_file(name) for name in model_hub.WEIGHTS):
        return ()
    return (f"https://huggingface.co/{source.repository}",)
