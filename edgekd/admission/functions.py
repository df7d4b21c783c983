"""How large a model becomes when its functions are written out where they are called.

An engine inlines them. Ten functions that call the next one ten times each are a hundred lines, and ten
thousand million nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

MAX_NODES = 200_000
"""Of all graphs together, functions written out."""
MAX_CALLS = 32
"""Functions that call one another in a chain."""
TOO_DEEP = f"got functions that call each other more than {MAX_CALLS} deep"

Key = tuple[bytes, bytes, bytes]
"""Domain, name and overload of an operator or a function."""
Body = Counter[Key]
"""How often a graph or function, its subgraphs included, runs each operator."""


def function_key(domain: bytes, name: bytes, overload: bytes) -> Key:
    """The key under which an engine looks it up; ONNX's own domain has two spellings."""
    return b"" if domain == b"ai.onnx" else domain, name, overload


def require_small(main: Body, functions: Mapping[Key, Body]) -> None:
    """Hold the model, functions written out, to `MAX_NODES` and `MAX_CALLS`.

    Raises:
        ValueError: if functions call each other in a circle, in too long a chain, or too often.
    """
    nodes: dict[Key, int] = {}
    depths: dict[Key, int] = {}

    def settle(name: Key, chain: tuple[Key, ...]) -> None:
        if name in chain:
            raise ValueError("got functions that call each other in a circle")
        if len(chain) > MAX_CALLS:
            raise ValueError(TOO_DEEP)
        called = functions[name].keys() & functions.keys()
        for other in called - nodes.keys():
            settle(other, (*chain, name))
        depths[name] = 1 + max((depths[other] for other in called), default=0)
        if depths[name] > MAX_CALLS:
            raise ValueError(TOO_DEEP)
        nodes[name] = _written_out(functions[name], nodes)

    for name in functions:
        if name not in nodes:
            settle(name, ())
    total = _written_out(main, nodes)
    if total > MAX_NODES:
        raise ValueError(f"got {total:.3g} nodes with functions written out, want {MAX_NODES}")


def _written_out(body: Body, nodes: Mapping[Key, int]) -> int:
    return sum(count * nodes.get(name, 1) for name, count in body.items())
