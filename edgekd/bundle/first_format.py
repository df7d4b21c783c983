"""Bundles of the first format, of image classifiers alone, as those of today."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.bench.golden import UNNAMED
from edgekd.bench.golden import GoldenGroup
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import Interface
from edgekd.interface import image_classifier
from edgekd.interface import to_json

FORMAT = "edgekd.bundle/1"
FILES = (
    "MODEL_CARD.md",
    "golden.safetensors",
    "labels.json",
    "measured.json",
    "model.onnx",
    "preprocessing.json",
)
_METRIC = {"name": "accuracy", "unit": "fraction", "better": "higher"}
_ENDS = image_classifier(classes=1, channels=1, height=1, width=1)
"""Until the other files are read."""


def is_first_format(names: Collection[str]) -> bool:
    """Return whether a bundle of these files is of the first format."""
    return set(FILES) <= set(names)


def upgrade_manifest(value: Any) -> Any:
    """The content of a manifest of today's format; what is of no older one stays as it is."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return value
    chosen, tolerance = value.get("chosen"), value.get("tolerance")
    if isinstance(chosen, dict):
        chosen = _rename(chosen, "validation_accuracy", "validation_score")
    if isinstance(tolerance, dict):
        tolerance = {
            name: _rename(asked, "top1_agreement", "agreement")
            if isinstance(asked, dict)
            else asked
            for name, asked in tolerance.items()
        }
    today = {"metric": _METRIC, "interface": to_json(_ENDS)}
    if today.keys() & value.keys():
        return value
    return {
        **value,
        **today,
        "format": "edgekd.bundle/2",
        "chosen": chosen,
        "tolerance": tolerance,
    }


def _rename(value: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """`old` as `new`, and the other way round: what bears today's name in an older file is no key of today."""
    names = {old: new, new: old}
    return {names.get(name, name): each for name, each in value.items()}


def read_dataset(folder: Path) -> Dataset:
    """Return what preprocessing.json and labels.json say.

    Raises:
        InputError: if they are no preprocessing of images and no names of classes.
    """
    path, names_path = folder / "preprocessing.json", folder / "labels.json"
    facts, names = files.read_json(path), files.read_json(names_path)
    if not isinstance(facts, dict) or "kind" in facts:
        raise InputError(f"{path}: got no preprocessing of images")
    try:
        image = Image.from_json(facts)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(names, list):
        raise InputError(f"{names_path}: got no list of names")
    try:
        label = Label(names=tuple(names))
    except ValueError as error:
        raise InputError(f"{names_path}: {error}") from error
    return Dataset(task="classification", inputs={"images": image}, targets={"labels": label})


def find_interface(dataset: Dataset) -> Interface:
    """Return what an image classifier takes and gives."""
    sizes = dataset.sizes()
    return image_classifier(
        **{name: sizes[name] for name in ("classes", "channels", "height", "width")}
    )


def name_ends(golden: Mapping[str, GoldenGroup], interface: Interface) -> dict[str, GoldenGroup]:
    """Golden samples whose ends have no names, by those of a model with one input and one output."""
    names = (interface.inputs[0].name, interface.outputs[0].name, interface.inputs[0].name)

    def name_one(side: Mapping[str, Any], name: str) -> dict[str, Any]:
        return {(name if end == UNNAMED else end): array for end, array in side.items()}

    return {
        key: GoldenGroup(*(name_one(side, name) for side, name in zip(group, names, strict=True)))
        for key, group in golden.items()
    }
