"""Edit `deploy`: modules with branches for training become the single layers they compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from collections.abc import Mapping
from typing import Annotated
from typing import Any

import torch
from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.settings import Settings

METHODS = ("fuse", "reparameterize", "switch_to_deploy")
"""How authors name what merges a module's branches (timm, MobileOne, RepVGG); the first gives the module
that takes its place, the others change it."""


class DeployEdit(Settings):
    """The fields of this edit in a blueprint."""

    paths: Annotated[
        tuple[Annotated[str, Field(max_length=1000)], ...],
        Field(min_length=1, max_length=10_000, strict=False),
    ]
    """Of the modules, in the order they are merged; empty is the model itself."""


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` with each named module in its deploy form.

    Args:
        model: in evaluation mode; changed in place.
        edit: ``{"paths": [...]}``.
        interface: what the model takes; not looked at.

    Raises:
        ValueError: if there is no such module, or it has no such form.
    """
    for path in DeployEdit.model_validate(dict(edit)).paths:
        try:
            model = merge_module(model, path)
        except AttributeError as error:
            raise ValueError(f"{path}: no module with a deploy form") from error
    return model


def merge_module(model: nn.Module, path: str) -> nn.Module:
    """Put the module at `path` of `model` into its deploy form, in place.

    Raises:
        AttributeError: if there is no such module or it has no such form.
    """
    module = model.get_submodule(path)
    method = find_deploy_method(module)
    if method is None:
        raise AttributeError(path)
    with torch.no_grad():
        made = method()
    if method.__name__ != METHODS[0] or made is None or made is module:
        return model
    if not path:
        return made if isinstance(made, nn.Module) else model
    model.set_submodule(path, made)
    return model


def find_deploy_method(module: nn.Module) -> Callable[[], Any] | None:
    """Find the method that puts `module` into its deploy form; None if none works without arguments."""
    for name in METHODS:
        method = getattr(module, name, None)
        if inspect.ismethod(method) and not any(
            parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(method).parameters.values()
        ):
            return method
    return None
