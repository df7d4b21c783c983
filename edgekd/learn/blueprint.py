"""A model as a blueprint and weights: JSON and safetensors, which give it back in any process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any

import torch
from pydantic import Field
from pydantic import ValidationError
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.learn import outputs
from edgekd.learn import weights
from edgekd.learn.edits import EDITS
from edgekd.learn.models import MODELS
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import unsaid
from edgekd.table import Member
from edgekd.table import Scalar
from edgekd.table import bind

LARGEST_BLUEPRINT_BYTES = 2**24
FOREIGN = ("python", "timm", "transformers")
"""Builders of models that others wrote, which may do in training what they do not do afterwards."""


class Face(Settings):
    """What a model takes and gives."""

    classes: Count
    """How many logits."""
    channels: Count
    """Of the image."""
    height: Count
    """Of the image, in pixels."""
    width: Count
    """Of the image, in pixels."""

    @property
    def size(self) -> dict[str, int]:
        """Of the image, as what exports takes it."""
        return {"channels": self.channels, "height": self.height, "width": self.width}

    def blank(self, count: int) -> torch.Tensor:
        """Zeros [count, channels, height, width]."""
        return torch.zeros(count, self.channels, self.height, self.width)

    def noise(self, count: int) -> torch.Tensor:
        """Images [count, channels, height, width] of normal noise, the same each time."""
        random = torch.Generator().manual_seed(0)
        return torch.randn(count, self.channels, self.height, self.width, generator=random)


class Blueprint(Face):
    """What builds a model, without its weights."""

    builder: str
    """A name of `edgekd.learn.models`."""
    arguments: dict[str, Scalar | None] = {}
    """Its knobs."""
    inside: Face | None = unsaid(None)
    """What the builder is told, where an edit gives the model another face; None is the same."""
    edits: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Changes made to the built model, replayed in order: ``name`` is one of `edgekd.learn.edits`, the
    rest is what that edit takes."""


def build(blueprint: Blueprint, *, allow_code: bool = False) -> nn.Module:
    """The model that `blueprint` describes, freshly initialised from torch's global generator.

    Args:
        blueprint: what to build.
        allow_code: whether a ``python:`` reference may run.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes], in training mode.

    Raises:
        InputError: for an unknown builder, argument or edit, or a model that does not take the
            images or gives something else than [B, classes].
        MachineError: if the builder needs a package that is not installed.
    """
    member = MODELS.get(blueprint.builder)
    if member is None:
        raise InputError(
            f"blueprint: got unknown model {blueprint.builder!r}",
            hint=nearest(blueprint.builder, MODELS),
        )
    try:
        supplied = _supplied(blueprint.inside or blueprint, member, allow_code)
        arguments = bind(member, blueprint.arguments) | supplied
        model: nn.Module = member.load()(**arguments)
    except ValueError as error:
        raise InputError(f"{blueprint.builder}: {error}") from error
    foreign = blueprint.builder in FOREIGN
    if foreign:
        outputs.give_logits_alone(model)
    _check_output(model, blueprint.inside or blueprint, blueprint.builder)
    if foreign:
        _check_tensors(model, blueprint.builder)
        _check_training(model, blueprint.inside or blueprint, blueprint.builder)
    for edit in blueprint.edits:
        model = edited(model, edit, blueprint)
        _check_output(model, blueprint, blueprint.builder)
    return model.train()


def edited(model: nn.Module, edit: Mapping[str, Any], blueprint: Blueprint) -> nn.Module:
    """The model after one edit: `model` itself, changed in place, or another.

    Raises:
        InputError: for an unknown edit, or one that does not fit the model.
    """
    name = edit.get("name")
    if not isinstance(name, str) or name not in EDITS:
        raise InputError(f"blueprint: got unknown edit {name!r}")
    rest = {key: value for key, value in edit.items() if key != "name"}
    try:
        changed: nn.Module = EDITS[name].load()(model.eval(), rest, blueprint.blank(2))
    except ValidationError as error:
        raise InputError(f"blueprint: edit {name}: {_first_fault(error)}") from error
    except ValueError as error:
        raise InputError(f"blueprint: edit {name}: {str(error).strip()[:300]}") from error
    return changed


