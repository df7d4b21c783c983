"""A network whose parameters were shared out becomes a plain one again, on every rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from torch import Tensor
from torch import nn
from torch.distributed.tensor import DTensor


class Form(NamedTuple):
    """What a module was before `fully_shard`, which offers no way back."""

    kind: type[nn.Module]
    hooks: Mapping[str, Mapping[Any, Any]]


def note_forms(network: nn.Module) -> dict[nn.Module, Form]:
    """Note what every module of a network is, before its parameters are shared out."""
    return {module: Form(type(module), _list_hooks(module)) for module in network.modules()}


def join_parameters(network: nn.Module, forms: Mapping[nn.Module, Form]) -> None:
    """Give every rank all values of every parameter, on the CPU, and modules back what `forms` says they were."""
    wholes: dict[Tensor, nn.Parameter] = {}
    for module in network.modules():
        for name, parameter in list(module._parameters.items()):
            if isinstance(parameter, DTensor):
                if parameter not in wholes:
                    value = (
                        parameter.detach().full_tensor().cpu()
                    )  # a GPU need not hold all at once
                    wholes[parameter] = nn.Parameter(value, parameter.requires_grad)
                module._parameters[name] = wholes[parameter]
    for module, form in forms.items():
        module.__class__ = form.kind
        for name in [n for n in vars(module) if "fsdp" in n or "composable_api" in n]:
            del vars(module)[name]
        for name, before in form.hooks.items():
            table = vars(module)[name]
            table.clear()
            table.update(before)


def _list_hooks(module: nn.Module) -> dict[str, dict[Any, Any]]:
    return {
        name: dict(table)
        for name, table in vars(module).items()
        if "hooks" in name and isinstance(table, dict)
    }
