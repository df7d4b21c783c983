"""An engine that an installed distribution adds: its line of the table, read from text, and its runtime, loaded."""

from __future__ import annotations

import ast
import importlib
from typing import get_args

from edgekd import modules
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plugins import Plugin
from edgekd.profile import PROFILES
from edgekd.runtime import Precision
from edgekd.runtime import Runtime
from edgekd.runtime import RuntimeEntry

RESERVED = "null"
"""The engine for tests."""
FUNCTIONS = ("why_not", "precisions", "build", "load", "kernels", "why_not_run", "islands")
"""Fields of a `Runtime` that are called."""


def read_entry(plugin: Plugin) -> RuntimeEntry:
    """The line of the table that an entry point names, ``NAME = RuntimeEntry(...)`` of plain values at the top
    level of its module, read from the text: nothing runs.

    Raises:
        InputError: if there is none.
    """
    where, (module, _, name) = (
        f"runtime {plugin.name!r} of {plugin}",
        plugin.reference.partition(":"),
    )
    if not modules.is_reference(plugin.reference):
        raise InputError(f"{where}: got {plugin.reference!r}, want package.module:NAME")
    if plugin.name == RESERVED or not plugin.name.replace("-", "_").isidentifier():
        raise InputError(f"{where}: got that name, want another of letters, digits, - and _")
    location = modules.locate(module)
    if location is None or location.file is None or location.file.suffix != ".py":
        raise InputError(f"{where}: got no module {module!r} with a .py file, want one")
    try:
        call = _assigned_call(location.file.read_bytes(), name)
        given = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        entry = RuntimeEntry(*map(ast.literal_eval, call.args), **given)
        _require_sound(entry)
    except (OSError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        want = f"want {name} = RuntimeEntry(...) of plain values"
        raise InputError(f"{where}: {module}: got {error}, {want}") from error
    return entry._replace(plugin=plugin)


def _assigned_call(source: bytes, name: str) -> ast.Call:
    """The call whose value a module's top level gives to `name`; ValueError if there is none."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value
    raise ValueError(f"no {name}")


def _require_sound(entry: RuntimeEntry) -> None:
    """Raises ValueError unless every field is of its kind."""
    texts = (entry.module, entry.distribution, entry.extra, entry.summary)
    lists = (entry.known_precisions, entry.options, entry.instead, entry.profiles)
    words = [word for each in lists if isinstance(each, tuple) for word in each]
    if not all(isinstance(each, str) for each in (*texts, *words)):
        raise ValueError("a field that is no text")
    if not all(isinstance(each, tuple) for each in lists) or entry.plugin is not None:
        raise ValueError("a field of another kind")
    if not entry.known_precisions or not set(entry.known_precisions) <= set(get_args(Precision)):
        raise ValueError(f"known_precisions {entry.known_precisions!r}")
    if not set(entry.profiles) <= set(PROFILES):
        raise ValueError(f"profiles {entry.profiles!r}")


def load_runtime(plugin: Plugin, module: str) -> Runtime:
    """The ``RUNTIME`` of an installed module; runs that.

    Raises:
        MachineError: if the module raises, or has no runtime of the plugin's name.
    """
    where = f"runtime {plugin.name!r} of {plugin}: {module}"
    try:
        found = getattr(importlib.import_module(module), "RUNTIME", None)
    except (Exception, SystemExit) as error:  # its code raises what it likes
        raise MachineError(f"{where} raised {type(error).__name__}: {error}") from error
    if not isinstance(found, Runtime):
        raise MachineError(f"{where}: got no RUNTIME, want an edgekd.runtime.Runtime")
    if found.name != plugin.name:
        raise MachineError(f"{where}: got a runtime called {found.name!r}, want {plugin.name!r}")
    for name in FUNCTIONS:
        if not callable(getattr(found, name)):
            raise MachineError(f"{where}: got no function {name}, want one")
    return found
