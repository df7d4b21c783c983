"""Functions that are not edgekd's: a user's own, named ``package.module:function``, which run only when that is
allowed, and those of installed plugins."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import site
import sys
import sysconfig
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd import modules
from edgekd import sources
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.table import Member

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
    return _files_behind(_module_of(reference, what, allow_code=allow_code))


def member_files(member: Member, name: str, *, allow_code: bool) -> list[Path]:
    """`module_files` of a member that is not edgekd's own; a plugin needs no leave, and what it imports from the
    package it lies in counts although that is installed.

    Raises:
        InputError: as `module_files`.
        MachineError: as `module_files`.
    """
    reference = f"{member.module}:{member.function}"
    if member.plugin is None:
        return module_files(reference, name, allow_code=allow_code)
    module = _module_of(reference, f"{name} of {member.plugin}", allow_code=True)
    return _files_behind(module, module.partition(".")[0])


def _files_behind(module: str, package: str = "") -> list[Path]:
    """Files of `module` and of what it imports; installed ones only from the top-level package `package`."""
    found: dict[Path, None] = {}
    waiting = [module]
    looked_at: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in looked_at:
            continue
        looked_at.add(name)
        if name.partition(".")[0] == sources.ROOT:
            found |= dict.fromkeys(sources.PACKAGE / path for path in sources.reachable_files(name))
            continue
        location = modules.locate(name)
        path = None if location is None else location.file
        if path is not None and (name.partition(".")[0] == package or not _installed(path)):
            found |= dict.fromkeys((path, *_package_of(name, path)))
            waiting += _imports(path.read_bytes(), name, path.stem == "__init__")
    for path in found:
        if path in _loaded and files.digest_file(path) != _loaded[path]:
            raise MachineError(
                f"{path}: changed since this process loaded it", hint="run the same command again"
            )
    return list(found)


def load_function(reference: str, what: str, *, allow_code: bool) -> Callable[..., Any]:
    """The function itself; runs its module.

    Raises:
        InputError: as `module_files`, or if the module raises or has no such function.
        MachineError: as `module_files`.
    """
    paths = module_files(reference, what, allow_code=allow_code)
    function: Callable[..., Any] = _import(reference, what, paths)
    _require_function(function, reference, what)
    return function


def load_member(member: Member, name: str, *, allow_code: bool) -> Callable[..., Any]:
    """The function of a member, whoever wrote it; imports its module.

    Raises:
        InputError: as `load_function`.
        MachineError: as `load_function`.
    """
    found: Callable[..., Any] = load_object(member, name, allow_code=allow_code)
    _require_function(found, f"{member.module}:{member.function}", name)
    return found


def load_object(member: Member, name: str, *, allow_code: bool) -> Any:
    """Return what a member names, a function or not, None if its module has no such name; imports that.

    Raises:
        InputError: as `load_function`, but that it may be no function.
        MachineError: as `load_function`.
    """
    if member.built_in:
        return member.load()
    if member.given is not None:
        return member.given
    paths = member_files(member, name, allow_code=allow_code)
    return _import(f"{member.module}:{member.function}", name, paths)


def _require_function(found: object, reference: str, what: str) -> None:
    if not callable(found):
        module, _, function = reference.partition(":")
        raise InputError(f"{what}: got no function {function!r} in {module}, want one")


def _import(reference: str, what: str, paths: Iterable[Path]) -> Any:
    _loaded.update({path: files.digest_file(path) for path in paths})
    module, _, function = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        return getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:  # the user's code raises what it likes
        raise InputError(f"{what}: {module} raised {type(error).__name__}: {error}") from error


def was_loaded(path: str) -> bool:
    """Return whether a file holds code of the user's that `load_function` ran in this process; not edgekd's that it
    imports."""
    return Path(path) in _loaded and not Path(path).is_relative_to(sources.PACKAGE)


def _module_of(reference: str, what: str, *, allow_code: bool) -> str:
    if not modules.is_reference(reference):
        raise InputError(f"{what}: got {reference!r}, want python:package.module:function")
    if not allow_code:
        raise InputError(
            f"{what}: got {reference!r}, which runs your code, want that allowed",
            hint="give --allow-code if you trust it",
        )
    module = reference.partition(":")[0]
    location = modules.locate(module)
    if location is None:
        raise InputError(f"{what}: got no module {module!r}, want one that can be imported")
    if location.file is None or location.file.suffix != ".py":
        raise InputError(f"{what}: got module {module!r} without a .py file, want one")
    return module


@functools.cache
def _environment() -> tuple[str, ...]:
    """Folders of the standard library and of installed packages."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = [*named, *site.getsitepackages(), site.getusersitepackages()]
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


def _installed(path: Path) -> bool:
    """Return whether a file is the standard library's or an installed package's, whose version counts."""
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
