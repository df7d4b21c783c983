"""A user's own builder, named ``python:package.module:function``; runs only when code is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from edgekd import code
from edgekd.errors import InputError
from edgekd.interface import Interface


def python(*, interface: Interface, reference: str, allow_code: bool = False) -> nn.Module:
    """Return what the user's function returns.

    Args:
        interface: what the model takes and gives.
        reference: ``package.module:function``. The function is called with those of the interface's sizes
            (``classes``, ``height``, ``vocabulary``) that it takes, by keyword, and with ``interface`` if it takes
            that.
        allow_code: whether the user said that their code may run.

    Returns:
        The function's model.

    Raises:
        InputError: if code is not allowed, the function is not found, fails, or gives no module.
    """
    where = f"python:{reference}"
    function = code.load_function(reference, where, allow_code=allow_code)
    try:
        model = function(**_accepted(function, interface))
    except Exception as error:
        raise InputError(f"{where}: the function failed: {_brief(error)}") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"{where}: got {type(model).__name__}, want a torch.nn.Module")
    return model


def _accepted(function: Callable[..., Any], interface: Interface) -> dict[str, Any]:
    """The sizes that `function` takes by keyword, all where it takes any, and `interface` where it is named."""
    parameters = inspect.signature(function).parameters.values()
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names |= set(interface.sizes)
    offered: dict[str, Any] = {**interface.sizes, "interface": interface}
    return {name: value for name, value in offered.items() if name in names}


def _brief(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"