def save(model: nn.Module, blueprint: Blueprint, folder: Path) -> dict[str, Path]:
    """Write ``blueprint.json`` and ``weights.safetensors`` into `folder`; the same model, the same bytes.

    Floating-point tensors are stored as float32, tied tensors once, under the first of their names.

    Returns:
        File name to path.
    """
    paths = {name: folder / name for name in ("blueprint.json", "weights.safetensors")}
    fields = blueprint.model_dump(mode="json")
    # A model whose arguments point outside (a folder) brings what they pointed to.
    own: dict[str, Scalar] = getattr(model, "blueprint_arguments", {})
    fields["arguments"] = dict(sorted({**fields["arguments"], **own}.items()))
    paths["blueprint.json"].write_bytes(files.pretty_json(fields))
    weights.write(model.state_dict(), paths["weights.safetensors"])
    return paths


def read(path: Path) -> Blueprint:
    """The blueprint in a JSON file.

    Raises:
        InputError: if it is missing or is no blueprint.
    """
    with files.open_regular(path) as file:
        data = file.read(LARGEST_BLUEPRINT_BYTES)
    try:
        return Blueprint.model_validate_json(data)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where or 'file'}: {first['msg']}"


def load(blueprint_path: Path, weights_path: Path, *, allow_code: bool = False) -> nn.Module:
    """The model that was saved, in evaluation mode. Leaves torch's global generator as it was.

    Raises:
        InputError: as `build` and `edgekd.learn.weights` do.
        MachineError: as `build` does.
    """
    blueprint = read(blueprint_path)
    with torch.random.fork_rng(devices=[]):
        model = build(blueprint, allow_code=allow_code)
    weights.load_into(model, weights.read(weights_path, suffix=".safetensors"), str(weights_path))
    return model.eval()


def _supplied(face: Face, member: Member, allow_code: bool) -> dict[str, Any]:
    offered = {**face.size, "classes": face.classes, "allow_code": allow_code}
    return {name: offered[name] for name in member.supplied}


def _check_tensors(model: nn.Module, builder: str) -> None:
    """Parameters and buffers must be what can be trained, stored and loaded.

    Raises:
        InputError: naming the first that is not, or if there is no parameter.
    """
    named = {**dict(model.named_parameters()), **model.state_dict()}
    if not any(True for _ in model.parameters()):
        raise InputError(f"{builder}: got a model without parameters, want some to learn")
    for name, value in named.items():
        where = f"{builder}: {name}"
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{where}: got {type(value).__name__} in its state, want tensors")
        if torch.nn.parameter.is_lazy(value):
            raise InputError(f"{where}: got no shape from the first images, want one")
        if value.dtype not in weights.DTYPES or value.layout != torch.strided:
            raise InputError(
                f"{where}: got a tensor of {value.dtype}, {value.layout}, want plain numbers"
            )


def _check_training(model: nn.Module, face: Face, builder: str) -> None:
    """`_check_output` in training mode; leaves buffers and torch's generator as they were."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        _check_output(model, face, f"{builder}, in training mode", training=True)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])


def _check_output(model: nn.Module, face: Face, builder: str, *, training: bool = False) -> None:
    """Two black images must give two rows of logits."""
    images = face.blank(2)
    shape = list(images.shape)
    try:
        with torch.no_grad():
            logits = model.train(training)(images)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{builder}: cannot take images {shape}: {first[:200]}") from error
    got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != [2, face.classes]:
        raise InputError(
            f"{builder}: got {got} from images {shape}, want logits {[2, face.classes]}"
        )
    if not logits.is_floating_point():
        raise InputError(f"{builder}: got logits of {logits.dtype}, want floating-point numbers")
