"""A user's own function, named ``package.module:function``; it runs only when that is allowed."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import site
import sys
import sysconfig
from collections.abc import Callable
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd import sources
from edgekd.errors import InputError
from edgekd.errors import MachineError

_loaded: dict[Path, str] = {}
"""Digest, when it was loaded, of each file whose code is in this process."""


def module_files(reference: str, what: str, *, allow_code: bool) -> list[Path]:
    """The files of the module that `reference` names and of all that it imports from outside the
    environment, found without running anything.

    Imports are read from the text, those inside functions too. Of a package every module counts, since
    a package may import its own by names that it computes. The first file is the module's own.

    Raises:
        InputError: if code is not allowed, `reference` is malformed or there is no such module.
        MachineError: if one of them was loaded by this process and has changed since.
    """
    module = _module_of(reference, what, allow_code=allow_code)
    found: dict[Path, None] = {}
    waiting = [module]
    looked_at: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in looked_at:
            continue
        looked_at.add(name)
        if name.partition(".")[0] == sources.ROOT:
            found |= dict.fromkeys(sources.PACKAGE / path for path in sources.reached(name))
            continue
        place = _place_of(name)
        path = None if place is None else place.file
        if path is not None and not _installed(path):
            found |= dict.fromkeys((path, *_package_of(name, path)))
            waiting += _imports(path.read_bytes(), name, path.stem == "__init__")
    for path in found:
        if path in _loaded and files.digest_file(path) != _loaded[path]:
            raise MachineError(
                f"{path}: changed since this process loaded it", hint="run the same command again"
            )
    return list(found)


def load(reference: str, what: str, *, allow_code: bool) -> Callable[..., Any]:
    """The function itself; runs its module.

    Raises:
        InputError: as `module_files`, or if the module raises or has no such function.
        MachineError: as `module_files`.
    """
    paths = module_files(reference, what, allow_code=allow_code)
    _loaded.update({path: files.digest_file(path) for path in paths})
    module, _, function = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:  # the user's code raises what it likes
        raise InputError(f"{what}: {module} raised {type(error).__name__}: {error}") from error
    if not callable(found):
        raise InputError(f"{what}: got no function {function!r} in {module}, want one")
    return found


def was_loaded(path: str) -> bool:
    """Whether a file holds code of the user's that `load` ran in this process; not edgekd's that it imports."""
    return Path(path) in _loaded and not Path(path).is_relative_to(sources.PACKAGE)


def _module_of(reference: str, what: str, *, allow_code: bool) -> str:
    module, colon, function = reference.partition(":")
    if (
        not colon
        or not function.isidentifier()
        or not all(map(str.isidentifier, module.split(".")))
    ):
        raise InputError(f"{what}: got {reference!r}, want python:package.module:function")
    if not allow_code:
        raise InputError(
            f"{what}: got {reference!r}, which runs your code, want that allowed",
            hint="give --allow-code if you trust it",
        )
    place = _place_of(module)
    if place is None:
        raise InputError(f"{what}: got no module {module!r}, want one that can be imported")
    if place.file is None or place.file.suffix != ".py":
        raise InputError(f"{what}: got module {module!r} without a .py file, want one")
    return module


class _Place(NamedTuple):
    """Where a module lies: its file, and the folders its own modules are looked for in."""

    file: Path | None
    """None for what is built in, and for a package without ``__init__.py``."""
    folders: tuple[str, ...]


def _place_of(module: str) -> _Place | None:
    """Where `module` would be imported from, found without running the packages on the way, as
    `importlib.util.find_spec` would; None if it would not be found."""
    top, *inner = module.split(".")
    specs = (finder.find_spec(top, None) for finder in sys.meta_path)
    spec = next(filter(None, specs), None) or PathFinder.find_spec(top, [str(Path.cwd())])
    if spec is None:
        return None
    known = spec.has_location and spec.origin is not None
    place: _Place | None = _Place(
        Path(str(spec.origin)).absolute() if known else None,
        tuple(spec.submodule_search_locations or ()),
    )
    for name in inner:
        place = None if place is None else _within(place.folders, name)
    return place


def _within(folders: tuple[str, ...], name: str) -> _Place | None:
    """The module or package `name` in the first folder that has it."""
    bare = []
    for folder in folders:
        inside = Path(folder, name)
        if (inside / "__init__.py").is_file():
            return _Place(inside / "__init__.py", (str(inside),))
        if inside.with_suffix(".py").is_file():
            return _Place(inside.with_suffix(".py"), ())
        bare += [str(inside)] if inside.is_dir() else []
    return _Place(None, tuple(bare)) if bare else None


@functools.cache
def _environment() -> tuple[str, ...]:
    """Folders of the standard library and of installed packages."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = [*named, *site.getsitepackages(), site.getusersitepackages()]
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


def _installed(path: Path) -> bool:
    """Whether a file is the standard library's or an installed package's, whose version counts."""
    apart = {"site-packages", "dist-packages"}
    return os.path.realpath(path).startswith(_environment()) or not apart.isdisjoint(path.parts)


def _package_of(module: str, path: Path) -> Iterator[Path]:
    """Every module of the outermost package that `module` lies in; nothing if it lies in none."""
    depth = module.count(".") - (path.stem != "__init__")
    if depth < 0:
        return
    for folder, inner, names in os.walk(path.parents[depth]):
        inner[:] = sorted(n for n in inner if n.isidentifier() and n != "__pycache__")
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


@functools.cache
def _imports(source: bytes, module: str, is_package: bool) -> tuple[str, ...]:
    """Names that a source may import; some are no modules."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # it is told when the module is loaded
        return ()
    found: list[str] = [module.rpartition(".")[0]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: None if is_package else -1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and _last_name(node.func) in (
            "import_module",
            "__import__",
        ):
            found += [
                a.value
                for a in node.args
                if isinstance(a, ast.Constant) and isinstance(a.value, str)
            ]
    return tuple(name for name in found if all(map(str.isidentifier, name.split("."))))


def _last_name(function: ast.expr) -> str:
    """``f`` of what is called as ``f`` or ``a.b.f``; empty of anything else."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
