"""What a function takes, read from its source text without running it.

Its positional parameters are what the caller supplies. Its keyword-only parameters are its knobs: their
annotations are names of `edgekd.settings.KNOB_TYPES` or a ``Literal``, their defaults are literals.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import create_model

from edgekd import files
from edgekd import modules
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.settings import KNOB_TYPES
from edgekd.settings import Settings
from edgekd.sources import ROOT

LITERAL = "Literal"
PLAIN = bool | int | float | str | None
"""What a setting of a caller's function may be."""
RESERVED = {"name", "arguments"}
"""Words beside a member's knobs, which no knob may be called."""


class Signature(NamedTuple):
    """The parameters of a function."""

    positional: tuple[str, ...]
    knobs: type[Settings]
    doc: str


def read_signature(module: str, function: str, supplied: tuple[str, ...] = ()) -> Signature:
    """Return what a function takes, without importing it.

    Args:
        module: dotted, found as an import would find it; the working folder comes last.
        function: defined at its top level.
        supplied: keyword-only parameters that are no knobs.

    Raises:
        InputError: if the module or the function does not exist, or takes what no recipe can say.
    """
    return _signature(_source(module), module, function, supplied)


def inspect_function(function: Callable[..., Any], where: str) -> Signature:
    """Return what a function takes that a caller gave: its parameters without a default are what the caller supplies,
    the others are knobs, of any plain value; a default that is no plain value stays what it is.

    Raises:
        InputError: if it cannot be looked into, or takes parameters without names.
    """
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: got no parameters that can be read, want a function") from error
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        raise InputError(f"{where}: got *args, want each parameter by its name")
    wanted = [each for each in parameters if each.default is each.empty]
    unset = [each.name for each in wanted if each.kind is each.KEYWORD_ONLY]
    if unset:
        raise InputError(
            f"{where}: got {unset[0]!r} without a default, want one",
            hint=f"functools.partial({where}, {unset[0]}=...)",
        )
    positional = tuple(each.name for each in wanted if each.kind is not each.VAR_KEYWORD)
    fields: dict[str, Any] = {
        each.name: (PLAIN, each.default)
        for each in parameters
        if each not in wanted and each.kind is not each.POSITIONAL_ONLY and _is_plain(each)
    }
    knobs = create_model("knobs", __base__=Settings, **fields)
    return Signature(positional, knobs, function.__doc__ or "")


def _is_plain(parameter: inspect.Parameter) -> bool:
    """Whether a recipe's words can say what a parameter is."""
    name = parameter.name
    is_free = not name.startswith(("_", "model_")) and not hasattr(Settings, name)
    return is_free and name not in RESERVED and isinstance(parameter.default, PLAIN)


def keyword_names(module: str, function: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `among` that a function takes as keyword-only parameters; none if it cannot be read."""
    try:
        found = _function(_source(module), module, function)
    except InputError:
        return ()
    taken = {argument.arg for argument in found.args.kwonlyargs}
    return tuple(name for name in among if name in taken)


def _source(module: str) -> bytes:
    """The text of a module, found without running anything.

    Raises:
        InputError: if there is none.
    """
    return _read_once(module) if module.partition(".")[0] == ROOT else _read(module)


def _read(module: str) -> bytes:
    location = modules.locate(module)
    if location is None:
        raise InputError(f"{module}: got no such module, want one that can be imported")
    if location.file is None or location.file.suffix != ".py":
        raise InputError(f"{module}: got a module without a .py file, want one")
    with files.open_regular(location.file) as file:
        text: bytes = file.read()
    return text


_read_once = functools.cache(_read)


@functools.cache
def _function(source: bytes, module: str, name: str) -> ast.FunctionDef:
    """The definition of a function at a module's top level.

    Raises:
        InputError: if the text cannot be parsed, or has none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{module}: got text that is not Python: {error}") from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        close = f"; {find_nearest(name, functions)}" if functions else ""
        raise InputError(
            f"{module}: got no function {name!r}, want one defined at its top level{close}"
        )
    return functions[name]


@functools.cache
def _signature(source: bytes, module: str, function: str, supplied: tuple[str, ...]) -> Signature:
    where, found = f"{module}:{function}", _function(source, module, function)
    if found.args.vararg or found.args.kwarg:
        raise InputError(f"{where}: got *args or **kwargs, want each parameter by its name")
    fields: dict[str, Any] = {}
    for argument, default in zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True):
        name = argument.arg
        if name in supplied:
            continue
        if name in RESERVED or name.startswith(("_", "model_")) or hasattr(Settings, name):
            raise InputError(f"{where}: got a knob called {name!r}, want another name for it")
        try:
            kind = _knob_type(argument.annotation)
        except (KeyError, ValueError, SyntaxError, TypeError) as error:
            known = ", ".join(KNOB_TYPES)
            raise InputError(
                f"{where}: got knob {name!r} without a known type, want one of: {known}, Literal[...]"
            ) from error
        try:
            value = ... if default is None else ast.literal_eval(default)
        except ValueError as error:
            raise InputError(
                f"{where}: got a computed default of {name!r}, want a plain value"
            ) from error
        fields[name] = (kind, value)
    knobs = create_model(f"{function}_knobs", __base__=Settings, **fields)
    positional = (*found.args.posonlyargs, *found.args.args)
    return Signature(
        tuple(argument.arg for argument in positional), knobs, ast.get_docstring(found) or ""
    )


def _knob_type(annotation: ast.expr | None) -> Any:
    """The type that an annotation names.

    Raises:
        KeyError, ValueError, SyntaxError, TypeError: if it names none of `KNOB_TYPES` and is no ``Literal``.
    """
    if annotation is None:
        raise ValueError("no annotation")
    names = [name.strip() for name in ast.unparse(annotation).strip("'\"").split("|")]
    optional = "None" in names
    (name,) = [name for name in names if name != "None"]
    name = name.removeprefix("typing.")
    if name.startswith(LITERAL):
        kind: Any = Literal[tuple(ast.literal_eval(name.removeprefix(LITERAL)))]
    else:
        kind = KNOB_TYPES[name.rpartition(".")[2]]
    return kind | None if optional else kind
