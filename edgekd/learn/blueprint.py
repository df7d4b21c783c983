"""A model as a blueprint and weights: JSON and safetensors, which give it back in any process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from typing import Any

import torch
from pydantic import Field
from pydantic import PlainSerializer
from pydantic import PlainValidator
from pydantic import ValidationError
from torch import nn

from edgekd import code
from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.interface import Interface
from edgekd.interface import from_json
from edgekd.interface import to_json
from edgekd.learn import model_inputs
from edgekd.learn import weights
from edgekd.learn.edits import EDITS
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.method import outputs as model_outputs
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.models import MODELS
from edgekd.named_member import bind
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.table import Member
from edgekd.table import Scalar
from edgekd.units import number_text

LARGEST_BLUEPRINT_BYTES = 2**24


def _interface(value: Any) -> Interface:
    return value if isinstance(value, Interface) else from_json(value)


Ends = Annotated[Interface, PlainValidator(_interface), PlainSerializer(to_json)]


class Blueprint(Settings):
    """Builder, arguments, interface and edits of a model, without its weights."""

    builder: str
    """A name of `edgekd.learn.models`."""
    arguments: dict[str, Scalar | None] = {}
    """Its knobs."""
    interface: Ends
    """What the model takes and gives."""
    inside: Ends | None = omit_default(None)
    """What the builder's model takes and gives, where an edit changes that; None is the same."""
    edits: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Changes made to the built model, replayed in order: ``name`` is one of `edgekd.learn.edits`, the
    rest is what that edit takes."""

    @property
    def classes(self) -> int:
        """How many it tells apart; 0 for what is no classifier."""
        return self.interface.sizes.get("classes", 0)

    def blank(self, count: int) -> Inputs:
        """Inputs of `count` samples, all zeros (`model_inputs.make_zeros`)."""
        return model_inputs.make_zeros(self.interface, count)

    def noise(self, count: int) -> Inputs:
        """Inputs of `count` samples, the same each time (`model_inputs.make_noise`)."""
        return model_inputs.make_noise(self.interface, count)


def build(blueprint: Blueprint, *, allow_code: bool = False, is_checked: bool = False) -> nn.Module:
    """The model that `blueprint` describes, freshly initialised from torch's global generator.

    Args:
        blueprint: what to build.
        allow_code: whether a ``python:`` reference may run.
        is_checked: whether it was built before and gave what it should; then it is not run.

    Returns:
        A model with the ends of the blueprint's interface, in training mode.

    Raises:
        InputError: for an unknown builder, argument or edit, or a model with other ends.
        MachineError: if the builder needs a package that is not installed.
    """
    member = MODELS.get(blueprint.builder)
    if member is None:
        raise InputError(
            f"blueprint: got unknown model {blueprint.builder!r}",
            hint=find_nearest(blueprint.builder, MODELS),
        )
    try:
        interface = blueprint.inside or blueprint.interface
        supplied = _supplied(interface, member, allow_code)
        arguments = bind(member, blueprint.arguments) | supplied
        builder = code.load_member(member, f"model {blueprint.builder}", allow_code=allow_code)
        model: nn.Module = builder(**arguments)
    except ValueError as error:
        raise InputError(f"{blueprint.builder}: {error}") from error
    foreign = member.is_foreign
    if foreign:
        model_outputs.give_outputs_alone(model, interface)
    if not is_checked:
        _check_output(model, interface, blueprint.builder)
        if foreign:
            _check_tensors(model, blueprint.builder)
            _check_training(model, interface, blueprint.builder)
    for edit in blueprint.edits:
        model = apply_edit(model, edit, blueprint)
        if not is_checked:
            _check_output(model, blueprint.interface, blueprint.builder)
    return model.train()


def apply_edit(model: nn.Module, edit: Mapping[str, Any], blueprint: Blueprint) -> nn.Module:
    """The model after one edit: `model` itself, changed in place, or another.

    Raises:
        InputError: for an unknown edit, or one that does not fit the model.
    """
    name = edit.get("name")
    if not isinstance(name, str) or name not in EDITS:
        raise InputError(f"blueprint: got unknown edit {name!r}")
    rest = {key: value for key, value in edit.items() if key != "name"}
    try:
        changed: nn.Module = EDITS[name].load()(model.eval(), rest, blueprint.interface)
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


def _supplied(interface: Interface, member: Member, allow_code: bool) -> dict[str, Any]:
    """Return what a builder asks for beside its knobs.

    Raises:
        ValueError: if it asks for a size that the inputs do not have.
    """
    offered = {"types": 1, **interface.sizes, "interface": interface, "allow_code": allow_code}
    missing = [name for name in member.supplied if name not in offered]
    if missing:
        raise ValueError(f"wants {', '.join(missing)}; the data give {', '.join(interface.sizes)}")
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


def _check_training(model: nn.Module, interface: Interface, builder: str) -> None:
    """`_check_output` in training mode; leaves buffers and torch's generator as they were."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        _check_output(model, interface, f"{builder}, in training mode", training=True)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])


def _check_output(
    model: nn.Module, interface: Interface, builder: str, *, training: bool = False
) -> None:
    """Two samples of zeros must give the interface's outputs."""
    inputs = model_inputs.make_zeros(interface, 2)
    shapes = ", ".join(
        f"{end.name} {list(x.shape)}" for end, x in zip(interface.inputs, inputs, strict=True)
    )
    try:
        with torch.no_grad():
            given = model.train(training)(*inputs)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{builder}: cannot take {shapes}: {first[:200]}") from error
    names = ", ".join(end.name for end in interface.outputs)
    if isinstance(given, Mapping) and len(interface.outputs) > 1:
        listed = ", ".join(map(str, given))
        raise InputError(f"{builder}: got outputs {listed[:200]} from {shapes}, want {names}")
    outputs = as_tuple(given)
    if len(outputs) != len(interface.outputs):
        count = number_text(len(outputs), "output")
        raise InputError(f"{builder}: got {count} from {shapes}, want {names}")
    for end, output in zip(interface.outputs, outputs, strict=True):
        want = list(interface.shape(end, 2))
        got = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        if got != want:
            raise InputError(f"{builder}: got {got} from {shapes}, want {end.name} {want}")
        if end.dtype.startswith("float") and not output.is_floating_point():
            raise InputError(
                f"{builder}: got {end.name} of {output.dtype}, want floating-point numbers"
            )
