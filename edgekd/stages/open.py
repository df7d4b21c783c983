"""Stage `open`: a file of weights is opened, and fitted to its model as far as that is known without data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.models import MODELS
from edgekd.learn.settings import WeightsAllow
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage


class OpenConfig(Settings):
    """The model that the weights belong to."""

    model: ModelName
    file_name: str
    """Name of the weights file, for messages."""
    input: Input | None
    """The images it takes, where they are not the data's."""
    classes: Annotated[tuple[str, ...], Field(strict=False)]
    """Its classes, where they are not the data's."""
    allow: WeightsAllow
    """Whether the file may have tensors that the model lacks, or lack some of its own."""
    classifies_images: bool
    """Whether the model is built for images and classes, so that it can be built without the data."""


def run(config: OpenConfig, given: Given, context: Context) -> Made:
    """Give weights.json: how many tensors and numbers the file holds, and how they were found in it; of a user's ONNX
    file its bytes.

    Raises:
        InputError: as `check_weights`.
    """
    found = check_weights(config, given["user_weights"], allow_code=context.allow_code)
    made = context.folder / "weights.json"
    made.write_bytes(files.pretty_json(found))
    return {"weights.json": made}


def check_weights(config: OpenConfig, path: Path, *, allow_code: bool) -> dict[str, Any]:
    """Open a file and fit it to its model; return what `run` writes.

    Raises:
        InputError: if the file holds no weights, or others than the model's.
        MachineError: if the model needs a package that is not installed.
    """
    from edgekd.learn import weights
    from edgekd.learn import weights_fit
    from edgekd.learn.models.onnx import read_file

    if MODELS[config.model.name].names == "file":
        return {"bytes": len(read_file(path)), "notes": []}
    found = weights.read_checkpoint(path)
    if config.classifies_images:
        weights_fit.require_fit_without_data(
            config.model,
            found.tensors,
            config.file_name,
            allow=config.allow,
            seen=config.input or Input(),
            classes=len(config.classes),
            allow_code=allow_code,
        )
    count = sum(tensor.numel() for tensor in found.tensors.values())
    return {"tensors": len(found.tensors), "numbers": count, "notes": list(found.notes)}


STAGE = Stage("open", OpenConfig, run, packages=("torch", "safetensors"))
