"""Packages whose models a recipe may name: imported when such a model is built, and only if new enough."""

from __future__ import annotations

import importlib
import re
from typing import Any

from edgekd.errors import MachineError


def import_package(name: str, least: str, extra: str) -> Any:
    """The package `name`.

    Args:
        name: what is imported; it has a ``__version__``.
        least: the oldest version whose builders are known to read no files and run no code, such as ``1.0.31``.
        extra: the extra of edgekd that installs it.

    Raises:
        MachineError: if it is not installed, does not work here, or is older than `least`.
    """
    hint = f"pip install 'edgekd[{extra}]'"
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MachineError(f"{name}: {error.name} is not installed", hint=hint) from error
    # Its torchvision may be built for another torch, which shows as a RuntimeError.
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise MachineError(f"{name}: cannot be imported: {first[:200]}", hint=hint) from error
    version = str(getattr(package, "__version__", ""))
    if _numbers(version) < _numbers(least):
        raise MachineError(
            f"{name}: got version {version or 'unknown'}, want {least} or newer", hint=hint
        )
    return package


def _numbers(version: str) -> tuple[int, ...]:
    """Of ``1.0.31.dev0``: (1, 0, 31)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
