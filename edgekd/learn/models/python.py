"""A user's own builder, named ``python:package.module:function``; runs only when code is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from edgekd import code
from edgekd.errors import InputError
from edgekd.settings import Count


def python(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    reference: str,
    allow_code: bool = False,
) -> nn.Module:
    """What the user's function returns.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        reference: ``package.module:function``. The function is called with those of ``classes``,
            ``channels``, ``height`` and ``width`` that it takes, by keyword.
        allow_code: whether the user said that their code may run.

    Returns:
        The function's model.

    Raises:
        InputError: if code is not allowed, the function is not found, fails, or gives no module.
    """
    where = f"python:{reference}"
    function = code.load(reference, where, allow_code=allow_code)
    offered = {"classes": classes, "channels": channels, "height": height, "width": width}
    try:
        model = function(**_accepted(function, offered))
    except Exception as error:
        raise InputError(f"{where}: the function failed: {_brief(error)}") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"{where}: got {type(model).__name__}, want a torch.nn.Module")
    return model


def _accepted(function: Callable[..., Any], offered: dict[str, int]) -> dict[str, int]:
    """Those of `offered` that `function` takes by keyword."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return offered
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {name: value for name, value in offered.items() if name in names}


def _brief(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:200]}"
