"""A user's own function, named ``package.module:function``; it runs only when that is allowed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgekd.errors import InputError


def module_file(reference: str, what: str, *, allow_code: bool) -> Path:
    """The file of the module that `reference` names, found without running anything.

    Raises:
        InputError: if code is not allowed, `reference` is malformed or there is no such module.
    """
    module, colon, function = reference.partition(":")
    parts = module.split(".")
    if not colon or not function.isidentifier() or not all(p.isidentifier() for p in parts):
        raise InputError(f"{what}: got {reference!r}, want python:package.module:function")
    if not allow_code:
        raise InputError(
            f"{what}: got {reference!r}, which runs your code, want that allowed",
            hint="give --allow-code if you trust it",
        )
    # Not importlib.util.find_spec: it runs the packages on the way.
    places: list[str] | None = [*sys.path, str(Path.cwd())]
    origin = None
    for at in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: at + 1]), places)
        if spec is None:
            raise InputError(f"{what}: got no module {module!r}, want one that can be imported")
        places = list(spec.submodule_search_locations or [])
        origin = spec.origin
    if origin is None or not origin.endswith(".py"):
        raise InputError(f"{what}: got module {module!r} without a .py file, want one")
    return Path(origin)


def load(reference: str, what: str, *, allow_code: bool) -> Callable[..., Any]:
    """The function itself; runs its module.

    Raises:
        InputError: as `module_file`, or if the module raises or has no such function.
    """
    module_file(reference, what, allow_code=allow_code)
    module, _, function = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:  # the user's code raises what it likes
        raise InputError(f"{what}: {module} raised {type(error).__name__}: {error}") from error
    if not callable(found):
        raise InputError(f"{what}: got no function {function!r} in {module}, want one")
    return found
