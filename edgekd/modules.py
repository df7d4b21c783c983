"""Where a module lies, found without running it or the packages around it."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple


class Location(NamedTuple):
    """A module's file, and the folders in which its own modules are looked for."""

    file: Path | None
    """None for what is built in, and for a package without ``__init__.py``."""
    folders: tuple[str, ...]


def locate(module: str) -> Location | None:
    """Return where `module` would be imported from, without running the packages on the way, as
    `importlib.util.find_spec` would; the working folder comes last. None if it would not be found."""
    top, *inner = module.split(".")
    specs = (finder.find_spec(top, None) for finder in sys.meta_path)
    spec = next(filter(None, specs), None) or PathFinder.find_spec(top, [str(Path.cwd())])
    if spec is None:
        return None
    known = spec.has_location and spec.origin is not None
    location: Location | None = Location(
        Path(str(spec.origin)).absolute() if known else None,
        tuple(spec.submodule_search_locations or ()),
    )
    for name in inner:
        location = None if location is None else _within(location.folders, name)
    return location


def is_reference(text: str) -> bool:
    """Return whether `text` has the form ``package.module:function``."""
    module, colon, function = text.partition(":")
    return bool(colon) and function.isidentifier() and all(map(str.isidentifier, module.split(".")))


def _within(folders: tuple[str, ...], name: str) -> Location | None:
    """The module or package `name` in the first folder that has it."""
    bare = []
    for folder in folders:
        inside = Path(folder, name)
        if (inside / "__init__.py").is_file():
            return Location(inside / "__init__.py", (str(inside),))
        if inside.with_suffix(".py").is_file():
            return Location(inside.with_suffix(".py"), ())
        bare += [str(inside)] if inside.is_dir() else []
    return Location(None, tuple(bare)) if bare else None
